import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  featureStatistics,
  type FeatureStatistics,
  frechetDistance,
  frechetReference,
  StatisticsAccumulator,
} from "../../../diffusion/metrics/index.ts";
import { frechetBias } from "../../../diffusion/metrics/frechet.ts";
import { EvenkeelError } from "../../../engine/index.ts";
import { normals } from "./normals.ts";

/** Gaussians with this mean and covariance, given by its elements. */
function gaussian(mean: readonly number[], element: (i: number, j: number) => number): FeatureStatistics {
  const dimension = mean.length;
  const covariance = Float64Array.from({ length: dimension ** 2 }, (_, at) =>
    element(Math.floor(at / dimension), at % dimension),
  );
  return { count: 1000, dimension, mean: Float64Array.from(mean), covariance };
}

const distanceOf = (a: FeatureStatistics, b: FeatureStatistics): number =>
  frechetDistance(a, frechetReference(b)).distance;

function assertNear(actual: number, expected: number, tolerance: number, what: string): void {
  assert.ok(Math.abs(actual - expected) <= tolerance, `${what}: ${actual}, expected ${expected} +- ${tolerance}`);
}

describe("StatisticsAccumulator", () => {
  it("gives the mean and the unbiased covariance, with a large offset as without", () => {
    // By hand: means 3 and 2, deviations (-2, -1), (0, 2), (2, -1); the offset is a power of two, exact in float32.
    for (const offset of [0, 2 ** 20]) {
      const features = Float32Array.of(1, 1, 3, 4, 5, 1).map((x) => x + offset);
      const { count, dimension, mean, covariance } = featureStatistics(features, 2);
      assert.deepEqual([count, dimension], [3, 2]);
      assert.deepEqual([...mean], [3 + offset, 2 + offset]);
      assert.deepEqual([...covariance], [4, 0, 0, 3]);
    }
  });

  it("gives the same bits however the vectors are split", () => {
    const dimension = 5;
    const features = Float32Array.from(normals(dimension * 700, 3));
    const whole = featureStatistics(features, dimension);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 300 }), { minLength: 1 }), (sizes) => {
        const accumulator = new StatisticsAccumulator(dimension);
        let from = 0;
        for (const size of [...sizes, 700]) {
          accumulator.add(features.subarray(from * dimension, (from + size) * dimension));
          from = Math.min(from + size, 700);
          assert.equal(accumulator.count, from);
        }
        assert.deepEqual(accumulator.finish(), whole);
      }),
      { numRuns: 20, seed: 1 },
    );
  });

  it("agrees with two passes over the vectors", () => {
    const [dimension, count] = [7, 300];
    const features = Float32Array.from(normals(dimension * count, 9), (x, i) => x * (1 + (i % dimension)) + 10);
    const { mean, covariance } = featureStatistics(features, dimension);
    for (let i = 0; i < dimension; i++) {
      const of = (k: number, n: number): number => features[n * dimension + k] ?? NaN;
      const meanOf = (k: number): number =>
        Array.from({ length: count }, (_, n) => of(k, n)).reduce((a, b) => a + b) / count;
      assertNear(mean[i] ?? NaN, meanOf(i), 1e-12 * 10, `mean ${i}`);
      for (let j = 0; j < dimension; j++) {
        let sum = 0;
        for (let n = 0; n < count; n++) sum += (of(i, n) - meanOf(i)) * (of(j, n) - meanOf(j));
        assertNear(covariance[i * dimension + j] ?? NaN, sum / (count - 1), 1e-11, `covariance ${i}, ${j}`);
      }
    }
  });

  it("refuses what has no covariance", () => {
    assert.throws(() => featureStatistics(Float32Array.of(1, 2), 2), /two vectors or more, got 1/);
    assert.throws(() => featureStatistics(Float32Array.of(1, 2, 3), 2), /3 numbers are not vectors of 2/);
    assert.throws(() => featureStatistics(Float32Array.of(1, 2, 3, NaN), 2), /feature 1 of vector 1 is NaN/);
  });
});

describe("frechetDistance", () => {
  it("is |m1 - m2|^2 + sum of (s1 - s2)^2 for diagonal covariances", () => {
    const a = gaussian([1, 2, 3], (i, j) => (i === j ? (i + 1) ** 2 : 0));
    const b = gaussian([0, 4, 3], (i, j) => (i === j ? 4 : 0));
    const { distance, means, covariances } = frechetDistance(a, frechetReference(b));
    assertNear(means, 5, 1e-14, "means");
    assertNear(covariances, 1 + 0 + 1, 1e-13, "covariances");
    assertNear(distance, 7, 1e-13, "distance");
  });

  it("is what scipy.linalg.sqrtm gives for covariances that don't commute", () => {
    const size = 6;
    const covariance =
      (k: number) =>
      (i: number, j: number): number => {
        const b = (row: number, column: number): number => Math.cos(k + 2 * row + 5 * column + row * column);
        return Array.from({ length: size }, (_, m) => b(i, m) * b(j, m)).reduce((x, y) => x + y) / size;
      };
    const numbers = Array.from({ length: size }, (_, i) => i);
    const a = gaussian(numbers.map(Math.sin), covariance(1));
    const b = gaussian(numbers.map(Math.cos), covariance(2));
    assertNear(distanceOf(a, b), 6.798420624979279, 1e-6, "a to b");
    assertNear(distanceOf(b, a), 6.798420624979279, 1e-6, "b to a");
  });

  it("is 0 for equal sets, also where covariances are singular", () => {
    for (const [count, dimension] of [
      [200, 20],
      [15, 40],
      [2, 3],
    ] as const) {
      const statistics = featureStatistics(Float32Array.from(normals(count * dimension, count)), dimension);
      // The root of an eigenvalue's rounding, for each of them.
      assertNear(distanceOf(statistics, statistics), 0, 1e-6, `${count} of ${dimension}`);
    }
    const still = featureStatistics(new Float32Array(12).fill(0.5), 3);
    assert.equal(distanceOf(still, still), 0);
  });

  it("is the same for singular covariances either way round, and after a rotation", () => {
    const dimension = 30;
    const full = featureStatistics(Float32Array.from(normals(200 * dimension, 1)), dimension);
    const flat = featureStatistics(
      Float32Array.from(normals(12 * dimension, 2), (x) => 2 * x),
      dimension,
    );
    const forth = distanceOf(full, flat);
    assertNear(distanceOf(flat, full), forth, 1e-6 * forth, "either way");
    // Reversing the order of features is a rotation.
    const reversed = ({ mean, covariance, ...rest }: FeatureStatistics): FeatureStatistics => ({
      ...rest,
      mean: mean.toReversed(),
      covariance: covariance.toReversed(),
    });
    assertNear(distanceOf(reversed(full), reversed(flat)), forth, 1e-6 * forth, "rotated");
  });

  it("refuses vectors of another length", () => {
    assert.throws(
      () =>
        distanceOf(
          gaussian([1], () => 1),
          gaussian([1, 2], () => 1),
        ),
      (error) => error instanceof EvenkeelError && error.code === "shape" && /1 features .* 2\./.test(error.message),
    );
  });

  it("has the bias that frechetBias says, for Gaussian vectors", () => {
    const [dimension, count, draws] = [8, 400, 40];
    const scale = (i: number): number => 1 + (i % dimension) / 2;
    const sample = (seed: number): FeatureStatistics =>
      featureStatistics(
        Float32Array.from(normals(count * dimension, seed), (x, i) => x * scale(i)),
        dimension,
      );
    const exact = frechetReference({
      ...gaussian(new Array<number>(dimension).fill(0), (i, j) => (i === j ? scale(i) ** 2 : 0)),
      count: Infinity,
    });
    const distances = Array.from({ length: draws }, (_, i) => frechetDistance(sample(i), exact).distance);
    const mean = distances.reduce((a, b) => a + b) / draws;
    const deviation = Math.sqrt(distances.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (draws - 1));
    const bias = frechetBias(exact, count);
    // Four standard errors of the mean, and the next order of the expansion, a share of about dimension / count.
    assertNear(mean, bias, (4 * deviation) / Math.sqrt(draws) + (bias * dimension) / count, "mean distance");
    assert.ok(deviation / Math.sqrt(draws) < bias / 10, "the test can tell");
  });
});
