/** Parts of a data set leave it as it is, whatever memory a file was read into. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { splitData } from "../../../diffusion/data/index.ts";
import { createDataset, selectImages } from "../../../diffusion/data/index.ts";
import { openDataset } from "../../../diffusion/data/node.ts";
import { idx, noise, npy, temporaryFolder } from "./sampleFiles.ts";

const { path } = temporaryFolder();

describe("images of a data set", () => {
  it("are copied with their labels, in any order, from any memory", () => {
    const memory = fc.constantFrom(
      (bytes: Uint8Array) => bytes,
      (bytes: Uint8Array) => Buffer.from(bytes),
      (bytes: Uint8Array) => Buffer.concat([Buffer.of(1, 2, 3), bytes]).subarray(3),
    );
    const sizes = fc
      .integer({ min: 1, max: 6 })
      .chain((count) => fc.tuple(fc.constant(count), fc.array(fc.nat(count - 1), { maxLength: 8 })));
    fc.assert(
      fc.property(sizes, memory, fc.boolean(), ([count, rows], inMemory, isVector) => {
        const pixels = noise(count * 12);
        const labels = Array.from({ length: count }, (_, i) => i);
        const vectors = labels.map((i) => [i, -i]);
        const dataset = createDataset({
          name: "x",
          channels: 3,
          resolution: 2,
          pixels: inMemory(pixels),
          labels: isVector ? vectors : labels,
        });
        const selected = selectImages(dataset, rows);
        assert.deepEqual(
          [...selected.pixels],
          rows.flatMap((row) => [...pixels.subarray(row * 12, (row + 1) * 12)]),
        );
        assert.deepEqual([...(selected.labels?.values ?? [])], isVector ? rows.flatMap((row) => [row, -row]) : rows);
        assert.deepEqual([...dataset.pixels], [...pixels]);
      }),
    );
  });

  it("that are held out of arrays and IDX files are those of the file, and so are the others", async () => {
    const data = noise(20 * 9);
    await writeFile(path("x.npy"), npy("|u1", [20, 3, 3], data));
    await writeFile(path("images-idx3-ubyte"), idx([20, 3, 3], data));
    await writeFile(path("train-images-idx3-ubyte.gz"), gzipSync(idx([20, 3, 3], data)));
    const all = Array.from({ length: 20 }, (_, i) => [...data.subarray(9 * i, 9 * i + 9)].join()).sort();
    for (const name of ["x.npy", "images-idx3-ubyte", "train-images-idx3-ubyte.gz"]) {
      const dataset = await openDataset(path(name));
      const { training, validation } = splitData(dataset, 7, 1);
      const rows = [training, validation].flatMap((part) =>
        Array.from({ length: part?.count ?? 0 }, (_, i) => [...(part?.pixels ?? []).slice(9 * i, 9 * i + 9)].join()),
      );
      assert.deepEqual(rows.sort(), all, name);
      assert.deepEqual([...dataset.pixels], [...data], name);
    }
  });
});
