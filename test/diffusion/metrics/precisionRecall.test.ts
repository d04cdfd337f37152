import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { neighbourManifold, precisionRecall } from "../../../diffusion/metrics/index.ts";
import { normals } from "./normals.ts";

const onLine = (...places: readonly number[]) => neighbourManifold(Float32Array.from(places), 1, 1);

describe("precisionRecall", () => {
  it("counts as done by hand on a line, with one neighbour", () => {
    // Balls of the reference: 0 +- 1, 1 +- 1, 3 +- 2, 10 +- 7; of the set: 0.5 +- 4, 4.5 +- 4, 30 +- 25.5.
    const reference = onLine(0, 1, 3, 10);
    const set = onLine(0.5, 4.5, 30);
    assert.deepEqual([...reference.radii], [1, 1, 4, 49]);
    assert.deepEqual([...set.radii], [16, 16, 25.5 ** 2]);
    // 0.5 lies in the balls of 0 and 1, 4.5 in those of 3 and 10, 30 in none.
    assert.deepEqual(precisionRecall(set, reference), {
      precision: 2 / 3,
      recall: 4 / 4,
      density: 4 / 3,
      coverage: 4 / 4,
    });
    // 2.5 lies in the ball of 3 alone. Balls of the set are now 2.5 +- 2, 4.5 +- 2, 30 +- 25.5: none holds 0.
    assert.deepEqual(precisionRecall(onLine(2.5, 4.5, 30), reference), {
      precision: 2 / 3,
      recall: 3 / 4,
      density: 3 / 3,
      coverage: 2 / 4,
    });
  });

  it("is all ones for equal sets, also with vectors that are there many times", () => {
    const dimension = 6;
    const features = Float32Array.from(normals(600 * dimension, 4));
    // Ball by ball only its own neighbours: vectors 0 to 9 are one and the same, so that their radius is exactly 0.
    for (let i = 1; i < 10; i++) features.copyWithin(i * dimension, 0, dimension);
    const set = neighbourManifold(features, dimension);
    assert.deepEqual([...set.radii.subarray(0, 10)], new Array(10).fill(0));
    const { precision, recall, coverage } = precisionRecall(set, set);
    assert.deepEqual([precision, recall, coverage], [1, 1, 1]);
  });

  it("tells quality from variety", () => {
    const dimension = 2;
    // Two far groups; the set has but one of them, then one and something else.
    const group = (count: number, centre: number, seed: number): number[] =>
      [...normals(count * dimension, seed)].map((x) => x + centre);
    const both = neighbourManifold(Float32Array.from([...group(150, 0, 1), ...group(150, 100, 2)]), dimension);
    const one = neighbourManifold(Float32Array.from(group(300, 0, 3)), dimension);
    const half = neighbourManifold(Float32Array.from([...group(150, 0, 4), ...group(150, -100, 5)]), dimension);
    const dropped = precisionRecall(one, both);
    assert.ok(dropped.precision > 0.8 && dropped.recall > 0.4 && dropped.recall <= 0.5, JSON.stringify(dropped));
    assert.ok(dropped.coverage > 0.4 && dropped.coverage <= 0.5);
    const invented = precisionRecall(half, both);
    assert.ok(invented.precision > 0.4 && invented.precision <= 0.5, JSON.stringify(invented));
    const apart = precisionRecall(neighbourManifold(Float32Array.from(group(300, 500, 6)), dimension), both);
    assert.deepEqual(apart, { precision: 0, recall: 0, density: 0, coverage: 0 });
  });

  it("has density 1 and high coverage for equal distributions", () => {
    const dimension = 4;
    const [a, b] = [7, 8].map((seed) =>
      neighbourManifold(Float32Array.from(normals(800 * dimension, seed)), dimension, 5),
    );
    assert.ok(a !== undefined && b !== undefined);
    const { density, coverage } = precisionRecall(a, b);
    // Of k neighbours: the expected coverage is 1 - (about) 2^-k, 0.97.
    assert.ok(Math.abs(density - 1) < 0.15, `density ${density}`);
    assert.ok(Math.abs(coverage - (1 - 2 ** -5)) < 0.04, `coverage ${coverage}`);
  });

  it("refuses too few vectors and regions that don't fit", () => {
    assert.throws(() => neighbourManifold(new Float32Array(3), 1), /3 vectors are too few for neighbour number 3/);
    assert.throws(
      () => precisionRecall(onLine(1, 2), neighbourManifold(new Float32Array(4), 1, 2)),
      /of 1 and 2 neighbours/,
    );
    assert.throws(
      () => precisionRecall(onLine(1, 2), neighbourManifold(new Float32Array(4), 2, 1)),
      /vectors of 1 and 2 features/,
    );
  });
});
