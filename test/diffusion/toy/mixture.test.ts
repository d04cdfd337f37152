import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import fc from "fast-check";
import { createMixture, type Mixture, mixtureDensities, mixtureDensity } from "../../../diffusion/toy/index.ts";
import { compile, disposeDevices, EvenkeelError, tensor } from "../../../engine/index.ts";

after(disposeDevices);

const coordinate = fc.double({ min: -2, max: 2, noNaN: true });
const level = fc.double({ min: 0.05, max: 3, noNaN: true });
const variance = fc.double({ min: 0.5, max: 3, noNaN: true });

/** Mixtures of one to five components with axes of any direction. */
const mixtures: fc.Arbitrary<Mixture> = fc
  .array(
    fc.record({
      weight: fc.double({ min: 0.1, max: 1, noNaN: true }),
      mean: fc.tuple(coordinate, coordinate),
      angle: fc.double({ min: -4, max: 4, noNaN: true }),
      variances: fc.tuple(variance, variance),
    }),
    { minLength: 1, maxLength: 5 },
  )
  .map((components) => {
    const total = components.reduce((sum, { weight }) => sum + weight, 0);
    const covariances = components.flatMap(({ angle, variances: [v, w] }) => {
      const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
      const mixed = (v - w) * cos * sin;
      return [v * cos * cos + w * sin * sin, mixed, mixed, v * sin * sin + w * cos * cos];
    });
    return createMixture(
      Float64Array.from(components, ({ weight }) => weight / total),
      Float64Array.from(components.flatMap(({ mean }) => mean)),
      Float64Array.from(covariances),
    );
  });

describe("blurred mixtures", () => {
  it("are the normal density for one round component", () => {
    fc.assert(
      fc.property(coordinate, coordinate, level, level, (x, y, variance, sigma) => {
        const round = createMixture(
          Float64Array.of(1),
          Float64Array.of(0.5, -1),
          Float64Array.of(variance, 0, 0, variance),
        );
        const { logDensity, score } = mixtureDensity(round, x, y, sigma);
        const total = variance + sigma ** 2;
        const [dx, dy] = [x - 0.5, y + 1];
        const expected = -(dx ** 2 + dy ** 2) / (2 * total) - Math.log(2 * Math.PI * total);
        assert.ok(Math.abs(logDensity - expected) <= 1e-13 * Math.max(1, Math.abs(expected)));
        assert.ok(
          Math.hypot(score[0] + dx / total, score[1] + dy / total) <= 1e-13 * Math.max(1, Math.hypot(dx, dy) / total),
        );
      }),
    );
  });

  it("have the slope of their log density as score", () => {
    fc.assert(
      fc.property(mixtures, coordinate, coordinate, level, (mixture, x, y, sigma) => {
        // Components of variance 0.5 or more have scores of at most 16 here, so that the third derivative is below 16^3:
        // central differences of step h err by less than h^2 of that and, by rounding, 1e-14 / h.
        const h = 1e-5;
        const at = (dx: number, dy: number): number => mixtureDensity(mixture, x + dx, y + dy, sigma).logDensity;
        const { score } = mixtureDensity(mixture, x, y, sigma);
        const slope = [(at(h, 0) - at(-h, 0)) / (2 * h), (at(0, h) - at(0, -h)) / (2 * h)];
        assert.ok(Math.abs((slope[0] ?? NaN) - score[0]) <= 1e-6, `${slope[0]} and ${score[0]}`);
        assert.ok(Math.abs((slope[1] ?? NaN) - score[1]) <= 1e-6, `${slope[1]} and ${score[1]}`);
      }),
    );
  });

  it("integrate to 1", () => {
    const mixture = createMixture(
      Float64Array.of(0.3, 0.7),
      Float64Array.of(0.4, 0, -0.3, 0.2),
      Float64Array.of(0.02, 0.01, 0.01, 0.03, 0.05, -0.02, -0.02, 0.02),
    );
    // The trapezoidal rule converges faster than any power for such functions; beyond 4 there is less than 1e-16.
    const step = 0.05;
    let sum = 0;
    for (let x = -4; x <= 4; x += step) {
      for (let y = -4; y <= 4; y += step) sum += Math.exp(mixtureDensity(mixture, x, y, 0.3).logDensity) * step ** 2;
    }
    assert.ok(Math.abs(sum - 1) <= 1e-12, `${sum}`);
  });

  it("are the same in a graph", async () => {
    const [mixture] = fc.sample(mixtures, { numRuns: 1, seed: 4 });
    assert.ok(mixture !== undefined);
    const points = Float32Array.from({ length: 20 }, (_, i) => 2 * Math.sin(i));
    const sigma = Float32Array.from({ length: 10 }, (_, i) => 0.1 + 0.3 * i);
    const run = compile(mixtureDensities.bind(null, mixture), { device: "oracle" });
    const { logDensity, score } = await run(tensor(points, { shape: [10, 2] }), tensor(sigma));
    const [densities, scores] = [await logDensity.data(), await score.data()];
    for (const [i, level] of sigma.entries()) {
      const exact = mixtureDensity(mixture, points[2 * i] ?? NaN, points[2 * i + 1] ?? NaN, level);
      // The components are rounded to float32 for the graph, and each moves the result by a few of their units at most.
      assert.ok(Math.abs((densities[i] ?? NaN) - exact.logDensity) <= 1e-5 * Math.max(1, Math.abs(exact.logDensity)));
      const off = Math.hypot((scores[2 * i] ?? NaN) - exact.score[0], (scores[2 * i + 1] ?? NaN) - exact.score[1]);
      assert.ok(off <= 1e-5 * Math.max(1, Math.hypot(...exact.score)));
    }
  });

  it("refuse components that are none", () => {
    const make = (weight: number, ...covariance: readonly number[]) =>
      createMixture(Float64Array.of(weight), Float64Array.of(0, 0), Float64Array.from(covariance));
    const refuses = (code: string, action: () => unknown): void =>
      assert.throws(action, (error) => error instanceof EvenkeelError && error.code === code);
    refuses("value", () => make(1, 1, 2, 2, 1));
    refuses("value", () => make(1, 1, 0.5, 0.4, 1));
    refuses("value", () => make(1, NaN, 0, 0, 1));
    refuses("value", () => make(0, 1, 0, 0, 1));
    refuses("shape", () => make(1, 1, 0, 0));
    // Asymmetric by a few roundings, and by more than these.
    make(1, 1, 0.3, 0.3 + 2 ** -51, 1);
    refuses("value", () => make(1, 1, 0.3, 0.3 + 2 ** -40, 1));
    refuses("shape", () => createMixture(new Float64Array(), new Float64Array(), new Float64Array()));
  });
});
