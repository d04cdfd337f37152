import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { deflateSync } from "node:zlib";
import { encode } from "fast-png";
import fc from "fast-check";
import sharp from "sharp";
import {
  blobSource,
  convertPictures,
  type ConvertPicturesOptions,
  describeNotice,
  type ImageDataset,
  Notices,
} from "../../../diffusion/data/index.ts";
import { convertDataset } from "../../../diffusion/data/node.ts";
import { decode } from "./picked.ts";
import { chunk, draw, idx, noise, png, pngHeader, pngSignature, temporaryFolder } from "./sampleFiles.ts";

const { folderOf } = temporaryFolder();

const refuseToDecode = (): Promise<never> => Promise.reject(new Error("nothing was to be decoded"));

type Converted = { readonly dataset: ImageDataset; readonly told: readonly string[] };

async function convert(
  files: Readonly<Record<string, Uint8Array>>,
  options: Partial<ConvertPicturesOptions> & { readonly resolution: number },
): Promise<Converted> {
  const notices = new Notices();
  const blobs = Object.entries(files).map(([path, bytes]) => ({ path, blob: new Blob([new Uint8Array(bytes)]) }));
  const whole = {
    transform: "center-crop",
    greyscale: false,
    background: [255, 255, 255],
    decode: refuseToDecode,
    ...options,
  } as const;
  const dataset = await convertPictures(blobSource("set", blobs), whole, { notices });
  return { dataset, told: notices.list.map(describeNotice) };
}

/** A PNG with one more chunk behind its header. */
function withChunk(file: Uint8Array, type: string, content: Uint8Array): Uint8Array {
  const headerEnd = 8 + 25;
  return Buffer.concat([file.subarray(0, headerEnd), chunk(type, content), file.subarray(headerEnd)]);
}

describe("convertPictures", () => {
  it("makes of square PNGs just what Node makes of them by averages, transparent ones on the background, too", async () => {
    const kinds = fc.record({
      channels: fc.constantFrom(1, 2, 3, 4),
      resolution: fc.integer({ min: 1, max: 5 }),
      larger: fc.integer({ min: 0, max: 7 }),
      greyscale: fc.constant(false),
    });
    await fc.assert(
      fc.asyncProperty(kinds, async ({ channels, resolution, larger, greyscale }) => {
        const side = resolution + larger;
        const files = { "a.png": png(side, side, channels), "b.png": png(side, side, channels) };
        const { dataset, told } = await convert(files, { resolution, greyscale, background: [10, 200, 30] });
        const notices = new Notices();
        const source = await folderOf(files);
        const options = { source, resolution, transform: "box", greyscale, background: "#0ac81e", notices } as const;
        assert.deepEqual([...dataset.pixels], [...(await convertDataset(options)).pixels]);
        assert.deepEqual(
          told,
          notices.list.map((notice) => describeNotice(notice).replace(" (--background)", "")),
        );
      }),
      { numRuns: 60 },
    );
  });

  it("cuts the middle out, or keeps everything on the background; areas become their means", async () => {
    const area = fc.record({
      resolution: fc.integer({ min: 1, max: 4 }),
      scale: fc.integer({ min: 1, max: 3 }),
      more: fc.integer({ min: 0, max: 6 }),
      isWide: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(area, async ({ resolution, scale, more, isWide }) => {
        const short = resolution * scale;
        const [width, height] = isWide ? [short + more, short] : [short, short + more];
        const grey = noise(width * height);
        const files = { "a.png": encode({ width, height, channels: 1, depth: 8, data: grey }) };
        const shift = Math.floor(more / 2);
        const [left, top] = isWide ? [shift, 0] : [0, shift];
        const { dataset } = await convert(files, { resolution });
        const wanted = Array.from({ length: resolution ** 2 }, (_, i) => {
          const [x0, y0] = [left + (i % resolution) * scale, top + Math.floor(i / resolution) * scale];
          let sum = 0;
          for (let y = y0; y < y0 + scale; y++) for (let x = x0; x < x0 + scale; x++) sum += grey[y * width + x] ?? 0;
          return Math.round(sum / scale ** 2);
        });
        assert.deepEqual([...dataset.pixels], [...wanted, ...wanted, ...wanted]);
      }),
      { numRuns: 60 },
    );
    // Six by two, whole: six by six with two rows above and below.
    const wide = encode({ width: 6, height: 2, channels: 1, depth: 8, data: new Uint8Array(12).fill(7) });
    const { dataset } = await convert(
      { "a.png": wide },
      { resolution: 3, transform: "contain", background: [1, 2, 3] },
    );
    const plane = (around: number): number[] => [around, around, around, 7, 7, 7, around, around, around];
    assert.deepEqual([...dataset.pixels], [...plane(1), ...plane(2), ...plane(3)]);
  });

  it("makes greys as bright as Node's, but for rounding", async () => {
    const [side, scale] = [16, 1];
    const files = { "a.png": png(side, side, 3) };
    const { dataset } = await convert(files, { resolution: side / scale, greyscale: true });
    assert.equal(dataset.channels, 1);
    const node = await convertDataset({
      source: await folderOf(files),
      resolution: side,
      transform: "box",
      greyscale: true,
      background: "#ffffff",
    });
    // Its tables have steps of their own.
    dataset.pixels.forEach((value, i) => {
      assert.ok(Math.abs(value - (node.pixels[i] ?? NaN)) <= 1, `pixel ${i}: ${value}, Node has ${node.pixels[i]}`);
    });
    const ofGreys = await convert({ "x-images-idx3-ubyte": idx([2, 4, 4], noise(32)) }, { resolution: 2 });
    assert.deepEqual([ofGreys.dataset.channels, ofGreys.dataset.count], [1, 2]);
  });

  it("gives to the decoder what isn't decoded here, and never a damaged PNG", async () => {
    const raw = { raw: { width: 4, height: 4, channels: 3 } } as const;
    const picture = png(4, 4, 3);
    const jpeg = new Uint8Array(await sharp(noise(48), raw).jpeg().toBuffer());
    const asked: string[] = [];
    const asking = (bytes: Uint8Array, name: string): ReturnType<typeof decode> => {
      asked.push(name);
      return decode(bytes);
    };
    const deep = encode({ width: 4, height: 4, channels: 3, depth: 16, data: new Uint16Array(48).fill(0x8001) });
    const files = {
      "a.jpg": jpeg,
      "b.png": picture,
      "c.png": deep,
      "d.png": withChunk(picture, "eXIf", new Uint8Array(6)),
      "e.png": withChunk(picture, "acTL", new Uint8Array(8)),
      "f.png": picture.subarray(0, -20),
      "g.jpg": new Uint8Array(9),
      "h.png": Buffer.concat([
        pngSignature,
        pngHeader(2, 2, 8, 0),
        chunk("tRNS", Uint8Array.of(0, 5)),
        chunk("IDAT", deflateSync(Uint8Array.of(0, 5, 9, 0, 5, 9))),
        chunk("IEND", new Uint8Array()),
      ]),
    };
    const { dataset, told } = await convert(files, { resolution: 4, decode: asking });
    assert.deepEqual(asked.sort(), ["set: a.jpg", "set: c.png", "set: d.png", "set: g.jpg", "set: h.png"]);
    assert.equal(dataset.count, 6);
    assert.deepEqual(
      [...dataset.pixels.subarray(2 * 48, 3 * 48)],
      Array.from({ length: 48 }, () => 0x80),
    );
    assert.equal(told.length, 5);
    for (const pattern of [
      /^Left out 2 \(f\.png, g\.jpg\): pictures that are damaged/,
      /^Changed 1 \(c\.png\): pictures of 16 bits/,
      /^Changed 1 \(e\.png\): animations/,
      /^Changed 1 \(h\.png\): pictures that are transparent in places, shown on #ffffff\.$/,
      /^Changed 1 \(h\.png\): pictures smaller than 4, which are enlarged/,
    ]) {
      assert.equal(told.filter((line) => pattern.test(line)).length, 1, `${pattern}: ${told.join("\n")}`);
    }
  });

  it("leaves out what its decoder gives wrongly, and takes at most so many, with labels of names if asked", async () => {
    const files = Object.fromEntries(
      ["cat.1", "cat.2", "dog.1", "dog.2"].map((name) => [`${name}.jpg`, Uint8Array.of(draw(256))]),
    );
    const wrong = (_: Uint8Array, name: string): ReturnType<typeof decode> =>
      Promise.resolve({
        data: new Uint8Array(name.endsWith("cat.2.jpg") ? 3 : 12).fill(9),
        width: 2,
        height: 2,
        channels: 3,
        isAnimation: name.endsWith("dog.1.jpg"),
      });
    const { dataset, told } = await convert(files, { resolution: 2, decode: wrong, labelsFrom: "names", maxImages: 2 });
    assert.deepEqual([dataset.count, dataset.classNames], [2, ["cat", "dog"]]);
    assert.deepEqual([...(dataset.labels?.values ?? [])], [0, 1]);
    assert.match(told.join("\n"), /^Left out 1 \(cat\.2\.jpg\).*\nChanged 1 \(dog\.1\.jpg\): animations/);
    const alone = { "cat.2.jpg": Uint8Array.of(1) };
    await assert.rejects(convert(alone, { resolution: 2, decode: wrong }), {
      code: "file",
      message: /its decoder gives 3 bytes for 2x2 pixels of 3 channels/,
    });
  });

  it("refuses sizes that are none", async () => {
    const files = { "a.png": png(2, 2, 3) };
    for (const options of [{ resolution: 0 }, { resolution: 1.5 }, { resolution: 2, maxImages: 0 }]) {
      await assert.rejects(convert(files, options), { code: "value" });
    }
  });
});
