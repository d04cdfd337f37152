import { EvenkeelError, type Shape } from "../../engine/index.ts";
import type { SeenLabels } from "../data/index.ts";
import type { Denoiser } from "../network/index.ts";
import type { GuidanceInterval, Guide } from "./guidance.ts";
import { ImageSampler, type ImageStep } from "./imageSampler.ts";
import { drawClasses, imageKeys } from "./imageStreams.ts";
import type { Solver } from "./samplers.ts";
import { type ScheduleOptions, sigmaSteps } from "./schedule.ts";
import type { ChurnOptions } from "./stepLevels.ts";

/** What an image is to show: a class from 0 to labelDim - 1, a label vector of labelDim numbers, or null for nothing (all zero). */
export type ImageLabel = number | readonly number[] | null;

/** What to sample, with which network and solver; see `generateImages`. */
export type GenerateOptions = ScheduleOptions &
  ChurnOptions & {
    /** The network; sampling is done on its device. */
    readonly denoiser: Denoiser;
    /** Shape of one image: [C, H, W]. */
    readonly imageShape: Shape;
    /** Number of classes, or length of the label vectors. Default 0: the network takes no labels. */
    readonly labelDim?: number;
    /** One image for each. */
    readonly seeds: readonly number[];
    /** The label of every image, or a function of its seed and its place among the seeds. Default: drawn by the seed. */
    readonly labelOf?: ImageLabel | ((seed: number, place: number) => ImageLabel);
    /** What is drawn by the seed. Default (or null): any class. A network whose labels are real numbers knows no classes. */
    readonly drawFrom?: SeenLabels | null;
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
    /**
     * Told after every step; `batch` counts from 0. States are of the whole batch, padding included. Whoever listens has the device
     * waited for in every step; else it is waited for at the end of a batch.
     */
    readonly onStep?: (step: ImageStep, batch: number) => void | Promise<void>;
  };

/** Images of one batch; arrays are row-major. */
export type GeneratedBatch = {
  /** [N, C, H, W], mostly within [-1, 1]. */
  readonly images: Float32Array;
  /** [N, C, H, W]. */
  readonly shape: Shape;
  /** The standard normals that the images come from, [N, C, H, W]. */
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
 * Samples one image a seed, batch by batch, on the network's device. An image depends on its seed, its label and the options alone, never on the batch it
 * is in or on the other seeds, as long as the denoiser treats images apart. Batches are filled up to a multiple of `networkBatch`
 * by repeating their last seed, so that one compiled program serves all; what is filled in isn't returned.
 * @throws EvenkeelError `value` for options out of range and for a label that the network doesn't have.
 */
export function generateImages(options: GenerateOptions): AsyncGenerator<GeneratedBatch, void, undefined> {
  const { batch = 32, networkBatch = 4, labelDim = 0, seeds } = options;
  if (!Number.isInteger(batch) || batch < 1) {
    throw new EvenkeelError("value", `generateImages: batch is ${batch}, expected a whole number of at least 1.`);
  }
  if (!Number.isInteger(labelDim) || labelDim < 0) {
    throw new EvenkeelError("value", `generateImages: labelDim is ${labelDim}, expected a whole number from 0 on.`);
  }
  if (!Number.isInteger(networkBatch) || networkBatch < 1) {
    throw new EvenkeelError(
      "value",
      `generateImages: networkBatch is ${networkBatch}, expected a whole number of at least 1.`,
    );
  }
  const shape = [networkBatch, ...options.imageShape];
  const sampler = new ImageSampler({ ...options, sigmas: sigmaSteps(options), shape, labelDim });
  const { onStep } = options;

  async function* batches(): AsyncGenerator<GeneratedBatch, void, undefined> {
    try {
      for (let begin = 0, number = 0; begin < seeds.length; begin += batch, number++) {
        const own = seeds.slice(begin, begin + batch);
        const size = Math.ceil(own.length / networkBatch) * networkBatch;
        // Not empty: begin is below the number of seeds.
        const padded = [...own, ...new Array<number>(size - own.length).fill(own.at(-1) ?? 0)];
        const chosen = await labelsOf(options, padded, begin);
        const labels = labelDim === 0 ? null : labelVectors(chosen, labelDim);
        const parts = Array.from({ length: size / networkBatch }, (_, i) => {
          const [from, to] = [i * networkBatch, (i + 1) * networkBatch];
          return {
            source: { keys: imageKeys(padded.slice(from, to)) },
            labels: labels?.slice(from * labelDim, to * labelDim) ?? null,
          };
        });
        const place = number;
        const sampled = await sampler.sample(parts, onStep === undefined ? undefined : (step) => onStep(step, place));
        const elements = own.length * options.imageShape.reduce((product, length) => product * length, 1);
        yield {
          images: firstOf(
            sampled.map(({ images }) => images),
            elements,
          ),
          shape: [own.length, ...options.imageShape],
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
    } finally {
      sampler.dispose();
    }
  }
  return batches();
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
  { labelOf, drawFrom = null, labelDim = 0, seeds: all }: GenerateOptions,
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

function labelVectors(chosen: readonly ImageLabel[], labelDim: number): Float32Array {
  const labels = new Float32Array(chosen.length * labelDim);
  for (const [i, label] of chosen.entries()) {
    if (typeof label === "number") labels[i * labelDim + label] = 1;
    else if (label !== null) labels.set(label, i * labelDim);
  }
  return labels;
}
