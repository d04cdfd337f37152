import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { sigmaSteps } from "../../../diffusion/sample/index.ts";

// Published to four digits.
const published = [
  80, 66.93, 55.74, 46.19, 38.07, 31.22, 25.45, 20.61, 16.59, 13.26, 10.52, 8.282, 6.464, 4.999, 3.829, 2.902, 2.174,
  1.609, 1.174, 0.8446, 0.5977, 0.4154, 0.283, 0.1886, 0.1226, 0.07743, 0.04736, 0.02792, 0.01576, 0.008453, 0.004267,
  0.002,
];

describe("sigmaSteps", () => {
  it("gives the published levels by default", () => {
    const sigmas = sigmaSteps();
    assert.equal(sigmas.length, 33);
    for (const [i, level] of published.entries()) assert.equal(Number((sigmas[i] ?? 0).toPrecision(4)), level);
    assert.equal(sigmas[32], 0);
  });

  it("goes straight to 0 in a single step, and by sigmaMin in two", () => {
    assert.deepEqual(sigmaSteps({ steps: 1, sigmaMax: 5 }), [5, 0]);
    assert.deepEqual(sigmaSteps({ steps: 2, sigmaMax: 5, sigmaMin: 0.1 }), [5, 0.1, 0]);
  });

  it("falls strictly between exact ends, with rho-th roots evenly spaced", () => {
    const options = fc.record({
      steps: fc.integer({ min: 2, max: 300 }),
      sigmaMin: fc.double({ min: 1e-3, max: 0.9, noNaN: true }),
      sigmaMax: fc.double({ min: 1, max: 200, noNaN: true }),
      rho: fc.double({ min: 1, max: 20, noNaN: true }),
    });
    fc.assert(
      fc.property(options, ({ steps, sigmaMin, sigmaMax, rho }) => {
        const sigmas = sigmaSteps({ steps, sigmaMin, sigmaMax, rho });
        assert.equal(sigmas.length, steps + 1);
        assert.deepEqual([sigmas[0], sigmas.at(-2), sigmas.at(-1)], [sigmaMax, sigmaMin, 0]);
        assert.ok(sigmas.every((sigma, i) => i === 0 || sigma < (sigmas[i - 1] ?? 0)));
        const roots = sigmas.slice(0, -1).map((sigma) => sigma ** (1 / rho));
        const gap = ((roots[0] ?? 0) - (roots.at(-1) ?? 0)) / (steps - 1);
        for (const [i, root] of roots.entries()) {
          // A few roundings of numbers below the first root, the power's error divided by rho again.
          assert.ok(Math.abs(root - ((roots[0] ?? 0) - i * gap)) <= 1e-14 * (roots[0] ?? 0) * steps);
        }
      }),
      { numRuns: 100 },
    );
  });

  it("refuses what is out of range, by name", () => {
    const value = (name: RegExp) => ({ name: "EvenkeelError", code: "value", message: name });
    for (const steps of [0, -1, 1.5, NaN, Infinity]) assert.throws(() => sigmaSteps({ steps }), value(/steps is/));
    for (const bad of [0, -1, NaN, Infinity]) {
      assert.throws(() => sigmaSteps({ sigmaMin: bad }), value(/sigmaMin is/));
      assert.throws(() => sigmaSteps({ sigmaMax: bad }), value(/sigmaMax is/));
      assert.throws(() => sigmaSteps({ rho: bad }), value(/rho is/));
    }
    assert.throws(() => sigmaSteps({ sigmaMin: 2, sigmaMax: 2 }), value(/sigmaMin 2 must be below sigmaMax 2/));
  });
});
