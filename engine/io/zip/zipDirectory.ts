import type { OpenFile } from "../folder.ts";
import { nameOfEntry, type NameGuess } from "./entryName.ts";
import {
  elsewhere,
  encryptedFlag,
  entryBytes,
  entryMark,
  farField,
  kindMask,
  linkMode,
  readUint64,
  viewOf,
} from "./zipFormat.ts";
import type { ZipPlace } from "./zipPlace.ts";

/** What an archive's directory says of one of its files or folders. */
export type ZipEntry = {
  /** As it stands there; that of a folder ends with a slash. It doesn't lead out of the archive. */
  readonly name: string;
  readonly nameGuess: NameGuess | null;
  /** Whether it is a symbolic link, as Unix has them. */
  readonly isLink: boolean;
  readonly isEncrypted: boolean;
  /** How it is packed, by the format's number. */
  readonly method: number;
  /** Bytes, as the directory claims. */
  readonly size: number;
  readonly packedSize: number;
  readonly crc32: number;
  /** Where its own header begins in the archive. */
  readonly offset: number;
  /** Bytes of its name and fields in the directory: those of its own header are mostly as many. */
  readonly headerBytes: number;
};

/** A directory is read in blocks, as a file read at two places an entry takes long. */
const blockBytes = 2 ** 20;

/** No entry has more bytes. */
const mostEntryBytes = entryBytes + 3 * (2 ** 16 - 1);

/** The files and folders of an archive, in the order of its directory. @throws Error if it is damaged, or a name leads out. */
export async function readDirectory(file: OpenFile, place: ZipPlace): Promise<ZipEntry[]> {
  const { directoryStart, directoryLimit, directoryBytes, files } = place;
  const entries: ZipEntry[] = [];
  let block = new Uint8Array(0);
  let at = 0;
  let bytes = 0;
  // The Mac counts the files of its archives modulo 65,536.
  while (entries.length < files || bytes < directoryBytes) {
    const left = directoryLimit - directoryStart - bytes;
    if (block.length - at < Math.min(left, mostEntryBytes)) {
      block = await file.read(directoryStart + bytes, Math.min(left, blockBytes));
      at = 0;
    }
    const length = entryLength(block, at);
    entries.push(readEntry(block.subarray(at, at + length)));
    at += length;
    bytes += length;
  }
  // Else some files, or the labels, would go missing.
  if (bytes !== directoryBytes) {
    throw new Error(`it lists ${bytes} bytes of files where its end tells of ${directoryBytes}, so it is damaged`);
  }
  if ((entries.length - files) % 2 ** 16 !== 0) {
    throw new Error(`it lists ${entries.length} files where its end tells of ${files}, so it is damaged`);
  }
  return entries;
}

/** @throws Error if no whole entry begins there. */
function entryLength(block: Uint8Array, at: number): number {
  if (at + entryBytes > block.length) throw new Error("its directory ends too early, so it is damaged");
  const view = viewOf(block);
  if (view.getUint32(at, true) !== entryMark) throw new Error("its directory holds what is no file, so it is damaged");
  const length =
    entryBytes + view.getUint16(at + 28, true) + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  if (at + length > block.length) throw new Error("its directory ends too early, so it is damaged");
  return length;
}

function readEntry(bytes: Uint8Array): ZipEntry {
  const view = viewOf(bytes);
  const flags = view.getUint16(8, true);
  const [nameBytes, fieldBytes] = [view.getUint16(28, true), view.getUint16(30, true)];
  const fieldStart = entryBytes + nameBytes;
  const fields = readFields(bytes.subarray(fieldStart, fieldStart + fieldBytes));
  const { name, guess } = nameOfEntry(flags, bytes.subarray(entryBytes, fieldStart), fields);
  const problem = problemOfName(name);
  if (problem !== null) throw new Error(`${problem}: ${name}; unpack it and use the folder`);
  const near = [view.getUint32(24, true), view.getUint32(20, true), view.getUint32(42, true)];
  const [size = 0, packedSize = 0, offset = 0] = farNumbers(near, fields.get(farField));
  return {
    name,
    nameGuess: guess,
    isLink: ((view.getUint32(38, true) >>> 16) & kindMask) === linkMode,
    isEncrypted: (flags & encryptedFlag) !== 0,
    method: view.getUint16(10, true),
    size,
    packedSize,
    crc32: view.getUint32(16, true),
    offset,
    headerBytes: nameBytes + fieldBytes,
  };
}

/** An entry's extra fields by their numbers; of several of one number the first. */
function readFields(bytes: Uint8Array): Map<number, Uint8Array> {
  const fields = new Map<number, Uint8Array>();
  const view = viewOf(bytes);
  for (let at = 0; at + 4 <= bytes.length; ) {
    const [number, end] = [view.getUint16(at, true), at + 4 + view.getUint16(at + 2, true)];
    if (end > bytes.length) throw new Error("its directory has a field that ends too early, so it is damaged");
    if (!fields.has(number)) fields.set(number, bytes.subarray(at + 4, end));
    at = end;
  }
  return fields;
}

/** Numbers of which those that stand elsewhere are in zip64's field, in their order. */
function farNumbers(numbers: readonly number[], field: Uint8Array | undefined): number[] {
  if (field === undefined) return [...numbers];
  let at = 0;
  return numbers.map((number) => {
    if (number !== elsewhere) return number;
    if (at + 8 > field.length) throw new Error("its directory lacks a size or place above 4 GiB, so it is damaged");
    at += 8;
    return readUint64(viewOf(field), at - 8);
  });
}

function problemOfName(name: string): string | null {
  const path = name.replaceAll("\\", "/");
  if (/^([a-zA-Z]:|\/)/.test(path)) return "absolute path";
  return path.split("/").includes("..") ? "invalid relative path" : null;
}
