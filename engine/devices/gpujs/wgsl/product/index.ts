/** Kernels that are products of matrices or convolutions, in tiles. */
export { allTiles, chooseTile, type ProductChoice, tilesFor } from "./choose.ts";
export { boundInFours, emitProduct, emitTile } from "./emit.ts";
export { declareFinish, type Finish, finishOf } from "./finish.ts";
export { type Product, productOf } from "./product.ts";
export { operandsOf, type Side } from "./sides.ts";
export { type Traffic, trafficOf } from "./traffic.ts";
export { registerTile, rowTiles, sharedTiles, type Tile, tiledProduct, tileOf } from "./tile.ts";
export { keyOfProduct, nameOfTile, schedulesVersion, tilesByName, type TunedTiles } from "./tuned.ts";
