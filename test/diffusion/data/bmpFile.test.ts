import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { decodeBmp } from "../../../diffusion/data/files/bmpFile.ts";

type Form = {
  readonly bits: 1 | 4 | 8 | 16 | 24 | 32;
  /** 0 plain, 1 and 2 runs of bytes and halves of bytes, 3 and 6 masks. */
  readonly storage: 0 | 1 | 2 | 3 | 6;
  readonly masks: readonly number[];
  readonly headerBytes: 12 | 40 | 124;
  readonly isTopDown: boolean;
};

const form = (bits: Form["bits"], more: Partial<Form> = {}): Form => ({
  bits,
  storage: 0,
  masks: [],
  headerBytes: 40,
  isTopDown: false,
  ...more,
});

const forms: readonly Form[] = [
  ...([1, 4, 8, 16, 24, 32] as const).flatMap((bits) => [
    form(bits),
    form(bits, { isTopDown: true, headerBytes: 124 }),
  ]),
  ...([1, 4, 8, 24] as const).map((bits) => form(bits, { headerBytes: 12 })),
  form(8, { storage: 1 }),
  form(4, { storage: 2 }),
  form(16, { storage: 3, masks: [0xf800, 0x7e0, 0x1f] }),
  form(32, { storage: 3, masks: [0xff, 0xff00, 0xff0000, 0xff000000], headerBytes: 124 }),
  form(32, { storage: 6, masks: [0x3ff00000, 0xffc00, 0x3ff, 0xc0000000] }),
];

type Case = {
  readonly form: Form;
  readonly width: number;
  readonly height: number;
  /** Of each pixel from the top: a colour's number or its bits. */
  readonly values: readonly number[];
  readonly palette: readonly (readonly [number, number, number])[];
  /** How many equal pixels in a row are written as they are, in files of runs. */
  readonly plainness: number;
};

/** Writes a bitmap, by Microsoft's description of the format. */
function encode({
  form: { bits, storage, masks, headerBytes, isTopDown },
  width,
  height,
  values,
  palette,
  plainness,
}: Case): Buffer {
  const header = Buffer.alloc(headerBytes);
  header.writeUInt32LE(headerBytes, 0);
  if (headerBytes === 12) {
    header.writeUInt16LE(width, 4);
    header.writeUInt16LE(height, 6);
    header.writeUInt16LE(1, 8);
    header.writeUInt16LE(bits, 10);
  } else {
    header.writeInt32LE(width, 4);
    header.writeInt32LE(isTopDown ? -height : height, 8);
    header.writeUInt16LE(1, 12);
    header.writeUInt16LE(bits, 14);
    header.writeUInt32LE(storage, 16);
    if (headerBytes > 40) masks.forEach((mask, i) => header.writeUInt32LE(mask, 40 + 4 * i));
  }
  const behind = Buffer.alloc(headerBytes === 40 ? 4 * masks.length : 0);
  if (headerBytes === 40) masks.forEach((mask, i) => behind.writeUInt32LE(mask, 4 * i));
  const colours =
    bits > 8 ? [] : palette.map(([red, green, blue]) => [blue, green, red, ...(headerBytes === 12 ? [] : [0])]);
  const rows = Array.from({ length: height }, (_, y) => values.slice(y * width, (y + 1) * width));
  if (!isTopDown) rows.reverse();
  const pixels = rows.flatMap((row, y) =>
    storage === 1 || storage === 2 ? runsOf(row, storage, plainness, y === height - 1) : plainRow(row, bits),
  );
  const start = 14 + headerBytes + behind.length + colours.flat().length;
  const file = Buffer.alloc(14);
  file.write("BM", "latin1");
  file.writeUInt32LE(start + pixels.length, 2);
  file.writeUInt32LE(start, 10);
  return Buffer.concat([file, header, behind, Buffer.from(colours.flat()), Buffer.from(pixels)]);
}

function plainRow(row: readonly number[], bits: number): number[] {
  const written = row.map((value) => value.toString(2).padStart(bits, "0"));
  // Pixels of several bytes have their lowest byte first.
  const ordered = bits < 16 ? written : written.map((text) => (text.match(/.{8}/g) ?? []).reverse().join(""));
  const text = ordered.join("");
  const padded = text.padEnd(Math.ceil(text.length / 32) * 32, "0");
  return (padded.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2));
}

function runsOf(row: readonly number[], storage: 1 | 2, plainness: number, isLast: boolean): number[] {
  const bytes: number[] = [];
  for (let x = 0; x < row.length; ) {
    const value = row[x] ?? 0;
    const run = row.slice(x, x + 255).findIndex((other) => other !== value);
    const length = run < 0 ? Math.min(row.length - x, 255) : run;
    if (length >= plainness || row.length - x < 3) {
      bytes.push(length, storage === 1 ? value : value * 17);
      x += length;
      continue;
    }
    const plain = row.slice(x, x + Math.min(row.length - x, 9));
    const packed =
      storage === 1
        ? plain
        : Array.from(
            { length: Math.ceil(plain.length / 2) },
            (_, i) => (plain[2 * i] ?? 0) * 16 + (plain[2 * i + 1] ?? 0),
          );
    bytes.push(0, plain.length, ...packed, ...(packed.length % 2 === 1 ? [0] : []));
    x += plain.length;
  }
  return [...bytes, 0, isLast ? 1 : 0];
}

/** Red, green, blue and opacity of a pixel. */
function colourOf(value: number, { form: { bits, masks }, palette }: Case): number[] {
  if (bits <= 8) return [...(palette[value] ?? [0, 0, 0]), 255];
  const standard = bits === 16 ? [0x7c00, 0x3e0, 0x1f] : [0xff0000, 0xff00, 0xff];
  const used = masks.length > 0 ? masks : standard;
  return [0, 1, 2, 3].map((channel) => {
    const mask = BigInt(used[channel] ?? 0);
    if (mask === 0n) return 255;
    const lowest = mask & -mask;
    return Math.round((Number((BigInt(value) & mask) / lowest) * 255) / Number(mask / lowest));
  });
}

const bitmaps: fc.Arbitrary<Case> = fc
  .record({
    form: fc.constantFrom(...forms),
    width: fc.integer({ min: 1, max: 20 }),
    height: fc.integer({ min: 1, max: 8 }),
    plainness: fc.integer({ min: 1, max: 6 }),
  })
  .chain((rest) => {
    const { bits, storage } = rest.form;
    const count = rest.width * rest.height;
    const colours = 2 ** Math.min(bits, 8);
    const byte = fc.nat(255);
    const value = storage === 1 || storage === 2 ? fc.nat(2) : fc.nat(2 ** bits - 1);
    return fc
      .record({
        values: fc.array(value, { minLength: count, maxLength: count }),
        palette: fc.array(fc.tuple(byte, byte, byte), { minLength: colours, maxLength: colours }),
      })
      .map((drawn) => ({ ...rest, ...drawn }));
  });

describe("decodeBmp", () => {
  it("reads bitmaps of every depth, with palettes, masks and runs, from the top or from below", () => {
    fc.assert(
      fc.property(bitmaps, (bitmap) => {
        const { width, height, channels, data } = decodeBmp(encode(bitmap));
        assert.deepEqual([width, height], [bitmap.width, bitmap.height]);
        const colours = bitmap.values.map((value) => colourOf(value, bitmap));
        const opacities = new Set(colours.map(([, , , opacity]) => opacity));
        // Opacity that is 0 everywhere is that of programs which know none.
        const isOpaque = opacities.size === 1 && (opacities.has(0) || opacities.has(255));
        assert.equal(channels, isOpaque ? 3 : 4);
        assert.deepEqual(
          [...data],
          colours.flatMap((colour) => colour.slice(0, channels)),
        );
      }),
    );
  });

  it("reads jumps between runs, and leaves what they pass over the first colour", () => {
    const palette = [
      [1, 2, 3],
      [4, 5, 6],
    ] as const;
    const file = encode({
      form: form(8, { storage: 1 }),
      width: 3,
      height: 2,
      values: [0, 0, 0, 0, 0, 0],
      palette,
      plainness: 1,
    });
    const runs = Buffer.from([1, 1, 0, 2, 1, 1, 1, 1, 0, 1]);
    const jumped = decodeBmp(Buffer.concat([file.subarray(0, file.readUInt32LE(10)), runs]));
    // From below: one pixel, then one to the right and one up.
    const numbers = Array.from({ length: 6 }, (_, i) => ((jumped.data[3 * i] ?? 0) - 1) / 3);
    assert.deepEqual(numbers, [0, 0, 1, 1, 0, 0]);
  });

  it("refuses the rest with an error, whatever bytes are changed or missing", () => {
    fc.assert(
      fc.property(
        bitmaps,
        fc.nat(80),
        fc.nat(255),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (bitmap, at, byte, share) => {
          const file = encode(bitmap);
          file[at % file.length] = byte;
          const cut = file.subarray(0, Math.ceil(file.length * share));
          try {
            const { width, height, channels, data } = decodeBmp(cut);
            assert.equal(data.length, channels * width * height);
          } catch (error) {
            assert.ok(
              error instanceof Error && !(error instanceof TypeError || error instanceof RangeError),
              String(error),
            );
          }
        },
      ),
    );
    assert.throws(() => decodeBmp(Buffer.from("BM")), /ends within its header/);
  });
});
