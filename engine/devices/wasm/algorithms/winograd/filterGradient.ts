import type { Kernel } from "../../../../kernel/kernel.ts";
import { type FunctionBuilder, i32, type Local, memory, op } from "../../assembler/index.ts";
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
import type { Load } from "../../../../kernel/contraction.ts";
import { middleRows } from "./middle.ts";
import type { WinogradFilterGradient } from "./plan.ts";
import { cursorAt, forChannels, gridOf, moveTo, panelChannels, panelRow, placeBytes, tilesOf } from "./tiles.ts";
import { places, transformCotangent, transformFilterBack, transformImage } from "./transforms.ts";

/**
 * Sizes in bytes: of panels and places of the transformed image [36, c / 8, tiles, 8] and cotangent [36, o / 8, tiles, 8], and of the
 * sums [36, o, c].
 */
function layoutOf({ size, block }: WinogradFilterGradient) {
  const panel = block.tiles * panelRow;
  const sumRow = 16 * Math.ceil(size.c / 4);
  return {
    panel,
    imagePlace: placeBytes(Math.ceil(size.c / panelChannels) * panel),
    cotangentPlace: placeBytes(Math.ceil(size.o / panelChannels) * panel),
    sumRow,
    sumPlace: placeBytes(middleRows * Math.ceil(size.o / middleRows) * sumRow),
  };
}

export function filterGradientScratch(plan: WinogradFilterGradient): Scratch {
  const { imagePlace, cotangentPlace, sumPlace } = layoutOf(plan);
  return { shared: plan.parts * places * sumPlace, perThread: places * (imagePlace + cotangentPlace) };
}

/** First each part of the tiles gives sums of its own, then these are added and transformed back. */
export function filterGradientPhases(kernel: Kernel, plan: WinogradFilterGradient, finish: Finish): readonly Phase[] {
  const { size, parts } = plan;
  const tiles = size.n * tilesOf(gridOf(size));
  return [
    {
      size: parts,
      block: 1,
      cost: (tiles * (300 * size.c + 180 * size.o + 66 * size.c * size.o)) / 4,
      emit: (module, name, options) =>
        module.define(name, kernelParameters, [], (f, table, low, high, thread) => {
          emitParts(f, kernel, plan, options, { table, low, high, thread });
        }),
    },
    {
      size: size.o,
      block: 1,
      cost: size.o * Math.ceil(size.c / 4) * (72 * parts + 200),
      emit: (module, name, options) => {
        const finishing = finish(module, `${name}_finish`);
        return module.define(`${name}_sum`, kernelParameters, [], (f, table, low, high, thread) => {
          emitSums(f, kernel, plan, options, { table, low, high, thread });
          if (finishing !== null) f.call(finishing, table, low, high, thread);
        });
      },
    },
  ];
}

function emitParts(
  f: FunctionBuilder,
  kernel: Kernel,
  plan: WinogradFilterGradient,
  { relaxed }: EmitOptions,
  { table, low, high, thread }: Share,
): void {
  const { image, cotangent, axes, size, block, tilesOfPart } = plan;
  const layout = layoutOf(plan);
  const { shared, perThread } = filterGradientScratch(plan);
  const grid = gridOf(size);
  const tiles = size.n * tilesOf(grid);
  const scratch = scratchAddress(f, kernel, table);
  const ownScratch = op("i32.add", scratch, op("i32.mul", thread, i32(perThread)));
  const transformed = f.let("i32", "transformed", op("i32.add", ownScratch, i32(shared)));
  const transformedCotangent = after(f, "transformed", transformed, places * layout.imagePlace);
  const part = f.let("i32", "part", low);
  const bases = [addressOf(f, table, image.operand), addressOf(f, table, cotangent.operand)] as const;
  const isOnlyBlock = tilesOfPart <= block.tiles;

  f.loop((nextPart) => {
    const sums = f.let("i32", "sums", op("i32.add", scratch, op("i32.mul", part, i32(places * layout.sumPlace))));
    if (!isOnlyBlock) f.memoryFill(sums, i32(0), i32(places * layout.sumPlace));
    const first = f.let("i32", "first", op("i32.mul", part, i32(tilesOfPart)));
    const left = smaller(f, "left", f.let("i32", "rest", op("i32.sub", i32(tiles), first)), tilesOfPart);
    const start = (base: Local, { at: address }: Load, channel: number) => {
      const cursor = cursorAt(f, base, address, { ...axes, channel }, () => i32(0));
      moveTo(f, grid, cursor, after(f, "tile", first, 0));
      return cursor;
    };
    const [x, y] = [start(bases[0], image, axes.c), start(bases[1], cotangent, axes.o)];
    f.loop((nextBlock) => {
      const count = smaller(f, "count", left, block.tiles);
      const images = { pointer: transformed, tile: panelRow, panel: layout.panel };
      forChannels(f, grid, size.c, x, count, images, (lanes, { rows, columns }, pointer) => {
        const tile = { lanes, rowBytes: x.strides.row, rows: rows + 2, columns: columns + 2 };
        transformImage(f, relaxed, tile, { pointer, stride: layout.imagePlace });
      });
      const cotangents = { pointer: transformedCotangent, tile: panelRow, panel: layout.panel };
      forChannels(f, grid, size.o, y, count, cotangents, (lanes, extent, pointer) => {
        const tile = { lanes, rowBytes: y.strides.row, ...extent };
        transformCotangent(f, relaxed, tile, { pointer, stride: layout.cotangentPlace });
      });
      multiply(f, plan, { relaxed, isFirst: isOnlyBlock }, { transformed, transformedCotangent, sums, count });
      f.tee(left, op("i32.sub", left, count));
      f.branchIf(nextBlock);
    });
    f.tee(part, op("i32.add", part, i32(1)));
    f.branchIf(nextPart, op("i32.lt_s", high));
  });
}

/** The 36 products transposed cotangent times image; `isFirst`: they are the sums, else they are added to these. */
function multiply(
  f: FunctionBuilder,
  plan: WinogradFilterGradient,
  { relaxed, isFirst }: { readonly relaxed: boolean; readonly isFirst: boolean },
  from: Readonly<Record<"transformed" | "transformedCotangent" | "sums" | "count", Local>>,
): void {
  const { size } = plan;
  const { panel, imagePlace, cotangentPlace, sumRow, sumPlace } = layoutOf(plan);
  const rows = middleRows;
  const [cotangent, image, sums] = [
    after(f, "y", from.transformedCotangent, 0),
    after(f, "v", from.transformed, 0),
    after(f, "sum", from.sums, 0),
  ];
  const vectors = Math.ceil(size.c / 4);
  repeat(f, places, () => {
    const [left, row] = [after(f, "left", cotangent, 0), after(f, "row", sums, 0)];
    // Halves of panels take turns.
    const step = f.let("i32", "step", i32(4 * rows));
    repeat(f, Math.ceil(size.o / rows), () => {
      const [right, to] = [after(f, "right", image, 0), after(f, "to", row, 0)];
      const multiplyPanel = (width: number): void => {
        rowTile(
          f,
          { relaxed, rows, depth: from.count, vectors: width, isFirst },
          { pointer: left, row: 4, step: panelRow },
          { pointer: right, row: panelRow },
          { pointer: to, row: sumRow },
        );
        advance(f, right, panel);
        advance(f, to, panelRow);
      };
      repeat(f, Math.floor(vectors / 2), () => multiplyPanel(2));
      if (vectors % 2 > 0) multiplyPanel(1);
      f.set(left, op("i32.add", left, step));
      f.set(step, op("i32.sub", i32(panel), step));
      advance(f, row, rows * sumRow);
    });
    advance(f, cotangent, cotangentPlace);
    advance(f, image, imagePlace);
    advance(f, sums, sumPlace);
  });
}

/** The result for the o from `low` to `high`. */
function emitSums(
  f: FunctionBuilder,
  kernel: Kernel,
  plan: WinogradFilterGradient,
  { relaxed }: EmitOptions,
  { table, low, high }: Share,
): void {
  const { axes, size, parts } = plan;
  const { sumRow, sumPlace } = layoutOf(plan);
  const { offset, coefficients } = kernel.stores[0].at;
  const bytes = (axis: number): number => 4 * (coefficients[axis] ?? 0);
  const result = resultAddress(f, kernel, table);
  const scratch = scratchAddress(f, kernel, table);
  const o = f.let("i32", "o", low);
  f.loop((again) => {
    const row = op("i32.mul", o, i32(bytes(axes.o)));
    const to = f.let("i32", "to", op("i32.add", op("i32.add", result, row), i32(4 * offset)));
    const from = f.let("i32", "from", op("i32.add", scratch, op("i32.mul", o, i32(sumRow))));
    const vector = (lanes: number): void => {
      const others = Array.from({ length: parts - 1 }, (_, part) => places * (part + 1) * sumPlace);
      transformFilterBack(f, relaxed, { pointer: from, stride: sumPlace }, others, (row, taps) => {
        taps.forEach((tap, column) => {
          for (let lane = 0; lane < lanes; lane++) {
            const at = row * bytes(axes.ky) + column * bytes(axes.kx) + lane * bytes(axes.c);
            f.memoryLane("v128.store32_lane", at, lane, to, tap);
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
    f.tee(o, op("i32.add", o, i32(1)));
    f.branchIf(again, op("i32.lt_s", high));
  });
}
