/** A product of matrices of which a block of rows takes some rows, or columns, whole: as attention has them between its sums. */
import { at } from "../../../graph/shape.ts";
import { isRead } from "../../../kernel/access.ts";
import { isAligned } from "../../../kernel/affine.ts";
import type { Kernel } from "../../../kernel/kernel.ts";
import { rootsOf, scalarsOf } from "../../../kernel/scalar.ts";
import { addressText } from "./addresses.ts";
import type { Loads } from "./expression.ts";
import type { IsVector } from "./memory.ts";
import {
  chooseTile,
  declareFinish,
  emitTile,
  type Finish,
  finishOf,
  operandsOf,
  type Product,
  type ProductChoice,
  productOf,
  rowTiles,
  type Side,
  type Tile,
  tiledProduct,
  tileOf,
} from "./product/index.ts";
import { type Arrays, noAliases } from "./wgslKernel.ts";
import type { WgslWriter } from "./writer.ts";

export type RowProduct = {
  readonly product: Product;
  readonly finish: Finish;
  /** What the rows are of the product, and what is gone through tile by tile for each block of them. */
  readonly own: "rows" | "columns";
};

/**
 * The product that a stage is, if it would be one alone.
 * @param alone the kernel as it would be alone
 * @param rows axes of `kernel` that tell rows apart
 */
export function rowProductOf(
  kernel: Kernel,
  alone: Kernel,
  rows: readonly number[],
  choice: ProductChoice | undefined,
): RowProduct | null {
  const whole = productOf(alone);
  if (whole === null || chooseTile(whole, choice) === null) return null;
  const product = productOf(kernel);
  const own = product && (["rows", "columns"] as const).find((side) => product[side].includes(rows.at(-1) ?? -1));
  if (!own) throw new Error(`kernel ${kernel.name} is a product, but not of its rows`);
  return { product, own, finish: finishOf(product, noAliases(kernel)) };
}

/** Operands of which it doesn't read aligned fours, and results that it doesn't write in fours. */
export function singlesOf({ product, finish }: RowProduct): {
  readonly operands: readonly number[];
  readonly results: readonly number[];
} {
  const { kernel, lane } = finish;
  const isInFours = (scalar: { readonly at: Parameters<typeof isAligned>[0] }): boolean =>
    lane !== null && isAligned(scalar.at, lane);
  const later = scalarsOf(...rootsOf(kernel)).filter(isRead);
  const sides = [product.left, product.right].filter(({ inFours }) => !inFours);
  return {
    operands: [
      ...later.filter((scalar) => scalar.kind === "gather" || !isInFours(scalar)).map(({ operand }) => operand),
      ...sides.flatMap(operandsOf),
    ],
    results: kernel.stores.flatMap((store, result) => (isInFours(store) && store.length % 4 === 0 ? [] : [result])),
  };
}

/**
 * Computes and stores what is of a block.
 * @param block texts of where it begins on each axis of the rows, and how many of the last it has
 */
export function emitRowProduct(
  writer: WgslWriter,
  { product: described, finish, own }: RowProduct,
  rows: readonly number[],
  block: { readonly bases: readonly string[]; readonly height: number },
  isVector: IsVector,
  arrays: Arrays,
  loads: Loads,
): void {
  const inFours = (side: Side): Side => ({
    ...side,
    inFours: side.inFours && operandsOf(side).every((index) => isVector({ kind: "operand", index })),
  });
  const product = { ...described, left: inFours(described.left), right: inFours(described.right) };
  const other = own === "rows" ? "columns" : "rows";
  const tile: Tile = rowTiles[own](block.height);
  const finishName = declareFinish(writer, { ...finish, isVector }, arrays, loads, writer.fresh("finish"));
  const base = (axis: number): string => at(block.bases, rows.indexOf(axis));
  const { kernel, sizes } = product;
  // Its number in the batch is row-major over the axes of that.
  let stride = sizes.batch;
  const coefficients = product.batch.map((axis) => (stride /= at(kernel.axes, axis).size));
  const batch = addressText(
    { offset: 0, coefficients },
    product.batch.map((axis) => ({ text: base(axis), size: at(kernel.axes, axis).size })),
  );
  const batchName = batch === "0u" ? batch : writer.local(batch);
  const tiles = writer.fresh("tile");
  writer.open(`for (var ${tiles} = 0u; ${tiles} < ${Math.ceil(sizes[other] / tile[other])}u; ${tiles}++)`);
  const first = { [own]: base(at(rows, rows.length - 1)), [other]: writer.local(`${tiles} * ${tile[other]}u`) };
  emitTile(
    writer,
    { product, tile: tileOf(tiledProduct(product, tile)), finish, finishName, arrays, loads },
    { batch: batchName, row: first["rows"] ?? "0u", column: first["columns"] ?? "0u" },
  );
  writer.close();
}
