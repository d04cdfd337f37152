import type { Device } from "../../engine/index.ts";
import type { NamedParameters } from "../../nn/index.ts";
import { type Denoiser, DenoiserProgram, type NetworkConfig } from "../network/index.ts";
import {
  firstChannels,
  generateImages,
  type Guide,
  type GuidanceInterval,
  imageGrid,
  type ImageLabel,
  type ImageSolver,
  type Picture,
  toPixels,
} from "../sample/index.ts";

/** Which images a grid shows: `columns` of each row's label, as `gridRows` chooses them. */
export type GridLayout = {
  readonly rows: readonly ImageLabel[];
  readonly columns: number;
  readonly steps: number;
  /** Default heun. */
  readonly solver?: ImageSolver;
  /** Each pixel becomes a square of so many. */
  readonly scale: number;
};

/** How guidance acts in a grid. */
export type GridGuidance = { readonly guides: readonly Guide[]; readonly interval?: GuidanceInterval };

/** A picture, and the seconds that sampling it took. */
export type DrawnGrid = { readonly picture: Picture; readonly seconds: number };

/**
 * Images of a grid, and evaluations of the network for each.
 * @example console.log(gridCost({ rows: [0, 1], columns: 8, steps: 16, scale: 4 })); // { images: 16, evaluations: 31 }
 */
export function gridCost({ rows, columns, steps, solver }: GridLayout): {
  readonly images: number;
  readonly evaluations: number;
} {
  return { images: rows.length * columns, evaluations: solver === "consistency" ? steps : 2 * steps - 1 };
}

/**
 * Enlarges small images, so that a person sees something.
 * @example console.log(gridScale(16), gridScale(512)); // 4 1
 */
export function gridScale(resolution: number): number {
  return Math.max(1, Math.floor(64 / resolution));
}

/** A network's answers, with new weights from time to time; compiled once for all grids of a run. */
export class GridSampler {
  readonly #network: NetworkConfig;
  readonly #device: Device;
  readonly #layout: GridLayout;
  readonly #networkBatch: number;
  #program: DenoiserProgram | undefined;

  /** @param networkBatch images at once, at most. */
  constructor(network: NetworkConfig, device: Device, layout: GridLayout, networkBatch = 24) {
    this.#networkBatch = networkBatch;
    this.#network = network;
    this.#device = device;
    this.#layout = layout;
  }

  /** The network with these weights. */
  async denoiser(weights: NamedParameters): Promise<Denoiser> {
    if (this.#program === undefined) {
      this.#program = await DenoiserProgram.create(this.#network, weights, this.#device);
    } else await this.#program.replaceWeights(weights);
    return this.#program;
  }

  /**
   * Samples the same seeds as ever with these weights and draws them as one picture.
   * @param onEvaluation told after each evaluation of the network: how many are done, and all.
   */
  async draw(
    weights: NamedParameters,
    guidance: GridGuidance = { guides: [] },
    onEvaluation?: (done: number, total: number) => void,
  ): Promise<DrawnGrid> {
    const { rows, columns, steps, scale, solver = "heun" } = this.#layout;
    const { imageChannels, imageResolution, labelDim } = this.#network.unet;
    const count = rows.length * columns;
    const denoiser = await this.denoiser(weights);
    const networkBatch = Math.min(this.#networkBatch, count);
    const images = new Float32Array(count * imageChannels * imageResolution ** 2);
    const start = performance.now();
    let offset = 0;
    for await (const batch of generateImages({
      denoiser,
      imageShape: [imageChannels, imageResolution, imageResolution],
      labelDim,
      seeds: Array.from({ length: count }, (_, i) => i),
      labelOf: (seed) => rows[Math.floor(seed / columns)] ?? null,
      batch: networkBatch,
      networkBatch,
      steps,
      solver,
      guides: guidance.guides,
      ...(guidance.interval === undefined ? {} : { interval: guidance.interval }),
      ...(onEvaluation === undefined ? {} : { onEvaluation }),
    })) {
      images.set(batch.images, offset);
      offset += batch.images.length;
    }
    const seconds = (performance.now() - start) / 1000;
    const channels = imageChannels === 1 ? 1 : 3;
    const shape = [count, channels, imageResolution, imageResolution];
    const picture = imageGrid(
      toPixels(firstChannels(images, [count, imageChannels, imageResolution, imageResolution], channels)),
      shape,
      {
        columns,
        scale,
      },
    );
    return { seconds, picture };
  }

  /** Frees what it has on the device; made anew when it is next needed. */
  dispose(): void {
    this.#program?.dispose();
    this.#program = undefined;
  }
}
