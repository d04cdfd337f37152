/** The bench of the lab: its table, and its arithmetic. What it measures is measured by itself: `npm run bench -- --only lab`. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { growthAMinute, labTable, medianOf } from "../../bench/lab/labTable.ts";
import { rendererMemory } from "../../bench/lab/rendererMemory.ts";

describe("the bench of the lab", () => {
  it("takes the middle of odd and even counts", () => {
    assert.equal(medianOf([5, 1, 3]), 3);
    assert.equal(medianOf([4, 1, 2, 100]), 3);
    assert.equal(medianOf([7]), 7);
  });

  it("finds the slope of what grows evenly, and none of what stays or goes up and down about a line", () => {
    assert.equal(growthAMinute([10, 12, 14, 16], 5), 24);
    assert.equal(growthAMinute([3, 3, 3], 5), 0);
    assert.equal(growthAMinute([1, 2, 2, 1], 5), 0);
  });

  it("says of each number whether it is as it must be", () => {
    const table = labTable([
      { name: "a", unit: "kB", value: 250, must: 300, aim: 200 },
      { name: "b", unit: "kB", value: 301, must: 300, aim: 200 },
      { name: "c", unit: "images/s", value: 250, must: 200, aim: 240, isMoreBetter: true },
      { name: "d", unit: "images/s", value: 150, must: 200, isMoreBetter: true },
      { name: "e", unit: "ms", value: 1.23456, note: "by hand" },
    ]).split("\n");
    assert.deepEqual(table.slice(2), [
      "| a | 250 kB | 300 | 200 | as it must be |  |",
      "| b | 301 kB | 300 | 200 | TOO MUCH |  |",
      "| c | 250 images/s | 200 | 240 | as aimed at |  |",
      "| d | 150 images/s | 200 | – | TOO LITTLE |  |",
      "| e | 1.23 ms | – | – |  | by hand |",
    ]);
  });

  it("finds no memory of pages where no browser was started", () => {
    assert.ok([0, undefined].includes(rendererMemory()), String(rendererMemory()));
  });
});
