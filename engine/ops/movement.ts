/** Operations that move or repeat elements and compute nothing. Most become index arithmetic and cost no copy. */
import { EvenkeelError } from "../errors.ts";
import { checkElement } from "../graph/dtype.ts";
import { makeNode } from "../graph/graph.ts";
import {
  at,
  broadcastShapes,
  checkShape,
  formatShape,
  normalizeAxes,
  normalizeAxis,
  sameShape,
  type Shape,
  sizeOf,
} from "../graph/shape.ts";
import { Tensor } from "../graph/tensor.ts";

/**
 * The same elements in row-major order under another shape; one size may be -1 and is worked out.
 * @example console.log(await reshape(tensor([[1, 2, 3], [4, 5, 6]]), [3, -1]).array()); // [ [ 1, 2 ], [ 3, 4 ], [ 5, 6 ] ]
 */
export function reshape(x: Tensor, shape: Shape): Tensor {
  const unknown = shape.indexOf(-1);
  let resolved = shape;
  if (unknown >= 0) {
    const known = sizeOf(shape.filter((_, axis) => axis !== unknown));
    if (known === 0 || x.size % known !== 0 || shape.lastIndexOf(-1) !== unknown) {
      throw new EvenkeelError(
        "shape",
        `reshape: can't work out -1 in ${formatShape(shape)} for ${formatShape(x.shape)} (${x.size} elements).`,
      );
    }
    resolved = shape.map((size, axis) => (axis === unknown ? x.size / known : size));
  }
  checkShape("reshape", resolved);
  if (sameShape(resolved, x.shape)) return x;
  return new Tensor(makeNode("reshape", [x.node], { shape: [...resolved] }));
}

/**
 * Axes in another order: axis i of the result is axis `order[i]` of x; default: reversed.
 * @example console.log(await permute(tensor([[1, 2, 3], [4, 5, 6]]), [1, 0]).array()); // [ [ 1, 4 ], [ 2, 5 ], [ 3, 6 ] ]
 */
export function permute(x: Tensor, order?: readonly number[]): Tensor {
  const full = (order ?? Array.from({ length: x.rank }, (_, i) => x.rank - 1 - i)).map((axis) =>
    normalizeAxis("permute", axis, x.rank),
  );
  if (full.length !== x.rank || new Set(full).size !== x.rank) {
    throw new EvenkeelError(
      "axis",
      `permute: ${formatShape(order ?? [])} must name each of the ${x.rank} axes of ${formatShape(x.shape)} once.`,
    );
  }
  if (full.every((axis, i) => axis === i)) return x;
  return new Tensor(makeNode("permute", [x.node], { order: full }));
}

/**
 * Two axes exchanged; default: the last two (matrix transpose).
 * @example console.log(await transpose(tensor([[1, 2, 3], [4, 5, 6]])).array()); // [ [ 1, 4 ], [ 2, 5 ], [ 3, 6 ] ]
 */
export function transpose(x: Tensor, first = -2, second = -1): Tensor {
  const a = normalizeAxis("transpose", first, x.rank);
  const b = normalizeAxis("transpose", second, x.rank);
  const order = Array.from({ length: x.rank }, (_, axis) => (axis === a ? b : axis === b ? a : axis));
  return permute(x, order);
}

/**
 * x repeated to `shape` by NumPy's rule: new axes in front, axes of size 1 repeated.
 * @example console.log(await broadcastTo(tensor([1, 2]), [2, 2]).array()); // [ [ 1, 2 ], [ 1, 2 ] ]
 */
export function broadcastTo(x: Tensor, shape: Shape): Tensor {
  if (sameShape(x.shape, shape)) return x;
  checkShape("broadcastTo", shape);
  if (!sameShape(broadcastShapes("broadcastTo", x.shape, shape), shape)) {
    throw new EvenkeelError(
      "shape",
      `broadcastTo: ${formatShape(x.shape)} doesn't broadcast to ${formatShape(shape)}.`,
    );
  }
  const lifted = reshape(x, [...new Array<number>(shape.length - x.rank).fill(1), ...x.shape]);
  if (sameShape(lifted.shape, shape)) return lifted;
  return new Tensor(makeNode("expand", [lifted.node], { shape: [...shape] }));
}

/**
 * A new axis of size 1 before `axis` of the result.
 * @example console.log(expandDims(tensor([1, 2]), 0).shape); // [ 1, 2 ]
 */
export function expandDims(x: Tensor, axis: number): Tensor {
  const place = normalizeAxis("expandDims", axis, x.rank + 1);
  return reshape(x, [...x.shape.slice(0, place), 1, ...x.shape.slice(place)]);
}

/**
 * Without the given axes of size 1; default: all of them. @throws EvenkeelError `shape` if one isn't of size 1.
 * @example console.log(squeeze(tensor([[[1], [2]]])).shape); // [ 2 ]
 */
export function squeeze(x: Tensor, axes?: number | readonly number[]): Tensor {
  const drop =
    axes === undefined
      ? x.shape.flatMap((size, axis) => (size === 1 ? [axis] : []))
      : normalizeAxes("squeeze", axes, x.rank);
  for (const axis of drop) {
    if (x.shape[axis] !== 1) {
      throw new EvenkeelError(
        "shape",
        `squeeze: axis ${axis} of ${formatShape(x.shape)} has size ${x.shape[axis]}, not 1.`,
      );
    }
  }
  return reshape(
    x,
    x.shape.filter((_, axis) => !drop.includes(axis)),
  );
}

/** One range of an axis as in NumPy: `[start, stop, step]`; negative numbers count from the end; undefined is open. */
export type SliceRange = readonly [start?: number | undefined, stop?: number | undefined, step?: number | undefined];

function resolveRange(range: SliceRange, extent: number, axis: number): { start: number; size: number; step: number } {
  const step = range[2] ?? 1;
  for (const value of range) {
    if (value !== undefined && !Number.isInteger(value)) {
      throw new EvenkeelError("range", `slice: ${value} at axis ${axis} is not a whole number.`);
    }
  }
  if (step === 0) throw new EvenkeelError("range", `slice: step 0 at axis ${axis}; expected any other whole number.`);
  const check = (value: number): number => {
    if (value < -extent || value > extent) {
      throw new EvenkeelError(
        "range",
        `slice: ${value} is out of range for axis ${axis} of size ${extent} (${-extent} to ${extent}).`,
      );
    }
    return value < 0 ? value + extent : value;
  };
  const start = range[0] === undefined ? (step > 0 ? 0 : extent - 1) : check(range[0]);
  const stop = range[1] === undefined ? (step > 0 ? extent : -1) : check(range[1]);
  const size = Math.max(0, Math.ceil((stop - start) / step));
  // Backwards, a part begins with the element named first: one past the end isn't there.
  if (size > 0 && start === extent) {
    const elements = extent === 0 ? "it has no elements" : `${-extent} to ${extent - 1}`;
    throw new EvenkeelError(
      "range",
      `slice: start ${range[0]} is out of range for axis ${axis} of size ${extent} with step ${step} (${elements}).`,
    );
  }
  return { start, size, step };
}

/**
 * Part of x: one range per axis from the first on, `null` or missing for a whole axis.
 * `slice(x, [[1, 3], null, [undefined, undefined, -1]])` is NumPy's `x[1:3, :, ::-1]`, but an index outside of
 * the axis is an error.
 * @example console.log(await slice(tensor([[1, 2, 3], [4, 5, 6]]), [null, [0, undefined, 2]]).array()); // [ [ 1, 3 ], [ 4, 6 ] ]
 */
export function slice(x: Tensor, ranges: readonly (SliceRange | null)[]): Tensor {
  if (ranges.length > x.rank) {
    throw new EvenkeelError("shape", `slice: ${ranges.length} ranges for ${formatShape(x.shape)} of rank ${x.rank}.`);
  }
  const parts = x.shape.map((extent, axis) => resolveRange(ranges[axis] ?? [], extent, axis));
  if (parts.every(({ start, size, step }, axis) => start === 0 && step === 1 && size === x.shape[axis])) return x;
  return new Tensor(
    makeNode("slice", [x.node], {
      // An empty range may start at the end; keep the start in range so that the node is valid on its own.
      start: parts.map(({ start, size }) => (size === 0 ? 0 : start)),
      size: parts.map(({ size }) => size),
      step: parts.map(({ step }) => step),
    }),
  );
}

/**
 * Elements of the given axes in reverse order.
 * @example console.log(await flip(tensor([[1, 2, 3], [4, 5, 6]]), 1).array()); // [ [ 3, 2, 1 ], [ 6, 5, 4 ] ]
 */
export function flip(x: Tensor, axes?: number | readonly number[]): Tensor {
  const reversed = normalizeAxes("flip", axes, x.rank);
  return slice(
    x,
    x.shape.map((_, axis) => (reversed.includes(axis) ? [undefined, undefined, -1] : null)),
  );
}

/**
 * `[before, after]` elements of `value` around each axis.
 * @throws EvenkeelError `range` for negative counts, `shape` for missing ones, `value` if the dtype can't hold `value`.
 * @example console.log(await pad(tensor([1, 2]), [[1, 2]]).array()); // [ 0, 1, 2, 0, 0 ]
 */
export function pad(x: Tensor, widths: readonly (readonly [number, number])[], value = 0): Tensor {
  if (widths.length !== x.rank) {
    throw new EvenkeelError("shape", `pad: ${widths.length} widths for ${formatShape(x.shape)} of rank ${x.rank}.`);
  }
  if (widths.some((pair) => pair.some((width) => !Number.isInteger(width) || width < 0))) {
    throw new EvenkeelError("range", `pad: widths ${JSON.stringify(widths)} must be whole numbers of at least 0.`);
  }
  checkElement("pad", value, x.dtype);
  if (widths.every(([low, high]) => low === 0 && high === 0)) return x;
  const [low, high] = [widths.map((pair) => pair[0]), widths.map((pair) => pair[1])];
  return new Tensor(makeNode("pad", [x.node], { low, high, value }));
}

/**
 * Tensors joined along an axis. @throws EvenkeelError `shape` if other axes differ, `dtype` if dtypes differ.
 * @example console.log(await concat([tensor([1, 2]), tensor([3])]).array()); // [ 1, 2, 3 ]
 */
export function concat(parts: readonly Tensor[], axis = 0): Tensor {
  const first = parts[0];
  if (first === undefined)
    throw new EvenkeelError("shape", "concat: nothing to concatenate; give at least one tensor.");
  const along = normalizeAxis("concat", axis, first.rank);
  const wrong = parts.find(
    (part) => part.rank !== first.rank || part.shape.some((size, i) => i !== along && size !== first.shape[i]),
  );
  if (wrong !== undefined) {
    throw new EvenkeelError(
      "shape",
      `concat: ${formatShape(first.shape)} and ${formatShape(wrong.shape)} must be equal outside of axis ${along}.`,
    );
  }
  if (parts.length === 1) return first;
  return new Tensor(
    makeNode(
      "concat",
      parts.map((part) => part.node),
      { axis: along },
    ),
  );
}

/**
 * x repeated along each axis: NumPy's `tile`. Missing repeats in front are 1; missing axes of x are put in front.
 * @throws EvenkeelError `range` unless repeats are whole numbers of at least 0.
 * @example console.log(await tile(tensor([[1, 2]]), [2, 2]).array()); // [ [ 1, 2, 1, 2 ], [ 1, 2, 1, 2 ] ]
 */
export function tile(x: Tensor, repeats: readonly number[]): Tensor {
  if (repeats.some((count) => !Number.isInteger(count) || count < 0)) {
    throw new EvenkeelError("range", `tile: repeats ${formatShape(repeats)} must be whole numbers of at least 0.`);
  }
  const rank = Math.max(x.rank, repeats.length);
  const shape = [...new Array<number>(rank - x.rank).fill(1), ...x.shape];
  const counts = [...new Array<number>(rank - repeats.length).fill(1), ...repeats];
  const apart = reshape(
    x,
    shape.flatMap((size) => [1, size]),
  );
  const repeated = broadcastTo(
    apart,
    shape.flatMap((size, axis) => [at(counts, axis), size]),
  );
  return reshape(
    repeated,
    shape.map((size, axis) => at(counts, axis) * size),
  );
}

/**
 * Elements moved on by `shift` places along axes, those at the end to the front: NumPy's `roll`.
 * @param shift a whole number, or one for each axis; negative: towards the front
 * @param axis one or several axes
 * @throws EvenkeelError `range` unless shifts are whole numbers, one for each axis; `axis` for axes that x hasn't got.
 * @example console.log(await roll(tensor([1, 2, 3, 4]), 1, 0).array()); // [ 4, 1, 2, 3 ]
 */
export function roll(x: Tensor, shift: number | readonly number[], axis: number | readonly number[]): Tensor {
  const axes = (typeof axis === "number" ? [axis] : axis).map((each) => normalizeAxis("roll", each, x.rank));
  const shifts = typeof shift === "number" ? axes.map(() => shift) : shift;
  if (shifts.length !== axes.length || shifts.some((count) => !Number.isInteger(count))) {
    throw new EvenkeelError(
      "range",
      `roll: shifts ${formatShape(shifts)} must be whole numbers, one for each of the axes ${formatShape(axes)}.`,
    );
  }
  return axes.reduce((rolled, along, i) => {
    const size = at(x.shape, along);
    const start = size === 0 ? 0 : ((-at(shifts, i) % size) + size) % size;
    const piece = (range: SliceRange): Tensor =>
      slice(
        rolled,
        rolled.shape.map((_, other) => (other === along ? range : null)),
      );
    return start === 0 ? rolled : concat([piece([start, size]), piece([0, start])], along);
  }, x);
}

/**
 * Tensors of one shape joined along a new axis. @throws EvenkeelError `shape` if shapes differ, `dtype` if dtypes differ.
 * @example console.log(await stack([tensor([1, 2]), tensor([3, 4])]).array()); // [ [ 1, 2 ], [ 3, 4 ] ]
 */
export function stack(parts: readonly Tensor[], axis = 0): Tensor {
  const first = parts[0];
  if (first === undefined) throw new EvenkeelError("shape", "stack: nothing to stack; give at least one tensor.");
  normalizeAxis("stack", axis, first.rank + 1);
  const other = parts.find((part) => !sameShape(part.shape, first.shape));
  const foreign = parts.find((part) => part.dtype !== first.dtype);
  if (foreign !== undefined) {
    throw new EvenkeelError("dtype", `stack: dtypes differ: ${first.dtype} and ${foreign.dtype}. Cast one of them.`);
  }
  if (other !== undefined) {
    throw new EvenkeelError(
      "shape",
      `stack: shapes differ: ${formatShape(first.shape)} and ${formatShape(other.shape)}.`,
    );
  }
  return concat(
    parts.map((part) => expandDims(part, axis)),
    axis,
  );
}

/**
 * x cut into pieces of the given sizes along an axis. @throws EvenkeelError `shape` unless they add up.
 * @example
 * ```ts
 * const [left, right] = split(tensor([1, 2, 3]), [1, 2]);
 * console.log(await left?.array(), await right?.array()); // [ 1 ] [ 2, 3 ]
 * ```
 */
export function split(x: Tensor, sizes: readonly number[], axis = 0): Tensor[] {
  const along = normalizeAxis("split", axis, x.rank);
  const extent = at(x.shape, along);
  if (
    sizes.reduce((sum, size) => sum + size, 0) !== extent ||
    sizes.some((size) => !Number.isInteger(size) || size < 0)
  ) {
    throw new EvenkeelError(
      "shape",
      `split: sizes ${formatShape(sizes)} don't add up to axis ${along} of ${formatShape(x.shape)} in whole numbers of at least 0.`,
    );
  }
  let start = 0;
  return sizes.map((size) => {
    const piece = slice(
      x,
      x.shape.map((_, i) => (i === along ? [start, start + size] : null)),
    );
    start += size;
    return piece;
  });
}
