import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createDataset, seenLabels } from "../../../diffusion/data/index.ts";
import { gridRows } from "../../../diffusion/run/index.ts";
import { maximumRows } from "../../../diffusion/run/gridRows.ts";

const labelled = (labels: readonly number[] | readonly (readonly number[])[]) =>
  createDataset({ name: "data", channels: 1, resolution: 1, pixels: new Uint8Array(labels.length), labels });

test("a grid shows at most ten classes, all of which have images, and all of them where they are fewer", () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.nat(12), fc.nat(5000)), { minLength: 1, maxLength: 60 }), (classes) => {
      const dataset = labelled(classes);
      const rows = gridRows(dataset.labels?.labelDim ?? 0, seenLabels(dataset), 8);
      const present = new Set(classes);
      assert.equal(rows.length, Math.min(present.size, maximumRows));
      assert.equal(new Set(rows).size, rows.length);
      assert.ok(rows.every((row) => typeof row === "number" && present.has(row)));
    }),
  );
  assert.deepEqual(gridRows(2 ** 24, null, 8).length, maximumRows);
  assert.deepEqual(gridRows(0, null, 3), [null, null, null]);
});

test("of label vectors a grid shows some that images have, and what is kept of many is bounded", () => {
  const vectors = Array.from({ length: 1000 }, (_, i) => [i / 1000, 180 - (i % 7), 0.1]);
  const kept = seenLabels(labelled(vectors));
  assert.ok(kept?.kind === "vectors" && kept.values.length === 256);
  const exact = new Set(vectors.map((vector) => Float32Array.from(vector).join()));
  for (const each of kept.values) assert.ok(exact.has(Float32Array.from(each).join()), each.join());
  const rows = gridRows(3, kept, 8);
  assert.equal(new Set(rows.map((row) => String(row))).size, maximumRows);
  const long = Array.from({ length: 3 }, () => new Array<number>(40_000).fill(0.5));
  assert.equal(seenLabels(labelled(long))?.values.length, 1);
  assert.equal(gridRows(1, seenLabels(labelled([[2], [2], [2]])), 8).length, 1);
});
