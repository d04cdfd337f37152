import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  type AveragingProfile,
  exponentialProfile,
  fitProfiles,
  type PostHocFit,
  type PostHocOptions,
  powerFunctionBeta,
  powerProfile,
  profileInnerProduct,
  solvePostHocCoefficients,
} from "../../../diffusion/ema/index.ts";
import { EvenkeelError } from "../../../engine/index.ts";

/** n equally spaced times, two averages each, targets at the last time. */
function fitEvenly(n: number, targets: readonly number[], options: PostHocOptions = {}): readonly PostHocFit[] {
  const times = Array.from({ length: n }, (_, i) => [i + 1, i + 1]).flat();
  const widths = times.map((_, i) => (i % 2 === 0 ? 0.05 : 0.1));
  return solvePostHocCoefficients(
    times,
    widths,
    targets.map(() => n),
    targets,
    options,
  );
}

const first = (fits: readonly PostHocFit[]): PostHocFit => {
  assert.ok(fits[0] !== undefined);
  return fits[0];
};

/** Whether `value` rounds to `printed`, which has its last digit worth `unit`; or is as near as half a unit more. */
const agrees = (value: number, printed: number, digits: number): boolean =>
  Math.abs(value - printed) <= 0.55 * 10 ** (Math.floor(Math.log10(printed)) - digits + 1);

describe("post-hoc coefficients", () => {
  it("have the published values for four times and two widths", () => {
    const raw = first(fitEvenly(4, [0.15], { normalize: false }));
    const wanted = [-0.000541387, 0.00187265, -0.0126649, 0.0366232, -0.0750944, 0.193046, -0.254361, 1.07438];
    wanted.forEach((value, i) => assert.ok(Math.abs((raw.coefficients[i] ?? 0) / value - 1) < 5e-6, `x[${i}]`));
    assert.ok(Math.abs(raw.sum - 0.963263) < 5e-7);
    const scaled = first(fitEvenly(4, [0.15]));
    const normalized = [-0.000562035, 0.00194407, -0.0131479, 0.03802, -0.0779584, 0.200409, -0.264062, 1.11536];
    normalized.forEach((value, i) => assert.ok(Math.abs((scaled.coefficients[i] ?? 0) / value - 1) < 5e-6, `x[${i}]`));
    assert.equal(scaled.sum, raw.sum);
    assert.ok(Math.abs(scaled.coefficients.reduce((a, b) => a + b, 0) - 1) < 1e-15);
  });

  it("are 0, ..., 0, 1 for a stored average, wherever it stands", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20 }), fc.nat(39), fc.boolean(), (n, choice, normalize) => {
        const index = choice % (2 * n);
        const times = Array.from({ length: 2 * n }, (_, i) => 1024 * (1 + (i >> 1)));
        const widths = times.map((_, i) => (i % 2 === 0 ? 0.05 : 0.1));
        const [time = 0, width = 0] = [times[index], widths[index]];
        const fit = first(solvePostHocCoefficients(times, widths, [time], [width], { normalize }));
        fit.coefficients.forEach((value, i) => assert.ok(Math.abs(value - (i === index ? 1 : 0)) <= 1e-15));
        assert.ok(fit.relativeError <= 1e-15);
      }),
    );
  });

  it("fit as exactly as published for 8 to 256 times, with condition numbers up to 5e8", () => {
    const table: readonly (readonly [number, readonly [number, number, number], number])[] = [
      [8, [1.3e-1, 3.8e-4, 2.9e-2], 5e2],
      [16, [4.3e-2, 2.8e-5, 5.9e-3], 6e3],
      [32, [6.3e-3, 1.8e-6, 1.1e-3], 9e4],
      [64, [5.3e-4, 1.1e-7, 2.1e-4], 2e6],
      [128, [3.6e-5, 7.1e-9, 3.9e-5], 3e7],
      [256, [2.3e-6, 4.4e-10, 7.2e-6], 5e8],
    ];
    for (const [n, errors, condition] of table) {
      const fits = fitEvenly(n, [0.015, 0.13, 0.25], { normalize: false });
      errors.forEach((error, i) => {
        const found = fits[i]?.relativeError ?? Number.NaN;
        assert.ok(agrees(found, error, 2), `n ${n}, target ${i}: ${found}, wanted ${error}`);
      });
      assert.ok(agrees(first(fits).conditionNumber, condition, 1), `n ${n}: ${first(fits).conditionNumber}`);
    }
  });

  it("leave the error that the definition gives", () => {
    const fit = first(fitEvenly(6, [0.2]));
    const stored = Array.from({ length: 12 }, (_, i) => powerProfile(1 + (i >> 1), i % 2 === 0 ? 0.05 : 0.1));
    const wanted = powerProfile(6, 0.2);
    let error = profileInnerProduct(wanted, wanted);
    stored.forEach((a, i) => {
      const x = fit.coefficients[i] ?? 0;
      error -= 2 * x * profileInnerProduct(a, wanted);
      stored.forEach((b, j) => (error += x * (fit.coefficients[j] ?? 0) * profileInnerProduct(a, b)));
    });
    const relative = error / profileInnerProduct(wanted, wanted);
    assert.ok(Math.abs(fit.relativeError - relative) <= 1e-12, `${fit.relativeError}, wanted ${relative}`);
  });

  it("are the best ones: no change of them lowers the error", () => {
    const options = { normalize: false };
    const profilesOf = (extra: readonly AveragingProfile[]): PostHocFit =>
      first(fitProfiles([powerProfile(1, 0.1), powerProfile(2, 0.05), ...extra], [powerProfile(3, 0.15)], options));
    fc.assert(
      fc.property(fc.double({ min: 0.02, max: 0.25, noNaN: true }), (width) => {
        // Errors are shares of 1 from sums that are exact but for their last rounding: 1e-14 is ninety of those.
        const more = profilesOf([powerProfile(3, 0.1), powerProfile(2.5, width)]).relativeError;
        assert.ok(more <= profilesOf([powerProfile(3, 0.1)]).relativeError + 1e-14);
      }),
    );
  });

  it("leave an error that falls about as n^-4 with the number of times", () => {
    const errors = [8, 16, 32, 64].map((n) => first(fitEvenly(n, [0.13], { normalize: false })).relativeError);
    errors.slice(1).forEach((error, i) => {
      const order = Math.log2((errors[i] ?? 0) / error);
      assert.ok(order > 3.5 && order < 4.5, `order ${order}`);
    });
  });

  it("don't depend on the unit of time or on the order of the averages", () => {
    const times = [1, 1, 2, 2, 3, 3];
    const widths = [0.05, 0.1, 0.05, 0.1, 0.05, 0.1];
    const fit = first(solvePostHocCoefficients(times, widths, [3], [0.14]));
    const far = first(
      solvePostHocCoefficients(
        times.map((t) => t * 1e9),
        widths,
        [3e9],
        [0.14],
      ),
    );
    const turned = first(solvePostHocCoefficients(times.toReversed(), widths.toReversed(), [3], [0.14]));
    fit.coefficients.forEach((value, i) => {
      assert.ok(Math.abs((far.coefficients[i] ?? 0) - value) < 1e-12);
      assert.ok(Math.abs((turned.coefficients[5 - i] ?? 0) - value) < 1e-12);
    });
  });

  it("use only averages up to the target's time, which targets of one call may differ in", () => {
    const [times, widths] = [
      [1, 2, 3, 4],
      [0.1, 0.1, 0.1, 0.1],
    ];
    const fits = solvePostHocCoefficients(times, widths, [2, 4, 3.5], [0.12, 0.12, 0.12]);
    assert.deepEqual([...(fits[0]?.coefficients ?? [])].slice(2), [0, 0]);
    assert.deepEqual([...(fits[2]?.coefficients ?? [])].slice(3), [0]);
    const alone = first(solvePostHocCoefficients(times.slice(0, 2), widths.slice(0, 2), [2], [0.12]));
    assert.deepEqual([...(fits[0]?.coefficients ?? [])].slice(0, 2), [...alone.coefficients]);
    assert.ok(fits[1]?.coefficients.every((value) => value !== 0));
  });

  it("take exponential averages, too", () => {
    const stored = [4, 6, 8].flatMap((time) => [0.1, 0.2, 0.4].map((halfLife) => exponentialProfile(time, halfLife)));
    const wanted = [exponentialProfile(8, 0.2), exponentialProfile(8, 0.15), powerProfile(8, 0.05)];
    const fits = fitProfiles(stored, wanted);
    stored.forEach((_, i) => assert.ok(Math.abs((fits[0]?.coefficients[i] ?? 0) - (i === 7 ? 1 : 0)) < 1e-14));
    assert.ok((fits[1]?.relativeError ?? 1) < 0.01);
    assert.ok((fits[2]?.relativeError ?? 1) < 0.05);
  });
});

describe("post-hoc averages of trajectories", () => {
  it("are near to the average tracked during training, as near as the error of the fit allows", () => {
    const steps = 256;
    const tracked = (theta: readonly number[], sigmaRel: number, until: number): number =>
      theta.slice(0, until).reduce((average, value, step) => {
        const beta = powerFunctionBeta(sigmaRel, step + 1, 1);
        return beta * average + (1 - beta) * value;
      }, 0);
    const times = Array.from({ length: 16 }, (_, i) => 16 * (i + 1)).flatMap((time) => [time, time]);
    const widths = times.map((_, i) => (i % 2 === 0 ? 0.05 : 0.1));
    const trajectory = fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: steps, maxLength: steps });
    fc.assert(
      fc.property(trajectory, fc.constantFrom(0.06, 0.08, 0.13, 0.18), (theta, sigmaRel) => {
        const fit = first(solvePostHocCoefficients(times, widths, [steps], [sigmaRel], { normalize: false }));
        const stored = times.map((time, i) => tracked(theta, widths[i] ?? 0, time));
        const combined = stored.reduce((sum, value, i) => sum + (fit.coefficients[i] ?? 0) * value, 0);
        // An average is the inner product of its profile with the piecewise constant theta. Cauchy-Schwarz bounds the
        // difference by the L2 error of the fit times the norm of theta.
        const target = powerProfile(steps, sigmaRel);
        const profileError = Math.sqrt(fit.relativeError * profileInnerProduct(target, target));
        const norm = Math.sqrt(theta.reduce((sum, value) => sum + value * value, 0));
        const difference = Math.abs(combined - tracked(theta, sigmaRel, steps));
        assert.ok(difference <= profileError * norm + 1e-12, `${difference}, allowed ${profileError * norm}`);
      }),
      { numRuns: 50 },
    );
  });
});

describe("post-hoc coefficients are refused", () => {
  const refuses = (code: string, message: RegExp, make: () => unknown): void =>
    assert.throws(make, (error) => {
      assert.ok(error instanceof EvenkeelError);
      assert.equal(error.code, code);
      assert.match(error.message, message);
      return true;
    });

  it("without averages that are early enough", () => {
    refuses("value", /none of the 1 stored averages was taken by 2 images/, () =>
      solvePostHocCoefficients([3], [0.1], [2], [0.1]),
    );
    refuses("value", /none of the 0 stored/, () => fitProfiles([], [powerProfile(2, 0.1)]));
  });

  it("for averages that are equal or nearly so", () => {
    refuses("value", /two stored averages have sigma_rel 0.1 at 3 images/, () =>
      solvePostHocCoefficients([3, 3], [0.1, 0.1], [3], [0.1]),
    );
    refuses("value", /too alike .* Use fewer/, () => solvePostHocCoefficients([3, 3], [0.1, 0.1 + 1e-12], [3], [0.15]));
  });

  it("for numbers and lists that don't fit", () => {
    refuses("shape", /2 times but 1 sigma_rel of stored/, () => solvePostHocCoefficients([1, 2], [0.1], [2], [0.1]));
    refuses("range", /sigma_rel is 0.5/, () => solvePostHocCoefficients([1], [0.1], [1], [0.5]));
    refuses("range", /time is 0/, () => solvePostHocCoefficients([0], [0.1], [1], [0.1]));
  });
});
