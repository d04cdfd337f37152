/**
 * A value that is used in several places but by one kernel only, and there element for element, needs no memory after all:
 * inside of that kernel it is computed once and shared.
 */
import type { DeviceLimits } from "../devices/device.ts";
import type { Graph } from "../graph/graph.ts";
import type { Node } from "../graph/node.ts";
import { at, sizeOf } from "../graph/shape.ts";
import { isRead, type Read } from "../kernel/access.ts";
import { sameAffine } from "../kernel/affine.ts";
import type { Affine, Scalar } from "../kernel/kernel.ts";
import type { LoweredKernel } from "../kernel/kernelWalk.ts";
import { lowerKernel } from "../kernel/lowerKernel.ts";
import { scalarsOf } from "../kernel/scalar.ts";
import { storageOf } from "../kernel/views.ts";

/** Borders (of `pad` and `concat`) in one kernel at most: each cuts its loops in parts. */
export const mostRegions = 6;

/**
 * Values are tried one after the other, later ones first, each by a walk through the kernel that would hold it. Chains of
 * element-wise kernels are tried as a whole before, where the order can't matter. Pauses after each kernel.
 * @param kernels by root; those that are part of others are taken out, of `roots`, too
 */
export function* inliningSingleReaders(
  graph: Graph,
  kernels: Map<Node, LoweredKernel>,
  roots: Set<Node>,
  limits: DeviceLimits,
): Generator<void, void> {
  const inlining = new Inlining(graph, kernels, roots, limits);
  const candidates = [...kernels.keys()].sort((a, b) => b.id - a.id);
  for (const root of candidates) {
    inlining.inlineChain(root);
    yield;
  }
  for (const root of candidates) {
    inlining.inlineAlone(root);
    yield;
  }
}

/** What a kernel holds. */
type Contents = {
  /** Expressions in all, and borders. */
  readonly scalars: number;
  readonly regions: number;
  /** Those within the reduction. */
  readonly folded: ReadonlySet<Scalar>;
  /** What it reads of each source. */
  readonly reads: ReadonlyMap<Node, readonly Read[]>;
};

class Inlining {
  readonly #outputs: ReadonlySet<Node>;
  readonly #kernels: Map<Node, LoweredKernel>;
  readonly #roots: Set<Node>;
  readonly #limits: DeviceLimits;
  /** By root, the roots of the kernels that read it. */
  readonly #readers = new Map<Node, Set<Node>>();
  /** Those that another kernel may hold with more than it can: which of them it does depends on the order. */
  readonly #contested = new Set<Node>();
  readonly #contents = new WeakMap<LoweredKernel, Contents>();

  constructor(graph: Graph, kernels: Map<Node, LoweredKernel>, roots: Set<Node>, limits: DeviceLimits) {
    this.#outputs = new Set(graph.outputs.map(storageOf));
    this.#kernels = kernels;
    this.#roots = roots;
    this.#limits = limits;
    for (const [root, kernel] of kernels) this.#noteReader(root, kernel);
  }

  /** Puts all element-wise kernels into that of `reader` which are for it alone and element for element, if all is sure to fit. */
  inlineChain(reader: Node): void {
    if (!this.#kernels.has(reader) || this.#contested.has(reader)) return;
    const all = this.#grow(reader, (root, into) => this.#mayBeInlined(root, into));
    if (all.size === 1) return;
    if (!this.#surelyFits(all)) {
      for (const root of all) this.#contested.add(root);
      return;
    }
    const [, ...chain] = this.#grow(reader, (root, into) => this.#isChained(root, into));
    if (chain.length > 0) this.#inline(reader, chain);
  }

  /** Puts the kernel of `root` into the one that reads it, if there is but one and it can be. */
  inlineAlone(root: Node): void {
    const kernel = this.#kernels.get(root);
    const [reader, ...others] = this.#readers.get(root) ?? [];
    if (kernel === undefined || this.#outputs.has(root) || reader === undefined || others.length > 0) return;
    const into = this.#kernelOf(reader);
    if (kernel.reduction !== null && into.reduction !== null) return;
    if (this.#readsEachElementOnce(into, root)) this.#inline(reader, [root]);
  }

  #kernelOf(root: Node): LoweredKernel {
    const kernel = this.#kernels.get(root);
    if (kernel === undefined) throw new Error(`fuse: ${root.kind} ${root.id} has no kernel`);
    return kernel;
  }

  /** `reader` and, again and again, what none but those read, if `mayJoin` of each kernel that reads it. */
  #grow(reader: Node, mayJoin: (root: Node, into: LoweredKernel) => boolean): ReadonlySet<Node> {
    // Grows while it is walked; what isn't read by these alone yet is met again with its last reader.
    const found = new Set([reader]);
    for (const root of found) {
      for (const source of this.#kernelOf(root).sources) {
        if (found.has(source) || this.#outputs.has(source) || !this.#kernels.has(source)) continue;
        const readers = [...(this.#readers.get(source) ?? [])];
        if (readers.every((each) => found.has(each) && mayJoin(source, this.#kernelOf(each)))) found.add(source);
      }
    }
    return found;
  }

  /** Whether what holds `into` could ever hold the kernel of `root` inside: not if both fold, or if it is read at places apart. */
  #mayBeInlined(root: Node, into: LoweredKernel): boolean {
    if (into.reduction !== null && this.#kernelOf(root).reduction !== null) return false;
    const [first, ...others] = this.#readsOf(root, into);
    return (
      first?.kind === "load" &&
      others.every(
        (read) => read.kind === "load" && (read.at.offset === first.at.offset || !sameSlope(read.at, first.at)),
      )
    );
  }

  #readsOf(root: Node, kernel: LoweredKernel): readonly Read[] {
    return this.#contentsOf(kernel).reads.get(root) ?? [];
  }

  /** Whether a kernel that held any of these, in any order, would keep to the limits: with borders nobody knows. */
  #surelyFits(roots: ReadonlySet<Node>): boolean {
    const kernels = [...roots].map((root) => this.#kernelOf(root));
    const contents = kernels.map((kernel) => this.#contentsOf(kernel));
    const operands = new Set(kernels.flatMap(({ sources }) => sources));
    return (
      contents.reduce((sum, { scalars }) => sum + scalars, 0) <= this.#limits.scalars &&
      contents.every(({ regions }) => regions === 0) &&
      operands.size <= this.#limits.operands
    );
  }

  /** Whether an element-wise kernel is read by `into` at its own elements only, outside of what is folded. */
  #isChained(root: Node, into: LoweredKernel): boolean {
    if (this.#kernelOf(root).reduction !== null) return false;
    const { folded } = this.#contentsOf(into);
    return this.#readsOf(root, into).every(
      (read) => read.kind === "load" && sameAffine(read.at, into.at) && !folded.has(read),
    );
  }

  /** Whether all loads of `source` have one address and no element is read at two points. */
  #readsEachElementOnce(kernel: LoweredKernel, source: Node): boolean {
    const { folded } = this.#contentsOf(kernel);
    const reads = this.#readsOf(source, kernel);
    const [first] = reads;
    if (first?.kind !== "load") return false;
    if (!reads.every((read) => read.kind === "load" && sameAffine(read.at, first.at))) return false;
    const points = sizeOf(kernel.parallel) * (folded.has(first) ? sizeOf(kernel.reduce) : 1);
    return points <= sizeOf(source.shape);
  }

  /** Puts the kernels of `roots` into that of `reader`, or leaves all as it is. */
  #inline(reader: Node, roots: readonly Node[]): void {
    for (const root of roots) this.#roots.delete(root);
    const merged = lowerKernel(reader, (node) => hasMemory(node, this.#roots));
    if (merged.kind !== "kernel" || merged.stored.length > 0 || !this.#fits(merged.kernel)) {
      for (const root of roots) this.#roots.add(root);
      return;
    }
    for (const root of [reader, ...roots]) {
      for (const source of this.#kernelOf(root).sources) this.#readers.get(source)?.delete(root);
      this.#kernels.delete(root);
    }
    this.#kernels.set(reader, merged.kernel);
    this.#noteReader(reader, merged.kernel);
  }

  #noteReader(root: Node, { sources }: LoweredKernel): void {
    for (const source of sources) {
      const known = this.#readers.get(source);
      if (known === undefined) this.#readers.set(source, new Set([root]));
      else known.add(root);
    }
  }

  #fits(kernel: LoweredKernel): boolean {
    const { scalars, regions } = this.#contentsOf(kernel);
    const { operands, scalars: most } = this.#limits;
    return kernel.operands.length <= operands && scalars <= most && regions <= mostRegions;
  }

  #contentsOf(kernel: LoweredKernel): Contents {
    const known = this.#contents.get(kernel);
    if (known !== undefined) return known;
    const contents = contentsOf(kernel);
    this.#contents.set(kernel, contents);
    return contents;
  }
}

function contentsOf({ reduction, value, sources }: LoweredKernel): Contents {
  const folded = reduction === null ? [] : scalarsOf(reduction.body);
  const scalars = reduction === null ? scalarsOf(value) : scalarsOf(reduction.body, value);
  const reads = new Map<Node, Read[]>(sources.map((source) => [source, []]));
  for (const scalar of scalars) if (isRead(scalar)) reads.get(at(sources, scalar.operand))?.push(scalar);
  return {
    scalars: scalars.length,
    regions: scalars.filter(({ kind }) => kind === "region").length,
    folded: new Set(folded),
    reads,
  };
}

/** Whether two addresses differ by as much at every point. */
function sameSlope(one: Affine, other: Affine): boolean {
  return sameAffine({ ...one, offset: 0 }, { ...other, offset: 0 });
}

/** Whether a node's elements are in memory before any kernel that reads them. */
export function hasMemory(node: Node, roots: ReadonlySet<Node>): boolean {
  return node.kind === "input" || node.kind === "constant" || roots.has(node);
}
