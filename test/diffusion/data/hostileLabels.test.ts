import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { openDataset } from "../../../diffusion/data/node.ts";
import { EvenkeelError } from "../../../engine/index.ts";
import { knowsPeakMemory, peakMemory } from "../../support/peakMemory.ts";
import { idx, png, temporaryFolder } from "./sampleFiles.ts";

const { folderOf } = temporaryFolder();
const mebibyte = 2 ** 20;

describe("labels in a file that has more than the images need", { skip: !knowsPeakMemory }, () => {
  it("are refused in few words, with no more memory than the images' labels would take", async () => {
    const texts = {
      "millions of labels": `{"labels": [${'["a.png", 0],'.repeat(2_000_000)}["a.png", 0]]}`,
      "labels that are texts": `{"labels": [${'[0, "3"],'.repeat(500_000)}["a.png", 0]]}`,
      "depth of millions": `{"labels": ${"[".repeat(900_000)}`,
      spaces: `{"labels": ${" ".repeat(50 * mebibyte)} null}`,
    };
    for (const [what, text] of Object.entries(texts)) {
      const folder = await folderOf({ "a.png": png(2, 2, 3), "dataset.json": text });
      const { result, bytes } = await peakMemory(() => openDataset(folder).catch((reason: unknown) => reason));
      assert.ok(result instanceof EvenkeelError, what);
      if (text.length > 2 ** 24 + 2 ** 15) {
        assert.match(result.message, /the labels of 1 images don't take\. Leave out those of other images/);
      }
      assert.ok(result.message.length < 1000, `${what}: ${result.message.length} characters`);
      assert.ok(bytes < 150 * mebibyte, `${what}: ${Math.round(bytes / mebibyte)} MiB`);
    }
  });

  it("of an IDX file are kept as bytes, however many", async () => {
    const count = 20_000_000;
    const folder = await folderOf({
      "train-images-idx3-ubyte.gz": gzipSync(idx([count, 1, 1], new Uint8Array(count)), { level: 1 }),
      "train-labels-idx1-ubyte.gz": gzipSync(idx([count], new Uint8Array(count).fill(3)), { level: 1 }),
    });
    const { result, bytes } = await peakMemory(() => openDataset(folder));
    assert.deepEqual([result.count, result.labels?.labelDim, result.labels?.values[count - 1]], [count, 4, 3]);
    // A pixel, and a class of four bytes: twice while they are unpacked, and what the allocator keeps.
    assert.ok(bytes < 12 * count + 50 * mebibyte, `${Math.round(bytes / mebibyte)} MiB`);
  });
});
