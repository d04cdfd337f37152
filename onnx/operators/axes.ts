/** Axes and sizes as operators count them. */
import type { Shape } from "../../engine/index.ts";
import type { NodeCall } from "../build/nodeCall.ts";

/** An axis counted from the front. @throws EvenkeelError `axis` if there is no such axis. */
export function axisOf(call: NodeCall, axis: number, rank: number): number {
  if (!Number.isInteger(axis) || axis < -rank || axis >= rank) {
    throw call.error("axis", `axis ${axis} is out of range for rank ${rank}.`);
  }
  return axis < 0 ? axis + rank : axis;
}

/** `list[i]`, which operators check to be there. @throws EvenkeelError `shape` if it isn't. */
export function entry(call: NodeCall, list: readonly number[], i: number): number {
  const value = list[i];
  if (value === undefined) throw call.error("shape", `[${list.join(", ")}] has no entry ${i}.`);
  return value;
}

export const sizeOf = (shape: Shape): number => shape.reduce((size, extent) => size * extent, 1);

/** 0, 1, ..., n - 1. */
export const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

/** The shape `[.., 1, ..]` by which a vector of channels stands beside [N, C, ..]. */
export const besideChannels = (channels: number, rank: number): number[] => [
  channels,
  ...new Array<number>(Math.max(0, rank - 2)).fill(1),
];
