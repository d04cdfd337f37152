/**
 * Fusion: decides which values get memory (roots); everything between roots becomes part of a kernel.
 *
 * Roots are outputs, operands of contractions, values used in several places unless computing them again is cheaper than
 * storing them, and costly values that are repeated by `expand`. What the lowering of a kernel can't contain becomes a root
 * too, until every root has a kernel.
 */
import type { DeviceLimits } from "../devices/device.ts";
import type { Graph } from "../graph/graph.ts";
import { topologicalOrder } from "../graph/graph.ts";
import type { Node } from "../graph/node.ts";
import { at, sizeOf } from "../graph/shape.ts";
import { binaryCosts, threefryCost, unaryCosts } from "../kernel/cost.ts";
import type { LoweredKernel } from "../kernel/kernelWalk.ts";
import { lowerKernel } from "../kernel/lowerKernel.ts";
import { isView, readInputs, storageOf, viewBase } from "../kernel/views.ts";
import { addendsOf } from "./addends.ts";
import { computingInReaders } from "./computeInReaders.ts";
import { hasMemory, inliningSingleReaders, mostRegions } from "./inlineSingleReaders.ts";

export type FusedKernel = { readonly root: Node; readonly kernel: LoweredKernel };

/** A value of this weight or less is computed again for each use rather than stored. */
const cheapWeight = 2;

/**
 * Kernels in order of computation. Outputs that are inputs, constants or repeated get no kernel of their own here. Pauses after each
 * kernel.
 */
export function* fusing(
  graph: Graph,
  limits: DeviceLimits,
  overwritten: ReadonlySet<Node>,
): Generator<void, FusedKernel[]> {
  const order = topologicalOrder(graph.outputs);
  let roots = chooseRoots(graph, order, limits, new Set());
  yield;
  let kernels = yield* lowering(order, roots);
  // What became a root after a value was looked at is one more array that its kernel reads: with all of them known it is looked at again.
  while ([...kernels.values()].some(({ operands }) => operands.length > limits.operands)) {
    const more = chooseRoots(graph, order, limits, roots);
    yield;
    if (more.size === roots.size) throw new Error("fuse: a kernel reads more arrays than the device can bind");
    roots = more;
    kernels = yield* lowering(order, roots);
  }
  yield* inliningSingleReaders(graph, kernels, roots, limits);
  yield* computingInReaders(graph, kernels, roots, limits, overwritten);
  const needed = reachable(graph, kernels);
  return order.flatMap((root) => {
    const kernel = kernels.get(root);
    return kernel === undefined || !needed.has(root) ? [] : [{ root, kernel }];
  });
}

/** Kernels by root. What they can't contain becomes a root, too. */
function* lowering(order: readonly Node[], roots: Set<Node>): Generator<void, Map<Node, LoweredKernel>> {
  const isMaterialized = (node: Node): boolean => hasMemory(node, roots);
  const readers = readersOf(order);
  const kernels = new Map<Node, LoweredKernel>();
  const pending = order.filter((node) => roots.has(node));
  for (let root = pending.pop(); root !== undefined; root = pending.pop()) {
    if (sizeOf(root.shape) === 0) continue;
    const result = lowerKernel(root, isMaterialized);
    yield;
    const isWhole = result.kind === "kernel";
    if (isWhole) kernels.set(root, result.kernel);
    else pending.push(root);
    // The first comes last, from where roots are taken.
    for (const extra of isWhole ? result.stored.toReversed() : [result.node]) {
      if (roots.has(extra)) throw new Error(`fuse: ${extra.kind} ${extra.id} is materialised and yet can't be read`);
      roots.add(extra);
      // Kernels already lowered may hold the new root inside; those that do are lowered again and load it.
      const users = rootsAbove(extra, readers, roots).filter((user) => user !== root && kernels.delete(user));
      pending.push(...users, extra);
    }
  }
  return kernels;
}

function readersOf(order: readonly Node[]): ReadonlyMap<Node, readonly Node[]> {
  const readers = new Map<Node, Node[]>(order.map((node) => [node, []]));
  for (const node of order) for (const input of new Set(readInputs(node))) readers.get(input)?.push(node);
  return readers;
}

/** The roots whose kernels would compute `node` themselves. */
function rootsAbove(node: Node, readers: ReadonlyMap<Node, readonly Node[]>, roots: ReadonlySet<Node>): Node[] {
  const found = new Set<Node>();
  // Grows while it is walked: paths may be longer than the call stack.
  const inside = new Set([node]);
  for (const current of inside) {
    for (const reader of readers.get(current) ?? []) (roots.has(reader) ? found : inside).add(reader);
  }
  return [...found];
}

function reachable(graph: Graph, kernels: ReadonlyMap<Node, LoweredKernel>): Set<Node> {
  // Grows while it is walked, too.
  const needed = new Set(graph.outputs.map(storageOf));
  for (const node of needed) for (const source of kernels.get(node)?.sources ?? []) needed.add(source);
  return needed;
}

/** What a kernel would hold that computed a value in place: operations by cost, the memory it reads, borders. */
type Contents = {
  readonly weight: number;
  readonly scalars: number;
  readonly sources: ReadonlySet<Node>;
  readonly regions: number;
};

const none: Contents = { weight: 0, scalars: 0, sources: new Set(), regions: 0 };

/** @param known values that are roots already */
function chooseRoots(graph: Graph, order: readonly Node[], limits: DeviceLimits, known: ReadonlySet<Node>): Set<Node> {
  const outputs = graph.outputs.map(storageOf).filter((node) => node.kind !== "input" && node.kind !== "constant");
  const roots = new Set<Node>([...outputs, ...known]);
  const uses = usesBehindViews(graph, order);
  const addends = limits.batches ? addendsOf(order, uses) : new Set<Node>();
  const contents = new Map<Node, Contents>();
  const contentsOf = (node: Node): Contents => {
    const known = contents.get(node);
    if (known === undefined) throw new Error(`fuse: ${node.kind} ${node.id} visited before its inputs`);
    return known;
  };
  const materialized = (node: Node): Contents => ({ weight: 0, scalars: 1, sources: new Set([node]), regions: 0 });
  const makeRoot = (node: Node): void => {
    roots.add(node);
    contents.set(node, materialized(node));
  };
  for (const node of order) {
    if (node.kind === "input" || node.kind === "constant") {
      contents.set(node, materialized(node));
      continue;
    }
    if (node.kind === "matmul" || node.kind === "conv" || node.kind === "scatter") {
      for (const input of node.inputs) {
        materializeBase(input, makeRoot, roots);
        if (limits.factors === "made") materializeBeneath(input);
      }
    }
    if (node.kind === "gather") materializeBase(storageOf(node.inputs[0]), makeRoot, roots);
    // What is kept to compute something again is kept itself, not what it is made of.
    if (node.kind === "barrier") materializeBase(node.inputs[0], makeRoot, roots);
    if (node.kind === "expand") {
      const [x] = node.inputs;
      if (sizeOf(node.shape) > sizeOf(x.shape) && contentsOf(x).weight > cheapWeight)
        materializeBase(x, makeRoot, roots);
    }
    const inputs = readInputs(node);
    const own = (input: Node): Contents => (node.kind === "barrier" ? refreshed(input, contentsOf) : contentsOf(input));
    let combined = combineContents(node, inputs.map(own));
    while (!fits(combined, limits)) {
      // Store the input that brings most along; what is left fits in the end, since one load each always does.
      const largest = [...inputs]
        .sort((a, b) => contentsOf(b).scalars - contentsOf(a).scalars)
        .find((input) => !isStored(input, roots));
      if (largest === undefined) break;
      materializeBase(largest, makeRoot, roots, true);
      combined = combineContents(
        node,
        inputs.map((input) => refreshed(input, contentsOf)),
      );
    }
    contents.set(node, combined);
    const repeatedCost = isReduction(node) ? Infinity : combined.weight;
    if ((uses.get(node) ?? 0) > 1 && repeatedCost > cheapWeight && !isView(node)) makeRoot(node);
    if (addends.has(node)) makeRoot(node);
    if (roots.has(node)) contents.set(node, materialized(node));
  }
  return roots;

  /** Costly values that a border is put around: without them it can be made where the contraction reads it (`inlineFactors`). */
  function materializeBeneath(node: Node): void {
    const base = viewBase(node);
    const isBorder = base.kind === "pad" || base.kind === "concat";
    if (isBorder) for (const input of base.inputs) materializeBeneath(input);
    else if (contentsOf(base).weight > cheapWeight) materializeBase(base, makeRoot, roots);
  }

  /** The contents of a view follow its base, which may just have become a root. */
  function refreshed(node: Node, of: (node: Node) => Contents): Contents {
    return isStored(node, roots)
      ? { ...of(node), weight: 0, scalars: 1, sources: new Set([viewBase(node)]), regions: 0 }
      : of(node);
  }
}

const isStored = (node: Node, roots: ReadonlySet<Node>): boolean => {
  const base = viewBase(node);
  return base.kind === "input" || base.kind === "constant" || base.kind === "literal" || roots.has(base);
};

function materializeBase(node: Node, makeRoot: (node: Node) => void, roots: ReadonlySet<Node>, exact = false): void {
  const base = viewBase(node);
  if (isStored(node, roots) || (base.kind === "iota" && !exact)) return;
  makeRoot(base);
}

function fits({ scalars, sources, regions }: Contents, limits: DeviceLimits): boolean {
  return scalars <= limits.scalars && sources.size <= limits.operands && regions <= mostRegions;
}

function combineContents(node: Node, inputs: readonly Contents[]): Contents {
  const [first = none, ...others] = inputs;
  const sources = others.length === 0 ? first.sources : new Set(inputs.flatMap((input) => [...input.sources]));
  const sum = (pick: (contents: Contents) => number): number => inputs.reduce((total, input) => total + pick(input), 0);
  return {
    weight: sum(({ weight }) => weight) + weightOf(node),
    scalars: sum(({ scalars }) => scalars) + (isView(node) ? 0 : 1),
    sources,
    regions: sum(({ regions }) => regions) + bordersOf(node),
  };
}

const isReduction = (node: Node): boolean =>
  node.kind === "reduce" || node.kind === "matmul" || node.kind === "conv" || node.kind === "scatter";

function bordersOf(node: Node): number {
  if (node.kind === "concat") return node.inputs.length - 1;
  if (node.kind !== "pad") return 0;
  const { low, high } = node.attributes;
  return low.filter((width, axis) => width > 0 || at(high, axis) > 0).length;
}

/** Cost of one element, in simple operations. */
function weightOf(node: Node): number {
  switch (node.kind) {
    case "unary":
      return unaryCosts[node.attributes.op].again;
    case "binary":
      return binaryCosts[node.attributes.op].again;
    case "threefry":
      return threefryCost.again;
    case "pad":
    case "concat":
    case "gather":
      return 4;
    case "compare":
    case "select":
    case "cast":
    case "shift":
      return 1;
    case "reduce":
    case "matmul":
    case "conv":
    case "scatter":
      return 64;
    default:
      break;
  }
  return 0;
}

/** How many computations and outputs read each value, views of it included. */
function usesBehindViews(graph: Graph, order: readonly Node[]): Map<Node, number> {
  const uses = new Map<Node, number>();
  const count = (node: Node): void => {
    const base = viewBase(node);
    uses.set(base, (uses.get(base) ?? 0) + 1);
  };
  for (const node of order) if (!isView(node)) node.inputs.forEach(count);
  graph.outputs.forEach(count);
  return uses;
}
