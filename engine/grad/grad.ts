import { EvenkeelError } from "../errors.ts";
import { at, formatShape } from "../graph/shape.ts";
import { Tensor } from "../graph/tensor.ts";
import { full } from "../ops/creation.ts";
import { requireShape } from "../ops/elementwise.ts";
import { fillTree, refuseAsynchronous, treeLeaves } from "../tree.ts";
import { backward, markTree } from "./backward.ts";

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
