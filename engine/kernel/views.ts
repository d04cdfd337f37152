import type { Node } from "../graph/node.ts";

/** The node whose memory holds a value in row-major order: reshapes and barriers don't move anything. */
export function storageOf(node: Node): Node {
  return storageBehind(node, () => undefined);
}

/** The same; what barriers on the way wait for is told. */
export function storageBehind(node: Node, tell: (after: Node) => void): Node {
  for (let storage = node; ; storage = storage.inputs[0]) {
    switch (storage.kind) {
      case "barrier":
        tell(storage.inputs[1]);
        break;
      case "reshape":
        break;
      default:
        return storage;
    }
  }
}

/** Whether a node's elements are elements of its first input, at other places. */
export function isView({ kind }: Node): boolean {
  return kind === "reshape" || kind === "permute" || kind === "slice" || kind === "expand" || kind === "barrier";
}

/** The node behind reshapes, permutations, slices, repetitions and barriers. */
export function viewBase(node: Node): Node {
  let base = node;
  for (let input = node.inputs[0]; input !== undefined && isView(base); input = base.inputs[0]) base = input;
  return base;
}

/** The inputs that a node's value is made of: all but what a barrier only waits for. */
export function readInputs(node: Node): readonly Node[] {
  return node.kind === "barrier" ? [node.inputs[0]] : node.inputs;
}

/** The nearest nodes that `isMade` holds of, going from values to what they are made of: when all are made, so may the values be. */
export function madeBehind(values: readonly Node[], isMade: (node: Node) => boolean): readonly Node[] {
  const made = new Set<Node>();
  // Grows while it is walked.
  const seen = new Set(values);
  for (const node of seen) {
    if (isMade(node)) made.add(node);
    else for (const input of readInputs(node)) seen.add(input);
  }
  return [...made];
}
