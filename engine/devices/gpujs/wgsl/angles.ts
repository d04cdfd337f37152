/** Bodies of sine and cosine: an angle is reduced to r = x - k pi/2 with |r| <= pi/4, then come Taylor series in r. */
import { partsOfHalfPi } from "../halfPi.ts";
import { f, nanBits, ratio } from "./numerals.ts";

/** Up to here pi/2 is subtracted in parts, as often as it fits; beyond, x times 2/pi is computed modulo 4 (Payne and Hanek 1983). */
const mediumAngle = 1e5;

/** 2/pi in 224 bits after the point, behind a word of zeros. */
const twoOverPi = 0xa2f9836e4e441529fc2757d1f534ddc0db6295993c439041fe5163abn;
const twoOverPiWords = [
  0,
  ...Array.from({ length: 7 }, (_, word) => Number((twoOverPi >> BigInt(32 * (6 - word))) & 0xffffffffn)),
];

/**
 * Quadrant modulo 4 of x, and what is left over in [-pi/4, pi/4] as bits. |x| = M 2^e with a whole M of 24 bits; of 2/pi the 96 bits
 * are taken whose products with M 2^e are below 4 and not negligible; the product modulo 4 has them in limbs of 16 bits.
 */
export function largeAngle(): string {
  const limbs = [0, 1, 2, 3, 4, 5];
  const columns = limbs.map((k) => {
    const terms = [
      `((w${k} * low) & 0xffffu)`,
      ...(k >= 1 ? [`((w${k - 1} * low) >> 16u)`, `((w${k - 1} * high) & 0xffffu)`] : []),
      ...(k >= 2 ? [`((w${k - 2} * high) >> 16u)`] : []),
      ...(k >= 1 ? [`(c${k - 1} >> 16u)`] : []),
    ];
    return `  let c${k} = ${terms.join(" + ")};`;
  });
  const fraction = [2, 3, 4].reduce((text, k) => `(f32(u${k}) + ${text} * ${f(2 ** -16)})`, "f32(u1)");
  return `
  let bits = bitcast<u32>(x);
  let mantissa = (bits & 0x7fffffu) | 0x800000u;
  let low = mantissa & 0xffffu;
  let high = mantissa >> 16u;
  let start = ((bits >> 23u) & 255u) - 120u;
  let word = start >> 5u;
  let shift = start & 31u;
  var table = array<u32, 9>(${twoOverPiWords.map((value) => `${value}u`).join(", ")}, 0u);
  let a = (table[word] << shift) | ((table[word + 1u] >> 1u) >> (31u - shift));
  let b = (table[word + 1u] << shift) | ((table[word + 2u] >> 1u) >> (31u - shift));
  let c = (table[word + 2u] << shift) | ((table[word + 3u] >> 1u) >> (31u - shift));
  let w0 = c & 0xffffu;
  let w1 = c >> 16u;
  let w2 = b & 0xffffu;
  let w3 = b >> 16u;
  let w4 = a & 0xffffu;
  let w5 = a >> 16u;
${columns.join("\n")}
  let up = (c5 >> 13u) & 1u;
  let flip = up * 0xffffu;
  let u1 = (c1 & 0xffffu) ^ flip;
  let u2 = (c2 & 0xffffu) ^ flip;
  let u3 = (c3 & 0xffffu) ^ flip;
  let u4 = (c4 & 0xffffu) ^ flip;
  let u5 = ((c5 & 0x3fffu) ^ flip) & 0x3fffu;
  let fraction = (f32(u5) + ${fraction} * ${f(2 ** -16)}) * ${f(2 ** -14)};
  let isNegative = (bits >> 31u) == 1u;
  let turns = ((c5 >> 14u) & 3u) + up;
  let r = select(fraction, -fraction, up == 1u) * ${f(Math.PI / 2)};
  return vec2u(select(turns, 4u - (turns & 3u), isNegative) & 3u, bitcast<u32>(select(r, -r, isNegative)));`;
}

/** Sine s and cosine c of what is left over of x, by Taylor series, and the result by the quadrant. */
export function angle(result: string): string {
  const parts = partsOfHalfPi();
  const reduced = parts.reduce((text, part, i) => (i === 0 ? `x - k * ${f(part)}` : `(${text}) - k * ${f(part)}`), "");
  return `
  var quadrant: u32;
  var r: f32;
  if (abs(x) <= ${f(mediumAngle)}) {
    let k = floor(x * ${f(2 / Math.PI)} + 0.5f);
    r = ${reduced};
    quadrant = bitcast<u32>(i32(k)) & 3u;
  } else {
    let turn = turnOfLargeAngle1(x);
    quadrant = turn.x;
    r = bitcast<f32>(turn.y);
  }
  let q = r * r;
  let s = r - r * q * (${ratio(1, 6)} - q * (${ratio(1, 120)} - q * (${ratio(1, 5040)} - q * ${ratio(1, 362880)})));
  let c = 1f - q * (0.5f - q * (${ratio(1, 24)} - q * (${ratio(1, 720)} - q * (${ratio(1, 40320)} - q * ${ratio(1, 3628800)}))));
  let value = ${result};
  return select(fromBits1(${nanBits}), value, hasFiniteBits1(x));`;
}
