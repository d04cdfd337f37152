import { type ImageDataset, wholeBatch } from "../../diffusion/data/index.ts";
import type { NetworkConfig } from "../../diffusion/network/index.ts";
import { Validator } from "../../diffusion/training/index.ts";
import type { Device } from "../../engine/index.ts";
import type { NamedParameters } from "../../nn/index.ts";

/** Images that go through the network at once. */
const batch = 32;

/** The weighted error of weights on held-out images, at noise levels that are the same for all runs; the program is compiled once. */
export class HeldOutMeter {
  readonly #validator: Validator;
  readonly #images: ImageDataset;
  readonly #sigmas: readonly number[];

  constructor(network: NetworkConfig, device: Device, images: ImageDataset, sigmas: readonly number[]) {
    this.#validator = new Validator(network, device, Math.min(batch, images.count));
    this.#images = images;
    this.#sigmas = sigmas;
  }

  /** Level by level, and their mean. */
  async measure(weights: NamedParameters): Promise<{
    readonly error: number;
    readonly levels: readonly { readonly sigma: number; readonly error: number }[];
  }> {
    const levels = await this.#validator.measure(weights, wholeBatch(this.#images), this.#sigmas);
    return { error: levels.reduce((sum, { error }) => sum + error, 0) / levels.length, levels };
  }

  dispose(): void {
    this.#validator.dispose();
  }
}
