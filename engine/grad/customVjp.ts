import { EvenkeelError } from "../errors.ts";
import { makeNode } from "../graph/graph.ts";
import type { CustomCall, Node } from "../graph/node.ts";
import { formatShape, sameShape } from "../graph/shape.ts";
import { isTensor, Tensor } from "../graph/tensor.ts";
import { zerosLike } from "../ops/creation.ts";
import { describeValue, fillTree, refuseAsynchronous, type Static, treeLeaves } from "../tree.ts";
import { marked } from "./backward.ts";
import { newCallId } from "./customCalls.ts";

/** What a backward rule gives for an argument: a tree like it, with derivatives in the place of f32 tensors; null: none, at any depth. */
export type Cotangent<T> = T extends Tensor
  ? Tensor | null
  : T extends Static
    ? unknown
    : { readonly [K in keyof T]: Cotangent<T[K]> } | null;

/** What a backward rule gives: for each argument its cotangent. */
export type Cotangents<Args extends readonly unknown[]> = { readonly [K in keyof Args]: Cotangent<Args[K]> };

/** How the derivative of a function is taken. */
export type CustomRule<Args extends readonly unknown[], Result, Residuals> = {
  /** What the derivative needs of the arguments. It is asked when a derivative is taken; what `fn` computes, too, is computed once. */
  readonly forward: (...args: Args) => Residuals;
  /**
   * The derivative of <fn(...args), cotangent> with respect to each argument.
   * @param cotangent as the result of `fn`; zeros for what nothing depends on
   */
  readonly backward: (residuals: Residuals, cotangent: Result) => Cotangents<Args>;
};

/**
 * The function `fn` with a derivative of its own: a straight-through estimator, a gradient that is clipped, a form that stays finite.
 * Higher derivatives are those of what `forward` and `backward` compute; where these call the function that `customVjp` gave, by this rule
 * again. `jvp` transposes the rule, for which `backward` must be linear in the cotangent.
 *
 * As `custom_vjp` of JAX, save that `forward` gives no value: that of `fn` is used with and without derivatives.
 * @param fn of trees of tensors, gives a tree of tensors. A tensor that it closes over has no derivative, and asking for one is an error.
 * `forward` and `backward` may close over tensors: within the body of a `scan` also over what is carried and its rows.
 * @returns a function as `fn`. Its derivative throws EvenkeelError `value`, `shape` or `dtype` if what `backward` gives doesn't fit the
 * arguments, `trace` if a derivative by a tensor is asked for that isn't an argument.
 * @example
 * ```ts
 * const clipped = customVjp((x: Tensor) => x.square(), {
 *   forward: (x: Tensor) => x,
 *   backward: (x: Tensor, cotangent: Tensor) => [clamp(x.multiply(2), -1, 1).multiply(cotangent)],
 * });
 * console.log(await grad((x: Tensor) => clipped(x).sum())(tensor([0.25, 5])).array()); // [ 0.5, 1 ]
 * ```
 */
export function customVjp<Args extends readonly unknown[], Result, Residuals>(
  fn: (...args: Args) => Result,
  { forward, backward }: CustomRule<Args, Result, Residuals>,
): (...args: Args) => Result {
  return (...args) => {
    const own = fillTree(
      args,
      treeLeaves(args).map(({ tensor }) => marked(tensor)),
    );
    const tensors = treeLeaves(own).map(({ tensor }) => tensor);
    const value = fn(...own);
    refuseAsynchronous("customVjp", value);
    const results = treeLeaves(value).map(({ tensor }) => tensor);
    const call: CustomCall = {
      id: newCallId(),
      pull: (nodes, cotangents) => {
        const seen = fillTree(
          own,
          nodes.map((node) => new Tensor(node)),
        );
        const residuals = forward(...seen);
        refuseAsynchronous("customVjp (forward)", residuals);
        const flowing = results.map((result, i) => {
          const cotangent = cotangents[i] ?? null;
          return cotangent === null ? zerosLike(result) : new Tensor(cotangent);
        });
        const given: unknown = backward(residuals, fillTree(value, flowing));
        refuseAsynchronous("customVjp (backward)", given);
        return derivativesOf(own, given);
      },
    };
    const inputs = tensors.map(({ node }) => node);
    let result = 0;
    const ruled = results.map(({ node }) => {
      const rule = { kind: "custom", call, result: result++ } as const;
      return new Tensor(makeNode("ruled", [node, ...inputs], { rule }));
    });
    return fillTree(value, ruled);
  };
}

/** For each tensor of the arguments what `backward` gave for it. */
function derivativesOf(args: readonly unknown[], given: unknown): (Node | null)[] {
  if (!Array.isArray(given) || given.length !== args.length) {
    throw new EvenkeelError(
      "value",
      `customVjp: backward gave ${describeValue(given)}, expected an array with one cotangent for each of ${args.length} arguments.`,
    );
  }
  return args.flatMap((arg, i) => matched(arg, given[i], `argument ${i}`));
}

function matched(arg: unknown, given: unknown, path: string): (Node | null)[] {
  const fail = (code: "value" | "shape" | "dtype", why: string): never => {
    throw new EvenkeelError(code, `customVjp: backward's cotangent of ${path} ${why}`);
  };
  const leaves = treeLeaves(arg);
  if (leaves.length === 0) return [];
  if (given === null) return leaves.map(() => null);
  if (isTensor(arg)) {
    if (!isTensor(given)) return fail("value", `is ${describeValue(given)}, expected a tensor, or null for none.`);
    if (arg.dtype !== "f32")
      return fail("dtype", `is a tensor, but that is ${arg.dtype} and has no derivative. Give null.`);
    if (!sameShape(given.shape, arg.shape)) {
      return fail("shape", `is ${formatShape(given.shape)}, expected ${formatShape(arg.shape)} as the argument.`);
    }
    if (given.dtype !== "f32") return fail("dtype", `is ${given.dtype}, expected f32 as the argument.`);
    return [given.node];
  }
  if (isTensor(given) || typeof given !== "object" || Array.isArray(given) !== Array.isArray(arg)) {
    return fail(
      "value",
      `is ${isTensor(given) ? "a tensor" : describeValue(given)}, expected ${describeValue(arg)}, or null.`,
    );
  }
  const wanted = Object.keys(arg as object);
  const extra = Object.keys(given).filter((key) => !wanted.includes(key));
  if (extra.length > 0) return fail("value", `has ${extra.join(", ")}, which the argument hasn't.`);
  return wanted.flatMap((key) =>
    matched(
      (arg as Record<string, unknown>)[key],
      (given as Record<string, unknown>)[key],
      Array.isArray(arg) ? `${path}[${key}]` : `${path}.${key}`,
    ),
  );
}
