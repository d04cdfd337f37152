import "../../support/softwareVulkan.ts";
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  createDevice,
  EvenkeelError,
  evaluate,
  keyAt,
  randomGamma,
  randomKey,
  splitKey,
} from "../../../engine/index.ts";

/** The distance of an empirical distribution that a perfect generator exceeds with one seed in 1e9 (Massart 1990). */
const massart = (n: number): number => Math.sqrt(Math.log(2 / 1e-9) / (2 * n));

/** ln Gamma(a) by Stirling's series from 30 on, in float64. */
function logGamma(a: number): number {
  if (a < 30) return logGamma(a + 1) - Math.log(a);
  return (
    (a - 0.5) * Math.log(a) - a + Math.log(2 * Math.PI) / 2 + 1 / (12 * a) - 1 / (360 * a ** 3) + 1 / (1260 * a ** 5)
  );
}

/** The probability of a gamma variate below x: the series of the incomplete gamma function, whose terms are all positive. */
function probabilityBelow(a: number, x: number): number {
  let [term, sum] = [1 / a, 1 / a];
  for (let k = 1; term > 1e-16 * sum; k++) sum += term *= x / (a + k);
  return sum * Math.exp(a * Math.log(x) - x - logGamma(a));
}

describe("randomGamma", () => {
  it("is told from its reference's closed forms", () => {
    for (const x of [0.1, 1, 5, 20]) {
      assert.ok(Math.abs(probabilityBelow(1, x) - (1 - Math.exp(-x))) < 1e-12);
      assert.ok(Math.abs(probabilityBelow(3, x) - (1 - Math.exp(-x) * (1 + x + (x * x) / 2))) < 1e-12);
    }
  });

  it("has the distribution of its name", async () => {
    const device = await createDevice("wasm");
    const n = 2 ** 17;
    for (const [i, a] of [1, 1.25, 2, 4.5, 30, 1000].entries()) {
      const draws = await evaluate(randomGamma(randomKey(i), [n], a), device);
      const sorted = Float64Array.from(draws).sort();
      const distance = sorted.reduce((largest, x, k) => {
        const p = probabilityBelow(a, x);
        return Math.max(largest, (k + 1) / n - p, p - k / n);
      }, 0);
      assert.ok(distance < massart(n), `concentration ${a}: ${distance}`);
    }
    device.dispose();
  });

  it("stays near its mean for large concentrations: within six standard deviations in all of 1,000", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 2 ** 30 }), fc.integer({ min: 5, max: 9 }), async (seed, digits) => {
        const a = 10 ** digits;
        const draws = await evaluate(randomGamma(randomKey(seed), [1000], a), "oracle");
        for (const x of draws) assert.ok(Math.abs(x / a - 1) < 6 / Math.sqrt(a) + 1e-6, `${x} of ${a}`);
      }),
      { seed: 1, numRuns: 10 },
    );
  });

  it("depends on the key alone: a batch of keys gives what each gives", async () => {
    const keys = splitKey(randomKey(3), 3);
    const all = await evaluate(randomGamma(keys, [4], 2.5), "oracle");
    for (const i of [0, 1, 2]) {
      const own = await evaluate(randomGamma(keyAt(keys, i), [4], 2.5), "oracle");
      assert.deepEqual([...all.slice(4 * i, 4 * i + 4)], [...own]);
    }
  });

  it("refuses concentrations below 1", () => {
    for (const a of [0.5, -1, NaN, Infinity]) {
      assert.throws(
        () => randomGamma(randomKey(0), [1], a),
        (error) => error instanceof EvenkeelError && error.code === "range" && /concentration is/.test(error.message),
      );
    }
  });
});
