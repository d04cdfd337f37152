/** The images of an exported run, in PyTorch's processes and here. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import fc from "fast-check";
import { arraysScript } from "../../../cli/export/pytorch/arraysScript.ts";
import { dataScript } from "../../../cli/export/pytorch/dataScript.ts";
import { writeData } from "../../../cli/export/pytorch/describeRun.ts";
import { type DatasetLabels, isLatent, type TrainingDataset, trainingBatches } from "../../../diffusion/data/index.ts";
import { vaeWhitening } from "../../../diffusion/encoding/index.ts";
import { diskFolder } from "../../../engine/io/node.ts";
import { runPython, skip } from "../../torch/pytorch.ts";

/** Prints images and labels of each case, a line of JSON each. */
const script = `
import json, sys
from data import Batches

for name in sys.argv[1:]:
    case = json.load(open(f"{name}/case.json"))
    batches = Batches(f"{name}/data.safetensors", case)
    images, labels = batches.at(range(case["from"], case["from"] + case["count"]))
    assert images.dtype == "float32" and (labels is None or labels.dtype == "float32")
    print(json.dumps([images.ravel().tolist(), None if labels is None else labels.ravel().tolist()]))
`;

type Case = {
  readonly images: TrainingDataset;
  readonly seed: number;
  readonly xflip: boolean;
  readonly from: number;
  readonly count: number;
};

/** Numbers of a small generator: what the elements are doesn't matter, where they are does. */
const elements = (length: number, seed: number): number[] =>
  Array.from({ length }, (_, i) => (Math.imul(i + seed, 2654435761) >>> 8) % 256);

function labelsOf(kind: "none" | "classes" | "vectors", count: number): DatasetLabels | null {
  if (kind === "none") return null;
  if (kind === "classes")
    return { kind, labelDim: 3, values: Int32Array.from({ length: count }, (_, i) => (i * 7) % 3) };
  return { kind, labelDim: 2, values: Float32Array.from(elements(2 * count, 3)) };
}

const cases: fc.Arbitrary<Case> = fc
  .record({
    size: fc.integer({ min: 1, max: 40 }),
    resolution: fc.integer({ min: 1, max: 4 }),
    kind: fc.constantFrom("pixels", "latents"),
    labels: fc.constantFrom("none", "classes", "vectors"),
    seed: fc.oneof(fc.nat(5), fc.maxSafeNat()),
    xflip: fc.boolean(),
    from: fc.oneof(fc.nat(200), fc.integer({ min: 2 ** 32 - 50, max: 2 ** 32 + 50 })),
    count: fc.integer({ min: 1, max: 30 }),
  })
  .map(({ size, resolution, kind, labels, ...rest }) => {
    const shared = {
      name: "drawn",
      count: size,
      resolution,
      labels: labelsOf(labels, size),
      classNames: null,
    } as const;
    const area = resolution ** 2;
    const images: TrainingDataset =
      kind === "pixels"
        ? { ...shared, channels: 3, pixels: Uint8Array.from(elements(size * 3 * area, size)) }
        : {
            ...shared,
            channels: 4,
            meanAndDeviation: Float32Array.from(elements(size * 8 * area, size), (x) => x / 64),
          };
    return { images, ...rest, xflip: rest.xflip && kind === "pixels" };
  });

describe("an exported run's images", () => {
  it("are those of each position here, mirrored, drawn and labelled alike", { skip }, async () => {
    const root = await mkdtemp(join(tmpdir(), "evenkeel-order-"));
    try {
      const drawn = fc.sample(cases, { numRuns: 60, seed: Number(process.env["EVENKEEL_SEED"] ?? 11) });
      await writeFile(join(root, "arrays.py"), arraysScript);
      await writeFile(join(root, "data.py"), dataScript);
      await writeFile(join(root, "print.py"), script);
      for (const [i, { images, ...rest }] of drawn.entries()) {
        const folder = diskFolder(join(root, `case${i}`));
        await folder.prepare();
        const labelDim = images.labels?.labelDim ?? 0;
        await writeData(folder, images, labelDim);
        const whitening = isLatent(images) ? vaeWhitening() : null;
        await writeFile(join(root, `case${i}`, "case.json"), JSON.stringify({ ...rest, labelDim, whitening }));
      }
      const printed = await runPython(root, ["print.py", ...drawn.map((_, i) => `case${i}`)]);
      const told = printed
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line) as [number[], number[] | null]);
      assert.equal(told.length, drawn.length);
      for (const [i, { images, seed, xflip, from, count }] of drawn.entries()) {
        const wanted = trainingBatches(images, seed, xflip)(from, count);
        const [found, labels] = told[i] ?? [[], null];
        assert.deepEqual(labels, wanted.labels === null ? null : [...wanted.labels]);
        assert.equal(found.length, wanted.images.length);
        // Normals are made of logarithms and sines, which differ in their last bits.
        const slack = isLatent(images) ? 2 ** -20 : 0;
        const wrong = found.findIndex((x, place) => !(Math.abs(x - (wanted.images[place] ?? NaN)) <= slack));
        assert.equal(wrong, -1, `case ${i}, element ${wrong}: ${found[wrong]} instead of ${wanted.images[wrong]}`);
      }
    } finally {
      await rm(root, { recursive: true });
    }
  });
});
