/** What the functions of power-function averages and guidance refuse, with the whole of the message, and what they just take. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  gammaToSigmaRel,
  maximumSigmaRel,
  powerFunctionBeta,
  powerFunctionResponse,
  sigmaRelToGamma,
} from "../../../diffusion/ema/powerFunction.ts";
import {
  compareProfiles,
  describeProfile,
  exponentialProfile,
  powerProfile,
  profileDensity,
  profileInnerProduct,
} from "../../../diffusion/ema/profile.ts";

const range = (message: string) => ({ name: "EvenkeelError", code: "range", message });

describe("limits of power-function averages", () => {
  it("sigma_rel is above 0 and at most 12^-0.5", () => {
    for (const sigmaRel of [0, -0.1, 0.3, NaN]) {
      assert.throws(
        () => sigmaRelToGamma(sigmaRel),
        range(
          `sigma_rel is ${sigmaRel}; a power-function average has 0 < sigma_rel <= 12^-0.5 = 0.2887 ` +
            "(there it is the uniform average). Typical values are 0.05 to 0.2.",
        ),
      );
    }
    assert.equal(sigmaRelToGamma(maximumSigmaRel), 0);
    assert.throws(
      () => sigmaRelToGamma(5e-324),
      range("sigma_rel is 5e-324; its exponent does not fit a float64. Use a larger one."),
    );
  });

  it("an exponent is finite and at least 0", () => {
    for (const gamma of [-1e-9, Infinity, NaN]) {
      assert.throws(
        () => gammaToSigmaRel(gamma),
        range(`gamma is ${gamma}; the exponent of a power-function average is finite and >= 0.`),
      );
    }
    assert.equal(gammaToSigmaRel(0), Math.sqrt(1 / 3) / 2);
  });

  it("an interval is above 0 and at most the time", () => {
    for (const [time, interval] of [
      [5, 0],
      [5, -1],
      [5, 5.5],
      [5, NaN],
      [NaN, 1],
      [Infinity, 1],
    ] as const) {
      assert.throws(
        () => powerFunctionBeta(0.1, time, interval),
        range(
          `power-function average: an update at time ${time}, ${interval} after the last one; ` +
            "wanted 0 < interval <= time, where time counts from the start of training and the first interval is all of it.",
        ),
      );
    }
    assert.equal(powerFunctionBeta(0.1, 5, 5), 0);
  });

  it("a response has a time above 0 and a whole length", () => {
    for (const [time, length] of [
      [0, 3],
      [-1, 3],
      [NaN, 3],
      [Infinity, 3],
      [5, 0],
      [5, -2],
      [5, 2.5],
      [5, NaN],
    ] as const) {
      assert.throws(
        () => powerFunctionResponse(time, 0.1, length),
        range(`powerFunctionResponse: time ${time}, length ${length}; wanted a time > 0 and a whole length > 0.`),
      );
    }
    assert.throws(
      () => powerFunctionResponse(5, 0.1, 1),
      range("powerFunctionResponse: the profile of time 5, sigma_rel 0.1 is zero at the first 1 times."),
    );
    // The uniform average has a share at time 0, too.
    assert.deepEqual(powerFunctionResponse(5, maximumSigmaRel, 1), Float64Array.of(1));
    assert.deepEqual(powerFunctionResponse(1, maximumSigmaRel, 4), Float64Array.of(0.5, 0.5, 0, 0));
  });
});

describe("limits of averaging profiles", () => {
  it("times and half-lives are finite and above 0", () => {
    for (const nimg of [0, -1, NaN, Infinity]) {
      const message = `averaging profile: its time is ${nimg} images; wanted a finite number > 0.`;
      assert.throws(() => powerProfile(nimg, 0.1), range(message));
      assert.throws(() => exponentialProfile(nimg, 1), range(message));
    }
    for (const halfLife of [0, -1, NaN, Infinity]) {
      assert.throws(
        () => exponentialProfile(10, halfLife),
        range(`exponential profile: the half-life is ${halfLife} images; wanted a number > 0.`),
      );
    }
    assert.throws(
      () => exponentialProfile(40, 10),
      range(
        "exponential profile: at 40 images with half-life 10 the average is still 6.3% initial weights, which no combination " +
          "can take out. Leave out averages earlier than 6.7 half-lives.",
      ),
    );
    assert.equal(exponentialProfile(67, 10).halfLife, 10);
  });

  it("are described, and ordered by time and then by width relative to it", () => {
    const [power, wider] = [powerProfile(100, 0.1), powerProfile(100, 0.2)];
    const [exponential, slower] = [exponentialProfile(100, 5), exponentialProfile(100, 12)];
    assert.equal(describeProfile(power), "sigma_rel 0.1 at 100 images");
    assert.equal(describeProfile(exponential), "half-life 5 at 100 images");
    // Widths 0.05, 0.1, 0.12, 0.2.
    const sorted = [wider, slower, power, exponential].toSorted(compareProfiles);
    assert.deepEqual(sorted, [exponential, power, slower, wider]);
    assert.deepEqual([powerProfile(200, 0.05), wider].toSorted(compareProfiles)[0], wider);
  });

  it("have a density at both of their ends, and none beyond", () => {
    const exponential = exponentialProfile(80, 10);
    const peak = Math.LN2 / 10 / (1 - 2 ** -8);
    for (const [tau, density] of [
      [-1e-9, 0],
      [0, peak * 2 ** -8],
      [80, peak],
      [80.001, 0],
    ] as const) {
      assert.ok(Math.abs(profileDensity(exponential, tau) - density) <= 1e-15, `at ${tau}`);
    }
    assert.equal(profileDensity(powerProfile(80, maximumSigmaRel), 0), 1 / 80);
  });

  it("of two exponential averages overlap as the integral of their densities", () => {
    const [early, late] = [exponentialProfile(80, 10), exponentialProfile(120, 7)];
    // Simpson's rule up to the earlier end; the fourth derivative is below 1e-3, times (80 / 4000)^4 / 180: no error to see.
    const steps = 4000;
    const sum = Array.from({ length: steps + 1 }, (_, i) => {
      const weight = i === 0 || i === steps ? 1 : i % 2 === 1 ? 4 : 2;
      const tau = (80 * i) / steps;
      return weight * profileDensity(early, tau) * profileDensity(late, tau);
    }).reduce((a, b) => a + b);
    const integral = (sum * 80) / steps / 3;
    for (const [a, b] of [
      [early, late],
      [late, early],
    ] as const) {
      assert.ok(Math.abs(profileInnerProduct(a, b) / integral - 1) < 1e-9);
    }
  });
});
