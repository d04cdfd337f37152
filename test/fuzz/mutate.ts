/** Changes to files that know nothing of their format, and to JSON and text within them. */
import type { Draw } from "../engine/io/mutateFile.ts";
import type { Mutation } from "./target.ts";

export function pick<T>(list: readonly T[], draw: Draw): T {
  const item = list[draw(list.length)];
  if (item === undefined) throw new RangeError("picked from an empty list");
  return item;
}

const joined = (...parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));

function range(file: Uint8Array, draw: Draw): readonly [from: number, to: number] {
  const from = draw(file.length + 1);
  const longest = pick([1, 4, 16, 256, file.length], draw);
  return [from, Math.min(file.length, from + 1 + draw(longest))];
}

/** Numbers that lengths and counts are confused with. */
function hostileInteger(file: Uint8Array, old: bigint, draw: Draw): bigint {
  const step = BigInt(1 + draw(16));
  const near = [old + step, old - step, old * 2n, 0n, 1n];
  const powers = [7n, 8n, 15n, 16n, 24n, 31n, 32n, 53n, 63n].flatMap((bits) => [2n ** bits - 1n, 2n ** bits]);
  return pick([...near, ...near, ...powers, -1n, BigInt(file.length), BigInt(file.length - 1)], draw);
}

export const byteMutations: readonly Mutation[] = [
  (file, draw) => {
    const damaged = file.slice();
    for (let n = 1 + draw(4); n > 0 && file.length > 0; n--) {
      const at = draw(file.length);
      damaged[at] = (damaged[at] ?? 0) ^ (1 << draw(8));
    }
    return damaged;
  },
  (file, draw) => {
    const damaged = file.slice();
    const [from, to] = range(file, draw);
    const same = draw(256);
    for (let i = from; i < to; i++) damaged[i] = draw(2) === 0 ? same : draw(256);
    return damaged;
  },
  (file, draw) => {
    const [from, to] = range(file, draw);
    return joined(file.subarray(0, from), file.subarray(to));
  },
  (file, draw) => {
    const [from, to] = range(file, draw);
    const times = pick([1, 1, 2, 100], draw);
    return joined(
      file.subarray(0, from),
      ...Array.from({ length: times }, () => file.subarray(from, to)),
      file.subarray(from),
    );
  },
  (file, draw) => file.slice(0, draw(file.length + 1)),
  (file, draw) =>
    joined(
      file,
      Uint8Array.from({ length: 1 + draw(64) }, () => draw(256)),
    ),
  // A piece goes elsewhere.
  (file, draw) => {
    const [from, to] = range(file, draw);
    const at = draw(file.length + 1);
    return joined(file.subarray(0, at), file.subarray(from, to), file.subarray(at));
  },
  (file, draw, other) => {
    const at = draw(file.length + 1);
    return joined(file.subarray(0, at), other.subarray(draw(2) === 0 ? at : draw(other.length + 1)));
  },
  // A length or a count.
  (file, draw) => {
    const width = pick([1, 2, 4, 4, 8], draw);
    if (file.length < width) return file;
    const damaged = file.slice();
    const view = new DataView(damaged.buffer);
    const [at, isLittle] = [draw(file.length - width + 1), draw(2) === 0];
    const place = (i: number): number => at + (isLittle ? i : width - 1 - i);
    let old = 0n;
    for (let i = width - 1; i >= 0; i--) old = (old << 8n) | BigInt(view.getUint8(place(i)));
    const value = BigInt.asUintN(8 * width, hostileInteger(file, old, draw));
    for (let i = 0; i < width; i++) view.setUint8(place(i), Number((value >> BigInt(8 * i)) & 255n));
    return damaged;
  },
];

export const mutateBytes: Mutation = (file, draw, other) => pick(byteMutations, draw)(file, draw, other);

const fragments = [
  "{",
  "}",
  "[",
  "]",
  ",",
  ":",
  '"',
  "'",
  "\\",
  " ",
  "\n",
  "\r",
  "\t",
  "\0",
  "\u00ff",
  "null",
  "1",
  "-",
  ".",
  "#",
  "=",
];
const numbers = [
  "-1",
  "0",
  "1",
  "2",
  "0.5",
  "-0",
  "1e3",
  "1e308",
  "1e999",
  "nan",
  "inf",
  "007",
  "4294967296",
  "9007199254740993",
  "99999999999999999999999",
];
const orders = ["\u001b[31m", "\u001b]0;title\u0007", "\u009b2J", "\u202e", "\r"];

const textMutations: readonly ((text: string, draw: Draw) => string)[] = [
  (text, draw) => {
    const at = draw(text.length + 1);
    return text.slice(0, at) + pick(fragments, draw) + text.slice(at + draw(2));
  },
  (text, draw) => replaceOne(text, /-?\d+(\.\d+)?/g, pick(numbers, draw), draw),
  (text, draw) =>
    replaceOne(text, /[A-Za-z_]+/g, pick(["true", "null", "__proto__", "constructor", "x", ""], draw), draw),
  (text, draw) => replaceOne(text, /"[^"]*"/g, pick(["1", "null", "[]", "{}", '""', '"\\u0000"', "true"], draw), draw),
  (text, draw) => replaceOne(text, /[A-Za-z ]/g, pick(orders, draw), draw),
  (text, draw) => {
    const depth = pick([3, 100, 20_000], draw);
    return replaceOne(text, /"[^"]*"|-?\d+(\.\d+)?/g, `${"[".repeat(depth)}${"]".repeat(depth)}`, draw);
  },
  (text, draw) =>
    replaceOne(text, /[^\n]/g, pick(["x", "[", '{"a":', "a.", "9"], draw).repeat(pick([10, 1000, 30_000], draw)), draw),
  (text, draw) => {
    const lines = text.split("\n");
    const [from, to] = [draw(lines.length), draw(lines.length)];
    const line = lines[from] ?? "";
    if (draw(2) === 0) lines.splice(from, 1);
    if (draw(2) === 0) lines.splice(to, 0, line);
    return lines.join("\n");
  },
  (text, draw) => {
    const at = draw(text.length + 1);
    return text.slice(0, at) + text.slice(at + 1 + draw(20));
  },
];

/** Replaces one of the places where a pattern matches. */
function replaceOne(text: string, pattern: RegExp, by: string, draw: Draw): string {
  const matches = [...text.matchAll(pattern)];
  if (matches.length === 0) return text + by;
  const match = pick(matches, draw);
  return text.slice(0, match.index) + by + text.slice(match.index + match[0].length);
}

export const mutateText: Mutation = (file, draw) =>
  new Uint8Array(Buffer.from(pick(textMutations, draw)(Buffer.from(file).toString("utf8"), draw), "utf8"));

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

const otherKinds: readonly Json[] = [
  null,
  true,
  false,
  0,
  1,
  -1,
  0.5,
  2,
  1e308,
  2 ** 31,
  2 ** 53,
  "",
  "3",
  "text",
  "__proto__",
  "\u001b[31mred\u0007",
  [],
  {},
  [[1]],
  [null],
  { a: 1 },
  [0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
];

/** One place of a JSON value replaced by something of another kind, removed, doubled or exchanged for another place's. */
export function mutateJson(value: unknown, draw: Draw): unknown {
  const places: (readonly (string | number)[])[] = [];
  const collect = (inner: unknown, path: readonly (string | number)[]): void => {
    if (places.length > 5000) return;
    places.push(path);
    if (Array.isArray(inner)) inner.slice(0, 200).forEach((item, i) => collect(item, [...path, i]));
    else if (typeof inner === "object" && inner !== null)
      for (const [key, item] of Object.entries(inner)) collect(item, [...path, key]);
  };
  collect(value, []);
  const at = (path: readonly (string | number)[]): unknown =>
    path.reduce<unknown>((inner, key) => (inner as Record<string | number, unknown>)[key], value);
  const place = pick(places, draw);
  const old = at(place);
  const replacement = ((): unknown => {
    switch (draw(6)) {
      case 0:
        return at(pick(places, draw));
      case 1:
        return typeof old === "number" ? old + pick([-1, 1, 0.5, 1e9, -old, old * 1000], draw) : pick(otherKinds, draw);
      case 2:
        return typeof old === "string" ? longer(old, pick([0, 2, 5000], draw)) : pick(otherKinds, draw);
      case 3:
        return Array.from({ length: pick([1, 2, isLong(old) ? 2 : 1000], draw) }, () => old);
      default:
        return pick(otherKinds, draw);
    }
  })();
  const change = (inner: unknown, path: readonly (string | number)[]): unknown => {
    const [key, ...rest] = path;
    if (key === undefined) return replacement;
    if (Array.isArray(inner)) {
      const items: readonly unknown[] = inner;
      if (rest.length === 0 && draw(6) === 0) return items.filter((_, i) => i !== key);
      if (rest.length === 0 && draw(6) === 0) return [...items, replacement];
      return items.map((item, i) => (i === key ? change(item, rest) : item));
    }
    const entries = Object.entries(inner as object).flatMap(([name, item]: [string, unknown]): [string, unknown][] => {
      if (name !== key) return [[name, item]];
      if (rest.length > 0) return [[name, change(item, rest)]];
      switch (draw(5)) {
        case 0:
          return [];
        case 1:
          return [
            [name, item],
            [pick(["x", "__proto__", "constructor", "\u001b[0m", `${name} `], draw), replacement],
          ];
        default:
          return [[name, replacement]];
      }
    });
    return Object.fromEntries(entries);
  };
  return change(value, place);
}

/** Changes a file that is JSON as a whole. */
export const mutateJsonFile: Mutation = (file, draw, other) => {
  try {
    const text = JSON.stringify(mutateJson(JSON.parse(Buffer.from(file).toString("utf8")), draw)) as string | undefined;
    const changed = new Uint8Array(Buffer.from(text ?? "null"));
    return draw(8) === 0 ? mutateText(changed, draw, other) : changed;
  } catch {
    return mutateText(file, draw, other);
  }
};

/** Changes one of a file's parts and puts the file together again, its checksums right; a file that falls apart otherwise is left. */
export function within<Part>(
  open: (file: Uint8Array) => Part,
  change: (part: Part, draw: Draw, other: Uint8Array) => Part,
  close: (part: Part, file: Uint8Array) => Uint8Array,
): Mutation {
  return (file, draw, other) => {
    try {
      return close(change(open(file), draw, other), file);
    } catch {
      // Changed before, so that it no longer has the parts.
      return mutateBytes(file, draw, other);
    }
  };
}

/** What isn't made longer still: what is slow or large is to be the reader, not the file. */
const isLong = (value: unknown): boolean => JSON.stringify(value).length > 1000;

const longer = (text: string, times: number): string => (isLong(text) ? text : text.repeat(times));
