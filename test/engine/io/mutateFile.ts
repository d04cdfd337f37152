/** Damage of many kinds, done to safetensors files, drawn from a seeded generator. */
import { handMade } from "./safetensorsSamples.ts";

export type Draw = (below: number) => number;

/** Whole numbers below a bound, the same for the same seed (xorshift32, Marsaglia 2003). */
export function seededDraw(seed: number): Draw {
  let state = seed | 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

type Mutation = (file: Uint8Array, draw: Draw) => Uint8Array;

function pick<T>(list: readonly T[], draw: Draw): T {
  const item = list[draw(list.length)];
  if (item === undefined) throw new RangeError("picked from an empty list");
  return item;
}

function split(file: Uint8Array): { header: string; data: Uint8Array } {
  const length = file.length < 8 ? 0 : Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
  const end = Math.min(file.length, 8 + length);
  return { header: Buffer.from(file.subarray(8, end)).toString("latin1"), data: file.subarray(end) };
}

/** Changes the header's text (byte for byte) and mends its length, so that the damage gets past the first check. */
function onHeader(edit: (header: string, draw: Draw) => string): Mutation {
  return (file, draw) => {
    const { header, data } = split(file);
    return handMade(new Uint8Array(Buffer.from(edit(header, draw), "latin1")), data);
  };
}

/** Replaces one match of `pattern`, drawn among all. */
function replaceOne(header: string, pattern: RegExp, by: string, draw: Draw): string {
  const matches = [...header.matchAll(pattern)];
  if (matches.length === 0) return header;
  const match = pick(matches, draw);
  return header.slice(0, match.index) + by + header.slice(match.index + match[0].length);
}

const hostileNumbers = ["-1", "0", "1", "2", "1e3", "1.0", "007", "4294967296", "9007199254740991", "9007199254740992"];
const hostileValues = [
  ...hostileNumbers,
  "99999999999999999999999",
  "null",
  "true",
  '"3"',
  "[]",
  "{}",
  "[[1]]",
  "-0",
  "",
];
const hostileNames = [
  '"__proto__"',
  '"constructor"',
  '"__metadata__"',
  '"\\ud800"',
  '"\\u0000"',
  '""',
  '"w0"',
  '"F8_E5M2"',
];
const dtypes = [
  "BOOL",
  "U8",
  "I8",
  "I16",
  "U16",
  "F16",
  "BF16",
  "I32",
  "U32",
  "F32",
  "F64",
  "I64",
  "U64",
  "F8_E4M3",
  "X",
];
const fragments = ["{", "}", "[", "]", ",", ":", '"', "\\", " ", "\n", "\0", "\xff", "\xc3\xa9", "null", "1"];

export const mutations: { readonly [name: string]: Mutation } = {
  nothing: (file) => file,
  flipBits: (file, draw) => {
    const damaged = file.slice();
    for (let n = 1 + draw(4); n > 0; n--) {
      const at = draw(damaged.length);
      damaged[at] = (damaged[at] ?? 0) ^ (1 << draw(8));
    }
    return damaged;
  },
  flipDataBits: (file, draw) => {
    const damaged = file.slice();
    const { data } = split(file);
    if (data.length > 0) damaged[file.length - 1 - draw(data.length)] = draw(256);
    return damaged;
  },
  setHeaderByte: onHeader((header, draw) => {
    const at = draw(header.length);
    return header.slice(0, at) + String.fromCharCode(draw(256)) + header.slice(at + 1);
  }),
  truncate: (file, draw) => file.slice(0, draw(file.length)),
  extend: (file, draw) => {
    const longer = new Uint8Array(file.length + 1 + draw(64));
    longer.set(file);
    return longer;
  },
  headerLength: (file, draw) => {
    if (file.length < 8) return file;
    const damaged = file.slice();
    const view = new DataView(damaged.buffer);
    const old = view.getBigUint64(0, true);
    const step = BigInt(1 + draw(16));
    const lengths = [
      old + step,
      old > step ? old - step : 0n,
      0n,
      100_000_000n,
      2n ** 32n - 1n,
      2n ** 53n,
      2n ** 63n,
      2n ** 64n - 1n,
    ];
    view.setBigUint64(0, pick(lengths, draw), true);
    return damaged;
  },
  number: onHeader((header, draw) => replaceOne(header, /\d+/g, pick(hostileValues, draw), draw)),
  nearNumber: onHeader((header, draw) => {
    const matches = [...header.matchAll(/(?<=[[,])\d+(?=[\],])/g)];
    if (matches.length === 0) return header;
    const { 0: digits, index } = pick(matches, draw);
    return (
      header.slice(0, index) + String(Math.max(0, Number(digits) + draw(17) - 8)) + header.slice(index + digits.length)
    );
  }),
  dtype: onHeader((header, draw) => replaceOne(header, /(?<="dtype":)"[^"]*"/g, `"${pick(dtypes, draw)}"`, draw)),
  name: onHeader((header, draw) => replaceOne(header, /"[^"]*"(?=:)/g, pick(hostileNames, draw), draw)),
  value: onHeader((header, draw) => replaceOne(header, /(?<=:)("[^"]*"|\[[^\]]*\])/g, pick(hostileValues, draw), draw)),
  nest: onHeader((header, draw) => {
    const [open, close] = pick(
      [
        ["[", "]"],
        ['{"a":', "}"],
      ] as const,
      draw,
    );
    const depth = 1 + draw(pick([4, 100, 2000], draw));
    return replaceOne(header, /(?<=[:,[])("[^"]*"|\d+)/g, open.repeat(depth) + close.repeat(draw(2) * depth), draw);
  }),
  duplicate: onHeader((header, draw) => {
    const members = [...header.matchAll(/"[^"]*":(\{[^{}]*\}|"[^"]*"|\[[^\]]*\])/g)];
    if (members.length === 0) return header;
    const { 0: member, index } = pick(members, draw);
    const copy =
      draw(3) === 0
        ? member.replace(/^"(.)/, (_, c: string) => `"\\u00${c.charCodeAt(0).toString(16).padStart(2, "0")}`)
        : member;
    return `${header.slice(0, index)}${copy},${header.slice(index)}`;
  }),
  drop: onHeader((header, draw) => {
    const at = draw(header.length);
    return header.slice(0, at) + header.slice(at + 1 + draw(12));
  }),
  insert: onHeader((header, draw) => {
    const at = draw(header.length + 1);
    return header.slice(0, at) + pick(fragments, draw) + header.slice(at);
  }),
  swapOffsets: onHeader((header, draw) => {
    const ranges = [...header.matchAll(/"data_offsets":\[\d+,\d+\]/g)].map(([range]) => range);
    if (ranges.length === 0) return header;
    return replaceOne(header, /"data_offsets":\[\d+,\d+\]/g, pick(ranges, draw), draw);
  }),
  spaces: onHeader((header, draw) => header.replace(/(?<=[,:{[])/g, () => pick(["", " ", "\t", "\r\n"], draw))),
  shuffleMembers: onHeader((header) => {
    const members = header.match(/"[^"]*":\{[^{}]*\}/g) ?? [];
    return `{${members.reverse().join(",")}}`;
  }),
};
