/** How windows move over [N, C, ...]: what convolutions and pools say in the same attributes. */
import { integer, integers, oneOf } from "../build/attributes.ts";
import type { NodeCall } from "../build/nodeCall.ts";
import { entry } from "./axes.ts";

export type Sides = readonly (readonly [number, number])[];

export const windowAttributes = {
  auto_pad: oneOf(["NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"]).or("NOTSET"),
  kernel_shape: integers,
  pads: integers,
  strides: integers,
};

export const convolutionAttributes = { ...windowAttributes, dilations: integers, group: integer.or(1) };

export type WindowAttributes = {
  readonly auto_pad: "NOTSET" | "SAME_UPPER" | "SAME_LOWER" | "VALID";
  readonly pads: readonly number[] | undefined;
  readonly strides: readonly number[] | undefined;
  readonly dilations?: readonly number[] | undefined;
};

export type Window = {
  readonly size: readonly number[];
  readonly stride: readonly number[];
  readonly dilation: readonly number[];
  /** How far a window reaches along each axis. */
  readonly reach: readonly number[];
};

export function windowOf(size: readonly number[], { strides, dilations }: WindowAttributes): Window {
  const dilation = dilations ?? size.map(() => 1);
  return {
    size,
    stride: strides ?? size.map(() => 1),
    dilation,
    reach: size.map((extent, i) => (dilation[i] ?? 1) * (extent - 1) + 1),
  };
}

/** Elements that are put before and behind each axis, of `pads` (all before, then all behind) or as `auto_pad` says. */
export function sidesOf(
  call: NodeCall,
  input: readonly number[],
  { size, stride, reach }: Window,
  { auto_pad: auto, pads }: WindowAttributes,
): Sides {
  const given = pads ?? new Array<number>(2 * size.length).fill(0);
  return size.map((_, i) => {
    switch (auto) {
      case "VALID":
        return [0, 0];
      case "NOTSET":
        return [entry(call, given, i), entry(call, given, i + size.length)];
      case "SAME_UPPER":
      case "SAME_LOWER": {
        const [extent, step] = [entry(call, input, i), entry(call, stride, i)];
        const total = Math.max(0, (Math.ceil(extent / step) - 1) * step + entry(call, reach, i) - extent);
        return evenSides(total, auto);
      }
    }
  });
}

/** The odd one of `total` elements goes behind (upper) or before (lower). */
export function evenSides(total: number, auto: "SAME_UPPER" | "SAME_LOWER"): readonly [number, number] {
  const [fewer, more] = [Math.floor(total / 2), total - Math.floor(total / 2)];
  return auto === "SAME_UPPER" ? [fewer, more] : [more, fewer];
}
