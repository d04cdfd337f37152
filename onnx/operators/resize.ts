/** Images and other arrays made larger or smaller by interpolation, one axis after the other. */
import { resize as resizeTo, type ResizeCoordinates, type Tensor } from "../../engine/index.ts";
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
  /** What is given: the other follows from it, unless sizes were fitted to a common scale. */
  readonly given: "size" | "scale" | "both";
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

const namedCoordinates: { readonly [K in Interpolation["coordinates"]]?: ResizeCoordinates } = {
  half_pixel: "halfPixel",
  half_pixel_symmetric: "halfPixelSymmetric",
  asymmetric: "asymmetric",
};

const roundings = {
  floor: "floor",
  ceil: "ceil",
  round_prefer_floor: "preferFloor",
  round_prefer_ceil: "preferCeil",
} as const;

/** x with one axis resized. */
function resizeAxis(x: Tensor, axis: number, change: AxisChange, how: Interpolation): Tensor {
  const { given } = change;
  const named = given === "both" ? undefined : namedCoordinates[how.coordinates];
  return resizeTo(x, {
    axes: [axis],
    ...(given === "scale" ? { scale: [change.scale] } : { size: [change.to] }),
    mode: how.mode,
    coordinates: named ?? ((element) => sourceOf(element, change, how)),
    rounding: roundings[how.nearest],
    cubicCoefficient: how.cubicSlope,
    excludeOutside: how.excludesOutside,
    outside: how.coordinates === "tf_crop_and_resize" ? how.outside : undefined,
    antialias: how.antialias,
  });
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
    const what = isFitted ? "both" : scales === undefined ? "size" : "scale";
    return { axis, change: { from, to, scale, crop, given: what } as const };
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
