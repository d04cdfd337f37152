import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { scalar, tensor, type Tensor } from "../../engine/index.ts";
import {
  adam,
  adamCorrections,
  adamMoments,
  cleanGradients,
  countNonFinite,
  globalNorm,
  learningRate,
  needsEnd,
  type RateSchedule,
  rateSchedules,
  sgd,
} from "../../nn/index.ts";
import { onOracle } from "./onOracle.ts";

const single = (values: readonly number[]): readonly number[] => values.map(Math.fround);

describe("adam", () => {
  it("is Kingma and Ba's algorithm", async () => {
    const numbers = fc.array(fc.double({ min: -10, max: 10, noNaN: true }), { minLength: 3, maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(
        numbers,
        fc.array(numbers, { minLength: 1, maxLength: 6 }),
        fc.constantFrom(0, 0.5, 0.9),
        fc.constantFrom(0.9, 0.99, 0.999),
        fc.constantFrom(1e-8, 1e-2),
        async (start, gradients, beta1, beta2, epsilon) => {
          const options = { beta1, beta2, epsilon };
          let w: readonly number[] = single(start);
          let [m, v] = [w.map(() => 0), w.map(() => 0)];
          let parameters: Record<string, Tensor> = { w: tensor([...w]) };
          let moments = adamMoments(parameters);
          for (const [i, gradient] of gradients.entries()) {
            const rate = Math.fround(0.1 / (i + 1));
            const g = single(gradient);
            m = m.map((value, k) => beta1 * value + (1 - beta1) * (g[k] ?? NaN));
            v = v.map((value, k) => beta2 * value + (1 - beta2) * (g[k] ?? NaN) ** 2);
            w = w.map((value, k) => {
              const [mean, square] = [(m[k] ?? NaN) / (1 - beta1 ** (i + 1)), (v[k] ?? NaN) / (1 - beta2 ** (i + 1))];
              return value - (rate * mean) / (Math.sqrt(square) + epsilon);
            });
            const { first, second } = adamCorrections(i + 1, options);
            const corrections = { first: scalar(first), second: scalar(second) };
            ({ parameters, moments } = adam(
              parameters,
              { w: tensor([...g]) },
              moments,
              scalar(rate),
              corrections,
              options,
            ));
          }
          const result = await onOracle(parameters["w"] as Tensor);
          // Betas, corrections and rates are float32 in the graph, each within 2^-24 of itself, so that 1 - beta is known to
          // 2^-24 / (1 - beta). The second moment goes by its root, the first moment's 1 - beta1 is at least 0.1: 20 roundings at most.
          // By Cauchy-Schwarz the n-th mean is at most sqrt(n) roots of the mean square, and its rate 0.1 / n: a step is below 0.1.
          const bound = gradients.length * 0.1 * 2 ** -24 * (20 + 2 / (1 - beta2)) + 1e-12;
          result.forEach((value, k) => assert.ok(Math.abs(value - (w[k] ?? NaN)) < bound, `${value} ${w[k]}`));
        },
      ),
      { numRuns: 25 },
    );
  });

  it("steps by the rate at first, whatever the gradient's size", async () => {
    const parameters = { w: tensor([1, 1, 1]) };
    const { first, second } = adamCorrections(1, { beta2: 0.99 });
    const corrections = { first: scalar(first), second: scalar(second) };
    const next = adam(parameters, { w: tensor([1e-3, -5, 0]) }, adamMoments(parameters), scalar(0.25), corrections, {
      beta2: 0.99,
    });
    const values = await onOracle(next.parameters["w"]);
    [0.75, 1.25, 1].forEach((expected, i) => assert.ok(Math.abs((values[i] ?? NaN) - expected) < 1e-4));
  });
});

describe("learningRate", () => {
  const options = { reference: 0.01, referenceBatches: 70000, rampUpMimg: 10 };
  it("is the paper's", () => {
    for (const [nimg, expected] of [
      [0, 0],
      [1e6, 0.001],
      [1e7, 0.01],
      [143.36e6, 0.01],
      [286.72e6, 0.00707107],
      [2 ** 31, 0.00258374],
    ] as const) {
      assert.ok(Math.abs(learningRate(nimg, 2048, options) - expected) < 1e-8, `${nimg}`);
    }
    assert.equal(learningRate(0, 8, { ...options, rampUpMimg: 0 }), 0.01);
    assert.equal(learningRate(1e9, 8, { ...options, referenceBatches: 0 }), 0.01);
    assert.throws(() => learningRate(-1, 8, options), /nimg -1/);
    assert.throws(() => learningRate(0, 0, options), /batch 0/);
    assert.throws(() => learningRate(0, 1, { ...options, reference: -1 }), /none may be negative/);
    assert.throws(() => learningRate(0, 1, { ...options, referenceBatches: NaN }), /none may be negative/);
    assert.throws(() => learningRate(0, 1, { ...options, rampUpMimg: -1 }), /none may be negative/);
  });
});

describe("schedules of the learning rate", () => {
  const runs = fc.record({
    reference: fc.double({ min: 1e-4, max: 1, noNaN: true }),
    batch: fc.integer({ min: 1, max: 64 }),
    duration: fc.integer({ min: 1000, max: 1e6 }),
    ramp: fc.integer({ min: 0, max: 70 }).map((percent) => percent / 100),
    share: fc.double({ min: 0, max: 1, noNaN: true }),
  });
  type Run = typeof runs extends fc.Arbitrary<infer T> ? T : never;
  const rateOf = (schedule: RateSchedule, { reference, batch, duration, ramp }: Run, nimg: number, end = duration) =>
    learningRate(nimg, batch, {
      reference,
      referenceBatches: 100,
      rampUpMimg: (ramp * duration) / 1e6,
      schedule,
      ...(needsEnd(schedule) ? { duration: end } : {}),
    });

  it("are the published one by default", () =>
    fc.assert(
      fc.property(runs, (run) => {
        const { reference, batch, duration, ramp, share } = run;
        const options = { reference, referenceBatches: 100, rampUpMimg: (ramp * duration) / 1e6 };
        assert.equal(rateOf("inverse-sqrt", run, share * duration), learningRate(share * duration, batch, options));
      }),
    ));

  it("rise in one line to the reference, and then never again", () =>
    fc.assert(
      fc.property(runs, fc.constantFrom(...rateSchedules), (run, schedule) => {
        const { reference, batch, duration, ramp, share } = run;
        const end = ramp * duration;
        const nimg = share * duration;
        const rate = rateOf(schedule, run, nimg);
        const near = (wanted: number): void =>
          assert.ok(Math.abs(rate - wanted) <= 1e-12 * reference, `${schedule}: ${rate}, expected ${wanted}`);
        // The published rate may begin to fall within its ramp.
        if (nimg < end && (schedule !== "inverse-sqrt" || nimg <= 100 * batch)) near((reference * nimg) / end);
        else if (nimg >= end) {
          assert.ok(rate <= reference * (1 + 1e-12));
          assert.ok(rateOf(schedule, run, Math.min(duration, nimg * 1.1)) <= rate * (1 + 1e-12) + 1e-15);
        }
      }),
    ));

  it("end at 0 if they end, and never if they don't", () =>
    fc.assert(
      fc.property(runs, fc.constantFrom(...rateSchedules), (run, schedule) => {
        const last = rateOf(schedule, run, run.duration);
        if (needsEnd(schedule)) assert.equal(last, 0);
        else assert.ok(last > 0);
        if (schedule === "constant") assert.equal(last, run.reference);
      }),
    ));

  it("are level until the last fifth with warmup-stable-decay, so that longer runs begin alike", () =>
    fc.assert(
      fc.property(runs, fc.double({ min: 1, max: 10, noNaN: true }), (run, longer) => {
        const nimg = run.share * 0.8 * run.duration;
        const own = rateOf("warmup-stable-decay", run, nimg);
        assert.equal(rateOf("warmup-stable-decay", run, nimg, run.duration * longer), own);
        assert.equal(own, rateOf("constant", run, nimg));
        const middle = rateOf("warmup-stable-decay", run, 0.9 * run.duration);
        assert.ok(Math.abs(middle - run.reference / 2) < 1e-9 * run.reference);
      }),
    ));

  it("go halfway down in the middle: cosine and line", () =>
    fc.assert(
      fc.property(runs, fc.constantFrom("cosine", "linear"), (run, schedule) => {
        const middle = rateOf(schedule, run, ((1 + run.ramp) * run.duration) / 2);
        assert.ok(Math.abs(middle - run.reference / 2) < 1e-9 * run.reference);
      }),
    ));

  it("refuse to end nowhere, or before they have risen", () => {
    const options = { reference: 0.1, referenceBatches: 0, rampUpMimg: 0.001 };
    for (const schedule of rateSchedules.filter(needsEnd)) {
      assert.throws(() => learningRate(0, 1, { ...options, schedule }), /ends with the run; give its duration/);
      assert.throws(
        () => learningRate(0, 1, { ...options, schedule, duration: 900 }),
        /rises over 1000 images, and with the schedule/,
      );
    }
  });
});

describe("gradients", () => {
  it("are cleaned, counted and measured", async () => {
    const gradient = { a: tensor([1, NaN, -2]), b: tensor([[Infinity], [-Infinity], [2]]) };
    const cleaned = cleanGradients(gradient);
    assert.deepEqual(await onOracle(cleaned.a), [1, 0, -2]);
    assert.deepEqual(await onOracle(cleaned.b), [0, 0, 2]);
    assert.deepEqual(await onOracle(countNonFinite(gradient)), [3]);
    assert.deepEqual(await onOracle(globalNorm(cleaned)), [3]);
  });

  it("are descended", async () => {
    const next = sgd({ a: tensor([1, 2]) }, { a: tensor([10, -10]) }, scalar(0.5));
    assert.deepEqual(await onOracle(next["a"]), [-4, 7]);
  });
});
