/**
 * Sine and cosine for the f32 modes, whose drivers may be off by 2e-4. An angle is reduced to r = x - k pi/2 with
 * |r| <= pi/4, then come Taylor series in r. Up to 1e5 pi/2 is subtracted in five parts of 8 bits, whose products with
 * k are exact; beyond, x times 2/pi is computed in digits as far as its fraction needs them (Payne and Hanek 1983).
 */
import { partsOfHalfPi } from "../halfPi.ts";
import { atanCoefficients, halfPiHigh, halfPiLow } from "../../polynomials.ts";
import { type HelperDefinition, type HelperName, helperStatements as statements } from "./helperDefinition.ts";
import { polynomialText } from "./polynomialText.ts";

const mediumLimit = 1e5;

/** 2/pi in 240 bits after the point. */
const twoOverPi = 0xa2f9836e4e441529fc2757d1f534ddc0db6295993c439041fe5163abdebbn;
const digitBits = 12;
const digitCount = 240 / digitBits;

/** Digit i of 2/pi in base 4096, 1 being the first after the point; 0 outside of them. */
function digitOfTwoOverPi(i: number): number {
  if (i < 1 || i > digitCount) return 0;
  return Number((twoOverPi >> BigInt(digitBits * (digitCount - i))) & BigInt(2 ** digitBits - 1));
}

/** Digits of |x| 2/pi that are computed: the whole part's last one, and 84 bits of the fraction, of which a shift costs up to 11. */
const resultDigits = 8;

const upTo = (first: number, last: number): number[] => Array.from({ length: last - first + 1 }, (_, i) => first + i);

/** Declares d0, d1, ...: the digits of 2/pi from digit q on, for q from -1 to 8. */
function digitChoice(): string[] {
  const places = upTo(0, resultDigits + 1);
  return [
    ...places.map((i) => `let d${i} = ${digitOfTwoOverPi(i - 1)};`),
    ...upTo(0, 8).map(
      (q) => `if (q === ${q}) { ${places.map((i) => `d${i} = ${digitOfTwoOverPi(q + i)};`).join(" ")} }`,
    ),
  ];
}

/** Splits a number below 2^24 in carry and digit. */
function splitDigit(value: string, carry: string, rest: string): string[] {
  return [`const ${carry} = Math.floor(${value} * ${1 / 4096});`, `const ${rest} = ${value} - ${carry} * 4096;`];
}

/**
 * Declares v0, v1, ...: the digits of M (2/pi) 4096^q 2^amount, where M = high 4096 + low and shift = 2^amount; v0 is the
 * whole part's last digit. Products of digits are below 2^24 and sums of their parts far below.
 */
function digitProducts(): string[] {
  const product = (half: string, i: number): string[] => [
    `const ${half}${i} = ${half} * d${i};`,
    ...splitDigit(`${half}${i}`, `${half}Carry${i}`, `${half}Rest${i}`),
  ];
  const downwards = upTo(0, resultDigits - 1).reverse();
  const carryOf = (name: string, k: number): string => (k === resultDigits - 1 ? "" : ` + ${name}${k + 1}`);
  return [
    ...upTo(0, resultDigits).flatMap((i) => product("low", i)),
    ...upTo(1, resultDigits + 1).flatMap((i) => product("high", i)),
    ...downwards.flatMap((k) => [
      `const s${k} = lowRest${k} + lowCarry${k + 1} + highRest${k + 1} + highCarry${k + 2}${carryOf("c", k)};`,
      ...splitDigit(`s${k}`, `c${k}`, `w${k}`),
    ]),
    ...downwards.flatMap((k) => [
      `const t${k} = w${k} * shift${carryOf("e", k)};`,
      ...splitDigit(`t${k}`, `e${k}`, `v${k}`),
    ]),
  ];
}

/** Declares u1, u2, ...: the digits of the fraction's distance from the nearest whole number. */
function nearestDigits(): string[] {
  return upTo(1, resultDigits - 1).map((k) => `const u${k} = up * 4095 + (1 - 2 * up) * v${k};`);
}

/** The digits as a number, smallest first, so that leading zeros cost no accuracy. */
function fractionText(): string {
  return upTo(1, resultDigits - 1)
    .reverse()
    .reduce((text, k) => (text === "" ? `u${k} * ${1 / 4096}` : `(u${k} + ${text}) * ${1 / 4096}`), "");
}

const indented = (lines: readonly string[]): string => lines.map((line) => `      ${line}`).join("\n");

const f = (numerator: number, denominator: number): number => Math.fround(numerator / denominator);

const [half0 = 0, half1 = 0, half2 = 0, half3 = 0, half4 = 0] = partsOfHalfPi();

const series = `
      const parts = reducedAngle(x);
      const quadrant = parts[0];
      const r = parts[1];
      const q = r * r;
      const s = r - r * q * (${f(1, 6)} - q * (${f(1, 120)} - q * (${f(1, 5040)} - q * ${f(1, 362880)})));
      const c = 1 - q * (0.5 - q * (${f(1, 24)} - q * (${f(1, 720)} - q * (${f(1, 40320)} - q * ${f(1, 3628800)}))));`;

export const trigonometricHelpers = {
  /** [k modulo 4, r] for |x| from 2^16 on: |x| = M 2^e with whole M < 2^24, and e = 12 q + amount. */
  reducedLargeAngle: {
    parameters: ["x"],
    returnType: "Array(2)",
    uses: ["undefinedNumber"],
    body: statements(`
      let m = Math.abs(x);
      if (!(m <= 3.4028234663852886e38)) { return [0, undefinedNumber(3e38)]; }
      let e = -23;
${indented([64, 32, 16, 8, 4, 2, 1].map((step) => `if (m >= ${2 ** step}) { m = m * ${2 ** -step}; e = e + ${step}; }`))}
      const q = Math.floor((e + 0.5) * ${f(1, 12)});
      let amount = e - q * 12;
      let shift = 1;
${indented([8, 4, 2, 1].map((step) => `if (amount >= ${step}) { shift = shift * ${2 ** step}; amount = amount - ${step}; }`))}
      const high = Math.floor(m * 2048);
      const low = (m * 2048 - high) * 4096;
${indented([...digitChoice(), ...digitProducts()])}
      const up = v1 >= 2048 ? 1 : 0;
${indented(nearestDigits())}
      const sign = x < 0 ? (-1) : 1;
      const turns = sign * (v0 + up);
      const r = sign * (1 - 2 * up) * ${Math.fround(Math.PI / 2)} * (${fractionText()});
      return [turns - Math.floor(turns * 0.25) * 4, r];
    `),
  },
  reducedAngle: {
    parameters: ["x"],
    returnType: "Array(2)",
    uses: ["reducedLargeAngle"],
    body: statements(`
      if (Math.abs(x) <= ${mediumLimit}) {
        const k = Math.floor(x * ${Math.fround(2 / Math.PI)} + 0.5);
        const r = ((((x - k * ${half0}) - k * ${half1}) - k * ${half2}) - k * ${half3}) - k * ${half4};
        return [k - Math.floor(k * 0.25) * 4, r];
      }
      return reducedLargeAngle(x);
    `),
  },
  sine: {
    parameters: ["x"],
    returnType: "Number",
    uses: ["reducedAngle"],
    body: statements(`${series}
      if (quadrant === 1) { return c; }
      if (quadrant === 2) { return -s; }
      if (quadrant === 3) { return -c; }
      return x === 0 ? x : s;
    `),
  },
  cosine: {
    parameters: ["x"],
    returnType: "Number",
    uses: ["reducedAngle"],
    body: statements(`${series}
      if (quadrant === 1) { return -s; }
      if (quadrant === 2) { return -c; }
      if (quadrant === 3) { return s; }
      return c;
    `),
  },
  /** atan x: an odd polynomial up to 1, pi/2 - atan(1 / x) beyond. */
  arctangent: {
    parameters: ["x"],
    returnType: "Number",
    uses: [],
    body: statements(`
      const size = Math.abs(x);
      const t = size > 1 ? 1 / size : size;
      const q = t * t;
      const near = t + t * q * (${polynomialText("q", atanCoefficients)});
      const value = size > 1 ? ${halfPiHigh} - (near + ${-halfPiLow}) : near;
      if (x > 0) { return value; }
      if (x < 0) { return -value; }
      return x;
    `),
  },
} as const satisfies Readonly<Partial<Record<HelperName, HelperDefinition>>>;
