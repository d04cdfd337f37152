import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { deflateSync } from "node:zlib";
import fc from "fast-check";
import sharp from "sharp";
import { decodePng } from "../../../diffusion/data/files/decodePng.ts";
import { EvenkeelError } from "../../../engine/index.ts";
import { chunk, pngHeader, pngSignature } from "./sampleFiles.ts";

const end = chunk("IEND", new Uint8Array());
const made = (...chunks: readonly Uint8Array[]): Buffer => Buffer.concat([pngSignature, ...chunks, end]);
const palette = (colours: number): Buffer =>
  chunk(
    "PLTE",
    Uint8Array.from({ length: 3 * colours }, (_, i) => i),
  );
const pixels = (rows: Uint8Array): Buffer => chunk("IDAT", deflateSync(rows));

/** What another decoder, which makes grey pictures coloured, has for a PNG: [channels, height, width]. */
async function planesOf(bytes: Uint8Array, channels: number): Promise<Uint8Array> {
  const { data, info } = await sharp(bytes).raw().toBuffer({ resolveWithObject: true });
  const area = info.width * info.height;
  return Uint8Array.from(
    { length: channels * area },
    (_, i) => data[(i % area) * info.channels + Math.floor(i / area)] ?? 0,
  );
}

function refuses(file: Uint8Array, message: RegExp): void {
  assert.throws(
    () => decodePng(file, "x"),
    (reason) => {
      assert.ok(reason instanceof EvenkeelError && reason.code === "file");
      assert.match(reason.message, message);
      return true;
    },
  );
}

describe("decodePng", () => {
  it("agrees with another decoder, whatever the kind, size, filter and order of rows", async () => {
    const kinds = fc.record({
      channels: fc.constantFrom(1, 2, 3, 4),
      width: fc.integer({ min: 1, max: 19 }),
      height: fc.integer({ min: 1, max: 19 }),
      seed: fc.nat(),
      progressive: fc.boolean(),
      adaptiveFiltering: fc.boolean(),
      colours: fc.constantFrom(0, 2, 3, 4, 15, 16, 256),
    });
    await fc.assert(
      fc.asyncProperty(kinds, async ({ channels, width, height, seed, progressive, adaptiveFiltering, colours }) => {
        // Smooth, so that filters are chosen, and noisy.
        const data = Uint8Array.from({ length: width * height * channels }, (_, i) => i * 3 + ((i * seed) % 7));
        const raw = { width, height, channels: channels };
        const options = { progressive, adaptiveFiltering };
        const isPalette = colours > 0;
        const image = sharp(data, { raw });
        const bytes = isPalette
          ? await image.png({ ...options, palette: true, colours, dither: 0 }).toBuffer()
          : await (channels < 3 ? image.toColourspace("b-w") : image).png(options).toBuffer();
        const got = decodePng(bytes, "x");
        assert.deepEqual([got.width, got.height], [width, height]);
        assert.ok(Buffer.compare(got.pixels, await planesOf(bytes, got.channels)) === 0 || channels === 2);
        if (channels === 2 && !isPalette) {
          const separate = Uint8Array.from(
            data,
            (_, i) => data[(i % (width * height)) * 2 + Math.floor(i / (width * height))] ?? 0,
          );
          assert.deepEqual(got.pixels, separate);
        }
      }),
      { numRuns: 150 },
    );
  });

  it("refuses what contradicts itself", () => {
    const one = pixels(Uint8Array.of(0, 0));
    const header = pngHeader(1, 1, 8, 3);
    const grey = pngHeader(1, 1, 8, 0);
    refuses(made(header, one), /has a palette of 0 bytes/);
    refuses(made(grey, one, grey), /has two headers/);
    refuses(made(grey, one, palette(1), one), /has other things among its pixels/);
    refuses(made(header, palette(2), palette(2), one), /has a palette of/);
    refuses(made(header, chunk("PLTE", new Uint8Array(4)), one), /has a palette of 4 bytes/);
    refuses(made(header, palette(2), chunk("tRNS", new Uint8Array(3)), one), /more opacities than colours/);
    refuses(made(header, palette(2), pixels(Uint8Array.of(0, 2))), /a pixel of colour 2, its palette has 2/);
    refuses(made(grey, pixels(Uint8Array.of(5, 0))), /unknown filter 5/);
  });

  it("takes a palette whose list of opacities is empty, or shorter, for opaque there", () => {
    const rows = pixels(Uint8Array.of(0, 0, 1));
    const header = pngHeader(2, 1, 8, 3);
    const empty = decodePng(made(header, palette(2), chunk("tRNS", new Uint8Array()), rows), "x");
    assert.deepEqual([empty.channels, ...empty.pixels], [3, 0, 3, 1, 4, 2, 5]);
    const short = decodePng(made(header, palette(2), chunk("tRNS", Uint8Array.of(9)), rows), "x");
    assert.deepEqual([short.channels, ...short.pixels.subarray(6)], [4, 9, 255]);
  });

  it("takes pixels of any number of chunks", () => {
    const packed = deflateSync(Uint8Array.of(0, 7, 8));
    const parts = Array.from(packed, (byte) => chunk("IDAT", Uint8Array.of(byte)));
    const empty = Array.from({ length: 20_000 }, () => chunk("IDAT", new Uint8Array()));
    assert.deepEqual([...decodePng(made(pngHeader(2, 1, 8, 0), ...empty, ...parts, ...empty), "x").pixels], [7, 8]);
  });

  it("bounds the picture by what it decodes to, before anything is unpacked", () => {
    // A pixel is a bit here, and three bytes in the end.
    const packed = pixels(new Uint8Array(2 ** 20));
    for (const size of [8193, 16_384, 2 ** 16, 2 ** 31 - 1]) {
      refuses(made(pngHeader(size, size, 1, 3), palette(2), packed), new RegExp(`claims a size of ${size}x${size}`));
    }
    const overflowing = made(pngHeader(64, 64, 8, 0), packed);
    const before = process.memoryUsage().arrayBuffers;
    refuses(made(pngHeader(8000, 8000, 8, 0), packed), /packed pixels, its header asks for 64008000 unpacked/);
    refuses(overflowing, /can't be unpacked/);
    assert.ok(process.memoryUsage().arrayBuffers - before < 2 ** 20);
  });
});
