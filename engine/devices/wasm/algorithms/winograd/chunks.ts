/** Chunks of tiles, of which each has phases of its own: what one makes stays in the cache that cores share. */
import { type FunctionReference, i32, type ModuleBuilder } from "../../assembler/index.ts";
import { kernelParameters } from "../../loops/index.ts";
import type { Winograd } from "./plan.ts";
import { gridOf, tilesOf } from "./tiles.ts";

/** Tiles from number `first` on. */
export type Chunk = { readonly first: number; readonly count: number };

export function chunksOf({ size, block }: Pick<Winograd, "size" | "block">): readonly Chunk[] {
  const tiles = size.n * tilesOf(gridOf(size));
  return Array.from({ length: Math.ceil(tiles / block.tiles) }, (_, index) => ({
    first: index * block.tiles,
    count: Math.min(block.tiles, tiles - index * block.tiles),
  }));
}

/** Tiles that a thread transforms together. */
export const sharedTiles = 4;

/** The parameters of a phase, and a chunk: its first tile, and how many it has. */
export const chunkParameters = [...kernelParameters, "i32", "i32"] as const;

/** The function of a phase that is the same for all chunks, for one of them. */
export const ofChunk = (
  module: ModuleBuilder,
  name: string,
  phase: FunctionReference,
  { first, count }: Chunk,
): FunctionReference =>
  module.define(name, kernelParameters, [], (f, table, low, high, thread) => {
    f.call(phase, table, low, high, thread, i32(first), i32(count));
  });
