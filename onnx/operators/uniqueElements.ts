import type { NodeCall, Result } from "../build/nodeCall.ts";
import { axisOf, entry, sizeOf, upTo } from "./axes.ts";

/**
 * ONNX's `Unique`: the distinct elements of a known value, or its distinct parts along an axis; where each is first; for each element or
 * part, which it is; and how often each occurs.
 */
export function uniqueElements(call: NodeCall, axis: number | undefined, sorted: boolean): readonly Result[] {
  const { type, shape } = call.value(0);
  const numbers = call.numbers(0);
  const parts = axis === undefined ? numbers.map((value) => [value]) : partsAlong(call, axis, shape, numbers);
  const places = new Map<string, number>();
  parts.forEach((part, i) => {
    const key = part.join();
    if (!places.has(key)) places.set(key, i);
  });
  const part = (place: number): readonly number[] => parts[place] ?? [];
  const firsts = [...places.values()];
  if (sorted) firsts.sort((a, b) => compareParts(part(a), part(b)));
  const order = new Map(firsts.map((place, i) => [part(place).join(), i]));
  const which = parts.map((each) => order.get(each.join()) ?? 0);
  const counts = firsts.map(() => 0);
  for (const i of which) counts[i] = (counts[i] ?? 0) + 1;
  const list = (values: readonly number[]): Result => call.known("i64", [values.length], Float64Array.from(values));
  const distinct = firsts.map(part);
  const values =
    axis === undefined
      ? call.known(type, [firsts.length], Float64Array.from(distinct.flat()))
      : call.known(type, ...joinedAlong(axisOf(call, axis, shape.length), shape, distinct));
  return [values, list(firsts), list(which), list(counts)];
}

function compareParts(a: readonly number[], b: readonly number[]): number {
  const i = a.findIndex((value, k) => value !== b[k]);
  return i < 0 ? 0 : (a[i] ?? 0) - (b[i] ?? 0);
}

/** The elements at each place of an axis, in row-major order. */
function partsAlong(call: NodeCall, axis: number, shape: readonly number[], numbers: readonly number[]): number[][] {
  const along = axisOf(call, axis, shape.length);
  const size = entry(call, shape, along);
  const inner = sizeOf(shape.slice(along + 1));
  return upTo(size).map((place) => numbers.filter((_, i) => Math.floor(i / inner) % size === place));
}

/** The opposite: parts side by side along an axis. */
function joinedAlong(
  axis: number,
  shape: readonly number[],
  parts: readonly (readonly number[])[],
): [shape: number[], data: Float64Array] {
  const result = shape.map((size, i) => (i === axis ? parts.length : size));
  const inner = sizeOf(shape.slice(axis + 1));
  const data = new Float64Array(sizeOf(result));
  for (let i = 0; i < data.length; i++) {
    const [outer, place, rest] = [
      Math.floor(i / inner / parts.length),
      Math.floor(i / inner) % parts.length,
      i % inner,
    ];
    data[i] = parts[place]?.[outer * inner + rest] ?? 0;
  }
  return [result, data];
}
