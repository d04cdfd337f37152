/** Sizes that follow from one that is left open, such as how many images there are: found by tracing a function at several of them. */
import { EvenkeelError } from "../../engine/index.ts";
import { topologicalOrder } from "../../engine/graph/graph.ts";
import type { Node } from "../../engine/graph/node.ts";
import { formatShape, type Shape } from "../../engine/graph/shape.ts";

/** perFree times the open size, and a number more. */
export type Size = { readonly perFree: number; readonly fixed: number };

/** Numbers that a node has, such as its shape, as sizes. */
export type SizesOf = (node: Node, read: (node: Node) => readonly number[]) => readonly Size[];

export const fixedSize = (fixed: number): Size => ({ perFree: 0, fixed });
export const isFixed = ({ perFree }: Size): boolean => perFree === 0;
export const sumOf = (a: Size, b: Size): Size => ({ perFree: a.perFree + b.perFree, fixed: a.fixed + b.fixed });
export const timesSize = (a: Size, factor: number): Size => ({
  perFree: a.perFree * factor,
  fixed: a.fixed * factor,
});

/** What messages call a node. */
export const nameOf = ({ id, kind, dtype, shape }: Node): string =>
  `node ${id} (${kind}, ${dtype} ${formatShape(shape)})`;

/** Of a graph whose sizes are all as they are. */
export const sizesAsTheyAre: SizesOf = (node, read) => read(node).map(fixedSize);

/** The same outputs, traced where the open size is `count`. */
export type TraceAt = { readonly count: number; readonly outputs: readonly Node[] };

/**
 * How the sizes of the first trace depend on the open one: linearly, or not at all. Each trace beyond the second proves it.
 * @throws EvenkeelError `trace`, now or for a node's sizes, if they don't, or if anything else differs.
 */
export function sizesAcross(traces: readonly [TraceAt, TraceAt, ...TraceAt[]]): SizesOf {
  const alike = new Map<Node, readonly Node[]>();
  match(
    traces.map(({ outputs }) => outputs),
    alike,
  );
  const [{ count: first }, { count: second }] = traces;
  return (node, read) => {
    const numbers = (alike.get(node) ?? [node]).map(read);
    const [own = []] = numbers;
    return own.map((value, i) => {
      if (numbers.every((list) => Object.is(list[i], value))) return fixedSize(value);
      const perFree = ((numbers[1]?.[i] ?? value) - value) / (second - first);
      const size = { perFree, fixed: value - perFree * first };
      const isLinear = numbers.every((list, k) => list[i] === perFree * (traces[k]?.count ?? NaN) + size.fixed);
      if (Number.isInteger(perFree) && isLinear) return size;
      const seen = numbers.map((list, k) => `${list[i]} at ${traces[k]?.count}`).join(", ");
      throw new EvenkeelError(
        "trace",
        `exportOnnx: ${nameOf(node)} depends on the free size, but doesn't grow evenly with it: ${seen}. Export it without a free size.`,
      );
    });
  };
}

/** Pairs the nodes of graphs that are to differ in sizes alone. */
function match(all: readonly (readonly Node[])[], alike: Map<Node, readonly Node[]>): void {
  const orders = all.map((outputs) => topologicalOrder(outputs));
  const [first = []] = orders;
  for (const [i, node] of first.entries()) {
    const others = orders.flatMap((order) => order.slice(i, i + 1));
    if (others.length < orders.length || others.some((other) => !isAlike(node, other))) {
      throw new EvenkeelError(
        "trace",
        `exportOnnx: the function isn't the same at all sizes of the free axis: ${nameOf(node)} is otherwise at another. ` +
          "Export it without a free size.",
      );
    }
    alike.set(node, others);
    if (node.kind === "loop") match(others.map(bodyOf), alike);
  }
  if (orders.some(({ length }) => length !== first.length)) {
    throw new EvenkeelError(
      "trace",
      "exportOnnx: the function has more steps at some sizes of the free axis than at others. Export it without a free size.",
    );
  }
}

function bodyOf(node: Node): readonly Node[] {
  if (node.kind !== "loop") return [];
  const { loop, result } = node.attributes;
  return result.kind === "any" ? [...loop.body.outputs, result.node] : loop.body.outputs;
}

function isAlike(a: Node, b: Node): boolean {
  if (a === b) return true;
  if (a.kind !== b.kind || a.dtype !== b.dtype || a.shape.length !== b.shape.length) return false;
  if (a.kind === "constant" && b.kind === "constant") {
    return (
      isSameShape(a.shape, b.shape) && a.attributes.data.every((value, i) => Object.is(value, b.attributes.data[i]))
    );
  }
  return besideSizes(a) === besideSizes(b);
}

const isSameShape = (a: Shape, b: Shape): boolean => a.every((size, i) => size === b[i]);

/** What a node has that is no size, as a text to compare. */
function besideSizes(node: Node): string {
  switch (node.kind) {
    case "constant":
    case "literal":
    case "input":
    case "reshape":
    case "expand":
    case "matmul":
    case "stopGradient":
    case "check":
    case "barrier":
    case "ruled":
    case "select":
      return "";
    case "slice":
      return node.attributes.step.join();
    case "pad":
      return String(node.attributes.value);
    case "iota":
    case "concat":
    case "gather":
      return String(node.attributes.axis);
    case "scatter":
      return `${node.attributes.op} ${node.attributes.axis}`;
    case "unary":
    case "binary":
    case "compare":
      return node.attributes.op;
    case "cast":
      return node.attributes.isFinite === true ? "finite" : "";
    case "shift":
      return `${node.attributes.direction} ${node.attributes.amount}`;
    case "threefry":
      return String(node.attributes.word);
    case "reduce":
      return `${node.attributes.op} ${node.attributes.axes.join()}`;
    case "permute":
      return node.attributes.order.join();
    case "conv":
      return JSON.stringify(node.attributes);
    case "loop": {
      const { loop, result } = node.attributes;
      const index = result.kind === "any" ? "" : result.index;
      return [result.kind, index, loop.length, loop.reverse, loop.carried, loop.rows].join();
    }
  }
}
