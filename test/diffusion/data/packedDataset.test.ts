import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { gunzipSync, gzipSync } from "node:zlib";
import fc from "fast-check";
import {
  createDataset,
  fingerprint,
  type ImageDataset,
  packDataset,
  unpackDataset,
} from "../../../diffusion/data/index.ts";
import { emojiVendors, loadEmoji } from "../../../diffusion/data/node.ts";
import { EvenkeelError } from "../../../engine/index.ts";
import { small } from "./sampleFiles.ts";

const number = fc.float({ noDefaultInfinity: true, noNaN: true });
const text = fc.string({ unit: "grapheme", maxLength: 8 });

const datasets: fc.Arbitrary<ImageDataset> = fc
  .record({
    name: text,
    count: fc.integer({ min: 1, max: 5 }),
    channels: fc.constantFrom(1, 3),
    resolution: fc.integer({ min: 1, max: 4 }),
    labels: fc.constantFrom("none", "classes", "vectors"),
    names: fc.option(fc.uniqueArray(text, { minLength: 4, maxLength: 6 }), { nil: null }),
    labelDim: fc.integer({ min: 1, max: 3 }),
  })
  .chain(({ count, channels, resolution, labels, names, labelDim, name }) => {
    const size = count * channels * resolution ** 2;
    const classes = fc.array(fc.nat(3), { minLength: count, maxLength: count });
    const vector = fc.array(number, { minLength: labelDim, maxLength: labelDim });
    const vectors = fc.array(vector, { minLength: count, maxLength: count });
    const list = { none: fc.constant(null), classes, vectors }[labels];
    return fc
      .tuple(fc.uint8Array({ minLength: size, maxLength: size }), list, fc.boolean())
      .map(([pixels, values, hasMore]) => {
        const dataset = createDataset({ name, channels, resolution, pixels, labels: values, classNames: names });
        // As a part of a set is, whose last classes have no image.
        if (dataset.labels?.kind !== "classes" || names !== null || !hasMore) return dataset;
        return { ...dataset, labels: { ...dataset.labels, labelDim: dataset.labels.labelDim + 2 } };
      });
  });

describe("a packed data set", () => {
  it("unpacks to what it was", async () => {
    await fc.assert(
      fc.asyncProperty(datasets, async (dataset) => {
        const packed = await packDataset(dataset);
        const unpacked = await unpackDataset(packed);
        assert.deepEqual(unpacked, dataset);
        assert.equal(fingerprint(unpacked), fingerprint(dataset));
        assert.deepEqual(await packDataset(unpacked), packed);
      }),
    );
  });

  it("is a file that is refused if it is damaged in any way", async () => {
    const packed = await packDataset(small);
    // Gzip's header has a time, flags of speed and a system, which say nothing of what is packed.
    const silent = new Set([4, 5, 6, 7, 8, 9]);
    await fc.assert(
      fc.asyncProperty(fc.nat(packed.length - 1), fc.integer({ min: 1, max: 255 }), async (place, change) => {
        fc.pre(!silent.has(place));
        const damaged = packed.map((byte, i) => (i === place ? byte ^ change : byte));
        await assert.rejects(
          unpackDataset(damaged),
          (cause) => cause instanceof EvenkeelError && cause.code === "file",
        );
      }),
      { numRuns: 200 },
    );
    for (let length = 0; length < packed.length; length += 7) {
      await assert.rejects(unpackDataset(packed.subarray(0, length), "x.bin"), { code: "file", message: /^x\.bin\b/ });
    }
  });

  it("says what is wrong with one that is no such file, and isn't unpacked to more than can be", async () => {
    const inner = gunzipSync(await packDataset(small));
    const changed = (from: string, to: string): Promise<ImageDataset> => {
      assert.equal(from.length, to.length);
      const at = inner.indexOf(from);
      assert.ok(at > 0, `${from} is in the file`);
      const bytes = Buffer.from(inner);
      bytes.write(to, at, "latin1");
      return unpackDataset(gzipSync(bytes));
    };
    await assert.rejects(changed("evenkeel images 1", "evenkeel images 9"), /is no file of the format/);
    await assert.rejects(changed("[6,4,4,3]", "[6,4,2,6]"), /its images are U8 \[6, 4, 2, 6\]/);
    await assert.rejects(changed('"labels"', '"labelz"'), /labels without their number, or the other way round/);
    await assert.rejects(changed('"labelDim":"3"', '"labelDim":"2"'), { code: "file", message: /tells of 2 classes/ });
    await assert.rejects(unpackDataset(gzipSync("[]")), { code: "file" });
    const bomb = gzipSync(new Uint8Array(2 ** 24));
    bomb.writeUInt32LE(2 ** 31, bomb.length - 4);
    await assert.rejects(unpackDataset(bomb), /claims 2147483648 bytes/);
    bomb.writeUInt32LE(2 ** 29, bomb.length - 4);
    await assert.rejects(unpackDataset(bomb), /can't unpack to 536870912/);
    bomb.writeUInt32LE(100, bomb.length - 4);
    await assert.rejects(unpackDataset(bomb), /unpacks to more than 100 bytes/);
  });

  it("holds the emoji of 16x16 in 1.2 MB, as a run in Node has them", async () => {
    const emoji = await loadEmoji(emojiVendors, 16);
    const packed = await packDataset(emoji);
    assert.ok(packed.length <= 1.25e6, `${packed.length} bytes`);
    const { pixels, ...facts } = await unpackDataset(packed);
    const { pixels: expected, ...expectedFacts } = emoji;
    assert.deepEqual(facts, expectedFacts);
    assert.ok(Buffer.compare(pixels, expected) === 0, "pixels differ");
  });
});
