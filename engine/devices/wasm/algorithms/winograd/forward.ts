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
import { forBlocks, forVectors, pixelsAt, placeBytes, vectorsOf } from "./blocks.ts";
import { tileRows } from "./middle.ts";
import type { WinogradForward } from "./plan.ts";
import { advance, after, loadLanes, repeat, rowTiles } from "../tile.ts";
import { places, transformFilter, transformImage, transformOutput } from "./transforms.ts";

/** Sizes in bytes: of rows and places of the transformed filter [36, o, c], image [36, c, tiles] and product [36, o, tiles]. */
function layoutOf(plan: WinogradForward) {
  const { size, block } = plan;
  const vectors = vectorsOf(block);
  const rows = tileRows(plan);
  const tileBytes = 16 * vectors;
  const filterRow = 16 * Math.ceil(size.c / 4);
  const outputs = rows * Math.ceil(size.o / rows);
  return {
    vectors,
    rows,
    tileBytes,
    filterRow,
    outputs,
    filterPlace: placeBytes(outputs * filterRow),
    imagePlace: placeBytes(size.c * tileBytes),
    productPlace: placeBytes(outputs * tileBytes),
  } as const;
}

export function forwardScratch(plan: WinogradForward): Scratch {
  const { filterPlace, imagePlace, productPlace } = layoutOf(plan);
  return { shared: places * filterPlace, perThread: places * (imagePlace + productPlace) };
}

/** First the filter is transformed, then the images: blocks of tiles, 36 products of matrices, back again. */
export function forwardPhases(kernel: Kernel, plan: WinogradForward, finish: Finish): readonly Phase[] {
  const { size, block } = plan;
  const vectors = (size.n * size.y * size.x) / 64;
  return [
    {
      size: size.o,
      block: 1,
      cost: size.o * Math.ceil(size.c / 4) * 250,
      emit: (module, name, options) =>
        module.define(`${name}_filter`, kernelParameters, [], (f, table, low, high, thread) => {
          emitFilter(f, kernel, plan, options, { table, low, high, thread });
        }),
    },
    {
      size: size.n,
      block: block.images,
      cost: vectors * (300 * size.c + 200 * size.o + 63 * size.c * size.o),
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
  { relaxed }: EmitOptions,
  { table, low, high }: Share,
): void {
  const { filter, axes, size } = plan;
  const { filterRow, filterPlace } = layoutOf(plan);
  const { offset, coefficients } = filter.at;
  const stride = (axis: number): number => coefficients[axis] ?? 0;
  const taps = [0, 1, 2].flatMap((y) => [0, 1, 2].map((x) => y * stride(axes.ky) + x * stride(axes.kx)));
  const lowest = Math.min(...taps);
  const base = addressOf(f, table, filter.operand, "filter");
  const scratch = scratchAddress(f, kernel, table);
  const o = f.let("i32", "o", low);
  f.loop((again) => {
    const row = op("i32.mul", o, i32(4 * stride(axes.o)));
    const from = f.let("i32", "from", op("i32.add", op("i32.add", base, row), i32(4 * (offset + lowest))));
    const to = f.let("i32", "to", op("i32.add", scratch, op("i32.mul", o, i32(filterRow))));
    const vector = (lanes: number): void => {
      const values = taps.map((tap) => loadLanes(f, from, 4 * (tap - lowest), 4 * stride(axes.c), lanes));
      transformFilter(f, relaxed, values, { pointer: to, stride: filterPlace });
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
  const { vectors, rows, tileBytes, filterRow, outputs, filterPlace, imagePlace, productPlace } = layoutOf(plan);
  const { shared, perThread } = forwardScratch(plan);
  const filter = scratchAddress(f, kernel, table);
  const ownScratch = op("i32.add", filter, op("i32.mul", thread, i32(perThread)));
  const transformed = f.let("i32", "transformed", op("i32.add", ownScratch, i32(shared)));
  const products = after(f, "products", transformed, places * imagePlace);
  const n = f.let("i32", "n", low);
  const start = (base: Local, address: Affine, channel: number) =>
    pixelsAt(f, base, address, { ...axes, channel }, (bytes) => op("i32.mul", n, i32(bytes)));
  const pixels = start(addressOf(f, table, image.operand), image.at, axes.c);
  const results = start(resultAddress(f, kernel, table), kernel.stores[0].at, axes.o);

  f.loop((again) => {
    forBlocks(f, block, { ...size, n: block.images }, [pixels, results], () => {
      forVectors(f, block, size.c, pixels, transformed, (from, pointer) => {
        transformImage(f, relaxed, from, { pointer, stride: imagePlace });
      });
      const [left, right, product] = [
        after(f, "u", filter, 0),
        after(f, "v", transformed, 0),
        after(f, "m", products, 0),
      ];
      repeat(f, places, () => {
        const tile = { relaxed, rows, depth: size.c, vectors, isFirst: true } as const;
        const result = { pointer: product, row: tileBytes };
        rowTiles(f, tile, outputs / rows, { pointer: left, row: filterRow }, right, result);
        advance(f, left, filterPlace);
        advance(f, product, productPlace);
        advance(f, right, imagePlace);
      });
      forVectors(f, block, size.o, results, products, (to, pointer) => {
        transformOutput(f, relaxed, { pointer, stride: productPlace }, to);
      });
    });
    const next = f.let("i32", "next", op("i32.add", n, i32(block.images)));
    if (finish !== null) f.call(finish, table, n, next, thread);
    f.set(n, next);
    f.branchIf(again, op("i32.lt_s", n, high));
  });
}
