import assert from "node:assert/strict";
import { test } from "node:test";
import { curveChart, familyChart } from "../../../cli/train/reportCharts.ts";

test("charts of any length are drawn without a warning on the terminal", (t) => {
  const warned = t.mock.method(console, "warn", () => undefined);
  for (const length of [1, 2, 5, 40]) {
    const points = Array.from({ length }, (_, i) => ({ nimg: 100 * (i + 1), value: 1 / (i + 1) }));
    const curves = ["enc 16x16", "enc 8x8", "dec 8x8", "dec 16x16"].map((name) => ({ name, points }));
    for (const chart of [
      curveChart(points, { label: "error" }),
      familyChart(curves, { label: "error", type: "log" }),
    ]) {
      assert.ok(chart.includes("<svg") && !chart.includes("\u26a0"), "Plot marks charts that it has warned of");
    }
  }
  assert.deepEqual(
    warned.mock.calls.map(({ arguments: words }) => words),
    [],
  );
});
