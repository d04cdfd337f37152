import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { createDataset, fingerprint, openDataset, openPicked, writeDatasetZip } from "../../../diffusion/data/index.ts";

/** What a data set's archive is, as a page keeps it. */
async function archiveOf(dataset: Parameters<typeof writeDatasetZip>[1]): Promise<Blob> {
  const parts: Blob[] = [];
  await writeDatasetZip({ write: async (bytes) => void parts.push(new Blob([new Uint8Array(bytes)])) }, dataset);
  return new Blob(parts);
}

const number = fc.float({ noDefaultInfinity: true, noNaN: true });

describe("the archive of a data set", () => {
  it("is read to what it was, without a disk", async () => {
    const shapes = fc.record({
      count: fc.integer({ min: 1, max: 6 }),
      channels: fc.constantFrom(1, 3),
      resolution: fc.integer({ min: 1, max: 9 }),
      kind: fc.constantFrom("none", "classes", "named", "vectors"),
    });
    await fc.assert(
      fc.asyncProperty(
        shapes,
        fc.infiniteStream(fc.nat(255)),
        fc.infiniteStream(number),
        async (shape, bytes, numbers) => {
          const { count, channels, resolution, kind } = shape;
          const pixels = Uint8Array.from(bytes.take(count * channels * resolution ** 2));
          const classes = [...bytes.take(count)].map((byte) => byte % 4);
          const vectors = classes.map(() => [...numbers.take(2)]);
          const dataset = createDataset({
            name: "set.zip",
            channels,
            resolution,
            pixels,
            labels: { none: null, classes, named: classes, vectors }[kind],
            classNames: kind === "named" ? ["a", "b", "c", "d"] : null,
          });
          const source = await openPicked("set.zip", [{ path: "set.zip", blob: await archiveOf(dataset) }]);
          const read = await openDataset(source);
          await source.close();
          assert.deepEqual(read, dataset);
          assert.equal(fingerprint(read), fingerprint(dataset));
        },
      ),
      { numRuns: 60 },
    );
  });

  it("tells of each image, and is the same each time", async () => {
    const dataset = createDataset({
      name: "x",
      channels: 1,
      resolution: 2,
      pixels: Uint8Array.from({ length: 12 }, (_, i) => i),
    });
    const told: [number, number][] = [];
    await writeDatasetZip({ write: async () => undefined }, dataset, (done, total) => told.push([done, total]));
    assert.deepEqual(told, [
      [1, 3],
      [2, 3],
      [3, 3],
    ]);
    const [first, second] = [await archiveOf(dataset), await archiveOf(dataset)];
    assert.deepEqual(await first.arrayBuffer(), await second.arrayBuffer());
  });
});
