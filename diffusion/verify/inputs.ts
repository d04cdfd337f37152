/** What networks are given, in the forms in which the published networks take it. */
import { EvenkeelError, tensor, type Tensor } from "../../engine/index.ts";
import { type StoredTensor, toFloat32 } from "../../engine/io/index.ts";
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
 * all; or whole numbers, one an image, which are classes. Null without labels, and if the network takes none.
 * @throws EvenkeelError `file` for labels that make no such rows.
 */
export function labelsFor(fixture: Fixture, group: string, labelDim: number, count: number): Tensor | null {
  const name = [`${group}class_labels`, "class_labels"].find((each) => fixture.has(each));
  if (labelDim === 0 || name === undefined) return null;
  return tensor(labelRows(fixture.stored(name), labelDim, count), { shape: [count, labelDim] });
}

/** Whether a stored number can't be but whole. */
function isWhole(dtype: StoredTensor["dtype"]): boolean {
  return /^[IU]\d/.test(dtype);
}

/**
 * Label vectors of `count` images, row after row: from rows of any shape, one row for all, or whole numbers, one an image, which are classes.
 * @throws EvenkeelError `file` for labels that make no such rows.
 */
export function labelRows(stored: StoredTensor, labelDim: number, count: number): Float32Array {
  const values = toFloat32(stored);
  if (values.length === count * labelDim) return values;
  const rows = new Float32Array(count * labelDim);
  if (values.length === labelDim) {
    for (let i = 0; i < count; i++) rows.set(values, i * labelDim);
    return rows;
  }
  if (values.length === count && isWhole(stored.dtype)) {
    for (const [i, label] of values.entries()) {
      if (!(label >= 0 && label < labelDim)) {
        throw new EvenkeelError("file", `tensor ${stored.name} has the class ${label}, expected 0 to ${labelDim - 1}.`);
      }
      rows[i * labelDim + label] = 1;
    }
    return rows;
  }
  throw new EvenkeelError(
    "file",
    `tensor ${stored.name} is [${stored.shape.join(", ")}], expected [${count}, ${labelDim}], one row for all images, or a class for each.`,
  );
}
