/** Transposed convolutions: what a convolution's derivative by its input is, as an operation of its own. */
import { EvenkeelError } from "../errors.ts";
import { at, formatShape } from "../graph/shape.ts";
import type { Tensor } from "../graph/tensor.ts";
import { convOfRole } from "./conv.ts";
import { geometryOf, noWindows } from "./conv1dAnd3d.ts";
import { requireDtype } from "./elementwise.ts";
import { permute, reshape, slice } from "./movement.ts";
import { addWindows, type AxisWindows, type Padding, type PerAxis, perAxis, reachOf, sidesOf } from "./windows.ts";

/** Options of transposed convolutions. They describe the convolution whose input is this one's result. */
export type ConvTransposeOptions = {
  /** Step of the window over the result, one number or one an axis. Default 1. */
  readonly stride?: PerAxis | undefined;
  /** What the result lacks at its sides: one number, or one entry an axis (a number or `[before, after]`). Default 0. */
  readonly padding?: Exclude<Padding, "same"> | undefined;
  /** Elements that the result has more at the end of each axis: of the sizes that give x, the smallest is meant. Default 0. */
  readonly outputPadding?: PerAxis | undefined;
  /** Distance of kernel taps, one number or one an axis. Default 1. */
  readonly dilation?: PerAxis | undefined;
  /** Independent groups of channels. Default 1. */
  readonly groups?: number | undefined;
};

/**
 * 1-D transposed convolution: x [N, I, L], w [I, C, k] to [N, groups * C, L'] with
 * L' = (L - 1) * stride + dilation * (k - 1) + 1 + outputPadding - before - after. f32.
 * @throws EvenkeelError `shape` or `range` if channels, groups or sizes don't fit.
 * @example
 * ```ts
 * const spread = convTranspose1d(tensor([[[1, 2]]]), tensor([[[1, 10]]]), { stride: 2 });
 * console.log(await spread.array()); // [ [ [ 1, 10, 2, 20 ] ] ]
 * ```
 */
export function convTranspose1d(x: Tensor, w: Tensor, options: ConvTransposeOptions = {}): Tensor {
  const { windows, groups } = windowsOf("convTranspose1d", x, w, options);
  const one = at(windows, 0);
  const lift = (y: Tensor): Tensor => reshape(y, [at(y.shape, 0), at(y.shape, 1), 1, at(y.shape, 2)]);
  const y = convOfRole("inputGradient", geometryOf(noWindows, one, groups), lift(x), lift(w));
  return reshape(y, [at(x.shape, 0), at(w.shape, 1) * groups, one.input]);
}

/**
 * 2-D transposed convolution, PyTorch's `conv_transpose2d`: x [N, I, H, W], w [I, C, kh, kw] to [N, groups * C, H', W'] with
 * H' = (H - 1) * stride + dilation * (kh - 1) + 1 + outputPadding - top - bottom. It is the derivative of `conv2d` by its input. f32.
 * @throws EvenkeelError `shape` or `range` if channels, groups or sizes don't fit.
 * @example
 * ```ts
 * const y = convTranspose2d(tensor([[[[1, 2]]]]), ones([1, 1, 2, 2]), { stride: 2 });
 * console.log(await y.reshape([2, 4]).array()); // [ [ 1, 1, 2, 2 ], [ 1, 1, 2, 2 ] ]
 * ```
 */
export function convTranspose2d(x: Tensor, w: Tensor, options: ConvTransposeOptions = {}): Tensor {
  const { windows, groups } = windowsOf("convTranspose2d", x, w, options);
  return convOfRole("inputGradient", geometryOf(at(windows, 0), at(windows, 1), groups), x, w);
}

/**
 * 3-D transposed convolution: x [N, I, D, H, W], w [I, C, kd, kh, kw] to [N, groups * C, D', H', W'], with sizes as `convTranspose2d`'s. f32.
 * @throws EvenkeelError `shape` or `range` if channels, groups or sizes don't fit.
 * @example
 * ```ts
 * const y = convTranspose3d(ones([1, 3, 2, 2, 2]), ones([3, 1, 2, 2, 2]), { stride: 2 });
 * console.log(y.shape, await reduceMax(y).item()); // [ 1, 1, 4, 4, 4 ] 3
 * ```
 */
export function convTranspose3d(x: Tensor, w: Tensor, options: ConvTransposeOptions = {}): Tensor {
  const { windows, groups } = windowsOf("convTranspose3d", x, w, options);
  const [depth, height, width] = [at(windows, 0), at(windows, 1), at(windows, 2)];
  const [images, inputs] = [at(x.shape, 0), at(x.shape, 1)];
  const channels = at(w.shape, 1) * groups;
  // What a window brings along D is in channels of its own: [N * D, C * kd, H', W']
  const flat = reshape(permute(x, [0, 2, 1, 3, 4]), [images * depth.output, inputs, height.output, width.output]);
  const filter = reshape(w, [inputs, at(w.shape, 1) * depth.size, height.size, width.size]);
  const y = convOfRole("inputGradient", geometryOf(height, width, groups), flat, filter);
  const taps = permute(
    reshape(y, [images, depth.output, channels, depth.size, height.input, width.input]),
    [0, 2, 3, 1, 4, 5],
  );
  const parts = Array.from({ length: depth.size }, (_, tap) =>
    reshape(slice(taps, [null, null, [tap, tap + 1]]), [images, channels, depth.output, height.input, width.input]),
  );
  return addWindows(parts, [depth]);
}

const axesOf = { convTranspose1d: ["L"], convTranspose2d: ["H", "W"], convTranspose3d: ["D", "H", "W"] } as const;

/** The windows of the convolution that gives x: its input is the result. */
function windowsOf(
  operation: keyof typeof axesOf,
  x: Tensor,
  w: Tensor,
  options: ConvTransposeOptions,
): { readonly windows: AxisWindows[]; readonly groups: number } {
  const axes = axesOf[operation];
  const rank = axes.length;
  const shapes = `x ${formatShape(x.shape)}, w ${formatShape(w.shape)}`;
  if (x.rank !== rank + 2 || w.rank !== rank + 2) {
    throw new EvenkeelError(
      "shape",
      `${operation}: expected x [N, I, ${axes.join(", ")}] and w [I, C, ${axes.length === 1 ? "k" : axes.map((axis) => `k${axis.toLowerCase()}`).join(", ")}], got ${shapes}.`,
    );
  }
  requireDtype(`${operation} (x)`, x.dtype, ["f32"]);
  requireDtype(`${operation} (w)`, w.dtype, ["f32"]);
  const { groups = 1 } = options;
  const given = (name: "stride" | "dilation" | "outputPadding", otherwise: number, least: number): number[] =>
    perAxis(operation, name, options[name] ?? otherwise, rank, least);
  const [stride, dilation] = [given("stride", 1, 1), given("dilation", 1, 1)];
  const more = given("outputPadding", 0, 0);
  const sides = sidesOf(operation, options.padding ?? 0, rank);
  perAxis(operation, "groups", groups, 1, 1);
  const channels = at(x.shape, 1);
  if (channels !== at(w.shape, 0) || channels % groups !== 0) {
    throw new EvenkeelError(
      "shape",
      `${operation}: x has ${channels} channels, w expects ${at(w.shape, 0)} in ${groups} groups (${shapes}).`,
    );
  }
  const windows = axes.map((name, i): AxisWindows => {
    const axis = i + 2;
    const [before, after] = at(sides, i);
    const one = {
      size: at(w.shape, axis),
      stride: at(stride, i),
      dilation: at(dilation, i),
      output: at(x.shape, axis),
    };
    const input = (one.output - 1) * one.stride + reachOf(one) + at(more, i) - before - after;
    if (one.size < 1 || one.output < 1 || input < 1) {
      throw new EvenkeelError(
        "shape",
        `${operation}: nothing is left of axis ${name}: ${one.output} windows of ${one.size} with stride ${one.stride}, dilation ${one.dilation}, ` +
          `outputPadding ${at(more, i)} and padding ${before} and ${after} (${shapes}).`,
      );
    }
    return { axis, input, before, after, ...one };
  });
  return { windows, groups };
}
