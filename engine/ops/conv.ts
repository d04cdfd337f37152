import { EvenkeelError } from "../errors.ts";
import { makeNode } from "../graph/graph.ts";
import type { ConvGeometry, ConvRole } from "../graph/node.ts";
import { at, formatShape } from "../graph/shape.ts";
import { Tensor } from "../graph/tensor.ts";
import { requireDtype } from "./elementwise.ts";

/** Options of `conv2d`. */
export type Conv2dOptions = {
  /** Step of the window, [y, x] or one number. Default 1. */
  readonly stride?: number | readonly [number, number];
  /**
   * Zeros around x: one number for all sides, [y, x], [[top, bottom], [left, right]], or "same": output as large as
   * the input divided by the stride. Default 0.
   */
  readonly padding?:
    | "same"
    | number
    | readonly [number, number]
    | readonly [readonly [number, number], readonly [number, number]];
  /** Distance of kernel taps, [y, x] or one number. Default 1. */
  readonly dilation?: number | readonly [number, number];
  /** Independent groups of channels. Default 1. */
  readonly groups?: number;
};

const both = (value: number | readonly [number, number]): readonly [number, number] =>
  typeof value === "number" ? [value, value] : value;

/** @internal One of the three partial derivatives of <conv(x, w), y>. */
export function convOfRole(role: ConvRole, geometry: ConvGeometry, a: Tensor, b: Tensor): Tensor {
  return new Tensor(makeNode("conv", [a.node, b.node], { role, geometry }));
}

/**
 * 2-D cross-correlation (what networks call convolution): x [N, groups * C, H, W], w [O, C, kh, kw] to [N, O, H', W'] with
 * H' = floor((H + top + bottom - dilation * (kh - 1) - 1) / stride) + 1. f32.
 * @throws EvenkeelError `shape` if channels, groups or sizes don't fit.
 * @example
 * ```ts
 * const edges = conv2d(tensor([[[[0, 0, 1, 1]]]]), tensor([[[[-1, 1]]]]));
 * console.log(edges.shape, await edges.reshape([-1]).array()); // [ 1, 1, 1, 3 ] [ 0, 1, 0 ]
 * ```
 */
export function conv2d(x: Tensor, w: Tensor, options: Conv2dOptions = {}): Tensor {
  const shapes = `x ${formatShape(x.shape)}, w ${formatShape(w.shape)}`;
  if (x.rank !== 4 || w.rank !== 4) {
    throw new EvenkeelError("shape", `conv2d: expected x [N, C, H, W] and w [O, C, kh, kw], got ${shapes}.`);
  }
  requireDtype("conv2d (x)", x.dtype, ["f32"]);
  requireDtype("conv2d (w)", w.dtype, ["f32"]);
  const [stride, dilation, groups] = [both(options.stride ?? 1), both(options.dilation ?? 1), options.groups ?? 1];
  for (const [name, values, least] of [
    ["stride", stride, 1],
    ["dilation", dilation, 1],
    ["groups", [groups], 1],
  ] as const) {
    if (values.some((value) => !Number.isInteger(value) || value < least)) {
      throw new EvenkeelError(
        "range",
        `conv2d: ${name} ${formatShape(values)} must be whole numbers of at least ${least}.`,
      );
    }
  }
  const channels = at(x.shape, 1);
  const [outChannels, kernelChannels] = [at(w.shape, 0), at(w.shape, 1)];
  if (channels !== kernelChannels * groups || outChannels % groups !== 0) {
    throw new EvenkeelError(
      "shape",
      `conv2d: x has ${channels} channels, w expects ${kernelChannels} in each of ${groups} groups and makes ${outChannels} (${shapes}).`,
    );
  }
  const inputSize = [at(x.shape, 2), at(x.shape, 3)] as const;
  const kernelSize = [at(w.shape, 2), at(w.shape, 3)] as const;
  if (kernelSize[0] === 0 || kernelSize[1] === 0) {
    throw new EvenkeelError(
      "shape",
      `conv2d: the kernel has no elements: w ${formatShape(w.shape)} is [O, C, kh, kw], and kh and kw must be at least 1.`,
    );
  }
  const reach = [at(dilation, 0) * (kernelSize[0] - 1) + 1, at(dilation, 1) * (kernelSize[1] - 1) + 1] as const;
  const sides = resolvePadding(options.padding ?? 0, inputSize, reach, stride);
  const outputSize = ([0, 1] as const).map((d) => {
    const room = inputSize[d] + sides[d][0] + sides[d][1] - reach[d];
    if (room < 0) {
      throw new EvenkeelError(
        "shape",
        `conv2d: the kernel (reach ${formatShape(reach)}) is larger than the padded input: ${shapes}.`,
      );
    }
    return Math.floor(room / stride[d]) + 1;
  }) as [number, number];
  const padding = [sides[0][0], sides[1][0]] as const;
  return convOfRole("forward", { inputSize, kernelSize, outputSize, stride, padding, dilation, groups }, x, w);
}

type Sides = readonly [readonly [number, number], readonly [number, number]];

function resolvePadding(
  padding: NonNullable<Conv2dOptions["padding"]>,
  inputSize: readonly [number, number],
  reach: readonly [number, number],
  stride: readonly [number, number],
): Sides {
  const same = (d: 0 | 1): readonly [number, number] => {
    const total = Math.max(0, (Math.ceil(inputSize[d] / stride[d]) - 1) * stride[d] + reach[d] - inputSize[d]);
    return [Math.floor(total / 2), Math.ceil(total / 2)];
  };
  if (padding === "same") return [same(0), same(1)];
  const sides: Sides =
    typeof padding === "number"
      ? [
          [padding, padding],
          [padding, padding],
        ]
      : [both(padding[0]), both(padding[1])];
  if (sides.flat().some((value) => !Number.isInteger(value) || value < 0)) {
    throw new EvenkeelError("range", `conv2d: padding ${JSON.stringify(padding)} must be whole numbers of at least 0.`);
  }
  return sides;
}
