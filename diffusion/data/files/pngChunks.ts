import { messageOf } from "../../../engine/index.ts";
import { crc32 } from "../../../engine/io/index.ts";
import { unzlib } from "./unzlib.ts";

/** Why a PNG isn't read that others may read: it is of a kind that isn't taken here, and not damaged. */
export class UnsupportedPng extends Error {}

/** What a PNG's header says. */
export type PngHeader = {
  readonly width: number;
  readonly height: number;
  /** Bits of a channel, or of a number into the palette. */
  readonly depth: number;
  readonly colourType: ColourType;
  readonly isInterlaced: boolean;
};

/** 0 grey, 2 colour, 3 palette, 4 grey with opacity, 6 colour with opacity. */
export type ColourType = 0 | 2 | 3 | 4 | 6;

const channelsOfType: { readonly [Type in ColourType]: number } = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };

/** Columns and rows of the seven passes of an interlaced image: first one and step. */
const passes = [
  { x: 0, y: 0, dx: 8, dy: 8 },
  { x: 4, y: 0, dx: 8, dy: 8 },
  { x: 0, y: 4, dx: 4, dy: 8 },
  { x: 2, y: 0, dx: 4, dy: 4 },
  { x: 0, y: 2, dx: 2, dy: 4 },
  { x: 1, y: 0, dx: 2, dy: 2 },
  { x: 0, y: 1, dx: 1, dy: 2 },
] as const;

const signature = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

/** Unpacked pictures are no larger, as rows or as channels. */
const maximumBytes = 2 ** 28;

type Chunk = { readonly type: string; readonly content: Uint8Array };

/** What a PNG's pixels are made of. */
export type PngParts = {
  readonly header: PngHeader;
  /** Red, green and blue of each colour that pixels number; empty without a palette. */
  readonly palette: Uint8Array;
  /** Opacity of the first colours of the palette. */
  readonly opacities: Uint8Array;
  /** Rows of pixels, each with its filter in front; of an interlaced image, pass by pass. */
  readonly rows: Uint8Array;
};

/**
 * Checks a PNG and unpacks its rows, to just the size that its header says. Texts, profiles and animations aren't looked at.
 * @throws Error that says what is wrong, as a predicate: "is no PNG".
 */
export function parsePng(bytes: Uint8Array): PngParts {
  if (signature.some((byte, i) => bytes[i] !== byte)) throw new Error("is no PNG");
  const chunks = listChunks(bytes);
  const [first, ...others] = chunks;
  const header = parseHeader(first);
  const isPalette = header.colourType === 3;
  const contentsOf = (type: string): Uint8Array[] =>
    others.filter((each) => each.type === type).map(({ content }) => content);
  if (contentsOf("IHDR").length > 0) throw new Error("has two headers");
  const [palette = new Uint8Array(0), secondPalette] = isPalette ? contentsOf("PLTE") : [];
  const [opacities = new Uint8Array(0)] = contentsOf("tRNS");
  if (!isPalette && contentsOf("tRNS").length > 0) {
    throw new UnsupportedPng("has a transparent colour; expected grey or colour without transparency");
  }
  if (opacities.length > palette.length / 3) throw new Error("has more opacities than colours");
  const colours = palette.length / 3;
  if (isPalette && (secondPalette !== undefined || !Number.isInteger(colours) || colours < 1 || colours > 256)) {
    throw new Error(`has a palette of ${palette.length} bytes, expected one of 1 to 256 colours`);
  }
  const expected = unpackedBytes(header);
  const channels = isPalette ? 4 : channelsOfType[header.colourType];
  if (Math.max(expected, header.width * header.height * channels) > maximumBytes) {
    throw new Error(`claims a size of ${header.width}x${header.height}`);
  }
  const rows = unpack(chunks, expected);
  if (rows.length !== expected)
    throw new Error(`holds ${rows.length} bytes of pixels, its header asks for ${expected}`);
  return { header, palette, opacities, rows };
}

/** Bits of a pixel. */
export function bitsPerPixel({ depth, colourType }: PngHeader): number {
  return depth * channelsOfType[colourType];
}

/** The images that a PNG consists of: itself, or where it is interlaced those of its passes. Columns and rows: first one and step. */
export function passesOf({ width, height, isInterlaced }: PngHeader): readonly Pass[] {
  const all = isInterlaced ? passes : [{ x: 0, y: 0, dx: 1, dy: 1 }];
  return all
    .map((pass) => ({
      ...pass,
      columns: Math.ceil(Math.max(width - pass.x, 0) / pass.dx),
      rows: Math.ceil(Math.max(height - pass.y, 0) / pass.dy),
    }))
    .filter(({ columns, rows }) => columns > 0 && rows > 0);
}

export type Pass = {
  readonly x: number;
  readonly y: number;
  readonly dx: number;
  readonly dy: number;
  readonly columns: number;
  readonly rows: number;
};

function unpack(chunks: readonly Chunk[], expected: number): Uint8Array {
  const first = chunks.findIndex(({ type }) => type === "IDAT");
  const last = chunks.findLastIndex(({ type }) => type === "IDAT");
  const parts = chunks.slice(Math.max(first, 0), last + 1);
  if (parts.some(({ type }) => type !== "IDAT")) throw new Error("has other things among its pixels");
  const packed = joined(parts.map(({ content }) => content));
  // Deflate packs no more than 1032 bytes into one.
  if (expected > 1032 * (packed.length + 1)) {
    throw new Error(`holds ${packed.length} bytes of packed pixels, its header asks for ${expected} unpacked ones`);
  }
  try {
    return unzlib(packed, expected);
  } catch (cause) {
    throw new Error(`holds pixels that can't be unpacked: ${messageOf(cause)}`, { cause });
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const [first] = parts;
  if (parts.length === 1 && first !== undefined) return first;
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** The chunks that matter, up to the end, checked by their sums. */
function listChunks(bytes: Uint8Array): Chunk[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const chunks: Chunk[] = [];
  for (let at = signature.length; ; ) {
    const length = at + 12 <= bytes.length ? view.getUint32(at) : Infinity;
    if (at + 12 + length > bytes.length) throw new Error("ends too early");
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (crc32(bytes.subarray(at + 4, at + 8 + length)) !== view.getUint32(at + 8 + length)) {
      throw new Error(`has a wrong checksum in ${JSON.stringify(type)}, so it is damaged`);
    }
    const chunk = { type, content: bytes.subarray(at + 8, at + 8 + length) };
    at += 12 + length;
    if (["IHDR", "PLTE", "tRNS", "IDAT", "IEND"].includes(type)) {
      // A picture may come in as many pieces as it has bytes; those without any aren't kept.
      if (type !== "IDAT" || length > 0) chunks.push(chunk);
    }
    // A capital letter: a decoder that doesn't know the chunk can't show the picture.
    else if (/^[^a-z]/.test(type)) throw new Error(`holds an unknown ${JSON.stringify(type)}`);
    if (type === "IEND") return chunks;
  }
}

function parseHeader(first: Chunk | undefined): PngHeader {
  if (first?.type !== "IHDR" || first.content.length !== 13) throw new Error("has no header");
  const view = new DataView(first.content.buffer, first.content.byteOffset);
  const [width, height, depth, colourType] = [view.getUint32(0), view.getUint32(4), view.getUint8(8), view.getUint8(9)];
  if (width === 0 || height === 0) throw new Error(`claims a size of ${width}x${height}`);
  if (!isColourType(colourType)) throw new Error(`has an unknown colour type ${colourType}`);
  if (depth !== 8 && !(colourType === 3 && [1, 2, 4].includes(depth))) {
    throw new UnsupportedPng(`has ${depth} bits a channel, expected 8`);
  }
  const [compression, filter, interlace] = [view.getUint8(10), view.getUint8(11), view.getUint8(12)];
  if (compression !== 0 || filter !== 0 || interlace > 1) {
    throw new Error(`has an unknown method (compression ${compression}, filter ${filter}, interlace ${interlace})`);
  }
  return { width, height, depth, colourType, isInterlaced: interlace === 1 };
}

function isColourType(value: number): value is ColourType {
  return value in channelsOfType;
}

/** Bytes of all rows, each with its filter in front. */
function unpackedBytes(header: PngHeader): number {
  const rowBytes = (columns: number): number => 1 + Math.ceil((columns * bitsPerPixel(header)) / 8);
  return passesOf(header).reduce((sum, { columns, rows }) => sum + rows * rowBytes(columns), 0);
}
