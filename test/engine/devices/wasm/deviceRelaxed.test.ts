import assert from "node:assert/strict";
import { test } from "node:test";
import { createWasmDevice } from "../../../../engine/devices/wasm/device.ts";
import type { Kernel } from "../../../../engine/kernel/kernel.ts";
import { planOf } from "./exactKernels.ts";
import { downloaded } from "../../../../testing/devices/downloaded.ts";

const [m, n, k] = [20, 36, 300];

const matmul: Kernel = {
  name: "matmul",
  axes: [
    { role: "parallel", size: m },
    { role: "parallel", size: n },
    { role: "reduce", size: k },
  ],
  operands: [
    { dtype: "f32", length: m * k },
    { dtype: "f32", length: k * n },
  ],
  reduction: {
    op: "sum",
    body: {
      kind: "binary",
      dtype: "f32",
      op: "multiply",
      x: { kind: "load", dtype: "f32", operand: 0, at: { offset: 0, coefficients: [k, 0, 1] } },
      y: { kind: "load", dtype: "f32", operand: 1, at: { offset: 0, coefficients: [0, 1, n] } },
    },
  },
  stores: [
    {
      value: { kind: "accumulator", dtype: "f32" },
      dtype: "f32",
      length: m * n,
      at: { offset: 0, coefficients: [n, 1, 0] },
    },
  ],
  flops: 2 * m * n * k,
  bytes: 0,
};

async function product(
  relaxed: boolean,
  a: Float32Array,
  b: Float32Array,
): Promise<{ values: number[]; text: string }> {
  const device = await createWasmDevice({ threads: 1, relaxed });
  const executable = await device.compile(planOf(matmul));
  const inputs = [a, b].map((data) => {
    const buffer = device.allocate("f32", data.length);
    device.upload(buffer, data);
    return buffer;
  });
  const output = device.allocate("f32", m * n);
  await executable.run(inputs, [output]);
  const values = [...(await downloaded(device, output))];
  const text = executable.sources()[0]?.text ?? "";
  device.dispose();
  return { values, text };
}

test("relaxed adds products in one rounding, plain in two, and says so", async () => {
  const a = Float32Array.from({ length: m * k }, (_, index) => Math.sin(index));
  const b = Float32Array.from({ length: k * n }, (_, index) => Math.cos(3 * index));
  const plain = await product(false, a, b);
  const relaxed = await product(true, a, b);
  assert.match(relaxed.text, /f32x4\.relaxed_madd/);
  assert.doesNotMatch(plain.text, /relaxed/);
  assert.notDeepEqual(relaxed.values, plain.values);
  for (const { values } of [plain, relaxed]) {
    values.forEach((value, index) => {
      const [row, column] = [Math.floor(index / n), index % n];
      let [exact, magnitude] = [0, 0];
      for (let inner = 0; inner < k; inner++) {
        const term = (a[row * k + inner] ?? 0) * (b[inner * n + column] ?? 0);
        exact += term;
        magnitude += Math.abs(term);
      }
      // Sum of k rounded products in any order: Higham 2002, section 3.1.
      assert.ok(Math.abs(value - exact) <= k * 2 ** -24 * 1.01 * magnitude);
    });
  }
});
