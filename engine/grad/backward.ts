/** The walk from results back to what they depend on, which collects derivatives by the rules of the primitives. */
import { EvenkeelError } from "../errors.ts";
import { makeNode, topologicalOrder } from "../graph/graph.ts";
import type { Node, NodeOf, PrimitiveKind } from "../graph/node.ts";
import { at } from "../graph/shape.ts";
import { Tensor } from "../graph/tensor.ts";
import { zerosLike } from "../ops/creation.ts";
import { add } from "../ops/elementwise.ts";
import { mapTree } from "../tree.ts";
import { CustomCalls } from "./customCalls.ts";
import { dependents } from "./dependents.ts";
import { LoopDerivatives } from "./loopDerivatives.ts";
import { Recomputation } from "./recomputation.ts";
import { type VjpArguments, vjpRules } from "./vjpRules.ts";

/** A fresh node for the same value, so that only uses of this very argument count. Simplification removes it. */
export function marked(x: Tensor): Tensor {
  return new Tensor(makeNode("reshape", [x.node], { shape: x.shape }));
}

/** A tree of f32 tensors with fresh nodes for all of them, and these in order. @throws EvenkeelError `dtype` */
export function markTree<T>(operation: string, tree: T): { tree: T; leaves: Tensor[] } {
  const leaves: Tensor[] = [];
  const copy = mapTree(tree, (x, path) => {
    if (x.dtype !== "f32") {
      throw new EvenkeelError(
        "dtype",
        `${operation}: derivatives are with respect to f32, ${path === "" ? "the argument" : path} is ${x.dtype}. Pass it as another argument.`,
      );
    }
    const leaf = marked(x);
    leaves.push(leaf);
    return leaf;
  });
  return { tree: copy, leaves };
}

function applyRule<K extends PrimitiveKind>(node: NodeOf<K>, args: VjpArguments<K>): readonly (Tensor | null)[] {
  return vjpRules[node.kind](args);
}

/**
 * Derivatives of sum(<outputs[i], cotangents[i]>) with respect to nodes; zeros where there is no dependence.
 * @param recomputes whether regions that `checkpoint` has marked are computed again, or read as they are
 */
export function backward(
  outputs: readonly Tensor[],
  cotangents: readonly Tensor[],
  wrt: readonly Tensor[],
  recomputes = true,
): Tensor[] {
  const sources = new Set(wrt.map((x) => x.node));
  const order = topologicalOrder(outputs.map((output) => output.node));
  const dependent = dependents(order, sources);
  const collected = new Map<Node, Tensor>();
  const collect = (node: Node, cotangent: Tensor): void => {
    if (!dependent.has(node) || node.dtype !== "f32") return;
    const before = collected.get(node);
    collected.set(node, before === undefined ? cotangent : add(before, cotangent));
  };
  outputs.forEach((output, i) => collect(output.node, at(cotangents, i)));
  const recomputation = new Recomputation(recomputes ? order : []);
  const calls = new CustomCalls(order, sources);
  const loops = new LoopDerivatives(order, dependent, (...walk) => backward(...walk, recomputes));
  for (const node of order.reverse()) {
    if (sources.has(node)) continue;
    const seenFor = (cotangent: Tensor): Node => recomputation.seen(node, cotangent.node);
    if (node.kind === "ruled" && node.attributes.rule.kind === "custom") {
      calls.pull(node, collected, seenFor).forEach((derivative, i) => {
        if (derivative !== null) collect(at(node.inputs, i + 1), derivative);
      });
      continue;
    }
    if (node.kind === "loop") {
      loops.pull(node, collected, seenFor).forEach((derivative, i) => {
        if (derivative !== null) collect(at(node.inputs, i), derivative);
      });
      continue;
    }
    const cotangent = collected.get(node);
    if (cotangent === undefined) continue;
    const seen = seenFor(cotangent);
    const args = {
      inputs: seen.inputs.map((input) => new Tensor(input)),
      attributes: seen.attributes,
      output: new Tensor(seen),
      cotangent,
    };
    // Kind and attributes come from one node, which TypeScript can't correlate over the union.
    const derivatives = applyRule(seen as NodeOf<PrimitiveKind>, args as VjpArguments<PrimitiveKind>);
    derivatives.forEach((derivative, i) => {
      if (derivative !== null) collect(at(node.inputs, i), derivative);
    });
  }
  return wrt.map((x) => collected.get(x.node) ?? zerosLike(x));
}
