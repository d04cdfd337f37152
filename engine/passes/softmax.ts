/** How a softmax is told from other quotients. */
import type { Node, NodeOf } from "../graph/node.ts";
import { viewBase } from "../kernel/views.ts";

/** exp(x - max) with what it is divided by and the quotient. */
export type Softmax = { readonly exponentials: Node; readonly sum: Node; readonly quotient: Node };

/** The softmax that a quotient is; null if it is another one. */
export function softmaxOf(quotient: NodeOf<"binary">): Softmax | null {
  const [exponentials, sum] = quotient.inputs;
  if (quotient.attributes.op !== "divide" || !isExponential(exponentials)) return null;
  const total = viewBase(sum);
  const isSum = total.kind === "reduce" && total.attributes.op === "sum" && total.inputs[0] === exponentials;
  return isSum ? { exponentials, sum, quotient } : null;
}

/** exp(x - the largest of some x): at most 1, and 1 in each sum. */
function isExponential(node: Node): boolean {
  if (node.kind !== "unary" || node.attributes.op !== "exp") return false;
  const [shifted] = node.inputs;
  if (shifted.kind !== "binary" || shifted.attributes.op !== "subtract") return false;
  const largest = viewBase(shifted.inputs[1]);
  return largest.kind === "reduce" && largest.attributes.op === "max" && largest.inputs[0] === shifted.inputs[0];
}
