import { topologicalOrder, type Graph } from "./graph.ts";
import type { Node } from "./node.ts";
import { formatShape } from "./shape.ts";

function attributesText(node: Node): string {
  switch (node.kind) {
    case "constant":
      return node.attributes.data.length <= 4 ? `{${[...node.attributes.data].join(", ")}}` : "";
    case "literal":
      return String(node.attributes.value);
    case "input":
      return node.attributes.name;
    case "iota":
    case "concat":
    case "gather":
      return `axis ${node.attributes.axis}`;
    case "scatter":
      return `axis ${node.attributes.axis} size ${node.attributes.size}`;
    case "shift":
      return `${node.attributes.direction} ${node.attributes.amount}`;
    case "threefry":
      return `word ${node.attributes.word}`;
    case "reduce":
      return `axes ${formatShape(node.attributes.axes)}`;
    case "permute":
      return `order ${formatShape(node.attributes.order)}`;
    case "slice": {
      const { start, size, step } = node.attributes;
      return start.map((first, axis) => `${first}+${size[axis]}${step[axis] === 1 ? "" : `*${step[axis]}`}`).join(" ");
    }
    case "pad":
      return `low ${formatShape(node.attributes.low)} high ${formatShape(node.attributes.high)} value ${node.attributes.value}`;
    case "conv": {
      const { stride, padding, dilation, groups } = node.attributes.geometry;
      return `stride ${formatShape(stride)} padding ${formatShape(padding)} dilation ${formatShape(dilation)} groups ${groups}`;
    }
    case "unary":
    case "binary":
    case "compare":
    case "select":
    case "cast":
    case "reshape":
    case "expand":
    case "matmul":
    case "stopGradient":
    case "barrier":
      return "";
    case "check":
      return JSON.stringify(node.attributes.message);
    case "ruled":
      return node.attributes.rule.kind;
    case "loop": {
      const { loop, result } = node.attributes;
      return `${result.kind}${result.kind === "any" ? "" : ` ${result.index}`} of loop ${loop.id} length ${loop.length}`;
    }
  }
}

/** The operation in one word: `add`, `sum`, `filterGradient`, `reshape`. */
export function operationName(node: Node): string {
  switch (node.kind) {
    case "unary":
    case "binary":
    case "compare":
    case "reduce":
      return node.attributes.op;
    case "scatter":
      return node.attributes.op === "sum" ? "scatterAdd" : "scatterMax";
    case "conv":
      return node.attributes.role === "forward" ? "conv" : node.attributes.role;
    default:
      return node.kind;
  }
}

/**
 * A graph as text, one node a line: `%3 f32 [8, 4] = add %1 %2`. Numbers count from 0 in order of computation.
 * @example
 * ```ts
 * import { tensor, type Tensor } from "evenkeel/engine";
 *
 * const { graph } = await graphCase((x: Tensor, y: Tensor) => x.add(y), tensor([1, 2]), tensor([3, 4]));
 * console.log(printGraph(graph).split("\n")[2]); // %2 f32 [2] = add %0 %1
 * ```
 */
export function printGraph(graph: Graph): string {
  const numbers = new Map<Node, number>();
  const name = (node: Node): string => `%${numbers.get(node)}`;
  const lines = topologicalOrder(graph.outputs).map((node, number) => {
    numbers.set(node, number);
    const words = [operationName(node), ...node.inputs.map(name), attributesText(node)].filter((word) => word !== "");
    return `${name(node)} ${node.dtype} ${formatShape(node.shape)} = ${words.join(" ")}`;
  });
  return [...lines, `return ${graph.outputs.map(name).join(" ")}`].join("\n");
}
