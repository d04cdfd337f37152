/** Intervals of ratios and differences of pairs. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type Pair, pairedInterval, type PairedScale } from "../../../diffusion/comparison/index.ts";
import { normals } from "./normals.ts";

/** Pairs whose values have most of their chance in common, and the difference `shift`. */
function pairsOf(next: () => number, shift: number, count: number): Pair[] {
  return Array.from({ length: count }, () => {
    const common = 5 * next();
    return { changed: common + shift + 0.1 * next(), base: common + 0.1 * next() };
  });
}

describe("pairedInterval", () => {
  it("has the true difference, or ratio, at all looks together as often as it says", () => {
    const shift = 0.3;
    for (const [scale, level] of [
      ["difference", 0.95],
      ["ratio", 0.8],
    ] as const satisfies readonly (readonly [PairedScale, number])[]) {
      const next = normals(11);
      const [runs, looks] = [2000, 20];
      let missed = 0;
      for (let run = 0; run < runs; run++) {
        const logarithms = pairsOf(next, shift, looks);
        const pairs =
          scale === "difference"
            ? logarithms
            : logarithms.map(({ changed, base }) => ({ changed: Math.exp(changed), base: Math.exp(base) }));
        const truth = scale === "difference" ? shift : Math.exp(shift);
        const isIn = pairs.every((_, i) => {
          const { low, high } = pairedInterval(pairs.slice(0, i + 1), scale, level);
          return low <= truth && truth <= high;
        });
        missed += Number(!isIn);
      }
      const allowed = 1 - level;
      // The count of misses is binomial: six of its deviations above what is allowed.
      assert.ok(missed / runs < allowed + 6 * Math.sqrt((allowed * level) / runs), `${missed} of ${runs} at ${level}`);
      assert.ok(missed > 0, "it is no interval of everything");
    }
  });

  it("is as narrow as the difference of a pair lets it, however much both vary together", () => {
    const { low, high, pairedDeviation, unpairedDeviation } = pairedInterval(
      pairsOf(normals(3), 0.3, 50),
      "difference",
    );
    // A pair's difference deviates by 0.1 sqrt 2 = 0.14, two runs without anything in common by 5 sqrt 2 = 7.1. Deviations of 50 values
    // deviate by a tenth of themselves: five of these are a half.
    assert.ok(pairedDeviation > 0.07 && pairedDeviation < 0.21);
    assert.ok(unpairedDeviation > 3.5 && unpairedDeviation < 10.6);
    // Of 50 values at 95 % it is 2 sqrt(0.3 * 49 / 50) = 1.09 deviations wide; Student's for one planned look would be 0.57.
    assert.ok(high - low < 1.1 * pairedDeviation);
  });

  const values = fc.array(
    fc.record({ changed: fc.double({ min: 0.01, max: 10 }), base: fc.double({ min: 0.01, max: 10 }) }),
    {
      minLength: 3,
      maxLength: 10,
    },
  );
  const finitePairs = values.filter((pairs) => pairs.every(({ changed, base }) => changed > 0 && base > 0));
  const near = (a: number, b: number): boolean => a === b || Math.abs(a - b) <= 1e-9 * (1 + Math.abs(a) + Math.abs(b));

  it("turns about when the sides are exchanged, and ratios are differences of logarithms", () => {
    fc.assert(
      fc.property(finitePairs, (pairs) => {
        const swapped = pairs.map(({ changed, base }) => ({ changed: base, base: changed }));
        const [there, back] = [pairs, swapped].map((each) => pairedInterval(each, "difference"));
        assert.ok(there !== undefined && back !== undefined);
        assert.ok(near(there.low, -back.high) && near(there.value, -back.value) && near(there.high, -back.low));
        const ratio = pairedInterval(pairs, "ratio");
        const logarithm = pairedInterval(
          pairs.map(({ changed, base }) => ({ changed: Math.log(changed), base: Math.log(base) })),
          "difference",
        );
        for (const end of ["low", "value", "high"] as const) assert.equal(ratio[end], Math.exp(logarithm[end]));
        assert.equal(ratio.pairedDeviation, logarithm.pairedDeviation);
      }),
    );
  });

  it("is everything for fewer than three pairs, and refuses what can't be compared", () => {
    const two = [
      { changed: 1, base: 2 },
      { changed: 2, base: 2 },
    ];
    const { value, low, high } = pairedInterval(two, "difference");
    assert.deepEqual([value, low, high], [-0.5, -Infinity, Infinity]);
    assert.deepEqual([pairedInterval(two, "ratio").low, pairedInterval(two, "ratio").high], [0, Infinity]);
    assert.ok(Number.isNaN(pairedInterval([], "difference").value));
    assert.throws(
      () => pairedInterval([{ changed: -1, base: 2 }], "ratio"),
      /-1; wanted positive numbers, or the scale/,
    );
    assert.throws(() => pairedInterval([{ changed: 1, base: NaN }], "difference"), /NaN; wanted finite/);
    assert.equal(pairedInterval([{ changed: -1, base: 2 }], "difference").value, -3);
  });
});
