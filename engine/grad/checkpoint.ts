import { makeNode, nextNodeId } from "../graph/graph.ts";
import { Tensor } from "../graph/tensor.ts";
import { mapTree, refuseAsynchronous } from "../tree.ts";

/**
 * The same function, of which derivatives keep nothing but what it reads: what it computes in between is computed a second time when its
 * derivative is, right behind the cotangent of its result. A network whose blocks are such functions takes the memory of one block
 * besides that of what goes from block to block, for one more computation of each block. Values and derivatives are those of `fn`, bit for bit.
 * Tensors that `fn` closes over are read as its arguments are. Such functions may be within each other, and within the body of a `scan`,
 * whose derivative then keeps less within an iteration. The derivative of a derivative is right, but saves no memory: it keeps what the
 * first derivative has computed again.
 *
 * Of what doesn't depend on anything outside of `fn` nothing is computed twice. Forward mode (`jvp`) keeps nothing and computes nothing twice.
 * Chen et al. 2016, "Training deep nets with sublinear memory cost".
 * @param fn a function of trees of tensors that gives a tree of tensors. It is called once for each call.
 * @throws EvenkeelError `trace` if `fn` is asynchronous.
 * @example
 * ```ts
 * const block = checkpoint((x: Tensor) => exp(sin(x)));
 * const slope = grad((x: Tensor) => block(block(x)).sum());
 * console.log(await slope(tensor([0, 1])).array()); // [ 1.2534, -1.7751 ]
 * ```
 */
export function checkpoint<Args extends readonly unknown[], Result>(
  fn: (...args: Args) => Result,
): (...args: Args) => Result {
  return (...args) => {
    const first = nextNodeId();
    const value = fn(...args);
    refuseAsynchronous("checkpoint", value);
    const rule = { kind: "recompute", region: { first, end: nextNodeId() } } as const;
    return mapTree(value, ({ node }) => new Tensor(makeNode("ruled", [node], { rule })));
  };
}
