import fs, { type FileHandle } from "node:fs/promises";
import { EvenkeelError } from "../../errors.ts";
import { checkLittleEndianHost, fileError } from "../fileError.ts";
import { findEntry, SafetensorsFile } from "../safetensors.ts";
import { allocateBytes } from "../safetensorsEncoding.ts";
import {
  parseHeader,
  prefixBytes,
  readHeaderLength,
  type SafetensorsHeader,
  type TensorEntry,
} from "../safetensorsHeader.ts";
import { buildStoredTensor, type StoredTensor } from "../storedTensor.ts";
import { fileSystemError } from "./fileSystemError.ts";

/** Most bytes asked of the system in one read; its counters have 31 bits. */
const readBytes = 1 << 26;

/** An open safetensors file, of which single tensors are read on demand. Close it, or hold it by `await using`. */
export class SafetensorsReader implements AsyncDisposable {
  /** The file, as it was opened. */
  readonly path: string;
  /** The `__metadata__` map; empty if the file has none. */
  readonly metadata: ReadonlyMap<string, string>;
  /** Every tensor by name, in the order of their data. */
  readonly entries: ReadonlyMap<string, TensorEntry>;
  readonly #handle: FileHandle;
  #closed = false;

  /** Use `openSafetensors`. */
  constructor(path: string, header: SafetensorsHeader, handle: FileHandle) {
    this.path = path;
    this.metadata = header.metadata;
    this.entries = header.entries;
    this.#handle = handle;
  }

  /**
   * Reads one tensor into memory of its own. Several may be read at once.
   * @throws EvenkeelError `file` if there is none of this name or the file can't be read, `disposed` after `close`.
   */
  async tensor(name: string): Promise<StoredTensor> {
    if (this.#closed) {
      throw new EvenkeelError("disposed", `${this.path}: was closed; open it again to read tensor ${name}.`);
    }
    const entry = findEntry(this.entries, name, this.path);
    const bytes = await readRange(this.#handle, entry.byteOffset, entry.byteLength, this.path);
    return buildStoredTensor(entry, bytes, this.path);
  }

  /** Reads every tensor, one at a time, in the order of their data. */
  async *tensors(): AsyncGenerator<StoredTensor> {
    for (const name of this.entries.keys()) yield await this.tensor(name);
  }

  /** Closes the file. Tensors already read stay valid. Closing twice does nothing. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#handle.close();
  }

  /** Closes the file. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/**
 * Opens a safetensors file and reads and checks its header, no data.
 * @throws EvenkeelError `file` if it can't be read or deviates from the format; see `parseHeader`.
 */
export async function openSafetensors(path: string): Promise<SafetensorsReader> {
  const { handle, header } = await openChecked(path);
  return new SafetensorsReader(path, header, handle);
}

/**
 * Reads a whole safetensors file into memory, for files that are small or needed entirely.
 * @throws EvenkeelError `file` if it can't be read or deviates from the format; see `parseHeader`.
 */
export async function readSafetensors(path: string): Promise<SafetensorsFile> {
  const { handle, header, fileBytes } = await openChecked(path);
  try {
    return new SafetensorsFile(path, header, await readRange(handle, 0, fileBytes, path));
  } finally {
    await handle.close();
  }
}

type CheckedFile = { readonly handle: FileHandle; readonly header: SafetensorsHeader; readonly fileBytes: number };

async function openChecked(path: string): Promise<CheckedFile> {
  checkLittleEndianHost("openSafetensors");
  const wrap = (cause: unknown) => {
    throw fileSystemError(path, "opening", cause);
  };
  // Before opening, which would wait forever on a named pipe.
  const { isFile } = await fs.stat(path).then((found) => ({ isFile: found.isFile() }), wrap);
  if (!isFile) throw fileError(path, "is not a regular file (a folder, a pipe or a device).");
  const handle = await fs.open(path, "r").catch(wrap);
  try {
    const fileBytes = (await handle.stat().catch(wrap)).size;
    const prefix = await readRange(handle, 0, Math.min(prefixBytes, fileBytes), path);
    const headerBytes = readHeaderLength(prefix, fileBytes, path);
    const header = parseHeader(await readRange(handle, prefixBytes, headerBytes, path), fileBytes, path);
    return { handle, header, fileBytes };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** The `length` bytes from `offset` on, which the caller knows to lie within the file. */
async function readRange(handle: FileHandle, offset: number, length: number, path: string): Promise<Uint8Array> {
  const bytes = allocateBytes(length, path);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await handle
      .read(bytes, done, Math.min(readBytes, length - done), offset + done)
      .catch((cause: unknown) => {
        throw fileSystemError(path, "reading", cause);
      });
    if (bytesRead === 0) {
      throw fileError(
        path,
        `ends at byte ${offset + done}, ${length - done} bytes early: it was cut while it was read.`,
      );
    }
    done += bytesRead;
  }
  return bytes;
}
