import { EvenkeelError } from "../errors.ts";
import { makeNode, topologicalOrder } from "../graph/graph.ts";
import type { Node, NodeOf, PrimitiveKind } from "../graph/node.ts";
import { at, formatShape } from "../graph/shape.ts";
import { Tensor } from "../graph/tensor.ts";
import { full, zerosLike } from "../ops/creation.ts";
import { add, requireShape } from "../ops/elementwise.ts";
import { fillTree, mapTree, refuseAsynchronous, treeLeaves } from "../tree.ts";
import { type VjpArguments, vjpRules } from "./vjpRules.ts";

/** A fresh node for the same value, so that only uses of this very argument count. Simplification removes it. */
function marked(x: Tensor): Tensor {
  return new Tensor(makeNode("reshape", [x.node], { shape: x.shape }));
}

function markTree<T>(operation: string, tree: T): { tree: T; leaves: Tensor[] } {
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

/** Derivatives of sum(<outputs[i], cotangents[i]>) with respect to nodes; zeros where there is no dependence. */
function backward(outputs: readonly Tensor[], cotangents: readonly Tensor[], wrt: readonly Tensor[]): Tensor[] {
  const sources = new Set(wrt.map((x) => x.node));
  const dependent = new Set<Node>(sources);
  const order = topologicalOrder(outputs.map((output) => output.node));
  for (const node of order) {
    if (node.kind !== "stopGradient" && node.inputs.some((input) => dependent.has(input))) dependent.add(node);
  }
  const collected = new Map<Node, Tensor>();
  const collect = (node: Node, cotangent: Tensor): void => {
    if (!dependent.has(node) || node.dtype !== "f32") return;
    const before = collected.get(node);
    collected.set(node, before === undefined ? cotangent : add(before, cotangent));
  };
  outputs.forEach((output, i) => collect(output.node, at(cotangents, i)));
  for (const node of order.reverse()) {
    const cotangent = collected.get(node);
    if (cotangent === undefined || sources.has(node)) continue;
    const args = {
      inputs: node.inputs.map((input) => new Tensor(input)),
      attributes: node.attributes,
      output: new Tensor(node),
      cotangent,
    };
    // Kind and attributes come from one node, which TypeScript can't correlate over the union.
    const derivatives = applyRule(node as NodeOf<PrimitiveKind>, args as VjpArguments<PrimitiveKind>);
    derivatives.forEach((derivative, i) => {
      if (derivative !== null) collect(at(node.inputs, i), derivative);
    });
  }
  return wrt.map((x) => collected.get(x.node) ?? zerosLike(x));
}

/**
 * The value of f at `primals` and its pullback: for a cotangent of the shape of the value, the derivative of
 * <f(primals), cotangent> with respect to every tensor of `primals`. Static values of the trees stay as they are.
 * @example
 * ```ts
 * const { value, pullback } = vjp((x: Tensor) => x.square(), tensor([1, 2, 3]));
 * console.log(await value.array(), await pullback(tensor([1, 0, 10])).array()); // [ 1, 4, 9 ] [ 2, 0, 60 ]
 * ```
 */
export function vjp<T, R>(
  f: (primals: T) => R,
  primals: T,
): { readonly value: R; readonly pullback: (cotangent: R) => T } {
  const { tree, leaves } = markTree("vjp", primals);
  const value = f(tree);
  refuseAsynchronous("vjp", value);
  const outputs = treeLeaves(value);
  const pullback = (cotangent: R): T => {
    const given = treeLeaves(cotangent);
    if (given.length !== outputs.length) {
      throw new EvenkeelError("shape", `vjp: the cotangent has ${given.length} tensors, the value ${outputs.length}.`);
    }
    given.forEach(({ path, tensor }, i) => {
      const output = at(outputs, i).tensor;
      const name = path === "" ? "the cotangent" : `cotangent ${path}`;
      requireShape("vjp", name, tensor, output.shape);
      if (tensor.dtype !== output.dtype) {
        throw new EvenkeelError("dtype", `vjp: ${name} is ${tensor.dtype}, expected ${output.dtype} as the value.`);
      }
    });
    const derivatives = backward(
      outputs.map((output) => output.tensor),
      given.map((leaf) => leaf.tensor),
      leaves,
    );
    return fillTree(primals, derivatives);
  };
  return { value, pullback };
}

function requireScalar(operation: string, value: unknown): Tensor {
  refuseAsynchronous(operation, value);
  if (!(value instanceof Tensor)) {
    throw new EvenkeelError(
      "value",
      `${operation}: the function must give a tensor, got ${typeof value}. For more results use valueAndGradWithAux.`,
    );
  }
  if (value.rank !== 0 || value.dtype !== "f32") {
    throw new EvenkeelError(
      "shape",
      `${operation}: the function must give an f32 scalar, got ${value.dtype} ${formatShape(value.shape)}. Take its mean or sum, or use vjp.`,
    );
  }
  return value;
}

/**
 * Of a function with a scalar f32 value, the function that gives that value and its gradient with respect to the first
 * argument (a tree of f32 tensors; the gradient is a tree of the same shape).
 * @example
 * ```ts
 * const { value, gradient } = valueAndGrad((p: { a: Tensor; b: Tensor }) => p.a.multiply(p.b))({ a: scalar(2), b: scalar(5) });
 * console.log(await value.item(), await gradient.a.item(), await gradient.b.item()); // 10 5 2
 * ```
 */
export function valueAndGrad<T, Rest extends readonly unknown[]>(
  f: (primals: T, ...rest: Rest) => Tensor,
): (primals: T, ...rest: Rest) => { readonly value: Tensor; readonly gradient: T } {
  return (primals, ...rest) => {
    const { tree, leaves } = markTree("valueAndGrad", primals);
    const value = requireScalar("valueAndGrad", f(tree, ...rest));
    return { value, gradient: fillTree(primals, backward([value], [full([], 1)], leaves)) };
  };
}

/**
 * `valueAndGrad` of a function that gives further results beside its value.
 * @example
 * ```ts
 * const both = valueAndGradWithAux((x: Tensor) => ({ value: x.square().sum(), aux: { largest: reduceMax(x) } }));
 * const { aux, gradient } = both(tensor([1, 3]));
 * console.log(await aux.largest.item(), await gradient.array()); // 3 [ 2, 6 ]
 * ```
 */
export function valueAndGradWithAux<T, Aux, Rest extends readonly unknown[]>(
  f: (primals: T, ...rest: Rest) => { readonly value: Tensor; readonly aux: Aux },
): (primals: T, ...rest: Rest) => { readonly value: Tensor; readonly aux: Aux; readonly gradient: T } {
  return (primals, ...rest) => {
    const { tree, leaves } = markTree("valueAndGradWithAux", primals);
    const result = f(tree, ...rest);
    refuseAsynchronous("valueAndGradWithAux", result);
    const { value, aux } = result;
    const scalar = requireScalar("valueAndGradWithAux", value);
    return { value, aux, gradient: fillTree(primals, backward([scalar], [full([], 1)], leaves)) };
  };
}

/**
 * The gradient of a function with a scalar f32 value with respect to its first argument.
 * @example
 * ```ts
 * const slope = grad((x: Tensor) => x.square().sum());
 * console.log(await slope(tensor([1, -2])).array()); // [ 2, -4 ]
 * ```
 */
export function grad<T, Rest extends readonly unknown[]>(
  f: (primals: T, ...rest: Rest) => Tensor,
): (primals: T, ...rest: Rest) => T {
  const both = valueAndGrad(f);
  return (primals, ...rest) => both(primals, ...rest).gradient;
}
