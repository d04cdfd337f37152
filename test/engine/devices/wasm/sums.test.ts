/**
 * How accurate sums are. A float32 sum of n numbers is off by at most a number of roundings of the sum of magnitudes that doesn't grow
 * with n, whatever is fused and however the loops nest. Nearly equal numbers show it: their roundings don't cancel, and added one
 * after the other they break the bound from some hundreds on.
 */
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import fc from "fast-check";
import {
  arange,
  compile,
  concat,
  conv2d,
  createDevice,
  type Device,
  einsum,
  evaluate,
  matmul,
  pad,
  permute,
  reduceSum,
  slice,
  type Tensor,
  tensor,
  vjp,
} from "../../../../engine/index.ts";
import { roundoff } from "../../../../testing/bounds/bounds.ts";

const devices: Device[] = [];
for (const wasm of [{ threads: 1 }, { threads: 2, relaxed: false }, { threads: 3 }]) {
  devices.push(await createDevice("wasm", { wasm: { ...wasm, sharedCost: 0 } }));
}
const oracle = await createDevice("oracle");
after(() => {
  for (const device of [...devices, oracle]) device.dispose();
});

/** 31 additions in a chunk, 3 of chains, 2 of lanes, one rounding of a float64 total; with one more they bound products of errors. */
const roundings = 38;

/** Numbers between 0.09 and 0.11: `spread` different ones. */
function nearTenth(length: number, spread: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => 0.1 + (0.01 * ((Math.imul(i, 0x9e37_79b1) >>> 8) % spread)) / spread);
}

/** Results on all wasm devices, which must be the same bits, and on the oracle. */
async function results(f: (...inputs: Tensor[]) => Tensor, inputs: readonly Tensor[]) {
  const on = async (device: Device) => {
    const compiled = compile(f, { device });
    try {
      const result = await compiled(...inputs);
      return await result.data();
    } finally {
      compiled.dispose();
    }
  };
  const truth = await on(oracle);
  const [first, ...others] = await Promise.all(devices.map(on));
  assert.ok(first !== undefined);
  // Relaxed multiply-adds round otherwise, so the threads are compared among the alike.
  assert.deepEqual(others.at(-1), first, "1 thread and 3 differ");
  return { truth, found: [first, ...others] };
}

/** Asserts that results are within so many roundings of the truth, all terms being positive. */
async function requireAccurate(f: (...inputs: Tensor[]) => Tensor, inputs: readonly Tensor[], most: number) {
  const { truth, found } = await results(f, inputs);
  for (const values of found) {
    assert.equal(values.length, truth.length);
    values.forEach((value, i) => {
      const wanted = truth[i] ?? NaN;
      const bound = most * roundoff * Math.abs(wanted);
      assert.ok(Math.abs(value - wanted) <= bound, `result ${i} is ${value} and should be ${wanted} within ${bound}`);
    });
  }
}

/** What is summed: with each the roundings of a term before it is. */
const producers: Readonly<Record<string, { readonly of: (x: Tensor) => Tensor; readonly roundings: number }>> = {
  plain: { of: (x) => x, roundings: 0 },
  scaled: { of: (x) => x.multiply(0.3), roundings: 2 },
  squared: { of: (x) => x.multiply(x), roundings: 1 },
  shifted: { of: (x) => x.add(1).multiply(x.add(2)), roundings: 3 },
  bordered: {
    of: (x) =>
      pad(
        x,
        x.shape.map(() => [1, 2]),
      ),
    roundings: 0,
  },
  sliced: {
    of: (x) =>
      slice(
        x,
        x.shape.map((size) => [Math.min(1, size - 1), size]),
      ),
    roundings: 0,
  },
  turned: {
    of: (x) =>
      permute(
        x,
        x.shape.map((_, axis) => x.rank - 1 - axis),
      ),
    roundings: 0,
  },
  joined: { of: (x) => concat([x, x.multiply(0.5)], 0), roundings: 0 },
  counted: {
    of: (x) =>
      x.add(
        arange(x.size, "f32")
          .reshape(x.shape)
          .multiply(2 ** -20),
      ),
    roundings: 1,
  },
};

/** One long axis between short ones, some of them summed over. */
const cases = fc
  .record({
    shape: fc.tuple<number[]>(
      fc.constantFrom(1, 2, 5),
      fc.constantFrom(257, 700, 1031, 2100),
      fc.constantFrom(1, 3, 4, 8),
      fc.constantFrom(1, 2),
    ),
    chosen: fc.subarray([0, 1, 2, 3]),
    producer: fc.constantFrom(...Object.keys(producers)),
    spread: fc.constantFrom(1, 1, 1000),
  })
  .map(({ chosen, ...rest }) => ({ ...rest, axes: chosen.length === 0 ? [1] : chosen }));

/** A long sum over several axes, or of few results, is made in stages: for each run of axes at most two. */
function stagesOf(axes: readonly number[]): number {
  return 2 * axes.filter((axis, i) => i === 0 || axes[i - 1] !== axis - 1).length;
}

describe("sums", () => {
  it("of columns of large matrices are as near, eight rows and what is left of them at a time", async () => {
    for (const [rows, columns] of [
      [1027, 1031],
      [8201, 1030],
      [65, 16_140],
    ] as const) {
      const x = tensor(nearTenth(rows * columns, 1000), { shape: [rows, columns] });
      // Seven more for each time that eight rows are added first.
      await requireAccurate((y) => reduceSum(y.multiply(y), { axes: 0 }), [x], roundings + 1 + 2 * 7);
    }
  });

  it("are off by a few roundings, whatever their length, axes and terms", async () => {
    await fc.assert(
      fc.asyncProperty(cases, async ({ shape, axes, producer, spread }) => {
        const { of, roundings: before } = producers[producer] ?? assert.fail();
        const x = tensor(
          nearTenth(
            shape.reduce((a, b) => a * b, 1),
            spread,
          ),
          { shape },
        );
        const stages = axes.reduce((length, axis) => length * (shape[axis] ?? 0), 1) < 4000 ? 1 : stagesOf(axes);
        await requireAccurate((input) => reduceSum(of(input), { axes }), [x], roundings * stages + before);
      }),
      { numRuns: 40 },
    );
  });

  it("of 2^20 numbers are off by no more", async () => {
    for (const [shape, axes] of [
      [[2 ** 20], [0]],
      [[2 ** 17, 8], [0]],
      [[3500, 300], [0]],
      [
        [32, 16, 2048],
        [0, 2],
      ],
      [
        [32, 512, 64],
        [0, 2],
      ],
    ] as const) {
      const x = tensor(
        nearTenth(
          shape.reduce((a, b) => a * b, 1),
          1,
        ),
        { shape },
      );
      await requireAccurate((input) => reduceSum(input, { axes }), [x], roundings * stagesOf(axes));
      await requireAccurate((input) => reduceSum(input.multiply(input), { axes }), [x], roundings * stagesOf(axes) + 1);
    }
  });

  it("that cancel give 0, fused or not", async () => {
    const length = 4_096_000;
    const x = tensor(Float32Array.from({ length }, (_, i) => i - length / 2 + 0.5));
    const made = (): Tensor =>
      arange(length, "f32")
        .subtract(length / 2)
        .add(0.5);
    for (const device of devices) {
      assert.deepEqual([...(await evaluate(reduceSum(x), device))], [0]);
      assert.deepEqual([...(await evaluate(reduceSum(made()), device))], [0]);
    }
  });

  it("keep what special values give", async () => {
    const x = new Float32Array(6000).fill(1e38);
    const on = async (data: Float32Array) => {
      const sum = await evaluate(reduceSum(tensor(data, { shape: [20, 300] }), { axes: 0 }), devices[0]);
      return sum[7];
    };
    const withOne = (value: number): Float32Array => new Float32Array(6000).fill(1).fill(value, 3007, 3008);
    assert.equal(await on(x), Infinity);
    assert.equal(await on(withOne(-Infinity)), -Infinity);
    assert.ok(Number.isNaN(await on(withOne(NaN))));
  });
});

/** Products are added up in parts of 384 at most, and the parts one after the other or in float64. */
const productRoundings = (depth: number): number => 384 + 8 + Math.ceil(depth / 192);

describe("sums of products", () => {
  it("of matrices are made in parts", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(700, 1543, 4099, 20_011, 40_000),
        fc.constantFrom(1, 4, 6),
        fc.constantFrom(1, 4, 20),
        fc.boolean(),
        async (depth, rows, columns, isTurned) => {
          const x = tensor(nearTenth(rows * depth, 1), { shape: [rows, depth] });
          const y = tensor(nearTenth(columns * depth, 1), { shape: isTurned ? [columns, depth] : [depth, columns] });
          const product = (a: Tensor, b: Tensor): Tensor => (isTurned ? einsum("md,nd->mn", a, b) : matmul(a, b));
          await requireAccurate(product, [x, y], productRoundings(depth));
        },
      ),
      { numRuns: 25 },
    );
  });

  it("of filter gradients are made in parts", async () => {
    for (const [batch, extent, kernel, channels] of [
      [8, 64, 1, 16],
      [3, 57, 1, 4],
      [4, 33, 3, 4],
      [8, 32, 3, 8],
    ] as const) {
      const border = kernel - 1;
      const image = tensor(nearTenth(batch * channels * (extent + border) ** 2, 1), {
        shape: [batch, channels, extent + border, extent + border],
      });
      const filter = tensor(nearTenth(channels * channels * kernel ** 2, 1), {
        shape: [channels, channels, kernel, kernel],
      });
      const cotangent = tensor(nearTenth(batch * channels * extent ** 2, 1), {
        shape: [batch, channels, extent, extent],
      });
      const gradient = (x: Tensor, w: Tensor, g: Tensor): Tensor =>
        vjp(([weights]: readonly Tensor[]) => conv2d(x, weights as Tensor), [w]).pullback(g)[0] as Tensor;
      await requireAccurate(gradient, [image, filter, cotangent], productRoundings(batch * extent ** 2));
    }
  });
});
