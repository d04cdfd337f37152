import { eventLoopTurn, printable } from "../../engine/index.ts";
import { classCounts, type DatasetLabels, type ImageDataset } from "./dataset.ts";
import { splitWords } from "./splitWords.ts";

/** Names that a line lists. */
const shownNames = 6;

/** Labels of larger magnitude are told: networks are made for numbers about 1. */
const largeLabel = 10;

/**
 * What looks wrong about the labels of a data set, a line each, with a count and names.
 * @example
 * ```ts
 * const labels = checkedLabels({ name: "three", count: 3, labels: [0, 2, 0], classNames: null });
 * console.log(labelNotes({ labels, classNames: null, count: 3 })); // [ '1 of 3 classes have no images: 1' ]
 * ```
 */
export function labelNotes({
  labels,
  classNames,
  count,
}: Pick<ImageDataset, "labels" | "classNames" | "count">): readonly string[] {
  if (labels === null) return [];
  return labels.kind === "classes" ? classNotes(labels, classNames, count) : vectorNotes(labels, count);
}

function classNotes(labels: DatasetLabels, names: readonly string[] | null, count: number): readonly string[] {
  const notes: string[] = [];
  const { labelDim } = labels;
  const counts = classCounts({ labels });
  const nameOf = (label: number): string => printable(names?.[label] ?? String(label));
  const singles = [...counts.values()].filter((own) => own === 1).length;
  if (counts.size > 20 && singles > counts.size / 2) {
    notes.push(`${singles} of ${counts.size} classes have a single image each: labels are identifiers?`);
  }
  const empty = labelDim - counts.size;
  if (counts.size * 10 < labelDim && labelDim > 100) {
    notes.push(
      `${empty} of ${labelDim} classes have no images: labels are identifiers? Number the ${counts.size} classes that have some from 0 on`,
    );
  } else if (empty > 0) {
    const without = Array.from({ length: labelDim }, (_, label) => label).filter((label) => !counts.has(label));
    notes.push(`${empty} of ${labelDim} classes have no images: ${listed(without.map(nameOf))}`);
  }
  let [largest, most] = [0, 0];
  for (const [label, own] of counts) if (own > most) [largest, most] = [label, own];
  const share = most / count;
  if (counts.size === 1) notes.push(`all ${count} images are of one class, ${nameOf(largest)}: the labels say nothing`);
  else if (share > (counts.size === 2 ? 0.8 : 0.5)) {
    notes.push(
      `${most} of ${count} images are of one class, ${nameOf(largest)} (${Math.min(99, Math.round(100 * share))}%)`,
    );
  }
  return [...notes, ...(names === null ? [] : nameNotes(names))];
}

function nameNotes(names: readonly string[]): readonly string[] {
  const notes: string[] = [];
  const shown = names.map(printable);
  if (names.length > 1 && names.every((name) => /^\d+$/.test(name))) {
    const odd = names.findIndex((name, label) => Number(name) !== label);
    const order = odd < 0 ? "" : `; in label order, class ${odd} is the one called ${shown[odd] ?? ""}`;
    notes.push(
      `${names.length} classes are called by numbers (${listed(shown)})${order}. If the folders only part the images, train with --cond false`,
    );
  }
  const kinds = shown.filter((name) =>
    /^(images?|imgs?|masks?|labels?|annotations?|segmentations?|gt|groundtruth)$/i.test(name),
  );
  if (kinds.length > 0) notes.push(`${kinds.length} classes are called as kinds of files: ${listed(kinds)}`);
  const parts = shown.filter(
    (name) => splitWords.test(name.toLowerCase()) || /^(train|test|val)[A-Z\d_. -]/.test(name),
  );
  if (parts.length > 0) notes.push(`${parts.length} classes are called as parts of a data set: ${listed(parts)}`);
  const byLetters = new Map<string, string[]>();
  for (const name of shown) {
    const key = name.trim().toLowerCase();
    byLetters.set(key, [...(byLetters.get(key) ?? []), name]);
  }
  const alike = [...byLetters.values()].filter((each) => each.length > 1);
  if (alike.length > 0)
    notes.push(
      `${alike.length} classes are there under several names: ${listed(alike.map((each) => each.join(" = ")))}`,
    );
  return notes;
}

function vectorNotes({ labelDim, values }: DatasetLabels, count: number): readonly string[] {
  const notes: string[] = [];
  const ranges = Array.from({ length: labelDim }, () => ({ low: Infinity, high: -Infinity }));
  let [isWhole, ones] = [true, 0];
  for (let image = 0; image < count; image++) {
    let [sum, isBinary] = [0, true];
    ranges.forEach((range, i) => {
      const value = values[image * labelDim + i] ?? 0;
      range.low = Math.min(range.low, value);
      range.high = Math.max(range.high, value);
      isWhole &&= Number.isInteger(value) && value >= 0;
      isBinary &&= value === 0 || value === 1;
      sum += value;
    });
    if (isBinary && sum === 1) ones++;
  }
  const rangeText = ({ low, high }: { readonly low: number; readonly high: number }, i: number): string =>
    `number ${i} from ${Number(low.toPrecision(4))} to ${Number(high.toPrecision(4))}`;
  const large = ranges.flatMap((range, i) =>
    Math.max(-range.low, range.high) > largeLabel ? [rangeText(range, i)] : [],
  );
  if (large.length > 0) {
    notes.push(
      `${large.length} of ${labelDim} numbers of the labels are larger than ${largeLabel}: ${listed(large)}. Bring them to about -1 to 1`,
    );
  }
  if (labelDim === 1) {
    const range = ranges.map(rangeText).join();
    const isClass = isWhole ? "; class numbers would be written as 3, not as [3]" : "";
    notes.push(`1 number is the label of all ${count} images, a condition and no class (${range})${isClass}`);
  } else if (ones === count) {
    notes.push(`${count} of ${count} labels are one-hot vectors: classes by number or name could be asked for`);
  }
  const constant = ranges.flatMap(({ low, high }, i) =>
    low === high ? [`number ${i} is ${Number(low.toPrecision(4))}`] : [],
  );
  if (constant.length > 0 && count > 1) {
    notes.push(
      `${constant.length} of ${labelDim} numbers of the labels are the same for all images: ${listed(constant)}`,
    );
  }
  return notes;
}

/**
 * What looks wrong about the pixels of a data set: that none is brighter than 1 of 255, as those of masks and of numbers from 0 to 1.
 * @example console.log(pixelNotes({ count: 1, pixels: Uint8Array.of(0, 1, 1, 0) }).length); // 1
 */
export function pixelNotes({ count, pixels }: Pick<ImageDataset, "count" | "pixels">): readonly string[] {
  if (pixels.some((value) => value > 1)) return [];
  return [
    `all ${count} images are black to the eye: no pixel is above 1 of 255. Bytes that are 0 and 1 are to be saved times 255`,
  ];
}

/**
 * Images with the same pixels as an earlier one, in a line; null if there are none. They count as from 0, in the set's order.
 * @param onImages told how many were compared.
 * @example
 * ```ts
 * const pixels = Uint8Array.of(0, 1, 2, 3, 0, 1, 2, 3);
 * const dataset = createDataset({ name: "two", channels: 1, resolution: 2, pixels, labels: null, classNames: null });
 * console.log(await duplicateNote(dataset)); // 1 of 2 images are the same as an earlier one: 1 = 0
 * ```
 */
export async function duplicateNote(
  dataset: ImageDataset,
  onImages?: (done: number, total: number) => void,
): Promise<string | null> {
  const { count, pixels, labels } = dataset;
  const size = pixels.length / count;
  const first = new Map<number, number[]>();
  const pairs: string[] = [];
  let [copies, otherwise] = [0, 0];
  for (let image = 0; image < count; image++) {
    const own = pixels.subarray(image * size, (image + 1) * size);
    const hash = hashOf(own);
    const alike = first.get(hash) ?? [];
    const earlier = alike.find((each) => isEqual(own, pixels.subarray(each * size, (each + 1) * size)));
    if (earlier === undefined) first.set(hash, [...alike, image]);
    else {
      copies++;
      if (pairs.length < shownNames) pairs.push(`${image} = ${earlier}`);
      if (labels !== null && labelOf(labels, image) !== labelOf(labels, earlier)) otherwise++;
    }
    onImages?.(image + 1, count);
    await eventLoopTurn();
  }
  if (copies === 0) return null;
  const other = otherwise === 0 ? "" : `, ${otherwise} of them with another label`;
  return `${copies} of ${count} images are the same as an earlier one${other}: ${pairs.join(", ")}${copies > pairs.length ? ", ..." : ""}`;
}

function labelOf({ kind, labelDim, values }: DatasetLabels, image: number): string {
  return kind === "classes" ? String(values[image]) : values.subarray(image * labelDim, (image + 1) * labelDim).join();
}

/** A 32-bit hash (FNV-1a); images of the same are compared. */
function hashOf(bytes: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash;
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.every((byte, i) => byte === b[i]);
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, shownNames).map((name) => (name.length > 60 ? `${name.slice(0, 60)}...` : name));
  return `${shown.join(", ")}${names.length > shown.length ? ", ..." : ""}`;
}
