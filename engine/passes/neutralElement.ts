import type { NodeOf } from "../graph/node.ts";

/** The element that changes no sum or maximum; also the result of reducing nothing. */
export function neutralElement(node: NodeOf<"reduce">): number {
  if (node.attributes.op === "sum" || node.dtype === "u32") return 0;
  return node.dtype === "f32" ? -Infinity : -(2 ** 31);
}
