/** Nodes whose values are known without computing anything. */
import { allocateData, type TensorData } from "./dtype.ts";
import type { Node } from "./node.ts";
import { sizeOf } from "./shape.ts";

/** The value of a node all of whose elements are one known number, else undefined: a literal seen through any views. */
export function uniformValue(node: Node): number | undefined {
  let base = node;
  for (;;) {
    switch (base.kind) {
      case "literal":
        return base.attributes.value;
      case "expand":
      case "reshape":
      case "permute":
      case "slice":
      case "stopGradient":
      case "ruled":
        base = base.inputs[0];
        break;
      default:
        return undefined;
    }
  }
}

/** The elements of a constant or of a node full of one number: what the host has or can write down. Else undefined. */
export function knownData(node: Node): TensorData | undefined {
  if (node.kind === "constant") return node.attributes.data;
  const value = uniformValue(node);
  return value === undefined ? undefined : allocateData(node.dtype, sizeOf(node.shape)).fill(value);
}
