/**
 * Exponentials and logarithms for the f32 modes. Drivers may be off by 1e-6 and more there, or wrong: SwiftShader has
 * tanh(-100) = NaN, log(-1) = 88.7, exp(NaN) = Infinity, pow(-2, 3) = 8, and expm1, log1p don't exist.
 * All are correct to a few units in the last place (test/engine/devices/gpujs/safeMath.test.ts measures them).
 */
import { erfFarCoefficients, erfNearCoefficients, erfSaturation, erfSplit } from "../../polynomials.ts";
import { type HelperDefinition, type HelperName, helperStatements as statements } from "./helperDefinition.ts";
import { polynomialText } from "./polynomialText.ts";

/** ln 2 in two parts: the first has 9 bits, so that its product with an exponent is exact. */
const log2High = 0.693359375;
const log2Low = Math.fround(Math.LN2 - log2High);

const powerSteps = [64, 32, 16, 8, 4, 2, 1];

function scaleChain(negative: boolean): string {
  const steps = [64, ...powerSteps, 1];
  return steps
    .map((step) => `if (n >= ${step}) { z = z * ${2 ** (negative ? -step : step)}; n = n - ${step}; }`)
    .map((line) => `        ${line}`)
    .join("\n");
}

export const exponentialHelpers = {
  /** x * x: Infinity for 3e38, which has no literal in WGSL. */
  overflow: { parameters: ["x"], returnType: "Number", uses: [], body: statements("return x * x;") },
  /** NaN for 3e38: the difference of two infinities that no compiler takes for the same value. */
  undefinedNumber: {
    parameters: ["x"],
    returnType: "Number",
    uses: ["overflow"],
    body: statements(`
      const one = overflow(x);
      const other = overflow(x * 0.5);
      return one - other;
    `),
  },
  /**
   * In units of the last place that 16 bits keep, found by comparisons and exact multiplications. What is too large is infinite in float64,
   * too: `cpu` goes on computing with it.
   */
  nearestFloat16: {
    parameters: ["x"],
    returnType: "Number",
    uses: ["overflow"],
    body: statements(`
      const size = Math.abs(x);
      let unit = ${2 ** -24};
      let perUnit = 16777216;
      ${[16, 8, 4, 2, 1]
        .map(
          (step) =>
            `if (size >= unit * ${1024 * 2 ** step}) { unit = unit * ${2 ** step}; perUnit = perUnit * ${2 ** -step}; }`,
        )
        .join("\n      ")}
      const units = size * perUnit;
      const below = Math.floor(units);
      const rest = units - below;
      const odd = below - Math.floor(below * 0.5) * 2;
      const up = (rest > 0.5 || (rest === 0.5 && odd > 0)) ? 1 : 0;
      const normal = size < ${2 ** -14 - 2 ** -25} ? 0 : (below + up) * unit;
      const nearest = size >= 65520 ? overflow(overflow(overflow(overflow(3e38)))) : normal;
      return (x < 0 || (x === 0 && 1 / x < 0)) ? -nearest : nearest;
    `),
  },
  /** x * 2^k for whole k in -151..129, exact while the result is a normal number. */
  scaleByPowerOfTwo: {
    parameters: ["x", "k"],
    returnType: "Number",
    uses: [],
    body: statements(`
      let z = x;
      let n = Math.abs(k);
      if (k < 0) {
${scaleChain(true)}
      } else {
${scaleChain(false)}
      }
      return z;
    `),
  },
  /** e^x: x = k ln 2 + r with |r| <= ln 2 / 2, Taylor series of degree 7 in r (error 5e-9), scaled by 2^k. */
  exponential: {
    parameters: ["x"],
    returnType: "Number",
    uses: ["scaleByPowerOfTwo", "overflow"],
    body: statements(`
      const k = Math.floor(x * ${Math.fround(Math.LOG2E)} + 0.5);
      const r = (x - k * ${log2High}) + k * ${-log2Low};
      const p = 1 + r * (1 + r * (0.5 + r * (${Math.fround(1 / 6)} + r * (${Math.fround(1 / 24)}
        + r * (${Math.fround(1 / 120)} + r * (${Math.fround(1 / 720)} + r * ${Math.fround(1 / 5040)}))))));
      const inside = (x > (-104) && x < 89) ? k : 0;
      const scaled = scaleByPowerOfTwo(p, inside);
      if (x >= 89) { return overflow(3e38); }
      if (x <= (-104)) { return 0; }
      return scaled;
    `),
  },
  /** 2 artanh(s) = ln((1 + s) / (1 - s)) for |s| <= 0.172, by its series (error 2e-9). */
  twiceAreaTangent: {
    parameters: ["s"],
    returnType: "Number",
    uses: [],
    body: statements(`
      const q = s * s;
      return 2 * s + s * q * (${Math.fround(2 / 3)} + q * (0.4 + q * (${Math.fround(2 / 7)} + q * ${Math.fround(2 / 9)})));
    `),
  },
  /** [e, ln m] where x = m 2^e with m in [sqrt(1/2), sqrt(2)]: found by exact multiplications. */
  logarithmParts: {
    parameters: ["x"],
    returnType: "Array(2)",
    uses: ["twiceAreaTangent"],
    body: statements(`
      let m = x;
      let e = 0;
${powerSteps.map((step) => `      if (m >= ${2 ** step}) { m = m * ${2 ** -step}; e = e + ${step}; }`).join("\n")}
      if (m < ${2 ** -64}) { m = m * ${2 ** 64}; e = e - 64; }
${powerSteps.map((step) => `      if (m < ${2 ** (1 - step)}) { m = m * ${2 ** step}; e = e - ${step}; }`).join("\n")}
      if (m > ${Math.fround(Math.SQRT2)}) { m = m * 0.5; e = e + 1; }
      return [e, twiceAreaTangent((m - 1) / (m + 1))];
    `),
  },
  logarithm: {
    parameters: ["x"],
    returnType: "Number",
    uses: ["logarithmParts", "overflow", "undefinedNumber"],
    body: statements(`
      const parts = logarithmParts(x);
      const e = parts[0];
      const series = parts[1];
      if (x > 3.4028234663852886e38) { return overflow(3e38); }
      if (x > 0) { return e * ${log2High} + (series - e * ${-log2Low}); }
      if (x === 0) { return -overflow(3e38); }
      return undefinedNumber(3e38);
    `),
  },
  /** ln(1 + x) without cancellation near 0. */
  logarithmOfOnePlus: {
    parameters: ["x"],
    returnType: "Number",
    uses: ["twiceAreaTangent", "logarithm"],
    body: statements(`
      const near = twiceAreaTangent(x / (2 + x));
      const far = logarithm(1 + x);
      return (x > (-0.29) && x < 0.41) ? near : far;
    `),
  },
  /** e^x - 1: Taylor series of degree 10 for |x| < 0.6. */
  exponentialMinusOne: {
    parameters: ["x"],
    returnType: "Number",
    uses: ["exponential"],
    body: statements(`
      const tail = ${Math.fround(1 / 5040)} + x * (${Math.fround(1 / 40320)}
        + x * (${Math.fround(1 / 362880)} + x * ${Math.fround(1 / 3628800)}));
      const p = 0.5 + x * (${Math.fround(1 / 6)} + x * (${Math.fround(1 / 24)} + x * (${Math.fround(1 / 120)}
        + x * (${Math.fround(1 / 720)} + x * tail))));
      const far = exponential(x) - 1;
      return (x > (-0.6) && x < 0.6) ? x * (1 + x * p) : far;
    `),
  },
  /** tanh x = sign(x) (e^{2|x|} - 1) / (e^{2|x|} + 1), which is 1 in f32 from 9.02 on. */
  hyperbolicTangent: {
    parameters: ["x"],
    returnType: "Number",
    uses: ["exponentialMinusOne"],
    body: statements(`
      const size = Math.abs(x);
      const e = exponentialMinusOne(2 * (size < 10 ? size : 10));
      const t = size < 10 ? e / (e + 2) : 1;
      if (x > 0) { return t; }
      if (x < 0) { return -t; }
      return x;
    `),
  },
  /** 1 / (1 + e^{-x}), with full relative accuracy for negative x. */
  logistic: {
    parameters: ["x"],
    returnType: "Number",
    uses: ["exponential"],
    body: statements(`
      const e = exponential(-Math.abs(x));
      const top = x >= 0 ? 1 : e;
      return top / (1 + e);
    `),
  },
  /** erf x: an odd polynomial near 0, 1 - e^-h(|x|) with a polynomial h beyond. */
  errorFunction: {
    parameters: ["x"],
    returnType: "Number",
    uses: ["exponential"],
    body: statements(`
      const size = Math.abs(x) < ${erfSaturation} ? Math.abs(x) : ${erfSaturation};
      const q = size * size;
      const near = size + size * (${polynomialText("q", erfNearCoefficients)});
      const h = ${polynomialText("size", erfFarCoefficients)};
      const far = 1 - exponential(-h);
      // In float64, too.
      const large = size < ${erfSaturation} ? far : 1;
      const value = size < ${erfSplit} ? near : large;
      if (x > 0) { return value; }
      if (x < 0) { return -value; }
      return x;
    `),
  },
  /**
   * e^{y ln |x|} for 0 < |x| < Infinity. The logarithm is kept in two f32 and so is its product with y (Dekker 1971):
   * rounding either to one f32 would cost the exponential up to 88 times that error.
   */
  powerOfPositive: {
    parameters: ["x", "y"],
    returnType: "Number",
    uses: ["logarithmParts", "exponential"],
    body: statements(`
      const parts = logarithmParts(x);
      const e = parts[0];
      const exact = e * ${log2High};
      const rest = parts[1] - e * ${-log2Low};
      const high = exact + rest;
      const low = rest - (high - exact);
      const product = y * high;
      const yScaled = y * 4097;
      const y1 = yScaled - (yScaled - y);
      const y2 = y - y1;
      const highScaled = high * 4097;
      const high1 = highScaled - (highScaled - high);
      const high2 = high - high1;
      const error = ((y1 * high1 - product) + y1 * high2 + y2 * high1) + y2 * high2 + y * low;
      // Outside, the exponential saturates and the error term may be no number.
      const small = (product > (-110) && product < 100) ? error : 0;
      return exponential(product) * (1 + small);
    `),
  },
  /** x^y as C's powf: NaN for a negative x and a fractional y, 1 for x = 1 or y = 0 even where the other is NaN. */
  powerOf: {
    parameters: ["x", "y"],
    returnType: "Number",
    uses: ["powerOfPositive", "exponential", "logarithm", "undefinedNumber"],
    body: statements(`
      const size = Math.abs(x);
      const floored = Math.floor(y);
      const odd = floored - Math.floor(floored * 0.5) * 2;
      const negative = (x < 0 || (x === 0 && 1 / x < 0)) ? 1 : 0;
      const sign = (negative > 0 && odd > 0 && floored === y) ? (-1) : 1;
      const regular = powerOfPositive(size, y);
      const limit = exponential(y * logarithm(size));
      if (y === 0 || x === 1) { return 1; }
      if (!(x === x) || !(y === y)) { return undefinedNumber(3e38); }
      if (x < 0 && size <= 3.4028234663852886e38 && !(floored === y)) { return undefinedNumber(3e38); }
      if (size === 1) { return sign; }
      if (y === 1) { return x; }
      if (size > 0 && size <= 3.4028234663852886e38) { return sign * regular; }
      return sign * limit;
    `),
  },
  /** x^y as C's pow, for `cpu`: JavaScript has NaN for 1^NaN, 1^Infinity and (-1)^Infinity. */
  powerOfDoubles: {
    parameters: ["x", "y"],
    returnType: "Number",
    uses: [],
    body: statements(`
      if (x === 1 || (x === (-1) && Math.abs(y) > 1e308)) { return 1; }
      return Math.pow(x, y);
    `),
  },
} as const satisfies Readonly<Partial<Record<HelperName, HelperDefinition>>>;
