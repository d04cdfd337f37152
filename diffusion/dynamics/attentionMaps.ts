/** Where a network looks: the weights of its attention. */
import { compile, type Compiled, type Device, EvenkeelError, type Tensor, tensor } from "../../engine/index.ts";
import { type NamedParameters, nestParameters } from "../../nn/index.ts";
import { denoise, type DenoiserParameters, type NetworkConfig } from "../network/index.ts";

/** The attention of one layer. */
export type AttentionMap = {
  /** The block that attends, as arrays are named: `enc.8x8_block0`. */
  readonly layer: string;
  readonly heads: number;
  /** Pixels of the layer's features, which are its queries and its keys, row by row. */
  readonly size: readonly [height: number, width: number];
  /** Of each query to all keys, [N, heads, queries, keys], with queries and keys height * width: a row adds up to 1. */
  readonly weights: Float32Array;
};

/** What attention layers show in one run of a network. */
type Taps = { readonly maps: readonly Tensor[]; readonly denoised: Tensor };

/** Reads a network's attention; compiled once for each number of images. Owns device memory: dispose of it. */
export class AttentionProbe {
  readonly #network: NetworkConfig;
  readonly #run: Compiled<[NamedParameters, Tensor, Tensor, Tensor | null], Taps>;
  /** Layers in the order of their maps: known when the network has been traced. */
  #layers: readonly { readonly layer: string; readonly size: readonly [number, number] }[] = [];

  constructor(network: NetworkConfig, device: Device) {
    this.#network = network;
    this.#run = compile(
      (named: NamedParameters, x: Tensor, sigma: Tensor, labels: Tensor | null): Taps => {
        const maps: Tensor[] = [];
        const layers: { readonly layer: string; readonly size: readonly [number, number] }[] = [];
        let size: readonly [number, number] = [0, 0];
        const tap = (name: string, value: Tensor): void => {
          const [, layer, what] = /^(.*)\.(attn_qkv|attn\.weights)$/.exec(name) ?? [];
          // The features of queries, keys and values come first: they tell how the pixels lie.
          if (what === "attn_qkv") size = [value.shape[2] ?? 0, value.shape[3] ?? 0];
          if (what !== "attn.weights" || layer === undefined) return;
          layers.push({ layer, size });
          maps.push(value);
        };
        const denoised = denoise(network, nestParameters<DenoiserParameters>(named), x, sigma, labels, { tap });
        this.#layers = layers;
        return { maps, denoised };
      },
      { device },
    );
  }

  /**
   * The attention of each layer that has some, in the network's order.
   * @param weights every array of the network.
   * @param x noisy images [N, C, H, W]: a step's state (`ImageStep`), or images with noise added (`addNoise`).
   * @param sigma the noise level of all.
   * @param labels label vectors [N, labelDim], or null for none.
   * @throws EvenkeelError `shape` if x or the labels don't fit the network.
   */
  async read(
    weights: NamedParameters,
    x: Float32Array,
    sigma: number,
    labels: Float32Array | null = null,
  ): Promise<readonly AttentionMap[]> {
    const { imageChannels, imageResolution, labelDim } = this.#network.unet;
    const count = x.length / (imageChannels * imageResolution ** 2);
    const fits = labels === null || labelDim === 0 || labels.length === count * labelDim;
    if (!Number.isInteger(count) || count === 0 || !fits) {
      throw new EvenkeelError(
        "shape",
        `attention: x has ${x.length} numbers and the labels ${labels?.length ?? 0}; images are [N, ${imageChannels}, ` +
          `${imageResolution}, ${imageResolution}], with label vectors [N, ${labelDim}] or null.`,
      );
    }
    const { maps } = await this.#run(
      weights,
      tensor(x, { shape: [count, imageChannels, imageResolution, imageResolution] }),
      tensor(new Float32Array(count).fill(sigma)),
      labels === null || labelDim === 0 ? null : tensor(labels, { shape: [count, labelDim] }),
    );
    const read: AttentionMap[] = [];
    for (const [i, map] of maps.entries()) {
      // Traced together with the maps.
      const known = this.#layers[i];
      if (known === undefined) throw new Error(`map ${i} of attention has no layer`);
      read.push({ ...known, heads: map.shape[1] ?? 0, weights: await map.data("f32") });
    }
    return read;
  }

  /** Frees what it has on the device. Idempotent. */
  dispose(): void {
    this.#run.dispose();
  }
}

/**
 * The attention of a network to noisy images [N, C, H, W] at one noise level; see `AttentionProbe`, which can be asked again.
 * @example
 * ```ts
 * import { networkConfig } from "evenkeel/diffusion";
 * import { describeDenoiser } from "evenkeel/diffusion/network";
 * import { getDevice, randomKey } from "evenkeel/engine";
 * import { flattenParameters, initializeParameters, type ParameterSpec } from "evenkeel/nn";
 *
 * const unet = { imageResolution: 8, imageChannels: 1, labelDim: 0, modelChannels: 4, channelMult: [1, 2], numBlocks: 1, channelsPerHead: 4 };
 * const network = networkConfig({ unet: { ...unet, attnResolutions: [4] } });
 * const weights = initializeParameters(flattenParameters<ParameterSpec>(describeDenoiser(network)), randomKey(0));
 * const [map] = await attentionMaps(network, weights, new Float32Array(64), 1, await getDevice("wasm"));
 * // Of each of 16 pixels to each, by two heads.
 * console.log(map?.heads, map?.weights.length); // 2 512
 * ```
 */
export async function attentionMaps(
  network: NetworkConfig,
  weights: NamedParameters,
  x: Float32Array,
  sigma: number,
  device: Device,
  labels: Float32Array | null = null,
): Promise<readonly AttentionMap[]> {
  const probe = new AttentionProbe(network, device);
  try {
    return await probe.read(weights, x, sigma, labels);
  } finally {
    probe.dispose();
  }
}
