/** Kernels that are products of matrices or convolutions, in tiles. */
export { allTiles, chooseTile, type ProductChoice, tilesFor } from "./choose.ts";
export { emitProduct } from "./emit.ts";
export { type Product, productOf } from "./product.ts";
export { type Traffic, trafficOf } from "./traffic.ts";
export { registerTile, sharedTiles, type Tile, tiledProduct, tileOf } from "./tile.ts";
export { keyOfProduct, nameOfTile, schedulesVersion, tilesByName, type TunedTiles } from "./tuned.ts";
