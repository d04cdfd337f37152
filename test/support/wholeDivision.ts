/** The law of whole quotients, rests, powers and shifts: integers exact over their whole range, rests of floats exact as well. */
import fc from "fast-check";
import type { TensorData } from "../../engine/graph/dtype.ts";
import * as ops from "../../engine/index.ts";
import { compile, type Device, type Tensor, tensor } from "../../engine/index.ts";

type Integer = "i32" | "u32";
const corners = [
  0,
  1,
  2,
  3,
  7,
  31,
  32,
  33,
  46_341,
  65_535,
  65_536,
  2 ** 30,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32 - 2,
  2 ** 32 - 1,
];
const word = fc.oneof(
  fc.constantFrom(...corners),
  fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  fc.integer({ min: 0, max: 40 }),
  fc.integer({ min: 2 ** 32 - 40, max: 2 ** 32 - 1 }),
);
const arrayOf = {
  i32: (words: readonly number[]) => Int32Array.from(words),
  u32: (words: readonly number[]) => Uint32Array.from(words),
};
const wrapped = (dtype: Integer, value: bigint): number =>
  Number(dtype === "i32" ? BigInt.asIntN(32, value) : BigInt.asUintN(32, value));

/** By big integers, so that nothing is rounded or wraps before the end. */
const integerReferences: { readonly [name: string]: (x: bigint, y: bigint) => bigint } = {
  truncateDivide: (x, y) => (y === 0n ? 0n : x / y),
  floorDivide: (x, y) => (y === 0n ? 0n : x / y - BigInt(x % y !== 0n && x % y < 0n !== y < 0n)),
  fmod: (x, y) => (y === 0n ? 0n : x % y),
  remainder: (x, y) => (y === 0n ? 0n : ((x % y) + y) % y),
  power: (x, y) => {
    if (y < 0n) return x === 1n ? 1n : x === -1n ? (y % 2n === 0n ? 1n : -1n) : 0n;
    let [result, square] = [1n, x];
    for (let rest = y; rest > 0n; rest /= 2n) {
      if (rest % 2n === 1n) result = BigInt.asUintN(32, result * square);
      square = BigInt.asUintN(32, square * square);
    }
    return result;
  },
  shiftLeft: (x, y) => (y < 0n || y > 31n ? 0n : x << y),
  shiftRight: (x, y) => (y < 0n || y > 31n ? (x < 0n ? -1n : 0n) : x >> y),
};

/** A whole quotient; one of 0 has the sign of x / y. */
const signed = (quotient: number, x: number, y: number): number => (quotient === 0 ? 0 * (x / y) : quotient);

/** Of float32 numbers in float64: rests are exact, and so are quotients up to 2^29. */
const floatReferences: { readonly [name: string]: (x: number, y: number) => number } = {
  truncateDivide: (x, y) => (y === 0 || !Number.isFinite(x) ? x / y : signed(Math.round((x - (x % y)) / y), x, y)),
  floorDivide: (x, y) => {
    if (y === 0) return x / y;
    const rest = x % y;
    return signed(Math.round((x - rest) / y) - Number(rest !== 0 && rest < 0 !== y < 0), x, y);
  },
  fmod: (x, y) => x % y,
  remainder: (x, y) => {
    const rest = x % y;
    if (rest === 0) return y < 0 ? -0 : 0;
    return rest < 0 !== y < 0 ? Math.fround(rest + y) : rest;
  },
};

type Operation = (x: Tensor, y: Tensor) => Tensor;
const operations: Readonly<Record<string, Operation>> = {
  truncateDivide: ops.truncateDivide,
  floorDivide: ops.floorDivide,
  fmod: ops.fmod,
  remainder: ops.remainder,
  power: ops.power,
  shiftLeft: ops.shiftLeft,
  shiftRight: ops.shiftRight,
};

function at<T>(table: Readonly<Record<string, T>>, name: string): T {
  const found = table[name];
  if (found === undefined) throw new Error(`no ${name}`);
  return found;
}

const said = (value: number): string => (Object.is(value, -0) ? "-0" : String(value));

/** What `isRight` says no to, of all results of the named operations on pairs, from one program. */
async function wrongOnes(
  device: Device,
  names: readonly string[],
  [x, y]: readonly [TensorData, TensorData],
  isRight: (name: string, x: number, y: number, got: number) => boolean,
): Promise<string[]> {
  const program = compile((a: Tensor, b: Tensor) => names.map((name) => at(operations, name)(a, b)), { device });
  const results = await Promise.all((await program(tensor(x), tensor(y))).map((each) => each.data()));
  program.dispose();
  return names.flatMap((name, i) =>
    [...x].flatMap((a, place) => {
      const [b, got] = [y[place] ?? NaN, results[i]?.[place] ?? NaN];
      return isRight(name, a, b, got)
        ? []
        : [`${name}(${said(a)}, ${said(b)}) of ${x.constructor.name} is ${said(got)}`];
    }),
  );
}

/** Every pair of corners and `count` random ones. */
export async function wrongIntegers(device: Device, seed: number, count: number): Promise<string[]> {
  const pairs = [
    ...corners.flatMap((a) => corners.map((b): [number, number] => [a, b])),
    ...fc.sample(fc.tuple(word, word), { numRuns: count, seed }),
  ];
  const wrong: string[] = [];
  for (const dtype of ["i32", "u32"] as const) {
    const of = (side: 0 | 1): TensorData => arrayOf[dtype](pairs.map((pair) => pair[side]));
    const isRight = (name: string, a: number, b: number, got: number): boolean =>
      got === wrapped(dtype, at(integerReferences, name)(BigInt(a), BigInt(b)));
    wrong.push(...(await wrongOnes(device, Object.keys(integerReferences), [of(0), of(1)], isRight)));
  }
  return wrong;
}

/** Of both signs and all magnitudes, near whole multiples of one another, and special ones. */
const float = fc.noBias(
  fc.oneof(
    { weight: 4, arbitrary: fc.double({ min: -2000, max: 2000, noNaN: true }) },
    { weight: 2, arbitrary: fc.integer({ min: -40, max: 40 }).map((n) => n / 4) },
    { weight: 2, arbitrary: fc.float({ noNaN: true, noDefaultInfinity: true }) },
    { weight: 1, arbitrary: fc.constantFrom(0, -0, Infinity, -Infinity, NaN, 3.4028234663852886e38, 2 ** -126) },
  ),
);

/** `count` random pairs. @param isShader whether subnormal numbers may be taken for 0 and zeros may have either sign */
export async function wrongFloats(device: Device, seed: number, count: number, isShader: boolean): Promise<string[]> {
  const pairs = fc.sample(fc.tuple(float, float), { numRuns: count, seed });
  const isTiny = (value: number): boolean => isShader && value !== 0 && Math.abs(value) < 2 ** -126;
  const kept = pairs
    .map((pair) => pair.map(Math.fround) as [number, number])
    .filter(([a, b]) => ![a, b, a % b].some(isTiny));
  const of = (side: 0 | 1): TensorData => Float32Array.from(kept, (pair) => pair[side]);
  return wrongOnes(device, Object.keys(floatReferences), [of(0), of(1)], (name, a, b, got) => {
    const exact = at(floatReferences, name)(a, b);
    const wanted = Math.fround(exact);
    if (Object.is(got, wanted) || isTiny(wanted)) return true;
    if (isShader && wanted === 0 && got === 0) return true;
    // Quotients beyond 2^20 are rounded, as in a division.
    if (!name.endsWith("Divide") || !(Math.abs(exact) >= 2 ** 20)) return false;
    return (
      Math.abs(got - exact) <= 8 * 2 ** -24 * Math.abs(exact) || (Math.abs(exact) > 3.4e38 && Math.abs(got) > 3.4e38)
    );
  });
}
