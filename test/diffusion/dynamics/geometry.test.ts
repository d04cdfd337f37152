import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { angleBetween, cosine, spectralNorm } from "../../../diffusion/dynamics/geometry.ts";
import { symmetricEigenvalues } from "../../../diffusion/metrics/symmetricEigen.ts";
import { tensor } from "../../../engine/index.ts";
import { drawNumbers } from "../../nn/layerLaw.ts";
import { onOracle } from "../../nn/onOracle.ts";

const seeds = fc.integer({ min: 0, max: 2 ** 31 - 1 });
const sizes = fc.integer({ min: 2, max: 20 });

test("angles between vectors are what was turned, down to a millionth", async () => {
  await fc.assert(
    fc.asyncProperty(seeds, sizes, fc.double({ min: -6, max: 0.49, noNaN: true }), async (seed, size, decades) => {
      const angle = 10 ** decades;
      const [a, drawn] = [drawNumbers(seed, size), drawNumbers(seed + 1, size)];
      const squares = a.reduce((sum, x) => sum + x * x, 0);
      const along = a.reduce((sum, x, i) => sum + x * (drawn[i] ?? NaN), 0) / squares;
      const across = drawn.map((x, i) => x - along * (a[i] ?? NaN));
      const scale = Math.sqrt(squares) / Math.hypot(...across);
      const b = a.map((x, i) => 3 * (Math.cos(angle) * x + Math.sin(angle) * scale * (across[i] ?? NaN)));
      const [found] = await onOracle(angleBetween(tensor(a), tensor(b)));
      // Vectors are given in float32: each number is off by 2^-24 of itself, and the asin is steep at its end.
      assert.ok(Math.abs((found ?? NaN) - angle) < 3e-7 + 1e-5 * (angle > 3 ? 100 : angle), `${found} of ${angle}`);
      const [cosineFound] = await onOracle(cosine(tensor(a), tensor(b)));
      assert.ok(Math.abs((cosineFound ?? NaN) - Math.cos(angle)) < 1e-6);
    }),
  );
  const [none] = await onOracle(cosine(tensor([0, 0]), tensor([1, 2])));
  assert.equal(none, 0);
});

test("the spectral norm is never above the largest singular value, and rarely far below", async () => {
  await fc.assert(
    fc.asyncProperty(seeds, sizes, sizes, async (seed, rows, columns) => {
      const x = drawNumbers(seed, rows * columns);
      const gram = Array.from({ length: rows }, (_, i) =>
        Array.from({ length: rows }, (_, j) => {
          let sum = 0;
          for (let k = 0; k < columns; k++) sum += (x[i * columns + k] ?? NaN) * (x[j * columns + k] ?? NaN);
          return sum;
        }),
      );
      const largest = Math.sqrt(symmetricEigenvalues(Float64Array.from(gram.flat()), rows).at(-1) ?? NaN);
      const [found = NaN] = await onOracle(spectralNorm(tensor(x, { shape: [rows, columns] })));
      assert.ok(found <= largest * (1 + 1e-6), `${found} of ${largest}`);
      // Of 20,000 drawn matrices the least was 0.778: where the start is nearly at right angles to the first vector.
      assert.ok(found >= 0.7 * largest, `${found} of ${largest}`);
    }),
    { seed: 1, numRuns: 200 },
  );
});
