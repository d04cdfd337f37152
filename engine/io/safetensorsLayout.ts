import { EvenkeelError } from "../errors.ts";
import { checkShape, type Shape, sizeOf } from "../graph/shape.ts";
import { bytesPerElement, type FileDType, fileDTypes } from "./fileDtype.ts";
import { quoteText } from "./fileError.ts";
import { maximumMembers } from "./headerScanner.ts";
import { maximumHeaderBytes, maximumRank, metadataKey, prefixBytes } from "./safetensorsHeader.ts";

/** Half of a UTF-16 pair, which UTF-8 can't hold. With the `u` flag a whole pair counts as one code point. */
const loneSurrogate = /\p{Surrogate}/u;

/** Things by name: a Map, a list of pairs, or an object. */
export type NamedEntries<T> = Iterable<readonly [string, T]> | Readonly<Record<string, T>>;

/** Where one tensor will lie in the data part of the file. */
export type PlacedTensor<T> = { readonly name: string; readonly tensor: T; readonly byteLength: number };

export type SafetensorsLayout<T> = {
  /** The 8-byte length and the header. */
  readonly head: Uint8Array;
  /** The tensors in the order of their data, which begins after `head` and has no gaps. */
  readonly placed: readonly PlacedTensor<T>[];
  readonly totalBytes: number;
};

/** The pairs of any form of {@link NamedEntries}. */
export function pairsOf<T>(named: NamedEntries<T>): (readonly [string, T])[] {
  return isIterable(named) ? [...named] : Object.entries(named);
}

function isIterable<T>(named: NamedEntries<T>): named is Iterable<readonly [string, T]> {
  return Symbol.iterator in named;
}

/**
 * Plans a file. Data is in the order of the format's own writer: dtypes of larger alignment first (U64 I64 F64 F32 U32
 * I32 BF16 F16 U16 I16 I8 U8 BOOL), then by name in UTF-8 order; the header is padded with spaces so that data begins
 * at a multiple of 8, which aligns every tensor to its elements. Metadata comes first, sorted by key. The same tensors
 * and metadata give the same bytes, whatever order they came in.
 * @throws EvenkeelError `value` for a name that cannot be written or comes twice, `dtype`, `shape`.
 */
export function layOutSafetensors<T extends { readonly dtype: FileDType; readonly shape: Shape }>(
  tensors: NamedEntries<T>,
  metadata: NamedEntries<string>,
): SafetensorsLayout<T> {
  const placed = pairsOf(tensors).map(([name, tensor]) => place(name, tensor));
  checkNames(
    placed.map(({ name }) => name),
    "tensor",
  );
  placed.sort(
    (a, b) =>
      fileDTypes.indexOf(b.tensor.dtype) - fileDTypes.indexOf(a.tensor.dtype) || compareCodePoints(a.name, b.name),
  );
  const members: string[] = [];
  const strings = metadataMembers(metadata);
  if (strings.length > 0) members.push(`${JSON.stringify(metadataKey)}:{${strings.join(",")}}`);
  let end = 0;
  for (const { name, tensor, byteLength } of placed) {
    const begin = end;
    end += byteLength;
    const shape = tensor.shape.join(",");
    members.push(
      `${JSON.stringify(name)}:{"dtype":"${tensor.dtype}","shape":[${shape}],"data_offsets":[${begin},${end}]}`,
    );
  }
  // Joined by hand: an object would move keys such as "0" to the front and lose "__proto__".
  const head = encodeHead(`{${members.join(",")}}`);
  return { head, placed, totalBytes: head.length + end };
}

function place<T extends { readonly dtype: FileDType; readonly shape: Shape }>(
  name: string,
  tensor: T,
): PlacedTensor<T> {
  const where = `safetensors: tensor ${quoteText(name)}`;
  if (!fileDTypes.includes(tensor.dtype)) {
    throw new EvenkeelError("dtype", `${where}: dtype ${tensor.dtype} is not one of ${fileDTypes.join(", ")}.`);
  }
  checkShape(where, tensor.shape);
  if (tensor.shape.length > maximumRank) {
    throw new EvenkeelError(
      "shape",
      `${where}: ${tensor.shape.length} axes; a file's tensor has at most ${maximumRank}.`,
    );
  }
  return { name, tensor, byteLength: sizeOf(tensor.shape) * bytesPerElement(tensor.dtype) };
}

function metadataMembers(metadata: NamedEntries<string>): string[] {
  const pairs = pairsOf(metadata).sort(([a], [b]) => compareCodePoints(a, b));
  checkNames(
    pairs.map(([key]) => key),
    "metadata key",
  );
  return pairs.map(([key, value]) => {
    if (typeof value !== "string" || loneSurrogate.test(value)) {
      const found = typeof value === "string" ? "holds half of a surrogate pair" : `is a ${typeof value}`;
      throw new EvenkeelError(
        "value",
        `safetensors: the metadata value of ${quoteText(key)} ${found}; values are strings (JSON.stringify anything else).`,
      );
    }
    return `${JSON.stringify(key)}:${JSON.stringify(value)}`;
  });
}

function checkNames(names: readonly string[], what: string): void {
  if (names.length > maximumMembers) {
    throw new EvenkeelError(
      "value",
      `safetensors: ${names.length} ${what}s are too many; readers accept ${maximumMembers}. Write several files.`,
    );
  }
  const seen = new Set<string>();
  for (const name of names) {
    let problem: string | undefined;
    if (name === metadataKey && what === "tensor") problem = "is the format's own key for metadata";
    if (seen.has(name)) problem = "comes twice";
    if (loneSurrogate.test(name)) problem = "holds half of a surrogate pair";
    if (problem !== undefined) throw new EvenkeelError("value", `safetensors: ${what} ${quoteText(name)} ${problem}.`);
    seen.add(name);
  }
}

function encodeHead(json: string): Uint8Array {
  const text = new TextEncoder().encode(json);
  const length = Math.ceil(text.length / 8) * 8;
  if (length > maximumHeaderBytes) {
    throw new EvenkeelError(
      "value",
      `safetensors: the header would have ${length} bytes; readers accept ${maximumHeaderBytes}. ` +
        "Shorten the metadata, or write several files.",
    );
  }
  const head = new Uint8Array(prefixBytes + length).fill(0x20);
  new DataView(head.buffer).setBigUint64(0, BigInt(length), true);
  head.set(text, prefixBytes);
  return head;
}

/** The order of the strings' UTF-8 bytes, which JavaScript's own comparison of UTF-16 units is not. */
function compareCodePoints(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    // The first differing unit decides: a surrogate pair is above everything a single unit can be.
    if (a.charCodeAt(i) !== b.charCodeAt(i)) return unitRank(a.charCodeAt(i)) - unitRank(b.charCodeAt(i));
  }
  return a.length - b.length;
}

/** UTF-16 units ordered as their code points: surrogates (0xd800 to 0xdfff) come last. */
function unitRank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}
