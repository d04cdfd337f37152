import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import {
  createMixture,
  drawPoints,
  growToyMixture,
  mixtureDensity,
  RandomState,
  toyClasses,
} from "../../../diffusion/toy/index.ts";
import { EvenkeelError } from "../../../engine/index.ts";
import { toFloat64 } from "../../../engine/io/index.ts";
import { readSafetensors } from "../../../engine/io/node.ts";

describe("the toy mixtures", () => {
  it("are the published ones", async () => {
    // The copy here, whatever EVENKEEL_REFERENCE names: other files may hold other mixtures.
    const file = await readSafetensors(
      fileURLToPath(new URL("../../reference/toy_mixture.safetensors", import.meta.url)),
    );
    for (const cls of toyClasses) {
      const grown = growToyMixture(cls);
      const [weights, means, covariances] = ["phi", "mu", "Sigma"].map((part) =>
        toFloat64(file.tensor(`${cls}/${part}`)),
      );
      assert.ok(weights !== undefined && means !== undefined && covariances !== undefined);
      const published = createMixture(weights, means, covariances);
      for (const part of ["weights", "means", "variances", "axes"] as const) {
        const [found, expected] = [grown[part], published[part]];
        assert.equal(found.length, expected.length);
        const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
        // Sines and logarithms of another library may differ in their last bits; 7 branches add up few of them.
        expected.forEach((value, i) => {
          assert.ok(Math.abs((found[i] ?? NaN) - value) <= 1e-13 * largest, `${cls} ${part}[${i}]`);
        });
      }
    }
  });

  it("are two trees of 127 branches of 8 components", () => {
    for (const [cls, components] of [
      ["A", 1016],
      ["B", 1016],
      ["AB", 2032],
    ] as const) {
      const { weights } = growToyMixture(cls);
      assert.equal(weights.length, components);
      assert.ok(Math.abs(weights.reduce((sum, weight) => sum + weight, 0) - 1) <= 1e-12);
    }
  });

  it("are standardised over both classes", () => {
    const { weights, means, variances, axes } = growToyMixture("AB");
    for (const axis of [0, 1]) {
      let [mean, square] = [0, 0];
      weights.forEach((weight, k) => {
        const [along = 0, across = 0] = variances.subarray(2 * k, 2 * k + 2);
        const [own = 0, other = 0] = [axes[2 * k + axis], axes[2 * k + 1 - axis]];
        const centre = means[2 * k + axis] ?? NaN;
        mean += weight * centre;
        square += weight * (centre ** 2 + own ** 2 * along + other ** 2 * across);
      });
      // The published constants do so to a thousandth; a tree of another seed is off by hundredths.
      const std = Math.sqrt(square - mean ** 2);
      assert.ok(Math.abs(mean) <= 1e-3, `mean ${mean}`);
      assert.ok(Math.abs(std - 0.5) <= 1e-3, `std ${std}`);
    }
  });

  it("integrate to 1, with their mean as first moment", () => {
    const mixture = growToyMixture("B");
    // The trapezoidal rule on spacing h of a function blurred by s errs by about exp(-2 (pi s / h)^2): 1e-15 here. Beyond the square
    // there are more than 8 deviations to any component.
    const [step, sigma] = [0.1, 0.13];
    let [sum, momentX] = [0, 0];
    for (let x = -3.2; x <= 2.4; x += step) {
      for (let y = -3.2; y <= 2.4; y += step) {
        const mass = Math.exp(mixtureDensity(mixture, x, y, sigma).logDensity) * step ** 2;
        sum += mass;
        momentX += mass * x;
      }
    }
    const mean = mixture.weights.reduce((total, weight, k) => total + weight * (mixture.means[2 * k] ?? NaN), 0);
    assert.ok(Math.abs(sum - 1) <= 1e-9, `${sum}`);
    assert.ok(Math.abs(momentX - mean) <= 1e-9, `${momentX} and ${mean}`);
  });

  it("tell the variance of the clean point, which the score's divergence gives, too", () => {
    const mixture = growToyMixture("A");
    const [sigma, h] = [0.1, 1e-4];
    for (const [x, y] of [
      [0.3, 0.3],
      [0.6, 0.2],
      [-0.4, 0.9],
    ] as const) {
      const at = (dx: number, dy: number) => mixtureDensity(mixture, x + dx, y + dy, sigma);
      const divergence = (at(h, 0).score[0] - at(-h, 0).score[0] + at(0, h).score[1] - at(0, -h).score[1]) / (2 * h);
      // Trace of sigma^2 I + sigma^4 Hessian of the log density (Tweedie). Differences err by h^2 / 6 of a third derivative,
      // which is at most a few 1 / sigma^4: 1e-4 of the whole.
      const expected = 2 * sigma ** 2 + sigma ** 4 * divergence;
      assert.ok(Math.abs(at(0, 0).posteriorVariance - expected) <= 1e-4 * sigma ** 2);
    }
  });

  it("are drawn with their moments", () => {
    const mixture = growToyMixture("A");
    const count = 20000;
    const points = drawPoints(mixture, count, new RandomState(5));
    for (const axis of [0, 1]) {
      const expected = mixture.weights.reduce(
        (sum, weight, k) => sum + weight * (mixture.means[2 * k + axis] ?? NaN),
        0,
      );
      const values = points.filter((_, i) => i % 2 === axis);
      const mean = values.reduce((sum, value) => sum + value, 0) / count;
      const std = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / count);
      // Four standard errors.
      assert.ok(Math.abs(mean - expected) <= (4 * std) / Math.sqrt(count), `${mean} and ${expected}`);
    }
    assert.throws(() => drawPoints(mixture, 0, new RandomState(5)), EvenkeelError);
  });
});
