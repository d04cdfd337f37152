import { EvenkeelError } from "../errors.ts";
import { makeNode, nextNodeId, topologicalOrder } from "../graph/graph.ts";
import { newLoopId } from "../graph/loops.ts";
import type { Loop, LoopResult, Node, NodeOf } from "../graph/node.ts";
import { at, formatShape, type Shape } from "../graph/shape.ts";
import { Tensor } from "../graph/tensor.ts";
import { zeros } from "../ops/creation.ts";
import { Copies } from "./copies.ts";
import { isOrHoldsCustomRule } from "./customCalls.ts";
import { fillTree, refuseAsynchronous, treeLeaves, treeSignature } from "../tree.ts";

/** How often a loop goes around, and in which direction. */
export type ScanOptions = {
  /** Iterations. Default: the size of the first axis of the tensors of `xs`. */
  readonly length?: number;
  /** Whether to go from the last row of `xs` to the first; results are stacked at the places of their rows. Default: false. */
  readonly reverse?: boolean;
};

/**
 * A loop in the program: `body` gets what is carried and a row of `xs`, and gives what is carried on and a result. However often it goes
 * around, it is recorded and compiled once.
 *
 * Its derivative is a loop in the other direction. It keeps what was carried into each iteration and `xs`, and computes the body again.
 * @param body a function of trees. It is called once; tensors that it closes over are the same in all iterations.
 * @param init what is carried into the first iteration: a tree of tensors
 * @param xs a tree of tensors [length, ...]; null if there are none
 * @returns what is carried out of the last iteration (`init` if there is none), and the results of all, stacked [length, ...]
 * @throws EvenkeelError `shape` if `xs` aren't of one length, or what is carried changes its structure, shapes or dtypes; `range` for a length
 * that isn't a whole number from 0; `trace` if `body` is asynchronous
 * @example
 * ```ts
 * const { carry, ys } = scan(
 *   (balance: Tensor, paid: Tensor) => {
 *     const next = balance.multiply(1.5).add(paid);
 *     return { carry: next, y: next };
 *   },
 *   scalar(0),
 *   tensor([2, 4, 6]),
 * );
 * console.log(await carry.item(), await ys.array()); // 16.5 [ 2, 7, 16.5 ]
 * ```
 */
export function scan<Carry, X, Y>(
  body: (carry: Carry, x: X) => { readonly carry: Carry; readonly y: Y },
  init: Carry,
  xs: X,
  options: ScanOptions = {},
): { readonly carry: Carry; readonly ys: Y } {
  const [first, rows] = [treeLeaves(init), treeLeaves(xs)];
  const length = lengthOf(rows, options.length);
  const start = nextNodeId();
  const placeholder = (tensor: Tensor, shape: Shape, name: string): NodeOf<"input"> =>
    makeNode("input", [], { dtype: tensor.dtype, shape, name: `scan ${name}` });
  const carried = first.map(({ tensor, path }) => placeholder(tensor, tensor.shape, `carry ${path}`));
  const taken = rows.map(({ tensor, path }) => placeholder(tensor, tensor.shape.slice(1), `row ${path}`));
  const tensorsOf = (nodes: readonly Node[]): Tensor[] => nodes.map((node) => new Tensor(node));
  const given = fillTree(init, tensorsOf(carried));
  const made = body(given, fillTree(xs, tensorsOf(taken)));
  refuseAsynchronous("scan", made);
  const result: unknown = made;
  if (typeof result !== "object" || result === null || !("carry" in result)) {
    throw new EvenkeelError("value", `scan: the body gives ${String(result)}; expected { carry, y }.`);
  }
  requireCarry(given, made.carry);
  const results = treeLeaves(made.y).map(({ tensor }) => tensor);
  const outputs = [...treeLeaves(made.carry).map(({ tensor }) => tensor.node), ...results.map(({ node }) => node)];
  if (length === 0) {
    return {
      carry: init,
      ys: fillTree(
        made.y,
        results.map(({ shape, dtype }) => zeros([0, ...shape], dtype)),
      ),
    };
  }

  const outside = outsideOf(outputs, start);
  const constants = outside.map((node) => placeholder(new Tensor(node), node.shape, "constant"));
  const own = new Copies(new Map(outside.map((node, i) => [node, at(constants, i)]))).of(outputs);
  const order = topologicalOrder(own);
  const read = new Set<Node>(order);
  // What a rule of a derivative closes over is seen only when a derivative is taken.
  const mayReadAll = order.some(isOrHoldsCustomRule);
  const used = taken.flatMap((node, i) => (mayReadAll || read.has(node) ? [i] : []));
  const loop: Loop = {
    id: newLoopId(),
    body: { inputs: [...carried, ...used.map((i) => at(taken, i)), ...constants], outputs: own },
    length,
    reverse: options.reverse === true,
    carried: carried.length,
    rows: used.length,
  };
  const inputs = [...first.map(({ tensor }) => tensor.node), ...used.map((i) => at(rows, i).tensor.node), ...outside];
  const resultOf = (result: LoopResult): Tensor => new Tensor(makeNode("loop", inputs, { loop, result }));
  return {
    carry: fillTree(
      init,
      carried.map((_, index) => resultOf({ kind: "carry", index })),
    ),
    ys: fillTree(
      made.y,
      results.map((_, index) => resultOf({ kind: "stacked", index })),
    ),
  };
}

function lengthOf(
  rows: readonly { readonly path: string; readonly tensor: Tensor }[],
  given: number | undefined,
): number {
  for (const { path, tensor } of rows) {
    if (tensor.rank > 0) continue;
    const name = path === "" ? "xs" : `xs ${path}`;
    throw new EvenkeelError(
      "shape",
      `scan: ${name} is a scalar; each iteration takes a row of it. Give [length, ...].`,
    );
  }
  const length = given ?? rows[0]?.tensor.shape[0];
  if (length === undefined) throw new EvenkeelError("value", "scan: there are no xs, so options.length must be given.");
  if (!Number.isInteger(length) || length < 0) {
    throw new EvenkeelError("range", `scan: length ${length} is not a whole number from 0.`);
  }
  for (const { path, tensor } of rows) {
    if (tensor.shape[0] === length) continue;
    const name = path === "" ? "xs" : `xs ${path}`;
    throw new EvenkeelError("shape", `scan: ${name} is ${formatShape(tensor.shape)}, expected ${length} rows.`);
  }
  return length;
}

function requireCarry(given: unknown, carry: unknown): void {
  if (treeSignature(given) === treeSignature(carry)) return;
  const [wanted, got] = [treeLeaves(given), treeLeaves(carry)];
  const describe = (leaf: (typeof wanted)[number] | undefined): string =>
    leaf === undefined ? "nothing" : `${leaf.tensor.dtype} ${formatShape(leaf.tensor.shape)} at "${leaf.path}"`;
  const place = Math.max(wanted.length, got.length);
  const other = Array.from({ length: place }, (_, i) => i).find((i) => describe(wanted[i]) !== describe(got[i]));
  throw new EvenkeelError(
    "shape",
    other === undefined
      ? "scan: what the body carries on has other keys or static values than what it was given. Give the same tree."
      : `scan: the body carries on ${describe(got[other])}, was given ${describe(wanted[other])}. Shapes and dtypes must stay.`,
  );
}

/**
 * What is read that was there before a loop's body was recorded, save what a body may have of its own. A value that is known is no such
 * thing as soon as it is a view: it may be what a derivative is asked by.
 */
function outsideOf(outputs: readonly Node[], start: number): Node[] {
  const outside = new Set<Node>();
  // Grows while it is walked.
  const seen = new Set(outputs);
  for (const node of seen) {
    if (node.id >= start) for (const input of node.inputs) seen.add(input);
    else if (node.kind !== "constant" && node.kind !== "literal") outside.add(node);
  }
  return [...outside].sort((a, b) => a.id - b.id);
}
