import { EvenkeelError } from "../../engine/index.ts";

/** Steps a root may take; four to six are usual, and halving alone needs about 60. */
const maximumSteps = 200;

/** A root as the pole nearest to it and the distance from there, which is known to full relative precision. */
export type SecularRoot = { readonly pole: number; readonly offset: number };

/**
 * The `index`-th root of 1 + rho * sum of z_i^2 / (poles_i - x) = 0: an eigenvalue of diag(poles) + rho z z'. It lies between pole
 * `index` and the next. Each step fits both halves of the sum by a rational function with one pole (Bunch, Nielsen and Sorensen 1978) and
 * falls back on halving the interval.
 * @param poles ascending, all different; @param z none of them 0; @param rho above 0.
 * @throws EvenkeelError `value` if there is no convergence, as with numbers that aren't finite.
 */
export function secularRoot(
  poles: Float64Array,
  z: Float64Array,
  count: number,
  rho: number,
  index: number,
): SecularRoot {
  const isLast = index === count - 1;
  let squares = 0;
  for (let i = 0; i < count; i++) squares += (z[i] ?? 0) ** 2;
  if (count === 1) return { pole: 0, offset: rho * squares };
  const left = poles[index] ?? 0;
  const width = isLast ? rho * squares : (poles[index + 1] ?? 0) - left;
  // The root is counted from the nearer pole; which that is, the sign in the middle says: the function increases.
  const atMiddle = isLast ? 1 : evaluate(poles, z, count, 1 / rho, index, left, width / 2).value;
  const pole = atMiddle < 0 ? index + 1 : index;
  const origin = poles[pole] ?? 0;
  let [low, high] = isLast ? [0, width] : atMiddle < 0 ? [-width / 2, 0] : [0, width / 2];
  let x = isLast ? width / 2 : (low + high) / 2;
  // The two poles that the fit has: around the root, or the last two.
  const split = isLast ? index - 1 : index;
  const [near, far] = [(poles[split] ?? 0) - origin, (poles[split + 1] ?? 0) - origin];
  for (let step = 0; step < maximumSteps; step++) {
    const f = evaluate(poles, z, count, 1 / rho, split, origin, x);
    if (Math.abs(f.value) <= Number.EPSILON * Math.max(count, 8) * f.magnitude) return { pole, offset: x };
    if (f.value < 0) low = x;
    else high = x;
    const steps = rationalSteps(f, 1 / rho, near - x, far - x);
    const previous = x;
    x = steps.map((y) => previous + y).find((y) => y > low && y < high) ?? (low + high) / 2;
    if (x === previous || Math.abs(high - low) <= Number.EPSILON * Math.abs(x)) return { pole, offset: x };
  }
  throw new EvenkeelError("value", "eigenvalues: the secular equation doesn't converge; is every number finite?");
}

type Evaluation = {
  /** 1 / rho + psi + phi. */
  readonly value: number;
  /** Sum of the absolute values of what was added: the size of its rounding error. */
  readonly magnitude: number;
  readonly psi: number;
  readonly phi: number;
  readonly psiSlope: number;
  readonly phiSlope: number;
};

/** The function at origin + x, divided by rho; psi has the poles up to `split`. */
function evaluate(
  poles: Float64Array,
  z: Float64Array,
  count: number,
  constant: number,
  split: number,
  origin: number,
  x: number,
): Evaluation {
  let [psi, phi, psiSlope, phiSlope, magnitude] = [0, 0, 0, 0, constant];
  for (let i = 0; i < count; i++) {
    const zi = z[i] ?? 0;
    const ratio = zi / ((poles[i] ?? 0) - origin - x);
    const term = zi * ratio;
    magnitude += Math.abs(term);
    if (i <= split) {
      psi += term;
      psiSlope += ratio * ratio;
    } else {
      phi += term;
      phiSlope += ratio * ratio;
    }
  }
  return { value: constant + psi + phi, magnitude, psi, phi, psiSlope, phiSlope };
}

/**
 * The steps to the roots of c + s / (near - y) + t / (far - y), which has the values and slopes of psi and phi at the current place; the
 * distances of the poles from there are given.
 */
function rationalSteps(f: Evaluation, constant: number, near: number, far: number): readonly number[] {
  const s = f.psiSlope * near * near;
  const t = f.phiSlope * far * far;
  const c = constant + f.psi - f.psiSlope * near + f.phi - f.phiSlope * far;
  // c y^2 + b y + k = 0; the value k, of opposite signs on both sides of the root, is that of the function times both distances.
  const b = -(c * (near + far) + s + t);
  const k = f.value * near * far;
  const q = -(b + (b >= 0 ? 1 : -1) * Math.sqrt(b * b - 4 * c * k)) / 2;
  return [k / q, q / c];
}
