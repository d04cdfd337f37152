import { EvenkeelError } from "../errors.ts";
import { type Graph, makeNode, topologicalOrder } from "../graph/graph.ts";
import type { NodeOf } from "../graph/node.ts";
import { Tensor } from "../graph/tensor.ts";
import { mapTree, refuseAsynchronous, treeLeaves } from "../tree.ts";

/** A function's graph and the tree of its results, whose tensors are the graph's outputs in order. */
export type Trace<Result> = { readonly graph: Graph; readonly result: Result };

/**
 * Calls `fn` once with a placeholder for every tensor of its arguments and keeps what it computed.
 * @throws EvenkeelError `trace` if the function is asynchronous or uses tensors of another trace.
 */
export function trace<Args extends readonly unknown[], Result>(
  fn: (...args: Args) => Result,
  args: Args,
): Trace<Result> {
  const inputs: NodeOf<"input">[] = [];
  const placeholders = args.map((arg, i) =>
    mapTree(
      arg,
      (tensor, path) => {
        const input = makeNode("input", [], { dtype: tensor.dtype, shape: tensor.shape, name: path });
        inputs.push(input);
        return new Tensor(input);
      },
      `argument${i}`,
    ),
  ) as unknown as Args;
  const result = fn(...placeholders);
  refuseAsynchronous("compile", result);
  const outputs = treeLeaves(result).map(({ tensor }) => tensor.node);
  const known = new Set(inputs);
  for (const node of topologicalOrder(outputs)) {
    if (node.kind === "input" && !known.has(node)) {
      throw new EvenkeelError(
        "trace",
        `compile: the result depends on ${node.attributes.name} of another traced function. Pass that value as an argument.`,
      );
    }
  }
  return { graph: { inputs, outputs }, result };
}

/** A tree with tensors of the same dtypes and shapes, which hold neither values nor graphs. @param what they are, for messages. */
export function outlineOf<T>(tree: T, what: string): T {
  return mapTree(tree, ({ dtype, shape }, path) => {
    return new Tensor(makeNode("input", [], { dtype, shape, name: `${what} ${path}` }));
  });
}

/** @internal Guards against reading values while tracing. */
export function requireConcrete(tensor: Tensor): void {
  for (const node of topologicalOrder([tensor.node])) {
    if (node.kind === "input") {
      throw new EvenkeelError(
        "trace",
        `data, array or item of a value that depends on ${node.attributes.name}: inside a compiled function values don't exist yet. ` +
          "Return the tensor and read it outside, or decide on the device with where().",
      );
    }
  }
}
