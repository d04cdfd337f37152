import { add, pad, reshape, slice, type Tensor } from "../../engine/index.ts";
import { integers } from "../build/attributes.ts";
import type { NodeCall } from "../build/nodeCall.ts";
import { operator, type OperatorTable } from "../build/operator.ts";
import { convolution, transposedConvolution } from "../standIns/windows.ts";
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
  return convolution(slice(x, [null, null, ...cut]), w, {
    stride: window.stride,
    dilation: window.dilation,
    padding: sides.map(([low, high]) => [Math.max(0, low), Math.max(0, high)]),
    groups: attributes.group,
  });
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
  const sizes = full.map((size, i) => size - (taken[i]?.[0] ?? 0) - (taken[i]?.[1] ?? 0));
  const shape = [entry(call, x.shape, 0), entry(call, w.shape, 1) * groups, ...sizes];
  const { stride, dilation } = window;
  const y = transposedConvolution(x, w, shape, { stride, dilation, padding: taken, groups });
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
