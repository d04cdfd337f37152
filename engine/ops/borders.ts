/** Borders that repeat elements of x. They are joined from slices, so that their derivatives are sums of slices. */
import { EvenkeelError } from "../errors.ts";
import { at, formatShape } from "../graph/shape.ts";
import type { Tensor } from "../graph/tensor.ts";
import { sliceAlong } from "./alongAxis.ts";
import { broadcastTo, concat, flip } from "./movement.ts";

/** `[before, after]` elements around each axis. */
export type BorderWidths = readonly (readonly [number, number])[];

/**
 * A border that mirrors x at its first and last elements, which aren't repeated: [1, 2, 3] with 2 on either side is [3, 2, 1, 2, 3, 2, 1].
 * Wider ones go on back and forth; an axis of size 1 is repeated. NumPy's and PyTorch's "reflect".
 * @throws EvenkeelError `shape` unless there are widths for each axis and elements to repeat, `range` for negative widths
 * @example console.log(await padReflect(tensor([1, 2, 3]), [[2, 1]]).array()); // [ 3, 2, 1, 2, 3, 2 ]
 */
export function padReflect(x: Tensor, widths: BorderWidths): Tensor {
  return bordered("padReflect", x, widths, (part, axis, width, side) => {
    const size = at(part.shape, axis);
    if (size === 1) return [repeated(part, axis, 0, width)];
    // What lies next to x first: mirrored, then as it is, and so on.
    const pieces: Tensor[] = [];
    for (let left = width, turned = true; left > 0; left -= size - 1, turned = !turned) {
      const count = Math.min(left, size - 1);
      const isLow = (side === "before") === turned;
      const piece = isLow ? sliceAlong(part, axis, 1, 1 + count) : sliceAlong(part, axis, size - 1 - count, size - 1);
      pieces.push(turned ? flip(piece, axis) : piece);
    }
    return side === "before" ? pieces.reverse() : pieces;
  });
}

/**
 * A border that repeats the first and the last element: [1, 2, 3] with 2 on either side is [1, 1, 1, 2, 3, 3, 3]. NumPy's "edge", PyTorch's
 * "replicate".
 * @throws EvenkeelError as `padReflect`
 * @example console.log(await padEdge(tensor([1, 2, 3]), [[2, 1]]).array()); // [ 1, 1, 1, 2, 3, 3 ]
 */
export function padEdge(x: Tensor, widths: BorderWidths): Tensor {
  return bordered("padEdge", x, widths, (part, axis, width, side) => [
    repeated(part, axis, side === "before" ? 0 : at(part.shape, axis) - 1, width),
  ]);
}

/**
 * A border that goes on as if x were repeated: [1, 2, 3] with 2 on either side is [2, 3, 1, 2, 3, 1, 2]. NumPy's "wrap", PyTorch's "circular".
 * @throws EvenkeelError as `padReflect`
 * @example console.log(await padWrap(tensor([1, 2, 3]), [[2, 1]]).array()); // [ 2, 3, 1, 2, 3, 1 ]
 */
export function padWrap(x: Tensor, widths: BorderWidths): Tensor {
  return bordered("padWrap", x, widths, (part, axis, width, side) => {
    const size = at(part.shape, axis);
    const [whole, rest] = [new Array<Tensor>(Math.floor(width / size)).fill(part), width % size];
    return side === "before"
      ? [sliceAlong(part, axis, size - rest, size), ...whole]
      : [...whole, sliceAlong(part, axis, 0, rest)];
  });
}

/** `width` times the element of an axis. */
const repeated = (x: Tensor, axis: number, element: number, width: number): Tensor =>
  broadcastTo(
    sliceAlong(x, axis, element, element + 1),
    x.shape.map((size, a) => (a === axis ? width : size)),
  );

/** x with a border along one axis after the other. `border`: what lies on a side, in order. */
function bordered(
  operation: string,
  x: Tensor,
  widths: BorderWidths,
  border: (x: Tensor, axis: number, width: number, side: "before" | "after") => readonly Tensor[],
): Tensor {
  if (widths.length !== x.rank) {
    throw new EvenkeelError(
      "shape",
      `${operation}: ${widths.length} widths for ${formatShape(x.shape)} of rank ${x.rank}. Give [before, after] for each axis.`,
    );
  }
  if (widths.some((pair) => pair.some((width) => !Number.isInteger(width) || width < 0))) {
    throw new EvenkeelError(
      "range",
      `${operation}: widths ${JSON.stringify(widths)} must be whole numbers of at least 0.`,
    );
  }
  return widths.reduce((part, [before, after], axis) => {
    if (before === 0 && after === 0) return part;
    if (part.shape[axis] === 0) {
      throw new EvenkeelError(
        "shape",
        `${operation}: axis ${axis} of ${formatShape(x.shape)} is empty: there is nothing to repeat.`,
      );
    }
    const side = (width: number, name: "before" | "after"): readonly Tensor[] =>
      width === 0 ? [] : border(part, axis, width, name).filter(({ shape }) => shape[axis] !== 0);
    return concat([...side(before, "before"), part, ...side(after, "after")], axis);
  }, x);
}
