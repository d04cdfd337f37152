import { formatShape, type Shape } from "../graph/shape.ts";
import {
  bitsPerElement,
  type FileDType,
  fileDTypes,
  type ForeignDType,
  isFileDType,
  isForeignDType,
} from "./fileDtype.ts";
import { fileError, quoteText } from "./fileError.ts";
import { HeaderScanner } from "./headerScanner.ts";

/** Largest header that is read or written, in bytes; the limit of the format's own reader. */
export const maximumHeaderBytes = 100_000_000;

/** Most axes of a tensor in a file; more than NumPy or PyTorch can hold. */
export const maximumRank = 64;

/** Bytes before the header: its length. */
export const prefixBytes = 8;

/** Key of the header that is not a tensor. */
export const metadataKey = "__metadata__";

/** Where a tensor lies in a file. Elements are little-endian, row-major, without gaps. */
export type TensorEntry = {
  readonly name: string;
  /** Of a foreign type nothing but the place in the file is known: asking for such a tensor is refused. */
  readonly dtype: FileDType | ForeignDType;
  readonly shape: Shape;
  /** First byte, counted from the beginning of the file. */
  readonly byteOffset: number;
  readonly byteLength: number;
};

/** What the header of a safetensors file says, fully checked against the file's size. */
export type SafetensorsHeader = {
  readonly metadata: ReadonlyMap<string, string>;
  /** In the order of their data. */
  readonly entries: ReadonlyMap<string, TensorEntry>;
};

/**
 * The header's length, from the first 8 bytes of a file of `fileBytes` bytes.
 * @throws EvenkeelError `file` unless the header fits into the file and into {@link maximumHeaderBytes}.
 */
export function readHeaderLength(prefix: Uint8Array, fileBytes: number, source: string): number {
  if (prefix.length < prefixBytes || fileBytes < prefixBytes) {
    throw fileError(
      source,
      `${fileBytes} bytes are too few for a safetensors file, which begins with an 8-byte length. Is it truncated?`,
    );
  }
  const length = new DataView(prefix.buffer, prefix.byteOffset, prefixBytes).getBigUint64(0, true);
  if (length > maximumHeaderBytes) {
    throw fileError(
      source,
      `its first 8 bytes ask for a header of ${length} bytes; the limit is ${maximumHeaderBytes}. ` +
        "Is it a safetensors file?",
    );
  }
  if (Number(length) > fileBytes - prefixBytes) {
    throw fileError(
      source,
      `its header should have ${length} bytes, but the file has ${fileBytes - prefixBytes} after the length. ` +
        "It is truncated, or not a safetensors file.",
    );
  }
  return Number(length);
}

/**
 * Checks and reads the header of a file of `fileBytes` bytes.
 *
 * Refused: anything but the JSON the format describes (an object of tensors, `__metadata__` a map of strings or null; repeated
 * keys, sizes that are not plain digits), unknown dtypes, a byte range that does not equal the shape times
 * the element size, and ranges that overlap, leave a hole, or do not end with the file. What a tensor has beside its dtype, shape and
 * range is passed over, as by the format's own reader.
 *
 * Memory is proportional to the header's length, whatever sizes it names (about 4 times it in the worst case, a header
 * of nothing but empty tensors). `header` is used up: its escapes are resolved in place.
 * @throws EvenkeelError `file`.
 */
export function parseHeader(header: Uint8Array, fileBytes: number, source: string): SafetensorsHeader {
  const scanner = new HeaderScanner(header, source);
  const dataOffset = prefixBytes + header.length;
  const metadata = new Map<string, string>();
  const entries: TensorEntry[] = [];
  scanner.members("the header", (name) => {
    if (name === metadataKey) {
      if (scanner.takeNull()) return;
      scanner.members(metadataKey, (key) =>
        metadata.set(key, scanner.string(`${metadataKey} value of ${quoteText(key)}`)),
      );
    } else {
      entries.push(parseEntry(scanner, name, dataOffset, source));
    }
  });
  scanner.expectEnd();
  entries.sort((a, b) => a.byteOffset - b.byteOffset || a.byteLength - b.byteLength);
  checkCoverage(entries, dataOffset, fileBytes, source);
  return { metadata, entries: new Map(entries.map((entry) => [entry.name, entry])) };
}

function parseEntry(scanner: HeaderScanner, name: string, dataOffset: number, source: string): TensorEntry {
  const tensor = `tensor ${quoteText(name)}`;
  let dtype: FileDType | ForeignDType | undefined;
  let shape: number[] | undefined;
  let range: number[] | undefined;
  scanner.members(tensor, (key) => {
    switch (key) {
      case "dtype":
        dtype = checkDType(scanner.string(`dtype of ${tensor}`), tensor, source);
        break;
      case "shape":
        shape = scanner.wholeNumbers(`shape of ${tensor}`, maximumRank);
        break;
      case "data_offsets":
        range = scanner.wholeNumbers(`data_offsets of ${tensor}`, 2);
        break;
      default:
        scanner.skipValue(`${quoteText(key)} of ${tensor}`);
    }
  });
  if (dtype === undefined || shape === undefined || range === undefined) {
    const missing = dtype === undefined ? "dtype" : shape === undefined ? "shape" : "data_offsets";
    throw fileError(source, `${tensor} has no ${missing}.`);
  }
  const [begin, end] = range;
  if (begin === undefined || end === undefined || begin > end) {
    throw fileError(source, `${tensor}: data_offsets [${range.join(", ")}] are not [begin, end] with begin <= end.`);
  }
  const byteLength = checkedByteLength(dtype, shape, tensor, source);
  if (byteLength !== end - begin) {
    throw fileError(
      source,
      `${tensor}: ${dtype} of shape ${formatShape(shape)} takes ${byteLength} bytes, ` +
        `but data_offsets [${begin}, ${end}] hold ${end - begin}.`,
    );
  }
  return { name, dtype, shape, byteOffset: dataOffset + begin, byteLength };
}

function checkDType(name: string, tensor: string, source: string): FileDType | ForeignDType {
  if (isFileDType(name) || isForeignDType(name)) return name;
  throw fileError(source, `${tensor} has the unknown dtype ${quoteText(name)}; known are ${fileDTypes.join(", ")}.`);
}

/** Most elements, as the format's own reader counts them in 64 bits. */
const maximumElements = 2n ** 64n;

/** Multiplies axis by axis, refusing every product that can't be counted, even if a later axis is 0. */
function checkedByteLength(dtype: FileDType | ForeignDType, shape: Shape, tensor: string, source: string): number {
  const tooMany = (what: string) =>
    fileError(source, `${tensor}: ${dtype} of shape ${formatShape(shape)} has more ${what} than can be counted.`);
  let elements = 1;
  for (const size of shape) {
    const product = elements * size;
    // Beyond 2^53 numbers are no longer exact; a later axis of 0 is all that can bring them back.
    if (!Number.isSafeInteger(product) && BigInt(elements) * BigInt(size) >= maximumElements) throw tooMany("elements");
    elements = product;
  }
  const bits = elements * bitsPerElement(dtype);
  if (!Number.isSafeInteger(bits)) throw tooMany("bytes");
  if (bits % 8 !== 0) {
    throw fileError(source, `${tensor}: ${dtype} of shape ${formatShape(shape)} doesn't end with a whole byte.`);
  }
  return bits / 8;
}

/** `entries` are sorted by their ranges, which must follow each other without overlap or hole up to the file's end. */
function checkCoverage(entries: readonly TensorEntry[], dataOffset: number, fileBytes: number, source: string): void {
  let covered = dataOffset;
  for (const { name, byteOffset, byteLength } of entries) {
    if (byteOffset !== covered) {
      const begins = `tensor ${quoteText(name)} begins at data byte ${byteOffset - dataOffset}`;
      const before = covered - dataOffset;
      throw fileError(
        source,
        byteOffset < covered
          ? `${begins} and overlaps the tensor before it, which ends at ${before}.`
          : `${begins}, but the data before it ends at ${before}: the bytes between belong to no tensor.`,
      );
    }
    covered = byteOffset + byteLength;
  }
  if (covered === fileBytes) return;
  const last = entries.at(-1);
  const end = last === undefined ? "its header" : `the data of its last tensor, ${quoteText(last.name)},`;
  const ends = `${end} ends at byte ${covered}`;
  throw fileError(
    source,
    covered > fileBytes
      ? `${ends}, but the file has ${fileBytes} bytes. It is truncated: copy or download it again.`
      : `${ends}, but the file has ${fileBytes} bytes: the rest belongs to no tensor.`,
  );
}
