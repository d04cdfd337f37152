import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  compareDistribution,
  createMixture,
  drawPoints,
  exactScorer,
  excessLoss,
  growToyMixture,
  guidedScorer,
  type PointScorer,
  RandomState,
  sampleToy,
  slicedWasserstein,
} from "../../../diffusion/toy/index.ts";
import { EvenkeelError } from "../../../engine/index.ts";

const options = { sigmaMin: 0.05, sigmaMax: 2, bins: 3, points: 512 };
const round = (variance: number) =>
  createMixture(Float64Array.of(1), Float64Array.of(0.2, -0.4), Float64Array.of(variance, 0, 0, variance));

const refuses = (action: () => Promise<unknown>, code: string): Promise<void> =>
  assert.rejects(action, (error) => error instanceof EvenkeelError && error.code === code);

describe("the excess loss", () => {
  it("of the ideal denoiser is 0", async () => {
    const mixture = growToyMixture("A");
    for (const bin of await excessLoss(mixture, exactScorer(mixture), options, new RandomState(1))) {
      assert.deepEqual([bin.excessLoss, bin.ratio, bin.standardError], [0, 0, 0]);
      assert.ok(bin.idealLoss > 0);
    }
  });

  it("of one Gaussian for another is what algebra says", async () => {
    const [variance, wrong] = [0.25, 0.36];
    const bins = await excessLoss(round(variance), exactScorer(round(wrong)), options, new RandomState(2));
    assert.equal(bins.length, 3);
    for (const { sigmaFrom, sigmaTo, ratio, standardError, idealLoss } of bins) {
      let [expected, ideal] = [0, 0];
      for (let i = 0; i < 8; i++) {
        const noise = (sigmaFrom * (sigmaTo / sigmaFrom) ** ((i + 0.5) / 8)) ** 2;
        const total = variance + noise;
        // Both answers are multiples of the distance to the mean, whose mean square is 2 (variance + noise).
        const loss = (2 * variance * noise) / total;
        const excess = noise ** 2 * (1 / total - 1 / (wrong + noise)) ** 2 * 2 * total;
        expected += excess / loss / 8;
        ideal += loss / 8;
      }
      assert.ok(Math.abs(idealLoss - ideal) <= 1e-12 * ideal);
      assert.ok(standardError > 0 && standardError < 0.1 * expected);
      assert.ok(Math.abs(ratio - expected) <= 4 * standardError, `${ratio} +- ${standardError}, expected ${expected}`);
    }
  });

  it("wants levels, bins and points", async () => {
    const scorer = exactScorer(round(1));
    for (const wrong of [{ sigmaMin: 0 }, { sigmaMin: 2 }, { bins: 0 }, { points: 15 }]) {
      await refuses(() => excessLoss(round(1), scorer, { ...options, ...wrong }, new RandomState(0)), "value");
    }
  });
});

describe("the sliced Wasserstein distance", () => {
  it("of sets that are moved against each other is the way along an axis", () => {
    const a = drawPoints(round(1), 200, new RandomState(3));
    const b = a.map((value, i) => value + (i % 2 === 0 ? 0.3 : 0.4));
    // The mean over directions of the squared projection of (0.3, 0.4) is half of its square.
    assert.ok(Math.abs(slicedWasserstein(a, b) - 0.5 * Math.SQRT1_2) <= 1e-12);
    assert.equal(slicedWasserstein(a, a), 0);
    assert.throws(() => slicedWasserstein(a, b.subarray(2)), EvenkeelError);
  });
});

describe("samples beside true draws", () => {
  const mixture = growToyMixture("A");
  const repeats = 12;

  it("of the truth are within chance", async () => {
    const { slicedWasserstein: distance, logDensity } = await compareDistribution(
      mixture,
      drawPoints(mixture, 500, new RandomState(7)),
      repeats,
      new RandomState(8),
    );
    // Known numbers of these seeds; chance alone goes beyond 4 once in some thousand seeds.
    assert.ok(Math.abs(distance.deviations) < 4, `${distance.deviations}`);
    assert.ok(Math.abs(logDensity.deviations) < 4, `${logDensity.deviations}`);
  });

  it("of another class, or off their branches, are not", async () => {
    const other = drawPoints(growToyMixture("B"), 500, new RandomState(7));
    const report = await compareDistribution(mixture, other, repeats, new RandomState(8));
    assert.ok(report.slicedWasserstein.deviations > 20);
    const random = new RandomState(9);
    const blurred = drawPoints(mixture, 500, new RandomState(7)).map((value) => value + 0.03 * random.normal());
    const off = await compareDistribution(mixture, blurred, repeats, new RandomState(8));
    assert.ok(off.logDensity.deviations < -20);
    await refuses(() => compareDistribution(mixture, blurred, 2, new RandomState(8)), "value");
  });

  it("of the exact score by Heun's rule are within chance, from the right start", async () => {
    const samples = await sampleToy(exactScorer(mixture), 300, new RandomState(10), { start: mixture });
    const report = await compareDistribution(mixture, samples, repeats, new RandomState(11));
    assert.ok(Math.abs(report.slicedWasserstein.deviations) < 4, `${report.slicedWasserstein.deviations}`);
    await refuses(() => sampleToy(exactScorer(mixture), 0.5, new RandomState(0)), "value");
  });
});

describe("guidance", () => {
  it("pushes away from the guide, and weight 1 asks none", async () => {
    const constant =
      (value: number): PointScorer =>
      async (points) => ({
        logDensity: points.map(() => value).slice(points.length / 2),
        score: points.map(() => value),
      });
    const guided = await guidedScorer(constant(2), constant(0.5), 3)(Float64Array.of(0, 0), 1);
    assert.deepEqual([...guided.score, ...guided.logDensity], [5, 5, 5]);
    const main = constant(2);
    assert.equal(guidedScorer(main, constant(1), 1), main);
  });
});
