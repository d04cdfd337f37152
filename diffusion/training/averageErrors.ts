import type { HostBatch } from "../data/index.ts";
import type { StoredAverages } from "../ema/index.ts";
import type { ValidationError, Validator } from "./validation.ts";

/** The error of the average of one length. */
export type AverageError = {
  readonly sigmaRel: number;
  /** Mean over the noise levels. */
  readonly error: number;
  readonly levels: readonly ValidationError[];
};

/** What averages are measured on, and how that is watched and ended. */
export type AverageErrorOptions = {
  /** Noise levels, as `validationSigmas` makes them. */
  readonly sigmas: readonly number[];
  /** The averages' time, one of those stored. Default: the last. */
  readonly nimg?: number;
  /** Told how many images at noise levels are done, over all lengths, and all. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Told of each length as soon as it is measured. */
  readonly onError?: (error: AverageError) => void;
  /** Ends it between two batches, with an error `aborted`. */
  readonly signal?: AbortSignal;
};

/**
 * How the error depends on the length of the average: Karras et al. 2024, Fig. 5a, with the weighted denoising error in the place of FID.
 * Noise is always the same, so that lengths can be compared. Of images that were trained on the curve tells how well these were learned:
 * it then has its minimum elsewhere than of held-out ones, and whoever shows it says which they were.
 * @param validator made for the network of the averages; it keeps its programs.
 * @param images on which all lengths are measured.
 * @throws EvenkeelError as `StoredAverages.average`; `aborted`.
 * @example
 * ```ts
 * import { getDevice, randomKey } from "evenkeel/engine";
 * import { memoryFolder } from "evenkeel/engine/io";
 * import { flattenParameters, initializeParameters, type ParameterSpec } from "evenkeel/nn";
 * import { StoredAverages } from "evenkeel/diffusion/ema";
 * import { describeDenoiser } from "evenkeel/diffusion/network";
 * import { configurationNetwork } from "evenkeel/diffusion/presets";
 * import { storeSnapshot } from "evenkeel/diffusion/snapshot";
 *
 * const network = configurationNetwork("G", { imageResolution: 4, imageChannels: 1, labelDim: 0, modelChannels: 8, channelMult: [1] });
 * const weights = initializeParameters(flattenParameters<ParameterSpec>(describeDenoiser(network)), randomKey(0));
 * const [folder, info] = [memoryFolder(), { network, nimg: 1000, sigmaRel: 0.1, classNames: null }];
 * await storeSnapshot(folder.file("network-snapshot-0000001-0.100.safetensors"), info, new Map(Object.entries(weights)), "F32");
 * const [averages, validator] = [await StoredAverages.open(folder), new Validator(network, await getDevice("wasm"), 1)];
 * const images = { images: new Float32Array(16), labels: null };
 * const [found] = await averageErrors(averages, validator, images, [0.1], { sigmas: [0.5] });
 * console.log(found?.sigmaRel, found?.error); // 0.1 0.274
 * averages.dispose();
 * validator.dispose();
 * ```
 */
export async function averageErrors(
  averages: StoredAverages,
  validator: Validator,
  images: HostBatch,
  sigmaRels: readonly number[],
  { sigmas, nimg, onProgress, onError, signal }: AverageErrorOptions,
): Promise<readonly AverageError[]> {
  const results: AverageError[] = [];
  for (const [place, sigmaRel] of sigmaRels.entries()) {
    const weights = await averages.average(sigmaRel, nimg, signal);
    const tell = (done: number, total: number): void => onProgress?.(place * total + done, sigmaRels.length * total);
    const levels = await validator.measure(weights, images, sigmas, tell, signal);
    const error = levels.reduce((sum, level) => sum + level.error, 0) / levels.length;
    const result = { sigmaRel, error, levels };
    results.push(result);
    onError?.(result);
  }
  return results;
}
