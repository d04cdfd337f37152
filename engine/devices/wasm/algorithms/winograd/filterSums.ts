/** The steps of a filter gradient: tiles are transformed, products summed over them, and the sums transformed back to nine taps. */
import type { Kernel } from "../../../../kernel/kernel.ts";
import { type FunctionBuilder, i32, type Local, op } from "../../assembler/index.ts";
import { addressOf, resultAddress } from "../../loops/index.ts";
import { advance, after, repeat, rowTile, smaller } from "../tile.ts";
import { longestSum, middleRows } from "./middle.ts";
import type { WinogradFilterGradient } from "./plan.ts";
import { type Cursor, cursorAt, forChannels, gridOf, moveTo, panelChannels, panelRow, placeBytes } from "./tiles.ts";
import { places, transformCotangent, transformFilterBack, transformImage } from "./transforms.ts";

/**
 * Sizes in bytes: of panels and places of a chunk's transformed image [36, c / 8, tiles, 8] and cotangent [36, o / 8, tiles, 8], and of
 * rows and places of the sums for a few outputs, [36, 4, c].
 */
export function layoutOf({ size: { c, o }, block }: WinogradFilterGradient) {
  const panel = block.tiles * panelRow;
  const sumRow = 16 * Math.ceil(c / 4);
  return {
    panel,
    imagePlace: placeBytes(Math.ceil(c / panelChannels) * panel),
    cotangentPlace: placeBytes(Math.ceil(o / panelChannels) * panel),
    sumRow,
    sumPlace: placeBytes(middleRows * sumRow),
  };
}

type Layout = ReturnType<typeof layoutOf>;

/** The tiles of both arrays from number `first` on. */
export function cursorsAt(
  f: FunctionBuilder,
  { image, cotangent, axes, size }: WinogradFilterGradient,
  table: Local,
  first: Local,
): Readonly<Record<"image" | "cotangent", Cursor>> {
  const cursor = ({ operand, at }: WinogradFilterGradient["image"], channel: number): Cursor => {
    const start = cursorAt(f, addressOf(f, table, operand), at, { ...axes, channel }, () => i32(0));
    moveTo(f, gridOf(size), start, after(f, "number", first, 0));
    return start;
  };
  return { image: cursor(image, axes.c), cotangent: cursor(cotangent, axes.o) };
}

/** Transforms `count` tiles; the cursors are behind them in the end. */
export function transformTiles(
  f: FunctionBuilder,
  { size }: WinogradFilterGradient,
  { panel, imagePlace, cotangentPlace }: Layout,
  relaxed: boolean,
  { image, cotangent }: Readonly<Record<"image" | "cotangent", Cursor>>,
  count: Local,
  to: Readonly<Record<"image" | "cotangent", Local>>,
): void {
  const grid = gridOf(size);
  const inPanels = (pointer: Local) => ({ pointer, tile: panelRow, panel });
  forChannels(f, grid, size.c, image, count, inPanels(to.image), (lanes, { rows, columns }, pointer) => {
    const tile = { lanes, rowBytes: image.strides.row, rows: rows + 2, columns: columns + 2 };
    transformImage(f, relaxed, tile, { pointer, stride: imagePlace });
  });
  forChannels(f, grid, size.o, cotangent, count, inPanels(to.cotangent), (lanes, extent, pointer) => {
    const tile = { lanes, rowBytes: cotangent.strides.row, ...extent };
    transformCotangent(f, relaxed, tile, { pointer, stride: cotangentPlace });
  });
}

/**
 * The 36 products transposed cotangent times image of a chunk, for the outputs from `o` on; `isFirst`: they are the sums, else they are
 * added to these.
 */
export function multiplyTiles(
  f: FunctionBuilder,
  plan: WinogradFilterGradient,
  { panel, imagePlace, cotangentPlace, sumRow, sumPlace }: Layout,
  { relaxed, isFirst }: { readonly relaxed: boolean; readonly isFirst: boolean },
  { scratch, o, count }: Readonly<Record<"scratch" | "o" | "count", Local>>,
  sums: Local,
): void {
  const { size, block } = plan;
  const rows = middleRows;
  const vectors = Math.ceil(size.c / 4);
  const image = after(f, "image", scratch, 0);
  const inPanel = op("i32.mul", op("i32.rem_u", o, i32(panelChannels)), i32(4));
  const panels = op("i32.mul", op("i32.div_u", o, i32(panelChannels)), i32(panel));
  const start = op("i32.add", scratch, i32(places * imagePlace));
  const cotangent = f.let("i32", "cotangent", op("i32.add", start, op("i32.add", panels, inPanel)));
  const multiply = (depth: Local, first: boolean): void => {
    const [y, v, to] = [after(f, "y", cotangent, 0), after(f, "v", image, 0), after(f, "to", sums, 0)];
    repeat(f, places, () => {
      const left = { pointer: y, row: 4, step: panelRow };
      const [right, sum] = [after(f, "right", v, 0), after(f, "sum", to, 0)];
      const multiplyPanel = (width: number): void => {
        const tile = { relaxed, rows, depth, vectors: width, isFirst: first };
        rowTile(f, tile, left, { pointer: right, row: panelRow }, { pointer: sum, row: sumRow });
        advance(f, right, panel);
        advance(f, sum, panelRow);
      };
      repeat(f, Math.floor(vectors / 2), () => multiplyPanel(2));
      if (vectors % 2 > 0) multiplyPanel(1);
      advance(f, y, cotangentPlace);
      advance(f, v, imagePlace);
      advance(f, to, sumPlace);
    });
  };
  const parts = Math.ceil(block.tiles / longestSum);
  if (parts === 1) {
    multiply(count, isFirst);
    return;
  }
  const part = Math.ceil(block.tiles / parts);
  const left = after(f, "left", count, 0);
  const step = (first: boolean): void => {
    const depth = smaller(f, "depth", left, part);
    multiply(depth, first);
    advance(f, image, part * panelRow);
    advance(f, cotangent, part * panelRow);
    f.tee(left, op("i32.sub", left, depth));
  };
  const rest = (): void => {
    f.loop((again) => {
      step(false);
      f.branchIf(again);
    });
  };
  if (isFirst) {
    step(true);
    f.if(rest);
  } else rest();
}

/** The results for the o from `low` to `high`, whose sums begin at `sums`. */
export function transformSums(
  f: FunctionBuilder,
  kernel: Kernel,
  { axes, size }: WinogradFilterGradient,
  { sumRow, sumPlace }: Layout,
  relaxed: boolean,
  { table, low, high, sums }: Readonly<Record<"table" | "low" | "high" | "sums", Local>>,
): void {
  const { offset, coefficients } = kernel.stores[0].at;
  const bytes = (axis: number): number => 4 * (coefficients[axis] ?? 0);
  const result = resultAddress(f, kernel, table);
  const [o, row] = [after(f, "o", low, 0), after(f, "row", sums, 0)];
  f.loop((again) => {
    const start = op("i32.mul", o, i32(bytes(axes.o)));
    const to = f.let("i32", "to", op("i32.add", op("i32.add", result, start), i32(4 * offset)));
    const from = after(f, "from", row, 0);
    const vector = (lanes: number): void => {
      transformFilterBack(f, relaxed, { pointer: from, stride: sumPlace }, (tapRow, taps) => {
        taps.forEach((tap, column) => {
          for (let lane = 0; lane < lanes; lane++) {
            const place = tapRow * bytes(axes.ky) + column * bytes(axes.kx) + lane * bytes(axes.c);
            f.memoryLane("v128.store32_lane", place, lane, to, tap);
          }
        });
      });
    };
    repeat(f, Math.floor(size.c / 4), () => {
      vector(4);
      advance(f, from, 16);
      advance(f, to, 4 * bytes(axes.c));
    });
    if (size.c % 4 > 0) vector(size.c % 4);
    advance(f, row, sumRow);
    f.tee(o, op("i32.add", o, i32(1)));
    f.branchIf(again, op("i32.lt_s", high));
  });
}
