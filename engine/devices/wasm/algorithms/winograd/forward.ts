import type { Affine, Kernel } from "../../../../kernel/kernel.ts";
import { type FunctionBuilder, type FunctionReference, i32, type Local, op } from "../../assembler/index.ts";
import type { Finish } from "../finish.ts";
import {
  type EmitOptions,
  kernelParameters,
  type Phase,
  type Scratch,
  type Share,
  addressOf,
  resultAddress,
  scratchAddress,
} from "../../loops/index.ts";
import { advance, after, repeat, rowTile, smaller } from "../tile.ts";
import { emitFilter, filterRow, panelsOf } from "./filter.ts";
import { longestSum, middleRows } from "./middle.ts";
import type { WinogradForward } from "./plan.ts";
import { cursorAt, forChannels, gridOf, panelRow, placeBytes, tilesOf } from "./tiles.ts";
import { places, transformImage, transformOutput } from "./transforms.ts";

/** Sizes in bytes: of rows and places of the transformed filter [36, o / 8, c, 8], image [36, tiles, c] and product [36, tiles, o]. */
function layoutOf({ size, block }: WinogradForward) {
  const imageRow = 16 * Math.ceil(size.c / 4);
  const productRow = 16 * Math.ceil(size.o / 4);
  return {
    filterPlace: placeBytes(panelsOf(size) * filterRow(size)),
    imageRow,
    imagePlace: placeBytes(block.tiles * imageRow),
    productRow,
    productPlace: placeBytes(block.tiles * productRow),
  } as const;
}

export function forwardScratch(plan: WinogradForward): Scratch {
  const { filterPlace, imagePlace, productPlace } = layoutOf(plan);
  return { shared: places * filterPlace, perThread: places * (imagePlace + productPlace) };
}

/** First the filter is transformed, then the images: blocks of tiles, 36 products of matrices, back again. */
export function forwardPhases(kernel: Kernel, plan: WinogradForward, finish: Finish): readonly Phase[] {
  const { size, block } = plan;
  const tiles = size.n * tilesOf(gridOf(size));
  return [
    {
      size: panelsOf(size),
      block: 1,
      cost: size.o * Math.ceil(size.c / 4) * 250,
      emit: (module, name, options) =>
        module.define(`${name}_filter`, kernelParameters, [], (f, table, low, high, thread) => {
          emitFilter(f, kernel, plan, options, layoutOf(plan).filterPlace, { table, low, high, thread });
        }),
    },
    {
      size: size.n,
      block: block.images,
      cost: (tiles * (300 * size.c + 200 * size.o + 63 * size.c * size.o)) / 4,
      emit: (module, name, options) => {
        const finishing = finish(module, `${name}_finish`);
        return module.define(name, kernelParameters, [], (f, table, low, high, thread) => {
          emitImages(f, kernel, plan, options, { table, low, high, thread }, finishing);
        });
      },
    },
  ];
}

function emitImages(
  f: FunctionBuilder,
  kernel: Kernel,
  plan: WinogradForward,
  { relaxed }: EmitOptions,
  { table, low, high, thread }: Share,
  finish: FunctionReference | null,
): void {
  const { image, axes, size, block } = plan;
  const { imageRow, imagePlace, productRow, productPlace } = layoutOf(plan);
  const { shared, perThread } = forwardScratch(plan);
  const filter = scratchAddress(f, kernel, table);
  const ownScratch = op("i32.add", filter, op("i32.mul", thread, i32(perThread)));
  const transformed = f.let("i32", "transformed", op("i32.add", ownScratch, i32(shared)));
  const products = after(f, "products", transformed, places * imagePlace);
  const grid = gridOf(size);
  const n = f.let("i32", "n", low);
  const start = (base: Local, address: Affine, channel: number) =>
    cursorAt(f, base, address, { ...axes, channel }, (bytes) => op("i32.mul", n, i32(bytes)));
  const pixels = start(addressOf(f, table, image.operand), image.at, axes.c);
  const results = start(resultAddress(f, kernel, table), kernel.stores[0].at, axes.o);

  f.loop((nextImages) => {
    const next = smaller(f, "next", f.let("i32", "next", op("i32.add", n, i32(block.images))), high);
    const imageCount = op("i32.sub", next, n);
    const left = f.let("i32", "left", op("i32.mul", imageCount, i32(tilesOf(grid))));
    f.loop((nextBlock) => {
      const count = smaller(f, "count", left, block.tiles);
      const images = { pointer: transformed, tile: imageRow, panel: panelRow };
      forChannels(f, grid, size.c, pixels, count, images, (lanes, { rows, columns }, pointer) => {
        const tile = { lanes, rowBytes: pixels.strides.row, rows: rows + 2, columns: columns + 2 };
        transformImage(f, relaxed, tile, { pointer, stride: imagePlace });
      });
      multiply(f, plan, relaxed, { filter, transformed, products, count });
      const outputs = { pointer: products, tile: productRow, panel: panelRow };
      forChannels(f, grid, size.o, results, count, outputs, (lanes, extent, pointer) => {
        const tile = { lanes, rowBytes: results.strides.row, ...extent };
        transformOutput(f, relaxed, { pointer, stride: productPlace }, tile);
      });
      f.tee(left, op("i32.sub", left, count));
      f.branchIf(nextBlock);
    });
    if (finish !== null) f.call(finish, table, n, next, thread);
    f.set(n, next);
    f.branchIf(nextImages, op("i32.lt_s", n, high));
  });
}

/** The 36 products of a block of tiles with the filter. */
function multiply(
  f: FunctionBuilder,
  plan: WinogradForward,
  relaxed: boolean,
  from: Readonly<Record<"filter" | "transformed" | "products" | "count", Local>>,
): void {
  const { size } = plan;
  const { filterPlace, imageRow, imagePlace, productRow, productPlace } = layoutOf(plan);
  const rows = middleRows;
  const rowTiles = f.let("i32", "rowTiles", op("i32.div_u", op("i32.add", from.count, i32(rows - 1)), i32(rows)));
  const [filter, image, product] = [
    after(f, "u", from.filter, 0),
    after(f, "v", from.transformed, 0),
    after(f, "m", from.products, 0),
  ];
  const vectors = Math.ceil(size.o / 4);
  /** Adds the products of so many channels from number `first` on. */
  const part = (first: number, depth: number): void => {
    const [panel, columns] = [after(f, "panel", filter, first * panelRow), after(f, "columns", product, 0)];
    const multiplyPanel = (width: number): void => {
      const [left, to] = [after(f, "left", image, 4 * first), after(f, "to", columns, 0)];
      repeat(f, rowTiles, () => {
        const tile = { relaxed, rows, depth, vectors: width, isFirst: first === 0 };
        const right = { pointer: panel, row: panelRow };
        rowTile(f, tile, { pointer: left, row: imageRow, step: 4 }, right, { pointer: to, row: productRow });
        advance(f, left, rows * imageRow);
        advance(f, to, rows * productRow);
      });
      advance(f, panel, filterRow(size));
      advance(f, columns, panelRow);
    };
    repeat(f, Math.floor(vectors / 2), () => multiplyPanel(2));
    if (vectors % 2 > 0) multiplyPanel(1);
  };
  const length = Math.ceil(size.c / Math.ceil(size.c / longestSum));
  repeat(f, places, () => {
    for (let first = 0; first < size.c; first += length) part(first, Math.min(length, size.c - first));
    advance(f, filter, filterPlace);
    advance(f, image, imagePlace);
    advance(f, product, productPlace);
  });
}
