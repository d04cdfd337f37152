/**
 * Matrix products with packed operands: which of a contraction's axes are the rows and columns of a product, and how it is tiled.
 */
import { at, sizeOf } from "../../../../graph/shape.ts";
import { type Contraction, contractionOf, transposed } from "../../../../kernel/contraction.ts";
import type { Kernel } from "../../../../kernel/kernel.ts";
import type { Split, Tiling } from "../../../../kernel/tiling.ts";

/** A contraction, a row and a column of its product, and how they are gone through. */
export type Product = Pick<Contraction, "left" | "right"> & {
  readonly row: number;
  /** The axis along which results are neighbours in memory. */
  readonly column: number;
  /**
   * Threads share positions on the other parallel axes, and panels of columns of these. A panel is copied part by part: sums are made
   * in parts whose packed columns fit into the first cache. That also keeps them accurate: one of n products is off by the roundings
   * of a part and of the sum of the parts, not by n. Rows are copied first if their numbers are apart from each other, all of them or
   * those of a position on the first axis.
   */
  readonly tiling: Tiling;
};

/**
 * Rows of a tile, by the vectors of its columns: as many sums as registers hold. A multiply-add takes four or five cycles and two begin in
 * each, so eight sums may wait for each other where nine don't.
 */
export const tileRowsOf = (vectors: number): number => [8, 8, 4, 3, 2][vectors] ?? 1;

/** Vectors of a packed panel of columns. If one is left in the end, the last panel has four. */
const panelVectors = 3;

/** How many vectors each panel of columns has: all `whole` ones as many, and one more panel, if any, the `last`. */
export function panelsOf(vectors: number): { readonly whole: number; readonly last: number } {
  const left = vectors % panelVectors;
  const whole = Math.floor(vectors / panelVectors);
  return left === 1 && whole > 0 ? { whole: whole - 1, last: panelVectors + 1 } : { whole, last: left };
}

/** Numbers of a packed column that stay in the first cache. */
const cachedDepth = 384;
/** Products with fewer numbers to sum than this don't pay for packing. */
const leastDepth = 8;

/** How to compute a normalised kernel as a packed matrix product, or null if it is none. */
export function productOf(kernel: Kernel): Product | null {
  const contraction = contractionOf(kernel);
  if (contraction === null || kernel.stores[0].dtype !== "f32") return null;
  return productOfSides(kernel, contraction) ?? productOfSides(kernel, transposed(contraction));
}

function productOfSides(kernel: Kernel, { left, right, rows, columns, depth }: Contraction): Product | null {
  const { axes, stores } = kernel;
  const [result] = stores;
  const size = (axis: number): number => at(axes, axis).size;
  const step = (of: Pick<typeof left, "at">, axis: number): number => at(of.at.coefficients, axis);
  const column = columns.find((axis) => step(result, axis) === 1 && size(axis) % 4 === 0);
  const row = rows.filter((axis) => step(result, axis) > 0).sort((a, b) => size(b) - size(a))[0];
  if (column === undefined || row === undefined || size(row) < 4 || axes.some((axis) => axis.size === 0)) return null;
  if (sizeOf(depth.map(size)) < leastDepth) return null;
  // Places of a tile are immediate offsets, which can't be negative.
  const steps = [
    ...[row, ...depth].map((axis) => step(left, axis)),
    ...[column, ...depth].map((axis) => step(right, axis)),
  ];
  if (steps.some((bytes) => bytes < 0)) return null;
  const outer = axes.flatMap(({ role }, axis) =>
    role === "parallel" && axis !== row && axis !== column ? [axis] : [],
  );
  // Threads that share the first axis finish what is theirs as soon as it is summed.
  const sharesFirst = outer.includes(0) && size(0) >= 8;
  const panels: readonly Split[] = [
    ...outer.map((axis): Split => ({ axis, by: 1, as: sharesFirst && axis !== 0 ? "loop" : "grid" })),
    { axis: column, by: Math.min(4 * panelVectors, size(column)), as: sharesFirst ? "loop" : "grid" },
    ...partsOf(depth, size),
  ];
  const part = at(panels, panels.length - 1).axis;
  const packsRows = depth.length > 1 || step(left, at(depth, 0)) !== 1;
  const tile: readonly Split[] = [
    { axis: row, by: Math.min(tileRowsOf(Math.min(panelVectors, size(column) / 4)), size(row)), as: "loop" },
    ...depth.slice(depth.indexOf(part)).map((axis): Split => ({ axis, by: 1, as: "loop" })),
    { axis: row, by: 1, as: "unroll" },
    { axis: column, by: 4, as: "unroll" },
    { axis: column, by: 1, as: "lane" },
  ];
  // Who goes through a position on the first axis copies its rows, unless all positions have the same.
  const inside = sharesFirst && step(left, 0) !== 0 ? 1 : 0;
  const stages = [...(packsRows ? [{ load: left, inside }] : []), { load: right, inside: panels.length }];
  return { left, right, row, column, tiling: { splits: [...panels, ...tile], stages } };
}

/** Loops over parts of at most `cachedDepth` numbers, as few and as equal as can be: of whole inner axes and steps of one around them. */
function partsOf(depth: readonly number[], size: (axis: number) => number): readonly Split[] {
  let numbers = 1;
  let place = depth.length - 1;
  for (; place > 0 && numbers * size(at(depth, place)) <= cachedDepth; place--) numbers *= size(at(depth, place));
  const axis = at(depth, place);
  const parts = Math.ceil(size(axis) / Math.max(1, Math.floor(cachedDepth / numbers)));
  const outer = depth.slice(0, place).map((whole): Split => ({ axis: whole, by: 1, as: "loop" }));
  return [...outer, { axis, by: Math.ceil(size(axis) / parts), as: "loop" }];
}
