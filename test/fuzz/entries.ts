/** Several named files as one, so that a folder can be changed and shrunk as a file is. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { crc32, deflateRawSync } from "node:zlib";
import type { Draw } from "../engine/io/mutateFile.ts";
import { mutateBytes, mutateJsonFile, pick } from "./mutate.ts";
import type { Mutation } from "./target.ts";

export type Entries = readonly (readonly [name: string, content: Uint8Array])[];

/** A length and a name, a length and a content, for each file. */
export function packEntries(entries: Entries): Uint8Array {
  const parts = entries.flatMap(([name, content]) => {
    const text = Buffer.from(name);
    const head = Buffer.alloc(6);
    head.writeUInt16LE(text.length, 0);
    head.writeUInt32LE(content.length, 2);
    return [head, text, content];
  });
  return new Uint8Array(Buffer.concat(parts));
}

/** What `packEntries` packed, up to where that ends. */
export function unpackEntries(file: Uint8Array): Entries {
  const bytes = Buffer.from(file);
  const entries: [string, Uint8Array][] = [];
  for (let at = 0; at + 6 <= bytes.length; ) {
    const start = at + 6 + bytes.readUInt16LE(at);
    const end = start + bytes.readUInt32LE(at + 2);
    if (end > bytes.length) break;
    entries.push([bytes.toString("utf8", at + 6, start), new Uint8Array(bytes.subarray(start, end))]);
    at = end;
  }
  return entries;
}

/** Writes files into a folder; names that lead out of it, or can't be, are left out. */
export function writeEntries(folder: string, entries: Entries): void {
  for (const [name, content] of entries) {
    const path = normalize(name);
    if (path.startsWith("..") || path.startsWith("/") || name.includes("\0")) continue;
    try {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), content);
    } catch {
      // A folder of the same name, or a name that is too long.
    }
  }
}

const names = [
  "a.png",
  "../a.png",
  "/a.png",
  "b/../a.png",
  "./a.png",
  "b\\a.png",
  "a.jpg",
  "dataset.json",
  "x/dataset.json",
  "",
  "/",
  ".a.png",
  "\u001b[31m.png",
  "é.png",
  "A.PNG",
  "a.txt",
  "__MACOSX/a.png",
  "x-labels.npy",
  "train-labels-idx1-ubyte",
  "n".repeat(300),
];

/** Changes one file among several: its content by `inner`, its name, or whether it is there. */
export function mutateEntries(
  inner: (name: string) => Mutation,
): (entries: Entries, draw: Draw, other: Uint8Array) => Entries {
  return (entries, draw, other) => {
    if (entries.length === 0) return entries;
    const place = draw(entries.length);
    const [name, content] = entries[place] ?? ["", new Uint8Array()];
    const others = entries.filter((_, i) => i !== place);
    switch (draw(8)) {
      case 0:
        return others;
      case 1:
        return [...entries, [pick(names, draw), content]];
      case 2:
        return entries.map((entry, i) => (i === place ? [pick(names, draw), content] : entry));
      case 3:
        return entries.map((entry, i) => (i === place ? [entry[0], pick(entries, draw)[1]] : entry));
      default:
        return entries.map((entry, i) => (i === place ? [name, inner(name)(content, draw, other)] : entry));
    }
  };
}

/** By a file's name: JSON as JSON, the rest as `rest` or by bytes. */
export const mutateNamed =
  (rest: Mutation) =>
  (name: string): Mutation =>
    name.endsWith(".json")
      ? mutateJsonFile
      : (file, draw, other) => (draw(2) === 0 ? rest : mutateBytes)(file, draw, other);

/** A zip archive of files, every other one deflated, with right checksums. */
export function zipOf(entries: Entries): Uint8Array {
  const [locals, directory]: [Buffer[], Buffer[]] = [[], []];
  let offset = 0;
  entries.forEach(([name, content], i) => {
    const text = Buffer.from(name).subarray(0, 65_535);
    const packed = i % 2 === 0 ? content : deflateRawSync(content);
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(0x800, 2);
    common.writeUInt16LE(i % 2 === 0 ? 0 : 8, 4);
    common.writeUInt32LE(crc32(content), 10);
    common.writeUInt32LE(packed.length, 14);
    common.writeUInt32LE(content.length, 18);
    common.writeUInt16LE(text.length, 22);
    const local = Buffer.concat([Buffer.from("PK\u0003\u0004", "latin1"), common, text, packed]);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(offset, 10);
    directory.push(Buffer.concat([Buffer.from("PK\u0001\u0002\u0014\0", "latin1"), common, tail, text]));
    locals.push(local);
    offset += local.length;
  });
  const end = Buffer.alloc(22);
  end.write("PK\u0005\u0006", "latin1");
  end.writeUInt16LE(entries.length & 65_535, 8);
  end.writeUInt16LE(entries.length & 65_535, 10);
  end.writeUInt32LE(
    directory.reduce((sum, { length }) => sum + length, 0),
    12,
  );
  end.writeUInt32LE(offset, 16);
  return new Uint8Array(Buffer.concat([...locals, ...directory, end]));
}
