import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { encode } from "fast-png";
import sharp from "sharp";
import { EvenkeelError } from "../../../engine/index.ts";
import { chunk, draw, noise, png, temporaryFolder } from "./sampleFiles.ts";
import { classesOf, convert } from "./told.ts";

const { folderOf } = temporaryFolder();

const raw = { raw: { width: 32, height: 32, channels: 3 } } as const;
const jpeg = await sharp(noise(32 * 32 * 3), raw)
  .jpeg({ mozjpeg: false })
  .toBuffer();
const truncated = jpeg.subarray(0, jpeg.length / 2);

/** A TIFF of 4x4 real numbers from 0 to 1, as scientists' programs write. */
const floatTiff = ((): Uint8Array => {
  // Width, height, bits, no compression, black is 0, where the numbers are, samples, rows and bytes together, real numbers.
  const fields = [256, 4, 257, 4, 258, 32, 259, 1, 262, 1, 273, 8, 277, 1, 278, 4, 279, 64, 339, 3];
  const file = Buffer.alloc(72 + 2 + 6 * fields.length + 4);
  file.write("II*\0", "latin1");
  file.writeUInt32LE(72, 4);
  for (let i = 0; i < 16; i++) file.writeFloatLE(i / 16, 8 + 4 * i);
  file.writeUInt16LE(fields.length / 2, 72);
  for (let i = 0; i < fields.length; i += 2) {
    file.writeUInt16LE(fields[i] ?? 0, 74 + 6 * i);
    file.writeUInt16LE(3, 76 + 6 * i);
    file.writeUInt32LE(1, 78 + 6 * i);
    file.writeUInt16LE(fields[i + 1] ?? 0, 82 + 6 * i);
  }
  return file;
})();

/** A JPEG whose scan ends at coefficient 0, as some telephones write; decoders warn of it and read all. */
const warned = Buffer.from(jpeg);
warned[warned.indexOf(Buffer.from([0xff, 0xda])) + 12] = 0;

describe("pictures that can't be read", () => {
  it("are those with very long rows, too, for each of which decoders would take memory", async () => {
    const rows = { raw: { width: 2 ** 17 + 1, height: 2, channels: 3 } } as const;
    const long = await sharp(new Uint8Array(rows.raw.width * 2 * 3), rows)
      .png()
      .toBuffer();
    const source = await folderOf({ "a.jpg": jpeg, "long.png": long });
    assert.match((await convert(source, 8)).told.join(), /^Left out 1 \(long\.png\): .* too large to decode/);
    await assert.rejects(
      convert(source, 8, { strict: true }),
      /long\.png: it is 131073 x 2 pixels, expected at most 131072/,
    );
  });

  it("are left out with their labels, counted and named, or end the conversion if it is strict", async () => {
    const source = await folderOf({
      "cats/a.jpg": jpeg,
      "cats/broken.jpg": truncated,
      "dogs/a.jpg": jpeg,
      "dogs/b.png": "no picture",
      "dogs/c.jpg": jpeg,
      "dogs/empty.webp": "",
      "dogs/e.bmp": "BM",
    });
    const result = await convert(source, 8);
    assert.deepEqual(classesOf(result), [3, ["cats", "dogs"], [0, 1, 1]]);
    assert.deepEqual(result.told, [
      "Left out 4 (cats/broken.jpg, dogs/b.png, dogs/e.bmp, dogs/empty.webp): " +
        "pictures that are damaged, locked, packed in an unknown way, of real numbers or too large to decode (--strict stops at the first and says why).",
    ]);
    await assert.rejects(convert(source, 8, { strict: true }), (error) => {
      assert.ok(error instanceof EvenkeelError && error.code === "file");
      assert.match(error.message, /: cats\/broken\.jpg: can't be read as an image/);
      return true;
    });
    // At most so many, of those that can be read.
    const few = await convert(source, 8, { maxImages: 2 });
    assert.deepEqual(classesOf(few), [2, ["cats", "dogs"], [0, 1]]);
    const none = await folderOf({ "a.jpg": truncated, "b.jpg": truncated });
    await assert.rejects(convert(none, 8), /a\.jpg: can't be read as an image/);
  });

  it("are not those that their decoders merely warn about, which are told", async () => {
    const { dataset, told } = await convert(await folderOf({ "a.jpg": jpeg, "b.jpg": warned }), 8);
    assert.equal(dataset.count, 2);
    assert.match(told.join("\n"), /^Guessed 1 \(b\.jpg\): pictures whose decoder warns of damage/);
    // The same pixels, as the warning says nothing of them.
    assert.deepEqual(dataset.pixels.subarray(0, 192), dataset.pixels.subarray(192));
  });
});

describe("pictures that are read", () => {
  it("may have any name of their kind", async () => {
    const of = async (kind: "webp" | "tiff" | "avif"): Promise<Buffer> =>
      sharp(noise(32 * 32 * 3), raw)
        .toFormat(kind)
        .toBuffer();
    const files = {
      "a.JPG": jpeg,
      "b.jfif": jpeg,
      "c.jpe": jpeg,
      "d.JFI": jpeg,
      "e.pjpeg": jpeg,
      "f.webp": await of("webp"),
      "g.png": jpeg,
      "h.tif": await of("tiff"),
      "i.TIFF": await of("tiff"),
      "j.avif": await of("avif"),
    };
    const { dataset, told } = await convert(await folderOf(files), 8);
    assert.equal(dataset.count, 10);
    assert.deepEqual(told, []);
  });

  it("are told of if they aren't shown as they are", async () => {
    const frames = Buffer.concat([noise(16 * 16 * 3), noise(16 * 16 * 3)]);
    const animated = await sharp(frames, { raw: { width: 16, height: 32, channels: 3, pageHeight: 16 } })
      .gif()
      .toBuffer();
    // Four channels, but nothing shows through.
    const opaque = encode({ width: 16, height: 16, channels: 4, depth: 8, data: new Uint8Array(1024).fill(255) });
    const source = await folderOf({ "a.gif": animated, "b.png": png(16, 16, 4), "c.jpg": jpeg, "d.png": opaque });
    const { told } = await convert(source, 16, { background: "red" });
    assert.deepEqual(told, [
      "Changed 1 (a.gif): animations and pictures of several pages, of which the first is taken.",
      "Changed 1 (b.png): pictures that are transparent in places, shown on #ff0000 (--background).",
    ]);
    assert.match(
      (await convert(source, 32)).told.join("\n"),
      /Changed 3 \(a\.gif, b\.png, d\.png\): pictures smaller than 32, which are enlarged/,
    );
  });

  it("of 16 bits are told, and so are the pictures of an animated PNG after its first; of real numbers they are left out", async () => {
    const values = Uint16Array.from({ length: 4 * 4 * 3 }, () => draw(65536));
    const deep = encode({ width: 4, height: 4, channels: 3, depth: 16, data: values });
    const plain = png(4, 4, 3);
    // Behind its header of 25 bytes.
    const animated = Buffer.concat([plain.subarray(0, 33), chunk("acTL", new Uint8Array(8)), plain.subarray(33)]);
    const source = await folderOf({ "a.png": deep, "b.png": animated, "c.png": plain, "d.tif": floatTiff });
    const { told, dataset } = await convert(source, 4);
    assert.match(told[0] ?? "", /^Changed 1 \(a\.png\): pictures of 16 bits a channel, of which the upper 8 are taken/);
    assert.equal(told[1], "Changed 1 (b.png): animations and pictures of several pages, of which the first is taken.");
    assert.match(told[2] ?? "", /^Left out 1 \(d\.tif\): pictures that are damaged, .* of real numbers/);
    assert.equal(told.length, 3);
    assert.equal(dataset.pixels[0], (values[0] ?? 0) >> 8);
    await assert.rejects(
      convert(source, 4, { strict: true }),
      /d\.tif: its channels are of type float, whose black and/,
    );
  });

  it("may be bitmaps", async () => {
    // 2x2 of 24 bits, from below: blue and white, red and green.
    const file = Buffer.alloc(70);
    file.write("BM", "latin1");
    for (const [at, value] of [
      [10, 54],
      [14, 40],
      [18, 2],
      [22, 2],
    ] as const)
      file.writeUInt32LE(value, at);
    file.writeUInt16LE(1, 26);
    file.writeUInt16LE(24, 28);
    file.set([255, 0, 0, 255, 255, 255, 0, 0, 0, 0, 255, 0, 255, 0, 0, 0], 54);
    const { dataset, told } = await convert(await folderOf({ "a.bmp": file, "b.DIB": file }), 2);
    assert.deepEqual(told, []);
    assert.deepEqual([...dataset.pixels.subarray(0, 12)], [255, 0, 0, 255, 0, 255, 0, 255, 0, 0, 255, 255]);
  });
});
