import { EvenkeelError } from "../errors.ts";
import { topologicalOrder } from "../graph/graph.ts";
import type { Node, NodeOf } from "../graph/node.ts";
import { operationName } from "../graph/print.ts";
import { at } from "../graph/shape.ts";
import type { Tensor } from "../graph/tensor.ts";
import { uniformValue } from "../graph/uniform.ts";
import { zerosLike } from "../ops/creation.ts";
import { requireShape } from "../ops/elementwise.ts";
import { fillTree, refuseAsynchronous, treeLeaves } from "../tree.ts";
import { backward, marked, markTree } from "./backward.ts";
import { isOrHoldsCustomRule } from "./customCalls.ts";
import { dependents, differentiatedInputs } from "./dependents.ts";

/**
 * Of a function of a tree of f32 tensors, the function that gives its value and how that changes along tangents: the derivative of
 * fn(primals + t * tangents) by t at 0 (forward mode). It costs about as much as a gradient and keeps nothing for it. With `grad` it gives
 * products with second derivatives: `jvp(grad(f))(x, v)` is the Hessian of f at x times v.
 *
 * The pullback of `vjp` is linear in its cotangent; this is its transpose, so that conventions at special points are those of `vjp`.
 * An infinite tangent may become NaN where the derivative is 0.
 * @param fn may take further arguments, which have no tangents, and gives a tree of tensors
 * @returns a function of primals, tangents (a tree of the same shape) and the further arguments. Its tangent is a tree as the value;
 * zeros where that isn't f32. It throws EvenkeelError `dtype` if a primal isn't f32, `shape` or `dtype` if tangents don't fit primals,
 * `value` if the rule of a `customVjp` isn't linear in its cotangent.
 * @example
 * ```ts
 * const { value, tangent } = jvp((x: Tensor) => x.square())(tensor([1, 2]), tensor([1, 10]));
 * console.log(await value.array(), await tangent.array()); // [ 1, 4 ] [ 2, 40 ]
 * ```
 */
export function jvp<T, R, Rest extends readonly unknown[]>(
  fn: (primals: T, ...rest: Rest) => R,
): (primals: T, tangents: T, ...rest: Rest) => { readonly value: R; readonly tangent: R } {
  return (primals, tangents, ...rest) => {
    const { tree, leaves } = markTree("jvp", primals);
    const along = tangentsOf(primals, tangents);
    const value = fn(tree, ...rest);
    refuseAsynchronous("jvp", value);
    const results = treeLeaves(value).map(({ tensor }) => tensor);
    const differentiable = results.filter(({ dtype }) => dtype === "f32");
    const cotangents = differentiable.map((result) => marked(zerosLike(result)));
    const pulled = backward(differentiable, cotangents, leaves, false);
    if (topologicalOrder(differentiable.map(({ node }) => node)).some(isOrHoldsCustomRule))
      requireLinear(pulled, cotangents);
    const moved = backward(pulled, along, cotangents, false);
    let next = 0;
    const tangent = results.map((result) => (result.dtype === "f32" ? at(moved, next++) : zerosLike(result)));
    return { value, tangent: fillTree(value, tangent) };
  };
}

function tangentsOf(primals: unknown, tangents: unknown): Tensor[] {
  const [wanted, given] = [treeLeaves(primals), treeLeaves(tangents)];
  if (given.length !== wanted.length) {
    throw new EvenkeelError("shape", `jvp: the tangents are ${given.length} tensors, the primals ${wanted.length}.`);
  }
  return given.map(({ path, tensor }, i) => {
    const primal = at(wanted, i);
    const name = path === "" ? "the tangent" : `tangent ${path}`;
    if (path !== primal.path) {
      throw new EvenkeelError(
        "shape",
        `jvp: ${name} is where the primals have ${primal.path}. Give a tree as the primals.`,
      );
    }
    requireShape("jvp", name, tensor, primal.tensor.shape);
    if (tensor.dtype !== "f32") throw new EvenkeelError("dtype", `jvp: ${name} is ${tensor.dtype}, expected f32.`);
    return tensor;
  });
}

/** Written rules may be anything; those of the primitives are linear. */
function requireLinear(pulled: readonly Tensor[], cotangents: readonly Tensor[]): void {
  const culprit = nonlinearIn(
    pulled.map(({ node }) => node),
    new Set(cotangents.map(({ node }) => node)),
  );
  if (culprit === undefined) return;
  throw new EvenkeelError(
    "value",
    `jvp: the backward rule of a customVjp isn't linear in its cotangent (${operationName(culprit)}), ` +
      "so the function has no tangent of its own. Use vjp or grad.",
  );
}

/** The first node that isn't linear in what moves. */
function nonlinearIn(outputs: readonly Node[], moving: ReadonlySet<Node>): Node | undefined {
  const order = topologicalOrder(outputs);
  const dependent = dependents(order, moving);
  for (const node of order) {
    if (!dependent.has(node)) continue;
    const culprit = node.kind === "loop" ? nonlinearInLoop(node, dependent) : node;
    if (culprit !== undefined && (node.kind === "loop" || !isLinear(node, dependent))) return culprit;
  }
  return undefined;
}

function nonlinearInLoop(
  { attributes: { loop }, inputs }: NodeOf<"loop">,
  dependent: ReadonlySet<Node>,
): Node | undefined {
  const { body, carried } = loop;
  const moving = new Set<Node>(body.inputs.filter((_, i) => dependent.has(at(inputs, i))));
  // What comes to move in one iteration moves in the next.
  for (let before = -1; before < moving.size; ) {
    before = moving.size;
    const within = dependents(topologicalOrder(body.outputs), moving);
    for (let i = 0; i < carried; i++) if (within.has(at(body.outputs, i))) moving.add(at(body.inputs, i));
  }
  return nonlinearIn(body.outputs, moving);
}

/** Whether a node is linear in those of its inputs that depend on the cotangents. */
function isLinear(node: Node, dependent: ReadonlySet<Node>): boolean {
  const isMoving = (input: Node): boolean => dependent.has(input);
  const moving = differentiatedInputs(node).filter(isMoving);
  if (moving.length === 0) return true;
  // What is added to what moves, or stands in its place, moves, too, or is 0.
  const goesThrough = (...inputs: readonly Node[]): boolean =>
    inputs.every((input) => isMoving(input) || uniformValue(input) === 0);
  switch (node.kind) {
    case "unary": {
      // That a cotangent is no number is asked by the rules of powers.
      const { op } = node.attributes;
      return op === "negate" || op === "roundToFloat16" || node.dtype === "bool";
    }
    case "binary": {
      const { op } = node.attributes;
      if (op === "add" || op === "subtract") return goesThrough(...node.inputs);
      if (op === "multiply") return moving.length === 1;
      if (op === "divide") return !isMoving(node.inputs[1]);
      return node.dtype === "bool";
    }
    case "compare":
      return false;
    case "select":
      return goesThrough(node.inputs[1], node.inputs[2]);
    case "concat":
      return goesThrough(...node.inputs);
    case "pad":
      return node.attributes.value === 0;
    case "reduce":
      return node.attributes.op === "sum";
    case "matmul":
    case "conv":
      return moving.length === 1;
    case "cast":
      return node.dtype === "f32" && node.inputs[0].dtype === "f32";
    default:
      return true;
  }
}
