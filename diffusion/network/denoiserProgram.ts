import {
  compile,
  type Compiled,
  createState,
  type Device,
  EvenkeelError,
  foldIn,
  type State,
  tensor,
  type Tensor,
} from "../../engine/index.ts";
import { type StoredTensor, toFloat32 } from "../../engine/io/index.ts";
import {
  checkParameters,
  flattenParameters,
  type NamedParameters,
  nestParameters,
  type ParameterSpec,
} from "../../nn/index.ts";
import type { NetworkConfig } from "./config.ts";
import { denoise, type DenoiserParameters, describeDenoiser } from "./denoiser.ts";
import { imageDropout } from "./imageDropout.ts";
import { compileEvaluation, type Denoiser, type Evaluated, type EvaluationStep } from "./evaluation.ts";

/** A network's arrays on the host, by the reference's names. */
export type StoredWeights = ReadonlyMap<string, StoredTensor>;

/**
 * Stored weights as float32 tensors. Loss head included if it is there.
 * @throws EvenkeelError `shape` that names the array if they are not those of the configuration.
 * @example
 * ```ts
 * import { diskFile } from "evenkeel/engine/io/node";
 * import { readStoredSnapshot } from "evenkeel/diffusion/snapshot";
 *
 * const file = diskFile("network-snapshot-0008388-0.100.pkl");
 * const { network, weights } = await readStoredSnapshot(file);
 * const tensors = tensorsOfWeights(network, weights, file.path);
 * console.log(tensors["unet.out_gain"]?.shape); // []
 * ```
 */
export function tensorsOfWeights(
  config: NetworkConfig,
  weights: StoredWeights,
  source: string,
): Record<string, Tensor> {
  const specs = flattenParameters<ParameterSpec>(describeDenoiser(config));
  checkParameters(specs, weights, source);
  return Object.fromEntries(
    Object.keys(specs).map((name) => {
      const stored = weights.get(name) as StoredTensor;
      return [name, tensor(toFloat32(stored), { shape: stored.shape })];
    }),
  );
}

/**
 * A denoiser with its weights on a device, for sampling: compiled once for a batch size. Owns device memory: dispose of it.
 */
export class DenoiserProgram implements Denoiser {
  /** The network. */
  readonly config: NetworkConfig;
  /** Where it computes. */
  readonly device: Device;
  readonly #weights: State<NamedParameters>;
  readonly #run: Compiled<[NamedParameters, Tensor, Tensor, Tensor | null], Tensor>;
  readonly #evaluate: EvaluationStep;
  readonly #dropping: EvaluationStep[] = [];

  private constructor(config: NetworkConfig, device: Device, weights: State<NamedParameters>) {
    this.config = config;
    this.device = device;
    this.#weights = weights;
    const formulaOf =
      (named: NamedParameters) =>
      (x: Tensor, sigma: Tensor, labels: Tensor | null): Tensor =>
        denoise(config, nestParameters<DenoiserParameters>(named), x, sigma, labels);
    this.#run = compile(
      (named: NamedParameters, x: Tensor, sigma: Tensor, labels: Tensor | null) => formulaOf(named)(x, sigma, labels),
      { device },
    );
    this.#evaluate = compileEvaluation(formulaOf, device);
  }

  /** @param weights every array of the network, as `tensorsOfWeights` or `Trainer.readNetwork` give them. */
  static async create(config: NetworkConfig, weights: NamedParameters, device: Device): Promise<DenoiserProgram> {
    return new DenoiserProgram(config, device, await createState<NamedParameters>(weights, device));
  }

  /** Degrees of freedom of the noise that it removes; 0: Gaussian noise. */
  get noiseDf(): number {
    return this.config.noiseDf;
  }

  /** Puts other weights in the place of the present ones; nothing is compiled again. */
  async replaceWeights(weights: NamedParameters): Promise<void> {
    await this.#weights.write(weights);
  }

  /**
   * D(x; sigma) of images x [N, C, H, W], with one noise level for each, and label vectors [N, labelDim] or null for none.
   * @throws EvenkeelError `shape` if x, sigma and labels don't fit each other.
   */
  async denoise(x: Float32Array, sigma: ArrayLike<number>, labels: Float32Array | null): Promise<Float32Array> {
    const { imageChannels, imageResolution, labelDim } = this.config.unet;
    const count = sigma.length;
    const expected = [count * imageChannels * imageResolution ** 2, count * labelDim];
    if (x.length !== expected[0] || (labels !== null && labelDim > 0 && labels.length !== expected[1])) {
      throw new EvenkeelError(
        "shape",
        `DenoiserProgram.denoise: x has ${x.length} numbers and the labels ${labels?.length ?? 0}; for ${count} images they need ` +
          `${expected.join(" and ")}.`,
      );
    }
    const shape = [count, imageChannels, imageResolution, imageResolution];
    const denoised = await this.#run(
      this.#weights,
      tensor(x, { shape }),
      tensor(Float32Array.from(sigma)),
      labels === null || labelDim === 0 ? null : tensor(labels, { shape: [count, labelDim] }),
    );
    return await denoised.data("f32");
  }

  /**
   * Denoises what a state on the device asks about; the answer stays there.
   * @throws EvenkeelError `shape` if its images aren't of the network's size; `device` if it is elsewhere
   */
  async evaluate(state: State<Evaluated>, isLabelled = true): Promise<void> {
    await this.#evaluateBy(this.#evaluate, state, isLabelled);
  }

  /**
   * The same network with dropout on: a worse version of itself, to guide it (In-situ autoguidance, arXiv 2510.17136). What is dropped
   * follows from the evaluation's keys and the layer. It has the weights of this one, and ends with it.
   * @param probability of dropping an activation where the network has dropout. Default: the one it was trained with. 0 drops nothing.
   * @throws EvenkeelError `value` if it isn't from 0 to below 1, or if none is given and the network was trained without dropout.
   */
  withDropout(probability?: number): Denoiser {
    const { unet } = this.config;
    if (probability === undefined && unet.dropout === 0) {
      throw new EvenkeelError(
        "value",
        "dropout: the network was trained without dropout, so that there is no probability to take from it. Give one, such as 0.1.",
      );
    }
    const dropout = probability ?? unet.dropout;
    if (!(dropout >= 0 && dropout < 1)) {
      throw new EvenkeelError("value", `dropout: the probability ${dropout} is not a number from 0 to below 1.`);
    }
    const config = { ...this.config, unet: { ...unet, dropout } };
    const step = compileEvaluation(
      (named: NamedParameters) => (x, sigma, labels, keys) => {
        if (keys === null) {
          throw new EvenkeelError(
            "value",
            "dropout: the state has no keys to draw from. Sample images by their seeds, not from given noise.",
          );
        }
        const parameters = nestParameters<DenoiserParameters>(named);
        return denoise(
          config,
          parameters,
          x,
          sigma,
          labels,
          imageDropout((layer) => foldIn(keys, layer)),
        );
      },
      this.device,
    );
    this.#dropping.push(step);
    return {
      device: this.device,
      hasDropout: true,
      evaluate: (state, isLabelled = true) => this.#evaluateBy(step, state, isLabelled),
    };
  }

  async #evaluateBy(step: EvaluationStep, state: State<Evaluated>, isLabelled: boolean): Promise<void> {
    const { imageChannels, imageResolution } = this.config.unet;
    const { shape } = state.template.evaluation.x;
    if (shape.slice(1).join() !== [imageChannels, imageResolution, imageResolution].join()) {
      throw new EvenkeelError(
        "shape",
        `DenoiserProgram.evaluate: the images are [${shape.join(", ")}], the network's [N, ${imageChannels}, ${imageResolution}, ` +
          `${imageResolution}]. Networks that are sampled together must make images of the same size and channels.`,
      );
    }
    await step.advance(state, this.#weights, isLabelled);
  }

  /** Frees the device's memory. Idempotent. */
  dispose(): void {
    this.#run.dispose();
    for (const step of [this.#evaluate, ...this.#dropping]) step.dispose();
    this.#weights.dispose();
  }
}
