import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { addProduct, type Block } from "../../../diffusion/metrics/matrixProduct.ts";

const size = fc.integer({ min: 0, max: 20 });
/** Across the tile of depth, now and then. */
const depths = fc.oneof(size, fc.integer({ min: 250, max: 530 }));

/** Whole numbers within a larger matrix, so that sums are exact; what surrounds the block is 1000. */
function block(rows: number, columns: number, offset: number, margin: number, seed: number): Block {
  const stride = columns + margin;
  const data = new Float64Array(offset + rows * stride + 3).fill(1000);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) data[offset + i * stride + j] = ((7 * i + 5 * j + i * j + seed) % 13) - 6;
  }
  return { data, offset, stride, rows };
}

const at = ({ data, offset, stride }: Block, i: number, j: number): number => data[offset + i * stride + j] ?? NaN;

describe("addProduct", () => {
  it("adds the products of rows, in blocks of any size, and nothing else", () => {
    fc.assert(
      fc.property(size, size, depths, size, fc.integer({ min: 0, max: 3 }), (rows, columns, depth, offset, margin) => {
        const a = block(rows, depth, offset, margin, 1);
        const b = block(columns, depth, 1, 2, 2);
        const c = block(rows, columns, 2, margin, 3);
        const before = { ...c, data: c.data.slice() };
        addProduct(c, a, b, depth, -2, "all");
        for (let i = 0; i < rows; i++) {
          for (let j = 0; j < columns; j++) {
            let sum = 0;
            for (let k = 0; k < depth; k++) sum += at(a, i, k) * at(b, j, k);
            assert.equal(at(c, i, j), at(before, i, j) - 2 * sum, `[${i}, ${j}]`);
            c.data[c.offset + i * c.stride + j] = at(before, i, j);
          }
        }
        assert.deepEqual(c.data, before.data, "surroundings");
      }),
      { seed: 3 },
    );
  });

  it("gives the same lower triangle when only that is asked for", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 140 }), size, (rows, depth) => {
        const [a, b] = [block(rows, depth, 0, 0, 1), block(rows, depth, 0, 1, 2)];
        const [whole, lower] = [block(rows, rows, 0, 0, 3), block(rows, rows, 0, 0, 3)];
        addProduct(whole, a, b, depth, 1, "all");
        addProduct(lower, a, b, depth, 1, "lower");
        for (let i = 0; i < rows; i++) {
          for (let j = 0; j <= i; j++) assert.equal(at(lower, i, j), at(whole, i, j), `[${i}, ${j}] of ${rows}`);
        }
      }),
      { seed: 4, numRuns: 60 },
    );
  });
});
