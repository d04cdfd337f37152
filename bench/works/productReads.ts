/** What the products of a plan make a GPU read, by the tiles that they take. */
import { noAliases } from "../../engine/devices/gpujs/wgsl/index.ts";
import {
  boundInFours,
  chooseTile,
  finishOf,
  productOf,
  tiledProduct,
  tileOf,
  trafficOf,
} from "../../engine/devices/gpujs/wgsl/product/index.ts";
import { normalizeKernel } from "../../engine/kernel/normalize.ts";
import { partsOf, type Plan } from "../../engine/kernel/plan.ts";

/** All for each multiply-add, on average. */
export type ProductReads = {
  /** Numbers from storage, and instructions that load them. */
  readonly stored: number;
  readonly loads: number;
  /** Numbers from memory of the workgroup. */
  readonly staged: number;
  /** The share of the numbers from storage that are read in fours. */
  readonly inFours: number;
};

/** Products within chains count as if they were alone. */
export function productReads(plan: Plan): ProductReads {
  const sum = { work: 0, stored: 0, loads: 0, staged: 0, inFours: 0 };
  for (const { kernel } of plan.steps.flatMap(partsOf)) {
    const described = productOf(normalizeKernel(kernel));
    const tile = described && chooseTile(described);
    if (described === null || tile === null) continue;
    const tiled = tiledProduct(described, tile);
    const [product] = boundInFours(described, finishOf(described, noAliases(described.kernel)), tileOf(tiled));
    const { stored, loads, staged } = trafficOf(tiled, product);
    const { batch, rows, columns, depth } = product.sizes;
    const work = batch * rows * columns * depth;
    sum.work += work;
    sum.stored += work * stored;
    sum.loads += work * loads;
    sum.staged += work * staged;
    const fours = Number(product.left.inFours) / tile.columns + Number(product.right.inFours) / tile.rows;
    sum.inFours += work * fours;
  }
  return {
    stored: sum.stored / sum.work,
    loads: sum.loads / sum.work,
    staged: sum.staged / sum.work,
    inFours: sum.inFours / sum.stored,
  };
}
