/** Adding rows by index on wasm: the bits of sums in order, whoever computes them, in time and memory linear in what there is. */
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import fc from "fast-check";
import type { Device } from "../../../../engine/devices/device.ts";
import { createWasmDevice } from "../../../../engine/devices/wasm/device.ts";
import {
  add,
  compile,
  compileStep,
  createDevice,
  createState,
  divide,
  equal,
  evaluate,
  explain,
  full,
  gather,
  grad,
  iota,
  multiply,
  permute,
  reduceSum,
  reshape,
  scalar,
  scatterAdd,
  sqrt,
  square,
  subtract,
  type Tensor,
  tensor,
  type TensorData,
  where,
  zeros,
} from "../../../../engine/index.ts";
import { randomNumbers } from "../../../../testing/laws/derivatives.ts";

const devices: Device[] = [];
for (const threads of [1, 2, 3]) devices.push(await createWasmDevice({ threads, sharedCost: 0 }));
after(() => devices.forEach((device) => device.dispose()));
const [single] = devices as [Device];
const oracle = await createDevice("oracle");

const bits = (data: TensorData): Uint32Array => new Uint32Array(data.buffer, data.byteOffset, data.length);

/** Of very different sizes, so that every order of addition has bits of its own. */
function numbers(length: number, seed: number): Float32Array {
  const [digits, sizes] = [randomNumbers(seed), randomNumbers(seed + 1)];
  return Float32Array.from({ length }, () => (digits() - 0.5) * 2 ** Math.floor(30 * sizes()));
}

const wholeNumbers = (length: number, seed: number): Float32Array => {
  const random = randomNumbers(seed);
  return Float32Array.from({ length }, () => Math.floor(19 * random()) - 9);
};

function rowsOf(count: number, rows: number, seed: number): Int32Array {
  const random = randomNumbers(seed);
  // Squared: low rows come often.
  return Int32Array.from({ length: count }, () => Math.floor(rows * random() ** 2));
}

type Sizes = { readonly outer: number; readonly taken: number; readonly inner: number; readonly rows: number };

/** Rows of one index that are added in float32 before they go to a float64 total. */
const chunkLength = 32;

/** Zeros [outer, rows, inner] to which the values [outer, taken, inner] are added one after the other, in chunks. */
function addInOrder(values: Float32Array, index: Int32Array, { outer, taken, inner, rows }: Sizes): Float32Array {
  const chunk = new Float32Array(outer * rows * inner);
  const totals = new Float64Array(chunk.length);
  const added = new Int32Array(chunk.length);
  let from = 0;
  for (let o = 0; o < outer; o++) {
    for (let k = 0; k < taken; k++) {
      const row = (o * rows + (index[k] ?? NaN)) * inner;
      for (let to = row; to < row + inner; to++) {
        if (added[to] === chunkLength) {
          totals[to] = (totals[to] ?? NaN) + (chunk[to] ?? NaN);
          chunk[to] = 0;
          added[to] = 0;
        }
        chunk[to] = (chunk[to] ?? NaN) + (values[from++] ?? NaN);
        added[to] = (added[to] ?? NaN) + 1;
      }
    }
  }
  return Float32Array.from(totals, (total, i) => total + (chunk[i] ?? NaN));
}

describe("scatterAdd on wasm", () => {
  it("is as accurate as other sums, however many rows share an index", async () => {
    const [taken, inner] = [40_000, 9];
    const values = new Float32Array(taken * inner).fill(0.1);
    // Roundings of a chunk, and of the result.
    const bound = (terms: number): number => chunkLength * 2 ** -24 * terms * 0.1;
    for (const rows of [1, 3]) {
      const index = Int32Array.from({ length: taken }, (_, k) => k % rows);
      const scattered = compile((x: Tensor, k: Tensor) => scatterAdd(x, k, rows), { device: single });
      const sums = await (await scattered(tensor(values, { shape: [taken, inner] }), tensor(index))).data();
      sums.forEach((sum, place) => {
        const terms = index.filter((row) => row === Math.floor(place / inner)).length;
        const error = Math.abs(sum - terms * Math.fround(0.1));
        assert.ok(error <= bound(terms), `${terms} terms: off by ${error}, at most ${bound(terms)}`);
      });
      scattered.dispose();
    }
  });

  it("adds each row's values in their order, to the bit, with any number of threads and along any axis", async () => {
    const sizes = fc.record({
      outer: fc.constantFrom(1, 1, 1, 2, 3),
      taken: fc.constantFrom(0, 1, 2, 3, 16, 17, 100, 300),
      inner: fc.constantFrom(1, 2, 3, 4, 7, 16, 20, 33, 64, 65),
      rows: fc.constantFrom(1, 2, 5, 15, 16, 17, 33, 100, 1000),
    });
    await fc.assert(
      fc.asyncProperty(fc.noBias(sizes), fc.nat(1000), async (sizes, seed) => {
        const { outer, taken, inner, rows } = sizes;
        const values = numbers(outer * taken * inner, seed);
        const index = rowsOf(taken, rows, seed);
        const expected = addInOrder(values, index, sizes);
        for (const device of devices) {
          const scattered = compile((x: Tensor, k: Tensor) => scatterAdd(x, k, rows, 1), { device });
          const result = await scattered(tensor(values, { shape: [outer, taken, inner] }), tensor(index));
          assert.deepEqual(bits(await result.data()), bits(expected));
          scattered.dispose();
        }
      }),
      { numRuns: 40 },
    );
  });

  it("is linear where values are views, rows are cut in two, an update follows, or where it is written out", async () => {
    const table = tensor(wholeNumbers(40 * 12, 1), { shape: [40, 12] });
    const index = tensor(rowsOf(30, 40, 2));
    const values = tensor(wholeNumbers(30 * 12, 3), { shape: [30, 12] });
    const turned = tensor(wholeNumbers(5 * 12 * 6, 4), { shape: [5, 12, 6] });
    const labels = tensor(rowsOf(30, 12, 5));
    const forms: readonly (readonly [string, string, (v: Tensor, t: Tensor, i: Tensor) => Tensor])[] = [
      ["plain", "scatter-simd", (v, _, i) => scatterAdd(v, i, 40)],
      ["the last axis", "scatter", (v, _, i) => scatterAdd(permute(v, [1, 0]), i, 40, 1)],
      // Which rows these are is told by two axes.
      ["two axes of values", "scatter-simd", (_, t, i) => scatterAdd(permute(t, [0, 2, 1]), reshape(i, [5, 6]), 40)],
      ["two axes of rows", "scatter-simd", (v, _, i) => add(cutRows(scatterAdd(v, i, 40)), swapped(table))],
      ["an update", "scatter-simd", (v, _, i) => subtract(table, multiply(scatterAdd(v, i, 40), 0.5))],
      ["one number", "scatter-simd", (_v, _t, i) => scatterAdd(full([30, 12], 3), i, 40)],
      ["one row", "scatter-simd", (v) => scatterAdd(v, full([30], 7, "i32"), 40)],
      ["sums of selected values", "scatter-simd", (v, _, i) => selectedSum(v, i)],
    ];
    for (const [what, schedule, fn] of forms) {
      const compiled = compile(fn, { device: single });
      const { kernels } = await explain(compiled, [values, turned, index]);
      const schedules = kernels.map(({ sources }) => /;; schedule: (\S*)/.exec(sources[0]?.text ?? "")?.[1]);
      assert.ok(schedules.includes(schedule), `${what}: ${schedules.join(", ")}`);
      const result = await (await compiled(values, turned, index)).data();
      const expected = await evaluate(fn(values, turned, index), oracle);
      assert.deepEqual(
        Array.from(result, (x) => x + 0),
        Array.from(expected, (x) => x + 0),
        what,
      );
      compiled.dispose();
    }
    // Rows of values that each result looks at for itself: nothing is added by index here.
    const chosen = compile(
      (v: Tensor, i: Tensor) =>
        reduceSum(where(equal(reshape(i, [30, 1]), iota([30, 12], 1, "i32")), v, 0), { axes: 1 }),
      { device: single },
    );
    const { kernels } = await explain(chosen, [values, labels]);
    assert.ok(!kernels.some(({ sources }) => sources[0]?.text.includes("schedule: scatter")));
    chosen.dispose();

    function cutRows(x: Tensor): Tensor {
      return reshape(x, [5, 8, 12]);
    }
    function swapped(x: Tensor): Tensor {
      return permute(reshape(x, [8, 5, 12]), [1, 0, 2]);
    }
    function selectedSum(v: Tensor, i: Tensor): Tensor {
      const shape = [30, 40, 12];
      const isRow = equal(reshape(i, [30, 1, 1]), iota(shape, 1, "i32"));
      return reduceSum(where(isRow, multiply(reshape(v, [30, 1, 12]), reshape(table, [1, 40, 12])), 0), { axes: 0 });
    }
  });

  it("lets an infinite or NaN cotangent touch the row that was taken alone", async () => {
    const index = tensor(Int32Array.of(3, 0, 3, 1, 4));
    const cotangent = Float32Array.of(1, 2, NaN, 4, 5, 6, 7, Infinity, -Infinity, 10);
    const gradient = grad((x: Tensor, g: Tensor) => reduceSum(multiply(gather(x, index), g)));
    for (const device of devices) {
      const compiled = compile(gradient, { device });
      const result = await compiled(
        tensor(new Float32Array(12), { shape: [6, 2] }),
        tensor(cotangent, { shape: [5, 2] }),
      );
      assert.deepEqual([...(await result.data())], [NaN, 4, 7, Infinity, 0, 0, 6, 8, -Infinity, 10, 0, 0]);
      compiled.dispose();
    }
  });

  it("meets the other threads between one that writes and one that reads, chains included", async () => {
    const rows = 3000;
    const first = rowsOf(4000, rows, 6);
    const second = rowsOf(rows, 500, 7);
    const values = numbers(4000 * 8, 8);
    const once = addInOrder(values, first, { outer: 1, taken: 4000, inner: 8, rows });
    const twice = addInOrder(once, second, { outer: 1, taken: rows, inner: 8, rows: 500 });
    for (const device of devices) {
      const program = compile(
        (x: Tensor, i: Tensor, j: Tensor) => {
          const sums = scatterAdd(x, i, rows);
          return [sums, scatterAdd(sums, j, 500)] as const;
        },
        { device },
      );
      for (let run = 0; run < 5; run++) {
        const results = await program(tensor(values, { shape: [4000, 8] }), tensor(first), tensor(second));
        assert.deepEqual(bits(await results[0].data()), bits(once));
        assert.deepEqual(bits(await results[1].data()), bits(twice));
      }
      program.dispose();
    }
  });
});

describe("the gradient of a large table", () => {
  const sizes = { outer: 1, taken: 4096, inner: 64, rows: 50_000 };
  const index = rowsOf(sizes.taken, sizes.rows, 9);
  const cotangent = numbers(sizes.taken * sizes.inner, 10);
  const expected = addInOrder(cotangent, index, sizes);
  const shape = [sizes.rows, sizes.inner];
  const [given, places] = [tensor(cotangent, { shape: [sizes.taken, sizes.inner] }), tensor(index)];
  const table = tensor(new Float32Array(sizes.rows * sizes.inner).fill(1), { shape });
  const mebibytes = (bytes: number): number => bytes / 2 ** 20;
  const loss = (x: Tensor, g: Tensor, i: Tensor): Tensor => reduceSum(multiply(gather(x, i), g));
  const gradient = grad(loss);

  it("is the sum in order, and takes 32 MiB beyond arguments and result at most", async () => {
    const device = devices[1] as Device;
    const before = device.memory().bytes;
    const compiled = compile(gradient, { device });
    const result = await compiled(table, given, places);
    assert.deepEqual(bits(await result.data()), bits(expected));
    const own = 4 * (2 * table.size + given.size + places.size);
    const beyond = mebibytes(device.memory().bytes - before - own);
    assert.ok(beyond < 32, `${beyond} MiB`);
    compiled.dispose();
  });

  it("goes on into an update of a state, within as much beyond the state", async () => {
    const rate = 0.5;
    const steps: readonly (readonly [string, (old: Leaves, g: Tensor, i: Tensor) => Leaves, Expected])[] = [
      [
        "gradient descent",
        (old, g, i) => ({ ...old, table: subtract(old.table, multiply(gradient(old.table, g, i), rate)) }),
        { leaf: "table", after: (g) => 1 - rate * g },
      ],
      [
        "Adam",
        (old, g, i) => {
          const slope = gradient(old.table, g, i);
          const first = add(multiply(old.first, 0.5), multiply(slope, 0.25));
          const second = add(multiply(old.second, 0.9), multiply(square(slope), 0.1));
          return { table: subtract(old.table, divide(first, add(sqrt(second), 1e-8))), first, second };
        },
        { leaf: "first", after: (g) => 0.25 * g },
      ],
    ];
    for (const device of devices.slice(0, 2)) {
      for (const [what, update, { leaf, after }] of steps) {
        const before = device.memory().bytes;
        const state = await createState<Leaves>({ table, first: zeros(shape), second: zeros(shape) }, device);
        const step = compileStep(
          (old: Leaves, g: Tensor, i: Tensor) => ({ state: update(old, g, i), result: scalar(0) }),
          { device },
        );
        await step(state, given, places);
        const own = 4 * (3 * table.size + given.size + places.size);
        const beyond = mebibytes(device.memory().bytes - before - own);
        assert.ok(beyond < 32, `${what}: ${beyond} MiB`);
        const { [leaf]: updated } = await state.read();
        assert.deepEqual(bits(await updated.data()), bits(expected.map(after)), what);
        step.dispose();
        state.dispose();
      }
    }
  });
});

type Leaves = { readonly table: Tensor; readonly first: Tensor; readonly second: Tensor };
type Expected = { readonly leaf: keyof Leaves; readonly after: (gradient: number) => number };
