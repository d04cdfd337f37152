import { EvenkeelError } from "../../engine/index.ts";

/** A weight at some noise levels above 0, which rise. */
export type WeightTable = readonly (readonly [sigma: number, weight: number])[];

/** How strongly a guide acts: the same everywhere, or by the noise level. 1 is no guidance. */
export type GuideWeight = number | WeightTable;

/**
 * The weight at a noise level: between two levels of a table in proportion to ln(sigma), beyond its ends that of the end. A level that a
 * table has twice is a jump, at which the first of the two weights holds: guidance within (lo, hi] is `[[lo, 1], [lo, w], [hi, w], [hi, 1]]`.
 * @example
 * ```ts
 * const weight = [[0.1, 1], [10, 3]] as const;
 * console.log([0.01, 0.1, 1, 10, 80].map((sigma) => weightAt(weight, sigma))); // [ 1, 1, 2, 3, 3 ]
 * ```
 */
export function weightAt(weight: GuideWeight, sigma: number): number {
  if (typeof weight === "number") return weight;
  const above = weight.findIndex(([level]) => level >= sigma);
  const [right, left] = [weight.at(above), weight[above - 1]];
  // Not empty: `checkWeight` sees to it.
  if (right === undefined) return 1;
  if (above < 0 || left === undefined || right[0] === sigma) return right[1];
  const share = Math.log(sigma / left[0]) / Math.log(right[0] / left[0]);
  return left[1] + share * (right[1] - left[1]);
}

/**
 * Whether a weight is 1 at every noise level.
 * @example console.log(isNoGuidance(1), isNoGuidance([[1, 1], [2, 1.5]])); // true false
 */
export function isNoGuidance(weight: GuideWeight): boolean {
  return typeof weight === "number" ? weight === 1 : weight.every(([, each]) => each === 1);
}

/** @throws EvenkeelError `value` for weights that aren't finite, and levels that aren't above 0 or don't rise. */
export function checkWeight(weight: GuideWeight): void {
  const fail = (what: string): never => {
    throw new EvenkeelError("value", `guidance: ${what}`);
  };
  const requireFinite = (value: number): void => {
    if (!Number.isFinite(value)) fail(`the weight ${value} is not a finite number.`);
  };
  if (typeof weight === "number") return requireFinite(weight);
  if (weight.length === 0)
    fail("a table of weights is empty; expected noise levels with their weights, such as 0.3:1,3:2.");
  for (const [i, [sigma, own]] of weight.entries()) {
    requireFinite(own);
    if (!(sigma > 0 && sigma < Infinity)) fail(`the noise level ${sigma} of a weight is not a finite number above 0.`);
    const [before, first] = [weight[i - 1]?.[0] ?? 0, weight[i - 2]?.[0] ?? 0];
    if (sigma < before) fail(`noise levels of weights must rise, and ${sigma} comes after ${before}.`);
    if (sigma === first) fail(`the noise level ${sigma} has more than two weights; two are a jump.`);
  }
}

/**
 * A weight as it is written: `1.5`, or noise levels with their weights, `0.1:1,0.3:2,3:2,10:1`.
 * @throws EvenkeelError `value` for what is neither, and as `checkWeight`.
 * @example console.log(parseGuideWeight("2"), parseGuideWeight("0.3:1,3:2")); // 2 [ [ 0.3, 1 ], [ 3, 2 ] ]
 */
export function parseGuideWeight(text: string): GuideWeight {
  const numberOf = (part: string): number => (part.trim() === "" ? NaN : Number(part));
  const read = (): GuideWeight => {
    if (!text.includes(":")) return numberOf(text);
    return text.split(",").map((part) => {
      const [sigma = "", weight = "", ...more] = part.split(":");
      return more.length > 0 ? [NaN, NaN] : [numberOf(sigma), numberOf(weight)];
    });
  };
  const weight = read();
  if ([weight].flat(2).some(Number.isNaN)) {
    throw new EvenkeelError(
      "value",
      `guidance: "${text}" is neither a weight nor noise levels with their weights. Examples: 1.5 and 0.1:1,0.3:2,3:2,10:1.`,
    );
  }
  checkWeight(weight);
  return weight;
}
