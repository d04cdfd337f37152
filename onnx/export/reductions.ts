/** Sums and largest elements. */
import { EvenkeelError } from "../../engine/index.ts";
import type { NodeOf } from "../../engine/graph/node.ts";
import { at } from "../../engine/graph/shape.ts";
import type { GraphWriter } from "./graphWriter.ts";
import { flipped } from "./integers.ts";
import { isFixed, nameOf } from "./sizes.ts";

export function reduce(w: GraphWriter, node: NodeOf<"reduce">): string {
  const { op, axes } = node.attributes;
  const x = w.value(node.inputs[0]);
  if (axes.length === 0) return x;
  const over = (operator: string, values: string): string =>
    w.op(operator, [values, w.constant("i64", [axes.length], axes)], { keepdims: { int: 1 } });
  switch (node.dtype) {
    case "f32":
      return op === "sum" ? over("ReduceSum", x) : largest(w, x, (values) => over("ReduceMax", values));
    case "i32":
      return op === "sum" ? wrappedSum(w, node, x, (values) => over("ReduceSum", values)) : over("ReduceMax", x);
    case "u32":
      if (op === "sum") return wrappedSum(w, node, x, (values) => over("ReduceSum", values));
      return flipped(w, over("ReduceMax", flipped(w, x)));
    case "bool":
      throw new EvenkeelError("dtype", `exportOnnx: ${nameOf(node)} folds truth values.`);
  }
}

/** The largest of floats, where NaN wins: in runtimes it may or may not. @param over the largest of values, wherever they go */
export function largest(w: GraphWriter, x: string, over: (values: string) => string): string {
  const isNaN = w.cast(over(w.cast(w.op("IsNaN", [x]), "i32")), "bool");
  return w.op("Where", [isNaN, w.number("f32", NaN), over(x)]);
}

/**
 * A sum that wraps. Runtimes add up integers in wider numbers and saturate, so that they are given parts of few bits, whose sums are within
 * 32, and the sums are put together.
 */
function wrappedSum(w: GraphWriter, node: NodeOf<"reduce">, x: string, sum: (values: string) => string): string {
  const sizes = w.sizes(node.inputs[0], ({ shape }) => node.attributes.axes.map((axis) => at(shape, axis)));
  // A free size counts as up to 65536.
  const terms = sizes.reduce((product, size) => product * (isFixed(size) ? size.fixed : 65536), 1);
  const bits = 31 - Math.ceil(Math.log2(Math.max(1, terms)));
  if (bits < 1) {
    throw new EvenkeelError("range", `exportOnnx: ${nameOf(node)} adds up ${terms} integers, more than can be exact.`);
  }
  const parts: string[] = [];
  for (let low = 0; low < 32; low += bits) {
    const width = Math.min(bits, 32 - low);
    const direction = { text: "RIGHT" } as const;
    const word = w.cast(x, "u32");
    const moved = low === 0 ? word : w.op("BitShift", [word, w.constant("u32", [], [low])], { direction });
    const part = w.op("BitwiseAnd", [w.cast(moved, "i32"), w.number("i32", 2 ** width - 1)]);
    parts.push(w.op("Mul", [sum(part), w.number("u32", 2 ** low)]));
  }
  return parts.reduce((all, part) => w.op("Add", [all, part]));
}
