import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { readmeTable, withReadmeTable } from "../../bench/readmeTable.ts";

const textOf = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");

test("the README's table is the one that the stored results give", () => {
  const readme = textOf("README.md");
  assert.equal(withReadmeTable(readme, textOf("bench/RESULTS.md")), readme);
});

const results = (matmul: number): string => `# Results

\`npm run bench -- --write\` on 2026-11-29. A Processor, 2 cores, 24 GiB, Node v20.20.2, Linux.

- evenkeel wasm: WebAssembly SIMD
- PyTorch: PyTorch 2.6.0+debian, Python 3.13.5, 2 threads, libopenblas

## Kernels

| work | engine | median (min-max, samples) | rate | ratio | |
|---|---|---|---|---|---|
| row sums 4096x4096 | evenkeel wasm | 3.01 ms (2.67-4.02, 7) | 89.2 GB/s | 1.00 |  |
| row sums 4096x4096 | PyTorch | 2.47 ms (1.31-1.98, 7) | 183 GB/s | ${matmul} |  |
| row sums 4096x4096 | jax-js wasm | 1.47 ms (1.31-1.98, 7) | 183 GB/s | 0.312 |  |
| training step (a) | evenkeel wasm | 91.0 ms (90-92, 7) |  | 1.00 |  |
| training step (a) | PyTorch | 123 ms (120-130, 7) |  | 1.35 |  |
| training step (a) | PyTorch, compiled | not here | | | no compiler |

## Growth: time per arithmetic as net (a) grows

| work | engine | median (min-max, samples) | rate | ratio | |
|---|---|---|---|---|---|
| training step (a), width 16 | evenkeel wasm | 3.01 ms (2.67-4.02, 7) | | 1.00 |  |
| training step (a), width 16 | PyTorch | 2.47 ms (1.31-1.98, 7) | | 0.5 |  |
`;

test("rows that are lost to PyTorch are shown, with the processor and versions; others only if they are chosen", () => {
  const lines = readmeTable(results(0.82)).split("\n").slice(-4);
  assert.match(readmeTable(results(0.82)), /^Speed on A Processor, two cores/);
  assert.deepEqual(lines, [
    "| work | Evenkeel `wasm` | PyTorch 2.6.0 | jax-js wasm |",
    "|---|---|---|---|",
    "| training step (a) | 91.0 ms | 1.35 |  |",
    "| row sums 4096x4096 | 3.01 ms | 0.82 | 0.31 |",
  ]);
  assert.ok(!readmeTable(results(1.01)).includes("row sums"));
});
