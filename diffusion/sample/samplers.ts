import { EvenkeelError } from "../../engine/index.ts";
import type { HostArray, StateDenoiser } from "./denoiser.ts";

/** How a step follows the flow: Heun's rule evaluates its slope twice (save in the last step), Euler's once. */
export type Solver = "heun" | "euler";

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

/** What one step did. The arrays are its own and stay as they are. */
export type SamplerStep = {
  readonly index: number;
  /** Noise levels at the step's start, after churn, and at its end. */
  readonly t: number;
  readonly tHat: number;
  readonly tNext: number;
  /** States at the step's start, after churn (the same array if there was none), after Euler's rule, and at its end. */
  readonly xCur: Float64Array;
  readonly xHat: Float64Array;
  readonly xEuler: Float64Array;
  readonly xNext: Float64Array;
  /** The denoiser's answers for xHat at tHat, and for xEuler at tNext where Heun's rule asked for it. */
  readonly denoised: HostArray;
  readonly denoisedEuler: HostArray | null;
};

/** Options of a sampler. */
export type SamplerOptions = ChurnOptions & {
  /** Default heun. */
  readonly solver?: Solver;
  /** Standard normals for the churn of step `index`, as many as the state has; called for churned steps only. */
  readonly churnNoise?: (index: number) => HostArray | Promise<HostArray>;
  /** Told after every step; awaited. What it throws ends the sampling. */
  readonly onStep?: (step: SamplerStep) => void | Promise<void>;
};

/**
 * Follows the probability flow from noise to data. Deterministic without churn: Karras et al. 2022, Algorithm 1; with it,
 * Algorithm 2. The state is float64, whatever the denoiser computes in. Of N steps Heun's rule makes 2 N - 1 evaluations.
 *
 * @param noise standard normals; the start is sigmas[0] times them.
 * @param sigmas falling noise levels with a final 0, as `sigmaSteps` makes them.
 * @returns the state at noise level 0.
 * @throws EvenkeelError `value` for levels that don't fall to 0, churn out of range or without noise, or a denoiser that answers
 * NaN or infinity; `shape` for arrays of the wrong length.
 */
export async function runSampler(
  denoise: StateDenoiser,
  noise: HostArray,
  sigmas: readonly number[],
  options: SamplerOptions = {},
): Promise<Float64Array> {
  checkSigmas(sigmas);
  const { solver = "heun", onStep } = options;
  const addChurn = churn(options, sigmas.length - 1);
  const [start = 0] = sigmas;
  let x: Float64Array = Float64Array.from(noise, (value) => start * value);
  for (const [index, t] of sigmas.slice(0, -1).entries()) {
    const tNext = sigmas[index + 1] ?? 0;
    const { tHat, xHat } = await addChurn(x, t, index);
    const evaluate = async (state: Float64Array, sigma: number): Promise<HostArray> =>
      checkDenoised(await denoise(state, sigma, t), state.length, index, sigma);

    const denoised = await evaluate(xHat, tHat);
    const slope = slopeAt(xHat, denoised, tHat);
    const xEuler = xHat.map((value, i) => value + (tNext - tHat) * (slope[i] ?? 0));
    let [xNext, denoisedEuler]: [Float64Array, HostArray | null] = [xEuler, null];
    if (solver === "heun" && tNext > 0) {
      denoisedEuler = await evaluate(xEuler, tNext);
      const nextSlope = slopeAt(xEuler, denoisedEuler, tNext);
      xNext = xHat.map((value, i) => value + (tNext - tHat) * (0.5 * (slope[i] ?? 0) + 0.5 * (nextSlope[i] ?? 0)));
    }
    await onStep?.({ index, t, tHat, tNext, xCur: x, xHat, xEuler, xNext, denoised, denoisedEuler });
    x = xNext;
  }
  return x;
}

/** dx/dsigma of the flow: (x - D(x; sigma)) / sigma. */
function slopeAt(x: Float64Array, denoised: HostArray, sigma: number): Float64Array {
  return x.map((value, i) => (value - (denoised[i] ?? 0)) / sigma);
}

type Churned = { readonly tHat: number; readonly xHat: Float64Array };

/** How a step of `steps` begins. @throws EvenkeelError `value` if an option is out of range. */
function churn(
  options: SamplerOptions,
  steps: number,
): (x: Float64Array, t: number, index: number) => Promise<Churned> {
  const { sChurn = 0, sMin = 0, sMax = Infinity, sNoise = 1, churnNoise } = options;
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
  const gamma = Math.min(sChurn / steps, Math.SQRT2 - 1);
  return async (x, t, index) => {
    if (gamma === 0 || t < sMin || t > sMax) return { tHat: t, xHat: x };
    if (churnNoise === undefined) {
      throw new EvenkeelError("value", "runSampler: sChurn is above 0, so that churnNoise must be given.");
    }
    const noise = await churnNoise(index);
    checkLength("churnNoise", noise.length, x.length);
    const tHat = t + gamma * t;
    const scale = Math.sqrt(tHat ** 2 - t ** 2) * sNoise;
    return { tHat, xHat: x.map((value, i) => value + scale * (noise[i] ?? 0)) };
  };
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

function checkLength(what: string, got: number, wanted: number): void {
  if (got !== wanted) {
    throw new EvenkeelError("shape", `runSampler: ${what} has ${got} elements, expected the state's ${wanted}.`);
  }
}

function checkDenoised(denoised: HostArray, length: number, index: number, sigma: number): HostArray {
  checkLength("the denoiser's answer", denoised.length, length);
  for (let i = 0; i < length; i++) {
    if (!Number.isFinite(denoised[i])) {
      throw new EvenkeelError(
        "value",
        `runSampler: in step ${index}, at noise level ${sigma}, the denoiser answered ${denoised[i]} (element ${i}). ` +
          "The network's weights or the guidance weight are too large, or damaged.",
      );
    }
  }
  return denoised;
}
