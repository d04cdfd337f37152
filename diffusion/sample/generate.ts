import { EvenkeelError, type Shape } from "../../engine/index.ts";
import type { SeenLabels } from "../data/index.ts";
import type { Denoiser } from "../network/index.ts";
import { type ConsistencyOptions, consistencySigmas } from "./consistencySteps.ts";
import type { GuidanceInterval, Guide } from "./guidance.ts";
import { ImageSampler, type ImageStep, type SamplingWatch } from "./imageSampler.ts";
import { drawClasses, imageKeys } from "./imageStreams.ts";
import type { ImageSolver } from "./samplers.ts";
import { type ScheduleOptions, sigmaSteps } from "./schedule.ts";
import type { ChurnOptions } from "./stepLevels.ts";

/** What an image is to show: a class from 0 to labelDim - 1, a label vector of labelDim numbers, or null for nothing (all zero). */
export type ImageLabel = number | readonly number[] | null;

/** A network and how it is sampled: all that programs are compiled for. */
export type GeneratorOptions = ScheduleOptions &
  ConsistencyOptions &
  ChurnOptions & {
    /** The network; sampling is done on its device. */
    readonly denoiser: Denoiser;
    /** Shape of one image: [C, H, W]. */
    readonly imageShape: Shape;
    /** Number of classes, or length of the label vectors. Default 0: the network takes no labels. */
    readonly labelDim?: number;
    /**
     * Images at a time in the network, always exactly so many: with the same number an image has the same bits whatever the
     * `batch`; with another it may differ by rounding. Larger numbers suit devices that are large. Default 4.
     */
    readonly networkBatch?: number;
    /** Default: no guidance. */
    readonly guides?: readonly Guide[];
    /** Noise levels (lo, hi] of guidance. Default: all. */
    readonly interval?: GuidanceInterval;
    /** Default heun. `consistency` is for networks tuned to it: it has the steps of `renoise`, and neither churn nor a schedule. */
    readonly solver?: ImageSolver;
  };

/** Which images are sampled. */
export type ImageRequest = SamplingWatch & {
  /** One image for each. */
  readonly seeds: readonly number[];
  /** The label of every image, or a function of its seed and its place among the seeds. Default: drawn by the seed. */
  readonly labelOf?: ImageLabel | ((seed: number, place: number) => ImageLabel);
  /** What is drawn by the seed. Default (or null): any class. A network whose labels are real numbers knows no classes. */
  readonly drawFrom?: SeenLabels | null;
  /** Images at a time, as they are handed out. Default 32. */
  readonly batch?: number;
  /**
   * Told after every step; `batch` counts from 0. States are of the whole batch, padding included. Whoever listens has the device
   * waited for in every step; else it is waited for at the end of a batch.
   */
  readonly onStep?: (step: ImageStep, batch: number) => void | Promise<void>;
};

/** What to sample, with which network and solver; see `generateImages`. */
export type GenerateOptions = GeneratorOptions & ImageRequest;

/** Images of one batch; arrays are row-major. */
export type GeneratedBatch = {
  /** [N, C, H, W], mostly within [-1, 1]. */
  readonly images: Float32Array;
  /** [N, C, H, W]. */
  readonly shape: Shape;
  /** The noise that the images come from, [N, C, H, W]: standard normals, but of networks for Student-t noise. */
  readonly noise: Float32Array;
  /** Label vectors [N, labelDim], one-hot for classes; null if the network takes none. */
  readonly labels: Float32Array | null;
  /** What was chosen or drawn for each image. */
  readonly chosen: readonly ImageLabel[];
  readonly seeds: readonly number[];
  /** Position of each image in the list of seeds. */
  readonly indices: readonly number[];
};

/**
 * Samples images of a network again and again: its programs are compiled once, so that other seeds, labels or weights
 * (`DenoiserProgram.replaceWeights`) cost their evaluations alone. Owns device memory: dispose of it. One call at a time.
 */
export class ImageGenerator {
  readonly #options: GeneratorOptions;
  readonly #sampler: ImageSampler;

  /** @throws EvenkeelError `value` for options out of range, `device` for guides on another device than the network. */
  constructor(options: GeneratorOptions) {
    const { networkBatch = 4, labelDim = 0 } = options;
    if (!Number.isInteger(labelDim) || labelDim < 0) {
      throw new EvenkeelError("value", `generateImages: labelDim is ${labelDim}, expected a whole number from 0 on.`);
    }
    requireCount("networkBatch", networkBatch);
    this.#options = options;
    const shape = [networkBatch, ...options.imageShape];
    const sigmas = options.solver === "consistency" ? consistencySigmas(options) : sigmaSteps(options);
    this.#sampler = new ImageSampler({ ...options, sigmas, shape, labelDim });
  }

  /** Shape of one image: [C, H, W]. */
  get imageShape(): Shape {
    return this.#options.imageShape;
  }

  /** Evaluations of the network for so many seeds in batches of so many. */
  evaluations(seeds: number, batch = 32): number {
    const { networkBatch = 4 } = this.#options;
    const parts = Math.floor(seeds / batch) * Math.ceil(batch / networkBatch);
    return this.#sampler.evaluations * (parts + Math.ceil((seeds % batch) / networkBatch));
  }

  /** As `generateImages`. @throws EvenkeelError `value` for a batch out of range and for a label that the network doesn't have; `aborted`. */
  generate(request: ImageRequest): AsyncGenerator<GeneratedBatch, void, undefined> {
    requireCount("batch", request.batch ?? 32);
    return this.#batches(request);
  }

  async *#batches(request: ImageRequest): AsyncGenerator<GeneratedBatch, void, undefined> {
    const { networkBatch = 4, labelDim = 0, imageShape } = this.#options;
    const { batch = 32, seeds, onStep, onEvaluation, signal } = request;
    const total = this.evaluations(seeds.length, batch);
    let before = 0;
    for (let begin = 0, number = 0; begin < seeds.length; begin += batch, number++) {
      const own = seeds.slice(begin, begin + batch);
      const size = Math.ceil(own.length / networkBatch) * networkBatch;
      // Not empty: begin is below the number of seeds.
      const padded = [...own, ...new Array<number>(size - own.length).fill(own.at(-1) ?? 0)];
      const chosen = await labelsOf(request, labelDim, padded, begin);
      const labels = labelDim === 0 ? null : labelVectors(chosen, labelDim);
      const parts = Array.from({ length: size / networkBatch }, (_, i) => {
        const [from, to] = [i * networkBatch, (i + 1) * networkBatch];
        return {
          source: { keys: imageKeys(padded.slice(from, to)) },
          labels: labels?.slice(from * labelDim, to * labelDim) ?? null,
        };
      });
      const [place, done] = [number, before];
      const sampled = await this.#sampler.sample(
        parts,
        onStep === undefined ? undefined : (step) => onStep(step, place),
        { signal, onEvaluation: (evaluated) => onEvaluation?.(done + evaluated, total) },
      );
      before += parts.length * this.#sampler.evaluations;
      const elements = own.length * imageShape.reduce((product, length) => product * length, 1);
      yield {
        images: firstOf(
          sampled.map(({ images }) => images),
          elements,
        ),
        shape: [own.length, ...imageShape],
        noise: firstOf(
          sampled.map(({ noise }) => noise),
          elements,
        ),
        labels: labels?.slice(0, own.length * labelDim) ?? null,
        chosen: chosen.slice(0, own.length),
        seeds: own,
        indices: own.map((_, i) => begin + i),
      };
    }
  }

  /** Frees what it has on the device; the networks are their owner's. Idempotent. */
  dispose(): void {
    this.#sampler.dispose();
  }
}

function requireCount(name: string, value: number): void {
  if (Number.isInteger(value) && value >= 1) return;
  throw new EvenkeelError("value", `generateImages: ${name} is ${value}, expected a whole number of at least 1.`);
}

/**
 * Samples one image a seed, batch by batch, on the network's device. An image depends on its seed, its label and the options alone, never on the batch it
 * is in or on the other seeds, as long as the denoiser treats images apart. Batches are filled up to a multiple of `networkBatch`
 * by repeating their last seed, so that one compiled program serves all; what is filled in isn't returned.
 * @throws EvenkeelError `value` for options out of range and for a label that the network doesn't have; `aborted`.
 * @example
 * ```ts
 * import { DenoiserProgram, networkConfig } from "evenkeel/diffusion";
 * import { describeDenoiser } from "evenkeel/diffusion/network";
 * import { getDevice, randomKey } from "evenkeel/engine";
 * import { flattenParameters, initializeParameters, type ParameterSpec } from "evenkeel/nn";
 *
 * // A network that wasn't trained.
 * const network = networkConfig({ unet: { imageResolution: 8, imageChannels: 1, labelDim: 0, modelChannels: 4, channelMult: [1], numBlocks: 1 } });
 * const weights = initializeParameters(flattenParameters<ParameterSpec>(describeDenoiser(network)), randomKey(0));
 * const denoiser = await DenoiserProgram.create(network, weights, await getDevice("wasm"));
 * for await (const { seeds, shape } of generateImages({ denoiser, imageShape: [1, 8, 8], seeds: [3, 4], steps: 2 })) {
 *   console.log(seeds, shape); // [ 3, 4 ] [ 2, 1, 8, 8 ]
 * }
 * denoiser.dispose();
 * ```
 */
export function generateImages(options: GenerateOptions): AsyncGenerator<GeneratedBatch, void, undefined> {
  const generator = new ImageGenerator(options);
  const batches = generator.generate(options);
  async function* disposing(): AsyncGenerator<GeneratedBatch, void, undefined> {
    try {
      yield* batches;
    } finally {
      generator.dispose();
    }
  }
  return disposing();
}

/** The first elements of arrays that follow each other. */
function firstOf(parts: readonly Float32Array[], elements: number): Float32Array {
  const all = new Float32Array(elements);
  let offset = 0;
  for (const part of parts) {
    const taken = part.subarray(0, elements - offset);
    all.set(taken, offset);
    offset += taken.length;
  }
  return all;
}

async function labelsOf(
  { labelOf, drawFrom = null, seeds: all }: ImageRequest,
  labelDim: number,
  seeds: readonly number[],
  firstPlace: number,
): Promise<readonly ImageLabel[]> {
  if (labelOf === undefined) {
    if (labelDim === 0) return seeds.map(() => null);
    const drawn = await drawClasses(seeds, drawFrom?.values.length ?? labelDim);
    return drawFrom === null ? drawn : drawn.map((index) => checkLabel(drawFrom.values[index] ?? null, labelDim));
  }
  return seeds.map((seed, i) => {
    const place = Math.min(firstPlace + i, all.length - 1);
    return checkLabel(typeof labelOf === "function" ? labelOf(seed, place) : labelOf, labelDim);
  });
}

function checkLabel(label: ImageLabel, labelDim: number): ImageLabel {
  const fail = (what: string, expected: string): never => {
    throw new EvenkeelError(
      "value",
      `generateImages: ${what}: ${labelDim === 0 ? "the network takes no labels" : expected}.`,
    );
  };
  if (typeof label === "number" && !(Number.isInteger(label) && label >= 0 && label < labelDim)) {
    fail(`class ${label}`, `there are classes from 0 to ${labelDim - 1}`);
  }
  if (label !== null && typeof label !== "number") {
    if (label.length !== labelDim || labelDim === 0) {
      fail(`a label of ${label.length} numbers`, `labels are vectors of ${labelDim}`);
    }
    const bad = label.find((value) => !Number.isFinite(Math.fround(value)));
    if (bad !== undefined) fail(`a label with the number ${bad}`, "finite numbers are expected");
  }
  return label;
}

/**
 * What networks are told of labels that they have: vectors [N, labelDim], one-hot for classes, zero for null.
 * @example console.log(labelVectors([1], 3)); // Float32Array(3) [ 0, 1, 0 ]
 */
export function labelVectors(chosen: readonly ImageLabel[], labelDim: number): Float32Array {
  const labels = new Float32Array(chosen.length * labelDim);
  for (const [i, label] of chosen.entries()) {
    if (typeof label === "number") labels[i * labelDim + label] = 1;
    else if (label !== null) labels.set(label, i * labelDim);
  }
  return labels;
}
