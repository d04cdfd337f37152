/** What networks are given, in the forms in which the published networks take it. */
import { EvenkeelError, type StoredTensor, type Tensor, tensor, toFloat32 } from "../../engine/index.ts";
import type { Fixture } from "./fixture.ts";

/**
 * One number for each of `count` images, of a tensor of any shape with as many elements, or with one for all: [count].
 * @throws EvenkeelError `file` for another number of elements.
 */
export function perImage(fixture: Fixture, name: string, count: number): Tensor {
  const values = toFloat32(fixture.stored(name));
  if (values.length === count) return tensor(values, { shape: [count] });
  const [only] = values;
  if (values.length === 1 && only !== undefined) return tensor(new Float32Array(count).fill(only));
  throw new EvenkeelError("file", `tensor ${name} has ${values.length} elements, expected one, or ${count}.`);
}

/**
 * The label vectors [count, labelDim] of a group's images: the group's own `class_labels`, or the file's. Rows of any shape, or one for
 * all. Null without labels, and if the network takes none.
 * @throws EvenkeelError `file` for labels that make no such rows.
 */
export function labelsFor(fixture: Fixture, group: string, labelDim: number, count: number): Tensor | null {
  const name = [`${group}class_labels`, "class_labels"].find((each) => fixture.has(each));
  if (labelDim === 0 || name === undefined) return null;
  return tensor(labelRows(fixture.stored(name), labelDim, count), { shape: [count, labelDim] });
}

function labelRows(stored: StoredTensor, labelDim: number, count: number): Float32Array {
  const values = toFloat32(stored);
  if (values.length === count * labelDim) return values;
  const rows = new Float32Array(count * labelDim);
  if (values.length === labelDim) {
    for (let i = 0; i < count; i++) rows.set(values, i * labelDim);
    return rows;
  }
  throw new EvenkeelError(
    "file",
    `tensor ${stored.name} is [${stored.shape.join(", ")}], expected [${count}, ${labelDim}], or one row for all images.`,
  );
}
