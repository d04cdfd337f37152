/** Forward convolutions that threads share by images: the filter is transformed, then blocks of tiles go all the way. */
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
import { after, smaller } from "../tile.ts";
import { filterRow, panelsOf, transformPanel } from "./filter.ts";
import type { WinogradForward } from "./plan.ts";
import { multiply } from "./products.ts";
import { cursorAt, filled, forChannels, gridOf, panelChannels, panelRow, placeBytes, tilesOf } from "./tiles.ts";
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

export function imagesScratch(plan: WinogradForward): Scratch {
  const { filterPlace, imagePlace, productPlace } = layoutOf(plan);
  return { shared: places * filterPlace, perThread: places * (imagePlace + productPlace) };
}

export function imagesPhases(kernel: Kernel, plan: WinogradForward, finish: Finish): readonly Phase[] {
  const { size, block } = plan;
  const [c, o] = [filled(size.c), filled(size.o)];
  const together = block.images * tilesOf(gridOf(size));
  const last = together % block.tiles;
  const rows = together - last + filled(last);
  return [
    {
      size: panelsOf(size),
      block: 1,
      cost: 45 * size.c * o,
      emit: (module, name, options) =>
        module.define(`${name}_filter`, kernelParameters, [], (f, table, low, high) => {
          emitFilter(f, kernel, plan, options, { table, low, high });
        }),
    },
    {
      size: size.n,
      block: block.images,
      cost: (size.n / block.images) * (together * (75 * c + 50 * o) + 16 * rows * size.c * o),
      emit: (module, name, options) => {
        const finishing = finish(module, `${name}_finish`);
        return module.define(name, kernelParameters, [], (f, table, low, high, thread) => {
          emitImages(f, kernel, plan, options, { table, low, high, thread }, finishing);
        });
      },
    },
  ];
}

/** The panels of the filter from `low` to `high`. */
function emitFilter(
  f: FunctionBuilder,
  kernel: Kernel,
  plan: WinogradForward,
  { relaxed }: EmitOptions,
  { table, low, high }: Omit<Share, "thread">,
): void {
  const { filterPlace } = layoutOf(plan);
  const row = filterRow(plan.size);
  const scratch = scratchAddress(f, kernel, table);
  const to = f.let("i32", "to", op("i32.add", scratch, op("i32.mul", low, i32(row))));
  const output = f.let("i32", "output", op("i32.mul", low, i32(panelChannels)));
  const end = f.let("i32", "end", op("i32.mul", high, i32(panelChannels)));
  f.loop((again) => {
    transformPanel(f, plan, relaxed, { table, output }, to, filterPlace);
    f.set(to, op("i32.add", to, i32(row)));
    f.tee(output, op("i32.add", output, i32(panelChannels)));
    f.branchIf(again, op("i32.lt_s", end));
  });
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
  const layout = layoutOf(plan);
  const { imageRow, imagePlace, productRow, productPlace } = layout;
  const { shared, perThread } = imagesScratch(plan);
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
      multiply(f, { ...layout, c: size.c, vectors: Math.ceil(size.o / 4) }, relaxed, {
        filter,
        transformed,
        products,
        count,
      });
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
