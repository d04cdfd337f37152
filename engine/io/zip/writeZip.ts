import { EvenkeelError } from "../../errors.ts";
import { quoteText } from "../fileError.ts";
import type { FileSink } from "../folder.ts";
import { crc32 } from "./crc32.ts";
import { GatheringSink } from "./gatheringSink.ts";
import {
  checkedBehindFlag,
  checkMark,
  countElsewhere,
  elsewhere,
  endBytes,
  endMark,
  entryBytes,
  entryMark,
  farEndBytes,
  farEndMark,
  farField,
  farPlaceBytes,
  farPlaceMark,
  fileMode,
  localBytes,
  localMark,
  stored,
  utf8Flag,
  viewOf,
  writeUint64,
} from "./zipFormat.ts";

/** A file to write into an archive. */
export type WritableZipEntry = {
  /** With forward slashes between folders. */
  readonly name: string;
  /** From 1980 to 2107, to two seconds; kept as UTC, so that it is the same everywhere. */
  readonly modified: Date;
} & (
  | { readonly content: Uint8Array }
  /** `content` gives as many bytes as `size` says. */
  | { readonly size: number; readonly content: AsyncIterable<Uint8Array> }
);

/** What the directory needs to know of a file that was written. */
type Written = {
  readonly name: Uint8Array;
  readonly flags: number;
  readonly time: number;
  readonly crc: number;
  readonly size: number;
  readonly offset: number;
};

/**
 * Writes a zip archive, without compression: weights and pictures don't shrink. The same files give the same bytes. Holds no more than a
 * piece of a file at once, and some 100 bytes for each. Files of pieces have their checksum behind them; above 4 GiB, or 65,534 files, the
 * archive is one of zip64.
 * @throws EvenkeelError `value` for names that lead out, come twice or have too many bytes, dates that can't be kept, contents of another
 * size than they were said to have; what `sink` and the contents throw.
 * @example
 * ```ts
 * const file = memoryFolder().file("a.zip");
 * const hello = { name: "texts/a.txt", modified: new Date("2024-01-01"), content: new TextEncoder().encode("hello") };
 * await file.write((sink) => writeZip(sink, [hello]));
 * const archive = await ZipArchive.open(await file.open(), "a.zip");
 * console.log(archive.entries.map(({ name }) => name)); // [ 'texts/a.txt' ]
 * ```
 */
export async function writeZip(
  sink: FileSink,
  entries: AsyncIterable<WritableZipEntry> | Iterable<WritableZipEntry>,
): Promise<void> {
  const out = new GatheringSink(sink);
  const names = new Set<string>();
  const all: Written[] = [];
  for await (const entry of entries) {
    if (names.has(entry.name)) throw refusal(entry.name, "comes twice");
    names.add(entry.name);
    all.push(await writeEntry(out, entry));
  }
  const start = out.position;
  for (const entry of all) await out.write(directoryEntry(entry));
  await out.write(directoryEnd(start, out.position, all.length));
  await out.flush();
}

function refusal(name: string, problem: string): EvenkeelError {
  return new EvenkeelError("value", `writing a zip: ${quoteText(name)} ${problem}.`);
}

async function writeEntry(out: GatheringSink, entry: WritableZipEntry): Promise<Written> {
  const [name, time, offset] = [encodeName(entry.name), dosTime(entry), out.position];
  if (entry.content instanceof Uint8Array) {
    const size = entry.content.length;
    const written = { name, flags: utf8Flag, time, crc: crc32(entry.content), size, offset };
    await out.write(localHeader(written));
    await out.write(entry.content);
    return written;
  }
  // The assertion: whose content comes in pieces has a size, which the compiler can't tell by a class.
  const { size, content } = entry as Extract<WritableZipEntry, { readonly size: number }>;
  const flags = utf8Flag | checkedBehindFlag;
  await out.write(localHeader({ name, flags, time, crc: 0, size, offset }));
  let [length, crc] = [0, 0];
  for await (const piece of content) {
    length += piece.length;
    crc = crc32(piece, crc);
    await out.write(piece);
  }
  if (length !== size) throw refusal(entry.name, `gave ${length} bytes, expected ${size}`);
  await out.write(checkBehind(crc, size));
  return { name, flags, time, crc, size, offset };
}

/** @throws EvenkeelError `value`. */
function encodeName(name: string): Uint8Array {
  const parts = name.split("/");
  if (parts.some((part) => part === "" || part === "." || part === "..") || /[\\\0]|^[a-zA-Z]:/.test(name)) {
    throw refusal(name, "is no name of a file in an archive: wanted names of folders and a file, with slashes between");
  }
  const bytes = new TextEncoder().encode(name);
  if (bytes.length >= 2 ** 16) throw refusal(name, `has ${bytes.length} bytes, at most 65535 can be kept`);
  return bytes;
}

/** A time as DOS has it: the date in the upper half. @throws EvenkeelError `value`. */
function dosTime({ name, modified }: WritableZipEntry): number {
  const year = modified.getUTCFullYear() - 1980;
  if (!(year >= 0 && year < 128)) throw refusal(name, `is of ${String(modified)}, expected a year from 1980 to 2107`);
  const date = (year << 9) | ((modified.getUTCMonth() + 1) << 5) | modified.getUTCDate();
  const time =
    (modified.getUTCHours() << 11) | (modified.getUTCMinutes() << 5) | Math.floor(modified.getUTCSeconds() / 2);
  return date * 2 ** 16 + time;
}

const isFar = (value: number): boolean => value >= elsewhere;
const near = (value: number): number => Math.min(value, elsewhere);

/** The version that a reader needs: with zip64, or without. */
const versionOf = (isZip64: boolean): number => (isZip64 ? 45 : 20);

/** Zip64's field, with these numbers; empty without any. */
function farNumbers(numbers: readonly number[]): Uint8Array {
  if (numbers.length === 0) return new Uint8Array(0);
  const field = new Uint8Array(4 + 8 * numbers.length);
  const view = viewOf(field);
  view.setUint16(0, farField, true);
  view.setUint16(2, 8 * numbers.length, true);
  for (const [i, number] of numbers.entries()) writeUint64(view, 4 + 8 * i, number);
  return field;
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((total, { length }) => total + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** What an entry and a file's own header have in common, from the version that is needed on to the name's length. */
function writeFacts(view: DataView, at: number, { name, flags, time, crc, size }: Written, isZip64: boolean): void {
  view.setUint16(at, versionOf(isZip64), true);
  view.setUint16(at + 2, flags, true);
  view.setUint16(at + 4, stored, true);
  view.setUint32(at + 6, time, true);
  view.setUint32(at + 10, crc, true);
  view.setUint32(at + 14, near(size), true);
  view.setUint32(at + 18, near(size), true);
  view.setUint16(at + 22, name.length, true);
}

function localHeader(entry: Written): Uint8Array {
  const { name, flags, size } = entry;
  // What follows the content is said to be unknown before it.
  const isBehind = (flags & checkedBehindFlag) !== 0;
  const said = isBehind ? 0 : size;
  const field = isFar(size) ? farNumbers([said, said]) : new Uint8Array(0);
  const header = new Uint8Array(localBytes);
  const view = viewOf(header);
  view.setUint32(0, localMark, true);
  writeFacts(view, 4, { ...entry, size: isFar(size) ? size : said }, isFar(size));
  view.setUint16(28, field.length, true);
  return joined(header, name, field);
}

function checkBehind(crc: number, size: number): Uint8Array {
  const record = new Uint8Array(isFar(size) ? 24 : 16);
  const view = viewOf(record);
  view.setUint32(0, checkMark, true);
  view.setUint32(4, crc, true);
  if (isFar(size)) {
    writeUint64(view, 8, size);
    writeUint64(view, 16, size);
  } else {
    view.setUint32(8, size, true);
    view.setUint32(12, size, true);
  }
  return record;
}

function directoryEntry(entry: Written): Uint8Array {
  const { name, size, offset } = entry;
  const field = farNumbers([...(isFar(size) ? [size, size] : []), ...(isFar(offset) ? [offset] : [])]);
  const record = new Uint8Array(entryBytes);
  const view = viewOf(record);
  view.setUint32(0, entryMark, true);
  const isZip64 = field.length > 0;
  // Of Unix, so that the mode counts.
  view.setUint16(4, (3 << 8) | versionOf(isZip64), true);
  writeFacts(view, 6, entry, isZip64);
  view.setUint16(30, field.length, true);
  view.setUint32(38, fileMode * 2 ** 16, true);
  view.setUint32(42, near(offset), true);
  return joined(record, name, field);
}

function directoryEnd(start: number, end: number, files: number): Uint8Array {
  const bytes = end - start;
  const isZip64 = isFar(start) || isFar(bytes) || files >= countElsewhere;
  const record = new Uint8Array(endBytes);
  const view = viewOf(record);
  view.setUint32(0, endMark, true);
  for (const at of [8, 10]) view.setUint16(at, Math.min(files, countElsewhere), true);
  view.setUint32(12, near(bytes), true);
  view.setUint32(16, near(start), true);
  return isZip64 ? joined(farEnd(start, end, files), record) : record;
}

/** Zip64's last record, and the record of its place. */
function farEnd(start: number, end: number, files: number): Uint8Array {
  const records = new Uint8Array(farEndBytes + farPlaceBytes);
  const view = viewOf(records);
  view.setUint32(0, farEndMark, true);
  writeUint64(view, 4, farEndBytes - 12);
  view.setUint16(12, (3 << 8) | versionOf(true), true);
  view.setUint16(14, versionOf(true), true);
  for (const [at, value] of [
    [24, files],
    [32, files],
    [40, end - start],
    [48, start],
  ] as const) {
    writeUint64(view, at, value);
  }
  view.setUint32(farEndBytes, farPlaceMark, true);
  writeUint64(view, farEndBytes + 8, end);
  view.setUint32(farEndBytes + 16, 1, true);
  return records;
}
