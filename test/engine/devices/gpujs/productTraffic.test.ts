/** What the tiles that are chosen for the products of two networks' training steps make a GPU read. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  chooseTile,
  type Product,
  productOf,
  registerTile,
  sharedTiles,
  tiledProduct,
  trafficOf,
} from "../../../../engine/devices/gpujs/wgsl/product/index.ts";
import type { Kernel, Scalar } from "../../../../engine/kernel/kernel.ts";

type Shape = readonly [batch: number, rows: number, columns: number, depth: number];

/** Products that are nine tenths of the multiply-adds of a step: 32 images of 16x16, width 32, and 16 images of 32x32, width 64. */
const small: readonly Shape[] = [
  [1, 64, 2048, 576],
  [1, 64, 8192, 576],
  [1, 32, 8192, 288],
  [8, 64, 576, 256],
  [32, 64, 576, 256],
  [32, 32, 288, 256],
  [1, 32, 8192, 864],
  [1, 96, 8192, 288],
  [32, 32, 864, 256],
  [32, 64, 64, 64],
  [1, 64, 2048, 1152],
  [1, 32, 8192, 576],
  [1, 64, 8192, 288],
  [1, 128, 2048, 576],
  [8, 64, 1152, 256],
  [32, 32, 576, 256],
  [1, 64, 2048, 864],
  [1, 96, 2048, 576],
  [8, 64, 864, 256],
  [1, 192, 2048, 64],
  [1, 64, 2048, 192],
];
const large: readonly Shape[] = [
  [1, 128, 4096, 1152],
  [1, 128, 16384, 1152],
  [1, 64, 16384, 576],
  [8, 128, 1152, 512],
  [8, 128, 1152, 2048],
  [32, 64, 576, 512],
  [1, 128, 1024, 1152],
  [1, 128, 4096, 2304],
  [1, 64, 16384, 1152],
  [1, 128, 16384, 576],
  [1, 256, 4096, 1152],
  [4, 128, 2304, 1024],
  [16, 64, 1152, 1024],
  [4, 128, 1152, 256],
  [1, 64, 16384, 1728],
  [1, 192, 16384, 576],
  [16, 64, 1728, 1024],
  [32, 256, 256, 64],
  [32, 256, 64, 256],
  [32, 64, 256, 256],
  [1, 384, 4096, 128],
  [1, 128, 4096, 384],
  [16, 384, 128, 256],
  [1, 128, 1024, 2304],
  [1, 128, 4096, 1728],
  [1, 192, 4096, 1152],
  [1, 256, 1024, 1152],
];

function productOfShape([batch, rows, columns, depth]: Shape): Product {
  const load = (operand: number, coefficients: readonly number[]): Scalar => ({
    kind: "load",
    dtype: "f32",
    operand,
    at: { offset: 0, coefficients },
  });
  const kernel: Kernel = {
    name: "product",
    axes: [batch, rows, columns, depth].map((size, axis) => ({ role: axis === 3 ? "reduce" : "parallel", size })),
    operands: [batch * rows * depth, batch * columns * depth].map((length) => ({ dtype: "f32", length })),
    reduction: {
      op: "sum",
      body: {
        kind: "binary",
        dtype: "f32",
        op: "multiply",
        x: load(0, [rows * depth, depth, 0, 1]),
        y: load(1, [columns * depth, 0, 1, columns]),
      },
    },
    stores: [
      {
        value: { kind: "accumulator", dtype: "f32" },
        dtype: "f32",
        length: batch * rows * columns,
        at: { offset: 0, coefficients: [rows * columns, columns, 1, 0] },
      },
    ],
    flops: 0,
    bytes: 0,
  };
  const product = productOf(kernel);
  assert.ok(product !== null);
  return product;
}

describe("what tiles make a GPU read", () => {
  for (const [name, shapes, mostStored, meanStaged] of [
    ["the small network", small, 0.05, 0.34],
    ["the large network", large, 0.05, 0.26],
  ] as const) {
    it(`${name}: of memory a twentieth of a number a multiply-add, of the workgroup's 3/8`, () => {
      let [staged, work] = [0, 0];
      for (const shape of shapes) {
        const product = productOfShape(shape);
        const tile = chooseTile(product);
        assert.ok(tile !== null, shape.join());
        const traffic = trafficOf(tiledProduct(product, tile), product);
        assert.ok(traffic.stored <= mostStored, `${shape.join()}: ${traffic.stored} stored`);
        assert.ok(traffic.staged <= 0.375, `${shape.join()}: ${traffic.staged} staged`);
        assert.ok(traffic.useful >= 0.9, `${shape.join()}: ${traffic.useful} useful`);
        const size = shape.reduce((points, extent) => points * extent, 1);
        staged += size * traffic.staged;
        work += size;
      }
      assert.ok(staged / work <= meanStaged, `${staged / work} staged`);
    });
  }

  it("is counted from the tiling, with what reaches over borders", () => {
    const product = productOfShape([1, 33, 64, 100]);
    for (const tile of sharedTiles.filter(({ rows, columns }) => rows === 32 && columns === 64)) {
      const useful = (33 * 100) / (64 * 112);
      assert.deepEqual(trafficOf(tiledProduct(product, tile), product), {
        stored: 1 / 32 + 1 / 64,
        // Rows lie in fours; of columns 64 neighbours lie side by side, in fours, too.
        loads: 1 / 128 + 1 / 256,
        staged: 1 / 4 + 1 / 8,
        useful,
      });
    }
    const inRegisters = trafficOf(tiledProduct(product, registerTile), product);
    assert.deepEqual(inRegisters, { stored: 1 / 2, loads: 1 / 8, staged: 0, useful: 33 / 64 });
  });
});
