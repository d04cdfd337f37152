/** Which tile a product takes: from its shape alone, by a model of a GPU of some units that each multiply a tile at a time. */
import { at } from "../../../../graph/shape.ts";
import { isPlain, type Product, type Sizes } from "./product.ts";
import { registerTile, sharedTiles, threadsOf, type Tile } from "./tile.ts";

/** Units of the GPU that is thought of: WebGPU tells nobody how many there are. */
const units = 32;
/** Threads that keep a unit busy while others wait for memory. */
const busyThreads = 128;
/** Multiply-adds that are worth tiles. */
const leastWork = 2 ** 16;
/** Rows and columns, and products of each pair of them, that are worth tiles. */
const leastSide = 8;

/**
 * How a product may be told to be run: by the best tile for a GPU, in registers alone if it is worth a tile (for adapters that are
 * software, to whom memory of a workgroup is nothing but memory and a barrier costs dearly), by a given tile, or as other sums are.
 */
export type ProductChoice = "best" | "registers" | "sums" | Tile;

/** The tile for a product; null if it is too small to be worth one. */
export function chooseTile(product: Product, choice: ProductChoice = "best"): Tile | null {
  const { sizes } = product;
  if (choice === "sums") return null;
  const possible = tilesFor(product);
  if (typeof choice === "object") return possible.includes(choice) ? choice : at(possible, 0);
  const { batch, rows, columns, depth } = sizes;
  if (batch * rows * columns * depth < leastWork || Math.min(rows, columns, depth) < leastSide) return null;
  if (choice === "registers") return registerTile;
  const shared = possible.filter((tile) => tile.shared);
  return shared.reduce((best, tile) => (timeOf(sizes, tile) < timeOf(sizes, best) ? tile : best), at(shared, 0));
}

/** The tiles that a product can be run by: factors that are made where they are read need some of the workgroup's memory for tables. */
export function tilesFor(product: Product): readonly Tile[] {
  if (isPlain(product)) return allTiles;
  return allTiles.filter((tile) => !tile.shared || (tile.rows + tile.columns) * tile.depth <= 128 * 16);
}

/** Time of a product by tiles of some kind, in multiply-adds of a whole unit. Whole tiles count, also where they reach over a border. */
export function timeOf({ batch, rows, columns, depth }: Sizes, tile: Tile): number {
  const groups = batch * Math.ceil(rows / tile.rows) * Math.ceil(columns / tile.columns);
  // The fewer there are, the longer units without one wait for the last.
  const waves = Math.ceil(groups / units) * (1 + units / (4 * groups));
  const threads = Math.min(busyThreads, (threadsOf(tile) * groups) / units);
  return (waves * tile.rows * tile.columns * depth * busyThreads) / (threads * efficiencyOf(tile));
}

/** The share of a unit's speed that is left where each multiply-add reads so many numbers of the workgroup's memory. */
function efficiencyOf({ threadRows, threadColumns, rows, columns }: Tile): number {
  const read = 1 / threadRows + 1 / threadColumns;
  const filled = 1 / rows + 1 / columns;
  return 1 / (1 + 2.5 * read + 8 * filled);
}

/** Every tile there is. */
export const allTiles: readonly Tile[] = [...sharedTiles, registerTile];
