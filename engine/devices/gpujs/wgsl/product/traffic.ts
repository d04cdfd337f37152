/** What a tiling makes a GPU read for each multiply-add, counted from the tiling. */
import type { Tiled } from "../../../../kernel/tiling.ts";
import type { Sizes } from "./product.ts";
import { tileOf } from "./tile.ts";

export type Traffic = {
  /** Numbers read from the arrays, for each multiply-add. */
  readonly stored: number;
  /** Numbers that multiply-adds read from memory of the workgroup, for each. */
  readonly staged: number;
  /** The share of multiply-adds that are the product's; the others reach over its borders. */
  readonly useful: number;
};

/** @param tiled what `tiledProduct` gives for a product of these sizes */
export function trafficOf(tiled: Tiled, { batch, rows, columns, depth }: Sizes): Traffic {
  const { shared, ...tile } = tileOf(tiled);
  const done = tiled.kernel.axes.reduce((product, { size }) => product * size, 1);
  // For each row and column of a tile one number goes into as many multiply-adds as the tile has columns and rows.
  const ofGroup = 1 / tile.rows + 1 / tile.columns;
  const ofThread = 1 / tile.threadRows + 1 / tile.threadColumns;
  return {
    stored: shared ? ofGroup : ofThread,
    staged: shared ? ofThread : 0,
    useful: (batch * rows * columns * depth) / done,
  };
}
