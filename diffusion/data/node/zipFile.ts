import { type FileHandle, open } from "node:fs/promises";
import { basename } from "node:path";
import { promisify } from "node:util";
import { constants, crc32, inflateRaw, type ZlibOptions } from "node:zlib";
import yauzl from "yauzl";
import { EvenkeelError, messageOf } from "../../../engine/index.ts";
import { foreignKind, foreignHeadBytes } from "../../interchange/index.ts";
import { FileNames } from "../files/fileNames.ts";
import { type FileSource, maximumFileBytes, TooLarge } from "../files/fileSource.ts";
import type { Notices } from "../files/notices.ts";
import type { Reading } from "../files/reading.ts";

const inflate = promisify<Uint8Array, ZlibOptions, Buffer>(inflateRaw);

/** Ways of packing that aren't read, by their numbers. */
const methods: ReadonlyMap<number, string> = new Map([
  [6, "imploding"],
  [9, "Deflate64"],
  [12, "bzip2"],
  [14, "LZMA"],
  [93, "Zstandard"],
  [95, "xz"],
  [98, "PPMd"],
  [99, "AES encryption"],
]);

/** What a size in an archive's end is when the true one stands elsewhere. */
const elsewhere = 2 ** 32 - 1;

/**
 * The files of a zip archive, stored or deflated; read one at a time. Sizes are checked before anything is unpacked, checksums after.
 * @throws EvenkeelError `file` for a damaged archive, names that lead out of it or come twice.
 */
export async function openZip(path: string, reading: Reading): Promise<FileSource> {
  const fail = (problem: string, cause: unknown): never => {
    throw new EvenkeelError("file", `${path}: ${problem}.`, { cause });
  };
  const handle = await open(path, "r").catch((cause: unknown) => fail(`can't be opened: ${messageOf(cause)}`, cause));
  let size = 0;
  try {
    ({ size } = await handle.stat());
    const place = await placeOf(handle, size);
    const zip = await openDirectory(handle, place);
    const names = new FileNames<yauzl.Entry>(path, reading);
    await listEntries(zip, place.directoryBytes, names, reading.notices);
    const around = place.before + size - place.end;
    if (around > 0) reading.notices.add("left out", `bytes around the archive, ${around} of them`, basename(path));
    return zipSource(path, handle, place, zip, names);
  } catch (cause) {
    const kind = await readAt(handle, 0, Math.min(size, foreignHeadBytes)).then(
      (head) => foreignKind(head, path),
      () => null,
    );
    await handle.close();
    if (kind !== null && !kind.startsWith("a zip")) fail(`is no zip: it is ${kind.replace(/\.$/, "")}`, cause);
    const hint = size > elsewhere ? "; the Mac's archives above 4 GiB are often so: unpack it and use the folder" : "";
    return fail(`can't be read as a zip: ${messageOf(cause).replace(/\.$/, "")}${hint}`, cause);
  }
}

function zipSource(
  path: string,
  handle: FileHandle,
  { before, end }: ZipPlace,
  zip: yauzl.ZipFile,
  names: FileNames<yauzl.Entry>,
): FileSource {
  /** Does something with an entry, and names it when that fails. */
  const withEntry = async <T>(file: string, task: (entry: yauzl.Entry) => Promise<T>): Promise<T> => {
    try {
      const entry = names.get(file);
      if (entry === undefined) throw new Error("isn't there");
      if (entry.isEncrypted()) throw new Error("is encrypted; unpack it and use the folder");
      if (entry.compressionMethod !== 0 && entry.compressionMethod !== 8) {
        const method = methods.get(entry.compressionMethod) ?? `method ${entry.compressionMethod}`;
        throw new Error(`is packed by ${method}, expected deflate or none; unpack it and use the folder`);
      }
      return await task(entry);
    } catch (cause) {
      throw new EvenkeelError("file", `${path}: ${file}: ${messageOf(cause)}`, { cause });
    }
  };
  const packed = async (entry: yauzl.Entry, maximumBytes = Infinity): Promise<Uint8Array> => {
    const { fileDataStart } = await zip.readLocalFileHeaderPromise(entry, { minimal: true });
    const length = Math.min(entry.compressedSize, maximumBytes);
    if (before + fileDataStart + length > end) throw new Error("the archive ends before it");
    return readAt(handle, before + fileDataStart, length);
  };
  return {
    name: path,
    files: names.sorted,
    wanted: null,
    nameOf: (file) => `${path}: ${file}`,
    read: (file, maximumBytes = maximumFileBytes) =>
      withEntry(file, async (entry) => {
        const { uncompressedSize, compressedSize, compressionMethod } = entry;
        if (Math.max(uncompressedSize, compressedSize) > maximumBytes) {
          throw new TooLarge(`claims ${uncompressedSize} bytes, more than ${maximumBytes}`);
        }
        const content = await packed(entry);
        const bytes = compressionMethod === 0 ? content : await unpack(content, uncompressedSize);
        if (bytes.length !== uncompressedSize) {
          throw new Error(`unpacks to ${bytes.length} bytes, not to the ${uncompressedSize} that it claims`);
        }
        if (crc32(bytes) !== entry.crc32) throw new Error("its checksum is wrong, so it is damaged");
        return bytes;
      }),
    head: (file, bytes) =>
      withEntry(file, async (entry) => {
        if (entry.compressionMethod === 0) return packed(entry, bytes);
        // Codes of up to 15 bits, after the description of the codes.
        const start = await packed(entry, 2 * bytes + 1024);
        return (await inflate(start, { finishFlush: constants.Z_SYNC_FLUSH })).subarray(0, bytes);
      }),
    close: () => handle.close(),
  };
}

async function unpack(content: Uint8Array, claimed: number): Promise<Uint8Array> {
  try {
    // One more, so that too many are told from enough.
    return await inflate(content, { maxOutputLength: claimed + 1 });
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new Error(`unpacks to more than the ${claimed} bytes that it claims`, { cause });
  }
}

/** Reads an archive's directory by blocks, as a file read at two places an entry takes long. */
class BlockReader extends yauzl.RandomAccessReader {
  readonly #handle: FileHandle;
  readonly #place: ZipPlace;
  readonly #size: number;
  #block: Uint8Array = new Uint8Array(0);
  #start = 0;

  constructor(handle: FileHandle, place: ZipPlace) {
    super();
    this.#handle = handle;
    this.#place = place;
    this.#size = sizeWithin(place);
  }

  override read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
    callback: (error: Error | null, bytesRead?: number) => void,
  ): void {
    const serve = (): void => {
      const from = position - this.#start;
      buffer.set(this.#block.subarray(from, from + length), offset);
      callback(null, length);
    };
    const isThere = position >= this.#start && position + length <= this.#start + this.#block.length;
    if (isThere) return serve();
    const bytes = Math.min(Math.max(length, 2 ** 16), this.#size - position);
    readAt(this.#handle, this.#place.before + position, bytes < length ? length : bytes).then((block) => {
      // The archive's comment is passed over, whatever it holds.
      const lengthOfComment = this.#size - 2 - position;
      for (const at of [lengthOfComment, lengthOfComment + 1]) if (at >= 0 && at < block.length) block[at] = 0;
      [this.#block, this.#start] = [block, position];
      serve();
    }, callback);
  }
}

/** @throws Error unless there are so many bytes. */
async function readAt(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length);
  for (let done = 0; done < length; ) {
    const { bytesRead } = await handle.read(buffer, done, length - done, position + done);
    if (bytesRead === 0) throw new Error("ends too early");
    done += bytesRead;
  }
  return buffer;
}

async function openDirectory(handle: FileHandle, place: ZipPlace): Promise<yauzl.ZipFile> {
  const open = promisify<yauzl.RandomAccessReader, number, yauzl.Options, yauzl.ZipFile>(yauzl.fromRandomAccessReader);
  const options = { lazyEntries: true, autoClose: false, validateEntrySizes: false, decodeStrings: false };
  return open(new BlockReader(handle, place), sizeWithin(place), options);
}

/** @param expectedBytes what the archive's end says that the directory has; null if that isn't known. */
async function listEntries(
  zip: yauzl.ZipFile,
  expectedBytes: number | null,
  names: FileNames<yauzl.Entry>,
  notices: Notices,
): Promise<void> {
  const claimedEntries = zip.entryCount;
  let bytes = 0;
  // The Mac counts the files of its archives modulo 65,536.
  const expectMore = (): void => {
    if (zip.entriesRead === zip.entryCount && expectedBytes !== null && bytes < expectedBytes) zip.entryCount++;
  };
  expectMore();
  for await (const entry of zip.eachEntry()) {
    bytes += 46 + entry.fileNameLength + entry.extraFieldLength + entry.fileCommentLength;
    const { name, guess } = nameOfEntry(entry);
    const problem = yauzl.validateFileName(name.replaceAll("\\", "/"));
    if (problem !== null) throw new Error(`${problem}; unpack it and use the folder`);
    if (isLink(entry))
      notices.add("left out", "links in archives; unpack it and use the folder to have them followed", name);
    else if (!/[\\/]$/.test(name)) {
      names.add(name, withoutTexts(entry));
      if (guess !== null) notices.add("guessed", guess, name);
    }
    expectMore();
  }
  // Else some files, or the labels, would go missing.
  if (expectedBytes !== null && bytes !== expectedBytes) {
    throw new Error(`it lists ${bytes} bytes of files where its end tells of ${expectedBytes}, so it is damaged`);
  }
  if ((zip.entriesRead - claimedEntries) % 2 ** 16 !== 0) {
    throw new Error(`it lists ${zip.entriesRead} files where its end tells of ${claimedEntries}, so it is damaged`);
  }
}

/** Whether an entry's mode, as Unix has it, is that of a symbolic link. */
function isLink({ externalFileAttributes }: yauzl.Entry): boolean {
  return ((externalFileAttributes >>> 16) & 0o170000) === 0o120000;
}

const none = Buffer.alloc(0);
const noTexts = { fileNameRaw: none, extraFieldRaw: none, fileCommentRaw: none, extraFields: [] };

/** An entry without what was read of its name, which would keep half a kilobyte for each file. */
function withoutTexts(entry: yauzl.Entry): yauzl.Entry {
  return Object.assign(entry, noTexts);
}

const readAsUtf8 = "names whose archive doesn't say how they are written, read as UTF-8, which they are by their form";
const dos =
  "read as those of DOS (code page 437); if they look wrong, unpack it with the right one (unzip -O shift_jis, gbk, ...) and use the folder";
const readAsDos = `names whose archive doesn't say how they are written, and which aren't UTF-8, ${dos}`;
const readAsDosAllTheSame = `names whose archive says that they are UTF-8, which they aren't, ${dos}`;

/** An entry's name: of its field of Unicode, as it says, or else (null: no guess) in the encoding that fits. */
function nameOfEntry(entry: yauzl.Entry): { readonly name: string; readonly guess: string | null } {
  const { generalPurposeBitFlag: flags, fileNameRaw, extraFields } = entry;
  const isAscii = fileNameRaw.every((byte) => byte < 128);
  if (isAscii || extraFields.some((field) => isUnicodePath(field, fileNameRaw))) {
    return { name: yauzl.getFileNameLowLevel(flags, fileNameRaw, extraFields, true), guess: null };
  }
  const saysUtf8 = (flags & utf8Flag) !== 0;
  try {
    const name = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(fileNameRaw);
    // The Mac writes UTF-8 without saying so.
    return { name, guess: saysUtf8 ? null : readAsUtf8 };
  } catch {
    const name = yauzl.getFileNameLowLevel(flags & ~utf8Flag, fileNameRaw, [], true);
    return { name, guess: saysUtf8 ? readAsDosAllTheSame : readAsDos };
  }
}

const utf8Flag = 0x800;

/** Whether an extra field is Info-ZIP's name in UTF-8, and of the name that the entry has. */
function isUnicodePath({ id, data }: yauzl.ExtraField, name: Buffer): boolean {
  return id === 0x7075 && data.length > 5 && data[0] === 1 && data.readUInt32LE(1) === crc32(name);
}

/** Where an archive lies in its file. */
type ZipPlace = {
  /** Bytes before it, such as a program that unpacks it. */
  readonly before: number;
  /** Where its last record begins, and where it ends. */
  readonly endRecord: number;
  readonly end: number;
  /** How many bytes its end says that its directory has; null if that stands elsewhere (the directory is larger than 4 GiB). */
  readonly directoryBytes: number | null;
};

const [endBytes, entryMark, endMark] = [22, Buffer.from("PK\x01\x02", "latin1"), Buffer.from("PK\x05\x06", "latin1")];

/** So many records that may be the last one are looked at. */
const mostRecords = 16;

/** An archive's size without its comment. */
function sizeWithin({ before, endRecord }: ZipPlace): number {
  return endRecord + endBytes - before;
}

/**
 * Finds the last record of an archive: the one whose comment ends with the file, or else the last one whose comment fits; of several the one
 * that has a directory.
 * @throws Error if there is none.
 */
async function placeOf(handle: FileHandle, size: number): Promise<ZipPlace> {
  // A comment has less than 64 KiB.
  const length = Math.min(size, endBytes + 2 ** 16);
  const tail = await readAt(handle, size - length, length);
  const isEntryAt = async (place: number): Promise<boolean> =>
    place >= 0 && place + 4 <= size && (await readAt(handle, place, 4)).equals(entryMark);
  const found: (ZipPlace & { readonly hasDirectory: boolean })[] = [];
  for (let at = tail.length - endBytes; at >= 0 && found.length < mostRecords; at--) {
    at = tail.lastIndexOf(endMark, at);
    if (at < 0) break;
    const end = at + endBytes + tail.readUInt16LE(at + 20);
    if (end > tail.length) continue;
    const [bytes, offset] = [tail.readUInt32LE(at + 12), tail.readUInt32LE(at + 16)];
    const endRecord = size - length + at;
    const directoryStart = endRecord - bytes;
    const isInPlace = await isEntryAt(offset);
    // Above 4 GiB the Mac's offsets are what is left of them.
    const isShifted = !isInPlace && size <= elsewhere && offset < directoryStart && (await isEntryAt(directoryStart));
    found.push({
      before: isShifted ? directoryStart - offset : 0,
      endRecord,
      end: size - length + end,
      directoryBytes: bytes === elsewhere ? null : bytes,
      hasDirectory: isInPlace || isShifted || offset === elsewhere || size > elsewhere,
    });
  }
  const [first] = found
    .toSorted((a, b) => Number(b.end === size) - Number(a.end === size))
    .toSorted((a, b) => Number(b.hasDirectory) - Number(a.hasDirectory));
  if (first !== undefined) return first;
  throw new Error("it has no directory of its files, as if it had been cut off: copy or download it again");
}
