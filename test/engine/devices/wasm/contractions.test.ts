/** Convolutions and matrix products that wasm computes by algorithms of their own, over whole numbers: exact in any order. */
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import fc from "fast-check";
import type { KernelDevice } from "../../../../engine/devices/device.ts";
import { panelsOf, tileRowsOf } from "../../../../engine/devices/wasm/algorithms/product/plan.ts";
import { methodsOf } from "../../../../engine/devices/wasm/algorithms/index.ts";
import { createWasmDevice } from "../../../../engine/devices/wasm/device.ts";
import { at } from "../../../../engine/graph/shape.ts";
import type { Axis, Kernel, Scalar } from "../../../../engine/kernel/kernel.ts";
import { normalizeKernel } from "../../../../engine/kernel/normalize.ts";
import { checkTiling } from "../../../../engine/kernel/tiling.ts";
import { randomNumbers } from "../../../../testing/laws/derivatives.ts";
import { interpretExact } from "./exactKernels.ts";
import { runKernel } from "./runKernel.ts";

const devices = new Map<string, KernelDevice>();
for (const threads of [1, 2, 3]) {
  for (const relaxed of [false, true]) {
    devices.set(`${threads} ${relaxed}`, await createWasmDevice({ threads, relaxed, sharedCost: 0 }));
  }
}
after(() => devices.forEach((device) => device.dispose()));

const load = (operand: number, coefficients: readonly number[], offset = 0): Scalar => ({
  kind: "load",
  dtype: "f32",
  operand,
  at: { offset, coefficients },
});
const binary = (op: "add" | "multiply", x: Scalar, y: Scalar): Scalar => ({ kind: "binary", dtype: "f32", op, x, y });
const accumulator: Scalar = { kind: "accumulator", dtype: "f32" };

/** Sums the product of two loads; what is stored of it may read a third operand as long as the result. */
function product(
  parallel: readonly number[],
  reduce: readonly number[],
  x: Scalar,
  y: Scalar,
  lengths: readonly number[],
  isFinished: boolean,
): Kernel {
  const strides = parallel.map((_, axis) => parallel.slice(axis + 1).reduce((size, extent) => size * extent, 1));
  const length = parallel.reduce((size, extent) => size * extent, 1);
  const own = [...strides, ...reduce.map(() => 0)];
  const axis =
    (role: Axis["role"]) =>
    (size: number): Axis => ({ role, size });
  const value = isFinished
    ? binary("add", binary("multiply", accumulator, load(2, own)), binary("add", load(2, own), accumulator))
    : accumulator;
  return {
    name: "product",
    axes: [...parallel.map(axis("parallel")), ...reduce.map(axis("reduce"))],
    operands: [...lengths, length].map((size) => ({ dtype: "f32", length: size })),
    reduction: { op: "sum", body: binary("multiply", x, y) },
    stores: [{ value, dtype: "f32", length, at: { offset: 0, coefficients: own } }],
    flops: 0,
    bytes: 0,
  };
}

const small = (length: number, seed: number): Float32Array =>
  Float32Array.from({ length }, (_, index) => ((index * 7 + seed * 3 + ((index * index) % 13)) % 7) - 3);

/** Checks the results; gives the method that was chosen. */
async function checkedMethod(kernel: Kernel, threads: number, relaxed: boolean): Promise<string> {
  const data = kernel.operands.map(({ length }, index) => small(length, index));
  const device = devices.get(`${threads} ${relaxed}`);
  assert.ok(device !== undefined);
  const { result, schedule } = await runKernel(device, kernel, data);
  for (const { tiled } of methodsOf(normalizeKernel(kernel))) checkTiling(tiled.kernel, tiled.tiling);
  const exact = interpretExact(kernel, data);
  if (schedule.startsWith("winograd")) {
    // Its fractions are rounded, so that what should be whole numbers is only near to them. A wrong term is away by one at least.
    assert.deepEqual(
      Array.from(result, (value) => Math.round(value) + 0),
      exact,
    );
    const furthest = Math.max(...Array.from(result, (value) => Math.abs(value - Math.round(value))));
    // Roundings add up like steps of chance: with the root of how many numbers are summed.
    const summed = kernel.axes.reduce((points, { role, size }) => (role === "reduce" ? points * size : points), 1);
    const bound = 0.01 * Math.sqrt(Math.max(1, summed / (9 * 64)));
    assert.ok(furthest < bound, `${furthest} from a whole number, with ${summed} summed`);
  } else assert.deepEqual([...result], exact);
  return schedule;
}

const range = (min: number, max: number): fc.Arbitrary<number> => fc.integer({ min, max });
const crew = [range(1, 3), fc.boolean(), fc.boolean()] as const;

/** Heights and widths: of whole tiles of 4x4, or with some that reach beyond the image. */
const images = fc.tuple(range(4, 18), range(4, 18));

/** A convolution of images that carry their border, with filters as they are or turned. */
function forward(
  [n, c, o, h, w]: readonly [number, number, number, number, number],
  turned: boolean,
  isFinished: boolean,
): Kernel {
  const [row, plane] = [w + 2, (w + 2) * (h + 2)];
  const image = load(0, [c * plane, 0, row, 1, plane, row, 1]);
  const filter = turned ? load(1, [0, 9, 0, 0, 9 * o, -3, -1], 8) : load(1, [0, 9 * c, 0, 0, 9, 3, 1]);
  return product([n, o, h, w], [c, 3, 3], image, filter, [n * c * plane, 9 * o * c], isFinished);
}

function filterGradient(
  [n, c, o, h, w]: readonly [number, number, number, number, number],
  isFinished: boolean,
): Kernel {
  const [row, plane] = [w + 2, (w + 2) * (h + 2)];
  const image = load(0, [0, plane, row, 1, c * plane, row, 1]);
  const cotangent = load(1, [h * w, 0, 0, 0, o * h * w, w, 1]);
  return product([o, c, 3, 3], [n, h, w], cotangent, image, [n * c * plane, n * o * h * w], isFinished);
}

describe("algorithms of the wasm device", () => {
  it("Winograd's gives forward convolutions, with filters as they are and turned", async () => {
    const sizes = [range(1, 8), range(8, 17), range(8, 17), images] as const;
    await fc.assert(
      fc.asyncProperty(
        ...sizes,
        fc.boolean(),
        ...crew,
        async (n, c, o, [h, w], turned, threads, relaxed, isFinished) => {
          const kernel = forward([n, c, o, h, w], turned, isFinished);
          assert.equal(await checkedMethod(kernel, threads, relaxed), "winograd forward");
        },
      ),
      { numRuns: 20 },
    );
  });

  it("Winograd's gives forward convolutions of many channels and few, of few tiles and of images in several blocks", async () => {
    for (const [sizes, threads] of [
      [[2, 400, 9, 4, 5], 2],
      [[2, 1024, 64, 4, 3], 3],
      [[1, 9, 10, 47, 50], 2],
      [[3, 8, 12, 30, 33], 2],
      [[3, 4, 11, 14, 13], 2],
      [[3, 11, 5, 14, 13], 2],
    ] as const) {
      for (const isFinished of [false, true]) {
        const kernel = forward(sizes, false, isFinished);
        assert.equal(await checkedMethod(kernel, threads, true), "winograd forward");
      }
    }
  });

  it("Winograd's gives convolutions whose axes stand in another order", async () => {
    const sizes = [range(1, 6), range(8, 10), range(8, 10), images, fc.boolean(), range(0, 2), ...crew] as const;
    await fc.assert(
      fc.asyncProperty(...sizes, async (n, c, o, [h, w], turned, order, threads, relaxed, isFinished) => {
        const [row, plane] = [w + 2, (w + 2) * (h + 2)];
        // Of rows of all outputs, of outputs of all images, of rows of all images; taps are kx, c, ky or ky, kx, c.
        const orders = [
          { parallel: [n, h, o, w], steps: [c * plane, row, 0, 1], filters: [0, 0, 9 * c, 0] },
          { parallel: [o, n, h, w], steps: [0, c * plane, row, 1], filters: [9 * c, 0, 0, 0] },
          { parallel: [h, n, o, w], steps: [row, c * plane, 0, 1], filters: [0, 0, 9 * c, 0] },
        ];
        const { parallel, steps, filters } = at(orders, order);
        const image = load(0, [...steps, ...(turned ? [1, plane, row] : [row, 1, plane])]);
        const filter = load(1, [...filters, ...(turned ? [1, 9, 3] : [3, 1, 9])]);
        const reduce = turned ? [3, c, 3] : [3, 3, c];
        const kernel = product(parallel, reduce, image, filter, [n * c * plane, 9 * o * c], isFinished);
        assert.equal(await checkedMethod(kernel, threads, relaxed), "winograd forward");
      }),
      { numRuns: 16 },
    );
  });

  it("Winograd's gives filter gradients", async () => {
    const sizes = [range(1, 9), range(8, 17), range(8, 17), images] as const;
    await fc.assert(
      fc.asyncProperty(...sizes, ...crew, async (n, c, o, [h, w], threads, relaxed, isFinished) => {
        const kernel = filterGradient([n, c, o, h, w], isFinished);
        assert.equal(await checkedMethod(kernel, threads, relaxed), "winograd filterGradient");
      }),
      { numRuns: 20 },
    );
  });

  it("Winograd's gives filter gradients of many tiles, chunk by chunk, and of few channels", async () => {
    for (const [sizes, threads] of [
      [[2, 8, 9, 61, 64], 2],
      [[4, 8, 35, 18, 20], 3],
      [[2, 4, 9, 14, 13], 2],
      [[2, 9, 5, 14, 13], 2],
    ] as const) {
      for (const isFinished of [false, true]) {
        const kernel = filterGradient(sizes, isFinished);
        assert.equal(await checkedMethod(kernel, threads, true), "winograd filterGradient");
      }
    }
  });

  it("Winograd's gives the same bits with any number of threads", async () => {
    const uniform = randomNumbers(11);
    const kernels = [
      forward([5, 9, 10, 7, 9], false, true),
      forward([1, 12, 20, 30, 30], false, true),
      filterGradient([5, 9, 10, 7, 9], true),
      filterGradient([4, 8, 35, 18, 20], true),
    ];
    for (const kernel of kernels) {
      const data = kernel.operands.map(({ length }) => Float32Array.from({ length }, () => uniform() - 0.5));
      const results = [];
      for (const threads of [1, 2, 3]) {
        const device = devices.get(`${threads} true`);
        assert.ok(device !== undefined);
        results.push((await runKernel(device, kernel, data)).result);
      }
      const [first, ...others] = results;
      for (const other of others) assert.deepEqual(other, first);
    }
  });

  it("Winograd's rounds little more than direct sums do", async () => {
    const [n, c, o, size] = [4, 64, 8, 16];
    const [row, plane] = [size + 2, (size + 2) ** 2];
    const kernel = forward([n, c, o, size, size], false, false);
    const uniform = randomNumbers(7);
    const [pixels, weights] = [n * c * plane, 9 * o * c].map((length) =>
      Float32Array.from({ length }, () => uniform() - 0.5),
    ) as [Float32Array, Float32Array];
    const device = devices.get("1 false");
    assert.ok(device !== undefined);
    const { result, schedule } = await runKernel(device, kernel, [
      pixels,
      weights,
      new Float32Array(kernel.stores[0].length),
    ]);
    assert.equal(schedule, "winograd forward");
    let [errors, squares] = [0, 0];
    result.forEach((value, index) => {
      const [x, y] = [index % size, Math.floor(index / size) % size];
      const [outputs, images] = [Math.floor(index / size ** 2) % o, Math.floor(index / size ** 2 / o)];
      let exact = 0;
      for (let i = 0; i < 9 * c; i++) {
        const [channel, ky, kx] = [Math.floor(i / 9), Math.floor(i / 3) % 3, i % 3];
        const pixel = pixels[images * c * plane + channel * plane + (y + ky) * row + x + kx] ?? NaN;
        exact += pixel * (weights[9 * c * outputs + i] ?? NaN);
      }
      errors += (value - exact) ** 2;
      squares += exact ** 2;
    });
    // 0.8e-6 with the points 5/8 and 3/2, 1.7e-6 with 1 and 2, 0.4e-6 for direct sums.
    const error = Math.sqrt(errors / squares);
    assert.ok(error < 1.2e-6, `relative error ${error}`);
  });

  it("products are packed whichever way their operands lie", async () => {
    const sizes = [range(1, 9), range(4, 21), range(4, 12), range(16, 50), range(1, 3)] as const;
    let packed = 0;
    await fc.assert(
      fc.asyncProperty(
        ...sizes,
        fc.boolean(),
        fc.boolean(),
        fc.constantFrom("none", "left", "right"),
        ...crew,
        async (batch, rows, quarter, inner, outer, leftTurned, rightTurned, repeated, threads, relaxed, isFinished) => {
          const [columns, depth] = [4 * quarter, inner * outer];
          // The depth is two axes that don't join in the left operand unless `outer` is 1.
          const gap = depth + 3;
          const left = leftTurned
            ? load(0, [rows * gap, 1, 0, repeated === "left" ? 0 : rows * (inner + 1), rows])
            : load(0, [rows * gap, gap, 0, repeated === "left" ? 0 : inner + 1, 1]);
          const right = rightTurned
            ? load(1, [columns * depth, 0, depth, repeated === "right" ? 0 : inner, 1])
            : load(1, [columns * depth, 0, 1, repeated === "right" ? 0 : columns * inner, columns]);
          const lengths = [batch * rows * gap, batch * columns * depth];
          const kernel = product([batch, rows, columns], [outer, inner], left, right, lengths, isFinished);
          if ((await checkedMethod(kernel, threads, relaxed)) === "packed product") packed++;
        },
      ),
      { numRuns: 50 },
    );
    // Few rows are not worth it.
    assert.ok(packed >= 25, `${packed} of 50 products were packed`);
  });

  it("panels hold all columns, and none is one vector wide if it isn't alone", () => {
    for (let vectors = 1; vectors < 50; vectors++) {
      const { whole, last } = panelsOf(vectors);
      assert.equal(3 * whole + last, vectors);
      assert.ok(last !== 1 || vectors === 1);
      assert.ok(last <= 4 && tileRowsOf(last) * last <= 9);
    }
  });

  it("rows whose numbers are neighbours are packed sixteen or four at a time, whatever their depth", async () => {
    for (const depth of [16, 17, 390, 1543]) {
      for (const rows of [20, 21, 48]) {
        const [left, right] = [load(0, [1, 0, rows]), load(1, [0, 1, 20])];
        const kernel = product([rows, 20], [depth], left, right, [rows * depth, 20 * depth], true);
        assert.equal(await checkedMethod(kernel, 3, false), "packed product");
      }
    }
  });

  it("rows of many products are packed by who has the product, and before them all if all have the same", async () => {
    const phasesOf = (kernel: Kernel): number =>
      methodsOf(normalizeKernel(kernel)).find(({ name }) => name === "packed product")?.phases.length ?? 0;
    for (const [rows, depth] of [
      [32, 24],
      [20, 390],
      [21, 17],
    ] as const) {
      for (const isShared of [false, true]) {
        for (const heads of [1, 3]) {
          // Of each of nine images some heads, which share their columns.
          const matrix = rows * depth;
          const left = load(0, [isShared ? 0 : heads * matrix, matrix, 1, 0, rows]);
          const right = load(1, [20 * depth, 0, 0, 1, 20]);
          const lengths = [(isShared ? 1 : 9) * heads * matrix, 9 * 20 * depth];
          const kernel = product([9, heads, rows, 20], [depth], left, right, lengths, true);
          assert.equal(phasesOf(kernel), isShared ? 2 : 1);
          for (const threads of [1, 3]) assert.equal(await checkedMethod(kernel, threads, false), "packed product");
        }
      }
    }
  });

  it("long sums are made in parts that add up", async () => {
    for (const depth of [384, 768, 1000, 1543]) {
      const kernel = product(
        [6, 20],
        [depth],
        load(0, [depth, 0, 1]),
        load(1, [0, 1, 20]),
        [6 * depth, 20 * depth],
        true,
      );
      assert.equal(await checkedMethod(kernel, 2, false), "packed product");
    }
  });
});
