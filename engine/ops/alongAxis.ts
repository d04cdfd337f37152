/** Elements taken and put along one axis, by an index of the same rank: what all indexing is made of; or as a range. */
import { EvenkeelError } from "../errors.ts";
import { makeNode } from "../graph/graph.ts";
import type { ReduceOp } from "../graph/node.ts";
import { at, formatShape, type Shape } from "../graph/shape.ts";
import { Tensor } from "../graph/tensor.ts";
import { less, lessEqual, or } from "./elementwise.ts";
import { pad, slice } from "./movement.ts";

/** @internal The part of x from `start` to before `stop` along one axis. */
export function sliceAlong(x: Tensor, axis: number, start: number, stop: number, step = 1): Tensor {
  return slice(
    x,
    x.shape.map((_, i) => (i === axis ? [start, stop, step] : null)),
  );
}

/** @internal x with elements of a value before and after it along one axis. */
export function padAlong(x: Tensor, axis: number, before: number, after: number, value = 0): Tensor {
  return pad(
    x,
    x.shape.map((_, i): readonly [number, number] => (i === axis ? [before, after] : [0, 0])),
    value,
  );
}

/** @internal Element [.., k, ..] is x[.., index[.., k, ..], ..]; index sizes of 1 stand for all. What is out of range is clamped. */
export function gatherAlong(x: Tensor, index: Tensor, axis: number): Tensor {
  return new Tensor(makeNode("gather", [x.node, index.node], { axis }));
}

/** @internal Its transpose: `size` elements along the axis, folded of those values that have their index. */
export function scatterAlong(op: ReduceOp, values: Tensor, index: Tensor, axis: number, size: number): Tensor {
  return new Tensor(makeNode("scatter", [values.node, index.node], { op, axis, size }));
}

/** @internal x; a run in which any of `failed` is true ends with this message. */
export function check(x: Tensor, failed: Tensor, message: string): Tensor {
  return new Tensor(makeNode("check", [x.node, failed.node], { message }));
}

/** @internal The index; an element that is not from 0 to the size of the axis is an error when the program runs. */
export function checkIndex(operation: string, index: Tensor, shape: Shape, axis: number): Tensor {
  const size = at(shape, axis);
  return check(
    index,
    or(less(index, 0), lessEqual(size, index)),
    `${operation}: an index is out of range for axis ${axis} of ${formatShape(shape)} (0 to ${size - 1}).`,
  );
}

/** @internal An index of rank 1 as one that is the same for all other axes of a tensor of rank `rank`: its shape. */
export function alongAxisShape(length: number, axis: number, rank: number): number[] {
  return new Array<number>(rank).fill(1).with(axis, length);
}

/** @internal @throws EvenkeelError `dtype` unless the index is i32. */
export function requireIndex(operation: string, index: Tensor): void {
  if (index.dtype !== "i32") {
    throw new EvenkeelError(
      "dtype",
      `${operation}: index has dtype ${index.dtype}, expected i32. Use cast(index, "i32").`,
    );
  }
}
