// Ours: sharp takes 8 to 11 times the CPU (60,000 of 32x32: 26 to 36 s, here 3.3 s) and reads files without an end or beyond their palette;
// pngjs reads too few rows, and unpacks interlaced ones without bound; fast-png refuses interlaced palettes.
import { EvenkeelError, messageOf } from "../../../engine/index.ts";
import { bitsPerPixel, parsePng, passesOf, type PngParts } from "./pngChunks.ts";

/** Pixels of a PNG, channel by channel: [channels, height, width]. */
export type DecodedImage = {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  readonly pixels: Uint8Array;
};

/**
 * Decodes a PNG of 8 bits a channel, or with a palette, to colour.
 * @throws EvenkeelError `file` for damaged files, other depths and pictures that unpack to more than 256 MiB.
 */
export function decodePng(bytes: Uint8Array, name: string): DecodedImage {
  try {
    const parts = parsePng(bytes);
    const { width, height } = parts.header;
    const { channels, channelOf } = samplesOf(parts);
    const pixels = new Uint8Array(channels * width * height);
    readRows(parts, (row, column, place) => {
      for (let channel = 0; channel < channels; channel++) {
        pixels[channel * width * height + place] = channelOf(row, column, channel);
      }
    });
    return { channels, height, width, pixels };
  } catch (cause) {
    throw new EvenkeelError("file", `${name} ${messageOf(cause)}.`, { cause });
  }
}

type Samples = {
  readonly channels: number;
  /** A channel of the pixel in a column of a row. */
  readonly channelOf: (row: Uint8Array, column: number, channel: number) => number;
};

function samplesOf({ header, palette, opacities }: PngParts): Samples {
  if (header.colourType !== 3) {
    const channels = bitsPerPixel(header) / 8;
    return { channels, channelOf: (row, column, channel) => row[column * channels + channel] ?? 0 };
  }
  const { depth } = header;
  const perByte = 8 / depth;
  const colours = palette.length / 3;
  return {
    // The colours behind the last opacity are opaque.
    channels: opacities.some((opacity) => opacity < 255) ? 4 : 3,
    channelOf: (row, column, channel) => {
      const byte = row[Math.floor(column / perByte)] ?? 0;
      const colour = (byte >> (8 - depth * ((column % perByte) + 1))) & (2 ** depth - 1);
      if (colour >= colours) throw new Error(`has a pixel of colour ${colour}, its palette has ${colours}`);
      return (channel < 3 ? palette[colour * 3 + channel] : opacities[colour]) ?? 255;
    },
  };
}

/** Undoes the filters of all rows, and hands out their pixels with their places in the image. */
function readRows(
  { header, rows: filtered }: PngParts,
  onPixel: (row: Uint8Array, column: number, place: number) => void,
): void {
  const bits = bitsPerPixel(header);
  const step = Math.max(bits / 8, 1);
  let at = 0;
  for (const { x, y, dx, dy, columns, rows } of passesOf(header)) {
    const length = Math.ceil((columns * bits) / 8);
    let above: Uint8Array = new Uint8Array(length);
    for (let i = 0; i < rows; i++, at += 1 + length) {
      const row = filtered.subarray(at + 1, at + 1 + length);
      undoFilter(filtered[at] ?? 0, row, above, step);
      const line = (y + i * dy) * header.width + x;
      for (let column = 0; column < columns; column++) onPixel(row, column, line + column * dx);
      above = row;
    }
  }
}

/** Adds to a row, in place, what its filter foretold from the byte to the left, the one above and the one above that on the left. */
function undoFilter(filter: number, row: Uint8Array, above: Uint8Array, step: number): void {
  switch (filter) {
    case 0:
      return;
    case 1:
      for (let i = step; i < row.length; i++) row[i] = (row[i] ?? 0) + (row[i - step] ?? 0);
      return;
    case 2:
      for (let i = 0; i < row.length; i++) row[i] = (row[i] ?? 0) + (above[i] ?? 0);
      return;
    case 3:
      for (let i = 0; i < row.length; i++) row[i] = (row[i] ?? 0) + (((row[i - step] ?? 0) + (above[i] ?? 0)) >> 1);
      return;
    case 4:
      for (let i = 0; i < row.length; i++) {
        row[i] = (row[i] ?? 0) + paeth(row[i - step] ?? 0, above[i] ?? 0, above[i - step] ?? 0);
      }
      return;
    default:
      throw new Error(`has a row with an unknown filter ${filter}`);
  }
}

/** Of three neighbours the one that is nearest to left + above - corner. */
function paeth(left: number, above: number, corner: number): number {
  const [byLeft, byAbove] = [Math.abs(above - corner), Math.abs(left - corner)];
  const byCorner = Math.abs(left + above - 2 * corner);
  if (byLeft <= byAbove && byLeft <= byCorner) return left;
  return byAbove <= byCorner ? above : corner;
}
