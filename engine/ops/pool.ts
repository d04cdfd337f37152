/** Pooling: the largest element or the mean of each window. */
import { EvenkeelError } from "../errors.ts";
import type { DType } from "../graph/dtype.ts";
import { neutralElement } from "../graph/neutralElement.ts";
import { at, formatShape, sizeOf } from "../graph/shape.ts";
import { type Tensor, tensor } from "../graph/tensor.ts";
import { full, iota } from "./creation.ts";
import {
  add,
  and,
  divide,
  equal,
  isNaN,
  maximum,
  multiply,
  or,
  requireDtype,
  where,
  withDerivativeOf,
} from "./elementwise.ts";
import { broadcastTo, expandDims, reshape, slice, squeeze } from "./movement.ts";
import { reduceMax, reduceSum } from "./reduce.ts";
import {
  type AxisWindows,
  type Padding,
  type PerAxis,
  placeOf,
  windowRows,
  windowsAlong,
  windowTaps,
} from "./windows.ts";

/** Options of pooling. */
export type PoolOptions = {
  /**
   * Elements of a window: one number for all axes but the first two, or one number for each of the last axes, as many as are given.
   */
  readonly size: PerAxis;
  /** Step from window to window. Default: `size`, so that windows don't overlap. */
  readonly stride?: PerAxis | undefined;
  /**
   * What is put around x: one number for all sides, one entry an axis (a number or `[before, after]`), or "same": as many windows as
   * elements divided by the stride, an odd border with its extra element at the end. Each window must hold an element of x. Default 0.
   */
  readonly padding?: Padding | undefined;
  /** Distance of the elements of a window. Default 1. */
  readonly dilation?: PerAxis | undefined;
  /** Keep a last window that isn't full if it begins on x or on what is put before it, as PyTorch's `ceil_mode`. Default false. */
  readonly ceilMode?: boolean | undefined;
};

/** Options of `meanPool`. */
export type MeanPoolOptions = PoolOptions & {
  /** Whether padding counts as zeros (PyTorch's `count_include_pad`) or not at all. What `ceilMode` adds never counts. Default true. */
  readonly countPadding?: boolean | undefined;
};

function windowsOf(operation: string, x: Tensor, options: PoolOptions): AxisWindows[] {
  const { size, stride = size, padding = 0, dilation = 1, ceilMode = false } = options;
  const rank = typeof size === "number" ? x.rank - 2 : size.length;
  if (rank < 1 || rank > x.rank) {
    throw new EvenkeelError(
      "shape",
      `${operation}: x ${formatShape(x.shape)} has no axes for windows of ${JSON.stringify(size)}. Expected [N, C, ...], or a size with at most ` +
        "one number for each axis of x.",
    );
  }
  const windows = windowsAlong(operation, x.shape, rank, { size, stride, padding, dilation, ceilMode });
  for (const one of windows) {
    for (let window = 0; window < one.output; window++) {
      if (Array.from({ length: one.size }, (_, tap) => tap).some((tap) => isInside(one, window, tap))) continue;
      throw new EvenkeelError(
        "range",
        `${operation}: window ${window} at axis ${one.axis} of ${formatShape(x.shape)} holds padding alone (${one.before} before and ` +
          `${one.after} after ${one.input} elements). Make the padding smaller.`,
      );
    }
  }
  return windows;
}

/** Whether an element of a window is one of x, or of what is put `around` it. */
function isInside(one: AxisWindows, window: number, tap: number, around = false): boolean {
  const place = window * one.stride + tap * one.dilation - one.before;
  return around ? place < one.input + one.after : place >= 0 && place < one.input;
}

/** Whether windows lie side by side, each element of x in one of them or beyond the last. */
const isTiled = ({ size, stride, dilation, before, output, input }: AxisWindows): boolean =>
  size === stride && (dilation === 1 || size === 1) && before === 0 && output * size <= input;

/**
 * Windows that lie side by side are taken at once over all axes, others one axis after the other, the last one first: so the first of
 * equal elements in row-major order is the first of each stage, too.
 */
function stagesOf(windows: readonly AxisWindows[]): readonly (readonly AxisWindows[])[] {
  const moving = windows.filter(({ size, stride, before, after }) => size > 1 || stride > 1 || before + after > 0);
  return moving.every(isTiled) && moving.length > 0 ? [moving] : moving.toReversed().map((one) => [one]);
}

/** Where each axis of x is in {@link windowRows}, which has two for each of the windows' axes. */
const axisInRows = (windows: readonly AxisWindows[], axis: number): number =>
  axis + windows.filter((one) => one.axis < axis).length;

/** One number for each window along an axis, to go with a value of `rank` axes. */
const along = (one: AxisWindows, rank: number, numbers: readonly number[], dtype: DType): Tensor =>
  tensor(dtype === "bool" ? Uint8Array.from(numbers) : Float32Array.from(numbers), {
    dtype,
    shape: Array.from({ length: rank }, (_, axis) => (axis === one.axis ? one.output : 1)),
  });

const windowNumbers = ({ output }: AxisWindows): number[] => Array.from({ length: output }, (_, window) => window);

type Largest = { readonly values: Tensor; readonly indices: Tensor };

/** One stage. @param indices a number for each element of x, which may have size 1 where x hasn't */
function largestOf(x: Tensor, windows: readonly AxisWindows[], indices: Tensor): Largest {
  const [first] = windows;
  if (first === undefined) return { values: x, indices };
  const { largest, winner, chosen } = windows.every(isTiled) ? largestTile(x, windows) : largestMoving(x, first);
  return {
    values: x.dtype === "f32" ? withDerivativeOf(largest, chosen) : largest,
    indices: windowTaps(indices, windows, 0).reduceRight((rest, index, tap) => where(equal(winner, -tap), index, rest)),
  };
}

/**
 * What is computed of windows: their largest elements; minus the number of the first element that is the largest, as f32; and
 * an expression for that element whose derivative goes to it, of which nothing but the derivative is ever computed.
 */
type Winners = { readonly largest: Tensor; readonly winner: Tensor; readonly chosen: Tensor };

/** Of NaNs each is the largest. */
function isLargest(x: Tensor, largest: Tensor): Tensor {
  return x.dtype === "f32" ? or(equal(x, largest), isNaN(x)) : equal(x, largest);
}

/** Elements of a window up to which they are compared one by one, all windows at a time. */
const fewTaps = 16;

/** Windows that lie side by side are axes of their own. */
function largestTile(x: Tensor, windows: readonly AxisWindows[]): Winners {
  const tiles = windowRows(x, windows, neutralElement("max", x.dtype));
  const axes = windows.map(({ axis }) => axisInRows(windows, axis) + 1);
  const sizes = windows.map(({ size }) => size);
  const numbers = tensor(
    Float32Array.from({ length: sizeOf(sizes) }, (_, tap) => -tap),
    {
      shape: tiles.shape.map((size, axis) => (axes.includes(axis) ? size : 1)),
    },
  );
  const chosenOf = (winner: Tensor): Tensor => reduceSum(where(equal(winner, numbers), tiles, 0), { axes });
  if (sizeOf(sizes) <= fewTaps) {
    const taps = windowTaps(x, windows, neutralElement("max", x.dtype));
    const largest = taps.reduce((left, right) => maximum(left, right));
    const winner = firstLargest(taps, largest);
    const kept = axes.reduce((value, axis) => expandDims(value, axis), winner);
    return { largest, winner, chosen: chosenOf(kept) };
  }
  const largest = reduceMax(tiles, { axes, keepAxes: true });
  const winner = reduceMax(where(isLargest(tiles, largest), numbers, -Infinity), { axes, keepAxes: true });
  const drop = (kept: Tensor): Tensor => squeeze(kept, axes);
  return { largest: drop(largest), winner: drop(winner), chosen: chosenOf(winner) };
}

/**
 * Minus the number of the first of `taps` that is the largest. The last needs no test: one of them is.
 * @param among whether a tap that is as large counts
 */
function firstLargest(
  taps: readonly Tensor[],
  largest: Tensor,
  among = (isLargestTap: Tensor, _tap: number): Tensor => isLargestTap,
): Tensor {
  return taps
    .slice(0, -1)
    .reduceRight<Tensor>(
      (rest, value, tap) => where(among(isLargest(value, largest), tap), -tap, rest),
      full(largest.shape, 1 - taps.length),
    );
}

/** Windows along one axis that overlap, leave gaps or reach beyond x. */
function largestMoving(x: Tensor, windows: AxisWindows): Winners {
  const taps = windowTaps(x, [windows], neutralElement("max", x.dtype));
  const largest = taps.reduce((left, right) => maximum(left, right));
  // Padding is as large where all of a window is -infinity.
  const winner = firstLargest(taps, largest, (wins, tap) => {
    const inside = windowNumbers(windows).map((window) => isInside(windows, window, tap));
    return inside.every(Boolean) ? wins : and(along(windows, x.rank, inside.map(Number), "bool"), wins);
  });
  return { largest, winner, chosen: chosenAlong(x, windows, winner) };
}

/**
 * The sum over a window's elements of those that `winner` names. Elements of a row are taken together, so that a derivative comes back in as
 * many parts as a window has rows.
 */
function chosenAlong(x: Tensor, windows: AxisWindows, winner: Tensor): Tensor {
  const { axis, size, stride, dilation, output } = windows;
  const rows = windowRows(x, [windows], 0);
  const together = dilation === 1 ? stride : 1;
  const parts = Array.from({ length: Math.ceil(size / together) }, (_, part) => {
    const first = part * together;
    const count = Math.min(together, size - first);
    const [row, column] = placeOf(first, windows);
    const elements = slice(rows, [
      ...x.shape.slice(0, axis).map(() => null),
      [row, row + output],
      [column, column + count],
    ]);
    const numbers = tensor(
      Float32Array.from({ length: count }, (_, i) => -(first + i)),
      {
        shape: rows.shape.map((_, a) => (a === axis + 1 ? count : 1)),
      },
    );
    return reduceSum(where(equal(expandDims(winner, axis + 1), numbers), elements, 0), { axes: axis + 1 });
  });
  return parts.reduce((left, right) => add(left, right));
}

/**
 * The largest element of each window, and where it is: its number among the elements of the last axes, i32, row-major. Of equal
 * elements it is the first, of those with NaN the first NaN.
 * @param x [N, C, ...] of f32, i32 or u32
 * @throws EvenkeelError `shape` or `range` for windows that don't fit
 * @example
 * ```ts
 * const { values, indices } = maxPoolWithIndices(tensor([[[1, 5, 2, 3]]]), { size: 2 });
 * console.log(await values.array(), await indices.array()); // [ [ [ 5, 3 ] ] ] [ [ [ 1, 3 ] ] ]
 * ```
 */
export function maxPoolWithIndices(x: Tensor, options: PoolOptions): Largest {
  return largestWindows("maxPoolWithIndices", x, options);
}

function largestWindows(operation: string, x: Tensor, options: PoolOptions): Largest {
  requireDtype(operation, x.dtype, ["f32", "i32", "u32"]);
  const windows = windowsOf(operation, x, options);
  const last = x.shape.slice(x.rank - windows.length);
  const numbers = reshape(iota([sizeOf(last)], 0), [...new Array<number>(x.rank - last.length).fill(1), ...last]);
  const { values, indices } = stagesOf(windows).reduce<Largest>(
    (before, stage) => largestOf(before.values, stage, before.indices),
    { values: x, indices: numbers },
  );
  return { values, indices: broadcastTo(indices, values.shape) };
}

/**
 * The largest element of each window of the last axes: [N, C, H, W] to [N, C, H', W'], and so for any number of axes, with
 * H' = floor((H + before + after - dilation * (size - 1) - 1) / stride) + 1, or rounded up with `ceilMode`. NaN wins, padding never does.
 * The derivative goes to the first of equal elements of a window in row-major order, to the first NaN if there is one.
 * @param x [N, C, ...] of f32, i32 or u32
 * @throws EvenkeelError `shape` or `range` for windows that don't fit
 * @example console.log(await maxPool(tensor([[[1, 5, 2, 3]]]), { size: 2 }).array()); // [ [ [ 5, 3 ] ] ]
 */
export function maxPool(x: Tensor, options: PoolOptions): Tensor {
  return largestWindows("maxPool", x, options).values;
}

/**
 * The mean of each window of the last axes: [N, C, H, W] to [N, C, H', W'], with sizes as `maxPool`'s. f32.
 * @throws EvenkeelError `shape` or `range` for windows that don't fit
 * @example console.log(await meanPool(tensor([[[1, 5, 2, 3]]]), { size: 2 }).array()); // [ [ [ 3, 2.5 ] ] ]
 */
export function meanPool(x: Tensor, options: MeanPoolOptions): Tensor {
  requireDtype("meanPool", x.dtype, ["f32"]);
  const windows = windowsOf("meanPool", x, options);
  const sum = stagesOf(windows).reduce((value, stage) => {
    if (!stage.every(isTiled)) return windowTaps(value, stage, 0).reduce((left, right) => add(left, right));
    return reduceSum(windowRows(value, stage, 0), { axes: stage.map(({ axis }) => axisInRows(stage, axis) + 1) });
  }, x);
  const counts = windows.map((one) =>
    windowNumbers(one).map((window) => {
      const taps = Array.from({ length: one.size }, (_, tap) => tap);
      return taps.filter((tap) => isInside(one, window, tap, options.countPadding ?? true)).length;
    }),
  );
  if (counts.every((list) => list.every((count) => count === list[0]))) {
    return divide(
      sum,
      counts.reduce((product, [count = 1]) => product * count, 1),
    );
  }
  const count = windows
    .map((one, i) => along(one, x.rank, at(counts, i), "f32"))
    .reduce((left, right) => multiply(left, right));
  return divide(sum, count);
}
