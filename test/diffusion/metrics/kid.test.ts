import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { chooseIndices, kernelDistance } from "../../../diffusion/metrics/index.ts";
import { normals } from "./normals.ts";

describe("kernelDistance", () => {
  it("is the unbiased estimate, by its definition", () => {
    const [count, dimension] = [9, 3];
    const x = Float32Array.from(normals(count * dimension, 1));
    const y = Float32Array.from(normals(count * dimension, 2), (value) => value + 0.5);
    const kernel = (a: Float32Array, i: number, b: Float32Array, j: number): number => {
      let dot = 0;
      for (let k = 0; k < dimension; k++) dot += (a[i * dimension + k] ?? NaN) * (b[j * dimension + k] ?? NaN);
      return (dot / dimension + 1) ** 3;
    };
    let [xx, yy, xy] = [0, 0, 0];
    for (let i = 0; i < count; i++) {
      for (let j = 0; j < count; j++) {
        if (i !== j) xx += kernel(x, i, x, j);
        if (i !== j) yy += kernel(y, i, y, j);
        xy += kernel(x, i, y, j);
      }
    }
    const expected = (xx + yy) / (count * (count - 1)) - (2 * xy) / count ** 2;
    // One subset of all vectors: in whatever order.
    const { mean, subsetSize, subsets } = kernelDistance(x, y, dimension, { subsets: 1 });
    assert.ok(Math.abs(mean - expected) < 1e-12 * xx, `${mean}, expected ${expected}`);
    assert.deepEqual([subsetSize, subsets], [count, 1]);
  });

  it("averages to 0 for equal distributions, whatever the number of vectors, and not for others", () => {
    const [dimension, draws] = [4, 60];
    for (const count of [10, 80]) {
      const estimates = (offset: number): readonly number[] =>
        Array.from({ length: draws }, (_, i) => {
          const x = Float32Array.from(normals(count * dimension, 2 * i));
          const y = Float32Array.from(normals(count * dimension, 2 * i + 1), (value) => value + offset);
          return kernelDistance(x, y, dimension, { subsets: 1 }).mean;
        });
      const zScore = (values: readonly number[]): number => {
        const mean = values.reduce((a, b) => a + b) / draws;
        const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (draws - 1);
        return mean / Math.sqrt(variance / draws);
      };
      // A biased estimate, with the pairs of a vector with itself, is about 10 standard errors off.
      assert.ok(Math.abs(zScore(estimates(0))) < 3, `${count}: ${zScore(estimates(0))} standard errors from 0`);
      assert.ok(zScore(estimates(1)) > 5, `${count}: ${zScore(estimates(1))}`);
    }
  });

  it("tells the spread of its subsets, which the seed chooses", () => {
    const dimension = 3;
    const x = Float32Array.from(normals(100 * dimension, 5));
    const y = Float32Array.from(normals(60 * dimension, 6), (value) => 1.5 * value);
    const estimate = kernelDistance(x, y, dimension, { subsets: 10, subsetSize: 30 });
    assert.deepEqual(kernelDistance(x, y, dimension, { subsets: 10, subsetSize: 30 }), estimate);
    assert.notEqual(kernelDistance(x, y, dimension, { subsets: 10, subsetSize: 30, seed: 1 }).mean, estimate.mean);
    const singles = Array.from(
      { length: 10 },
      (_, i) => kernelDistance(x, y, dimension, { subsets: 1, subsetSize: 30, seed: i }).mean,
    );
    const mean = singles.reduce((a, b) => a + b) / 10;
    const deviation = Math.sqrt(singles.reduce((sum, value) => sum + (value - mean) ** 2, 0) / 9);
    // Two estimates of one deviation from ten values each: their ratio is within 1/3 to 3 but for one time in 500.
    assert.ok(estimate.standardDeviation > deviation / 3 && estimate.standardDeviation < deviation * 3);
    assert.ok(Math.abs(estimate.standardError - estimate.standardDeviation / Math.sqrt(10)) < 1e-15);
  });

  it("refuses subsets that can't be", () => {
    const x = new Float32Array(10);
    assert.throws(() => kernelDistance(x, x, 2, { subsetSize: 6 }), /subsets of 6; wanted 2 to 5/);
    assert.throws(() => kernelDistance(x, x, 2, { subsetSize: 1 }), /subsets of 1;/);
    assert.throws(() => kernelDistance(x, x, 2, { subsets: 0 }), /0 subsets/);
  });
});

describe("choose", () => {
  it("draws different numbers, as the seed and the number of the draw say", () => {
    const drawn = chooseIndices(50, 20, 3, 1);
    assert.equal(new Set(drawn).size, 20);
    assert.ok(drawn.every((number) => number < 50));
    assert.deepEqual(chooseIndices(50, 20, 3, 1), drawn);
    assert.notDeepEqual(chooseIndices(50, 20, 3, 2), drawn);
    assert.notDeepEqual(chooseIndices(50, 20, 4, 1), drawn);
    assert.deepEqual(
      [...chooseIndices(50, 50, 3)].sort((a, b) => a - b),
      Array.from({ length: 50 }, (_, i) => i),
    );
    assert.throws(() => chooseIndices(5, 6, 0), /can't choose 6 of 5/);
  });
});
