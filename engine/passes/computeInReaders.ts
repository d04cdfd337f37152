/**
 * Values are made again by each kernel that reads them, if that kernel then reads no more memory: it has what they are made of before it
 * anyway, or reads that in their stead. A sigmoid is made of its argument, a normalized value of what was normalized and a number for
 * each row. Devices to which arithmetic is next to nothing beside memory do so with all values, others with those that no cache holds: it takes
 * them no more time, and a program needs less memory.
 */
import type { DeviceLimits } from "../devices/device.ts";
import type { Graph } from "../graph/graph.ts";
import type { Node } from "../graph/node.ts";
import { sizeOf } from "../graph/shape.ts";
import { isRead } from "../kernel/access.ts";
import { binaryCosts, unaryCosts } from "../kernel/cost.ts";
import type { LoweredKernel } from "../kernel/kernelWalk.ts";
import { lowerKernel } from "../kernel/lowerKernel.ts";
import type { Scalar } from "../kernel/kernel.ts";
import { scalarsOf } from "../kernel/scalar.ts";
import { storageOf } from "../kernel/views.ts";
import { hasMemory, mostRegions } from "./inlineSingleReaders.ts";

/** What a value may cost to be made again: a sigmoid and more or less arithmetic around it. */
const mostWeight = { plenty: 24, scarce: 12 } as const;
/** Elements that a value has at least. */
const fewestElements = { plenty: 0, scarce: 2 ** 18 } as const;
/** Other memory that is read more may be this part of what is read less: numbers for each row. */
const smallShare = 1 / 4;

type Limits = Pick<DeviceLimits, "arithmetic" | "operands" | "arrays" | "scalars">;

/**
 * Values are tried one after the other, later ones first. Pauses after each.
 * @param kernels by root; those that nobody reads any more are taken out, of `roots`, too
 * @param overwritten inputs that outputs are written over: what is made of them stays, or who writes would have to wait for more readers
 */
export function* computingInReaders(
  graph: Graph,
  kernels: Map<Node, LoweredKernel>,
  roots: Set<Node>,
  limits: Limits,
  overwritten: ReadonlySet<Node>,
): Generator<void, void> {
  const outputs = new Set(graph.outputs.map(storageOf));
  /** By root what has memory and is made again in its kernel. */
  const inside = new Map<Node, ReadonlySet<Node>>();
  const readers = new Map<Node, Set<Node>>();
  for (const [root, { sources }] of kernels) {
    for (const source of sources) readers.set(source, (readers.get(source) ?? new Set()).add(root));
  }
  const replace = (root: Node, kernel: LoweredKernel): void => {
    for (const source of kernels.get(root)?.sources ?? []) readers.get(source)?.delete(root);
    for (const source of kernel.sources) readers.set(source, (readers.get(source) ?? new Set()).add(root));
    kernels.set(root, kernel);
  };

  /** The kernel of `reader` with a value made in it; null if it can't be. */
  const holding = (reader: Node, value: Node): LoweredKernel | null => {
    const made = madeIn(reader, value);
    const result = lowerKernel(reader, (node) => hasMemory(node, roots) && !made.has(node));
    if (result.kind !== "kernel" || result.stored.length > 0 || !fits(result.kernel, limits)) return null;
    return limits.arithmetic === "plenty" || foldsAlike(kernels.get(reader), result.kernel) ? result.kernel : null;
  };
  const folds = foldsBefore(kernels);
  /** Whether it is read behind another sum. What is read before any is handed on in registers, as steps are that are joined. */
  const isReadLater = (value: Node): boolean =>
    [...(readers.get(value) ?? [])].some((reader) => folds.get(reader) !== folds.get(value));
  const madeIn = (reader: Node, value: Node): ReadonlySet<Node> =>
    new Set([...(inside.get(reader) ?? []), ...(inside.get(value) ?? []), value]);

  for (const value of [...kernels.keys()].sort((a, b) => b.id - a.id)) {
    const kernel = kernels.get(value);
    if (kernel === undefined || outputs.has(value) || !isCheap(kernel, mostWeight[limits.arithmetic])) continue;
    if (sizeOf(value.shape) < fewestElements[limits.arithmetic]) continue;
    if (kernel.sources.some((source) => overwritten.has(source)) || !isReadLater(value)) continue;
    const small = sizeOf(value.shape) * smallShare;
    const tried = [...(readers.get(value) ?? [])].map((reader) => {
      const before = kernels.get(reader);
      const mayHold = before !== undefined && isReadOnce(before, value);
      return { reader, more: mayHold ? moreRead(before, value, kernel) : Infinity };
    });
    const growth = tried.reduce((sum, { more }) => sum + Math.max(0, more), 0);
    const mayDrop = tried.length > 0 && growth <= small;
    // A reader that has all of it before it anyway gains, whatever the others do.
    const gains = (more: number): boolean => more <= small - sizeOf(value.shape);
    const held = tried.flatMap(({ reader, more }) => {
      const holds = mayDrop || gains(more) ? holding(reader, value) : null;
      return holds === null ? [] : [{ reader, more, holds }];
    });
    const isDropped = mayDrop && held.length === tried.length;
    for (const { reader, more, holds } of held) {
      if (!isDropped && !gains(more)) continue;
      inside.set(reader, madeIn(reader, value));
      replace(reader, holds);
    }
    if (isDropped) {
      for (const source of kernel.sources) readers.get(source)?.delete(value);
      kernels.delete(value);
      roots.delete(value);
    }
    yield;
  }
}

/** By root how many kernels that fold are on the longest way to it, its own included. */
function foldsBefore(kernels: ReadonlyMap<Node, LoweredKernel>): ReadonlyMap<Node, number> {
  const folds = new Map<Node, number>();
  const inOrder = [...kernels].sort(([a], [b]) => a.id - b.id);
  for (const [root, { sources, reduction }] of inOrder) {
    const before = Math.max(0, ...sources.map((source) => folds.get(source) ?? 0));
    folds.set(root, before + (reduction === null ? 0 : 1));
  }
  return folds;
}

/** How many more elements a kernel reads if it reads what a value is made of rather than that. */
function moreRead({ sources }: LoweredKernel, value: Node, made: LoweredKernel): number {
  const read = new Set(sources);
  const added = made.sources.reduce((sum, source) => sum + (read.has(source) ? 0 : sizeOf(source.shape)), 0);
  return added - sizeOf(value.shape);
}

/** Whether a kernel that folds has the axes it had: convolutions are known by theirs. */
function foldsAlike(before: LoweredKernel | undefined, { reduction, parallel, reduce }: LoweredKernel): boolean {
  if (reduction === null || before === undefined) return true;
  return before.parallel.join() === parallel.join() && before.reduce.join() === reduce.join();
}

function isCheap({ reduction, value }: LoweredKernel, mostWeight: number): boolean {
  if (reduction !== null) return false;
  const weight = scalarsOf(value).reduce((sum, scalar) => sum + weightOf(scalar), 0);
  return weight <= mostWeight;
}

function weightOf(scalar: Scalar): number {
  switch (scalar.kind) {
    case "unary":
      return unaryCosts[scalar.op].again;
    case "binary":
      return binaryCosts[scalar.op].again;
    case "gather":
    case "threefry":
      return Infinity;
    default:
      return 1;
  }
}

/** Whether a kernel needs each element of a value at one point, on the whole. A factor of a product is needed at many. */
function isReadOnce({ sources, parallel, reduce, reduction }: LoweredKernel, value: Node): boolean {
  const operand = sources.indexOf(value);
  const isFolded =
    reduction !== null && scalarsOf(reduction.body).some((scalar) => isRead(scalar) && scalar.operand === operand);
  return sizeOf(parallel) * (isFolded ? sizeOf(reduce) : 1) <= sizeOf(value.shape);
}

function fits(kernel: LoweredKernel, limits: Limits): boolean {
  const scalars = kernel.reduction === null ? scalarsOf(kernel.value) : scalarsOf(kernel.reduction.body, kernel.value);
  return (
    kernel.operands.length <= limits.operands &&
    kernel.operands.length + 1 <= limits.arrays &&
    scalars.length <= limits.scalars &&
    scalars.filter(({ kind }) => kind === "region").length <= mostRegions
  );
}
