/** The search for the best value of a setting. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { findBest } from "../../../diffusion/comparison/index.ts";

describe("findBest", () => {
  it("comes within its factor of the minimum of any function that falls and then rises", async () => {
    const positive = fc.double({ min: -6, max: 2, noNaN: true }).map((exponent) => 10 ** exponent);
    const slope = fc.double({ min: 0.1, max: 10, noNaN: true });
    await fc.assert(
      fc.asyncProperty(
        positive,
        fc.double({ min: -4, max: 4, noNaN: true }),
        slope,
        slope,
        async (start, doublings, down, up) => {
          const optimum = start * 2 ** doublings;
          const asked: number[] = [];
          const found = await findBest(async (value) => {
            asked.push(value);
            const distance = Math.log(value / optimum);
            return distance < 0 ? -down * distance : up * distance;
          }, start);
          assert.ok(found.isBracketed);
          // The minimum is between the neighbours of the best, which are within the factor; three digits are a half percent more.
          assert.ok(Math.abs(Math.log(found.best / optimum)) < Math.log(1.25) + 0.01, `${found.best} for ${optimum}`);
          assert.equal(new Set(asked).size, asked.length, "a value is tried once");
          assert.deepEqual(
            found.tried.map(({ value }) => value),
            asked,
          );
          assert.equal(found.error, Math.min(...found.tried.map(({ error }) => error)));
        },
      ),
    );
  });

  it("says each time that it goes on beyond an end, and whether it came to one", async () => {
    const widened: number[] = [];
    const found = await findBest(async (value) => 1 / value, 1, {
      widenings: 3,
      onWiden: (value) => widened.push(value),
    });
    assert.deepEqual(widened.map(Math.round), [4, 8, 16]);
    assert.deepEqual([found.best, found.isBracketed], [16, false]);
  });

  it("takes what diverges as bad, and says if everything does", async () => {
    const found = await findBest(async (value) => (value > 1.5 ? NaN : Math.abs(Math.log(value / 0.8))), 1);
    assert.ok(found.isBracketed && found.best < 1.5 && found.best > 0.6);
    const none = await findBest(async () => NaN, 1);
    assert.deepEqual([none.error, none.isBracketed], [Infinity, false]);
  });

  it("refuses what is no scale", async () => {
    await assert.rejects(
      findBest(async () => 1, -1),
      RangeError,
    );
    await assert.rejects(
      findBest(async () => 1, 1, { factor: 1 }),
      RangeError,
    );
  });
});
