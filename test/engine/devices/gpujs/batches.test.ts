/** Steps over many arrays on WebGPU: one dispatch for all that do the same, with the bits of one after the other. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { KernelDevice } from "../../../../engine/devices/device.ts";
import { createWebgpuDevice } from "../../../../engine/devices/gpujs/webgpuDevice.ts";
import { at, sizeOf } from "../../../../engine/graph/shape.ts";
import {
  add,
  cast,
  compileStep,
  createDevice,
  createState,
  divide,
  explain,
  foldIn,
  isFinite,
  matmul,
  multiply,
  permute,
  randomKey,
  randomNormal,
  reduceMax,
  reduceSum,
  scalar,
  sqrt,
  square,
  subtract,
  type Tensor,
  tanh,
  tensor,
  where,
} from "../../../../engine/index.ts";
import { treeLeaves } from "../../../../engine/tree.ts";
import { webgpuSkip } from "../../../support/webgpuSkip.ts";
import { apart } from "./apart.ts";

type Leaves = { readonly weights: Tensor[]; readonly first: Tensor[]; readonly second: Tensor[] };
type Given = { readonly shapes: readonly (readonly [number, number])[]; readonly operations: readonly number[] };

/** Matrices of odd and even sizes, and what is done to each before its update. */
const given: fc.Arbitrary<Given> = fc.record({
  shapes: fc.array(fc.tuple(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 80 })), {
    minLength: 2,
    maxLength: 8,
  }),
  operations: fc.array(fc.nat(99), { minLength: 1, maxLength: 5 }),
});

const someValues = (shape: readonly [number, number], seed: number): Tensor =>
  tensor(
    Float32Array.from({ length: sizeOf(shape) }, (_, i) => Math.sin(3.7 * i + seed)),
    { shape },
  );

function firstLeaves({ shapes }: Given): Leaves {
  const leaves = (seed: number): Tensor[] => shapes.map((shape, i) => someValues(shape, seed + 1.3 * i));
  return { weights: leaves(0), first: leaves(1), second: leaves(2).map((x) => square(x)) };
}

/** Normalization, a gradient that is made up and read several times, Adam; some arrays swap their moments. */
function update({ shapes, operations }: Given, state: Leaves, rate: Tensor): { state: Leaves; result: Tensor[] } {
  let [norm, count]: [Tensor, Tensor] = [scalar(0), scalar(0, "i32")];
  const next: Leaves = { weights: [], first: [], second: [] };
  shapes.forEach(([, columns], i) => {
    const [stored, m, v] = [at(state.weights, i), at(state.first, i), at(state.second, i)];
    const length = sqrt(reduceSum(square(stored), { axes: 1, keepAxes: true }));
    const w = divide(stored, add(multiply(length, 1 / Math.sqrt(columns)), 1e-4));
    let g = w;
    for (const operation of operations) {
      const changes: readonly (() => Tensor)[] = [
        () => add(multiply(g, 0.5), multiply(m, 1 / Math.sqrt(columns))),
        () => subtract(g, divide(reduceSum(g, { axes: 1, keepAxes: true }), columns)),
        () => multiply(g, reduceMax(w, { axes: 0, keepAxes: true })),
        () => matmul(matmul(g, permute(w, [1, 0])), g),
        // Of one array another's is needed.
        () => (i === 0 ? add(g, 1) : add(g, reduceSum(at(state.weights, i - 1)))),
        () => where(isFinite(g), g, 0),
      ];
      g = at(changes, (operation + (operation > 90 ? i : 0)) % changes.length)();
    }
    norm = add(norm, reduceSum(square(g)));
    count = add(count, reduceSum(cast(isFinite(g), "i32")));
    const first = add(multiply(m, 0.9), multiply(g, 0.1));
    const second = add(multiply(v, 0.99), multiply(square(g), 0.01));
    next.weights.push(subtract(w, divide(multiply(rate, first), add(sqrt(second), 1e-8))));
    const swaps = operations.length > 3 && i % 3 === 0;
    next.first.push(swaps ? v : first);
    next.second.push(swaps ? square(m) : second);
  });
  return { state: next, result: [norm, count] };
}

/** The bits of two updates' results and of the state then. */
async function bitsOf(device: KernelDevice, spec: Given): Promise<readonly (readonly number[])[]> {
  const state = await createState(firstLeaves(spec), device);
  const step = compileStep((old: Leaves, rate: Tensor) => update(spec, old, rate), { device });
  try {
    const tensors: Tensor[] = [];
    for (const rate of [0.1, 0.2]) tensors.push(...(await step(state, tensor(Float32Array.of(rate), { shape: [] }))));
    tensors.push(...treeLeaves(await state.read()).map((leaf) => leaf.tensor));
    return await Promise.all(
      tensors.map(async (each) => {
        const { buffer, byteOffset, length } = await each.data();
        return [...new Uint32Array(buffer, byteOffset, length)];
      }),
    );
  } finally {
    state.dispose();
    step.dispose();
  }
}

describe("batches on WebGPU", { skip: webgpuSkip }, () => {
  it("give the bits of their members one by one, for 16 random updates, and leave no memory behind", async () => {
    const device = await createWebgpuDevice({ debug: true });
    try {
      await fc.assert(
        fc.asyncProperty(given, async (spec) => {
          assert.deepEqual(await bitsOf(device, spec), await bitsOf(apart(device), spec));
          assert.deepEqual(device.memory(), { bytes: 0, buffers: 0 });
        }),
        { numRuns: 16, seed: Number(process.env["EVENKEEL_SEED"] ?? 20240612) },
      );
    } finally {
      device.dispose();
    }
  });

  it("are as many for 40 arrays as for 20, and their results those of wasm", async () => {
    const [device, other] = [await createWebgpuDevice({ debug: true }), await createDevice("wasm")];
    const specOf = (count: number): Given => ({
      shapes: Array.from({ length: count }, (_, i) => [4 + (i % 5), 12 + 4 * (i % 3)] as const),
      operations: [0, 1],
    });
    const dispatchesOf = async (count: number): Promise<number> => {
      const spec = specOf(count);
      const state = await createState(firstLeaves(spec), device);
      // Without the results, sums of as many numbers as there are arrays.
      const step = compileStep(
        (old: Leaves, rate: Tensor) => ({ state: update(spec, old, rate).state, result: null }),
        {
          device,
        },
      );
      const { kernels } = await explain(step, [state, scalar(0.1)]);
      state.dispose();
      step.dispose();
      return kernels.reduce((sum, { sources }) => sum + sources.length, 0);
    };
    try {
      assert.equal(await dispatchesOf(40), await dispatchesOf(20));
      const floats = (bits: readonly (readonly number[])[]): number[] => [
        ...new Float32Array(Uint32Array.from(bits.flat()).buffer),
      ];
      const [found, wanted] = [floats(await bitsOf(device, specOf(20))), floats(await bitsOf(other, specOf(20)))];
      found.forEach((value, i) => {
        const expected = at(wanted, i);
        assert.ok(
          Math.abs(value - expected) <= 1e-4 * Math.max(1, Math.abs(expected)),
          `${value}, expected ${expected}`,
        );
      });
    } finally {
      device.dispose();
      other.dispose();
    }
  });

  it("draw the first values of all arrays of a state in one dispatch, and their keys four at a time, as wasm draws them", async () => {
    const [device, other] = [await createWebgpuDevice({ debug: true }), await createDevice("wasm")];
    const drawn = (count: number): Tensor[] =>
      Array.from({ length: count }, (_, i) => randomNormal(foldIn(randomKey(7), i), [4 + (i % 4), 12 + 4 * (i % 3)]));
    const valuesOn = async (on: KernelDevice, count: number): Promise<number[]> => {
      const state = await createState(drawn(count), on);
      const values = await Promise.all(treeLeaves(await state.read()).map((leaf) => leaf.tensor.data()));
      state.dispose();
      return values.flatMap((each) => [...each]);
    };
    try {
      const dispatches: number[] = [];
      for (const count of [12, 24]) {
        const before = device.counts.dispatches;
        const found = await valuesOn(device, count);
        dispatches.push(device.counts.dispatches - before);
        const wanted = await valuesOn(other, count);
        found.forEach((value, i) => {
          const expected = at(wanted, i);
          assert.ok(Math.abs(value - expected) <= 1e-5 * Math.max(1, Math.abs(expected)), `${value}, not ${expected}`);
        });
      }
      assert.deepEqual(dispatches, [1 + 12 / 4, 1 + 24 / 4]);
      assert.deepEqual(device.memory(), { bytes: 0, buffers: 0 });
    } finally {
      device.dispose();
      other.dispose();
    }
  });

  it("take leaves that another step has moved to their second buffers", async () => {
    type Both = { readonly a: Tensor[]; readonly b: Tensor[] };
    // A product with itself needs its operand whole: it can't be written in place.
    const cubed = (x: Tensor): Tensor => matmul(matmul(x, permute(x, [1, 0])), x);
    const moved = ({ a, b }: Both): { state: Both; result: null } => ({ state: { a: a.map(cubed), b }, result: null });
    const inPlace = ({ a, b }: Both): { state: Both; result: null } => ({
      state: { a: a.map((x, i) => add(x, at(b, i))), b: b.map((x) => multiply(x, 2)) },
      result: null,
    });
    const valuesOn = async (device: KernelDevice): Promise<number[]> => {
      const leaves = (seed: number): Tensor[] => [1, 2, 3].map((i) => someValues([3, 5], seed + i));
      const state = await createState<Both>({ a: leaves(0), b: leaves(1) }, device);
      const steps = [compileStep(inPlace, { device }), compileStep(moved, { device })] as const;
      for (const step of [0, 1, 0, 1, 0] as const) await steps[step](state);
      const values = await Promise.all(treeLeaves(await state.read()).map((leaf) => leaf.tensor.data()));
      state.dispose();
      for (const step of steps) step.dispose();
      return values.flatMap((each) => [...each]);
    };
    const [device, other] = [await createWebgpuDevice({ debug: true }), await createDevice("wasm")];
    try {
      const wanted = await valuesOn(other);
      (await valuesOn(device)).forEach((value, i) => {
        const expected = at(wanted, i);
        assert.ok(Math.abs(value - expected) <= 1e-4 * Math.max(1, Math.abs(expected)), `${value}, not ${expected}`);
      });
      assert.deepEqual(device.memory(), { bytes: 0, buffers: 0 });
    } finally {
      device.dispose();
      other.dispose();
    }
  });

  it("update many arrays in one dispatch where they lie in an arena, and in as many as it takes elsewhere", async () => {
    const count = 10;
    // Each reads the next, and all of them one value that isn't kept.
    const inPlace = (old: Tensor[]): { state: Tensor[]; result: null } => {
      const shared = tanh(at(old, count - 1));
      return {
        state: old.map((x, i) => add(multiply(x, 0.5), i + 1 < count ? multiply(at(old, i + 1), shared) : shared)),
        result: null,
      };
    };
    const moved = (old: Tensor[]): { state: Tensor[]; result: null } => ({
      state: old.map((x, i) => (i % 3 === 0 ? multiply(matmul(matmul(x, permute(x, [1, 0])), x), 0.1) : x)),
      result: null,
    });
    const valuesOn = async (device: KernelDevice): Promise<{ values: number[]; dispatches: number }> => {
      const state = await createState<Tensor[]>(
        Array.from({ length: count }, (_, i) => multiply(someValues([3, 5], i), 0.5)),
        device,
      );
      const steps = [compileStep(inPlace, { device }), compileStep(moved, { device })] as const;
      const { kernels } = await explain(steps[0], [state]);
      for (const step of [0, 0, 1, 0, 1, 0] as const) await steps[step](state);
      const values = await Promise.all(treeLeaves(await state.read()).map((leaf) => leaf.tensor.data()));
      state.dispose();
      for (const step of steps) step.dispose();
      return { values: values.flatMap((each) => [...each]), dispatches: kernels.length };
    };
    const [device, other] = [await createWebgpuDevice({ debug: true }), await createDevice("wasm")];
    try {
      const wanted = await valuesOn(other);
      const found = await valuesOn(device);
      assert.equal(found.dispatches, 1);
      assert.deepEqual((await valuesOn(apart(device))).values, found.values);
      found.values.forEach((value, i) => {
        const expected = at(wanted.values, i);
        assert.ok(Math.abs(value - expected) <= 1e-4 * Math.max(1, Math.abs(expected)), `${value}, not ${expected}`);
      });
      assert.deepEqual(device.memory(), { bytes: 0, buffers: 0 });
    } finally {
      device.dispose();
      other.dispose();
    }
  });
});
