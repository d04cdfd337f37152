import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { EvenkeelError } from "../../engine/errors.ts";
import {
  compileStep,
  createDevice,
  createState,
  grad,
  reduceSum,
  scalar,
  square,
  type Tensor,
  tensor,
  treeLeaves,
} from "../../engine/index.ts";
import {
  adam,
  adamCorrections,
  type AdamMoments,
  adamMoments,
  adamW,
  cleanGradients,
  clipByNorm,
  constantSchedule,
  cosineSchedule,
  countNonFinite,
  globalNorm,
  linearSchedule,
  oneCycleSchedule,
  type Schedule,
  sgd,
  sgdVelocity,
  sgdWithMomentum,
} from "../../nn/index.ts";
import { assertNear, drawNumbers } from "./layerLaw.ts";
import { onOracle } from "./onOracle.ts";

const refuses = (code: string, pattern: RegExp) => (error: unknown) =>
  error instanceof EvenkeelError && error.code === code && pattern.test(error.message);

/** A tree of all kinds of branches, and its numbers in order. */
const treeOf = (values: readonly number[]) => ({
  layers: [
    { weight: tensor([[values[0] ?? 0, values[1] ?? 0]]), bias: tensor([values[2] ?? 0]) },
    { weight: tensor([[values[3] ?? 0]]) },
  ],
  name: "net",
  gain: tensor(values[4] ?? 0),
});
type Net = ReturnType<typeof treeOf>;
const numbersOf = async (tree: unknown): Promise<number[]> =>
  (await Promise.all(treeLeaves(tree).map(({ tensor: leaf }) => onOracle(leaf)))).flat();

/** Betas, rates and decays are float32 in the graph, and so is what goes from step to step: some roundings a step. */
const bound = 2 ** -20;

describe("optimizers of any tree", () => {
  const steps = [1, 2, 3, 4].map((step) => drawNumbers(step, 5));
  const start = drawNumbers(9, 5);

  it("sgdWithMomentum is PyTorch's, with Nesterov's look ahead and decay", async () => {
    for (const isNesterov of [false, true]) {
      for (const weightDecay of [0, 0.1]) {
        let [p, v] = [start, start.map(() => 0)];
        let parameters: Net = treeOf(start);
        let velocity: Net = sgdVelocity(parameters);
        for (const gradient of steps) {
          const g = gradient.map((value, i) => value + weightDecay * (p[i] ?? NaN));
          v = v.map((value, i) => 0.75 * value + (g[i] ?? NaN));
          p = p.map((value, i) => value - 0.125 * (isNesterov ? (g[i] ?? NaN) + 0.75 * (v[i] ?? NaN) : (v[i] ?? NaN)));
          ({ parameters, velocity } = sgdWithMomentum(parameters, treeOf(gradient), velocity, scalar(0.125), {
            momentum: 0.75,
            isNesterov,
            weightDecay,
          }));
        }
        assertNear(await numbersOf(parameters), p, bound);
        assertNear(await numbersOf(velocity), v, bound);
        assert.equal(parameters.name, "net");
      }
    }
    const plain = sgd(treeOf(start), treeOf(steps[0] ?? []), 0.5);
    assertNear(
      await numbersOf(plain),
      start.map((value, i) => value - 0.5 * (steps[0]?.[i] ?? NaN)),
    );
  });

  it("adamW is Loshchilov and Hutter's, and adam the same without decay", async () => {
    const [beta1, beta2, epsilon, rate] = [0.875, 0.96875, 1e-3, 0.0625];
    for (const weightDecay of [0, 0.5]) {
      let [p, m, v] = [start, start.map(() => 0), start.map(() => 0)];
      let parameters: Net = treeOf(start);
      let moments: AdamMoments<Net> = adamMoments(parameters);
      for (const [i, g] of steps.entries()) {
        m = m.map((value, k) => beta1 * value + (1 - beta1) * (g[k] ?? NaN));
        v = v.map((value, k) => beta2 * value + (1 - beta2) * (g[k] ?? NaN) ** 2);
        p = p.map((value, k) => {
          const [first, second] = [(m[k] ?? NaN) / (1 - beta1 ** (i + 1)), (v[k] ?? NaN) / (1 - beta2 ** (i + 1))];
          // Matrices decay: the first two, and the fourth.
          const kept = [0, 1, 3].includes(k) ? value * (1 - rate * weightDecay) : value;
          return kept - (rate * first) / (Math.sqrt(second) + epsilon);
        });
        const options = { beta1, beta2, epsilon };
        const corrections = adamCorrections(scalar(i + 1, "i32"), options);
        const decays = (parameter: Tensor, path: string): boolean => {
          assert.match(path, /^(layers\[\d\]\.(weight|bias)|gain)$/);
          return parameter.rank === 2;
        };
        ({ parameters, moments } =
          weightDecay === 0
            ? adam(parameters, treeOf(g), moments, rate, corrections, options)
            : adamW(parameters, treeOf(g), moments, scalar(rate), corrections, { ...options, weightDecay, decays }));
      }
      assertNear(await numbersOf(parameters), p, bound);
      assertNear(await numbersOf(moments), [...m, ...v], bound);
    }
  });

  it("corrections of a counter are those of a number", async () => {
    for (const step of [1, 2, 10, 1000, 1e6]) {
      for (const options of [{}, { beta1: 0, beta2: 0.9999 }]) {
        const wanted = adamCorrections(step, options);
        const counted = adamCorrections(scalar(step, "u32"), options);
        for (const name of ["first", "second"] as const) {
          const [got = NaN] = await onOracle(counted[name]);
          assert.ok(Math.abs(got / wanted[name] - 1) < 1e-6, `${step}: ${got}, ${wanted[name]}`);
        }
      }
    }
  });

  it("norms, counts and clipping see every branch", async () => {
    const gradient = treeOf([3, 0, 0, 4, 12]);
    assert.deepEqual(await onOracle(globalNorm(gradient)), [13]);
    assert.deepEqual(await onOracle(countNonFinite(treeOf([NaN, 1, Infinity, 0, -Infinity]))), [3]);
    assert.deepEqual(await numbersOf(cleanGradients(treeOf([NaN, 1, Infinity, 0, -1]))), [0, 1, 0, 0, -1]);
    const clipped = clipByNorm(gradient, 6.5);
    assert.deepEqual([await onOracle(clipped.norm), await numbersOf(clipped.gradient)], [[13], [1.5, 0, 0, 2, 6]]);
    const odd = treeOf([0.1, -0.2, 0.3, 1e-30, 0]);
    assert.deepEqual(await numbersOf(clipByNorm(odd, scalar(1)).gradient), await numbersOf(odd));
    assert.deepEqual(await numbersOf(clipByNorm(treeOf([0, 0, 0, 0, 0]), 1).gradient), [0, 0, 0, 0, 0]);
    // Squares of these are infinite in float32.
    const huge = clipByNorm(treeOf([3e30, 0, 0, 4e30, 0]), 5);
    assertNear(await numbersOf(huge.gradient), [3, 0, 0, 4, 0]);
    assert.deepEqual(await numbersOf(clipByNorm(treeOf([0, 0, 0, NaN, 1]), 5).gradient), Array(5).fill(NaN));
  });

  it("take trees whose keys come in another order, and refuse those that are unlike", () => {
    const parameters = { a: tensor([1]), b: { c: tensor([2, 3]) } };
    const turned = { b: { c: tensor([1, 1]) }, a: tensor([1]) };
    assert.deepEqual(Object.keys(sgd(parameters, turned, 1)), ["a", "b"]);
    const unlike =
      (gradient: object): (() => unknown) =>
      () =>
        sgd(parameters, gradient as typeof parameters, 1);
    assert.throws(unlike({ a: tensor([1]) }), refuses("value", /sgd: the gradients have no tensor at b\.c/));
    assert.throws(unlike({ ...parameters, d: tensor([1]) }), refuses("value", /gradients have a tensor at d/));
    assert.throws(unlike({ ...parameters, a: tensor([[1]]) }), refuses("shape", /\[1, 1\] at a, .* \[1\]/));
    const corrections = { first: 1, second: 1 };
    const moments = adamMoments({ a: tensor([1]) }) as never;
    assert.throws(
      () => adam(parameters, parameters, moments, 1, corrections),
      refuses("value", /adam: the first moments/),
    );
    assert.throws(
      () => sgdWithMomentum(parameters, parameters, {} as never, 1),
      refuses("value", /sgdWithMomentum: the velocities have no tensor at a/),
    );
  });

  it("all go down a valley, on wasm as on the oracle", async () => {
    const target = treeOf(drawNumbers(3, 5));
    const loss = (net: Net): Tensor => {
      const aims = treeLeaves(target).map(({ tensor: leaf }) => leaf);
      return treeLeaves(net)
        .map(({ tensor: leaf }, i) => reduceSum(square(leaf.subtract(aims[i] as Tensor))))
        .reduce((total, part) => total.add(part));
    };
    for (const name of ["oracle", "wasm"] as const) {
      const device = await createDevice(name);
      const net = treeOf([0, 0, 0, 0, 0]);
      const state = await createState({ net, velocity: sgdVelocity(net), step: scalar(0, "i32") }, device);
      const rate = cosineSchedule({ peak: 0.1, steps: 60, warmUp: 5 });
      const step = compileStep(
        (before: { net: Net; velocity: Net; step: Tensor }) => {
          const { gradient } = clipByNorm(grad(loss)(before.net), 2);
          const moved = sgdWithMomentum(before.net, gradient, before.velocity, rate(before.step), { momentum: 0.5 });
          return { state: { net: moved.parameters, velocity: moved.velocity, step: before.step.add(1) }, result: null };
        },
        { device },
      );
      for (let i = 0; i < 60; i++) await step.advance(state);
      assertNear(await numbersOf((await state.read()).net), await numbersOf(target), 1e-3);
      [step, state, device].forEach((held) => held.dispose());
    }
  });
});

describe("schedules", () => {
  const cases: readonly (readonly [string, Schedule, readonly (readonly [number, number])[]])[] = [
    [
      "constant",
      constantSchedule(0.5),
      [
        [0, 0.5],
        [1e6, 0.5],
      ],
    ],
    [
      "constant with warm-up",
      constantSchedule(0.5, 4),
      [
        [0, 0],
        [1, 0.125],
        [4, 0.5],
        [9, 0.5],
      ],
    ],
    [
      "linear",
      linearSchedule({ peak: 1, steps: 10, final: 0.5 }),
      [
        [0, 1],
        [5, 0.75],
        [10, 0.5],
        [99, 0.5],
      ],
    ],
    [
      "cosine with warm-up",
      cosineSchedule({ peak: 1, steps: 12, warmUp: 4, start: 0.5, final: 0.25 }),
      [
        [0, 0.5],
        [2, 0.75],
        [4, 1],
        [6, 0.25 + 0.75 * (0.5 + Math.SQRT1_2 / 2)],
        [8, 0.625],
        [12, 0.25],
        [13, 0.25],
      ],
    ],
    // As PyTorch 2.6's OneCycleLR(max_lr=1, total_steps=11) has them.
    [
      "one cycle",
      oneCycleSchedule({ peak: 1, steps: 11 }),
      [
        [0, 0.04],
        [2.3, 1],
        [10, 4e-6],
        [20, 4e-6],
      ],
    ],
    [
      "one cycle in lines",
      oneCycleSchedule({ peak: 2, steps: 11, riseShare: 1, start: 0, final: 0, curve: "line" }),
      [
        [0, 0],
        [5, 1],
        [10, 0],
      ],
    ],
    [
      "one cycle without a rise",
      oneCycleSchedule({ peak: 1, steps: 5, riseShare: 0, final: 0, curve: "line" }),
      [
        [0, 1],
        [2, 0.5],
        [4, 0],
      ],
    ],
  ];

  for (const [name, schedule, places] of cases) {
    it(`${name}: has its rates at its ends and between, on the host and in the graph`, async () => {
      for (const [step, rate] of places) {
        assert.ok(Math.abs(schedule(step) - rate) < 1e-12, `${step}: ${schedule(step)}`);
        assertNear(await onOracle(schedule(scalar(step))), [rate]);
        if (Number.isInteger(step)) assertNear(await onOracle(schedule(scalar(step, "u32"))), [rate]);
      }
    });
  }

  it("rises and falls once, without jumps", () => {
    const options = fc.record({
      peak: fc.double({ min: 0.1, max: 1, noNaN: true }),
      steps: fc.integer({ min: 2, max: 50 }),
      warmUp: fc.nat(50),
    });
    fc.assert(
      fc.property(options, fc.constantFrom(cosineSchedule, linearSchedule), ({ peak, steps, warmUp }, make) => {
        const risen = Math.min(warmUp, steps);
        const rate = make({ peak, steps, warmUp: risen });
        for (let step = 0; step < steps; step++) {
          const [now, next] = [rate(step), rate(step + 1)];
          assert.ok(step < risen ? next >= now - 1e-12 || risen === steps : next <= now + 1e-12);
          assert.ok(now >= 0 && now <= peak);
        }
        assert.equal(rate(steps), 0);
      }),
    );
  });

  it("refuse what no run can have", () => {
    assert.throws(() => cosineSchedule({ peak: 1, steps: 3, warmUp: 4 }), refuses("range", /a warm-up of 4 steps/));
    assert.throws(() => linearSchedule({ peak: NaN, steps: 3 }), refuses("range", /peak is NaN/));
    assert.throws(() => constantSchedule(-1), refuses("range", /rate is -1/));
    assert.throws(() => oneCycleSchedule({ peak: 1, steps: Infinity }), refuses("range", /steps is Infinity/));
    assert.throws(() => oneCycleSchedule({ peak: 1, steps: 3, riseShare: 2 }), refuses("range", /riseShare is 2/));
  });
});
