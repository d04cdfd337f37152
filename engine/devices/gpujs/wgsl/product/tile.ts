/** How a product is cut into tiles, as data: for workgroups, for threads and for steps of what is summed over. */
import { at, sizeOf } from "../../../../graph/shape.ts";
import type { Load } from "../../../../kernel/contraction.ts";
import type { Axis } from "../../../../kernel/kernel.ts";
import { extentOf, type Split, type Tiled } from "../../../../kernel/tiling.ts";
import { isPlain, type Product, type Sizes } from "./product.ts";

/** Sizes of the tile of a workgroup, of that of each of its threads, and of a step. */
export type Tile = {
  readonly rows: number;
  readonly columns: number;
  /** Numbers of each row and column that a step multiplies. */
  readonly depth: number;
  readonly threadRows: number;
  readonly threadColumns: number;
  /** Whether a step's rows and columns are copied to memory of the workgroup first. Else each thread reads what it needs. */
  readonly shared: boolean;
};

const shared = (rows: number, columns: number, threadRows: number, threadColumns: number, depth = 16): Tile => ({
  rows,
  columns,
  depth,
  threadRows,
  threadColumns,
  shared: true,
});

/** All in 16 KiB of workgroup memory, with 64 to 256 threads. */
export const sharedTiles: readonly Tile[] = [
  shared(32, 32, 4, 4),
  shared(16, 128, 8, 4),
  shared(64, 32, 8, 4),
  shared(32, 64, 4, 8),
  shared(64, 64, 8, 4),
  shared(64, 64, 8, 8),
  shared(128, 64, 8, 8),
  shared(64, 128, 8, 8),
  shared(128, 128, 8, 8, 8),
];

/** Tiles of 64 threads that are so many rows high, or so many columns wide: of a product that is done for a block of rows. */
export const rowTiles = {
  rows: (height: number): Tile => (height === 16 ? shared(16, 64, 4, 4) : shared(32, 64, 4, 8)),
  columns: (height: number): Tile => (height === 16 ? shared(64, 16, 4, 4) : shared(64, 32, 8, 4)),
};

/** Registers alone: what a GPU's caches make of it is for a measurement to tell. */
export const registerTile: Tile = { ...shared(32, 32, 4, 4), shared: false };

/** Threads of a workgroup. */
export const threadsOf = ({ rows, columns, threadRows, threadColumns }: Tile): number =>
  (rows / threadRows) * (columns / threadColumns);

/** Products that one chain of additions takes at most. */
export const longestChain = 512;
/** The longest step of any tile; parts are made of whole ones. */
const longestStep = 32;

/**
 * Products that go into one chain; the chains' sums are added up in their order. It follows from the shape alone, and is a multiple of
 * every tile's step: whatever the tile, each sum has the same terms in the same order, and so the same bits.
 */
export function partOf({ kernel, depth }: Pick<Product, "kernel" | "depth">): number {
  const sizes = depth.map((axis) => at(kernel.axes, axis).size);
  const length = sizeOf(sizes);
  if (length <= longestChain) return length;
  const unit = leastMultiple(longestStep, writtenOut(sizes));
  const whole = unit <= longestChain ? unit : longestStep;
  const equal = Math.ceil(length / Math.ceil(length / longestChain) / whole) * whole;
  return equal <= longestChain ? equal : Math.floor(longestChain / whole) * whole;
}

/** Products that a thread writes out one after the other where nothing is copied: whole inner axes, such as the taps of a filter. */
export function writtenOut(depth: readonly number[]): number {
  let count = 1;
  for (const size of depth.toReversed()) {
    if (count * size > 16) break;
    count *= size;
  }
  const last = depth.at(-1) ?? 1;
  return count > 1 ? count : last % 4 === 0 ? 4 : last % 2 === 0 ? 2 : 1;
}

/** Products that are written out in registers: of factors that are made where they are read one, whose text is long. */
function stepInRegisters(product: Product): number {
  return isPlain(product) ? writtenOut(product.depth.map((axis) => at(product.kernel.axes, axis).size)) : 1;
}

const leastMultiple = (a: number, b: number): number => {
  let multiple = Math.max(a, b);
  while (multiple % a !== 0 || multiple % b !== 0) multiple++;
  return multiple;
};

/** Numbers of the axes of what is gone through. */
const [batch, row, column, depth] = [0, 1, 2, 3];

/**
 * The product as its tiles go through it: rows, columns and depth of whole tiles, of which what is beyond the product's is computed and
 * left alone.
 */
export function tiledProduct(product: Product, tile: Tile): Tiled {
  const { sizes } = product;
  const part = partOf(product);
  const step = tile.shared ? tile.depth : stepInRegisters(product);
  const whole: Sizes = {
    batch: sizes.batch,
    rows: roundUp(sizes.rows, tile.rows),
    columns: roundUp(sizes.columns, tile.columns),
    depth: roundUp(sizes.depth, step),
  };
  const [left, right] = loadsOf(whole);
  const splits: Split[] = [
    ...(whole.batch > 1 ? [{ axis: batch, by: 1, as: "grid" } as const] : []),
    { axis: row, by: tile.rows, as: "grid" },
    { axis: column, by: tile.columns, as: "grid" },
    ...(part < sizes.depth ? [{ axis: depth, by: part, as: "loop" } as const] : []),
    { axis: depth, by: step, as: "loop" },
  ];
  const stages = tile.shared ? [left, right].map((load) => ({ load, inside: splits.length })) : [];
  splits.push(
    { axis: row, by: tile.threadRows, as: "thread" },
    { axis: column, by: tile.threadColumns, as: "thread" },
    ...(tile.shared ? [{ axis: depth, by: 4, as: "loop" } as const] : []),
    { axis: depth, by: 1, as: "unroll" },
    { axis: row, by: 1, as: "unroll" },
    { axis: column, by: 4, as: "unroll" },
    { axis: column, by: 1, as: "lane" },
  );
  const axes = [whole.batch, whole.rows, whole.columns, whole.depth].map((size, axis): Axis => {
    return { role: axis === depth ? "reduce" : "parallel", size };
  });
  const body = { kind: "binary", op: "multiply", dtype: "f32", x: left, y: right } as const;
  return { kernel: { axes, reduction: { op: "sum", body } }, tiling: { splits, stages } };
}

/** What the arrays would be if tiles of them lay together. */
function loadsOf(whole: Sizes): readonly [Load, Load] {
  const load = (operand: number, coefficients: readonly number[]): Load => ({
    kind: "load",
    dtype: "f32",
    operand,
    at: { offset: 0, coefficients },
  });
  return [
    load(0, [whole.rows * whole.depth, whole.depth, 0, 1]),
    load(1, [whole.columns * whole.depth, 0, whole.depth, 1]),
  ];
}

/** What a tiling of `tiledProduct` says, and the products of a chain. */
export function tileOf({ kernel, tiling }: Tiled): Tile & { readonly part: number } {
  const { splits, stages } = tiling;
  const inside = (axis: number, role: Split["as"]): number =>
    splits.find((split) => split.axis === axis && split.as === role)?.by ?? 1;
  const before = splits.findIndex(({ as }) => as === "thread");
  const loops = splits.filter(({ axis, as }, level) => axis === depth && as === "loop" && level < before);
  return {
    rows: inside(row, "grid"),
    columns: inside(column, "grid"),
    depth: extentOf(kernel, tiling, depth, before),
    threadRows: inside(row, "thread"),
    threadColumns: inside(column, "thread"),
    shared: stages.length > 0,
    part: loops.length > 1 ? at(loops, 0).by : at(kernel.axes, depth).size,
  };
}

const roundUp = (size: number, step: number): number => Math.ceil(size / step) * step;
