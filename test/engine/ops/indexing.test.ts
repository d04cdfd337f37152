/** Elements taken and put by indices, against loops over places, on every kind of device. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { createWasmDevice } from "../../../engine/devices/wasm/device.ts";
import type { DType } from "../../../engine/graph/dtype.ts";
import * as ops from "../../../engine/index.ts";
import type { ScatterMode, Tensor } from "../../../engine/index.ts";
import { arraysOf } from "../../../testing/arbitraries/arrays.ts";
import { assertOnDevices, failsOnDevices } from "../../support/onDevices.ts";
import { build, pick, pickBroadcast, type Plain, places, refuses, toTensor } from "../../support/plain.ts";

const numRuns = 12;
const sizes = fc.integer({ min: 1, max: 4 });
const shapes = (minLength: number, maxLength: number): fc.Arbitrary<number[]> =>
  fc.array(sizes, { minLength, maxLength });
const below = (size: number): fc.Arbitrary<number> => fc.integer({ min: 0, max: size - 1 });
const special = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: -4, max: 4 }) },
  { weight: 1, arbitrary: fc.constantFrom(NaN, Infinity, -Infinity) },
);
const valuesOf: { readonly [D in DType]: fc.Arbitrary<number> } = {
  f32: special,
  i32: fc.oneof(fc.integer({ min: -4, max: 4 }), fc.constantFrom(2 ** 31 - 1, -(2 ** 31))),
  u32: fc.oneof(fc.integer({ min: 0, max: 4 }), fc.constant(2 ** 32 - 1)),
  bool: fc.nat(1),
};
const dtypes = fc.constantFrom<DType>("f32", "i32", "u32", "bool");

/** x, an axis, and an index along it whose other sizes are those of x or 1. */
const alongCases = fc
  .record({ shape: shapes(1, 3), choice: fc.nat(2), dtype: dtypes, count: fc.integer({ min: 1, max: 12 }) })
  .chain(({ shape, choice, dtype, count }) => {
    const axis = choice % shape.length;
    const ones = fc.array(fc.boolean(), { minLength: shape.length, maxLength: shape.length });
    return ones.chain((isOne) => {
      const indexShape = shape.map((size, i) => (i === axis ? count : isOne[i] === true ? 1 : size));
      const valuesShape = shape.with(axis, count);
      return fc.record({
        axis: fc.constant(axis),
        dtype: fc.constant(dtype),
        x: arraysOf(shape, valuesOf[dtype]),
        index: arraysOf(indexShape, below(shape[axis] ?? 1)),
        values: arraysOf(valuesShape, valuesOf[dtype]),
      });
    });
  });

const wrapped = (value: number, dtype: DType): number =>
  dtype === "i32" ? value | 0 : dtype === "u32" ? value >>> 0 : value;

function combine(mode: ScatterMode, before: number, value: number, dtype: DType): number {
  switch (mode) {
    case "set":
      return value;
    case "add":
      return wrapped(before + value, dtype);
    case "multiply":
      return dtype === "f32" ? before * value : wrapped(Math.imul(before, value), dtype);
    case "max":
      return Math.max(before, value);
    case "min":
      return Math.min(before, value);
  }
}

const modes = fc.constantFrom<ScatterMode>("set", "add", "multiply", "max", "min");
const modeFor = (mode: ScatterMode, dtype: DType): ScatterMode => (dtype === "bool" ? "set" : mode);

describe("takeAlongAxis", () => {
  it("takes by an index of the same rank, whose sizes broadcast", async () => {
    await fc.assert(
      fc.asyncProperty(alongCases, async ({ x, index, axis, dtype }) => {
        const shape = x.shape.with(axis, index.shape[axis] ?? 0);
        const expected = build(shape, (place) => pick(x, place.with(axis, pickBroadcast(index, place))));
        const taken = ops.takeAlongAxis(toTensor(x, dtype), toTensor(index, "i32"), axis - x.shape.length);
        await assertOnDevices(ops.broadcastTo(taken, shape), expected);
      }),
      { numRuns },
    );
  });

  it("broadcasts x, too", async () => {
    const x: Plain = { shape: [1, 3], values: [5, 6, 7] };
    const index: Plain = { shape: [2, 1], values: [2, 0] };
    await assertOnDevices(ops.takeAlongAxis(toTensor(x), toTensor(index, "i32")), { shape: [2, 1], values: [7, 5] });
  });

  it("refuses what doesn't fit, and indices out of range when it runs", async () => {
    const x = ops.zeros([2, 3]);
    refuses(() => ops.takeAlongAxis(x, ops.zeros([2, 1])), "dtype", /^takeAlongAxis: index has dtype f32/);
    refuses(() => ops.takeAlongAxis(x, ops.zeros([3, 1], "i32")), "shape", /^takeAlongAxis: index \[3, 1\]/);
    refuses(() => ops.takeAlongAxis(x, ops.zeros([2], "i32")), "shape", /^takeAlongAxis: index \[2\]/);
    refuses(() => ops.takeAlongAxis(ops.zeros([2, 0]), ops.zeros([2, 1], "i32")), "range", /is empty, nothing to take/);
    const message = /^takeAlongAxis: an index is out of range for axis 1 of \[2, 3\] \(0 to 2\)/;
    for (const wrong of [3, -1]) await failsOnDevices(ops.takeAlongAxis(x, ops.full([2, 1], wrong, "i32")), message);
  });
});

describe("scatterAlongAxis", () => {
  it("combines x with the values of each index, in their order", async () => {
    await fc.assert(
      fc.asyncProperty(alongCases, modes, async ({ x, index, values, axis, dtype }, given) => {
        const mode = modeFor(given, dtype);
        const expected = [...x.values];
        const strides = x.shape.map((_, i) => x.shape.slice(i + 1).reduce((a, b) => a * b, 1));
        for (const place of places(values.shape)) {
          const to = place
            .with(axis, pickBroadcast(index, place))
            .reduce((sum, c, i) => sum + c * (strides[i] ?? 0), 0);
          expected[to] = combine(mode, expected[to] ?? NaN, pick(values, place), dtype);
        }
        const put = ops.scatterAlongAxis(
          toTensor(x, dtype),
          toTensor(index, "i32"),
          toTensor(values, dtype),
          axis,
          mode,
        );
        await assertOnDevices(put, { shape: x.shape, values: expected });
      }),
      { numRuns: 3 * numRuns },
    );
  });

  it("gives rows that nothing is put into no part of what is infinite or NaN elsewhere, derivatives included", async () => {
    const index = ops.tensor(Int32Array.of(0, 0, 2));
    const x = ops.tensor([2, 3, 4, 5]);
    for (const mode of ["set", "add", "multiply", "max", "min"] as const) {
      const { value, pullback } = ops.vjp(
        (v: Tensor) => ops.scatterAlongAxis(x, index, v, 0, mode),
        ops.tensor([Infinity, NaN, 1]),
      );
      await assertOnDevices(ops.slice(value, [[1, 2]]), { shape: [1], values: [3] });
      await assertOnDevices(ops.slice(value, [[3]]), { shape: [1], values: [5] });
      const gradient = pullback(ops.tensor([NaN, Infinity, 2, -Infinity]));
      const kept = { set: 2, add: 2, multiply: 8, max: 0, min: 2 }[mode];
      await assertOnDevices(ops.slice(gradient, [[2]]), { shape: [1], values: [kept] });
    }
  });

  it("shares derivatives of equal largest values, and gives zeros theirs in products", async () => {
    const index = ops.tensor(Int32Array.of(0, 0, 1, 1, 2));
    const of = (mode: ScatterMode): Tensor =>
      ops.grad((v: Tensor) => ops.reduceSum(ops.scatterAlongAxis(ops.tensor([1, 2, 3]), index, v, 0, mode)))(
        ops.tensor([4, 4, 0, 5, 0]),
      );
    await assertOnDevices(of("max"), { shape: [5], values: [0.5, 0.5, 0, 1, 0] });
    await assertOnDevices(of("min"), { shape: [5], values: [0, 0, 1, 0, 1] });
    await assertOnDevices(of("multiply"), { shape: [5], values: [4, 4, 10, 0, 3] });
    await assertOnDevices(of("set"), { shape: [5], values: [0, 1, 0, 1, 1] });
  });

  it("gives x the derivative where no value has come to, or none that is better than that", async () => {
    const index = ops.tensor(Int32Array.of(1, 1));
    for (const [mode, worst] of [
      ["max", -Infinity],
      ["min", Infinity],
    ] as const) {
      const put = (x: Tensor, v: Tensor): Tensor => ops.scatterAlongAxis(x, index, v, 0, mode);
      const x = ops.full([3], worst);
      for (const values of [ops.tensor([2, 3]), ops.full([2], worst)]) {
        const isBetter = values.node.kind === "constant";
        const total = ops.tensor([1, 10, 100]);
        const slope = ops.vjp((p: Tensor[]) => put(p[0] ?? x, p[1] ?? x), [x, values]).pullback(total);
        const chosen = mode === "max" ? [0, 10] : [10, 0];
        await assertOnDevices(slope[0] ?? x, { shape: [3], values: [1, isBetter ? 0 : 10, 100] });
        await assertOnDevices(slope[1] ?? x, { shape: [2], values: isBetter ? chosen : [0, 0] });
      }
      await assertOnDevices(put(ops.tensor([NaN, 1, worst]), ops.full([2], worst)), {
        shape: [3],
        values: [NaN, 1, worst],
      });
    }
  });

  it("is exact over many values, on chains and without", async () => {
    for (const [batch, rows, count] of [
      [3, 50, 400],
      [40, 7, 9],
      [300, 20, 3],
    ] as const) {
      const index = build([batch, count], ([b = 0, k = 0]) => (k * k + 7 * b) % rows);
      const values = build([batch, count], ([b = 0, k = 0]) => ((k * 31 + b) % 17) - 8);
      for (const mode of ["set", "add", "max"] as const) {
        const expected = new Array<number>(batch * rows).fill(mode === "max" ? -5 : 0);
        index.values.forEach((row, i) => {
          const to = Math.floor(i / count) * rows + row;
          expected[to] = combine(mode, expected[to] ?? 0, values.values[i] ?? NaN, "f32");
        });
        const x = ops.full([batch, rows], mode === "max" ? -5 : 0);
        const put = ops.scatterAlongAxis(x, toTensor(index, "i32"), toTensor(values), 1, mode);
        await assertOnDevices(put, { shape: [batch, rows], values: expected });
      }
    }
  });

  it("refuses what doesn't fit, and indices out of range when it runs", async () => {
    const [x, index] = [ops.zeros([2, 3]), ops.zeros([2, 1], "i32")];
    const put = (i: Tensor, values: Tensor, mode: ScatterMode = "add") => ops.scatterAlongAxis(x, i, values, 1, mode);
    refuses(() => put(ops.zeros([2, 1]), ops.zeros([2, 1])), "dtype", /^scatterAlongAxis: index has dtype f32/);
    refuses(() => put(index, ops.zeros([2, 1], "i32")), "dtype", /^scatterAlongAxis: values are i32, x is f32/);
    refuses(() => put(index, ops.zeros([2, 2])), "shape", /^scatterAlongAxis: values \[2, 2\]/);
    refuses(() => put(ops.zeros([3, 1], "i32"), ops.zeros([3, 1])), "shape", /^scatterAlongAxis: index \[3, 1\]/);
    const bool = ops.zeros([2], "bool");
    refuses(() => ops.scatterNd(bool, ops.zeros([1, 1], "i32"), ops.zeros([1], "bool"), "add"), "dtype", /add of bool/);
    const message = /^scatterAlongAxis: an index is out of range for axis 1 of \[2, 3\] \(0 to 2\)/;
    await failsOnDevices(put(ops.full([2, 1], 3, "i32"), ops.ones([2, 1])), message);
  });
});

const coordinateCases = fc
  .record({ batch: shapes(0, 1), inner: shapes(1, 2), rest: shapes(0, 2), outer: shapes(0, 2), dtype: dtypes })
  .chain(({ batch, inner, rest, outer, dtype }) => {
    const places = [...batch, ...outer, inner.length];
    const length = places.reduce((a, b) => a * b, 1);
    return fc.record({
      x: arraysOf([...batch, ...inner, ...rest], valuesOf[dtype]),
      indices: fc.array(fc.nat(100), { minLength: length, maxLength: length }).map((numbers) => ({
        shape: places,
        values: numbers.map((number, i) => number % (inner[i % inner.length] ?? 1)),
      })),
      values: arraysOf([...batch, ...outer, ...rest], valuesOf[dtype]),
      parts: fc.constant({ batch, inner, rest, outer, dtype }),
    });
  });

describe("gatherNd and scatterNd", () => {
  it("take by coordinates, with batch axes", async () => {
    await fc.assert(
      fc.asyncProperty(coordinateCases, async ({ x, indices, parts: { batch, inner, rest, outer, dtype } }) => {
        const [b, o] = [batch.length, outer.length];
        const expected = build([...batch, ...outer, ...rest], (place) => {
          const at = inner.map((_, k) => pick(indices, [...place.slice(0, b + o), k]));
          return pick(x, [...place.slice(0, b), ...at, ...place.slice(b + o)]);
        });
        await assertOnDevices(ops.gatherNd(toTensor(x, dtype), toTensor(indices, "i32"), b), expected);
      }),
      { numRuns },
    );
  });

  it("put by coordinates, in order", async () => {
    const cases = coordinateCases.filter(({ parts }) => parts.batch.length === 0);
    await fc.assert(
      fc.asyncProperty(cases, modes, async ({ x, indices, values, parts: { inner, outer, dtype } }, given) => {
        const mode = modeFor(given, dtype);
        const expected = [...x.values];
        const strides = x.shape.map((_, i) => x.shape.slice(i + 1).reduce((a, c) => a * c, 1));
        for (const place of places(values.shape)) {
          const coordinates = inner.map((_, k) => pick(indices, [...place.slice(0, outer.length), k]));
          const to = [...coordinates, ...place.slice(outer.length)].reduce(
            (sum, c, i) => sum + c * (strides[i] ?? 0),
            0,
          );
          expected[to] = combine(mode, expected[to] ?? NaN, pick(values, place), dtype);
        }
        const put = ops.scatterNd(toTensor(x, dtype), toTensor(indices, "i32"), toTensor(values, dtype), mode);
        await assertOnDevices(put, { shape: x.shape, values: expected });
      }),
      { numRuns },
    );
  });

  it("refuse what doesn't fit, and coordinates out of range of their own axis when they run", async () => {
    const x = ops.zeros([2, 3]);
    refuses(() => ops.gatherNd(x, ops.zeros([1, 3], "i32")), "shape", /^gatherNd: indices \[1, 3\] don't fit \[2, 3\]/);
    refuses(() => ops.gatherNd(x, ops.zeros([1, 1])), "dtype", /^gatherNd: index has dtype f32/);
    refuses(() => ops.gatherNd(x, ops.zeros([3, 1], "i32"), 1), "shape", /^gatherNd: .* with 1 batch axes/);
    refuses(() => ops.scatterNd(x, ops.zeros([1, 1], "i32"), ops.zeros([1, 2]), "set"), "shape", /^scatterNd: indices/);
    const beyond = ops.tensor(Int32Array.of(0, 3), { shape: [1, 2] });
    await failsOnDevices(ops.gatherNd(x, beyond), /^gatherNd: an index is out of range for axes 0, 1 of \[2, 3\]/);
    await failsOnDevices(ops.scatterNd(x, beyond, ops.ones([1]), "add"), /^scatterNd: an index is out of range/);
  });
});

describe("dynamicSlice and dynamicUpdateSlice", () => {
  const cases = shapes(1, 3).chain((shape) =>
    fc.record({
      dtype: fc.constantFrom<DType>("f32", "i32", "bool"),
      x: arraysOf(shape, fc.nat(1)),
      update: arraysOf(shape, fc.nat(1)),
      parts: fc.tuple(...shape.map((size) => fc.tuple(fc.integer({ min: 1, max: size }), fc.nat(3), fc.boolean()))),
    }),
  );

  it("take and replace a part, of which the host knows some starts", async () => {
    await fc.assert(
      fc.asyncProperty(cases, async ({ x, update, dtype, parts }) => {
        const size = parts.map(([count]) => count);
        const start = parts.map(([count, from], axis) => Math.min(from, (x.shape[axis] ?? 0) - count));
        const given = start.map((from, axis) => (parts[axis]?.[2] === true ? ops.scalar(from, "i32") : from));
        const part = build(size, (place) =>
          pick(
            x,
            place.map((c, axis) => c + (start[axis] ?? 0)),
          ),
        );
        await assertOnDevices(ops.dynamicSlice(toTensor(x, dtype), given, size), part);
        const small = build(size, (place) => pick(update, place));
        const replaced = build(x.shape, (place) => {
          const inner = place.map((c, axis) => c - (start[axis] ?? 0));
          const isInside = inner.every((c, axis) => c >= 0 && c < (size[axis] ?? 0));
          return isInside ? pick(small, inner) : pick(x, place);
        });
        await assertOnDevices(ops.dynamicUpdateSlice(toTensor(x, dtype), toTensor(small, dtype), given), replaced);
      }),
      { numRuns: 2 * numRuns },
    );
  });

  it("refuse parts that aren't all within", async () => {
    const x = ops.zeros([4, 3]);
    refuses(() => ops.dynamicSlice(x, [2, 0], [3, 3]), "range", /^dynamicSlice: start 2 is out of range for axis 0/);
    refuses(() => ops.dynamicSlice(x, [0], [3, 3]), "shape", /^dynamicSlice: a part \[3, 3\] with 1 starts/);
    refuses(
      () => ops.dynamicUpdateSlice(x, ops.zeros([5, 3]), [0, 0]),
      "shape",
      /^dynamicUpdateSlice: a part \[5, 3\]/,
    );
    refuses(
      () => ops.dynamicUpdateSlice(x, ops.zeros([1, 3], "i32"), [0, 0]),
      "dtype",
      /^dynamicUpdateSlice: the update/,
    );
    refuses(() => ops.dynamicSlice(x, [ops.zeros([1], "i32"), 0], [1, 1]), "shape", /expected a scalar/);
    for (const start of [-1, 3]) {
      const at = ops.scalar(start, "i32");
      await failsOnDevices(ops.dynamicSlice(x, [at, 0], [2, 3]), /^dynamicSlice: a start is out of range for axis 0/);
      await failsOnDevices(
        ops.dynamicUpdateSlice(x, ops.zeros([2, 3]), [at, 0]),
        /^dynamicUpdateSlice: a start is out/,
      );
    }
  });
});

describe("dynamicUpdateSlice of a state", () => {
  it("writes the same elements into the state's own memory and into an array of its own", async () => {
    const shape = [2, 37, 6];
    const bits = build(shape, ([a = 0, b = 0, c = 0]) => a * 1000 + b * 10 + c);
    for (const threads of [1, 3]) {
      const device = await createWasmDevice({ threads, sharedCost: 0 });
      const cache = toTensor(bits);
      const state = await ops.createState({ cache, at: ops.scalar(5, "i32") }, device);
      const step = ops.compileStep(
        (old: { readonly cache: Tensor; readonly at: Tensor }, rows: Tensor) => {
          const next = ops.dynamicUpdateSlice(old.cache, rows, [0, old.at, 0]);
          return { state: { cache: next, at: ops.add(old.at, 2) }, result: ops.scalar(0) };
        },
        { device },
      );
      const copy = ops.compile((x: Tensor, rows: Tensor, at: Tensor) => ops.dynamicUpdateSlice(x, rows, [0, at, 0]), {
        device,
      });
      const rows = build([2, 2, 6], ([a = 0, b = 0, c = 0]) => -(a * 100 + b * 10 + c));
      let expected = bits;
      for (const start of [5, 7, 9]) {
        await step(state, toTensor(rows));
        const last = expected;
        expected = build(shape, ([a = 0, b = 0, c = 0]) =>
          b >= start && b < start + 2 ? pick(rows, [a, b - start, c]) : pick(last, [a, b, c]),
        );
        assert.deepEqual([...(await (await state.read()).cache.data())], expected.values);
        const other = await copy(toTensor(last), toTensor(rows), ops.scalar(start, "i32"));
        assert.deepEqual([...(await other.data())], expected.values);
      }
      step.dispose();
      copy.dispose();
      state.dispose();
      device.dispose();
    }
  });

  it("leaves elements alone by either branch of a choice between rows, bits of NaN included", async () => {
    const device = await createWasmDevice({ threads: 1 });
    const words = Uint32Array.from({ length: 8 * 5 }, (_, i) => 0x7fc0_0000 + i);
    const given = new Float32Array(words.buffer);
    for (const keepsFirst of [true, false]) {
      const state = await ops.createState({ x: ops.tensor(given, { shape: [8, 5] }) }, device);
      const step = ops.compileStep(
        ({ x }: { readonly x: Tensor }, mask: Tensor) => {
          const rows = ops.expandDims(mask, 1);
          return { state: { x: keepsFirst ? ops.where(rows, x, 7) : ops.where(rows, 7, x) }, result: ops.scalar(0) };
        },
        { device },
      );
      await step(state, ops.tensor([true, false, true, true, false, false, true, false]));
      const data = (await (await state.read()).x.data()) as Float32Array;
      const got = new Uint32Array(data.buffer, data.byteOffset, data.length);
      const isKept = (i: number): boolean => [0, 2, 3, 6].includes(Math.floor(i / 5)) === keepsFirst;
      const seven = new Uint32Array(Float32Array.of(7).buffer)[0];
      assert.deepEqual(
        [...got],
        [...words].map((word, i) => (isKept(i) ? word : seven)),
      );
      step.dispose();
      state.dispose();
    }
    device.dispose();
  });
});
