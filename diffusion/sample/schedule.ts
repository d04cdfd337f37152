import { EvenkeelError } from "../../engine/index.ts";

/** The noise levels a sampler passes through. */
export type ScheduleOptions = {
  /** Steps N, and noise levels before the final 0. Default 32. */
  readonly steps?: number;
  /** Lowest noise level above 0. Default 0.002. */
  readonly sigmaMin?: number;
  /** Noise level of the start. Default 80. */
  readonly sigmaMax?: number;
  /** Larger values put more of the steps at low noise. Default 7. */
  readonly rho?: number;
};

function requirePositive(name: string, value: number): void {
  if (!(value > 0 && value < Infinity)) {
    throw new EvenkeelError("value", `sigmaSteps: ${name} is ${value}, expected a finite number above 0.`);
  }
}

/**
 * Noise levels t_0 = sigmaMax, ..., t_(N-1) = sigmaMin and the final t_N = 0, strictly falling: N + 1 numbers whose rho-th roots
 * are evenly spaced up to t_(N-1). A single step goes from sigmaMax to 0. Karras et al. 2022, Eq. 5.
 *
 * The two ends are the given numbers to the bit, so that limits such as a guidance interval may name them.
 * @throws EvenkeelError `value` for steps that aren't a whole number of at least 1, levels or rho that aren't positive, or
 * sigmaMin not below sigmaMax.
 * @example console.log(sigmaSteps({ steps: 3 })); // [ 80, 2.5152, 0.002, 0 ]
 */
export function sigmaSteps({
  steps = 32,
  sigmaMin = 0.002,
  sigmaMax = 80,
  rho = 7,
}: ScheduleOptions = {}): readonly number[] {
  if (!Number.isInteger(steps) || steps < 1) {
    throw new EvenkeelError("value", `sigmaSteps: steps is ${steps}, expected a whole number of at least 1.`);
  }
  if (sigmaMin === 0) {
    throw new EvenkeelError(
      "value",
      "sigmaSteps: sigmaMin is 0, and a step that starts at noise level 0 divides by it. The schedule goes to 0 by itself after " +
        "its last level above: 0.002 is the usual one.",
    );
  }
  requirePositive("sigmaMin", sigmaMin);
  requirePositive("sigmaMax", sigmaMax);
  requirePositive("rho", rho);
  if (sigmaMin >= sigmaMax) {
    throw new EvenkeelError("value", `sigmaSteps: sigmaMin ${sigmaMin} must be below sigmaMax ${sigmaMax}.`);
  }
  if (steps === 1) return [sigmaMax, 0];
  const [first, last] = [sigmaMax ** (1 / rho), sigmaMin ** (1 / rho)];
  const between = Array.from(
    { length: steps - 2 },
    (_, i) => (first + ((i + 1) / (steps - 1)) * (last - first)) ** rho,
  );
  return [sigmaMax, ...between, sigmaMin, 0];
}
