import { EvenkeelError } from "../errors.ts";

/** Sizes of a tensor's axes, outermost first. [] is a scalar. */
export type Shape = readonly number[];

export function sizeOf(shape: Shape): number {
  let size = 1;
  for (const axis of shape) size *= axis;
  return size;
}

export function sameShape(a: Shape, b: Shape): boolean {
  // Asked of every input of every node: most often of one and the same list.
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let axis = 0; axis < a.length; axis++) if (a[axis] !== b[axis]) return false;
  return true;
}

/** `[8, 16]`, as shapes are written in every message. */
export function formatShape(shape: Shape): string {
  return `[${shape.join(", ")}]`;
}

/** Strides in elements of a row-major array. */
export function rowMajorStrides(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= at(shape, axis);
  }
  return strides;
}

/** `list[index]` where the index is known to be in range. */
export function at<T>(list: readonly T[], index: number): T {
  const value = list[index];
  if (value === undefined) throw new RangeError(`index ${index} of ${list.length}`);
  return value;
}

/** @throws EvenkeelError `shape` unless every size is a whole number of at least 0 and their product is exact. */
export function checkShape(operation: string, shape: Shape): Shape {
  // Callers may be JavaScript: the types promise nothing then.
  const sizes: unknown = shape;
  if (!Array.isArray(sizes)) {
    throw new EvenkeelError("shape", `${operation}: a shape is an array of sizes, got ${String(sizes)}.`);
  }
  for (const size of sizes as readonly unknown[]) {
    if (typeof size !== "number" || !Number.isInteger(size) || size < 0) {
      throw new EvenkeelError(
        "shape",
        `${operation}: size ${String(size)} in ${formatShape(shape)} is not a whole number of at least 0.`,
      );
    }
  }
  if (!Number.isSafeInteger(sizeOf(shape))) {
    throw new EvenkeelError("shape", `${operation}: ${formatShape(shape)} has more elements than can be counted.`);
  }
  return [...shape];
}

/** An axis number counted from the front; negative ones count from the back. @throws EvenkeelError `axis`. */
export function normalizeAxis(operation: string, axis: number, rank: number): number {
  if (!Number.isInteger(axis) || axis < -rank || axis >= rank) {
    throw new EvenkeelError(
      "axis",
      rank === 0
        ? `${operation}: axis ${axis} of a scalar: it has no axes.`
        : `${operation}: axis ${axis} is out of range for rank ${rank} (${-rank} to ${rank - 1}).`,
    );
  }
  return axis < 0 ? axis + rank : axis;
}

/** Distinct axes, ascending; undefined means all. @throws EvenkeelError `axis`. */
export function normalizeAxes(operation: string, axes: number | readonly number[] | undefined, rank: number): number[] {
  if (axes === undefined) return Array.from({ length: rank }, (_, axis) => axis);
  const list = (typeof axes === "number" ? [axes] : axes).map((axis) => normalizeAxis(operation, axis, rank));
  if (new Set(list).size !== list.length) {
    throw new EvenkeelError("axis", `${operation}: axis given twice: ${formatShape(list)}.`);
  }
  return list.sort((a, b) => a - b);
}

/** NumPy's broadcast of two shapes. @throws EvenkeelError `shape`. */
export function broadcastShapes(operation: string, a: Shape, b: Shape): number[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, axis) => {
    const left = a[axis - rank + a.length] ?? 1;
    const right = b[axis - rank + b.length] ?? 1;
    if (left === right || right === 1) return left;
    if (left === 1) return right;
    throw new EvenkeelError(
      "shape",
      `${operation}: shapes ${formatShape(a)} and ${formatShape(b)} don't broadcast: ${left} against ${right} at axis ${axis - rank}. ` +
        "Sizes must be equal or 1, aligned from the last axis.",
    );
  });
}
