import type { Node } from "../graph/node.ts";

/** The node whose memory holds a value in row-major order: reshapes don't move anything. */
export function storageOf(node: Node): Node {
  let storage = node;
  while (storage.kind === "reshape") storage = storage.inputs[0];
  return storage;
}

/** The node behind reshapes, permutations, slices and repetitions. */
export function viewBase(node: Node): Node {
  let base = node;
  while (base.kind === "reshape" || base.kind === "permute" || base.kind === "slice" || base.kind === "expand") {
    base = base.inputs[0];
  }
  return base;
}
