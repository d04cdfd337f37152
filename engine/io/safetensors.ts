import { checkLittleEndianHost, fileError, quoteText } from "./fileError.ts";
import {
  parseHeader,
  prefixBytes,
  readHeaderLength,
  type SafetensorsHeader,
  type TensorEntry,
} from "./safetensorsHeader.ts";
import { buildStoredTensor, type StoredTensor } from "./storedTensor.ts";

/** A safetensors file in memory. */
export class SafetensorsFile {
  /** What messages call the file. */
  readonly source: string;
  /** The `__metadata__` map; empty if the file has none. */
  readonly metadata: ReadonlyMap<string, string>;
  /** Every tensor by name, in the order of their data. */
  readonly entries: ReadonlyMap<string, TensorEntry>;
  readonly #bytes: Uint8Array;

  /** Use `parseSafetensors`. `header` must have been checked against `bytes`. */
  constructor(source: string, header: SafetensorsHeader, bytes: Uint8Array) {
    this.source = source;
    this.metadata = header.metadata;
    this.entries = header.entries;
    this.#bytes = bytes;
  }

  /**
   * The tensor `name`. Its data shares the file's memory where the file has it aligned, and is a copy elsewhere.
   * @throws EvenkeelError `file` if there is none of this name, or a BOOL tensor holds anything but 0 and 1.
   */
  tensor(name: string): StoredTensor {
    const entry = findEntry(this.entries, name, this.source);
    const bytes = this.#bytes.subarray(entry.byteOffset, entry.byteOffset + entry.byteLength);
    return buildStoredTensor(entry, bytes, this.source);
  }

  /** Every tensor, in the order of their data. */
  *tensors(): Generator<StoredTensor> {
    for (const name of this.entries.keys()) yield this.tensor(name);
  }
}

/**
 * Reads a safetensors file from memory; `source` is what messages call it. Only the header is looked at: tensors are
 * views of `bytes`, made when asked for.
 * @throws EvenkeelError `file` for every deviation from the format; see `parseHeader`.
 * @example
 * ```ts
 * const file = parseSafetensors(serializeSafetensors({ w: { dtype: "F32", shape: [2], data: Float32Array.of(1, 2) } }));
 * console.log(toFloat32(file.tensor("w"))); // Float32Array(2) [ 1, 2 ]
 * ```
 */
export function parseSafetensors(bytes: Uint8Array, source = "safetensors data"): SafetensorsFile {
  checkLittleEndianHost("parseSafetensors");
  const length = readHeaderLength(bytes.subarray(0, prefixBytes), bytes.length, source);
  // A copy, as parsing uses it up. Not by `slice`, which on Node's Buffer is a view.
  const headerBytes = new Uint8Array(bytes.subarray(prefixBytes, prefixBytes + length));
  const header = parseHeader(headerBytes, bytes.length, source);
  return new SafetensorsFile(source, header, bytes);
}

/** @throws EvenkeelError `file` if no tensor is called `name`. */
export function findEntry(entries: ReadonlyMap<string, TensorEntry>, name: string, source: string): TensorEntry {
  const entry = entries.get(name);
  if (entry !== undefined) return entry;
  const names = [...entries.keys()];
  const some = names.slice(0, 5).map(quoteText).join(", ");
  const has = names.length === 0 ? "none" : names.length <= 5 ? some : `${some} and ${names.length - 5} more`;
  throw fileError(source, `no tensor is called ${quoteText(name)}; the file has ${has}.`);
}
