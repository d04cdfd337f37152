/** Resizing along each axis in turn: nearest, linear and cubic interpolation. */
import { EvenkeelError } from "../errors.ts";
import { at, formatShape, normalizeAxes } from "../graph/shape.ts";
import { type Tensor, tensor } from "../graph/tensor.ts";
import { padEdge } from "./borders.ts";
import { add, multiply, requireDtype, where } from "./elementwise.ts";
import { alongAxisShape, gatherAlong, sliceAlong } from "./alongAxis.ts";
import { reshape, stack } from "./movement.ts";
import { reduceSum } from "./reduce.ts";
import { type PerAxis } from "./windows.ts";

/**
 * Where element i of an axis of the result lies on x, whose elements are at 0, 1, .., for a result `scale` times as long:
 * - "halfPixel": (i + 0.5) / scale - 0.5. Elements are squares and the outer edges meet: PyTorch's and JAX's default.
 * - "alignCorners": i (n - 1) / (m - 1) for n elements of x and m of the result: the first and the last ones meet.
 * - "asymmetric": i / scale. The first ones meet.
 * - "pytorchHalfPixel": "halfPixel", but 0 for a result of one element (ONNX's `pytorch_half_pixel`).
 * - "halfPixelSymmetric": "halfPixel", but with the middle kept where scale * n isn't whole (ONNX's `half_pixel_symmetric`).
 * - a function of i and the axis.
 */
export type ResizeCoordinates =
  | "halfPixel"
  | "alignCorners"
  | "asymmetric"
  | "pytorchHalfPixel"
  | "halfPixelSymmetric"
  | ((element: number, axis: ResizedAxis) => number);

/** An axis of x: its number, its size, that of the result, and how many times as long that is meant to be. */
export type ResizedAxis = {
  readonly axis: number;
  readonly input: number;
  readonly output: number;
  readonly scale: number;
};

/** Options of `resize`. */
export type ResizeOptions = {
  /** Sizes of the result's axes: one for all, or one an axis. Give this or `scale`. */
  readonly size?: PerAxis | undefined;
  /** How many times as long the result is, rounded down: one number for all axes, or one an axis. */
  readonly scale?: PerAxis | undefined;
  /** Default "nearest". */
  readonly mode?: "nearest" | "linear" | "cubic" | undefined;
  /**
   * Default "halfPixel"; for "nearest" it is "asymmetric", which with `rounding: "floor"` is PyTorch's "nearest" ("halfPixel" with
   * "preferCeil" is its "nearest-exact").
   */
  readonly coordinates?: ResizeCoordinates | undefined;
  /** Which element is the nearest: the one before, the one behind, or the nearer one and of two equally near ones that. Default "floor". */
  readonly rounding?: "floor" | "ceil" | "preferFloor" | "preferCeil" | undefined;
  /** The cubic's parameter a. Default -0.75, PyTorch's; with `antialias` -0.5, PyTorch's again. */
  readonly cubicCoefficient?: number | undefined;
  /** Elements beyond x have weight 0 (the others add up to 1) instead of being repeated from the edge. Default: as `antialias`. */
  readonly excludeOutside?: boolean | undefined;
  /** What the result is where coordinates lie beyond the first and last element of x. Default: as if the edge went on. */
  readonly outside?: number | undefined;
  /** Where the result is smaller, widen linear and cubic weights by as much, so that each element of x counts. Default false. */
  readonly antialias?: boolean | undefined;
  /** The axes that are resized. Default: all but the first two, of [N, C, ...]. */
  readonly axes?: readonly number[] | undefined;
};

/** Which elements of x, unlimited by its edges, one element of the result is made of, and with what weights. */
type Taps = { readonly first: number; readonly weights: readonly number[] };

/**
 * x [N, C, ...] with other sizes of the last axes, by interpolation along one axis after the other. It has the conventions of PyTorch's
 * `interpolate` and of ONNX's Resize. f32; "nearest" takes any dtype. For scales that are quotients of small numbers, as 2, 1/2 or 3/2, it is
 * sums of slices; for others a table of elements is read, and what flows back is scattered.
 * @throws EvenkeelError `shape` for sizes that don't fit, `value` unless one of `size` and `scale` is given, `range`
 * @example
 * ```ts
 * const x = tensor([[[0, 4]]]);
 * console.log(await resize(x, { scale: 2 }).array()); // [ [ [ 0, 0, 4, 4 ] ] ]
 * console.log(await resize(x, { size: 4, mode: "linear" }).array()); // [ [ [ 0, 1, 3, 4 ] ] ]
 * ```
 */
export function resize(x: Tensor, options: ResizeOptions): Tensor {
  const { mode = "nearest", outside } = options;
  if (mode !== "nearest" || outside !== undefined) requireDtype("resize", x.dtype, ["f32"]);
  const axes =
    options.axes === undefined
      ? x.shape.map((_, axis) => axis).slice(2)
      : normalizeAxes("resize", options.axes, x.rank);
  const targets = targetsOf(x, axes, options);
  return axes.reduce((value, axis, i) => {
    const { output, scale } = at(targets, i);
    return resizedAxis(value, axis, output, scale, options);
  }, x);
}

type Target = { readonly output: number; readonly scale: number };

function targetsOf(x: Tensor, axes: readonly number[], { size, scale, axes: given }: ResizeOptions): Target[] {
  const values = size ?? scale;
  if (values === undefined || (size !== undefined && scale !== undefined)) {
    throw new EvenkeelError(
      "value",
      `resize: give size (sizes of the result) or scale (how many times as long it is), and only one of them.`,
    );
  }
  const name = size === undefined ? "scale" : "size";
  const list = typeof values === "number" ? axes.map(() => values) : values;
  if (list.length !== axes.length) {
    throw new EvenkeelError(
      "shape",
      `resize: ${name} ${formatShape(list)} has ${list.length} entries for ${axes.length} axes of ${formatShape(x.shape)}.`,
    );
  }
  // Axes are put in order; what belongs to them goes along.
  const order = given === undefined ? axes : given.map((axis) => (axis < 0 ? axis + x.rank : axis));
  return axes.map((axis) => {
    const value = at(list, order.indexOf(axis));
    const input = at(x.shape, axis);
    const output = size === undefined ? Math.floor(input * value) : value;
    if (!Number.isInteger(output) || output < 1 || input < 1) {
      throw new EvenkeelError(
        size === undefined ? "range" : "shape",
        `resize: ${name} ${value} makes no axis of axis ${axis} of ${formatShape(x.shape)}; the result must have at least 1 element there.`,
      );
    }
    return { output, scale: size === undefined ? value : output / input };
  });
}

/** Coordinates are `slope` times the element of the result plus `offset`, or anything. */
type Line = { readonly slope: number; readonly offset: number };

function lineOf(coordinates: ResizeCoordinates, resized: ResizedAxis): Line | ((element: number) => number) {
  const { input, output, scale } = resized;
  const halfPixel: Line = { slope: 1 / scale, offset: 0.5 / scale - 0.5 };
  switch (coordinates) {
    case "halfPixel":
      return halfPixel;
    case "pytorchHalfPixel":
      return output > 1 ? halfPixel : { slope: 0, offset: 0 };
    case "halfPixelSymmetric": {
      // What is missing of scale * input is missing on either side.
      const middle = (input / 2) * (1 - output / (scale * input));
      return { slope: 1 / scale, offset: middle + halfPixel.offset };
    }
    case "alignCorners":
      return { slope: output > 1 ? (input - 1) / (output - 1) : 0, offset: 0 };
    case "asymmetric":
      return { slope: 1 / scale, offset: 0 };
    default:
      return (element) => coordinates(element, resized);
  }
}

function resizedAxis(x: Tensor, axis: number, output: number, scale: number, options: ResizeOptions): Tensor {
  const input = at(x.shape, axis);
  const { mode = "nearest", outside } = options;
  const coordinates = options.coordinates ?? (mode === "nearest" ? "asymmetric" : "halfPixel");
  const line = lineOf(coordinates, { axis, input, output, scale });
  const coordinate = (element: number): number =>
    typeof line === "function" ? line(element) : steadied(element * line.slope + line.offset);
  const tapsAt = tapsOf(mode, input, scale, options);
  const isRegular = mode === "nearest" || !limitsEdges(options);
  const period = typeof line === "function" || !isRegular ? undefined : periodOf(line.slope);
  const resized =
    period === undefined
      ? byTable(
          x,
          axis,
          Array.from({ length: output }, (_, element) => tapsAt(coordinate(element))),
        )
      : byPeriod(
          x,
          axis,
          output,
          period,
          Array.from({ length: Math.min(period.result, output) }, (_, element) => tapsAt(coordinate(element))),
        );
  if (outside === undefined) return resized;
  const isBeyond = Array.from({ length: output }, (_, element) => coordinate(element)).map(
    (place) => place < 0 || place > input - 1,
  );
  const mask = tensor(Uint8Array.from(isBeyond, Number), {
    dtype: "bool",
    shape: x.shape.map((_, a) => (a === axis ? output : 1)),
  });
  return where(mask, outside, resized);
}

/** Rounding of the coordinate's arithmetic may not decide where an element is read: 2.9999999999 is 3. */
function steadied(coordinate: number): number {
  const near = Math.round(coordinate * 2) / 2;
  return Math.abs(coordinate - near) < 1e-9 * Math.max(1, Math.abs(near)) ? near : coordinate;
}

const limitsEdges = ({ excludeOutside, antialias = false }: ResizeOptions): boolean => excludeOutside ?? antialias;

/** Which elements, with which weights, a coordinate stands for. */
function tapsOf(
  mode: NonNullable<ResizeOptions["mode"]>,
  input: number,
  scale: number,
  options: ResizeOptions,
): (coordinate: number) => Taps {
  if (mode === "nearest") {
    const round = roundings[options.rounding ?? "floor"];
    return (coordinate) => ({ first: round(coordinate), weights: [1] });
  }
  const widened = options.antialias === true && scale < 1 ? 1 / scale : 1;
  const a = options.cubicCoefficient ?? (options.antialias === true ? -0.5 : -0.75);
  const weigh = mode === "linear" ? (d: number) => Math.max(0, 1 - Math.abs(d)) : cubicWeight(a);
  const reach = (mode === "linear" ? 1 : 2) * widened;
  return (coordinate) => {
    const first = widened === 1 ? Math.floor(coordinate) - (reach - 1) : Math.ceil(coordinate - reach);
    const last = widened === 1 ? first + 2 * reach - 1 : Math.floor(coordinate + reach);
    const weights = Array.from({ length: last - first + 1 }, (_, i) => weigh((first + i - coordinate) / widened));
    const limits = limitsEdges(options);
    const used = weights.map((weight, i) => (limits && (first + i < 0 || first + i >= input) ? 0 : weight));
    const total = limits || options.antialias === true ? used.reduce((sum, weight) => sum + weight, 0) : 1;
    return { first, weights: used.map((weight) => weight / total) };
  };
}

const roundings: { readonly [rounding in NonNullable<ResizeOptions["rounding"]>]: (coordinate: number) => number } = {
  floor: Math.floor,
  ceil: Math.ceil,
  preferFloor: (coordinate) => Math.ceil(coordinate - 0.5),
  preferCeil: (coordinate) => Math.floor(coordinate + 0.5),
};

/** Keys' cubic convolution (1981) with the parameter a. */
const cubicWeight =
  (a: number) =>
  (distance: number): number => {
    const d = Math.abs(distance);
    if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
    return d < 2 ? (((d - 5) * d + 8) * d - 4) * a : 0;
  };

/** `result` elements of the result go over `source` elements of x. */
type Period = { readonly result: number; readonly source: number };

/** Patterns of more elements than this are read from a table. */
const longestPattern = 8;

function periodOf(slope: number): Period | undefined {
  for (let result = 1; result <= longestPattern; result++) {
    const source = Math.round(slope * result);
    if (Math.abs(slope * result - source) < 1e-9 * Math.max(1, source) && source > 0) return { result, source };
  }
  return undefined;
}

/** Element `result` * m + r of the result reads x as element r does, `source` * m further on: slices of x with repeated edges. */
function byPeriod(
  x: Tensor,
  axis: number,
  output: number,
  { result, source }: Period,
  pattern: readonly Taps[],
): Tensor {
  const input = at(x.shape, axis);
  const repeats = Math.ceil(output / result);
  const firsts = pattern.map(({ first }) => first);
  const lasts = pattern.map(({ first, weights }) => first + weights.length - 1);
  const before = Math.max(0, -Math.min(...firsts));
  const after = Math.max(0, Math.max(...lasts) + (repeats - 1) * source - (input - 1));
  const whole = padEdge(
    x,
    x.shape.map((_, a) => (a === axis ? [before, after] : [0, 0])),
  );
  const read = (place: number): Tensor => {
    const start = place + before;
    return sliceAlong(whole, axis, start, start + (repeats - 1) * source + 1, source);
  };
  const elements = pattern.map(({ first, weights }) => {
    const terms = weights.flatMap((weight, i) =>
      weight === 0 ? [] : [weight === 1 ? read(first + i) : multiply(read(first + i), weight)],
    );
    return terms.reduce((left, right) => add(left, right));
  });
  if (elements.length === 1) return at(elements, 0);
  const joined = reshape(
    stack(elements, axis + 1),
    x.shape.map((size, a) => (a === axis ? repeats * elements.length : size)),
  );
  return sliceAlong(joined, axis, 0, output);
}

/** Reads each tap of each element by its index, edges repeated. */
function byTable(x: Tensor, axis: number, taps: readonly Taps[]): Tensor {
  const input = at(x.shape, axis);
  const width = Math.max(...taps.map(({ weights }) => weights.length));
  const limited = (place: number): number => Math.min(Math.max(place, 0), input - 1);
  const numbers = Array.from({ length: width }, (_, i) => i);
  // Places without weight share the first one that has some: an element far off, times 0, may be NaN.
  const entries = taps.flatMap(({ first, weights }) => {
    const own = weights.findIndex((weight) => weight !== 0);
    const shared = numbers.filter((i) => i === own || (weights[i] ?? 0) === 0);
    return numbers.map((i) =>
      shared.includes(i)
        ? { place: limited(first + own), weight: (weights[own] ?? 0) / shared.length }
        : { place: limited(first + i), weight: weights[i] ?? 0 },
    );
  });
  const index = Int32Array.from(entries, ({ place }) => place);
  const shape = [taps.length, width];
  const taken = gatherAlong(x, tensor(index, { shape: alongAxisShape(index.length, axis, x.rank) }), axis);
  const read = reshape(taken, [...x.shape.slice(0, axis), ...shape, ...x.shape.slice(axis + 1)]);
  if (width === 1 && taps.every(({ weights }) => weights[0] === 1)) {
    return reshape(
      read,
      x.shape.map((size, a) => (a === axis ? taps.length : size)),
    );
  }
  const weights = Float32Array.from(entries, ({ weight }) => weight);
  const inFront = tensor(weights, { shape: [...shape, ...x.shape.slice(axis + 1).map(() => 1)] });
  return reduceSum(multiply(read, inFront), { axes: axis + 1 });
}
