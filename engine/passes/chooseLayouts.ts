/**
 * Chooses for each temporary whether its channels lie last, for devices that copy what products read closer first: of an image, or a
 * filter, whose channels lie side by side they read four at once, wherever a tap of the filter moves them.
 *
 * What products read otherwise than in fours is tried with channels last first, and then what is computed together with it: each array is
 * changed as long as fewer instructions load and store that way (`layoutCost.ts`). What the choice depends on are shapes alone.
 */
import type { DeviceLimits } from "../devices/device.ts";
import type { Graph } from "../graph/graph.ts";
import type { Node } from "../graph/node.ts";
import { at, sizeOf } from "../graph/shape.ts";
import { sameAffine } from "../kernel/affine.ts";
import type { Load } from "../kernel/contraction.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { kernelOf, layKernel, placeIn } from "../kernel/layKernel.ts";
import { type ChannelsLast, type Layout, sameLayout } from "../kernel/layout.ts";
import { scalarsOf } from "../kernel/scalar.ts";
import { storageOf } from "../kernel/views.ts";
import type { FusedKernel } from "./fuse.ts";
import { costOfAccess, goesInFours, readsOf, tiledContractionOf } from "./layoutCost.ts";

type Limits = Pick<DeviceLimits, "layouts">;

/** Kernels over arrays that lie as they should, and how those lie that don't lie in order. */
export type Laid = { readonly kernels: readonly FusedKernel[]; readonly layouts: ReadonlyMap<Node, ChannelsLast> };

/** Pauses after each array that is tried, and each kernel. */
export function* choosingLayouts(kernels: readonly FusedKernel[], graph: Graph, limits: Limits): Generator<void, Laid> {
  if (limits.layouts === "inOrder") return { kernels, layouts: new Map() };
  const search = new Search(kernels, new Set(graph.outputs.map(storageOf)));
  yield* search.run();
  const layoutOf = (node: Node): Layout => search.layouts.get(node) ?? null;
  const laid: FusedKernel[] = [];
  for (const { root, kernel } of kernels) {
    const own = layKernel(kernel, root, layoutOf);
    if (own === null) throw new Error(`chooseLayouts: no kernel for ${root.kind} ${root.id}`);
    laid.push({ root, kernel: own });
    yield;
  }
  return { kernels: laid, layouts: search.layouts };
}

/** A kernel, where it is among all. */
type Place = { readonly fused: FusedKernel; readonly index: number };

class Search {
  readonly #kernels: readonly FusedKernel[];
  readonly #outputs: ReadonlySet<Node>;
  /** By array the kernels that touch it. */
  readonly #touching = new Map<Node, Place[]>();
  readonly #madeBy = new Map<Node, FusedKernel>();
  readonly #layouts = new Map<Node, ChannelsLast>();
  readonly #costs = new Map<string, number>();
  /** How often what a kernel makes is made, where that isn't once. */
  readonly #times = new Map<Node, number>();

  constructor(kernels: readonly FusedKernel[], outputs: ReadonlySet<Node>) {
    this.#kernels = kernels;
    this.#outputs = outputs;
    kernels.forEach((fused, index) => {
      this.#madeBy.set(fused.root, fused);
      // One for all arrays that it touches: of several of them it counts once.
      const place = { fused, index };
      for (const node of new Set([fused.root, ...fused.kernel.sources])) {
        const known = this.#touching.get(node);
        if (known === undefined) this.#touching.set(node, [place]);
        else known.push(place);
      }
    });
    for (const fused of kernels) {
      if (hasBorders(fused)) this.#times.set(fused.root, this.#timesRead(fused.root));
    }
  }

  /** How often products read each element of an array: what has borders is made there (`inlineFactors.ts`). */
  #timesRead(node: Node): number {
    const readers = (this.#touching.get(node) ?? []).filter(({ fused }) => fused.root !== node);
    const reads = readers.map(({ fused: { kernel, root } }) => {
      const reader = kernelOf(kernel, root);
      const contraction = tiledContractionOf(reader);
      if (contraction === null) return 0;
      const [left, right] = readsOf(reader, contraction);
      return at(kernel.sources, contraction.left.operand) === node ? left : right;
    });
    return reads.includes(0) ? 1 : Math.ceil(reads.reduce((sum, count) => sum + count, 0) / sizeOf(node.shape));
  }

  *run(): Generator<void, void> {
    for (const { kernel, root } of this.#kernels) {
      for (const [node, layout] of this.#wantedBy(kernelOf(kernel, root), kernel.sources))
        this.#layouts.set(node, layout);
      yield;
    }
    this.#dropImpossible();
    const groups = this.#groups();
    const groupOf = new Map(groups.flatMap((group) => group.map((node) => [node, group] as const)));
    const beside = (group: readonly Node[]): (readonly Node[])[] =>
      group.flatMap((node) => this.#beside(node)).map((node) => groupOf.get(node) ?? []);
    const tried = groups.filter((group) => group.some((node) => this.#layouts.has(node)));
    // What is beside follows before what was tried is given up for its sake. Each change makes the count smaller, or leaves it and lays
    // one more array with channels last; counts are sums without roundings. So it ends.
    const waiting = new Set([...tried.flatMap(beside), ...tried]);
    for (const group of waiting) {
      waiting.delete(group);
      yield;
      const changed =
        this.#improve(group) || (group.length > 1 && group.filter((node) => this.#improve([node])).length > 0);
      if (!changed) continue;
      for (const other of beside(group)) waiting.add(other);
      waiting.add(group);
    }
  }

  /** What some kernel can't read so lies in order. No change from there on leads to a kernel that can't be. */
  #dropImpossible(): void {
    this.#kernels.forEach((fused, index) => {
      const { root, kernel } = fused;
      if (this.#costOf({ fused, index }) < Infinity) return;
      for (const node of [root, ...kernel.sources]) this.#layouts.delete(node);
    });
  }

  /** Arrays that may change, those together whose elements are computed with one another's. */
  #groups(): readonly (readonly Node[])[] {
    const groupOf = new Map<Node, Node[]>();
    for (const { root } of this.#kernels) if (this.#mayChange(root)) groupOf.set(root, [root]);
    for (const { root, kernel } of this.#kernels) {
      for (const scalar of scalarsOf(kernel.value)) {
        if (scalar.kind !== "load" || !sameAffine(scalar.at, kernel.at)) continue;
        const [one, other] = [groupOf.get(root), groupOf.get(at(kernel.sources, scalar.operand))];
        if (one === undefined || other === undefined || one === other) continue;
        if (at(one, 0).shape.length === 0 || sizeOf(at(one, 0).shape) !== sizeOf(at(other, 0).shape)) continue;
        for (const node of other) groupOf.set(node, one);
        one.push(...other);
      }
    }
    return [...new Set(groupOf.values())];
  }

  /** The layouts that were found. */
  get layouts(): ReadonlyMap<Node, ChannelsLast> {
    return this.#layouts;
  }

  /** Layouts of what a product reads in fours then, and doesn't as it is. */
  #wantedBy(kernel: Kernel, sources: readonly Node[]): (readonly [Node, ChannelsLast])[] {
    const contraction = tiledContractionOf(kernel);
    if (contraction === null) return [];
    const { depth } = contraction;
    return [
      { load: contraction.left, own: contraction.rows },
      { load: contraction.right, own: contraction.columns },
    ].flatMap(({ load, own }) => {
      const source = at(sources, load.operand);
      if (!this.#mayChange(source)) return [];
      if ([own, depth].some((axes) => goesInFours(kernel, load.at, axes))) return [];
      // What moves the least is enough.
      const found = this.#possible(source).findLast((layout) => couldGoInFours(kernel, load, layout));
      return found === undefined ? [] : [[source, found] as const];
    });
  }

  #mayChange(node: Node): boolean {
    return this.#madeBy.has(node) && !this.#outputs.has(node);
  }

  /** Arrays that kernels touch together with this one. */
  #beside(node: Node): readonly Node[] {
    const found = new Set<Node>();
    for (const { fused } of this.#touching.get(node) ?? []) {
      for (const other of [fused.root, ...fused.kernel.sources]) if (this.#mayChange(other)) found.add(other);
    }
    found.delete(node);
    return [...found];
  }

  /** Gives arrays the layout with which least is loaded and stored. Of equal ones one with channels last. */
  #improve(nodes: readonly Node[]): boolean {
    const before = nodes.map((node) => this.#layouts.get(node) ?? null);
    const places = [...new Set(nodes.flatMap((node) => this.#touching.get(node) ?? []))];
    const cost = (): number => places.reduce((sum, place) => sum + this.#costOf(place), 0);
    let [best, least] = [before, cost()];
    for (const layout of this.#candidatesFor(nodes)) {
      const all = nodes.map(() => layout);
      if (all.every((each, i) => sameLayout(each, at(before, i)))) continue;
      this.#set(nodes, all);
      const found = cost();
      if (found < least || (found === least && layout !== null && best.every((each) => each === null))) {
        [best, least] = [all, found];
      }
    }
    this.#set(nodes, best);
    return best !== before;
  }

  #set(nodes: readonly Node[], layouts: readonly Layout[]): void {
    nodes.forEach((node, i) => {
      const layout = at(layouts, i);
      if (layout === null) this.#layouts.delete(node);
      else this.#layouts.set(node, layout);
    });
  }

  /** In order, and with channels last as those beside them have. */
  #candidatesFor(nodes: readonly Node[]): readonly Layout[] {
    const known = [...nodes, ...nodes.flatMap((node) => this.#beside(node))].flatMap(
      (node) => this.#layouts.get(node) ?? [],
    );
    const found: Layout[] = [null];
    if (known.length === 0) return found;
    for (const layout of nodes.flatMap((node) => this.#possible(node))) {
      const isBeside = known.some(({ channels, pixels }) => channels === layout.channels || pixels === layout.pixels);
      if (isBeside && !found.some((each) => sameLayout(each, layout))) found.push(layout);
    }
    return found;
  }

  /** With the channels of each axis last, but of the first: its points are arrays of their own, such as the images of a batch. */
  #possible(node: Node): readonly ChannelsLast[] {
    const { parallel } = this.#madeBy.get(node)?.kernel ?? { parallel: [] };
    return parallel
      .map((channels, axis) => ({ channels, pixels: sizeOf(parallel.slice(axis + 1)) }))
      .filter(({ channels, pixels }, axis) => axis > 0 && channels % 4 === 0 && pixels > 1);
  }

  #costOf({ fused: { root, kernel }, index }: Place): number {
    const layoutOf = (node: Node): Layout => this.#layouts.get(node) ?? null;
    const layouts = [root, ...kernel.sources].map(layoutOf);
    const key = `${index}: ${layouts.map((layout) => (layout === null ? "" : `${layout.channels}x${layout.pixels}`)).join()}`;
    const known = this.#costs.get(key);
    if (known !== undefined) return known;
    const laid = layKernel(kernel, root, layoutOf);
    const cost = laid === null ? Infinity : (this.#times.get(root) ?? 1) * costOfAccess(kernelOf(laid, root));
    this.#costs.set(key, cost);
    return cost;
  }
}

const hasBorders = ({ kernel: { reduction, value } }: FusedKernel): boolean =>
  reduction === null && scalarsOf(value).some(({ kind }) => kind === "region");

/** Whether a load could go in aligned fours along some axis of what it reads, if that lay so. */
function couldGoInFours(kernel: Kernel, { at: affine }: Load, layout: ChannelsLast): boolean {
  const found = placeIn(affine, kernel.axes, layout);
  return found !== null && kernel.axes.some((_, axis) => goesInFours(kernel, found, [axis]));
}
