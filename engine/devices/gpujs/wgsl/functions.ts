/**
 * Elementary functions for one value or four. Drivers promise too little of theirs (sine 2^-11 absolute, tanh 1e-5), and SwiftShader has
 * tanh(-100) = NaN. All of these are within a few units in the last place (test/engine/devices/gpujs/safeMath.test.ts measures them).
 * They hold where compilers take NaN and infinity for impossible, too: what isn't finite is told by its bits.
 */
import { angle, largeAngle } from "./angles.ts";
import {
  atanCoefficients,
  erfFarCoefficients,
  erfNearCoefficients,
  erfSaturation,
  erfSplit,
  halfPiHigh,
  halfPiLow,
} from "../../polynomials.ts";
import { f, infinityBits, nanBits, polynomial, ratio } from "./numerals.ts";
import { remainderOfMantissas } from "./remainder.ts";
import { threefryRounds } from "./threefryRounds.ts";
import type { Lanes } from "./types.ts";

/** The types of a function's values: f32, i32, u32, bool of its lanes. */
type Types = { readonly f: string; readonly i: string; readonly u: string; readonly b: string; readonly lanes: Lanes };

type Parameter = readonly [name: string, type: "f" | "i" | "u"];

type Definition = {
  readonly parameters: readonly Parameter[];
  readonly result: "f" | "i" | "u" | "b" | "twoWords";
  readonly uses: readonly FunctionName[];
  /** Statements; `$name(` is a call of another function with as many lanes. */
  readonly body: (types: Types) => string;
};

export type FunctionName =
  | "fromBits"
  | "isNotANumber"
  | "hasFiniteBits"
  | "nearestFloat16"
  | "larger"
  | "smaller"
  | "toSigned"
  | "toUnsigned"
  | "exponential"
  | "exponentialMinusOne"
  | "twiceAreaTangent"
  | "logarithmExponent"
  | "logarithmOfMantissa"
  | "logarithm"
  | "logarithmOfOnePlus"
  | "hyperbolicTangent"
  | "logistic"
  | "errorFunction"
  | "powerOfPositive"
  | "power"
  | "turnOfLargeAngle"
  | "sine"
  | "cosine"
  | "arctangent"
  | "divideSigned"
  | "divideUnsigned"
  | "floatRemainder"
  | "threefry";

/** ln 2 in two parts: the first has 9 bits, so that its product with an exponent is exact. */
const log2High = 0.693359375;
const log2Low = Math.fround(Math.LN2 - log2High);

const x = ["x", "f"] as const;
const y = ["y", "f"] as const;

/** A function of single values, for four: one after the other. */
const eachLane = (name: string, ...parameters: readonly string[]): string => {
  const call = (lane: string): string => `${name}(${parameters.map((each) => `${each}.${lane}`).join(", ")})`;
  return `return vec4f(${["x", "y", "z", "w"].map(call).join(", ")});`;
};

/** Functions that are computed lane by lane. */
const byLane: readonly FunctionName[] = ["sine", "cosine", "floatRemainder"];

/** The quotient towards zero, 0 where y is 0; -2^31 / -1 is -2^31 in WGSL, which has no value for constants divided by 0. */
const quotientOf = (type: "i" | "u"): Definition => ({
  parameters: [
    ["x", type],
    ["y", type],
  ],
  result: type,
  uses: [],
  body: (types) => {
    const [zero, one] = [0, 1].map((value) => `${types[type]}(${value}${type})`);
    return `
  let isZero = y == ${zero};
  return select(x / select(y, ${one}, isZero), ${zero}, isZero);`;
  },
});

const definitions: Readonly<Record<FunctionName, Definition>> = {
  /** A number that has no literal, such as NaN; the result of a call is never computed by the compiler. */
  fromBits: { parameters: [["bits", "u"]], result: "f", uses: [], body: ({ f: F }) => `return bitcast<${F}>(bits);` },
  isNotANumber: {
    parameters: [x],
    result: "b",
    uses: [],
    body: ({ u }) => `return (bitcast<${u}>(x) & ${u}(0x7fffffffu)) > ${u}(${infinityBits});`,
  },
  hasFiniteBits: {
    parameters: [x],
    result: "b",
    uses: [],
    body: ({ u }) => `return (bitcast<${u}>(x) & ${u}(${infinityBits})) != ${u}(${infinityBits});`,
  },
  /**
   * On bits, as WGSL's own conversions may round either way and make anything of what is too large. 13 of the 23 bits behind the point go;
   * NaN has always the same bits.
   */
  nearestFloat16: {
    parameters: [x],
    result: "f",
    uses: [],
    body: ({ f: F, u }) => `
  let bits = bitcast<${u}>(x);
  let magnitude = bits & ${u}(0x7fffffffu);
  let nearest = (magnitude + ${u}(0xfffu) + ((magnitude >> ${u}(13u)) & ${u}(1u))) & ${u}(0xffffe000u);
  let normal = max(nearest, ${u}(0x38800000u));
  let unlessLarge = select(normal, ${u}(${infinityBits}), normal >= ${u}(0x47800000u));
  let unlessSmall = select(unlessLarge, ${u}(0u), magnitude < ${u}(0x387fe000u));
  let number = select(unlessSmall, ${u}(${nanBits}), magnitude > ${u}(${infinityBits}));
  return bitcast<${F}>(number | (bits & ${u}(0x80000000u)));`,
  },
  /** NaN if either is: then no comparison holds. */
  larger: {
    parameters: [x, y],
    result: "f",
    uses: [],
    body: () => "return select(select(x + y, y, y >= x), x, x > y);",
  },
  smaller: {
    parameters: [x, y],
    result: "f",
    uses: [],
    body: () => "return select(select(x + y, y, y <= x), x, x < y);",
  },
  /** Truncates towards zero and saturates; 0 for NaN. */
  toSigned: {
    parameters: [x],
    result: "i",
    uses: ["isNotANumber"],
    body: ({ f: F, i }) => `
  let inside = ${i}(clamp(x, ${F}(-2147483648f), ${F}(2147483520f)));
  let high = select(inside, ${i}(2147483647i), x >= ${F}(2147483648f));
  return select(high, ${i}(0i), $isNotANumber(x));`,
  },
  toUnsigned: {
    parameters: [x],
    result: "u",
    uses: ["isNotANumber"],
    body: ({ f: F, u }) => `
  let inside = ${u}(clamp(x, ${F}(0f), ${F}(4294967040f)));
  let high = select(inside, ${u}(4294967295u), x >= ${F}(4294967296f));
  return select(high, ${u}(0u), $isNotANumber(x));`,
  },
  /** e^x: x = k ln 2 + r with |r| <= ln 2 / 2, Taylor series of degree 7 in r (error 5e-9), scaled by 2^k in two factors. */
  exponential: {
    parameters: [x],
    result: "f",
    uses: ["fromBits"],
    body: ({ f: F, i, u }) => `
  let k = floor(x * ${f(Math.LOG2E)} + 0.5f);
  let r = (x - k * ${f(log2High)}) + k * ${f(-log2Low)};
  let p = 1f + r * (1f + r * (0.5f + r * (${ratio(1, 6)} + r * (${ratio(1, 24)}
    + r * (${ratio(1, 120)} + r * (${ratio(1, 720)} + r * ${ratio(1, 5040)}))))));
  let n = ${i}(clamp(k, ${F}(-152f), ${F}(130f)));
  let half = n >> ${u}(1u);
  let one = bitcast<${F}>((half + 127i) << ${u}(23u));
  let other = bitcast<${F}>((n - half + 127i) << ${u}(23u));
  let small = select(p * one * other, ${F}(0f), x <= ${F}(-104f));
  return select(small, $fromBits(${u}(${infinityBits})), x >= ${F}(89f));`,
  },
  /** e^x - 1: Taylor series of degree 10 for |x| < 0.6. */
  exponentialMinusOne: {
    parameters: [x],
    result: "f",
    uses: ["exponential"],
    body: ({ f: F }) => `
  let tail = ${ratio(1, 5040)} + x * (${ratio(1, 40320)} + x * (${ratio(1, 362880)} + x * ${ratio(1, 3628800)}));
  let p = 0.5f + x * (${ratio(1, 6)} + x * (${ratio(1, 24)} + x * (${ratio(1, 120)} + x * (${ratio(1, 720)} + x * tail))));
  return select($exponential(x) - 1f, x * (1f + x * p), abs(x) < ${F}(0.6f));`,
  },
  /** 2 artanh(s) = ln((1 + s) / (1 - s)) for |s| <= 0.172, by its series (error 2e-9). */
  twiceAreaTangent: {
    parameters: [["s", "f"]],
    result: "f",
    uses: [],
    body: () => `
  let q = s * s;
  return 2f * s + s * q * (${ratio(2, 3)} + q * (0.4f + q * (${ratio(2, 7)} + q * ${ratio(2, 9)})));`,
  },
  /** e where x = m 2^e with m in [sqrt(1/2), sqrt(2)), of a normal positive x. */
  logarithmExponent: {
    parameters: [x],
    result: "i",
    uses: [],
    // The bits of sqrt(1/2) are taken off, so that what is left over is an exponent.
    body: ({ i }) => `return (bitcast<${i}>(x) - 0x3f3504f3i) >> ${i === "i32" ? "23u" : "vec4u(23u)"};`,
  },
  /** ln m of the same. */
  logarithmOfMantissa: {
    parameters: [x],
    result: "f",
    uses: ["twiceAreaTangent", "logarithmExponent"],
    body: ({ f: F, i, u }) => `
  let e = $logarithmExponent(x);
  let m = bitcast<${F}>(bitcast<${i}>(x) - (e << ${u}(23u)));
  return $twiceAreaTangent((m - 1f) / (m + 1f));`,
  },
  logarithm: {
    parameters: [x],
    result: "f",
    uses: ["logarithmExponent", "logarithmOfMantissa", "fromBits", "hasFiniteBits"],
    body: ({ f: F, u }) => `
  let tiny = x < ${F}(${f(2 ** -100)});
  let scaled = select(x, x * ${f(2 ** 30)}, tiny);
  let e = ${F}($logarithmExponent(scaled)) - select(${F}(0f), ${F}(30f), tiny);
  let value = e * ${f(log2High)} + ($logarithmOfMantissa(scaled) - e * ${f(-log2Low)});
  let inside = select($fromBits(${u}(${nanBits})), value, (x > ${F}(0f)) & $hasFiniteBits(x));
  let low = select(inside, $fromBits(${u}(0xff800000u)), x == ${F}(0f));
  return select(low, x, (x > ${F}(0f)) & !$hasFiniteBits(x));`,
  },
  /** ln(1 + x) without cancellation near 0. */
  logarithmOfOnePlus: {
    parameters: [x],
    result: "f",
    uses: ["twiceAreaTangent", "logarithm"],
    body: ({ f: F }) => `
  return select($logarithm(1f + x), $twiceAreaTangent(x / (2f + x)), (x > ${F}(-0.29f)) & (x < ${F}(0.41f)));`,
  },
  /** tanh x = sign(x) (e^{2|x|} - 1) / (e^{2|x|} + 1), which is 1 in f32 from 9.02 on. */
  hyperbolicTangent: {
    parameters: [x],
    result: "f",
    uses: ["exponentialMinusOne"],
    body: ({ f: F }) => `
  let size = abs(x);
  let e = $exponentialMinusOne(2f * select(${F}(10f), size, size < ${F}(10f)));
  let t = select(${F}(1f), e / (e + 2f), size < ${F}(10f));
  return select(select(x, -t, x < ${F}(0f)), t, x > ${F}(0f));`,
  },
  /** 1 / (1 + e^{-x}), with full relative accuracy for negative x. */
  logistic: {
    parameters: [x],
    result: "f",
    uses: ["exponential"],
    body: ({ f: F }) => `
  let e = $exponential(-abs(x));
  return select(e, ${F}(1f), x >= ${F}(0f)) / (1f + e);`,
  },
  /** erf x: an odd polynomial near 0, 1 - e^-h(|x|) with a polynomial h beyond. */
  errorFunction: {
    parameters: [x],
    result: "f",
    uses: ["exponential"],
    body: ({ f: F }) => `
  let size = select(${F}(${f(erfSaturation)}), abs(x), abs(x) < ${F}(${f(erfSaturation)}));
  let q = size * size;
  let near = size + size * (${polynomial("q", erfNearCoefficients)});
  let far = 1f - $exponential(-(${polynomial("size", erfFarCoefficients)}));
  let value = select(far, near, size < ${F}(${f(erfSplit)}));
  return select(select(x, -value, x < ${F}(0f)), value, x > ${F}(0f));`,
  },
  /**
   * e^{y ln x} for positive x. The logarithm is kept in two f32 and so is its product with y (Dekker 1971):
   * rounding either to one f32 would cost the exponential up to 88 times that error.
   */
  powerOfPositive: {
    parameters: [x, y],
    result: "f",
    uses: ["logarithmExponent", "logarithmOfMantissa", "exponential"],
    body: ({ f: F }) => `
  let tiny = x < ${F}(${f(2 ** -100)});
  let scaled = select(x, x * ${f(2 ** 30)}, tiny);
  let e = ${F}($logarithmExponent(scaled)) - select(${F}(0f), ${F}(30f), tiny);
  let exact = e * ${f(log2High)};
  let rest = $logarithmOfMantissa(scaled) - e * ${f(-log2Low)};
  let high = exact + rest;
  let low = rest - (high - exact);
  let product = y * high;
  let yScaled = y * 4097f;
  let y1 = yScaled - (yScaled - y);
  let y2 = y - y1;
  let highScaled = high * 4097f;
  let high1 = highScaled - (highScaled - high);
  let high2 = high - high1;
  let error = ((y1 * high1 - product) + y1 * high2 + y2 * high1) + y2 * high2 + y * low;
  let small = select(${F}(0f), error, (product > ${F}(-110f)) & (product < ${F}(100f)));
  return $exponential(product) * (1f + small);`,
  },
  /** x^y as C's powf: NaN for a negative x and a fractional y, 1 for x = 1 or y = 0 even where the other is NaN. */
  power: {
    parameters: [x, y],
    result: "f",
    uses: ["powerOfPositive", "exponential", "logarithm", "fromBits", "isNotANumber", "hasFiniteBits"],
    body: ({ f: F, u }) => `
  let size = abs(x);
  let floored = floor(y);
  let isWhole = floored == y;
  let isOdd = isWhole & ((floored - floor(floored * 0.5f) * 2f) > ${F}(0.5f));
  let isNegative = (bitcast<${u}>(x) >> ${u}(31u)) == ${u}(1u);
  let sign = select(${F}(1f), ${F}(-1f), isNegative & isOdd);
  let isRegular = (size > ${F}(0f)) & $hasFiniteBits(x);
  let nan = $fromBits(${u}(${nanBits}));
  var result = sign * $exponential(y * $logarithm(size));
  result = select(result, sign * $powerOfPositive(size, y), isRegular);
  result = select(result, x, y == ${F}(1f));
  result = select(result, sign, size == ${F}(1f));
  result = select(result, nan, (x < ${F}(0f)) & $hasFiniteBits(x) & !isWhole);
  result = select(result, nan, $isNotANumber(x) | $isNotANumber(y));
  return select(result, ${F}(1f), (y == ${F}(0f)) | (x == ${F}(1f)));`,
  },
  turnOfLargeAngle: {
    parameters: [x],
    result: "twoWords",
    uses: [],
    body: () => largeAngle(),
  },
  sine: {
    parameters: [x],
    result: "f",
    uses: ["turnOfLargeAngle", "fromBits", "hasFiniteBits"],
    body: ({ lanes }) =>
      lanes === 4
        ? eachLane("sine1", "x")
        : angle(
            "select(select(c, -c, quadrant == 3u), select(select(s, -s, quadrant == 2u), x, x == 0f), (quadrant & 1u) == 0u)",
          ),
  },
  cosine: {
    parameters: [x],
    result: "f",
    uses: ["turnOfLargeAngle", "fromBits", "hasFiniteBits"],
    body: ({ lanes }) =>
      lanes === 4
        ? eachLane("cosine1", "x")
        : angle("select(select(s, -s, quadrant == 1u), select(c, -c, quadrant == 2u), (quadrant & 1u) == 0u)"),
  },
  /** atan x: an odd polynomial up to 1, pi/2 - atan(1 / x) beyond. */
  arctangent: {
    parameters: [x],
    result: "f",
    uses: [],
    body: ({ f: F }) => `
  let size = abs(x);
  let isFar = size > ${F}(1f);
  let t = select(size, 1f / size, isFar);
  let q = t * t;
  let near = t + t * q * (${polynomial("q", atanCoefficients)});
  let value = select(near, ${f(halfPiHigh)} - (near + ${f(-halfPiLow)}), isFar);
  return select(select(x, -value, x < ${F}(0f)), value, x > ${F}(0f));`,
  },
  divideSigned: quotientOf("i"),
  divideUnsigned: quotientOf("u"),
  /** C's fmod. */
  floatRemainder: {
    parameters: [x, y],
    result: "f",
    uses: ["fromBits"],
    body: ({ lanes }) => (lanes === 4 ? eachLane("floatRemainder1", "x", "y") : remainderOfMantissas()),
  },
  /** Both words of Threefry-2x32-20 (Salmon, Moraes, Dror, Shaw: Parallel Random Numbers: As Easy as 1, 2, 3, 2011). */
  threefry: {
    parameters: [
      ["key0", "u"],
      ["key1", "u"],
      ["counter0", "u"],
      ["counter1", "u"],
    ],
    result: "twoWords",
    uses: [],
    body: ({ u }) => threefryRounds(u),
  },
};

const typesOf = (lanes: Lanes): Types =>
  lanes === 1
    ? { f: "f32", i: "i32", u: "u32", b: "bool", lanes }
    : { f: "vec4f", i: "vec4i", u: "vec4u", b: "vec4<bool>", lanes };

/** The text of these functions and of all that they call, each after those that it calls. */
export function functionTexts(wanted: Iterable<readonly [FunctionName, Lanes]>): string[] {
  const texts = new Map<string, string>();
  const visit = (name: FunctionName, lanes: Lanes): void => {
    const key = `${name}${lanes}`;
    if (texts.has(key)) return;
    const { parameters, result, uses, body } = definitions[name];
    const types = typesOf(lanes);
    const isByLane = lanes === 4 && byLane.includes(name);
    if (isByLane) visit(name, 1);
    else for (const used of uses) visit(used, used === "turnOfLargeAngle" ? 1 : lanes);
    const list = parameters.map(([parameter, type]) => `${parameter}: ${types[type]}`).join(", ");
    const given = result === "twoWords" ? (lanes === 1 ? "vec2u" : "array<vec4u, 2>") : types[result];
    const statements = body(types)
      .replace(/\$(\w+)\(/g, `$1${lanes}(`)
      .replace(/^(?!\n)/, "\n  ");
    texts.set(key, `fn ${key}(${list}) -> ${given} {${statements}\n}`);
  };
  for (const [name, lanes] of wanted) visit(name, lanes);
  return [...texts.values()];
}
