import { EvenkeelError } from "../errors.ts";
import type { Shape } from "../graph/shape.ts";
import type { Tensor } from "../graph/tensor.ts";
import { add, and, greater, less, log, log1p, maximum, multiply, square, subtract, where } from "../ops/elementwise.ts";
import { randomNormal, unitUniform } from "./distributions.ts";
import { foldIn } from "./key.ts";

/** Proposals for each number. One in twenty is rejected at most, so that all are with a probability of 3e-11. */
const proposals = 8;

/**
 * Gamma variates of scale 1: density x^(a-1) e^-x / Gamma(a), a = `concentration`. Twice that of a = n / 2 is chi-squared with n degrees of
 * freedom. A cubed normal is proposed and kept with the probability that makes the density right (Marsaglia and Tsang, ACM Transactions on
 * Mathematical Software 26, 2000); of eight proposals the first that is kept counts, so that the program is the same for every draw.
 * @throws EvenkeelError `range` for a concentration below 1.
 * @example
 * ```ts
 * const draws = randomGamma(randomKey(0), [10000], 3);
 * console.log(Math.abs((await mean(draws).item()) - 3) < 0.1); // true
 * ```
 */
export function randomGamma(key: Tensor, shape: Shape, concentration: number): Tensor {
  if (!(concentration >= 1 && concentration < Infinity)) {
    throw new EvenkeelError(
      "range",
      `randomGamma: concentration is ${concentration}, expected a finite number of at least 1.`,
    );
  }
  const d = concentration - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  const drawn = Array.from({ length: proposals }, (_, i) => {
    const t = multiply(randomNormal(foldIn(key, 2 * i), shape), c);
    const unit = unitUniform("randomGamma", foldIn(key, 2 * i + 1), shape);
    // The proposal is d (1 + t)^3. What the paper compares ln(u) with, after what cancels was left out: float32 keeps little of it for large d.
    const base = maximum(add(1, t), 1e-6);
    const cubic = multiply(t, add(1, multiply(t, add(-1 / 2, multiply(t, 1 / 3)))));
    const isKept = and(greater(t, -1), less(log(unit), multiply(3 * d, subtract(log1p(maximum(t, 1e-6 - 1)), cubic))));
    return { value: multiply(multiply(base, square(base)), d), isKept };
  });
  return drawn
    .slice(0, -1)
    .reduceRight<Tensor>(
      (later, { value, isKept }) => where(isKept, value, later),
      (drawn.at(-1) as (typeof drawn)[number]).value,
    );
}
