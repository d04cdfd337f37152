/**
 * Chooses how a kernel is run: which axis becomes vector lanes, which axes are unrolled so that values in registers are
 * used several times, in which order the loops nest and which axis the threads share. Any choice gives the right result;
 * an estimate of the instructions per run picks one. It sees shapes and strides only, so results never depend on the
 * number of threads.
 */
import { at } from "../../../graph/shape.ts";
import { binaryCosts, threefryCost, unaryCosts } from "../../../kernel/cost.ts";
import type { Kernel, Scalar } from "../../../kernel/kernel.ts";
import { childrenOf, rootsOf, scalarsOf } from "../../../kernel/scalar.ts";
import type { Tiling } from "../../../kernel/tiling.ts";
import { longInPlace } from "../math/index.ts";
import { segmentsOf } from "./emitRegions.ts";
import { blockOf, type Tile, tilingOf } from "./nest.ts";

export type Schedule = {
  /** What kind of code it is, human-readable. */
  readonly name: string;
  readonly tiling: Tiling;
  /** Axes whose regions are tested at each point, because code for every segment would be too long. */
  readonly branching: ReadonlySet<number>;
  /** Estimated time of a run in rough instructions. */
  readonly cost: number;
};

/** Accumulators (and vectors of operands) that fit into the 16 vector registers together. */
const registerTile = 8;
/** Instructions of a call of a long function. */
const callCost = 8;
/** What a block of random bits takes beside another, as a part of what it takes alone. */
const pairCost = 0.6;
const maximumCodeSize = 24_000;
const maximumVariants = 128;
/** One point at a time. */
const noTile: Tile = { vector: null, unroll: new Map() };

/**
 * The schedule of a normalised kernel.
 * @param options.split the axis that threads share; else it is chosen, too
 */
export function scheduleKernel(kernel: Kernel, options: { readonly split?: number } = {}): Schedule {
  const analysis = analyse(kernel);
  let best: { readonly candidate: Tile; readonly cost: number } | null = null;
  for (const candidate of candidates(kernel, analysis)) {
    const cost = estimate(analysis, candidate);
    if (best === null || cost < best.cost) best = { candidate, cost };
  }
  const { vector, unroll } = best?.candidate ?? { vector: null, unroll: new Map<number, number>() };
  const order = loopOrder(kernel, analysis.parallel, { vector, unroll });
  const points = [...unroll.values()].reduce((product, count) => product * count, 1);
  return {
    name: scheduleName(kernel, vector, unroll),
    tiling: tilingOf(kernel, {
      vector,
      unroll,
      order,
      flattened: flattenedAxes(kernel, vector, points),
      split: options.split ?? splitAxis(kernel, order, vector, unroll),
    }),
    branching: branchingAxes(kernel, analysis, vector, unroll),
    cost: best?.cost ?? 0,
  };
}

/** The schedule of a kernel that stores several values: vectors along the innermost axis, which all of them go along. */
export function scheduleSweep(kernel: Kernel): Schedule {
  const order = kernel.axes.map((_, axis) => axis);
  const candidate: Tile = { vector: order.at(-1) ?? null, unroll: new Map() };
  const cost = kernel.stores.reduce(
    (sum, store) => sum + estimate(analyse({ ...kernel, stores: [store] }), candidate),
    0,
  );
  return {
    name: `sweep with ${kernel.stores.length} results`,
    tiling: tilingOf(kernel, {
      ...candidate,
      order,
      flattened: new Set(),
      split: splitAxis(kernel, order, candidate.vector, candidate.unroll),
    }),
    branching: new Set(),
    cost,
  };
}

/**
 * The schedule of a kernel that folds only some of its reduce points for each result: those of its row, `perRow` on average.
 * Results that share a row are computed together.
 * @param rowAxes the axes that tell a result's row
 */
export function scheduleRows(kernel: Kernel, rowAxes: readonly number[], perRow: number): Schedule {
  const analysis = analyse(kernel);
  const { parallel, reduce, sizes, nodes } = analysis;
  const size = (axis: number): number => at(sizes, axis);
  const vector =
    parallel.find(
      (axis) => kernel.stores[0].at.coefficients[axis] === 1 && size(axis) > 1 && !rowAxes.includes(axis),
    ) ?? null;
  const heavy = nodes.filter(({ scalar, inner }) => inner && isArithmetic(scalar)).length;
  const vectors = vector === null ? 1 : Math.min(heavy <= 3 ? registerTile : 2, Math.floor(size(vector) / 4));
  const unroll = new Map(vector === null || vectors < 2 ? [] : [[vector, vectors]]);
  const results = parallel.reduce((product, axis) => product * size(axis), 1) / (vector === null ? 1 : 4);
  const weight = (inner: boolean): number =>
    nodes.reduce((sum, node) => sum + (node.inner === inner ? costOf(node.scalar, { vector, unroll }) : 0), 3);
  return {
    name: `scatter${vector === null ? "" : "-simd"}`,
    tiling: tilingOf(kernel, {
      vector,
      unroll,
      order: parallel,
      flattened: new Set(),
      split: splitAxis(kernel, parallel, vector, unroll),
    }),
    // Reduce points come in any order.
    branching: new Set([...branchingAxes(kernel, analysis, vector, unroll), ...reduce]),
    cost: results * (weight(false) + perRow * weight(true)),
  };
}

type Analysis = {
  readonly kernel: Kernel;
  readonly parallel: readonly number[];
  readonly reduce: readonly number[];
  readonly sizes: readonly number[];
  /** Distinct expressions: `inner` ones at every point that is folded, or that is stored where nothing is; others where it is stored. */
  readonly nodes: readonly AnalysedNode[];
  /** What expressions depend on: all that share it run equally often. */
  readonly groups: readonly { readonly axes: number; readonly inner: boolean }[];
  /** Of each axis the number of segments into which regions cut it. */
  readonly segments: readonly number[];
};

type AnalysedNode = {
  readonly scalar: Scalar;
  readonly inner: boolean;
  /** Number among `groups`. */
  readonly group: number;
  /** What it costs however it is computed; null: that depends. */
  readonly cost: number | null;
};

function analyse(kernel: Kernel): Analysis {
  const parallel = kernel.axes.flatMap(({ role }, axis) => (role === "parallel" ? [axis] : []));
  const reduce = kernel.axes.flatMap(({ role }, axis) => (role === "reduce" ? [axis] : []));
  const folded = kernel.reduction === null ? [] : scalarsOf(kernel.reduction.body);
  const stored = scalarsOf(...kernel.stores.map(({ value }) => value));
  // Sets of axes are bits: this is asked about every expression of every kernel.
  const axesOf = new Map<Scalar, number>();
  const allParallel = parallel.reduce((bits, axis) => bits | (1 << axis), 0);
  const groups: { readonly axes: number; readonly inner: boolean }[] = [];
  const nodes: AnalysedNode[] = [];
  const add = (scalar: Scalar, inner: boolean): void => {
    let axes = scalar.kind === "accumulator" ? allParallel : 0;
    for (const child of childrenOf(scalar)) axes |= axesOf.get(child) ?? 0;
    if (scalar.kind === "load" || scalar.kind === "gather" || scalar.kind === "index") {
      for (const [axis, coefficient] of scalar.at.coefficients.entries()) if (coefficient !== 0) axes |= 1 << axis;
    }
    axesOf.set(scalar, axes);
    let group = groups.findIndex((known) => known.axes === axes && known.inner === inner);
    if (group < 0) group = groups.push({ axes, inner }) - 1;
    nodes.push({ scalar, inner, group, cost: scalar.kind === "load" ? null : costOf(scalar, noTile) });
  };
  for (const scalar of folded) add(scalar, true);
  for (const scalar of stored) add(scalar, kernel.reduction === null);
  const hasRegions = nodes.some(({ scalar }) => scalar.kind === "region");
  const roots = rootsOf(kernel);
  return {
    kernel,
    parallel,
    reduce,
    sizes: kernel.axes.map(({ size }) => size),
    nodes,
    groups,
    segments: kernel.axes.map(({ size }, axis) => (hasRegions ? segmentsOf(roots, axis, size).length : 1)),
  };
}

function* candidates(kernel: Kernel, { parallel, reduce, sizes, nodes, segments }: Analysis): Iterable<Tile> {
  const size = (axis: number): number => at(sizes, axis);
  const heavy = nodes.filter(({ scalar, inner }) => inner && isArithmetic(scalar)).length;
  const limit = kernel.reduction === null ? 1 : heavy <= 3 ? registerTile : heavy <= 8 ? 4 : 2;
  // Of tiles that cost the same the first is taken: the widest, whose rows fill the cache lines they touch.
  const counts = [8, 6, 4, 3, 2, 1].filter((count) => count <= limit);
  const uncut = parallel.filter((axis) => segments[axis] === 1);
  const make = (vector: number | null, unrolled: readonly (readonly [number, number])[]): Tile => ({
    vector,
    unroll: new Map(unrolled.filter(([, count]) => count > 1)),
  });
  // Written out in place, so of few; and where regions part code, each would make both.
  const blocks = nodes.filter(({ scalar }) => scalar.kind === "threefry").length;
  const isOfPairs =
    kernel.reduction === null && blocks >= 1 && blocks <= 2 && nodes.every(({ scalar }) => scalar.kind !== "region");
  yield make(null, []);
  for (const vector of parallel.toReversed()) {
    if (size(vector) < 2) continue;
    yield make(vector, []);
    for (const vectors of counts) {
      if (vectors > 1 && 4 * vectors > size(vector)) continue;
      yield make(vector, [[vector, vectors]]);
      if (isOfPairs && size(vector) >= 8) yield make(vector, [[vector, 2]]);
      for (const axis of uncut) {
        if (axis === vector) continue;
        if (kernel.reduction === null) {
          // Lanes that are far apart use the cache lines they touch if neighbours are computed with them.
          if (heavy <= 8 && size(axis) >= 8 && nodes.some(({ scalar }) => isTransposed(scalar, vector, axis))) {
            for (const rows of [4, 8, 16]) yield make(vector, [[axis, rows]]);
          }
          continue;
        }
        for (const rows of counts) {
          if (rows > 1 && rows <= size(axis) && rows * vectors <= limit) {
            yield make(vector, [
              [vector, vectors],
              [axis, rows],
            ]);
          }
        }
      }
    }
  }
  for (const vector of reduce.toReversed()) {
    if (size(vector) < 4) continue;
    for (const vectors of counts) {
      if (vectors > 1 && 4 * vectors > size(vector)) continue;
      yield make(vector, [[vector, vectors]]);
    }
    for (const [index, first] of uncut.entries()) {
      for (const rows of counts) {
        if (rows === 1 || rows > size(first)) continue;
        yield make(vector, [[first, rows]]);
        for (const second of uncut.slice(index + 1)) {
          for (const columns of counts) {
            if (columns > 1 && columns <= size(second) && rows * columns <= limit) {
              yield make(vector, [
                [first, rows],
                [second, columns],
              ]);
            }
          }
        }
      }
    }
  }
}

/** Estimated time of a run in rough instructions. Asked of dozens of tiles for each kernel, so it makes few objects. */
function estimate({ kernel, parallel, reduce, sizes, nodes, groups }: Analysis, tile: Tile): number {
  const { vector, unroll } = tile;
  const order = [...loopOrder(kernel, parallel, tile), ...reduce];
  const depths = new Array<number>(sizes.length).fill(0);
  for (let level = 0; level < order.length; level++) depths[at(order, level)] = level;
  const counts: number[] = [];
  const passes: number[] = [];
  for (let axis = 0; axis < sizes.length; axis++) {
    const size = at(sizes, axis);
    const block = blockOf(tile, axis);
    const rest = size % block;
    // Passes that are not full cost nearly as much as full ones for each vector in them.
    const step = axis === vector ? 4 : 1;
    counts.push(unroll.get(axis) ?? 1);
    passes.push(Math.floor(size / block) + (Math.ceil(rest / step) * step) / block + (rest === 0 ? 0 : 0.2));
  }
  const runs: number[] = [];
  for (const { axes, inner } of groups) {
    let innermost = -1;
    for (let axis = 0; axis < sizes.length; axis++) {
      if ((axes >> axis) & 1) innermost = Math.max(innermost, at(depths, axis));
    }
    let product = 1;
    for (const axis of inner ? order : parallel) {
      if (at(depths, axis) <= innermost) product *= at(passes, axis);
      if ((axes >> axis) & 1) product *= at(counts, axis);
    }
    runs.push(product);
  }
  let inner = 0;
  let outer = 0;
  for (const { scalar, cost: fixed, group, inner: isInner } of nodes) {
    const cost = (fixed ?? costOf(scalar, tile)) * (runs[group] ?? 1);
    if (isInner) inner += cost;
    else outer += cost;
  }
  const points = [...unroll.values()].reduce((product, count) => product * count, 1);
  const product = (axes: readonly number[]): number => axes.reduce((total, axis) => total * (passes[axis] ?? 1), 1);
  const steps = product(order);
  const results = product(parallel) * parallel.reduce((total, axis) => total * at(counts, axis), 1);
  const resultStride = vector === null ? 0 : at(kernel.stores[0].at.coefficients, vector);
  const store = vector === null || reduce.includes(vector) ? 1 : resultStride === 1 ? 1 : 6;
  const folding = vector !== null && reduce.includes(vector) ? 8 * points : 0;
  outer += results * store + product(parallel) * (3 + folding);
  if (kernel.reduction === null) return inner + outer + steps * 2;
  // Each accumulator takes an addition a step; fewer than eight of them leave the adders waiting for each other.
  return Math.max(inner + steps * points, steps * 4) + steps * 2 + outer;
}

/** A load whose lanes are far apart along `vector`, and next to each other along `axis`. */
function isTransposed(scalar: Scalar, vector: number, axis: number): boolean {
  if (scalar.kind !== "load") return false;
  const { coefficients } = scalar.at;
  return Math.abs(at(coefficients, vector)) > 4 && Math.abs(at(coefficients, axis)) === 1;
}

/** Of what is not a load the cost doesn't depend on the tile. */
function costOf(scalar: Scalar, { vector, unroll }: Tile): number {
  switch (scalar.kind) {
    case "load": {
      const stride = vector === null ? 0 : at(scalar.at.coefficients, vector);
      if (vector === null || stride === 0) return 0.8;
      if (Math.abs(stride) === 1) return stride === 1 ? 1 : 2;
      if (stride === 2) return 3;
      const neighbours = Math.max(
        1,
        ...[...unroll].map(([axis, count]) => (isTransposed(scalar, vector, axis) ? count : 1)),
      );
      return 5 + 8 / neighbours;
    }
    case "gather":
      return 12;
    case "literal":
    case "accumulator":
    case "region":
      return 0;
    case "threefry":
      return threefryCost.instructions * (vector !== null && unroll.get(vector) === 2 ? pairCost : 1);
    case "unary":
      // A function that is called sets up its constants each time.
      return unaryCosts[scalar.op].instructions + (unroll.size > 0 && longInPlace.has(scalar.op) ? callCost : 0);
    case "binary":
      return binaryCosts[scalar.op].instructions;
    default:
      return 1;
  }
}

const isArithmetic = ({ kind }: Scalar): boolean => kind !== "load" && kind !== "literal" && kind !== "accumulator";

/**
 * Unrolled parallel axes go innermost, the one with the larger blocks outside: what its block reads then stays in the
 * cache while the other axis passes by.
 */
function loopOrder(kernel: Kernel, parallel: readonly number[], tile: Tile): readonly number[] {
  if (kernel.reduction === null) return parallel;
  const tiled: number[] = [];
  const others: number[] = [];
  for (const axis of parallel) (axis === tile.vector || tile.unroll.has(axis) ? tiled : others).push(axis);
  if (tiled.length < 2) return parallel;
  return [...others, ...tiled.sort((a, b) => blockOf(tile, b) - blockOf(tile, a))];
}

/** The innermost reduce axes, as long as few copies are made: a compiler's registers run out in long straight code. */
function flattenedAxes(kernel: Kernel, vector: number | null, points: number): ReadonlySet<number> {
  const flattened = new Set<number>();
  let copies = points;
  for (let axis = kernel.axes.length - 1; axis >= 0; axis--) {
    const { role, size } = kernel.axes[axis] ?? { role: "parallel", size: 0 };
    copies *= size;
    if (role !== "reduce" || axis === vector || copies > 9) break;
    flattened.add(axis);
  }
  return flattened;
}

/** Axes get code per segment from the vector axis outwards as long as the code stays small; the others branch. */
function branchingAxes(
  kernel: Kernel,
  { nodes, segments }: Analysis,
  vector: number | null,
  unroll: ReadonlyMap<number, number>,
): ReadonlySet<number> {
  const branching = new Set<number>();
  const points = [...unroll.values()].reduce((product, count) => product * count, 1);
  const axes = kernel.axes.map((_, axis) => axis).sort((a, b) => Number(b === vector) - Number(a === vector) || b - a);
  let variants = 1;
  for (const axis of axes) {
    const count = at(segments, axis);
    const more = variants * count * (blockOf({ vector, unroll }, axis) > 1 ? 2 : 1);
    const fits = more <= maximumVariants && more * nodes.length * points <= maximumCodeSize;
    // Lanes can't branch apart, so the vector axis is always cut.
    if (count > 1 && axis !== vector && !fits) branching.add(axis);
    else variants = more;
  }
  return branching;
}

/** The first axis in loop order whose passes can be shared evenly, else the one with the most. */
function splitAxis(
  kernel: Kernel,
  order: readonly number[],
  vector: number | null,
  unroll: ReadonlyMap<number, number>,
): number | null {
  const passes = (axis: number): number => Math.ceil(at(kernel.axes, axis).size / blockOf({ vector, unroll }, axis));
  const even = order.find((axis) => passes(axis) >= 64 || (passes(axis) >= 8 && passes(axis) % 8 === 0));
  if (even !== undefined) return even;
  return order.reduce<number | null>(
    (best, axis) => (best === null || passes(axis) > passes(best) ? axis : best),
    null,
  );
}

function scheduleName(kernel: Kernel, vector: number | null, unroll: ReadonlyMap<number, number>): string {
  const tile = [...unroll.values()].join("x");
  if (vector === null) return kernel.reduction === null ? "elementwise-scalar" : "reduce-scalar";
  if (kernel.reduction === null) return `elementwise-simd${tile === "" ? "" : ` tile ${tile}`}`;
  const inner = kernel.axes[vector]?.role === "reduce";
  return `${inner ? "reduce-inner-simd" : "reduce-outer-simd"}${tile === "" ? "" : ` tile ${tile}`}`;
}
