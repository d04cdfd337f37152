/**
 * A second reader of safetensors, written from the format's description in the plainest way (JSON.parse, no care for
 * speed or memory), to judge the real one: gives the file's content, or undefined if the format forbids it.
 */
export type PlainFile = {
  readonly metadata: ReadonlyMap<string, string>;
  readonly tensors: ReadonlyMap<string, { dtype: string; shape: readonly number[]; bytes: Uint8Array }>;
};

const sizes: ReadonlyMap<string, number> = new Map([
  ["BOOL", 1],
  ["U8", 1],
  ["I8", 1],
  ["I16", 2],
  ["U16", 2],
  ["F16", 2],
  ["BF16", 2],
  ["I32", 4],
  ["U32", 4],
  ["F32", 4],
  ["F64", 8],
  ["I64", 8],
  ["U64", 8],
]);

type Pairs = readonly (readonly [string, unknown])[];

export function readPlainly(file: Uint8Array): PlainFile | undefined {
  if (file.length < 8) return undefined;
  const length = Number(new DataView(file.buffer, file.byteOffset, 8).getBigUint64(0, true));
  if (length > 100_000_000 || length > file.length - 8) return undefined;
  const data = file.subarray(8 + length);
  let text: string;
  let parsed: unknown;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(file.subarray(8, 8 + length));
    parsed = JSON.parse(text);
  } catch {
    return undefined;
  }
  // JSON.parse drops repeated keys and reads 1e1, 1.0 and -0 as whole numbers; both are seen in the text.
  const strings = text.replace(/"(?:[^"\\]|\\.)*"/gs, "s");
  const keys = strings.split(":").length - 1;
  if (!text.startsWith("{") || keys !== countKeys(parsed) || /[-.eE]/.test(strings.replace(/null|true|false/g, ""))) {
    return undefined;
  }
  const metadata = new Map<string, string>();
  const tensors = new Map<string, { dtype: string; shape: readonly number[]; bytes: Uint8Array }>();
  const ranges: [number, number][] = [];
  for (const [name, value] of pairs(parsed)) {
    const fields = pairs(value);
    if (hasHalfPair(name) || !isObject(value)) return undefined;
    if (name === "__metadata__") {
      for (const [key, item] of fields) {
        if (typeof item !== "string" || hasHalfPair(key) || hasHalfPair(item)) return undefined;
        metadata.set(key, item);
      }
      continue;
    }
    const entry = new Map(fields);
    const dtype = entry.get("dtype");
    const shape = wholeNumbers(entry.get("shape"));
    const range = wholeNumbers(entry.get("data_offsets"));
    if (entry.size !== 3 || typeof dtype !== "string" || shape === undefined || range === undefined) return undefined;
    const [begin, end] = range;
    if (begin === undefined || end === undefined || range.length !== 2 || shape.length > 64) return undefined;
    const size = sizes.get(dtype);
    if (size === undefined) return undefined;
    const products = shape.map((_, i) => shape.slice(0, i + 1).reduce((a, b) => a * BigInt(b), BigInt(size)));
    if (products.some((bytes) => bytes > Number.MAX_SAFE_INTEGER)) return undefined;
    if (begin > end || end > data.length || BigInt(end - begin) !== (products.at(-1) ?? BigInt(size))) return undefined;
    tensors.set(name, { dtype, shape, bytes: data.subarray(begin, end) });
    ranges.push([begin, end]);
  }
  // Each byte belongs to one tensor, and an empty tensor lies between two others or at an end.
  const owners = new Uint8Array(data.length);
  for (const [begin, end] of ranges) for (let i = begin; i < end; i++) owners[i] = (owners[i] ?? 0) + 1;
  if (owners.some((count) => count !== 1)) return undefined;
  if (ranges.some(([at, end]) => at === end && ranges.some(([from, to]) => from < at && at < to))) return undefined;
  return { metadata, tensors };
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function pairs(value: unknown): Pairs {
  return isObject(value) ? Object.entries(value) : [];
}

/** Keys of all objects in `value`; with a list of what is left to do, as it may be nested deeply. */
function countKeys(value: unknown): number {
  const left = [value];
  let keys = 0;
  for (let item = left.pop(); item !== undefined; item = left.pop()) {
    if (Array.isArray(item)) left.push(...(item as unknown[]));
    const fields = pairs(item);
    keys += fields.length;
    left.push(...fields.map(([, field]) => field));
  }
  return keys;
}

function hasHalfPair(text: string): boolean {
  return Buffer.from(text, "utf8").toString("utf8") !== text;
}

function wholeNumbers(value: unknown): readonly number[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const numbers: number[] = [];
  for (const item of value as unknown[]) {
    if (!Number.isSafeInteger(item)) return undefined;
    numbers.push(Number(item));
  }
  return numbers;
}
