/** Tiles that were found by timing: by what a product is to a GPU, so that equal products of any program share what was found. */
import { allTiles } from "./choose.ts";
import { scalarsOf, rootsOf } from "../../../../kernel/scalar.ts";
import type { Product } from "./product.ts";
import { isStored, type Side } from "./sides.ts";
import type { Tile } from "./tile.ts";

/** Tiles by the keys of products. A product may have been given one that it can't be run by; then it is as if it had none. */
export type TunedTiles = ReadonlyMap<string, Tile>;

/** To be raised where tiles are run in another way: what was found before says nothing of them. */
export const schedulesVersion = 2;

/** A tile of a workgroup, of a thread, and a step. */
export const nameOfTile = ({ rows, columns, depth, threadRows, threadColumns, shared }: Tile): string =>
  `${rows}x${columns} by ${threadRows}x${threadColumns}, ${shared ? `step ${depth}` : "registers"}`;

export const tilesByName: ReadonlyMap<string, Tile> = new Map(allTiles.map((tile) => [nameOfTile(tile), tile]));

/** Sizes, how both sides go through memory, and how much is computed of what is read and before it is stored. */
export function keyOfProduct({ kernel, sizes, left, right }: Product): string {
  const { batch, rows, columns, depth } = sizes;
  const stored = scalarsOf(...rootsOf({ ...kernel, reduction: null })).length;
  return `${batch} x ${rows} x ${columns} x ${depth}, ${keyOfSide(left)}, ${keyOfSide(right)}, ${kernel.stores.length} of ${stored}`;
}

function keyOfSide(side: Side): string {
  const runs = [side.batch, side.own, side.depth].map((direction) =>
    direction.runs.map(({ size, step }) => `${size}*${step}`).join("+"),
  );
  return `${isStored(side) ? "" : `${scalarsOf(side.factor).length} at `}[${runs.join(" ")}]`;
}
