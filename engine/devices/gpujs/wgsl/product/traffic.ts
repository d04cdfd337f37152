/** What a tiling makes a GPU read for each multiply-add, counted from the tiling. */
import type { Tiled } from "../../../../kernel/tiling.ts";
import type { Product } from "./product.ts";
import { operandsOf, type Side } from "./sides.ts";
import { tileOf } from "./tile.ts";

export type Traffic = {
  /** Numbers read from the arrays, for each multiply-add. */
  readonly stored: number;
  /** Instructions that read them, one number or four at once. */
  readonly loads: number;
  /** Numbers that multiply-adds read from memory of the workgroup, for each. */
  readonly staged: number;
  /** The share of multiply-adds that are the product's; the others reach over its borders. */
  readonly useful: number;
};

/** @param tiled what `tiledProduct` gives for the product */
export function trafficOf(tiled: Tiled, { sizes, left, right }: Pick<Product, "sizes" | "left" | "right">): Traffic {
  const { batch, rows, columns, depth } = sizes;
  const { shared, ...tile } = tileOf(tiled);
  const done = tiled.kernel.axes.reduce((product, { size }) => product * size, 1);
  // For each row and column of a tile one number goes into as many multiply-adds as the tile has columns and rows.
  const [ofRow, ofColumn] = shared ? [tile.columns, tile.rows] : [tile.threadColumns, tile.threadRows];
  return {
    stored: 1 / ofRow + 1 / ofColumn,
    loads: loadsOf(left) / ofRow + loadsOf(right) / ofColumn,
    staged: shared ? 1 / tile.threadRows + 1 / tile.threadColumns : 0,
    useful: (batch * rows * columns * depth) / done,
  };
}

/** Instructions that read one number of a side, or what it is made of. */
const loadsOf = (side: Side): number => operandsOf(side).length / (side.inFours ? 4 : 1);
