/** Loops as `Scan`, which takes and gives rows in either direction. */
import type { LoopCall } from "../../engine/graph/loops.ts";
import type { Loop, LoopResult, Node, NodeOf } from "../../engine/graph/node.ts";
import { at } from "../../engine/graph/shape.ts";
import type { AttributeSpec, ValueSpec } from "../format/writeModel.ts";
import { type GraphWriter, typeOf } from "./graphWriter.ts";
import { fixedSize } from "./sizes.ts";

/** Writes nodes into a graph. */
export type WriteNodes = (w: GraphWriter, outputs: readonly Node[]) => void;

/** The results of one call of a loop. */
export function writeLoop(w: GraphWriter, call: LoopCall, write: WriteNodes): void {
  const { loop, inputs, results } = call;
  if (loop.length === 0) {
    for (const result of results) w.setValue(result, withoutSteps(w, result, inputs));
    return;
  }
  const inner = w.inner();
  const own = (prefix: string, node: Node): ValueSpec => {
    const name = w.context.newName(prefix);
    return { name, type: typeOf(node.dtype), shape: null };
  };
  const taken = loop.body.inputs.slice(0, loop.carried + loop.rows).map((input) => own("row", input));
  loop.body.inputs.forEach((input, i) => {
    inner.setValue(input, taken[i]?.name ?? w.value(at(inputs, i)));
  });
  // What each step gives: what is carried on, then a row for each result that isn't what is carried out in the end.
  const gathered = results.filter(({ attributes }) => attributes.result.kind !== "carry");
  const given = [
    ...loop.body.outputs.slice(0, loop.carried),
    ...gathered.map(({ attributes }) => rowOf(loop, attributes.result)),
  ];
  write(inner, given);
  const outputs = given.map((node): ValueSpec => {
    // A graph's outputs must be results of its own nodes, each of one.
    const { name, type } = own("out", node);
    inner.copy(inner.value(node), name);
    return { name, type, shape: null };
  });
  // Scan goes along its rows: a loop without any goes along its own numbers.
  const rows = inputs.slice(loop.carried, loop.carried + loop.rows).map((input) => w.value(input));
  const isBare = rows.length === 0;
  if (isBare) {
    rows.push(w.op("Range", [w.number("i32", 0), w.number("i32", loop.length), w.number("i32", 1)]));
    taken.push({ name: w.context.newName("row"), type: "i32", shape: null });
  }
  const direction = Number(loop.reverse);
  const attributes: Record<string, AttributeSpec> = {
    body: { graph: inner.finish({ inputs: taken, outputs }) },
    num_scan_inputs: { int: rows.length },
    scan_input_directions: { ints: rows.map(() => direction) },
    ...(gathered.length === 0 ? {} : { scan_output_directions: { ints: gathered.map(() => direction) } }),
  };
  const carried = inputs.slice(0, loop.carried).map((input) => w.value(input));
  const made = w.ops("Scan", [...carried, ...rows], attributes, outputs.length);
  for (const result of results) {
    const { result: what } = result.attributes;
    const place = what.kind === "carry" ? what.index : loop.carried + gathered.indexOf(result);
    const name = at(made, place);
    w.setValue(result, what.kind === "any" ? anyOf(w, name) : name);
  }
}

/** The value of a step that a result gathers. */
function rowOf({ body, carried }: Loop, result: LoopResult): Node {
  switch (result.kind) {
    case "carry":
      return at(body.outputs, result.index);
    case "stacked":
      return at(body.outputs, carried + result.index);
    case "history":
      return at(body.inputs, result.index);
    case "any":
      return result.node;
  }
}

/** Whether any of the truth values [steps] holds. */
function anyOf(w: GraphWriter, holds: string): string {
  const most = w.op("ReduceMax", [w.cast(holds, "i32"), w.vector([fixedSize(0)])], { keepdims: { int: 0 } });
  return w.cast(most, "bool");
}

/** What comes of no step. Stacks are empty then, and are written as what is empty is. */
function withoutSteps(w: GraphWriter, { attributes: { result } }: NodeOf<"loop">, inputs: readonly Node[]): string {
  return result.kind === "carry" ? w.value(at(inputs, result.index)) : w.number("bool", 0);
}
