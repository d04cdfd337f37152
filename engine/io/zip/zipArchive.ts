import { EvenkeelError, messageOf } from "../../errors.ts";
import { fileError } from "../fileError.ts";
import type { OpenFile } from "../folder.ts";
import { allocateBytes } from "../safetensorsEncoding.ts";
import { crc32 } from "./crc32.ts";
import { Inflate } from "./inflate.ts";
import { readDirectory, type ZipEntry } from "./zipDirectory.ts";
import { deflated, elsewhere, localBytes, localMark, stored, viewOf } from "./zipFormat.ts";
import { findZip, type ZipPlace } from "./zipPlace.ts";

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

/** Packed bytes read at once. */
const chunkBytes = 2 ** 22;

/** Packed bytes inflated at once: at most 1032 times as many come of them before they are counted. */
const inflatedAtOnce = 2 ** 16;

/**
 * Deflated bytes that may be needed before some come out, beside codes of up to 15 bits for each: the description of the codes, or a block
 * that isn't packed and comes out whole.
 */
const mostBeforeBytes = 1024 + 2 ** 16;

/** A file's own header may have more fields than its entry in the directory; that many bytes more are read with it. */
const moreHeaderBytes = 64;

/** A zip archive, stored or deflated, of which single files are read on demand. Safe in a page. Who opened the file closes it. */
export class ZipArchive {
  /** Its files and folders, in the order of its directory. Names may come twice. */
  readonly entries: readonly ZipEntry[];
  /** Bytes of the file before and behind the archive. */
  readonly bytesAround: number;
  readonly #file: OpenFile;
  readonly #place: ZipPlace;
  readonly #path: string;

  private constructor(file: OpenFile, path: string, place: ZipPlace, entries: readonly ZipEntry[]) {
    this.#file = file;
    this.#path = path;
    this.#place = place;
    this.entries = entries;
    this.bytesAround = place.before + file.size - place.end;
  }

  /**
   * Reads an archive's directory, wherever it lies in the file.
   * @param path what messages call the file.
   * @throws EvenkeelError `file` for a damaged archive, or names that lead out of it.
   */
  static async open(file: OpenFile, path: string): Promise<ZipArchive> {
    try {
      const place = await findZip(file);
      return new ZipArchive(file, path, place, await readDirectory(file, place));
    } catch (cause) {
      const hint = "; the Mac's archives above 4 GiB are often so: unpack it and use the folder";
      const problem = `can't be read as a zip: ${messageOf(cause).replace(/\.$/, "")}`;
      throw fileError(path, `${problem}${file.size > elsewhere ? hint : ""}.`, { cause });
    }
  }

  /** The bytes of a file of the archive. @throws EvenkeelError `file` as `content` does; `memory` if they don't fit. */
  async read(entry: ZipEntry): Promise<Uint8Array> {
    let whole: Uint8Array | undefined;
    let length = 0;
    for await (const piece of this.content(entry)) {
      if (piece.length === entry.size) whole = piece;
      else {
        whole ??= allocateBytes(entry.size, this.#nameOf(entry));
        whole.set(piece, length);
      }
      length += piece.length;
    }
    return whole ?? new Uint8Array(0);
  }

  /**
   * The bytes of a file of the archive, piece by piece, never more than it claims. Whether they were right is known at their end.
   * @throws EvenkeelError `file` if it is packed in a way that isn't read, or damaged: its size or its checksum is another.
   */
  async *content(entry: ZipEntry): AsyncGenerator<Uint8Array, void, undefined> {
    const { size } = entry;
    let [length, crc] = [0, 0];
    try {
      for await (const piece of this.#unpacked(entry, Infinity)) {
        length += piece.length;
        if (length > size) throw new Error(`unpacks to more than the ${size} bytes that it claims`);
        crc = crc32(piece, crc);
        yield piece;
      }
      if (length !== size) throw new Error(`unpacks to ${length} bytes, not to the ${size} that it claims`);
      if (crc !== entry.crc32) throw new Error("its checksum is wrong, so it is damaged");
    } catch (cause) {
      throw this.#failure(entry, cause);
    }
  }

  /** The first bytes of a file of the archive, as many as there are. @throws EvenkeelError `file`. */
  async head(entry: ZipEntry, bytes: number): Promise<Uint8Array> {
    const pieces: Uint8Array[] = [];
    let length = 0;
    try {
      const most = entry.method === stored ? bytes : 2 * bytes + mostBeforeBytes;
      for await (const piece of this.#unpacked(entry, most)) {
        pieces.push(piece);
        length += piece.length;
        if (length >= bytes) break;
      }
      return joined(pieces).subarray(0, bytes);
    } catch (cause) {
      throw this.#failure(entry, cause);
    }
  }

  #nameOf(entry: ZipEntry): string {
    return `${this.#path}: ${entry.name}`;
  }

  #failure(entry: ZipEntry, cause: unknown): EvenkeelError {
    const [code, first] =
      cause instanceof EvenkeelError ? [cause.code, cause.cause ?? cause] : ["file" as const, cause];
    return new EvenkeelError(code, `${this.#nameOf(entry)}: ${messageOf(cause)}`, { cause: first });
  }

  /** @param most packed bytes to look at. */
  #unpacked(entry: ZipEntry, most: number): AsyncIterable<Uint8Array> {
    if (entry.isEncrypted) throw new Error("is encrypted; unpack it and use the folder");
    if (entry.method === stored) return this.#packed(entry, most);
    if (entry.method === deflated) return inflated(this.#packed(entry, most));
    const method = methods.get(entry.method) ?? `method ${entry.method}`;
    throw new Error(`is packed by ${method}, expected deflate or none; unpack it and use the folder`);
  }

  async *#packed({ offset, packedSize, headerBytes }: ZipEntry, most: number): AsyncGenerator<Uint8Array> {
    const { before, end } = this.#place;
    const length = Math.min(packedSize, most);
    const start = before + offset;
    if (start + localBytes > end) throw new Error("the archive ends before it");
    const first = Math.min(localBytes + headerBytes + moreHeaderBytes + length, chunkBytes, end - start);
    const chunk = await this.#file.read(start, first);
    const view = viewOf(chunk);
    if (view.getUint32(0, true) !== localMark) throw new Error("isn't where the archive's directory says");
    let at = localBytes + view.getUint16(26, true) + view.getUint16(28, true);
    const stop = at + length;
    if (start + stop > end) throw new Error("the archive ends before it");
    if (at < Math.min(first, stop)) yield chunk.subarray(at, stop);
    for (at = Math.max(at, first); at < stop; at += chunkBytes) {
      yield await this.#file.read(start + at, Math.min(chunkBytes, stop - at));
    }
  }
}

async function* inflated(packed: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const pieces: Uint8Array[] = [];
  const inflate = new Inflate((piece) => void pieces.push(piece));
  for await (const chunk of packed) {
    for (let at = 0; at < chunk.length; at += inflatedAtOnce) {
      inflate.push(chunk.subarray(at, at + inflatedAtOnce));
      for (const piece of pieces.splice(0)) if (piece.length > 0) yield piece;
    }
  }
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((total, { length }) => total + length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
