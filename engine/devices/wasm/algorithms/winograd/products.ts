/** The products in the middle of a forward convolution. */
import { type FunctionBuilder, i32, type Local, op } from "../../assembler/index.ts";
import { advance, after, repeat, rowTiles } from "../tile.ts";
import { filterRow } from "./filter.ts";
import { longestSum, middleRows } from "./middle.ts";
import { panelRow } from "./tiles.ts";
import { places } from "./transforms.ts";

/** Channels that are summed, vectors of outputs, and sizes in bytes. */
type Sizes = Readonly<
  Record<"c" | "vectors" | "filterPlace" | "imageRow" | "imagePlace" | "productRow" | "productPlace", number>
>;

/** The 36 products of a block of tiles with the filter. */
export function multiply(
  f: FunctionBuilder,
  { c, vectors, filterPlace, imageRow, imagePlace, productRow, productPlace }: Sizes,
  relaxed: boolean,
  from: Readonly<Record<"filter" | "transformed" | "products" | "count", Local>>,
): void {
  const rows = middleRows;
  const blocks = f.let("i32", "blocks", op("i32.div_u", op("i32.add", from.count, i32(rows - 1)), i32(rows)));
  const [filter, image, product] = [
    after(f, "u", from.filter, 0),
    after(f, "v", from.transformed, 0),
    after(f, "m", from.products, 0),
  ];
  /** Adds the products of so many channels from number `first` on. */
  const part = (first: number, depth: number): void => {
    const [panel, columns] = [after(f, "panel", filter, first * panelRow), after(f, "columns", product, 0)];
    const multiplyPanel = (width: number): void => {
      const left = { pointer: after(f, "left", image, 4 * first), row: imageRow, step: 4 };
      const to = { pointer: after(f, "to", columns, 0), row: productRow };
      const tile = { relaxed, rows, depth, vectors: width, isFirst: first === 0 };
      rowTiles(f, tile, blocks, left, { pointer: panel, row: panelRow }, to);
      advance(f, panel, filterRow({ c }));
      advance(f, columns, panelRow);
    };
    repeat(f, Math.floor(vectors / 2), () => multiplyPanel(2));
    if (vectors % 2 > 0) multiplyPanel(1);
  };
  const length = Math.ceil(c / Math.ceil(c / longestSum));
  repeat(f, places, () => {
    for (let first = 0; first < c; first += length) part(first, Math.min(length, c - first));
    advance(f, filter, filterPlace);
    advance(f, image, imagePlace);
    advance(f, product, productPlace);
  });
}
