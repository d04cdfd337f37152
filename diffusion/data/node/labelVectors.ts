import { extname } from "node:path";
import * as z from "zod";
import { EvenkeelError, messageOf } from "../../../engine/index.ts";
import { readWhole } from "./imageSource.ts";
import { numbersOfNpy, parseNpy } from "../files/npyFile.ts";

const vector = z.array(z.number());
const vectors = z.union([z.array(vector), vector.transform((one) => [one])]);

/**
 * Label vectors to sample at: an .npy array [N, labelDim] or [labelDim], or JSON such as `[[0.5, 1], [0, 2]]`.
 * @throws EvenkeelError `file` for other files, `value` for vectors of another length or numbers that aren't finite.
 * @example
 * ```ts
 * import { writeFile } from "node:fs/promises";
 *
 * await writeFile("labels.json", "[[0.5, 1], [0, 2]]");
 * console.log(await readLabelVectors("labels.json", 2)); // [ [ 0.5, 1 ], [ 0, 2 ] ]
 * ```
 */
export async function readLabelVectors(path: string, labelDim: number): Promise<readonly (readonly number[])[]> {
  const bytes = await readWhole(path);
  const found = extname(path).toLowerCase() === ".npy" ? vectorsOfNpy(bytes, path) : vectorsOfJson(bytes, path);
  const fail = (problem: string): never => {
    throw new EvenkeelError("value", `${path}: ${problem}.`);
  };
  if (found.length === 0) fail("holds no labels");
  for (const [i, each] of found.entries()) {
    if (each.length !== labelDim) fail(`label ${i} has ${each.length} numbers, the network's have ${labelDim}`);
    if (each.some((value) => !Number.isFinite(Math.fround(value)))) fail(`label ${i} has a number that isn't finite`);
  }
  return found;
}

function vectorsOfNpy(bytes: Uint8Array, path: string): readonly (readonly number[])[] {
  const array = parseNpy(bytes, path);
  const { shape } = array;
  if (shape.length !== 1 && shape.length !== 2) {
    throw new EvenkeelError("file", `${path} is [${shape.join(", ")}], expected [N, labels] or [labels].`);
  }
  const numbers = numbersOfNpy(array, path);
  const width = shape.at(-1) ?? 0;
  const count = width === 0 ? 0 : numbers.length / width;
  return Array.from({ length: count }, (_, i) => numbers.slice(i * width, (i + 1) * width));
}

function vectorsOfJson(bytes: Uint8Array, path: string): readonly (readonly number[])[] {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new EvenkeelError("file", `${path} is neither .npy nor JSON: ${messageOf(cause)}`, { cause });
  }
  const checked = vectors.safeParse(json);
  if (checked.success) return checked.data;
  throw new EvenkeelError("file", `${path} holds no label vectors; expected JSON such as [[0.5, 1], [0, 2]].`);
}
