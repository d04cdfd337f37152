import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import fc from "fast-check";
import {
  add,
  compileStep,
  createDevice,
  createState,
  divide,
  explain,
  isFinite,
  maximum,
  minimum,
  multiply,
  reduceSum,
  sqrt,
  subtract,
  type Tensor,
  tensor,
  where,
} from "../../../engine/index.ts";

type Leaves = { readonly a: Tensor; readonly b: Tensor; readonly c: Tensor };
const names = ["a", "b", "c"] as const;

/** What a new leaf is made of: old leaves, new ones made before it, sums of them. */
const leafSpecs = fc.array(
  fc.record({
    x: fc.nat(5),
    y: fc.nat(5),
    operation: fc.constantFrom("add", "subtract", "maximum", "minusRowSums", "keep"),
    isGuarded: fc.boolean(),
  }),
  { minLength: names.length, maxLength: names.length },
);

describe("steps of a state", async () => {
  const devices = {
    oracle: await createDevice("oracle"),
    wasm: await createDevice("wasm"),
    cpu: await createDevice("cpu"),
  };
  after(() => Object.values(devices).forEach((device) => device.dispose()));

  it("give the oracle's state, in whatever order leaves are read and replaced", async () => {
    await fc.assert(
      fc.asyncProperty(leafSpecs, async (specs) => {
        const update = (old: Leaves): { state: Leaves; result: Tensor } => {
          const known: Tensor[] = [old.a, old.b, old.c];
          const made = specs.map(({ x, y, operation, isGuarded }, index) => {
            const [left, right] = [known[x % known.length] as Tensor, known[y % known.length] as Tensor];
            const value = {
              add: () => add(left, right),
              subtract: () => subtract(left, right),
              maximum: () => maximum(left, right),
              minusRowSums: () => subtract(left, reduceSum(right, { axes: 1, keepAxes: true })),
              keep: () => known[index] as Tensor,
            }[operation]();
            // Small whole numbers, so that every device has the same bits.
            const bounded = maximum(minimum(value, 9), -9);
            known.push(bounded);
            return isGuarded ? where(isFinite(reduceSum(right)), bounded, left) : bounded;
          });
          const [a, b, c] = made as [Tensor, Tensor, Tensor];
          return { state: { a, b, c }, result: add(a, multiply(b, 2)) };
        };
        const start = names.map((_, leaf) =>
          tensor(
            Float32Array.from({ length: 60 }, (_, index) => ((index * 7 + leaf * 5) % 13) - 6),
            { shape: [3, 20] },
          ),
        );
        const [a, b, c] = start as [Tensor, Tensor, Tensor];
        const runs = Object.values(devices).map(async (device) => {
          const state = await createState({ a, b, c }, device);
          const step = compileStep(update, { device });
          const results: unknown[] = [];
          for (let count = 0; count < 3; count++) results.push(await (await step(state)).array());
          const read = await state.read();
          for (const name of names) results.push(await read[name].array());
          state.dispose();
          step.dispose();
          return results;
        });
        const [oracle, ...others] = await Promise.all(runs);
        for (const other of others) assert.deepEqual(other, oracle);
      }),
      { numRuns: 150 },
    );
  });

  it("on wasm an array's moments, weights and average are one sweep, in whatever order the state has them", async () => {
    type Pair = readonly [Tensor, Tensor];
    type Trained = { readonly w: Pair; readonly m: Pair; readonly v: Pair; readonly average: Pair };
    const step = compileStep(
      (old: Trained, gradients: Pair) => {
        const good = isFinite(add(reduceSum(gradients[0]), reduceSum(gradients[1])));
        const keep = (next: Tensor, before: Tensor): Tensor => where(good, next, before);
        const update = (array: 0 | 1): { w: Tensor; m: Tensor; v: Tensor; average: Tensor } => {
          const gradient = gradients[array];
          const m = add(multiply(old.m[array], 0.9), multiply(gradient, 0.1));
          const v = add(multiply(old.v[array], 0.99), multiply(multiply(gradient, gradient), 0.01));
          const w = subtract(old.w[array], multiply(divide(m, add(sqrt(v), 1e-8)), 0.1));
          const average = add(old.average[array], multiply(subtract(w, old.average[array]), 0.05));
          return {
            w: keep(w, old.w[array]),
            m: keep(m, old.m[array]),
            v: keep(v, old.v[array]),
            average: keep(average, old.average[array]),
          };
        };
        const [first, second] = [update(0), update(1)];
        const both = (name: keyof Trained): Pair => [first[name], second[name]];
        return { state: { w: both("w"), m: both("m"), v: both("v"), average: both("average") }, result: null };
      },
      { device: devices.wasm },
    );
    const ones = (rows: number): Tensor => tensor(new Float32Array(20 * rows).fill(1), { shape: [rows, 20] });
    const pair: Pair = [ones(16), ones(12)];
    const state = await createState({ w: pair, m: pair, v: pair, average: pair }, devices.wasm);
    const { kernels } = await explain(step, [state, pair]);
    const schedules = kernels.map(({ sources }) => /;; schedule: ([^,\n]*)/.exec(sources[0]?.text ?? "")?.[1] ?? "");
    const sweeps = schedules.filter((schedule) => schedule.startsWith("sweep"));
    // Of each array new moments and weights, and what is kept of them and of the average.
    assert.deepEqual(sweeps, ["sweep with 4 results", "sweep with 4 results"], schedules.join("\n"));
    state.dispose();
    step.dispose();
  });
});
