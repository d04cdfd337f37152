import { type DeviceChoice, EvenkeelError, type Shape } from "../../engine/index.ts";
import { type Denoiser, inBatchesOf, stateDenoiser } from "./denoiser.ts";
import { type GuidanceInterval, type Guide, guidedDenoiser } from "./guidance.ts";
import { createImageStreams, type ImageStreams } from "./imageStreams.ts";
import { type ChurnOptions, runSampler, type SamplerStep, type Solver } from "./samplers.ts";
import { type ScheduleOptions, sigmaSteps } from "./schedule.ts";

/** The class of an image: a number from 0 to labelDim - 1, or null for none (all labels zero). */
export type ImageClass = number | null;

export type GenerateOptions = ScheduleOptions &
  ChurnOptions & {
    readonly denoise: Denoiser;
    /** Shape of one image: [C, H, W]. */
    readonly imageShape: Shape;
    /** Number of classes. Default 0: the network takes no labels. */
    readonly labelDim?: number;
    /** One image for each. */
    readonly seeds: readonly number[];
    /** The class of every image, or a function of the seed. Default: drawn by the seed. */
    readonly classOf?: ImageClass | ((seed: number) => ImageClass);
    /** Images at a time, as they are handed out. Default 32. */
    readonly batch?: number;
    /**
     * Images at a time in the network, always exactly so many: with the same number an image has the same bits whatever the
     * `batch`; with another it may differ by rounding. Larger numbers suit devices that are large. Default 4.
     */
    readonly networkBatch?: number;
    /** Default: no guidance. */
    readonly guides?: readonly Guide[];
    /** Noise levels (lo, hi] of guidance. Default: all. */
    readonly interval?: GuidanceInterval;
    /** Default heun. */
    readonly solver?: Solver;
    /** Where the noise is drawn. Default: the engine's. */
    readonly device?: DeviceChoice;
    /** Told after every step; `batch` counts from 0. States are of the whole batch, padding included. */
    readonly onStep?: (step: SamplerStep, batch: number) => void | Promise<void>;
  };

/** Images of one batch; arrays are row-major. */
export type GeneratedBatch = {
  /** [N, C, H, W], mostly within [-1, 1]. */
  readonly images: Float32Array;
  /** [N, C, H, W]. */
  readonly shape: Shape;
  /** The standard normals that the images come from, [N, C, H, W]. */
  readonly noise: Float32Array;
  /** Class labels [N, labelDim], one-hot; null if the network takes none. */
  readonly labels: Float32Array | null;
  /** Class of each image; null where it has none. */
  readonly classes: readonly ImageClass[];
  readonly seeds: readonly number[];
  /** Position of each image in the list of seeds. */
  readonly indices: readonly number[];
};

/**
 * Samples one image a seed, batch by batch. An image depends on its seed, its class and the options alone, never on the batch it
 * is in or on the other seeds, as long as the denoiser treats images apart. Batches are filled up to a multiple of `networkBatch`
 * by repeating their last seed, so that one compiled program serves all; what is filled in isn't returned.
 * @throws EvenkeelError `value` for options out of range and for a class that the network doesn't have.
 */
export function generateImages(options: GenerateOptions): AsyncGenerator<GeneratedBatch, void, undefined> {
  const { batch = 32, networkBatch = 4, labelDim = 0, seeds } = options;
  if (!Number.isInteger(batch) || batch < 1) {
    throw new EvenkeelError("value", `generateImages: batch is ${batch}, expected a whole number of at least 1.`);
  }
  if (!Number.isInteger(labelDim) || labelDim < 0) {
    throw new EvenkeelError("value", `generateImages: labelDim is ${labelDim}, expected a whole number from 0 on.`);
  }
  const sigmas = sigmaSteps(options);
  const denoise = guidedDenoiser(
    inBatchesOf(networkBatch, options.denoise),
    (options.guides ?? []).map((guide) => ({ ...guide, denoise: inBatchesOf(networkBatch, guide.denoise) })),
    options.interval,
  );

  async function* batches(): AsyncGenerator<GeneratedBatch, void, undefined> {
    const streams = createImageStreams(options.imageShape, options.device);
    try {
      for (let begin = 0, number = 0; begin < seeds.length; begin += batch, number++) {
        const own = seeds.slice(begin, begin + batch);
        const size = Math.ceil(own.length / networkBatch) * networkBatch;
        // Not empty: begin is below the number of seeds.
        const padded = [...own, ...new Array<number>(size - own.length).fill(own.at(-1) ?? 0)];
        const classes = await classesOf(options.classOf, padded, labelDim, streams);
        const labels = labelDim === 0 ? null : oneHot(classes, labelDim);
        const noise = await streams.noise(padded);
        const shape = [size, ...options.imageShape];
        const { onStep } = options;
        const images = await runSampler(stateDenoiser(denoise, labels, shape), noise, sigmas, {
          ...options,
          churnNoise: (step) => streams.churnNoise(padded, step),
          onStep: (step) => onStep?.(step, number),
        });
        const elements = (images.length / size) * own.length;
        yield {
          images: Float32Array.from(images.subarray(0, elements)),
          shape: [own.length, ...options.imageShape],
          noise: noise.slice(0, elements),
          labels: labels?.slice(0, own.length * labelDim) ?? null,
          classes: classes.slice(0, own.length),
          seeds: own,
          indices: own.map((_, i) => begin + i),
        };
      }
    } finally {
      streams.dispose();
    }
  }
  return batches();
}

async function classesOf(
  classOf: GenerateOptions["classOf"],
  seeds: readonly number[],
  labelDim: number,
  streams: ImageStreams,
): Promise<readonly ImageClass[]> {
  if (classOf === undefined) {
    return labelDim === 0 ? seeds.map(() => null) : streams.classes(seeds, labelDim);
  }
  return seeds.map((seed) => {
    const chosen = typeof classOf === "function" ? classOf(seed) : classOf;
    if (chosen !== null && !(Number.isInteger(chosen) && chosen >= 0 && chosen < labelDim)) {
      const range = labelDim === 0 ? "the network has no classes" : `expected a whole number from 0 to ${labelDim - 1}`;
      throw new EvenkeelError("value", `generateImages: class ${chosen} of seed ${seed}: ${range}.`);
    }
    return chosen;
  });
}

function oneHot(classes: readonly ImageClass[], labelDim: number): Float32Array {
  const labels = new Float32Array(classes.length * labelDim);
  for (const [i, chosen] of classes.entries()) if (chosen !== null) labels[i * labelDim + chosen] = 1;
  return labels;
}
