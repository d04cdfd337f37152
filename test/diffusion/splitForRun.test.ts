/** Which images a run holds out. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createDataset, wholeBatch } from "../../diffusion/data/index.ts";
import { completePlan, splitForRun } from "../../diffusion/settings/index.ts";

const dataset = createDataset({
  name: "hundred",
  channels: 1,
  resolution: 1,
  pixels: Uint8Array.from({ length: 100 }, (_, i) => i),
  labels: null,
  classNames: null,
});

function heldOut(settings: Readonly<Record<string, unknown>>): readonly number[] {
  const values = { preset: "smoke", data: "hundred", holdout: 10, ...settings };
  const { training, validation } = splitForRun(dataset, completePlan([{ from: "the test", values }]));
  assert.equal(training.count, 90);
  assert.ok(validation !== null);
  return [...wholeBatch(validation).images];
}

test("runs of all seeds hold the same images out if these have a seed of their own, else each holds out others", () => {
  const own = heldOut({ seed: 1, "holdout-seed": 7 });
  assert.deepEqual(heldOut({ seed: 2, "holdout-seed": 7 }), own);
  assert.deepEqual(heldOut({ seed: 7 }), own);
  assert.notDeepEqual(heldOut({ seed: 2, "holdout-seed": 8 }), own);
  assert.notDeepEqual(heldOut({ seed: 1 }), heldOut({ seed: 2 }));
});
