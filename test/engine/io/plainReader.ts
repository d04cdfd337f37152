/**
 * A second reader of safetensors, written from the format's description in the plainest way (JSON.parse, no care for
 * speed or memory), to judge the real one: gives the file's content, or undefined if the format forbids it.
 */
export type PlainFile = {
  readonly metadata: ReadonlyMap<string, string>;
  readonly tensors: ReadonlyMap<string, { dtype: string; shape: readonly number[]; bytes: Uint8Array }>;
};

/** Bits of an element. */
const sizes: ReadonlyMap<string, number> = new Map([
  ["BOOL", 8],
  ["F4", 4],
  ["F6_E2M3", 6],
  ["F6_E3M2", 6],
  ["U8", 8],
  ["I8", 8],
  ["F8_E5M2", 8],
  ["F8_E4M3", 8],
  ["F8_E8M0", 8],
  ["F8_E4M3FNUZ", 8],
  ["F8_E5M2FNUZ", 8],
  ["I16", 16],
  ["U16", 16],
  ["F16", 16],
  ["BF16", 16],
  ["I32", 32],
  ["U32", 32],
  ["F32", 32],
  ["C64", 64],
  ["F64", 64],
  ["I64", 64],
  ["U64", 64],
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
  // JSON.parse drops repeated keys, which are seen in the text.
  const keys = text.replace(/"(?:[^"\\]|\\.)*"/gs, "s").split(":").length - 1;
  if (!isObject(parsed) || keys !== countKeys(parsed)) return undefined;
  parsed = JSON.parse(
    text.replace(/"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/gs, (token) =>
      token.startsWith('"') ? token : `{"${written}":"${token}"}`,
    ),
  );
  const metadata = new Map<string, string>();
  const tensors = new Map<string, { dtype: string; shape: readonly number[]; bytes: Uint8Array }>();
  const ranges: [number, number][] = [];
  for (const [name, value] of pairs(parsed)) {
    const fields = pairs(value);
    if (hasHalfPair(name)) return undefined;
    if (name === "__metadata__" && value === null) continue;
    if (!isObject(value)) return undefined;
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
    if (typeof dtype !== "string" || shape === undefined || range === undefined) return undefined;
    const others = fields.filter(([key]) => !["dtype", "shape", "data_offsets"].includes(key));
    if (others.some(([key, item]) => hasHalfPair(key) || !isUnread(item))) return undefined;
    const [begin, end] = range;
    if (begin === undefined || end === undefined || range.length !== 2 || shape.length > 64) return undefined;
    const size = sizes.get(dtype);
    if (size === undefined) return undefined;
    const products = shape.map((_, i) => shape.slice(0, i + 1).reduce((a, b) => a * BigInt(b), 1n));
    if (products.some((elements) => elements >= 2n ** 64n)) return undefined;
    const bits = (products.at(-1) ?? 1n) * BigInt(size);
    if (begin > end || end > data.length || BigInt(end - begin) * 8n !== bits) return undefined;
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

/** Stands for a number, with how it is written: 1e1, 1.0 and -0 are whole numbers for JSON.parse, and not for the format. */
const written = "the number's digits";

function digitsOf(value: unknown): string | undefined {
  const [pair] = pairs(value);
  return pair?.[0] === written ? String(pair[1]) : undefined;
}

function wholeNumbers(value: unknown): readonly number[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const numbers: number[] = [];
  for (const item of value as unknown[]) {
    const digits = digitsOf(item);
    if (digits === undefined || !/^\d+$/.test(digits) || !Number.isSafeInteger(Number(digits))) return undefined;
    numbers.push(Number(digits));
  }
  return numbers;
}

/** A value that is passed over may be anything that isn't too deep, with finite numbers and whole texts. */
function isUnread(value: unknown): boolean {
  const left: [value: unknown, depth: number][] = [[value, 1]];
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    const [item, depth] = next;
    const digits = digitsOf(item);
    if (digits !== undefined) {
      if (!Number.isFinite(Number(digits))) return false;
      continue;
    }
    if (typeof item === "string" && hasHalfPair(item)) return false;
    if (typeof item !== "object" || item === null) continue;
    if (depth > 125) return false;
    for (const [key, child] of Object.entries(item)) {
      if (hasHalfPair(key)) return false;
      left.push([child, depth + 1]);
    }
  }
  return true;
}
