import {
  add,
  conv1d,
  conv2d,
  conv3d,
  convTranspose1d,
  convTranspose2d,
  convTranspose3d,
  pad,
  reshape,
  slice,
  type Tensor,
} from "../../engine/index.ts";
import { integers } from "../build/attributes.ts";
import type { NodeCall } from "../build/nodeCall.ts";
import { operator, type OperatorTable } from "../build/operator.ts";
import { besideChannels, entry } from "./axes.ts";
import {
  convolutionAttributes,
  evenSides,
  type Sides,
  sidesOf,
  type WindowAttributes,
  windowOf,
} from "./windowGeometry.ts";

export type ConvolutionAttributes = WindowAttributes & { readonly group: number };

type Geometry = {
  readonly stride: readonly number[];
  readonly dilation: readonly number[];
  readonly padding: Sides;
  readonly groups: number;
};

const pair = <T>(list: readonly T[], otherwise: T): [T, T] => [list[0] ?? otherwise, list[1] ?? otherwise];

function overAxes(x: Tensor, w: Tensor, geometry: Geometry): Tensor {
  if (x.rank === 3) return conv1d(x, w, geometry);
  if (x.rank === 5) return conv3d(x, w, geometry);
  const { stride, dilation, padding, groups } = geometry;
  return conv2d(x, w, {
    stride: pair(stride, 1),
    dilation: pair(dilation, 1),
    padding: pair(padding, [0, 0] as const),
    groups,
  });
}

const transposedByRank = new Map([
  [3, convTranspose1d],
  [4, convTranspose2d],
  [5, convTranspose3d],
]);

/** x [N, C, ...] with filters w [O, C / groups, ...] over one to three axes. Negative padding takes elements away. */
export function convolve(call: NodeCall, x: Tensor, w: Tensor, attributes: ConvolutionAttributes): Tensor {
  const window = windowOf(w.shape.slice(2), attributes);
  if (window.size.length < 1 || window.size.length > 3) {
    throw call.error("shape", `convolves over ${window.size.length} axes, expected one to three.`);
  }
  const sides = sidesOf(call, x.shape.slice(2), window, attributes);
  const cut = sides.map(([low, high], i) => {
    return [Math.max(0, -low), entry(call, x.shape, i + 2) - Math.max(0, -high)] as const;
  });
  const padding: Sides = sides.map(([low, high]) => [Math.max(0, low), Math.max(0, high)]);
  return overAxes(slice(x, [null, null, ...cut]), w, { ...window, padding, groups: attributes.group });
}

const withBias = (call: NodeCall, y: Tensor): Tensor =>
  call.has(2) ? add(y, reshape(call.tensor(2), besideChannels(call.tensor(2).size, y.rank))) : y;

type TransposedAttributes = ConvolutionAttributes & {
  readonly output_padding: readonly number[] | undefined;
  readonly output_shape: readonly number[] | undefined;
};

/** What a convolution with the filters w [C, O / groups, ...] would have been given to make something like x. */
function convolveTransposed(call: NodeCall, attributes: TransposedAttributes): Tensor {
  const [x, w] = [call.tensor(0), call.tensor(1)];
  const window = windowOf(w.shape.slice(2), attributes);
  const { auto_pad: auto, group: groups, output_padding: extra, output_shape: wanted } = attributes;
  const full = window.reach.map(
    (reach, i) => entry(call, window.stride, i) * (entry(call, x.shape, i + 2) - 1) + (extra?.[i] ?? 0) + reach,
  );
  const isSame = auto === "SAME_UPPER" || auto === "SAME_LOWER";
  const output =
    wanted?.slice(-window.size.length) ??
    (isSame ? window.stride.map((step, i) => entry(call, x.shape, i + 2) * step) : undefined);
  const sides: Sides =
    output === undefined
      ? sidesOf(call, x.shape.slice(2), window, attributes)
      : full.map((size, i) =>
          evenSides(size - entry(call, output, i), auto === "SAME_UPPER" ? "SAME_UPPER" : "SAME_LOWER"),
        );
  // Zeros stand where more is wanted than the filters reach.
  const taken: Sides = sides.map(([low, high]) => [Math.max(0, low), Math.max(0, high)]);
  const added: Sides = sides.map(([low, high]) => [Math.max(0, -low), Math.max(0, -high)]);
  const convolveBack = transposedByRank.get(x.rank);
  if (convolveBack === undefined)
    throw call.error("shape", `convolves over ${x.rank - 2} axes, expected one to three.`);
  const y = convolveBack(x, w, {
    stride: window.stride,
    dilation: window.dilation,
    padding: taken,
    outputPadding: extra ?? 0,
    groups,
  });
  return withBias(call, pad(y, [[0, 0], [0, 0], ...added]));
}

export const convolutions: OperatorTable = {
  Conv: operator({
    attributes: convolutionAttributes,
    build: (call, attributes) => withBias(call, convolve(call, call.tensor(0), call.tensor(1), attributes)),
  }),
  ConvTranspose: operator({
    attributes: { ...convolutionAttributes, output_padding: integers, output_shape: integers },
    build: convolveTransposed,
  }),
};
