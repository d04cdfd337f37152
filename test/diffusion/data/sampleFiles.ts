import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before } from "node:test";
import { crc32, deflateRawSync } from "node:zlib";
import { encode } from "fast-png";
import { createDataset } from "../../../diffusion/data/index.ts";
import { seededDraw } from "../../engine/io/mutateFile.ts";

export const draw = seededDraw(99);

export const noise = (length: number): Uint8Array => Uint8Array.from({ length }, () => draw(256));

/** A data set of six small pictures in three classes. */
export const small = createDataset({
  name: "small",
  channels: 3,
  resolution: 4,
  pixels: noise(6 * 48),
  labels: [0, 1, 2, 0, 1, 2],
  classNames: ["a", "b", "c"],
});

/** A picture of noise. */
export const png = (width: number, height: number, channels: number): Uint8Array =>
  encode({ width, height, channels, depth: 8, data: noise(width * height * channels) });

/** A PNG's chunk, with a checksum that is right. */
export function chunk(type: string, content: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(type, "latin1"), content]);
  const whole = Buffer.alloc(body.length + 8);
  whole.writeUInt32BE(content.length, 0);
  whole.set(body, 4);
  whole.writeUInt32BE(crc32(body), body.length + 4);
  return whole;
}

export const pngSignature = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);

/** A PNG's header chunk. */
export function pngHeader(width: number, height: number, depth: number, colourType: number): Buffer {
  const content = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, depth, colourType, 0, 0, 0]);
  content.writeUInt32BE(width, 0);
  content.writeUInt32BE(height, 4);
  return chunk("IHDR", content);
}

/** An IDX file of bytes. */
export function idx(shape: readonly number[], data: Uint8Array): Buffer {
  const header = Buffer.alloc(4 + 4 * shape.length);
  header.set([0, 0, 8, shape.length]);
  shape.forEach((extent, axis) => header.writeUInt32BE(extent, 4 + 4 * axis));
  return Buffer.concat([header, data]);
}

/** An .npy file of version 1. */
export function npy(type: string, shape: readonly number[], data: Uint8Array, order = "False"): Buffer {
  const header = `{'descr': '${type}', 'fortran_order': ${order}, 'shape': (${shape.join(", ")},), }\n`;
  const start = Buffer.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, header.length & 255, header.length >> 8]);
  return Buffer.concat([start, Buffer.from(header), data]);
}

/** A folder for the tests of a file, removed in the end, and a way to fill folders in it. */
export function temporaryFolder(): {
  readonly path: (name: string) => string;
  readonly folderOf: (files: Record<string, Uint8Array | string>) => Promise<string>;
} {
  let root = "";
  let folders = 0;
  before(async () => {
    root = await mkdtemp(join(tmpdir(), "evenkeel-data-"));
  });
  after(() => rm(root, { recursive: true }));
  return {
    path: (name) => join(root, name),
    folderOf: async (files) => {
      const path = join(root, `folder-${folders++}`);
      for (const [file, content] of Object.entries(files)) {
        await mkdir(join(path, file, ".."), { recursive: true });
        await writeFile(join(path, file), content);
      }
      return path;
    },
  };
}

export type RawZipOptions = {
  /** How many files its end tells of. Default: all; the Mac's archives tell it modulo 65,536. */
  readonly count?: number;
  /** Whether the files are deflated. Default: they are stored. */
  readonly isPacked?: boolean;
  /** The mode of the files, as Unix has it. */
  readonly mode?: number;
  /** Whether it says that names are UTF-8. Default: yes, if they aren't ASCII. */
  readonly saysUtf8?: boolean;
  /** What else its directory says of a file. */
  readonly extra?: (name: Uint8Array) => Uint8Array;
};

/** A zip of files under just these names, whatever they hold. */
export function rawZip(
  files: readonly (readonly [name: string | Uint8Array, content: Uint8Array])[],
  {
    count = files.length,
    isPacked = false,
    mode = 0o100644,
    saysUtf8 = true,
    extra = (): Uint8Array => new Uint8Array(0),
  }: RawZipOptions = {},
): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [name, content] of files) {
    const nameBytes = Buffer.from(name);
    const more = Buffer.from(extra(nameBytes));
    const packed = isPacked ? deflateRawSync(content) : content;
    // From the version that is needed to the lengths of name and extra field.
    const facts = Buffer.alloc(26);
    facts.writeUInt16LE(20, 0);
    facts.writeUInt16LE(saysUtf8 && nameBytes.some((byte) => byte > 127) ? 0x800 : 0, 2);
    facts.writeUInt16LE(isPacked ? 8 : 0, 4);
    facts.writeUInt32LE(crc32(content), 10);
    facts.writeUInt32LE(packed.length, 14);
    facts.writeUInt32LE(content.length, 18);
    facts.writeUInt16LE(nameBytes.length, 22);
    const local = Buffer.concat([Buffer.from("PK\x03\x04", "latin1"), facts, nameBytes, packed]);
    const listed = Buffer.from(facts);
    listed.writeUInt16LE(more.length, 24);
    const place = Buffer.alloc(14);
    place.writeUInt32LE(mode * 65536, 6);
    place.writeUInt32LE(offset, 10);
    directory.push(Buffer.from("PK\x01\x02\x14\x03", "latin1"), listed, place, nameBytes, more);
    parts.push(local);
    offset += local.length;
  }
  const list = Buffer.concat(directory);
  const end = Buffer.from("PK\x05\x06".padEnd(22, "\0"), "latin1");
  end.writeUInt16LE(count % 65536, 8);
  end.writeUInt16LE(count % 65536, 10);
  end.writeUInt32LE(list.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...parts, list, end]);
}
