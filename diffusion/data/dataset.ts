import { EvenkeelError } from "../../engine/index.ts";

/** Images in memory, as 8-bit pixels, with their labels. */
export type ImageDataset = {
  /** What messages call it, e.g. its path. */
  readonly name: string;
  readonly count: number;
  /** 1 grey, 3 colour. */
  readonly channels: 1 | 3;
  /** Height and width. */
  readonly resolution: number;
  /** [count, channels, resolution, resolution]. */
  readonly pixels: Uint8Array;
  readonly labels: DatasetLabels | null;
  readonly classNames: readonly string[] | null;
};

/**
 * Latents of images in memory, as an encoder gives them: of each element a mean and a standard deviation, from which every use draws
 * anew.
 */
export type LatentDataset = Omit<ImageDataset, "channels" | "pixels"> & {
  /** Of a latent: half of what is stored. */
  readonly channels: number;
  /** Means, then deviations: [count, 2 channels, resolution, resolution]. */
  readonly meanAndDeviation: Float32Array;
};

/** What a network can be trained on. */
export type TrainingDataset = ImageDataset | LatentDataset;

/**
 * Whether images are kept as the means and deviations of latents, of which each is drawn anew.
 * @example
 * ```ts
 * const dataset = createDataset({ name: "two", channels: 1, resolution: 2, pixels: Uint8Array.of(0, 1, 2, 3, 4, 5, 6, 7), labels: [0, 1], classNames: ["a", "b"] });
 * console.log(isLatent(dataset)); // false
 * ```
 */
export function isLatent(dataset: TrainingDataset): dataset is LatentDataset {
  return "meanAndDeviation" in dataset;
}

/** A class number for each image, or a vector of numbers. */
export type DatasetLabels =
  | { readonly kind: "classes"; readonly labelDim: number; readonly values: Int32Array }
  | { readonly kind: "vectors"; readonly labelDim: number; readonly values: Float32Array };

/** Labels as they are read: a class or a vector for each image. */
export type LabelList = ArrayLike<number> | readonly (readonly number[])[];

/**
 * Images of each class that has some.
 * @example
 * ```ts
 * const dataset = createDataset({ name: "two", channels: 1, resolution: 2, pixels: Uint8Array.of(0, 1, 2, 3, 4, 5, 6, 7), labels: [0, 1], classNames: ["a", "b"] });
 * console.log([...classCounts(dataset)]); // [ [ 0, 1 ], [ 1, 1 ] ]
 * ```
 */
export function classCounts({ labels }: Pick<ImageDataset, "labels">): ReadonlyMap<number, number> {
  const counts = new Map<number, number>();
  if (labels?.kind === "classes") for (const label of labels.values) counts.set(label, (counts.get(label) ?? 0) + 1);
  return counts;
}

/**
 * Length of the label vectors; 0 without labels.
 * @example
 * ```ts
 * const dataset = createDataset({ name: "two", channels: 1, resolution: 2, pixels: Uint8Array.of(0, 1, 2, 3, 4, 5, 6, 7), labels: [0, 1], classNames: ["a", "b"] });
 * console.log(labelDimOf(dataset)); // 2
 * ```
 */
export function labelDimOf(dataset: Pick<ImageDataset, "labels">): number {
  return dataset.labels?.labelDim ?? 0;
}

/**
 * A data set from arrays, checked.
 * @throws EvenkeelError `value` for sizes that don't fit together, and for labels as `checkedLabels`.
 * @example
 * ```ts
 * const dataset = createDataset({ name: "two", channels: 1, resolution: 2, pixels: Uint8Array.of(0, 1, 2, 3, 4, 5, 6, 7), labels: [0, 1], classNames: ["a", "b"] });
 * console.log(dataset.count, dataset.resolution); // 2 2
 * ```
 */
export function createDataset(parts: {
  readonly name: string;
  readonly channels: number;
  readonly resolution: number;
  readonly pixels: Uint8Array;
  readonly labels?: LabelList | null | undefined;
  readonly classNames?: readonly string[] | null | undefined;
}): ImageDataset {
  const { name, channels, resolution, pixels, labels = null, classNames = null } = parts;
  const fail = (problem: string): never => {
    throw new EvenkeelError("value", `data set ${name}: ${problem}.`);
  };
  if (channels !== 1 && channels !== 3)
    return fail(`images have ${channels} channels, expected 1 (grey) or 3 (colour)`);
  if (!Number.isInteger(resolution) || resolution < 1) fail(`the resolution is ${resolution}, expected 1 or more`);
  const count = pixels.length / (channels * resolution ** 2);
  if (!Number.isInteger(count))
    fail(`${pixels.length} pixels are not images of ${channels}x${resolution}x${resolution}`);
  if (count === 0) fail("there are no images");
  return {
    name,
    count,
    channels,
    resolution,
    pixels,
    labels: checkedLabels({ name, count, labels, classNames }),
    classNames,
  };
}

/**
 * Labels as a data set has them. The number of classes is the largest class plus one, or that of `classNames`.
 * @throws EvenkeelError `value` unless each image has one, for classes below 0 or unnamed, for label vectors that aren't finite.
 * @example
 * ```ts
 * const labels = checkedLabels({ name: "three", count: 3, labels: [0, 2, 0], classNames: null });
 * console.log(labels?.kind, labels?.labelDim); // classes 3
 * ```
 */
export function checkedLabels({
  name,
  count,
  labels,
  classNames,
}: {
  /** What messages call the data set. */
  readonly name: string;
  readonly count: number;
  readonly labels: LabelList | null;
  readonly classNames: readonly string[] | null;
}): DatasetLabels | null {
  const fail = (problem: string): never => {
    throw new EvenkeelError("value", `data set ${name}: ${problem}.`);
  };
  const seen = new Set<string>();
  const repeated = classNames?.find((each) => seen.size === seen.add(each).size);
  if (repeated !== undefined) fail(`two classes have the same name, ${JSON.stringify(repeated)}`);
  if (labels === null) return null;
  if (labels.length !== count) fail(`${count} images have ${labels.length} labels`);
  return checkLabels(labels, classNames, fail);
}

function checkLabels(
  labels: LabelList,
  classNames: readonly string[] | null,
  fail: (problem: string) => never,
): DatasetLabels {
  const first = labels[0];
  if (typeof first === "number") {
    const values = new Int32Array(labels.length);
    let highest = 0;
    for (let i = 0; i < labels.length; i++) {
      const label = labels[i];
      if (typeof label !== "number") return fail(mixedLabels);
      if (!Number.isInteger(label) || label < 0 || label >= 2 ** 24)
        fail(`a label is ${label}, expected a class from 0 to ${2 ** 24 - 1}; ${noClass}`);
      values[i] = label;
      highest = Math.max(highest, label);
    }
    if (classNames !== null && highest >= classNames.length) {
      fail(`there is a class ${highest}, but only ${classNames.length} classes have names`);
    }
    return { kind: "classes", labelDim: classNames?.length ?? highest + 1, values };
  }
  const labelDim = first?.length ?? 0;
  if (labelDim === 0) fail("label vectors are empty");
  const values = new Float32Array(labels.length * labelDim);
  for (let i = 0; i < labels.length; i++) {
    const vector = labels[i];
    if (vector === undefined || typeof vector === "number") return fail(mixedLabels);
    if (vector.length !== labelDim) fail("label vectors differ in length");
    values.set(vector, i * labelDim);
  }
  if (values.some((value) => !Number.isFinite(value)))
    fail("a label vector holds a number that isn't finite, or is above what float32 holds");
  return { kind: "vectors", labelDim, values };
}

const noClass = "a number that is no class is written as a list of one: [0.5] in dataset.json, [N, 1] in an array";
const mixedLabels = "some labels are numbers and some are vectors";

/** @throws EvenkeelError `range` unless the data set has an image of this number. */
export function checkedIndex({ name, count }: Pick<ImageDataset, "name" | "count">, index: number | undefined): number {
  if (index !== undefined && Number.isInteger(index) && index >= 0 && index < count) return index;
  throw new EvenkeelError("range", `data set ${name}: there is no image ${index} among ${count}.`);
}

/**
 * The images with these numbers, as a data set. @throws EvenkeelError `range` for a number that the data set doesn't have.
 * @example
 * ```ts
 * const dataset = createDataset({ name: "two", channels: 1, resolution: 2, pixels: Uint8Array.of(0, 1, 2, 3, 4, 5, 6, 7), labels: [0, 1], classNames: ["a", "b"] });
 * console.log(selectImages(dataset, [1]).count); // 1
 * ```
 */
export function selectImages<D extends TrainingDataset>(dataset: D, indices: ArrayLike<number>): D {
  const rows = Array.from(indices, (index) => checkedIndex(dataset, index));
  const { labels } = dataset;
  const width = labels?.kind === "vectors" ? labels.labelDim : 1;
  const area = dataset.resolution ** 2;
  const selected = isLatent(dataset)
    ? { meanAndDeviation: takeRows(dataset.meanAndDeviation, 2 * dataset.channels * area, rows) }
    : { pixels: takeRows(dataset.pixels, dataset.channels * area, rows) };
  return {
    ...dataset,
    ...selected,
    count: rows.length,
    labels: labels === null ? null : ({ ...labels, values: takeRows(labels.values, width, rows) } as DatasetLabels),
  };
}

type Rows = Uint8Array | Float32Array | Int32Array;

function takeRows<T extends Rows>(values: T, length: number, rows: readonly number[]): T {
  // What files are read into is a Buffer, whose own slice shares its memory: rows would be written over the set they are taken from.
  const kind = [Uint8Array, Float32Array, Int32Array].find((each) => values instanceof each) ?? Uint8Array;
  const taken = new kind(rows.length * length) as T;
  for (const [i, row] of rows.entries()) taken.set(values.subarray(row * length, (row + 1) * length), i * length);
  return taken;
}
