import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  type HostArray,
  runSampler,
  type SamplerOptions,
  type SamplerStep,
  sigmaSteps,
  type Solver,
  type StateDenoiser,
} from "../../../diffusion/sample/index.ts";
import { gaussianDenoiser, gaussianFlow } from "./gaussian.ts";

const sigmaData = 0.5;

/** Relative error of a sample of Gaussian data after N steps. */
async function gaussianError(steps: number, solver: Solver): Promise<number> {
  // So low a sigmaMin leaves the last step, which is Euler's, an error of sigmaMin^2 / (2 sigmaData^2) = 2e-12.
  const sigmas = sigmaSteps({ steps, sigmaMin: 1e-6, sigmaMax: 80 });
  const [result = NaN] = await runSampler(gaussianDenoiser(sigmaData), Float64Array.of(1), sigmas, { solver });
  return Math.abs(result / (80 * gaussianFlow(sigmaData, 80, 0)) - 1);
}

/** Measured orders log2(error(N) / error(2N)) for N = 64 to 512. */
async function orders(solver: Solver): Promise<number[]> {
  const errors = await Promise.all([64, 128, 256, 512, 1024].map((steps) => gaussianError(steps, solver)));
  return errors.slice(0, -1).map((error, i) => Math.log2(error / (errors[i + 1] ?? NaN)));
}

describe("runSampler on Gaussian data", () => {
  for (const [solver, order] of [
    ["heun", 2],
    ["euler", 1],
  ] as const) {
    it(`converges with order ${order}: ${solver}`, async () => {
      // error = c N^-p (1 + a / N + ...): the measured order differs from p by a / (2 N ln 2), which halves as N doubles.
      const deviations = (await orders(solver)).map((measured) => Math.abs(measured - order));
      for (const [i, deviation] of deviations.slice(1).entries()) {
        const ratio = deviation / (deviations[i] ?? NaN);
        assert.ok(ratio > 0.4 && ratio < 0.6, `deviations ${deviations.join(", ")}`);
      }
      assert.ok((deviations.at(-1) ?? NaN) < 0.02, `deviations ${deviations.join(", ")}`);
    });
  }

  it("is exact for data in one point, however few the steps", async () => {
    // D is the point itself, so that the flow is a straight line, which both rules follow without error.
    const point = Float64Array.of(0.3, -0.7, 0.1);
    const constant: StateDenoiser = async () => point;
    const noise = Float64Array.of(1, -2, 0.5);
    const cases = fc.tuple(fc.integer({ min: 1, max: 40 }), fc.constantFrom<Solver>("heun", "euler"));
    await fc.assert(
      fc.asyncProperty(cases, async ([steps, solver]) => {
        const worst = { value: 0 };
        const result = await runSampler(constant, noise, sigmaSteps({ steps, sigmaMin: 1 }), {
          solver,
          onStep({ tNext, xNext }) {
            for (const [i, x] of xNext.entries()) {
              const exact = (point[i] ?? 0) + tNext * ((noise[i] ?? 0) - (point[i] ?? 0) / 80);
              worst.value = Math.max(worst.value, Math.abs(x - exact));
            }
          },
        });
        // Each step rounds numbers below 160 a few times; Heun's slope divides that by tNext >= 1, and a step of at most 80
        // multiplies it.
        assert.ok(worst.value <= steps * 8 * 160 * 80 * 2 ** -53, `off by ${worst.value}`);
        assert.ok(result.every((x, i) => Math.abs(x - (point[i] ?? 0)) < 1e-12));
      }),
      { numRuns: 60 },
    );
  });

  it("evaluates the denoiser 2 N - 1 times, Euler's rule N times, at the levels of the schedule", async () => {
    const asked = async (solver: Solver, steps: number): Promise<number[][]> => {
      const levels: number[][] = [];
      const spy: StateDenoiser = (x, sigma, stepSigma) => {
        levels.push([sigma, stepSigma]);
        return gaussianDenoiser(sigmaData)(x, sigma, stepSigma);
      };
      await runSampler(spy, Float64Array.of(1), sigmaSteps({ steps, sigmaMin: 1, sigmaMax: 4, rho: 1 }), { solver });
      return levels;
    };
    // Pairs: level of the evaluation, level at which its step began.
    assert.deepEqual(await asked("euler", 3), [
      [4, 4],
      [2.5, 2.5],
      [1, 1],
    ]);
    assert.deepEqual(await asked("heun", 3), [
      [4, 4],
      [2.5, 4],
      [2.5, 2.5],
      [1, 2.5],
      [1, 1],
    ]);
    assert.equal((await asked("heun", 32)).length, 63);
    assert.equal((await asked("heun", 1)).length, 1);
  });
});

/**
 * The variance of samples, computed without chance: on Gaussian data the sampler is linear in the start and in each churn noise,
 * and element k is given the unit impulse of source k alone. The squares of what comes out add up to the variance.
 */
async function sampledVariance(steps: number, options: SamplerOptions, sigmaMin = 0.002): Promise<number> {
  const sources = steps + 1;
  const impulse = (source: number): Float64Array => Float64Array.from({ length: sources }, (_, k) => +(k === source));
  const result = await runSampler(gaussianDenoiser(sigmaData), impulse(0), sigmaSteps({ steps, sigmaMin }), {
    ...options,
    churnNoise: (index) => impulse(index + 1),
  });
  return result.reduce((sum, x) => sum + x * x, 0);
}

describe("runSampler with churn", () => {
  const churned = { sChurn: 40, sMin: 0.05, sMax: 50 };

  it("keeps the variance of the data, up to an error of order 2", async () => {
    const errors: number[] = [];
    for (const steps of [64, 128, 256, 512]) {
      errors.push((await sampledVariance(steps, { sChurn: 10 }, 1e-5)) / sigmaData ** 2 - 1);
    }
    const orders = errors.slice(1).map((error, i) => Math.log2((errors[i] ?? NaN) / error));
    // c N^-2 (1 + a / N + ...): each order lies half as far from 2 as the one before, or closer.
    const [first = NaN, second = NaN, third = NaN] = orders.map((order) => Math.abs(order - 2));
    assert.ok(third < 0.02 && second < 0.6 * first && third < 0.6 * second, `orders ${orders.join(", ")}`);
  });

  it("has samples of that variance", async () => {
    const count = 20_000;
    const random = mulberry32(5);
    const normals = (): Float64Array => Float64Array.from({ length: count }, () => normal(random));
    const sigmas = sigmaSteps({ steps: 64 });
    const result = await runSampler(gaussianDenoiser(sigmaData), normals(), sigmas, {
      ...churned,
      churnNoise: normals,
    });
    const variance = result.reduce((sum, x) => sum + x * x, 0) / count;
    const expected = await sampledVariance(64, churned);
    // The mean of n squares of normals has relative standard deviation sqrt(2 / n).
    assert.ok(Math.abs(variance / expected - 1) < 5 * Math.sqrt(2 / count), `${variance} for ${expected}`);
  });

  it("adds noise from level t to (1 + gamma) t within [sMin, sMax] only, times sNoise", async () => {
    const sigmas = sigmaSteps({ steps: 4, sigmaMin: 1, sigmaMax: 4, rho: 1 });
    const trace = async (options: SamplerOptions): Promise<{ steps: SamplerStep[]; drawn: number[] }> => {
      const [steps, drawn]: [SamplerStep[], number[]] = [[], []];
      const churnNoise = (index: number): HostArray => {
        drawn.push(index);
        return Float64Array.of(1, -2);
      };
      const onStep = (step: SamplerStep): void => void steps.push(step);
      await runSampler(gaussianDenoiser(sigmaData), Float64Array.of(1, 1), sigmas, { churnNoise, onStep, ...options });
      return { steps, drawn };
    };
    const { steps, drawn } = await trace({ sChurn: 1, sMin: 2, sMax: 3, sNoise: 1.5 });
    assert.deepEqual(drawn, [1, 2]);
    assert.deepEqual(
      steps.map(({ t, tHat }) => tHat / t),
      [1, 1.25, 1.25, 1],
    );
    for (const { index, t, tHat, xCur, xHat } of steps) {
      const added = drawn.includes(index) ? 1.5 * Math.sqrt(tHat ** 2 - t ** 2) : 0;
      assert.deepEqual([...xHat], [(xCur[0] ?? 0) + added, (xCur[1] ?? 0) - 2 * added]);
    }
    // gamma is at most sqrt(2) - 1, at which the variance doubles.
    assert.deepEqual(
      (await trace({ sChurn: 1000 })).steps.map(({ t, tHat }) => tHat / t),
      new Array(4).fill(Math.SQRT2),
    );
    assert.deepEqual((await trace({ sChurn: 0 })).drawn, []);
  });
});

describe("runSampler", () => {
  const run = (options: SamplerOptions, denoise: StateDenoiser = gaussianDenoiser(sigmaData)): Promise<Float64Array> =>
    runSampler(denoise, Float64Array.of(1), sigmaSteps({ steps: 3 }), options);
  const mistake = (code: string, message: RegExp) => ({ name: "EvenkeelError", code, message });

  it("tells each step and keeps what it told", async () => {
    const steps: SamplerStep[] = [];
    const copies: number[][] = [];
    const result = await run({
      onStep(step) {
        steps.push(step);
        copies.push([...step.xCur, ...step.xHat, ...step.xEuler, ...step.xNext]);
      },
    });
    assert.deepEqual(
      steps.map(({ index }) => index),
      [0, 1, 2],
    );
    assert.deepEqual(
      steps.map(({ xCur, xHat, xEuler, xNext }) => [...xCur, ...xHat, ...xEuler, ...xNext]),
      copies,
    );
    assert.deepEqual(
      steps.map(({ xNext }) => xNext),
      [...steps.slice(1).map(({ xCur }) => xCur), result],
    );
    assert.deepEqual(
      steps.map(({ denoisedEuler }) => denoisedEuler === null),
      [false, false, true],
    );
  });

  it("refuses options, levels and answers that make no sense", async () => {
    for (const sChurn of [-1, NaN, Infinity]) {
      await assert.rejects(
        run({ sChurn }),
        mistake("value", /sChurn is .*, expected a finite number of at least 0\.$/),
      );
    }
    await assert.rejects(run({ sMin: -1 }), mistake("value", /sMin is -1, expected a number of at least 0\.$/));
    await assert.rejects(run({ sMax: NaN }), mistake("value", /sMax is/));
    await assert.rejects(run({ sNoise: Infinity }), mistake("value", /sNoise is/));
    await assert.rejects(run({ sMin: 2, sMax: 1 }), mistake("value", /sMin 2 is above sMax 1/));
    await run({ sMin: 1, sMax: 1 });
    await assert.rejects(run({ sChurn: 1 }), mistake("value", /churnNoise must be given/));
    const tooLong = { sChurn: 1, churnNoise: () => new Float64Array(2) };
    await assert.rejects(run(tooLong), mistake("shape", /churnNoise has 2 elements, expected the state's 1/));
    for (const sigmas of [[], [0], [1], [1, 1, 0], [1, 2, 0], [1, -1], [NaN, 0], [Infinity, 0], [2, 1]]) {
      const attempt = runSampler(gaussianDenoiser(1), Float64Array.of(1), sigmas);
      await assert.rejects(attempt, mistake("value", /must be finite and fall strictly to a final 0/));
    }
    await assert.rejects(
      run({}, async () => new Float64Array(3)),
      mistake("shape", /answer has 3 elements/),
    );
    const brokenAtTheEnd: StateDenoiser = async (x, sigma) => (sigma < 1 ? x.map(() => NaN) : x);
    await assert.rejects(
      run({}, brokenAtTheEnd),
      mistake("diverged", /in step 1, at noise level 0\.002, .* answered NaN/),
    );
  });
});

function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let word = Math.imul(state ^ (state >>> 15), 1 | state);
    word = (word + Math.imul(word ^ (word >>> 7), 61 | word)) ^ word;
    return ((word ^ (word >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Box and Muller. */
function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}
