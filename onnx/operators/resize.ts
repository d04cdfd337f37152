/** Images and other arrays made larger or smaller by interpolation, one axis after the other. */
import { add, gather, multiply, type Tensor, tensor, where } from "../../engine/index.ts";
import { flag, float, floats, integers, oneOf } from "../build/attributes.ts";
import type { NodeCall } from "../build/nodeCall.ts";
import { operator, type OperatorTable } from "../build/operator.ts";
import { axisOf, entry, upTo } from "./axes.ts";

const coordinateModes = [
  "half_pixel",
  "pytorch_half_pixel",
  "align_corners",
  "asymmetric",
  "tf_half_pixel_for_nn",
  "tf_crop_and_resize",
] as const;
const nearestModes = ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"] as const;

type Interpolation = {
  readonly mode: "nearest" | "linear" | "cubic";
  readonly coordinates: (typeof coordinateModes)[number] | "half_pixel_symmetric";
  readonly nearest: (typeof nearestModes)[number];
  /** The slope of the cubic kernel at distance 1. */
  readonly cubicSlope: number;
  /** Weights of elements that aren't there are shared among the others, instead of given to those at the edge. */
  readonly excludesOutside: boolean;
  /** The value of what `tf_crop_and_resize` takes from outside. */
  readonly outside: number;
  /** Shrinking takes means over what falls together. */
  readonly antialias: boolean;
};

/** One axis: how many elements, how many later, by which factor, and which part is taken, for `tf_crop_and_resize`. */
type AxisChange = {
  readonly from: number;
  readonly to: number;
  readonly scale: number;
  readonly crop: readonly [number, number];
};

/** Where an element of the result is in the input, in elements. */
function sourceOf(index: number, { from, to, scale, crop }: AxisChange, { coordinates }: Interpolation): number {
  // Sizes are what scales say, before they are rounded: so ONNX's reference has it.
  const exact = from * scale;
  switch (coordinates) {
    case "half_pixel":
      return (index + 0.5) / scale - 0.5;
    case "half_pixel_symmetric": {
      const adjustment = to / exact;
      return (from / 2) * (1 - adjustment) + (index + 0.5) / scale - 0.5;
    }
    case "pytorch_half_pixel":
      return exact > 1 ? (index + 0.5) / scale - 0.5 : 0;
    case "align_corners":
      return exact === 1 ? 0 : (index * (from - 1)) / (exact - 1);
    case "asymmetric":
      return index / scale;
    case "tf_half_pixel_for_nn":
      return (index + 0.5) / scale;
    case "tf_crop_and_resize": {
      const [start, end] = crop;
      const middle = 0.5 * (start + end) * (from - 1);
      return exact > 1 ? start * (from - 1) + (index * (end - start) * (from - 1)) / (exact - 1) : middle;
    }
  }
}

function nearestOf(place: number, { nearest }: Interpolation): number {
  switch (nearest) {
    case "floor":
      return Math.floor(place);
    case "ceil":
      return Math.ceil(place);
    case "round_prefer_ceil":
      return Math.floor(place + 0.5);
    case "round_prefer_floor":
      return Math.ceil(place - 0.5);
  }
}

/** Weights by distance: a triangle, or Keys' cubic kernel. */
function kernel(distance: number, { mode, cubicSlope: a }: Interpolation): number {
  const d = Math.abs(distance);
  if (mode === "linear") return Math.max(0, 1 - d);
  if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0;
}

type Tap = { readonly place: number; readonly weight: number };

/** Which elements make one element of the result. */
function tapsOf(place: number, change: AxisChange, how: Interpolation): Tap[] {
  if (how.mode === "nearest") return [{ place: nearestOf(place, how), weight: 1 }];
  const stretch = how.antialias ? Math.max(1, 1 / change.scale) : 1;
  const reach = (how.mode === "linear" ? 1 : 2) * stretch;
  const first = Math.floor(place - reach) + 1;
  const all = upTo(Math.ceil(place + reach) - first).map((i) => {
    return { place: first + i, weight: kernel((first + i - place) / stretch, how) };
  });
  const isInside = (tap: Tap): boolean => tap.place >= 0 && tap.place < change.from;
  const taps = how.excludesOutside ? all.filter(isInside) : all;
  const total = taps.reduce((sum, { weight }) => sum + weight, 0);
  return how.excludesOutside || how.antialias ? taps.map((tap) => ({ ...tap, weight: tap.weight / total })) : taps;
}

/** x with one axis resized: as many gathers as an element of the result is made of elements. */
function resizeAxis(x: Tensor, axis: number, change: AxisChange, how: Interpolation): Tensor {
  const sources = upTo(change.to).map((index) => sourceOf(index, change, how));
  const taps = sources.map((place) => tapsOf(place, change, how));
  const most = Math.max(0, ...taps.map(({ length }) => length));
  const alongAxis = new Array<number>(x.rank - 1 - axis).fill(1);
  const parts = upTo(most).map((k) => {
    const places = taps.map((own) => Math.min(change.from - 1, Math.max(0, own[k]?.place ?? 0)));
    const weights = taps.map((own) => own[k]?.weight ?? 0);
    const part = gather(x, tensor(Int32Array.from(places)), axis);
    if (weights.every((weight) => weight === 1)) return part;
    return multiply(part, tensor(weights, { shape: [weights.length, ...alongAxis] }));
  });
  const y = parts.reduce(add);
  if (how.coordinates !== "tf_crop_and_resize") return y;
  const isOutside = sources.map((place) => Number(place < 0 || place > change.from - 1));
  const mask = tensor(Uint8Array.from(isOutside), { dtype: "bool", shape: [isOutside.length, ...alongAxis] });
  return where(mask, how.outside, y);
}

type Request = {
  readonly scales: readonly number[] | undefined;
  readonly sizes: readonly number[] | undefined;
  readonly region: readonly number[] | undefined;
  readonly axes?: readonly number[] | undefined;
  readonly policy?: "stretch" | "not_larger" | "not_smaller";
};

/** How each axis that is named changes. */
function changesOf(call: NodeCall, x: Tensor, { scales, sizes, region, axes, policy }: Request) {
  const along = (axes ?? upTo(x.rank)).map((axis) => axisOf(call, axis, x.rank));
  const extents = along.map((axis) => entry(call, x.shape, axis));
  const given = scales ?? sizes?.map((size, i) => size / entry(call, extents, i));
  if (given === undefined) throw call.error("value", "has neither scales nor sizes.");
  const isFitted = sizes !== undefined && policy !== undefined && policy !== "stretch";
  const common = policy === "not_larger" ? Math.min(...given) : Math.max(...given);
  return along.map((axis, i) => {
    const from = entry(call, extents, i);
    const scale = isFitted ? common : entry(call, given, i);
    const to = isFitted ? Math.floor(scale * from + 0.5) : (sizes?.[i] ?? Math.floor(from * scale));
    const crop = [region?.[i] ?? 0, region?.[i + along.length] ?? 1] as const;
    return { axis, change: { from, to, scale, crop } };
  });
}

function resize(call: NodeCall, request: Request, how: Interpolation): Tensor {
  const x = call.tensor(0);
  return changesOf(call, x, request).reduce<Tensor>((y, { axis, change }) => {
    const isSame = change.from === change.to && change.scale === 1 && how.coordinates !== "tf_crop_and_resize";
    return isSame ? y : resizeAxis(y, axis, change, how);
  }, x);
}

/** An input that may be there without elements. */
function listed(call: NodeCall, i: number): readonly number[] | undefined {
  const numbers = call.optionalNumbers(i);
  return numbers?.length === 0 ? undefined : numbers;
}

/** What came before there was a choice. */
const first: Interpolation = {
  mode: "nearest",
  coordinates: "asymmetric",
  nearest: "floor",
  cubicSlope: -0.75,
  excludesOutside: false,
  outside: 0,
  antialias: false,
};

const modeAttribute = oneOf(["nearest", "linear", "bilinear"]).or("nearest");
const modeOf = (mode: "nearest" | "linear" | "bilinear"): Interpolation["mode"] =>
  mode === "bilinear" ? "linear" : mode;
const byScales = (scales: readonly number[] | undefined): Request => ({ scales, sizes: undefined, region: undefined });

const attributes = {
  mode: oneOf(["nearest", "linear", "cubic"]).or("nearest"),
  coordinate_transformation_mode: oneOf(coordinateModes).or("half_pixel"),
  nearest_mode: oneOf(nearestModes).or("round_prefer_floor"),
  cubic_coeff_a: float.or(-0.75),
  exclude_outside: flag(false),
  extrapolation_value: float.or(0),
};

type ResizeAttributes = {
  readonly mode: Interpolation["mode"];
  readonly coordinate_transformation_mode: Interpolation["coordinates"];
  readonly nearest_mode: Interpolation["nearest"];
  readonly cubic_coeff_a: number;
  readonly exclude_outside: boolean;
  readonly extrapolation_value: number;
};

const interpolationOf = (given: ResizeAttributes, antialias = false): Interpolation => ({
  mode: given.mode,
  coordinates: given.coordinate_transformation_mode,
  nearest: given.nearest_mode,
  cubicSlope: given.cubic_coeff_a,
  excludesOutside: given.exclude_outside,
  outside: given.extrapolation_value,
  antialias,
});

const requestOf = (call: NodeCall): Request => ({
  region: listed(call, 1),
  scales: listed(call, 2),
  sizes: listed(call, 3),
});

const axesAttributes = {
  ...attributes,
  antialias: flag(false),
  axes: integers,
  keep_aspect_ratio_policy: oneOf(["stretch", "not_larger", "not_smaller"]).or("stretch"),
};

export const resizes: OperatorTable = {
  Resize: [
    operator({
      since: 10,
      numbers: [1],
      attributes: { mode: modeAttribute },
      build: (call, { mode }) => resize(call, byScales(call.numbers(1)), { ...first, mode: modeOf(mode) }),
    }),
    operator({
      since: 11,
      numbers: [1, 2, 3],
      attributes,
      build: (call, given) => resize(call, requestOf(call), interpolationOf(given)),
    }),
    operator({
      since: 18,
      numbers: [1, 2, 3],
      attributes: axesAttributes,
      build: (call, given) =>
        resize(
          call,
          { ...requestOf(call), axes: given.axes, policy: given.keep_aspect_ratio_policy },
          interpolationOf(given, given.antialias),
        ),
    }),
    operator({
      since: 19,
      numbers: [1, 2, 3],
      attributes: {
        ...axesAttributes,
        coordinate_transformation_mode: oneOf([...coordinateModes, "half_pixel_symmetric"]).or("half_pixel"),
      },
      build: (call, given) =>
        resize(
          call,
          { ...requestOf(call), axes: given.axes, policy: given.keep_aspect_ratio_policy },
          interpolationOf(given, given.antialias),
        ),
    }),
  ],
  Upsample: [
    operator({
      attributes: { width_scale: float.required, height_scale: float.required, mode: modeAttribute },
      build: (call, { width_scale: width, height_scale: height, mode }) =>
        resize(call, byScales([1, 1, height, width]), { ...first, mode: modeOf(mode) }),
    }),
    operator({
      since: 7,
      attributes: { scales: floats.required, mode: modeAttribute },
      build: (call, { scales, mode }) => resize(call, byScales(scales), { ...first, mode: modeOf(mode) }),
    }),
    operator({
      since: 9,
      numbers: [1],
      attributes: { mode: modeAttribute },
      build: (call, { mode }) => resize(call, byScales(call.numbers(1)), { ...first, mode: modeOf(mode) }),
    }),
  ],
};
