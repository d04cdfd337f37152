/**
 * Forward convolutions that threads share by outputs: a chunk of tiles is transformed, then the filters of some outputs after the
 * others, which go all the way. For few tiles, where all filters together would be more than they are, and for a single image.
 */
import type { Kernel } from "../../../../kernel/kernel.ts";
import { type FunctionBuilder, i32, type Local, op } from "../../assembler/index.ts";
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
import { at } from "../../../../graph/shape.ts";
import { after, smaller } from "../tile.ts";
import { chunkParameters, chunksOf, ofChunk, sharedTiles } from "./chunks.ts";
import { filterRow, transformPanel } from "./filter.ts";
import type { WinogradForward } from "./plan.ts";
import { multiply } from "./products.ts";
import { cursorAt, filled, forChannels, gridOf, moveTo, panelChannels, panelRow, placeBytes } from "./tiles.ts";
import { places, transformImage, transformOutput } from "./transforms.ts";

/** Sizes in bytes: of rows and places of a chunk's image [36, tiles, c], and for eight outputs of filter [36, c, 8] and product [36, tiles, 8]. */
function layoutOf({ size, block }: WinogradForward) {
  const imageRow = 16 * Math.ceil(size.c / 4);
  return {
    c: size.c,
    vectors: panelChannels / 4,
    filterPlace: placeBytes(filterRow(size)),
    imageRow,
    imagePlace: placeBytes(block.tiles * imageRow),
    productRow: panelRow,
    productPlace: placeBytes(block.tiles * panelRow),
  } as const;
}

export function outputsScratch(plan: WinogradForward): Scratch {
  const { filterPlace, imagePlace, productPlace } = layoutOf(plan);
  return { shared: places * imagePlace, perThread: places * (filterPlace + productPlace) };
}

export function outputsPhases(kernel: Kernel, plan: WinogradForward, finish: Finish): readonly Phase[] {
  const { size } = plan;
  const chunks = chunksOf(plan);
  const phases = chunks.flatMap((chunk, index): readonly Phase[] => [
    {
      size: Math.ceil(chunk.count / sharedTiles),
      block: 1,
      cost: 75 * chunk.count * filled(size.c),
      emit: (module, name, options) => {
        const transform = module.define(
          `${name}_tiles`,
          chunkParameters,
          [],
          (f, table, low, high, _, first, count) => {
            emitTiles(f, kernel, plan, options, { table, low, high, first, count });
          },
        );
        return ofChunk(module, `${name}_tiles_${index}`, transform, chunk);
      },
    },
    {
      size: size.o,
      block: panelChannels,
      cost: filled(size.o) * (chunk.count * 50 + (16 * filled(chunk.count) + 45) * size.c),
      emit: (module, name, options) => {
        const outputs = module.define(
          `${name}_outputs`,
          chunkParameters,
          [],
          (f, table, low, high, thread, first, count) => {
            emitOutputs(f, kernel, plan, options, { table, low, high, thread, first, count });
          },
        );
        return ofChunk(module, `${name}_outputs_${index}`, outputs, chunk);
      },
    },
  ]);
  const isPlain = kernel.stores[0].value.kind === "accumulator";
  if (isPlain) return phases;
  const finishing: Phase = {
    size: at(kernel.axes, 0).size,
    block: 1,
    cost: 2 * size.n * size.o * size.y * size.x,
    emit: (module, name) =>
      finish(module, `${name}_finish`) ?? module.define(`${name}_finish`, kernelParameters, [], () => undefined),
  };
  return [...phases, finishing];
}

/** Transforms tiles of a chunk: so many times `sharedTiles`, from `low` to `high`. */
function emitTiles(
  f: FunctionBuilder,
  kernel: Kernel,
  plan: WinogradForward,
  { relaxed }: EmitOptions,
  { table, low, high, first, count }: Readonly<Record<"table" | "low" | "high" | "first" | "count", Local>>,
): void {
  const { image, axes, size } = plan;
  const { imageRow, imagePlace } = layoutOf(plan);
  const grid = gridOf(size);
  const start = f.let("i32", "start", op("i32.mul", low, i32(sharedTiles)));
  const end = smaller(f, "end", f.let("i32", "end", op("i32.mul", high, i32(sharedTiles))), count);
  const row = op("i32.add", scratchAddress(f, kernel, table), op("i32.mul", start, i32(imageRow)));
  const pointer = f.let("i32", "to", row);
  const pixels = cursorAt(f, addressOf(f, table, image.operand), image.at, { ...axes, channel: axes.c }, () => i32(0));
  moveTo(f, grid, pixels, f.let("i32", "tile", op("i32.add", first, start)));
  const tiles = f.let("i32", "tiles", op("i32.sub", end, start));
  forChannels(f, grid, size.c, pixels, tiles, { pointer, tile: imageRow, panel: panelRow }, (lanes, extent, place) => {
    const tile = { lanes, rowBytes: pixels.strides.row, rows: extent.rows + 2, columns: extent.columns + 2 };
    transformImage(f, relaxed, tile, { pointer: place, stride: imagePlace });
  });
}

/** The results of a chunk for the o from `low` to `high`, a panel at a time. */
function emitOutputs(
  f: FunctionBuilder,
  kernel: Kernel,
  plan: WinogradForward,
  { relaxed }: EmitOptions,
  { table, low, high, thread, first, count }: Share & Readonly<Record<"first" | "count", Local>>,
): void {
  const { axes, size } = plan;
  const layout = layoutOf(plan);
  const { shared, perThread } = outputsScratch(plan);
  const grid = gridOf(size);
  const transformed = scratchAddress(f, kernel, table);
  const own = op("i32.add", op("i32.mul", thread, i32(perThread)), i32(shared));
  const filter = f.let("i32", "filter", op("i32.add", transformed, own));
  const products = after(f, "products", filter, places * layout.filterPlace);
  const { at: address } = kernel.stores[0];
  const base = resultAddress(f, kernel, table);
  const output = after(f, "output", low, 0);
  const finishTiles = (channels: number): void => {
    const results = cursorAt(f, base, address, { ...axes, channel: axes.o }, () => i32(0));
    moveTo(f, grid, results, after(f, "tile", first, 0));
    f.set(results.pointer, op("i32.add", results.pointer, op("i32.mul", output, i32(results.strides.channel))));
    const from = { pointer: products, tile: panelRow, panel: panelRow };
    forChannels(f, grid, channels, results, count, from, (lanes, extent, pointer) => {
      const tile = { lanes, rowBytes: results.strides.row, ...extent };
      transformOutput(f, relaxed, { pointer, stride: layout.productPlace }, tile);
    });
  };
  const last = size.o % panelChannels;
  f.loop((again) => {
    transformPanel(f, plan, relaxed, { table, output }, filter, layout.filterPlace);
    multiply(f, layout, relaxed, { filter, transformed, products, count });
    if (last === 0) finishTiles(panelChannels);
    else {
      f.op("i32.gt_s", output, i32(size.o - panelChannels));
      f.if(
        () => finishTiles(last),
        () => finishTiles(panelChannels),
      );
    }
    f.tee(output, op("i32.add", output, i32(panelChannels)));
    f.branchIf(again, op("i32.lt_s", high));
  });
}
