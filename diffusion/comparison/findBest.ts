/** What a search looked at, and where it ended. */
export type FoundBest = {
  readonly best: number;
  readonly error: number;
  /** All values that were tried, in this order. */
  readonly tried: readonly { readonly value: number; readonly error: number }[];
  /** Whether values on both sides of the best were tried and are worse: otherwise a better one may lie beyond. */
  readonly isBracketed: boolean;
};

/** How far apart the values are that are tried. */
export type FindBestOptions = {
  /** Factor between the first values. Default 2. */
  readonly factor?: number;
  /** It ends when the values beside the best are less than this factor apart from it. Default 1.25. */
  readonly within?: number;
  /** Steps outwards, at most, if the best value is the last one. Default 6. */
  readonly widenings?: number;
  /** Told when the best value is at an end and the search goes on beyond. */
  readonly onWiden?: (value: number) => void;
};

/** 2 / (1 + sqrt(5)): cut so, each interval is divided like the one before, and no value is wasted. */
const golden = (Math.sqrt(5) - 1) / 2;

/**
 * Looks for the positive value with the smallest error, on a logarithmic scale: first outwards from `start` until the error rises on both
 * sides, then inwards by golden sections (Kiefer 1953). Errors that aren't finite count as infinitely large. It trusts each error: where
 * these have noise, the best is one of several good values.
 * @param errorOf is asked once for each value, one after the other
 * @example
 * ```ts
 * const { best, isBracketed } = await findBest(async (rate) => Math.log(rate / 0.02) ** 2, 0.1);
 * console.log(best > 0.016 && best < 0.025, isBracketed); // true true
 * ```
 */
export async function findBest(
  errorOf: (value: number) => Promise<number>,
  start: number,
  options: FindBestOptions = {},
): Promise<FoundBest> {
  const { factor = 2, within = 1.25, widenings = 6, onWiden } = options;
  if (!(start > 0) || !(factor > 1) || !(within > 1)) {
    throw new RangeError(`findBest: start ${start}, factor ${factor}, within ${within}`);
  }
  const tried: { value: number; error: number }[] = [];
  const look = async (logarithm: number): Promise<number> => {
    // Three digits are said, kept and trained with alike.
    const value = Number(Math.exp(logarithm).toPrecision(3));
    const known = tried.find((each) => each.value === value);
    if (known !== undefined) return known.error;
    const given = await errorOf(value);
    const error = Number.isFinite(given) ? given : Infinity;
    tried.push({ value, error });
    return error;
  };
  const step = Math.log(factor);
  let middle = Math.log(start);
  let [left, right] = [middle - step, middle + step];
  let lowest = await look(middle);
  let [errorLeft, errorRight] = [await look(left), await look(right)];
  for (let widening = 0; widening < widenings && Math.min(errorLeft, errorRight) < lowest; widening++) {
    // An error that rose on neither side is followed where it is smaller.
    if (errorLeft < errorRight) {
      [right, errorRight, middle, lowest, left] = [middle, lowest, left, errorLeft, left - step];
      onWiden?.(Math.exp(left));
      errorLeft = await look(left);
    } else {
      [left, errorLeft, middle, lowest, right] = [middle, lowest, right, errorRight, right + step];
      onWiden?.(Math.exp(right));
      errorRight = await look(right);
    }
  }
  const isBracketed = lowest < Infinity && lowest <= Math.min(errorLeft, errorRight);
  while (isBracketed && Math.max(middle - left, right - middle) > Math.log(within)) {
    const isLeft = middle - left > right - middle;
    const next = isLeft ? middle - (1 - golden) * (middle - left) : middle + (1 - golden) * (right - middle);
    const error = await look(next);
    if (error < lowest) {
      if (isLeft) right = middle;
      else left = middle;
      [middle, lowest] = [next, error];
    } else if (isLeft) left = next;
    else right = next;
  }
  const best = tried.reduce((one, other) => (other.error < one.error ? other : one), { value: start, error: Infinity });
  return { best: best.value, error: best.error, tried, isBracketed };
}
