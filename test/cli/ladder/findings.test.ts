import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { driftFinding, groupFindings, widthFinding } from "../../../cli/ladder/averageFindings.ts";
import { comparePairs, compareRatios, isLarger, type Verdict } from "../../../cli/ladder/comparison.ts";
import {
  activationFinding,
  growthOf,
  unitFinding,
  updateFinding,
  updateSpread,
  weightFinding,
} from "../../../cli/ladder/dynamicsFindings.ts";
import { type Finding, ladderFindings, overfittingFinding } from "../../../cli/ladder/findings.ts";
import { optimumOf, riseOf } from "../../../cli/ladder/optimum.ts";
import type { LadderResults } from "../../../cli/ladder/results.ts";
import type { ConfigurationName } from "../../../nn/index.ts";
import { entryOf, resultsOf, type RunShape, wholeLadder } from "./syntheticResults.ts";

type Changes = Partial<Record<ConfigurationName, Partial<RunShape>>>;

const all = ["A", "B", "C", "D", "E", "F", "G"] as const;
const everywhere = (change: Partial<RunShape>): Changes => Object.fromEntries(all.map((config) => [config, change]));

/** Two runs of a rung, each of its own numbers. */
function apart(
  config: ConfigurationName,
  first: Partial<RunShape>,
  second: Partial<RunShape>,
): LadderResults["entries"] {
  return [entryOf(config, 0, first), entryOf(config, 1, second)];
}

describe("comparison by ratio", () => {
  it("tells sets apart by more than both spreads together", () => {
    // Standard deviations of logarithms are ln(1.1) / sqrt(2) each.
    const near = compareRatios([1.1, 1.21], [1, 1.1]);
    assert.ok(Math.abs(near.ratio - 1.1) < 1e-12);
    assert.equal(isLarger(near), "unclear");
    assert.equal(isLarger(compareRatios([2, 2.2], [1, 1.1])), "shows");
    assert.equal(isLarger(compareRatios([1, 1.1], [2, 2.2])), "not");
    assert.equal(isLarger(compareRatios([2, 2.2], [1, 1.1]), 3), "not", "clearly larger, but not by that much");
  });

  it("knows nothing from one number each, and lends one number the other set's spread", () => {
    assert.equal(isLarger(compareRatios([100], [1])), "unclear");
    assert.equal(isLarger(compareRatios([100], [1, 1.2])), "shows");
    assert.equal(isLarger(compareRatios([1.2], [1, 1.2])), "unclear");
  });

  it("goes pair by pair, where what a pair has in common drops out", () => {
    // As sets they overlap; the pairs' ratios are 1.1 to 1.102.
    const common = [1, 2, 0.7, 1.4];
    const pairs = [1.1, 1.101, 1.102, 1.1].map((ratio, i) => ({
      changed: ratio * (common[i] ?? 1),
      base: common[i] ?? 1,
    }));
    assert.equal(isLarger(comparePairs(pairs)), "shows");
    const sets = compareRatios(
      pairs.map(({ changed }) => changed),
      common,
    );
    assert.equal(isLarger(sets), "unclear");
    assert.ok(Math.abs(comparePairs(pairs).ratio - sets.ratio) < 1e-12);
    assert.equal(isLarger(comparePairs(pairs.map(({ changed, base }) => ({ changed: base, base: changed })))), "not");
    // One pair that says the opposite is enough to doubt.
    assert.equal(isLarger(comparePairs([...pairs, { changed: 1, base: 1.1 }])), "unclear");
    for (const few of [pairs.slice(0, 1), pairs.slice(0, 2)]) {
      assert.equal(isLarger(comparePairs(few)), "unclear", "fewer than three say nothing");
    }
  });

  it("says the opposite of swapped sets", () => {
    const numbers = fc.array(fc.double({ min: 0.1, max: 10, noNaN: true }), { minLength: 2, maxLength: 4 });
    const opposite: Record<Verdict, Verdict> = { shows: "not", not: "shows", unclear: "unclear", missing: "missing" };
    fc.assert(
      fc.property(numbers, numbers, (left, right) => {
        const [there, back] = [compareRatios(left, right), compareRatios(right, left)];
        assert.ok(Math.abs(there.ratio * back.ratio - 1) < 1e-9);
        // Sets that touch to the last digit may be rounded to either side.
        fc.pre(Math.abs(Math.log(there.low)) > 1e-9 && Math.abs(Math.log(there.high)) > 1e-9);
        assert.equal(isLarger(back), opposite[isLarger(there)]);
      }),
    );
  });
});

describe("optimum of a sweep", () => {
  it("is the vertex of a parabola in the logarithm of the length, whatever lengths were tried", () => {
    const parabola = (sigmaRel: number): { sigmaRel: number; error: number } => ({
      sigmaRel,
      error: 2 + 0.3 * Math.log(sigmaRel / 0.11) ** 2,
    });
    const optimum = optimumOf([0.2, 0.05, 0.13, 0.09].map(parabola));
    assert.ok(optimum !== null && !optimum.isAtEdge);
    assert.ok(Math.abs(optimum.sigmaRel - 0.11) < 1e-9 && Math.abs(optimum.error - 2) < 1e-9);
    assert.equal(optimumOf([0.15, 0.2].map(parabola))?.isAtEdge, true);
    assert.equal(optimumOf([]), null);
    assert.equal(optimumOf([{ sigmaRel: 0.1, error: Number.NaN }]), null);
  });

  it("rises by the mean of both sides, or by the one that was tried", () => {
    const points = [
      { sigmaRel: 0.05, error: 1.2 },
      { sigmaRel: 0.1, error: 1 },
      { sigmaRel: 0.2, error: 1.1 },
    ];
    assert.ok(Math.abs((riseOf(points, 2) ?? 0) - 0.15) < 1e-12);
    assert.ok(Math.abs((riseOf(points, Math.SQRT2) ?? 0) - 0.075) < 1e-12, "halfway in the logarithm");
    assert.ok(Math.abs((riseOf(points.slice(1), 2) ?? 0) - 0.1) < 1e-12);
    assert.equal(riseOf(points.slice(1, 2), 2), null);
  });
});

type Case = {
  readonly name: string;
  readonly finding: (results: LadderResults) => Finding | undefined;
  readonly absent: LadderResults;
  readonly unclear: LadderResults;
  /** Without what the finding needs. */
  readonly lacking: LadderResults;
};

const onlyG = resultsOf([entryOf("G", 0), entryOf("G", 1)]);
const onlyA = resultsOf([entryOf("A", 0), entryOf("A", 1)]);

const cases: readonly Case[] = [
  {
    name: "the whole ladder by error",
    finding: (results) => ladderFindings(results, "error")[0],
    absent: wholeLadder(3, { G: { error: 0.6 } }),
    unclear: resultsOf([
      ...apart("A", { error: 0.4 }, { error: 0.42 }),
      ...apart("G", { error: 0.41 }, { error: 0.4 }),
    ]),
    lacking: onlyG,
  },
  {
    name: "the whole ladder by distance",
    finding: (results) => ladderFindings(results, "distance")[0],
    absent: wholeLadder(3, { G: { distance: 70 } }),
    unclear: wholeLadder(1),
    lacking: wholeLadder(2, everywhere({ distance: null })),
  },
  {
    name: "each step by distance",
    finding: (results) => ladderFindings(results, "distance")[1],
    absent: wholeLadder(3, { E: { distance: 50 } }),
    unclear: resultsOf([
      ...apart("D", { distance: 36 }, { distance: 31 }),
      ...apart("E", { distance: 31 }, { distance: 32 }),
    ]),
    lacking: onlyA,
  },
  {
    name: "growth of activations",
    finding: activationFinding,
    absent: wholeLadder(2, everywhere({ activationGrowth: 1.02 })),
    unclear: resultsOf([
      ...apart("B", { activationGrowth: 1.1 }, { activationGrowth: 9 }),
      ...apart("G", { activationGrowth: 1 }, { activationGrowth: 3 }),
    ]),
    lacking: onlyG,
  },
  {
    name: "G's activations near 1",
    finding: unitFinding,
    absent: wholeLadder(2, { G: { activation: 3 } }),
    unclear: resultsOf(apart("G", { activation: 1 }, { activation: 3 })),
    lacking: onlyA,
  },
  {
    name: "growth of weights",
    finding: weightFinding,
    absent: wholeLadder(2, everywhere({ weightGrowth: 1 })),
    unclear: resultsOf([
      ...apart("A", { weightGrowth: 1 }, { weightGrowth: 2 }),
      ...apart("G", { weightGrowth: 1 }, { weightGrowth: 1.2 }),
    ]),
    lacking: onlyA,
  },
  {
    name: "equal effective learning rates",
    finding: updateFinding,
    absent: wholeLadder(2, { E: { updateSpread: 1.9 }, F: { updateSpread: 2 }, G: { updateSpread: 2.1 } }),
    unclear: resultsOf([
      ...apart("D", { updateSpread: 0.4 }, { updateSpread: 0.9 }),
      ...apart("G", { updateSpread: 0.3 }, { updateSpread: 0.7 }),
    ]),
    lacking: onlyG,
  },
  {
    name: "width of the optimum",
    finding: widthFinding,
    absent: wholeLadder(2, { G: { bend: 0.002 } }),
    unclear: resultsOf([...apart("B", { bend: 0.01 }, { bend: 0.04 }), ...apart("G", { bend: 0.02 }, { bend: 0.05 })]),
    lacking: onlyA,
  },
  {
    name: "drift of the optimum",
    finding: driftFinding,
    absent: wholeLadder(2, { G: { best: 0.08, earlyBest: 0.13 } }),
    unclear: resultsOf(apart("G", { earlyBest: 0.1, best: 0.08 }, { earlyBest: 0.08, best: 0.12 })),
    lacking: resultsOf([{ ...entryOf("G", 0), switches: "groupNorm=none" }]),
  },
  {
    name: "groups that disagree",
    finding: (results) => groupFindings(results)[0],
    absent: wholeLadder(2, { B: { groupSpread: 0.05 }, G: { groupSpread: 0.3 } }),
    unclear: wholeLadder(2, { B: { groupSpread: 0.15 }, G: { groupSpread: 0.1 } }),
    lacking: wholeLadder(2, { B: { groupSpread: null } }),
  },
  {
    name: "groups that gain",
    finding: (results) => groupFindings(results)[1],
    absent: wholeLadder(2, { B: { groupSpread: 0.01 } }),
    unclear: wholeLadder(2, { B: { bend: 0.01, best: 0.1 }, G: { bend: 0.007, best: 0.1, groupSpread: 0.6 } }),
    lacking: onlyA,
  },
  {
    name: "no overfitting",
    finding: overfittingFinding,
    absent: wholeLadder(2, { G: { overfit: 0.5 } }),
    unclear: resultsOf(apart("G", { overfit: 0 }, { overfit: 0.5 })),
    lacking: resultsOf([{ ...entryOf("G", 0), validation: { nimg: [1, 2], values: [null, null] } }]),
  },
];

describe("findings of the paper", () => {
  const paper = wholeLadder(3, { C: { error: 0.38, distance: 48 } });
  for (const { name, finding, absent, unclear, lacking } of cases) {
    it(`${name}: shows, doesn't, can't be told, or wasn't measured`, () => {
      assert.equal(finding(paper)?.verdict, "shows", finding(paper)?.sentence);
      assert.equal(finding(absent)?.verdict, "not", finding(absent)?.sentence);
      assert.equal(finding(unclear)?.verdict, "unclear", finding(unclear)?.sentence);
      assert.equal(finding(lacking)?.verdict, "missing", finding(lacking)?.sentence);
      assert.match(finding(lacking)?.sentence ?? "", /Needs|No validation/);
    });
  }

  it("say which configuration alone is unlike its side", () => {
    const alike = updateFinding(wholeLadder(2, { D: { updateSpread: 0.11 } }));
    assert.equal(alike.verdict, "shows");
    assert.match(alike.sentence, /; E .* Not of D taken alone\.$/);
    assert.doesNotMatch(updateFinding(paper).sentence, /taken alone/);
  });

  it("give the numbers that they rest on", () => {
    const [total, steps] = ladderFindings(paper, "distance");
    assert.match(total?.sentence ?? "", /A is 61\.\d+ \(61\.00 to 61\.61\), that of G 27\.\d+/);
    assert.match(steps?.sentence ?? "", /better: A to B, B to C, .*The best step is C to D, 0\.750 times/);
    assert.match(activationFinding(paper).sentence, /C 6\.02 \(6\.00 to 6\.06\)/);
  });

  it("say that few seeds are too few, and leave out runs with switches", () => {
    assert.match(ladderFindings(wholeLadder(1), "error")[0]?.sentence ?? "", /So few runs say nothing/);
    const switched = { ...entryOf("G", 0, { error: 9 }), name: "G:x", switches: "groupNorm=none" };
    const with9 = resultsOf([...paper.entries, switched]);
    assert.deepEqual(ladderFindings(with9, "error"), ladderFindings(paper, "error"));
  });

  it("compare rungs seed by seed, and as sets where seeds differ", () => {
    const seeds = [0, 1, 2];
    // Each seed's held-out images change its errors by more than the rungs differ.
    const hardness = [1, 1.2, 0.9];
    const rung = (config: "A" | "G", error: number, from: readonly number[]) =>
      from.map((seed, i) => entryOf(config, seed, { error: error * (hardness[i] ?? 1) }));
    const paired = resultsOf([...rung("A", 0.42, seeds), ...rung("G", 0.4, seeds)]);
    assert.equal(ladderFindings(paired, "error")[0]?.verdict, "shows");
    const unpaired = resultsOf([...rung("A", 0.42, seeds), ...rung("G", 0.4, [3, 4, 5])]);
    assert.equal(ladderFindings(unpaired, "error")[0]?.verdict, "unclear");
  });

  it("survive empty ladders, and runs that diverged", () => {
    const broken = { ...entryOf("A", 0), best: { sigmaRel: 0.1, error: Number.NaN, distance: null }, finalUpdates: [] };
    for (const results of [resultsOf([]), resultsOf([broken])]) {
      for (const { finding } of cases) assert.ok((finding(results)?.sentence.length ?? 0) > 0);
    }
  });
});

describe("magnitudes and rates of a run", () => {
  it("grow at the place that ends largest, from a fifth of the run, skipping what wasn't finite", () => {
    const nimg = [0, 10, 20, 50, 100];
    const growth = growthOf([
      { place: "small", nimg, values: [1, 1, 1, 1, 9] },
      { place: "large", nimg, values: [0, 1, null, 5, 10] },
    ]);
    assert.deepEqual(growth, { place: "large", first: 5, last: 10, ratio: 2 });
    assert.equal(growthOf([{ place: "none", nimg, values: [null, null, null, null, null] }]), null);
  });

  it("spread by the logarithm's standard deviation", () => {
    const finalUpdates = [1, Math.E, null].map((value, i) => ({ layer: String(i), value }));
    const measured = updateSpread({ ...entryOf("G", 0), finalUpdates });
    assert.ok(measured !== null && Math.abs(measured.spread - Math.SQRT1_2) < 1e-12);
    assert.ok(Math.abs(measured.range - Math.E) < 1e-12);
    assert.equal(updateSpread({ ...entryOf("G", 0), finalUpdates: finalUpdates.slice(0, 1) }), null);
  });
});
