import { EvenkeelError } from "../errors.ts";
import { checkLittleEndianHost } from "./fileError.ts";
import type { OpenFile, StoredFile } from "./folder.ts";
import { findEntry, SafetensorsFile } from "./safetensors.ts";
import {
  parseHeader,
  prefixBytes,
  readHeaderLength,
  type SafetensorsHeader,
  type TensorEntry,
} from "./safetensorsHeader.ts";
import { buildStoredTensor, type StoredTensor } from "./storedTensor.ts";

/** An open safetensors file, of which single tensors are read on demand. Close it. */
export class TensorReader {
  /** The file, as it was opened. */
  readonly path: string;
  /** The `__metadata__` map; empty if the file has none. */
  readonly metadata: ReadonlyMap<string, string>;
  /** Every tensor by name, in the order of their data. */
  readonly entries: ReadonlyMap<string, TensorEntry>;
  readonly #file: OpenFile;
  #closed = false;

  /** Use `withTensors`, or `openSafetensors` for a path. */
  constructor(path: string, header: SafetensorsHeader, file: OpenFile) {
    this.path = path;
    this.metadata = header.metadata;
    this.entries = header.entries;
    this.#file = file;
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
    return buildStoredTensor(entry, await this.#file.read(entry.byteOffset, entry.byteLength), this.path);
  }

  /** Reads every tensor, one at a time, in the order of their data. */
  async *tensors(): AsyncGenerator<StoredTensor> {
    for (const name of this.entries.keys()) yield await this.tensor(name);
  }

  /** Closes the file. Tensors already read stay valid. Closing twice does nothing. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#file.close();
  }
}

/**
 * Opens a safetensors file, of which the header is read and checked, for as long as `use` takes. Pages can't count on `await using`.
 * @throws EvenkeelError `file` if it can't be read or deviates from the format; see `parseHeader`.
 * @example
 * ```ts
 * const file = memoryFolder().file("weights.safetensors");
 * await writeTensors(file, { w: { dtype: "F32", shape: [2], data: Float32Array.of(1, 2) } });
 * console.log(await withTensors(file, ({ entries }) => entries.get("w")?.shape)); // [ 2 ]
 * ```
 */
export async function withTensors<T>(stored: StoredFile, use: (reader: TensorReader) => T | Promise<T>): Promise<T> {
  const { file, header } = await openChecked(stored);
  const reader = new TensorReader(stored.path, header, file);
  try {
    return await use(reader);
  } finally {
    await reader.close();
  }
}

/**
 * Reads a whole safetensors file into memory, for files that are small or needed entirely.
 * @throws EvenkeelError `file` if it can't be read or deviates from the format; see `parseHeader`.
 * @example
 * ```ts
 * const file = memoryFolder().file("weights.safetensors");
 * await writeTensors(file, { w: { dtype: "F32", shape: [2], data: Float32Array.of(1, 2) } });
 * console.log(toFloat32((await readTensors(file)).tensor("w"))); // Float32Array(2) [ 1, 2 ]
 * ```
 */
export async function readTensors(stored: StoredFile): Promise<SafetensorsFile> {
  const { file, header } = await openChecked(stored);
  try {
    return new SafetensorsFile(stored.path, header, await file.read(0, file.size));
  } finally {
    await file.close();
  }
}

/** The file, and its checked header. @throws EvenkeelError `file`. */
export async function openChecked(
  stored: StoredFile,
): Promise<{ readonly file: OpenFile; readonly header: SafetensorsHeader }> {
  checkLittleEndianHost("safetensors");
  const file = await stored.open();
  try {
    const prefix = await file.read(0, Math.min(prefixBytes, file.size));
    const headerBytes = readHeaderLength(prefix, file.size, stored.path);
    const header = parseHeader(await file.read(prefixBytes, headerBytes), file.size, stored.path);
    return { file, header };
  } catch (error) {
    await file.close();
    throw error;
  }
}
