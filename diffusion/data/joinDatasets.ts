import { EvenkeelError } from "../../engine/index.ts";
import { createDataset, type ImageDataset } from "./dataset.ts";

/**
 * Several data sets as one, in their order. Classes are matched by name if all have names, else by number.
 * @throws EvenkeelError `value` if they differ in size, channels or kind of labels.
 * @example
 * ```ts
 * const one = { channels: 1, resolution: 1, pixels: Uint8Array.of(0, 1), labels: [0, 1] };
 * const [some, others] = [["cat", "dog"], ["dog", "fox"]].map((classNames) => createDataset({ ...one, name: "", classNames }));
 * if (some !== undefined && others !== undefined) console.log(joinDatasets([some, others], "both").classNames); // [ 'cat', 'dog', 'fox' ]
 * ```
 */
export function joinDatasets(parts: readonly ImageDataset[], name: string): ImageDataset {
  const fail = (problem: string): never => {
    throw new EvenkeelError("value", `can't join data sets: ${problem}.`);
  };
  const [first] = parts;
  if (first === undefined) return fail("there are none");
  if (parts.length === 1) return { ...first, name };
  const { channels, resolution } = first;
  for (const part of parts) {
    if (part.channels !== channels) {
      fail(`${first.name} has ${channels} channels, ${part.name} has ${part.channels}; --greyscale makes all grey`);
    }
    if (part.resolution !== resolution) fail(`${part.name} is ${part.resolution} wide, ${first.name} ${resolution}`);
  }
  const kinds = new Set(parts.map(({ labels }) => labels?.kind ?? "none"));
  if (kinds.size > 1 || kinds.has("vectors")) {
    fail(`the labels are ${[...kinds].join(" and ")}; only classes, or no labels at all, go together`);
  }
  const isNamed = parts.every(({ classNames }) => classNames !== null);
  const classNames = isNamed ? [...new Set(parts.flatMap((part) => part.classNames ?? []))].sort() : null;
  const labels = kinds.has("none") ? null : parts.flatMap((part) => classesOf(part, classNames));
  const pixels = new Uint8Array(parts.reduce((sum, part) => sum + part.pixels.length, 0));
  let offset = 0;
  for (const part of parts) {
    pixels.set(part.pixels, offset);
    offset += part.pixels.length;
  }
  return createDataset({ name, channels, resolution, pixels, labels, classNames });
}

function classesOf({ labels, classNames }: ImageDataset, joined: readonly string[] | null): number[] {
  const numbers = (classNames ?? []).map((each) => joined?.indexOf(each) ?? 0);
  return Array.from(labels?.values ?? [], (label) => (joined === null ? label : (numbers[label] ?? 0)));
}
