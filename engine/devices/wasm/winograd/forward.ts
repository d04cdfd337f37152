import type { Kernel } from "../../../kernel/kernel.ts";
import { type FunctionBuilder, type FunctionReference, i32, type Local, memory, op } from "../assembler.ts";
import type { Finish } from "../finish.ts";
import { type EmitOptions, kernelParameters, type Phase, type Scratch, type Share } from "../phase.ts";
import type { WinogradForward } from "./plan.ts";
import { advance, after, loadLanes, repeat, rowTile } from "../tile.ts";
import { transformFilter, transformImage, transformOutput } from "./transforms.ts";

/** Sizes in bytes: of rows and places of the transformed filter [16, o, c], image [16, c, tiles] and product [16, o, tiles]. */
function layoutOf({ size, block }: WinogradForward) {
  const tileBytes = 16 * block.rows * block.vectors;
  const filterRow = 16 * Math.ceil(size.c / 4);
  const outputs = 2 * Math.ceil(size.o / 2);
  return {
    tileBytes,
    filterRow,
    outputs,
    filterPlace: outputs * filterRow,
    imagePlace: size.c * tileBytes,
    productPlace: outputs * tileBytes,
  };
}

export function forwardScratch(plan: WinogradForward): Scratch {
  const { filterPlace, imagePlace, productPlace } = layoutOf(plan);
  return { shared: 16 * filterPlace, perThread: 16 * (imagePlace + productPlace) };
}

/** First the filter is transformed, then images one by one: blocks of tiles, 16 products of matrices, back again. */
export function forwardPhases(kernel: Kernel, plan: WinogradForward, finish: Finish): readonly Phase[] {
  const { size } = plan;
  const vectors = (size.n * size.y * size.x) / 16;
  return [
    {
      size: size.o,
      block: 1,
      cost: size.o * Math.ceil(size.c / 4) * 140,
      emit: (module, name) =>
        module.define(`${name}_filter`, kernelParameters, [], (f, table, low, high) => {
          emitFilter(f, kernel, plan, table, low, high);
        }),
    },
    {
      size: size.n,
      block: 1,
      cost: vectors * (76 * size.c + 50 * size.o + 28 * size.c * size.o),
      emit: (module, name, options) => {
        const finishing = finish(module, `${name}_finish`);
        return module.define(name, kernelParameters, [], (f, table, low, high, thread) => {
          emitImages(f, kernel, plan, options, { table, low, high, thread }, finishing);
        });
      },
    },
  ];
}

/** U[place, o, c] for the o from `low` to `high`. */
function emitFilter(
  f: FunctionBuilder,
  kernel: Kernel,
  plan: WinogradForward,
  table: Local,
  low: Local,
  high: Local,
): void {
  const { filter, axes, size } = plan;
  const { filterRow, filterPlace } = layoutOf(plan);
  const { offset, coefficients } = filter.at;
  const stride = (axis: number): number => coefficients[axis] ?? 0;
  const taps = [0, 1, 2].flatMap((y) => [0, 1, 2].map((x) => y * stride(axes.ky) + x * stride(axes.kx)));
  const lowest = Math.min(...taps);
  const base = f.let("i32", "filter", memory("i32.load", 4 * filter.operand, table));
  const scratch = f.let("i32", "scratch", memory("i32.load", 4 * (kernel.operands.length + 2), table));
  const o = f.let("i32", "o", low);
  f.loop((again) => {
    const row = op("i32.mul", o, i32(4 * stride(axes.o)));
    const from = f.let("i32", "from", op("i32.add", op("i32.add", base, row), i32(4 * (offset + lowest))));
    const to = f.let("i32", "to", op("i32.add", scratch, op("i32.mul", o, i32(filterRow))));
    const vector = (lanes: number): void => {
      const values = taps.map((tap) => loadLanes(f, from, 4 * (tap - lowest), 4 * stride(axes.c), lanes));
      transformFilter(f, values, { pointer: to, offset: 0, stride: filterPlace });
    };
    repeat(f, Math.floor(size.c / 4), () => {
      vector(4);
      advance(f, from, 16 * stride(axes.c));
      advance(f, to, 16);
    });
    if (size.c % 4 > 0) vector(size.c % 4);
    f.tee(o, op("i32.add", o, i32(1)));
    f.branchIf(again, op("i32.lt_s", high));
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
  const { tileBytes, filterRow, outputs, imagePlace, productPlace } = layoutOf(plan);
  const { shared, perThread } = forwardScratch(plan);
  const [from, to] = [image.at, kernel.result.at];
  const bytes = (coefficients: readonly number[], axis: number): number => 4 * (coefficients[axis] ?? 0);
  const [imageRow, resultRow] = [bytes(from.coefficients, axes.y), bytes(to.coefficients, axes.y)];
  const operand = (index: number): Local => f.let("i32", "base", memory("i32.load", 4 * index, table));
  const [imageBase, resultBase] = [operand(image.operand), operand(kernel.operands.length)];
  const filter = operand(kernel.operands.length + 2);
  const ownScratch = op("i32.add", filter, op("i32.mul", thread, i32(perThread)));
  const transformed = f.let("i32", "transformed", op("i32.add", ownScratch, i32(shared)));
  const products = after(f, "products", transformed, 16 * imagePlace);
  const tiles = Array.from({ length: block.rows * block.vectors }, (_, index) => ({
    at: 16 * index,
    row: 2 * Math.floor(index / block.vectors),
    pixel: 32 * (index % block.vectors),
  }));

  const block16 = (pixels: Local, results: Local): void => {
    const source = after(f, "source", pixels, 0);
    const place = after(f, "place", transformed, 0);
    repeat(f, size.c, () => {
      for (const { at, row, pixel } of tiles) {
        transformImage(f, source, row * imageRow + pixel, imageRow, { pointer: place, offset: at, stride: imagePlace });
      }
      advance(f, source, bytes(from.coefficients, axes.c));
      advance(f, place, tileBytes);
    });
    const [left, right, product] = [
      after(f, "u", filter, 0),
      after(f, "v", transformed, 0),
      after(f, "m", products, 0),
    ];
    repeat(f, 16, () => {
      repeat(f, outputs / 2, () => {
        const tile = { relaxed, rows: 2, depth: size.c, vectors: tiles.length, isFirst: true } as const;
        rowTile(f, tile, { pointer: left, row: filterRow }, right, { pointer: product, row: tileBytes });
        advance(f, left, 2 * filterRow);
        advance(f, product, 2 * tileBytes);
      });
      advance(f, right, imagePlace);
    });
    const sums = after(f, "sums", products, 0);
    const target = after(f, "target", results, 0);
    repeat(f, size.o, () => {
      for (const { at, row, pixel } of tiles) {
        const places = { pointer: sums, offset: at, stride: productPlace };
        transformOutput(f, places, target, row * resultRow + pixel, resultRow);
      }
      advance(f, sums, tileBytes);
      advance(f, target, bytes(to.coefficients, axes.o));
    });
  };

  const n = f.let("i32", "n", low);
  f.loop((again) => {
    const start = (base: Local, stride: number, offset: number): Local =>
      f.let("i32", "start", op("i32.add", op("i32.add", base, op("i32.mul", n, i32(stride))), i32(4 * offset)));
    const pixels = start(imageBase, bytes(from.coefficients, axes.n), from.offset);
    const results = start(resultBase, bytes(to.coefficients, axes.n), to.offset);
    const across = size.x / (8 * block.vectors);
    repeat(f, size.y / (2 * block.rows), () => {
      repeat(f, across, () => {
        block16(pixels, results);
        advance(f, pixels, 32 * block.vectors);
        advance(f, results, 32 * block.vectors);
      });
      advance(f, pixels, 2 * block.rows * imageRow - 4 * size.x);
      advance(f, results, 2 * block.rows * resultRow - 4 * size.x);
    });
    const next = f.let("i32", "next", op("i32.add", n, i32(1)));
    if (finish !== null) f.call(finish, table, n, next, thread);
    f.set(n, next);
    f.branchIf(again, op("i32.lt_s", n, high));
  });
}
