import { EvenkeelError } from "../../engine/index.ts";
import { type ChurnOptions, stepLevels } from "./stepLevels.ts";

/** Elements in the host's memory: of a network float32, of a formula possibly float64. */
export type HostArray = Float32Array | Float64Array;

/**
 * What `runSampler` calls: the denoised state.
 * @param x the sampler's state; not to be written.
 * @param sigma its noise level.
 * @param stepSigma the noise level from which the present step starts, before churn.
 */
export type StateDenoiser = (x: Float64Array, sigma: number, stepSigma: number) => Promise<HostArray>;

/** How a step follows the flow: Heun's rule evaluates its slope twice (save in the last step), Euler's once. */
export type Solver = "heun" | "euler";

/** A rule of networks on a device: of the flow, or of consistency-tuned networks, which go to an image in each step. */
export type ImageSolver = Solver | "consistency";

/** What one step did. The arrays are its own and stay as they are. */
export type SamplerStep<State extends HostArray = Float64Array> = {
  readonly index: number;
  /** Noise levels at the step's start, after churn, and at its end. */
  readonly t: number;
  readonly tHat: number;
  readonly tNext: number;
  /** States at the step's start, after churn (the same array if there was none), after Euler's rule, and at its end. */
  readonly xCur: State;
  readonly xHat: State;
  readonly xEuler: State;
  readonly xNext: State;
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
 * Follows the probability flow of a denoiser on the host from noise to data, in float64; networks on a device are sampled there, by
 * `ImageSampler`. Deterministic without churn: Karras et al. 2022, Algorithm 1; with it, Algorithm 2. Of N steps Heun's rule makes
 * 2 N - 1 evaluations.
 *
 * @param noise standard normals; the start is sigmas[0] times them.
 * @param sigmas falling noise levels with a final 0, as `sigmaSteps` makes them.
 * @returns the state at noise level 0.
 * @throws EvenkeelError `value` for levels that don't fall to 0, churn out of range or without noise; `diverged` for a denoiser
 * that answers NaN or infinity; `shape` for arrays of the wrong length.
 * @example
 * ```ts
 * // The best answer where all data are 0.3.
 * const denoise = async (x: Float64Array): Promise<Float64Array> => x.map(() => 0.3);
 * console.log(await runSampler(denoise, Float64Array.of(1, -1), sigmaSteps({ steps: 4 }))); // Float64Array(2) [ 0.3, 0.3 ]
 * ```
 */
export async function runSampler(
  denoise: StateDenoiser,
  noise: HostArray,
  sigmas: readonly number[],
  options: SamplerOptions = {},
): Promise<Float64Array> {
  const { solver = "heun", onStep, churnNoise } = options;
  const steps = stepLevels(sigmas, options);
  const [start = 0] = sigmas;
  let x: Float64Array = Float64Array.from(noise, (value) => start * value);
  for (const { index, t, tHat, tNext, churn } of steps) {
    const xHat = churn === null ? x : addNoise(x, churn, await noiseOf(churnNoise, index));
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

/** @throws EvenkeelError `value` if there is nobody to ask */
async function noiseOf(churnNoise: SamplerOptions["churnNoise"], index: number): Promise<HostArray> {
  if (churnNoise !== undefined) return churnNoise(index);
  throw new EvenkeelError("value", "runSampler: sChurn is above 0, so that churnNoise must be given.");
}

function addNoise(x: Float64Array, scale: number, noise: HostArray): Float64Array {
  checkLength("churnNoise", noise.length, x.length);
  return x.map((value, i) => value + scale * (noise[i] ?? 0));
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
        "diverged",
        `runSampler: in step ${index}, at noise level ${sigma}, the denoiser answered ${denoised[i]} (element ${i}). ` +
          "The network's weights or the guidance weight are too large, or damaged.",
      );
    }
  }
  return denoised;
}
