import {
  compile,
  type Compiled,
  createState,
  type Device,
  foldIn,
  mean,
  randomKey,
  randomNormal,
  reshape,
  type State,
  type Tensor,
  tensor,
  throwIfAborted,
  add,
  multiply,
} from "../../engine/index.ts";
import { type NamedParameters, nestParameters } from "../../nn/index.ts";
import {
  denoise,
  type DenoiserParameters,
  type NetworkConfig,
  type NoiseDistribution,
  studentNoise,
  weightedError,
} from "../network/index.ts";
import type { HostBatch } from "../data/index.ts";

/** The mean weighted error of held-out images at one noise level: 1 is an untrained network. */
export type ValidationError = { readonly sigma: number; readonly error: number };

/**
 * Noise levels at which to validate: `count` quantiles of the training distribution, from its lowest hundredth to its highest.
 * @example console.log(validationSigmas({ mean: 0, standardDeviation: 1 }, 3)); // [ 0.0977, 1.0000, 10.237 ]
 */
export function validationSigmas({ mean, standardDeviation }: NoiseDistribution, count = 8): number[] {
  const reach = 2.326;
  return Array.from({ length: count }, (_, i) => {
    const z = count === 1 ? 0 : -reach + (2 * reach * i) / (count - 1);
    return Math.exp(mean + z * standardDeviation);
  });
}

/**
 * Measures the weighted denoising error on held-out images, always with the same noise, so that values can be compared over a run. The
 * weight is that of target v for networks of every target, so that these can be compared, too.
 */
export class Validator {
  readonly #config: NetworkConfig;
  readonly #batch: number;
  readonly #device: Device;
  /** Those measured last, on the device. */
  #weights: State<NamedParameters> | undefined;
  readonly #run: Compiled<[NamedParameters, Tensor, Tensor | null, Tensor, Tensor], Tensor>;

  /** @param batch images that go through the network at once. */
  constructor(config: NetworkConfig, device: Device, batch: number) {
    this.#config = config;
    this.#batch = batch;
    this.#device = device;
    // A key of its own: training never draws from it.
    const key = foldIn(randomKey(0), 0x7a11da7e);
    this.#run = compile(
      (named: NamedParameters, images: Tensor, labels: Tensor | null, sigma: Tensor, positions: Tensor) => {
        const keys = foldIn(key, positions);
        const noise = studentNoise(randomNormal(keys, images.shape.slice(1)), foldIn(keys, 0), config.noiseDf);
        const noisy = add(images, multiply(reshape(sigma, [batch, 1, 1, 1]), noise));
        const network = nestParameters<DenoiserParameters>(named);
        const denoised = denoise(config, network, noisy, sigma, labels);
        // By EDM's weight whatever the target, so that networks of all targets can be compared.
        const { sigmaData, noiseDf } = config;
        const error = weightedError(images, denoised, sigma, sigmaData, { noiseDf });
        return mean(reshape(error, [batch, -1]), { axes: 1 });
      },
      { device },
    );
  }

  /**
   * The error at each noise level over all images of `data`; the last batch is filled up with images that don't count.
   * @param onImages told how many images are done, over all noise levels, and all.
   * @throws EvenkeelError `aborted` between two batches.
   */
  async measure(
    weights: NamedParameters,
    data: HostBatch,
    sigmas: readonly number[],
    onImages?: (done: number, total: number) => void,
    signal?: AbortSignal,
  ): Promise<ValidationError[]> {
    const { imageChannels, imageResolution, labelDim } = this.#config.unet;
    const pixels = imageChannels * imageResolution ** 2;
    const count = data.images.length / pixels;
    const batch = this.#batch;
    const results: ValidationError[] = [];
    if (this.#weights === undefined) this.#weights = await createState<NamedParameters>(weights, this.#device);
    else await this.#weights.write(weights);
    for (const [level, sigma] of sigmas.entries()) {
      let sum = 0;
      for (let from = 0; from < count; from += batch) {
        throwIfAborted(signal, "validating: the signal given to it is aborted.");
        const images = new Float32Array(batch * pixels);
        images.set(data.images.subarray(from * pixels, (from + batch) * pixels));
        const labels = new Float32Array(batch * labelDim);
        if (data.labels !== null) labels.set(data.labels.subarray(from * labelDim, (from + batch) * labelDim));
        const errors = await this.#run(
          this.#weights,
          tensor(images, { shape: [batch, imageChannels, imageResolution, imageResolution] }),
          labelDim === 0 ? null : tensor(labels, { shape: [batch, labelDim] }),
          tensor(new Float32Array(batch).fill(sigma)),
          tensor(Uint32Array.from({ length: batch }, (_, i) => level * count + from + i)),
        );
        const values = await errors.data("f32");
        for (const value of values.subarray(0, Math.min(batch, count - from))) sum += value;
        onImages?.(level * count + Math.min(from + batch, count), sigmas.length * count);
      }
      results.push({ sigma, error: sum / count });
    }
    return results;
  }

  /** Frees what it has on the device. */
  dispose(): void {
    this.#run.dispose();
    this.#weights?.dispose();
    this.#weights = undefined;
  }
}
