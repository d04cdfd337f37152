/**
 * Windows that move along axes, as those of pooling and convolution do: where they lie, what each of their elements reads, and the way
 * back. Element t of window i is at place i * stride + t * dilation - before.
 */
import { EvenkeelError } from "../errors.ts";
import { at, formatShape, type Shape } from "../graph/shape.ts";
import type { Tensor } from "../graph/tensor.ts";
import { add } from "./elementwise.ts";
import { pad, reshape, slice } from "./movement.ts";

/** One number for all axes, or one an axis. */
export type PerAxis = number | readonly number[];

/**
 * What is put around x: one number for all sides, one entry an axis (a number for both sides or `[before, after]`), or "same": as many
 * windows as elements divided by the stride; an odd border has its extra element at the end.
 */
export type Padding = "same" | number | readonly (number | readonly [number, number])[];

/** The windows along one axis of a value. */
export type AxisWindows = {
  readonly axis: number;
  /** Elements of x. */
  readonly input: number;
  /** Elements of a window. */
  readonly size: number;
  readonly stride: number;
  readonly dilation: number;
  /** Elements put before x and after it. */
  readonly before: number;
  readonly after: number;
  /** Number of windows. */
  readonly output: number;
};

export type WindowOptions = {
  readonly size: PerAxis;
  readonly stride: PerAxis;
  readonly padding: Padding;
  readonly dilation: PerAxis;
  /** A last window that isn't full counts, too, if it begins on x or what is put before it. */
  readonly ceilMode?: boolean;
};

/** One whole number an axis, of at least `least`. @throws EvenkeelError `shape` for another number of them, `range` */
export function perAxis(operation: string, name: string, value: PerAxis, rank: number, least: number): number[] {
  const values = typeof value === "number" ? new Array<number>(rank).fill(value) : [...value];
  if (values.length !== rank) {
    throw new EvenkeelError(
      "shape",
      `${operation}: ${name} ${formatShape(values)} has ${values.length} entries for ${rank} axes. Give one number, or one an axis.`,
    );
  }
  if (values.some((entry) => !Number.isInteger(entry) || entry < least)) {
    throw new EvenkeelError(
      "range",
      `${operation}: ${name} ${formatShape(values)} must be whole numbers of at least ${least}.`,
    );
  }
  return values;
}

/** Elements put around each axis. "same" is the caller's to resolve. @throws EvenkeelError as {@link perAxis} */
export function sidesOf(operation: string, padding: Exclude<Padding, "same">, rank: number): [number, number][] {
  const entries = typeof padding === "number" ? new Array<number>(rank).fill(padding) : padding;
  const sides = entries.map((entry): [number, number] =>
    typeof entry === "number" ? [entry, entry] : [entry[0], entry[1]],
  );
  if (sides.length !== rank) {
    throw new EvenkeelError(
      "shape",
      `${operation}: padding ${JSON.stringify(padding)} has ${sides.length} entries for ${rank} axes. Give one number, or one entry an axis.`,
    );
  }
  if (sides.flat().some((width) => !Number.isInteger(width) || width < 0)) {
    throw new EvenkeelError(
      "range",
      `${operation}: padding ${JSON.stringify(padding)} must be whole numbers of at least 0.`,
    );
  }
  return sides;
}

/** From the first element of a window to its last one. */
export const reachOf = ({ size, dilation }: Pick<AxisWindows, "size" | "dilation">): number =>
  dilation * (size - 1) + 1;

/**
 * The windows along the last `rank` axes of a shape.
 * @throws EvenkeelError `range` or `shape` for options that make no sense or leave no window
 */
export function windowsAlong(operation: string, shape: Shape, rank: number, options: WindowOptions): AxisWindows[] {
  const first = shape.length - rank;
  const extents = shape.slice(first);
  const size = perAxis(operation, "size", options.size, rank, 1);
  const stride = perAxis(operation, "stride", options.stride, rank, 1);
  const dilation = perAxis(operation, "dilation", options.dilation, rank, 1);
  const { padding, ceilMode = false } = options;
  const given = padding === "same" ? undefined : sidesOf(operation, padding, rank);
  return extents.map((input, axis) => {
    const one = {
      axis: first + axis,
      input,
      size: at(size, axis),
      stride: at(stride, axis),
      dilation: at(dilation, axis),
    };
    const reach = reachOf(one);
    const missing = Math.max(0, (Math.ceil(input / one.stride) - 1) * one.stride + reach - input);
    const [before, after] = given?.[axis] ?? [Math.floor(missing / 2), Math.ceil(missing / 2)];
    const room = input + before + after - reach;
    if (room < 0) {
      throw new EvenkeelError(
        "shape",
        `${operation}: the window reaches over ${reach} elements at axis ${first + axis} of ${formatShape(shape)}, which has ${input} with ` +
          `${before} and ${after} around. Make the window smaller or the padding wider.`,
      );
    }
    let output = (ceilMode ? Math.ceil(room / one.stride) : Math.floor(room / one.stride)) + 1;
    if (ceilMode && output > 1 && (output - 1) * one.stride >= input + before) output--;
    return { ...one, before, after, output };
  });
}

/**
 * An axis of windows is seen as rows of one stride: then a tap is one column of it and some rows on end, and so is its place on the way
 * back. This is how many rows there are.
 */
const rowsOf = ({ output, stride, size, dilation }: AxisWindows): number =>
  output + Math.floor(((size - 1) * dilation) / stride);

type Range = readonly [number, number];

/** Row and column of element `tap` of the first window. */
export const placeOf = (tap: number, { dilation, stride }: AxisWindows): Range => [
  Math.floor((tap * dilation) / stride),
  (tap * dilation) % stride,
];

/** How an axis of x lies in its rows: `used` elements of it, behind `first` others, of `rows` times a stride. */
function lie(windows: AxisWindows): {
  readonly rows: number;
  readonly first: number;
  readonly used: number;
  readonly last: number;
} {
  const rows = rowsOf(windows);
  const length = rows * windows.stride;
  const first = Math.min(windows.before, length);
  const used = Math.min(windows.input, length - first);
  return { rows, first, used, last: length - first - used };
}

/** For each element of a window, its number along each axis: row-major. */
export function tapsOf(windows: readonly AxisWindows[]): number[][] {
  return windows.reduce<number[][]>(
    (all, { size }) => all.flatMap((taps) => Array.from({ length: size }, (_, tap) => [...taps, tap])),
    [[]],
  );
}

/** For each axis of a value, what becomes of it: `own` where windows move along it, which are number i of them, else `other`. */
function mapAxes<T>(
  rank: number,
  windows: readonly AxisWindows[],
  other: (axis: number) => T,
  own: (windows: AxisWindows, i: number) => T,
): T[] {
  return Array.from({ length: rank }, (_, axis) => {
    const i = windows.findIndex((one) => one.axis === axis);
    return i < 0 ? other(axis) : own(at(windows, i), i);
  });
}

/**
 * x with each of the windows' axes cut into rows of one stride: two axes, rows and columns. Element t of window i is in row i + `row` and
 * column `column` of {@link placeOf}. Around x lies `value`.
 */
export function windowRows(x: Tensor, windows: readonly AxisWindows[], value: number): Tensor {
  const { rank, shape } = x;
  const within = slice(
    x,
    mapAxes<Range | null>(
      rank,
      windows,
      () => null,
      (one) => [0, lie(one).used],
    ),
  );
  const bordered = pad(
    within,
    mapAxes<Range>(
      rank,
      windows,
      () => [0, 0],
      (one) => [lie(one).first, lie(one).last],
    ),
    value,
  );
  return reshape(
    bordered,
    mapAxes(
      rank,
      windows,
      (axis) => [at(shape, axis)],
      (one) => [lie(one).rows, one.stride],
    ).flat(),
  );
}

/**
 * What each element of the windows reads, in the order of {@link tapsOf}: x with `output` elements on each of the windows' axes. Around x
 * lies `value`.
 */
export function windowTaps(x: Tensor, windows: readonly AxisWindows[], value: number): Tensor[] {
  const { rank, shape } = x;
  const inRows = windowRows(x, windows, value);
  const result = mapAxes(
    rank,
    windows,
    (axis) => at(shape, axis),
    ({ output }) => output,
  );
  return tapsOf(windows).map((taps) => {
    const ranges = mapAxes<(Range | null)[]>(
      rank,
      windows,
      () => [null],
      (one, i) => {
        const [row, column] = placeOf(at(taps, i), one);
        return [
          [row, row + one.output],
          [column, column + 1],
        ];
      },
    );
    return reshape(slice(inRows, ranges.flat()), result);
  });
}

/**
 * The way back, {@link windowTaps}' adjoint: what each element of the windows brings is added up where it would have been read.
 * @param taps one for each of {@link tapsOf}, with `output` elements on the windows' axes; the result has `input`
 */
export function addWindows(taps: readonly Tensor[], windows: readonly AxisWindows[]): Tensor {
  const { rank, shape } = at(taps, 0);
  const size = (axis: number): number => at(shape, axis);
  const cut = mapAxes(
    rank,
    windows,
    (axis) => [size(axis)],
    ({ output }) => [output, 1],
  ).flat();
  const spread = tapsOf(windows).map((places, tap) => {
    const sides = mapAxes<Range[]>(
      rank,
      windows,
      () => [[0, 0]],
      (one, i) => {
        const [row, column] = placeOf(at(places, i), one);
        return [
          [row, lie(one).rows - one.output - row],
          [column, one.stride - 1 - column],
        ];
      },
    );
    return pad(reshape(at(taps, tap), cut), sides.flat());
  });
  const sum = reshape(
    spread.reduce((left, right) => add(left, right)),
    mapAxes(rank, windows, size, (one) => lie(one).rows * one.stride),
  );
  const within = slice(
    sum,
    mapAxes<Range | null>(
      rank,
      windows,
      () => null,
      (one) => [lie(one).first, lie(one).first + lie(one).used],
    ),
  );
  return pad(
    within,
    mapAxes<Range>(
      rank,
      windows,
      () => [0, 0],
      (one) => [0, one.input - lie(one).used],
    ),
  );
}
