/** Elements that are taken from, or put to, places that are values themselves. */
import type { NodeOf } from "../../engine/graph/node.ts";
import { neutralElement } from "../../engine/graph/neutralElement.ts";
import { at } from "../../engine/graph/shape.ts";
import type { GraphWriter } from "./graphWriter.ts";
import { flipped } from "./integers.ts";
import { largest } from "./reductions.ts";
import { fixedSize, sumOf } from "./sizes.ts";

export function gather(w: GraphWriter, node: NodeOf<"gather">): string {
  const { axis } = node.attributes;
  const [x, index] = node.inputs;
  const last = w.count(sumOf(at(w.shape(x), axis), fixedSize(-1)));
  // An index out of range counts as the nearest in range.
  const within = w.op("Clip", [w.value(index), w.number("i32", 0), last]);
  const isSameForAll = index.shape.every((size, i) => i === axis || size === 1);
  const along = { axis: { int: axis } };
  if (isSameForAll) return w.op("Gather", [w.value(x), w.reshape(within, [at(w.shape(index), axis)])], along);
  return w.op("GatherElements", [w.value(x), w.op("Expand", [within, w.vector(w.shape(node))])], along);
}

export function scatter(w: GraphWriter, node: NodeOf<"scatter">): string {
  const { op, axis } = node.attributes;
  const [values, index] = node.inputs;
  const sizes = w.shape(node);
  const [size, zero] = [at(sizes, axis), w.number("i32", 0)];
  // What has an index out of range goes to a row more, which is cut off.
  const end = w.count(size);
  const given = w.value(index);
  const isWithin = w.op("And", [w.op("LessOrEqual", [zero, given]), w.op("Less", [given, end])]);
  const rows = w.op("Expand", [w.op("Where", [isWithin, given, end]), w.vector(w.shape(values))]);
  const wide = sizes.map((each, i) => (i === axis ? sumOf(each, fixedSize(1)) : each));
  const put = (elements: string, into: string, reduction: "add" | "max"): string => {
    const all = w.op("ScatterElements", [into, rows, elements], {
      axis: { int: axis },
      reduction: { text: reduction },
    });
    const [from, to, along] = [fixedSize(0), size, fixedSize(axis)].map((each) => w.vector([each]));
    return w.op("Slice", [all, from ?? "", to ?? "", along ?? ""]);
  };
  const elements = w.value(values);
  const neutral = w.filled(node.dtype, wide, neutralElement(op, node.dtype));
  if (op === "sum") return put(elements, neutral, "add");
  switch (node.dtype) {
    case "f32": {
      const none = w.filled("i32", wide, 0);
      return largest(w, elements, (of) => put(of, of === elements ? neutral : none, "max"));
    }
    case "u32":
      return flipped(w, put(flipped(w, elements), flipped(w, neutral), "max"));
    case "i32":
    case "bool":
      return put(elements, neutral, "max");
  }
}
