import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  gammaToSigmaRel,
  maximumSigmaRel,
  powerFunctionBeta,
  powerFunctionResponse,
  powerFunctionUpdateRate,
  sigmaRelToGamma,
  traditionalBeta,
  traditionalUpdateRate,
} from "../../../diffusion/ema/index.ts";
import { EvenkeelError } from "../../../engine/index.ts";

const sigmaRels = fc.double({ min: 0.005, max: maximumSigmaRel, noNaN: true });
const isRangeError = (error: unknown): boolean => error instanceof EvenkeelError && error.code === "range";

describe("power functions", () => {
  it("have the published exponents", () => {
    const table: readonly (readonly [number, number])[] = [
      [0.01, 96.994898],
      [0.015, 63.658934],
      [0.02, 46.989582],
      [0.025, 36.98684],
      [0.05, 16.972199],
      [0.075, 10.289116],
      [0.1, 6.937204],
      [0.13, 4.603597],
      [0.15, 3.557869],
      [0.2, 1.826214],
      [0.225, 1.225446],
      [0.25, 0.719824],
      [0.28, 0.169344],
    ];
    for (const [sigmaRel, gamma] of table)
      assert.ok(Math.abs(sigmaRelToGamma(sigmaRel) - gamma) <= 5e-7, `${sigmaRel}`);
    assert.ok(Math.abs(sigmaRelToGamma(maximumSigmaRel)) < 1e-12);
  });

  it("have one exponent for a width and back", () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-6, max: maximumSigmaRel, noNaN: true }), (sigmaRel) => {
        const back = gammaToSigmaRel(sigmaRelToGamma(sigmaRel));
        // With u = 2^-53, Newton's method ends where it can't tell the cubic from 0: within 6u of either term. Divided by the slope
        // and by gamma + 2 that is at most 9u of the width (at gamma 0); the way back rounds six times. 1e-13 is 900u.
        assert.ok(Math.abs(back - sigmaRel) <= 1e-13 * sigmaRel, `${sigmaRel} -> ${back}`);
      }),
    );
  });

  it("have the relative width that they are named for", () => {
    fc.assert(
      fc.property(sigmaRels, (sigmaRel) => {
        const gamma = sigmaRelToGamma(sigmaRel);
        // Moments of the profile (gamma + 1) u^gamma on [0, 1].
        const mean = (gamma + 1) / (gamma + 2);
        const variance = (gamma + 1) / (gamma + 3) - mean ** 2;
        // A difference of numbers below 1 with five roundings: 6e-16 beside a variance of at least 0.005^2, whose root has half the
        // relative error, 1.2e-11.
        assert.ok(Math.abs(Math.sqrt(variance) - sigmaRel) <= 2e-11 * sigmaRel);
      }),
    );
  });

  it("refuse widths and exponents that no profile has", () => {
    for (const sigmaRel of [0, -0.1, 0.2887, 1, Number.NaN, Infinity, Number.MIN_VALUE]) {
      assert.throws(() => sigmaRelToGamma(sigmaRel), isRangeError, `${sigmaRel}`);
    }
    for (const gamma of [-0.1, Number.NaN, Infinity]) assert.throws(() => gammaToSigmaRel(gamma), isRangeError);
  });
});

/**
 * The largest difference between the product of `updates` betas and `wanted`, the power in one step. With u = 2^-53, and exp,
 * log and log1p within 2u of their results (one unit in the last place), each logarithm has an error of u by the rounding of
 * its quotient and of 2u by its own; times the exponent, it rounds once more. So the argument of exp is off by
 * (exponent + 3 |argument|) u, which is the relative error of its result; exp itself adds 2u, each product u. The arguments of
 * the betas add up to that of the one step. Below the normal numbers, exp and a product each add at most their unit 2^-1074.
 * Second orders of u are 1e-10 of this.
 */
function keptError(exponent: number, ratio: number, updates: number, wanted: number): number {
  const argument = exponent * Math.abs(Math.log(ratio));
  const relative = (updates + 1) * (exponent + 3) + 6 * argument;
  return relative * (1 + 1e-6) * 2 ** -53 * wanted + (2 * updates + 1) * Number.MIN_VALUE;
}

describe("powerFunctionBeta", () => {
  it("keeps (t0 / t1)^(gamma + 1) over any sequence of updates from t0 to t1", () => {
    const steps = fc.array(fc.integer({ min: 1, max: 1000 }), { minLength: 2, maxLength: 30 });
    fc.assert(
      fc.property(sigmaRels, steps, (sigmaRel, intervals) => {
        let time = intervals[0] ?? 1;
        const start = time;
        let kept = 1;
        for (const interval of intervals.slice(1)) {
          time += interval;
          kept *= powerFunctionBeta(sigmaRel, time, interval);
        }
        const exponent = sigmaRelToGamma(sigmaRel) + 1;
        const wanted = Math.exp(exponent * Math.log(start / time));
        const allowed = keptError(exponent, start / time, intervals.length - 1, wanted);
        assert.ok(Math.abs(kept - wanted) <= allowed, `${kept}, wanted ${wanted} within ${allowed}`);
      }),
      {
        examples: [
          [0.0070328442854252805, [2, 327, 1]],
          [0.008574081463013753, [1, 508, 1]],
        ],
      },
    );
  });

  it("keeps nothing at the first update", () => {
    assert.equal(powerFunctionBeta(0.1, 2048, 2048), 0);
    assert.equal(powerFunctionUpdateRate(0.1, 2048, 2048), 1);
  });

  it("has a complement that stays exact where beta is near 1", () => {
    const rate = powerFunctionUpdateRate(0.1, 2 ** 60, 1);
    const wanted = (sigmaRelToGamma(0.1) + 1) * 2 ** -60;
    assert.ok(Math.abs(rate - wanted) <= 1e-15 * wanted);
  });

  it("refuses times that can't be", () => {
    for (const [time, interval] of [
      [0, 0],
      [8, 0],
      [8, 9],
      [8, -1],
      [Infinity, 1],
      [Number.NaN, 1],
    ] as const) {
      assert.throws(() => powerFunctionBeta(0.1, time, interval), isRangeError, `${time} ${interval}`);
    }
  });
});

describe("powerFunctionResponse", () => {
  it("adds up to 1, is zero after its time, and nears the continuous profile", () => {
    fc.assert(
      fc.property(sigmaRels, fc.integer({ min: 200, max: 2000 }), (sigmaRel, nimg) => {
        const response = powerFunctionResponse(nimg, sigmaRel, nimg + 10);
        const sum = response.reduce((total, share) => total + share, 0);
        // Two sums of up to 2010 numbers and a quotient, each within 2^-53 of the result: 4.5e-13.
        assert.ok(Math.abs(sum - 1) <= 4.5e-13);
        assert.ok(response.subarray(nimg + 1).every((share) => share === 0));
        // The sum of (k / n)^gamma differs from its integral n / (gamma + 1) by at most the largest term;
        // rounding of the sum and of powers up to 200 adds 2^-53 (2010 + 200).
        const gamma = sigmaRelToGamma(sigmaRel);
        const peak = (gamma + 1) / nimg;
        assert.ok(Math.abs((response[nimg] ?? 0) / peak - 1) <= peak + 2.5e-13);
      }),
    );
  });

  it("refuses lengths that hold nothing", () => {
    for (const length of [0, 1.5, -1, Number.NaN]) {
      assert.throws(() => powerFunctionResponse(10, 0.1, length), isRangeError);
    }
    assert.throws(() => powerFunctionResponse(0, 0.1, 10), isRangeError);
    assert.throws(() => powerFunctionResponse(10, 0.1, 1), isRangeError);
  });
});

describe("traditionalBeta", () => {
  it("halves what it keeps in each half-life", () => {
    const ema = { halfLife: 1000, rampupRatio: null };
    assert.equal(traditionalBeta(ema, 5, 1000), 0.5);
    assert.equal(traditionalBeta(ema, 5, 2000), 0.25);
    assert.equal(traditionalUpdateRate(ema, 5, 1000), 0.5);
  });

  it("has a short half-life early on", () => {
    const ema = { halfLife: 1000, rampupRatio: 0.05 };
    assert.equal(traditionalBeta(ema, 10000, 500), 0.5);
    assert.equal(traditionalBeta(ema, 20000, 1000), 0.5);
    assert.equal(traditionalBeta(ema, 1e9, 1000), 0.5);
    assert.equal(traditionalBeta(ema, 0, 1000), 0);
    assert.equal(traditionalUpdateRate(ema, 0, 1000), 1);
  });

  it("refuses numbers that can't be", () => {
    const good = { halfLife: 1000, rampupRatio: null };
    assert.throws(() => traditionalBeta({ ...good, halfLife: -1 }, 1, 1), isRangeError);
    assert.throws(() => traditionalBeta({ ...good, rampupRatio: Number.NaN }, 1, 1), isRangeError);
    assert.throws(() => traditionalBeta(good, -1, 1), isRangeError);
    assert.throws(() => traditionalBeta(good, 1, 0), isRangeError);
  });
});
