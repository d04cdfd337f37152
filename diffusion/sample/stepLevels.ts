/** The noise levels that a sampler's steps go through, churn included: numbers of the host, whatever the state is. */
import { EvenkeelError } from "../../engine/index.ts";

/** Noise that is added before each step, and then removed together with the rest. Karras et al. 2022, Algorithm 2. */
export type ChurnOptions = {
  /** How much noise the whole of the steps adds. Default 0: none. */
  readonly sChurn?: number;
  /** Noise levels, both inclusive, from which steps are churned. Default 0 and infinity. */
  readonly sMin?: number;
  readonly sMax?: number;
  /** Standard deviation of the added noise, relative to what it stands for. Default 1. */
  readonly sNoise?: number;
};

/** Noise levels of one step. */
export type StepLevels = {
  readonly index: number;
  /** At its start, after churn, and at its end. */
  readonly t: number;
  readonly tHat: number;
  readonly tNext: number;
  /** Standard deviation of the noise that churn adds; null if this step has none. */
  readonly churn: number | null;
};

/**
 * The levels of all steps.
 * @param sigmas falling noise levels with a final 0, as `sigmaSteps` makes them.
 * @throws EvenkeelError `value` for levels that don't fall to 0, or churn out of range.
 * @example console.log(stepLevels([2, 1, 0], { sChurn: 0.5 })[0]); // { index: 0, t: 2, tHat: 2.5, tNext: 1, churn: 1.5 }
 */
export function stepLevels(sigmas: readonly number[], options: ChurnOptions): readonly StepLevels[] {
  checkSigmas(sigmas);
  const { sChurn = 0, sMin = 0, sMax = Infinity, sNoise = 1 } = options;
  const check = (name: string, value: number, highest: number): void => {
    if (!(value >= 0 && value <= highest)) {
      const range = highest === Infinity ? "a number of at least 0" : "a finite number of at least 0";
      throw new EvenkeelError("value", `runSampler: ${name} is ${value}, expected ${range}.`);
    }
  };
  check("sChurn", sChurn, Number.MAX_VALUE);
  check("sMin", sMin, Infinity);
  check("sMax", sMax, Infinity);
  check("sNoise", sNoise, Number.MAX_VALUE);
  if (sMin > sMax) throw new EvenkeelError("value", `runSampler: sMin ${sMin} is above sMax ${sMax}.`);
  // More would make less than half of the variance the old noise.
  const gamma = Math.min(sChurn / (sigmas.length - 1), Math.SQRT2 - 1);
  return sigmas.slice(0, -1).map((t, index) => {
    const tNext = sigmas[index + 1] ?? 0;
    if (gamma === 0 || t < sMin || t > sMax) return { index, t, tHat: t, tNext, churn: null };
    const tHat = t + gamma * t;
    return { index, t, tHat, tNext, churn: Math.sqrt(tHat ** 2 - t ** 2) * sNoise };
  });
}

function checkSigmas(sigmas: readonly number[]): void {
  const falls = sigmas.every((sigma, i) => i === 0 || sigma < (sigmas[i - 1] ?? 0));
  if (sigmas.length < 2 || !falls || sigmas.at(-1) !== 0 || !Number.isFinite(sigmas[0])) {
    throw new EvenkeelError(
      "value",
      `runSampler: noise levels [${sigmas.join(", ")}] must be finite and fall strictly to a final 0. ` +
        "Make them with sigmaSteps.",
    );
  }
}
