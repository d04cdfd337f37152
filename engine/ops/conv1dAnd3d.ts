/** Convolutions over one and three axes, as ones over two. */
import { EvenkeelError } from "../errors.ts";
import { at, formatShape } from "../graph/shape.ts";
import type { Tensor } from "../graph/tensor.ts";
import { convOfRole } from "./conv.ts";
import { requireDtype } from "./elementwise.ts";
import { permute, reshape, stack } from "./movement.ts";
import { type AxisWindows, type Padding, type PerAxis, perAxis, windowsAlong, windowTaps } from "./windows.ts";

/** Options of `conv1d` and `conv3d`. */
export type ConvOptions = {
  /** Step of the window, one number or one an axis. Default 1. */
  readonly stride?: PerAxis | undefined;
  /**
   * Zeros around x: one number for all sides, one entry an axis (a number or `[before, after]`), or "same": output as large as the input
   * divided by the stride. Default 0.
   */
  readonly padding?: Padding | undefined;
  /** Distance of kernel taps, one number or one an axis. Default 1. */
  readonly dilation?: PerAxis | undefined;
  /** Independent groups of channels. Default 1. */
  readonly groups?: number | undefined;
};

/**
 * 1-D cross-correlation: x [N, groups * C, L], w [O, C, k] to [N, O, L'] with
 * L' = floor((L + before + after - dilation * (k - 1) - 1) / stride) + 1. f32.
 * @throws EvenkeelError `shape` or `range` if channels, groups or sizes don't fit.
 * @example
 * ```ts
 * const differences = conv1d(tensor([[[0, 1, 4, 9]]]), tensor([[[-1, 1]]]));
 * console.log(await differences.array()); // [ [ [ 1, 3, 5 ] ] ]
 * ```
 */
export function conv1d(x: Tensor, w: Tensor, options: ConvOptions = {}): Tensor {
  const { windows, groups } = windowsOf("conv1d", x, w, options);
  const one = at(windows, 0);
  const lift = (y: Tensor): Tensor => reshape(y, [at(y.shape, 0), at(y.shape, 1), 1, at(y.shape, 2)]);
  const y = convOfRole("forward", geometryOf(noWindows, one, groups), lift(x), lift(w));
  return reshape(y, [at(x.shape, 0), at(w.shape, 0), one.output]);
}

/**
 * 3-D cross-correlation: x [N, groups * C, D, H, W], w [O, C, kd, kh, kw] to [N, O, D', H', W'], with sizes as `conv2d`'s. f32. Computed as
 * one 2-D convolution, in which the elements of a window along D are further channels: they are copied side by side, kd times x.
 * @throws EvenkeelError `shape` or `range` if channels, groups or sizes don't fit.
 * @example
 * ```ts
 * const y = conv3d(ones([1, 1, 4, 4, 4]), ones([2, 1, 3, 3, 3]), { padding: "same" });
 * console.log(y.shape, await reduceMax(y).item()); // [ 1, 2, 4, 4, 4 ] 27
 * ```
 */
export function conv3d(x: Tensor, w: Tensor, options: ConvOptions = {}): Tensor {
  const { windows, groups } = windowsOf("conv3d", x, w, options);
  const [depth, height, width] = [at(windows, 0), at(windows, 1), at(windows, 2)];
  const [images, channels] = [at(x.shape, 0), at(x.shape, 1)];
  // [N, C, kd, D', H, W] to [N * D', C * kd, H, W]
  const taps = permute(stack(windowTaps(x, [depth], 0), 2), [0, 3, 1, 2, 4, 5]);
  const flat = reshape(taps, [images * depth.output, channels * depth.size, height.input, width.input]);
  const filters = at(w.shape, 0);
  const filter = reshape(w, [filters, at(w.shape, 1) * depth.size, height.size, width.size]);
  const y = convOfRole("forward", geometryOf(height, width, groups), flat, filter);
  return permute(reshape(y, [images, depth.output, filters, height.output, width.output]), [0, 2, 1, 3, 4]);
}

/** @internal The windows along an axis of size 1 that isn't there. */
export const noWindows: AxisWindows = {
  axis: 2,
  input: 1,
  size: 1,
  stride: 1,
  dilation: 1,
  before: 0,
  after: 0,
  output: 1,
};

/** @internal What the primitive is told of windows along two axes. */
export function geometryOf(y: AxisWindows, x: AxisWindows, groups: number): Parameters<typeof convOfRole>[1] {
  return {
    inputSize: [y.input, x.input],
    kernelSize: [y.size, x.size],
    outputSize: [y.output, x.output],
    stride: [y.stride, x.stride],
    padding: [y.before, x.before],
    dilation: [y.dilation, x.dilation],
    groups,
  };
}

const axesOf = { conv1d: ["L"], conv3d: ["D", "H", "W"] } as const;

function windowsOf(
  operation: keyof typeof axesOf,
  x: Tensor,
  w: Tensor,
  { stride = 1, padding = 0, dilation = 1, groups = 1 }: ConvOptions,
): { readonly windows: AxisWindows[]; readonly groups: number } {
  const axes = axesOf[operation];
  const shapes = `x ${formatShape(x.shape)}, w ${formatShape(w.shape)}`;
  if (x.rank !== axes.length + 2 || w.rank !== axes.length + 2) {
    throw new EvenkeelError(
      "shape",
      `${operation}: expected x [N, C, ${axes.join(", ")}] and w [O, C, ${axes.length === 1 ? "k" : axes.map((axis) => `k${axis.toLowerCase()}`).join(", ")}], got ${shapes}.`,
    );
  }
  requireDtype(`${operation} (x)`, x.dtype, ["f32"]);
  requireDtype(`${operation} (w)`, w.dtype, ["f32"]);
  perAxis(operation, "groups", groups, 1, 1);
  const [channels, filters, perGroup] = [at(x.shape, 1), at(w.shape, 0), at(w.shape, 1)];
  if (channels !== perGroup * groups || filters % groups !== 0) {
    throw new EvenkeelError(
      "shape",
      `${operation}: x has ${channels} channels, w expects ${perGroup} in each of ${groups} groups and makes ${filters} (${shapes}).`,
    );
  }
  const size = w.shape.slice(2);
  return { windows: windowsAlong(operation, x.shape, axes.length, { size, stride, padding, dilation }), groups };
}
