/** What the functions of power-function averages and guidance refuse, with the whole of the message, and what they just take. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { guidedDenoiser } from "../../../diffusion/sample/index.ts";
import {
  gammaToSigmaRel,
  maximumSigmaRel,
  powerFunctionBeta,
  powerFunctionResponse,
  sigmaRelToGamma,
} from "../../../diffusion/ema/powerFunction.ts";

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

describe("guidedDenoiser", () => {
  it("tells why answers of other sizes can't be joined", async () => {
    const answer = (length: number) => async () => new Float32Array(length);
    const guided = guidedDenoiser(answer(6), [{ denoise: answer(5), weight: 2, labels: "same" }]);
    await assert.rejects(guided(new Float32Array(6), [1], null, [1, 6], 1), {
      code: "shape",
      message:
        "guidedDenoiser: a guide answered 5 elements where the main network answered 6. " +
        "Both must make images of the same size and channels.",
    });
  });
});
