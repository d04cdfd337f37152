import assert from "node:assert/strict";
import { crc32, deflateSync, inflateSync } from "node:zlib";
import sharp from "sharp";
import { decodePng } from "../../../diffusion/data/files/decodePng.ts";
import { mutateBytes, pick, within } from "../mutate.ts";
import type { Mutation, Target } from "../target.ts";

type Chunk = readonly [type: string, content: Uint8Array];
const signature = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);

function chunksOf(file: Uint8Array): readonly Chunk[] {
  const bytes = Buffer.from(file);
  const chunks: Chunk[] = [];
  for (let at = 8; at + 12 <= bytes.length; ) {
    const length = bytes.readUInt32BE(at);
    chunks.push([bytes.toString("latin1", at + 4, at + 8), new Uint8Array(bytes.subarray(at + 8, at + 8 + length))]);
    at += 12 + length;
  }
  return chunks;
}

function joinChunks(chunks: readonly Chunk[]): Uint8Array {
  const parts = chunks.map(([type, content]) => {
    const body = Buffer.concat([Buffer.from(type.padEnd(4).slice(0, 4), "latin1"), content]);
    const whole = Buffer.alloc(body.length + 8);
    whole.writeUInt32BE(content.length, 0);
    whole.set(body, 4);
    whole.writeUInt32BE(crc32(body), body.length + 4);
    return whole;
  });
  return new Uint8Array(Buffer.concat([signature, ...parts]));
}

const extra: readonly Chunk[] = [
  ["PLTE", Uint8Array.from({ length: 6 }, (_, i) => 40 * i)],
  ["tRNS", new Uint8Array()],
  ["tRNS", Uint8Array.of(0, 128)],
  ["gAMA", Uint8Array.of(0, 0, 177, 143)],
  ["tEXt", Buffer.from("Title\0\u001b[31mred", "latin1")],
  ["IDAT", new Uint8Array()],
  ["IEND", new Uint8Array()],
  ["ABCD", new Uint8Array(3)],
];

const changeChunks: Mutation = within(
  chunksOf,
  (chunks, draw, other) => {
    const place = draw(chunks.length);
    const [type, content] = chunks[place] ?? ["IEND", new Uint8Array()];
    const replaced = (chunk: Chunk): readonly Chunk[] => chunks.map((old, i) => (i === place ? chunk : old));
    switch (draw(7)) {
      case 0:
        return chunks.filter((_, i) => i !== place);
      case 1:
        return chunks.toSpliced(place, 0, pick([...extra, ...chunks], draw));
      case 2: {
        const half = draw(content.length + 1);
        return chunks.toSpliced(place, 1, [type, content.subarray(0, half)], [type, content.subarray(half)]);
      }
      case 3:
        return replaced([pick(["IHDR", "PLTE", "tRNS", "IDAT", "IEND", "idAT"], draw), content]);
      case 4:
        if (type !== "IHDR") return replaced([type, mutateBytes(content, draw, other)]);
        return replaced([
          type,
          content.map((byte, i) => (i >= 8 && draw(3) === 0 ? pick([0, 1, 2, 3, 4, 6, 8, 16], draw) : byte)),
        ]);
      default:
        return replaced([type, mutateBytes(content, draw, other)]);
    }
  },
  joinChunks,
);

/** The rows themselves, and the size that belongs to them. */
const changePixels: Mutation = within(
  (file) => chunksOf(file),
  (chunks, draw, other) =>
    chunks.map(([type, content]): Chunk => {
      if (type !== "IDAT") return [type, content];
      try {
        return [type, deflateSync(mutateBytes(inflateSync(content), draw, other))];
      } catch {
        return [type, content];
      }
    }),
  joinChunks,
);

async function samples(): Promise<readonly Uint8Array[]> {
  const kinds = [1, 3, 4].flatMap((channels) => [false, true].map((progressive) => ({ channels, progressive })));
  const raw = (channels: number): Buffer =>
    Buffer.from(Uint8Array.from({ length: 35 * channels }, (_, i) => (i * i * 7) & 255));
  const plain = kinds.map(({ channels, progressive }) => {
    const image = sharp(raw(channels), { raw: { width: 7, height: 5, channels: channels as 1 | 3 | 4 } });
    return (channels === 1 ? image.toColourspace("b-w") : image)
      .png({ progressive, adaptiveFiltering: true })
      .toBuffer();
  });
  const palettes = [2, 4, 16, 200].flatMap((colours) =>
    [false, true].map((progressive) =>
      sharp(raw(colours === 16 ? 4 : 3), { raw: { width: 7, height: 5, channels: colours === 16 ? 4 : 3 } })
        .png({ palette: true, colours, progressive, dither: 0 })
        .toBuffer(),
    ),
  );
  return (await Promise.all([...plain, ...palettes])).map((file) => new Uint8Array(file));
}

/** What another decoder reads, or null if it refuses the file. */
async function otherReading(file: Uint8Array): Promise<{ readonly data: Buffer; readonly channels: number } | null> {
  try {
    const { data, info } = await sharp(file, { failOn: "error" }).raw().toBuffer({ resolveWithObject: true });
    return { data, channels: info.channels };
  } catch {
    return null;
  }
}

export const pngTarget: Target = {
  name: "png",
  samples,
  mutations: [changeChunks, changeChunks, changePixels],
  read: async (file) => {
    const { channels, width, height, pixels } = decodePng(file, "x.png");
    const area = width * height;
    assert.equal(pixels.length, channels * area);
    const other = await otherReading(file);
    // What it takes is right; another may be stricter about what doesn't concern pixels.
    if (other === null) return pixels.length;
    const grey = channels < 3;
    for (let i = 0; i < area; i++) {
      for (let channel = 0; channel < Math.min(channels, 3); channel++) {
        if (grey && channel > 0) continue;
        const got: number | undefined = pixels[channel * area + i];
        const wanted: number | undefined = other.data[i * other.channels + channel];
        if (got !== wanted) assert.fail(`pixel ${i}, channel ${channel}: ${got}, another decoder has ${wanted}`);
      }
    }
    return pixels.length;
  },
};
