/** Primitives that give elements another place, and those that make them of nothing. */
import type { NodeOf } from "../../engine/graph/node.ts";
import { at } from "../../engine/graph/shape.ts";
import { bytesOfData, type GraphWriter, typeOf } from "./graphWriter.ts";
import { fixedSize, isFixed, type Size, sumOf, timesSize } from "./sizes.ts";

export const constant = (w: GraphWriter, { attributes: { dtype, shape, data } }: NodeOf<"constant">): string =>
  w.array(typeOf(dtype), shape, bytesOfData(data));

export const literal = (w: GraphWriter, node: NodeOf<"literal">): string => w.literal(node);

export function iota(w: GraphWriter, node: NodeOf<"iota">): string {
  const { axis, dtype } = node.attributes;
  const shape = w.shape(node);
  const number = (value: number): string => w.number("i32", value);
  const line = w.op("Range", [number(0), w.count(at(shape, axis)), number(1)]);
  const typed = dtype === "f32" ? w.cast(line, "f32") : line;
  const along = shape.map((size, i) => (i === axis ? size : fixedSize(1)));
  return w.op("Expand", [w.reshape(typed, along), w.vector(shape)]);
}

export const reshape = (w: GraphWriter, node: NodeOf<"reshape">): string =>
  w.reshape(w.value(node.inputs[0]), w.shape(node));

export const permute = (w: GraphWriter, node: NodeOf<"permute">): string => {
  const x = w.value(node.inputs[0]);
  const { order } = node.attributes;
  return order.every((axis, i) => axis === i) ? x : w.op("Transpose", [x], { perm: { ints: order } });
};

export const expand = (w: GraphWriter, node: NodeOf<"expand">): string =>
  w.op("Expand", [w.value(node.inputs[0]), w.vector(w.shape(node))]);

/** Before the first element, however long the axis is. */
const beforeAll = -(2 ** 31);

export function slice(w: GraphWriter, node: NodeOf<"slice">): string {
  const { step } = node.attributes;
  const [input] = node.inputs;
  const [extents, sizes] = [w.shape(input), w.shape(node)];
  const starts = w.sizes(node, (of) => (of.kind === "slice" ? of.attributes.start : []));
  const isCut = (axis: number): boolean => {
    const [start, size, extent] = [at(starts, axis), at(sizes, axis), at(extents, axis)];
    const isSame = size.fixed === extent.fixed && size.perFree === extent.perFree;
    return !isSame || start.fixed !== 0 || start.perFree !== 0 || at(step, axis) !== 1;
  };
  const axes = step.map((_, axis) => axis).filter(isCut);
  if (axes.length === 0) return w.value(input);
  // One place behind the last element, in the direction of the steps.
  const ends = axes.map((axis): Size => {
    const by = at(step, axis);
    const last = sumOf(at(starts, axis), timesSize(sumOf(at(sizes, axis), fixedSize(-1)), by));
    const end = sumOf(last, fixedSize(Math.sign(by)));
    return isFixed(end) && end.fixed < 0 ? fixedSize(beforeAll) : end;
  });
  const of = <T>(list: readonly T[]): T[] => axes.map((axis) => at(list, axis));
  const fixed = (numbers: readonly number[]): string => w.vector(numbers.map(fixedSize));
  return w.op("Slice", [w.value(input), w.vector(of(starts)), w.vector(ends), fixed(axes), fixed(of(step))]);
}

export function pad(w: GraphWriter, node: NodeOf<"pad">): string {
  const sides = w.sizes(node, (of) => (of.kind === "pad" ? [...of.attributes.low, ...of.attributes.high] : []));
  return w.op("Pad", [w.value(node.inputs[0]), w.vector(sides), w.number(node.dtype, node.attributes.value)]);
}

export function concat(w: GraphWriter, node: NodeOf<"concat">): string {
  const parts = node.inputs.filter(({ shape }) => !shape.includes(0)).map((input) => w.value(input));
  const [first = ""] = parts;
  return parts.length === 1 ? first : w.op("Concat", parts, { axis: { int: node.attributes.axis } });
}
