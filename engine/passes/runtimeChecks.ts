/**
 * Mistakes that only the numbers show: a NaN or infinity on its way into an integer, and what operations ask for with `check`, such as
 * indices in range. Each such place gets a bool scalar beside the program's outputs, true where the mistake happened.
 */
import { type Graph, makeNode, topologicalOrder } from "../graph/graph.ts";
import { loopCallsOf } from "../graph/loops.ts";
import type { Node } from "../graph/node.ts";
import { formatShape } from "../graph/shape.ts";
import { Tensor } from "../graph/tensor.ts";
import { isFinite, not } from "../ops/elementwise.ts";
import { any } from "../ops/reduce.ts";

export type RuntimeCheck = {
  /** bool scalar: the mistake happened. */
  readonly failed: Node;
  readonly message: string;
};

/** What a derivative computes again, of the same values, is looked at once: such nodes are made with the attributes of the first. */
export function runtimeChecks(graph: Graph): RuntimeCheck[] {
  return checksIn(graph.outputs, new Set());
}

/** @param seen attributes of what has been looked at */
function checksIn(outputs: readonly Node[], seen: Set<Node["attributes"]>): RuntimeCheck[] {
  const order = topologicalOrder(outputs);
  const own = order.flatMap((node) => {
    if (seen.has(node.attributes)) return [];
    const checks = checksOf(node);
    if (checks.length > 0) seen.add(node.attributes);
    return checks;
  });
  const inLoops = loopCallsOf(order).flatMap(({ loop, inputs }) =>
    checksIn(loop.body.outputs, seen).map(({ failed, message }): RuntimeCheck => {
      return { failed: makeNode("loop", inputs, { loop, result: { kind: "any", node: failed } }), message };
    }),
  );
  return [...own, ...inLoops];
}

function checksOf(node: Node): RuntimeCheck[] {
  if (node.kind === "cast" && node.inputs[0].dtype === "f32" && (node.dtype === "i32" || node.dtype === "u32")) {
    if (node.attributes.isFinite === true) return [];
    const [x] = node.inputs;
    return [
      {
        failed: any(not(isFinite(new Tensor(x)))).node,
        message: `cast: NaN or infinity in ${formatShape(x.shape)} has no ${node.dtype} value. Replace it first, e.g. where(isFinite(x), x, 0).`,
      },
    ];
  }
  if (node.kind === "check") {
    return [{ failed: any(new Tensor(node.inputs[1])).node, message: node.attributes.message }];
  }
  return [];
}
