/** How the bench tells growth, and targets that are limits. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { growthOf, growthPlot } from "../../bench/growthPlot.ts";
import type { Row } from "../../bench/row.ts";
import { targetTable } from "../../bench/table.ts";

const measured = (contender: string, median: number) => ({ contender, median, min: median, max: median, samples: 3 });

/** A step as net (a) grows: seconds of ours and PyTorch's, for as much arithmetic. */
const grown = (size: string, value: number, amount: number, ours: number, theirs: number): Row => ({
  group: "growth",
  name: `training step (a), ${size} ${value}`,
  measure: "seconds",
  quantity: { amount, unit: "GFLOP" },
  measurements: [measured("evenkeel wasm", ours), measured("PyTorch", theirs)],
  absent: [],
});

describe("growth", () => {
  // Times an operation of 1, 0.5, 0.6 and 0.55: none rises above the first, but one by a fifth above the second.
  const rows = [
    grown("width", 16, 1, 1, 9),
    grown("width", 32, 2, 1, 9),
    grown("width", 64, 4, 2.4, 9),
    grown("width", 128, 8, 4.4, 9),
    grown("batch", 4, 1, 1, 1),
    grown("batch", 8, 2, 0.5, 1),
  ];

  it("is the most that a size takes an operation beside any smaller one", () => {
    assert.ok(Math.abs((growthOf(rows, "width") ?? NaN) - 1.2) < 1e-12);
    assert.equal(growthOf(rows, "batch"), 0.25);
    assert.equal(growthOf(rows, "resolution"), undefined);
    assert.equal(growthOf([], "width"), undefined);
  });

  it("is drawn for both, with what the largest takes", () => {
    const plot = growthPlot(rows);
    assert.match(plot, /^<svg xmlns/);
    for (const text of ["width", "batch", "0.55", "0.25 evenkeel wasm", "0.50 PyTorch"])
      assert.ok(plot.includes(text), text);
  });
});

describe("targets", () => {
  it("are reached from above or, if they are limits, from below", () => {
    const target = (isLimit: boolean, value: number | undefined) => ({
      what: isLimit ? "seconds" : "ratio",
      must: isLimit ? 2 : 1,
      aim: isLimit ? 1 : 2,
      isLimit,
      measured: () => value,
    });
    const lines = targetTable(
      [
        target(false, 0.5),
        target(false, 1),
        target(false, 2),
        target(true, 3),
        target(true, 2),
        target(true, 1),
        target(true, undefined),
      ],
      [],
    );
    assert.deepEqual(lines.split("\n").slice(2), [
      "| ratio | 1 | 2 | 0.500 | missed |",
      "| ratio | 1 | 2 | 1.00 | must |",
      "| ratio | 1 | 2 | 2.00 | aim |",
      "| seconds | at most 2 | at most 1 | 3.00 | missed |",
      "| seconds | at most 2 | at most 1 | 2.00 | must |",
      "| seconds | at most 2 | at most 1 | 1.00 | aim |",
      "| seconds | at most 2 | at most 1 |  | not measured |",
    ]);
  });
});
