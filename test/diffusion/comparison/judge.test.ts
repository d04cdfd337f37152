/** Intervals that may be looked at after every pair, and what is made of them. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { judge, sequentialInterval } from "../../../diffusion/comparison/index.ts";
import { normals } from "./normals.ts";

describe("sequentialInterval", () => {
  it("holds at all looks together as often as it says, whatever the deviation", () => {
    for (const [level, deviation] of [
      [0.95, 1],
      [0.8, 1e-3],
    ] as const) {
      const next = normals(7);
      const runs = 2000;
      let missed = 0;
      for (let run = 0; run < runs; run++) {
        const values: number[] = [];
        let isIn = true;
        for (let look = 0; look < 30; look++) {
          values.push(3 + deviation * next());
          const { low, high } = sequentialInterval(values, level);
          isIn &&= low <= 3 && 3 <= high;
        }
        missed += Number(!isIn);
      }
      const allowed = 1 - level;
      // At most that share is missed: six deviations of the count that chance gives.
      assert.ok(missed / runs < allowed + 6 * Math.sqrt((allowed * level) / runs), `${missed} of ${runs} at ${level}`);
      // It is no interval of everything, either: some are missed.
      assert.ok(missed > 0);
    }
  });

  it("knows nothing of one value or two, and little more than a planned look of many", () => {
    for (const values of [[], [1], [1, 2]]) {
      const { low, high } = sequentialInterval(values);
      assert.deepEqual([low, high], [-Infinity, Infinity]);
    }
    const next = normals(1);
    const values = Array.from({ length: 100 }, next);
    const { mean, high } = sequentialInterval(values);
    const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / 99);
    // Student's interval is 1.98 deviations of the mean.
    assert.ok((high - mean) / (deviation / 10) < 2 * 1.98);
  });

  it("moves and stretches with its values", () => {
    const values = fc.array(fc.double({ min: -10, max: 10, noNaN: true }), { minLength: 3, maxLength: 12 });
    fc.assert(
      fc.property(
        values,
        fc.double({ min: 0.1, max: 10, noNaN: true }),
        fc.double({ min: -5, max: 5, noNaN: true }),
        (x, a, b) => {
          const plain = sequentialInterval(x);
          const moved = sequentialInterval(x.map((value) => a * value + b));
          for (const end of ["low", "mean", "high"] as const) {
            assert.ok(Math.abs(moved[end] - (a * plain[end] + b)) < 1e-9 * (1 + Math.abs(moved[end]) + 100 * a));
          }
        },
      ),
    );
  });
});

describe("judge", () => {
  const pairs = (ratios: readonly number[]) =>
    ratios.map((ratio, i) => ({ changed: ratio * (1 + i / 7), base: 1 + i / 7 }));

  it("tells better, worse, no difference, and that it can't tell", () => {
    assert.equal(judge(pairs([0.9, 0.91, 0.905, 0.9, 0.895])).verdict, "better");
    assert.equal(judge(pairs([1.1, 1.11, 1.105, 1.1, 1.095])).verdict, "worse");
    assert.equal(judge(pairs([1.001, 0.999, 1, 1.0005, 1])).verdict, "same");
    assert.equal(judge(pairs([0.9, 1.1, 1, 0.95])).verdict, "undecided");
    assert.equal(judge(pairs([0.9])).verdict, "undecided");
    assert.equal(judge([]).verdict, "undecided");
  });

  it("counts a certain difference within the margin as none", () => {
    const small = pairs([0.995, 0.9951, 0.9949, 0.995]);
    assert.equal(judge(small).verdict, "same");
    assert.equal(judge(small, { margin: 0.001 }).verdict, "better");
  });

  it("asks for more where more changes are judged", () => {
    const five = pairs([0.97, 0.95, 0.96, 0.965, 0.955]);
    const [one, twenty] = [judge(five), judge(five, { changes: 20 })];
    assert.ok(twenty.low < one.low && twenty.high > one.high);
  });

  it("knows what pairing is worth", () => {
    const { pairedDeviation, unpairedDeviation } = judge(pairs([0.9, 0.91, 0.905, 0.9, 0.895]));
    assert.ok(pairedDeviation < unpairedDeviation / 10);
  });

  it("calls a change diverging whose error isn't finite, and refuses a base of that kind", () => {
    assert.equal(judge([...pairs([0.9, 0.9, 0.9, 0.9]), { changed: NaN, base: 1 }]).verdict, "diverges");
    assert.throws(() => judge([{ changed: 1, base: Infinity }]), RangeError);
  });
});
