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
import { advance, after, dotColumns, dotRows, dotTiles, repeat } from "../tile.ts";
import { forBlocks, forVectors, pixelsAt, placeBytes, vectorsOf } from "./blocks.ts";
import type { Load } from "../../../../kernel/contraction.ts";
import type { WinogradFilterGradient } from "./plan.ts";
import { places, transformCotangent, transformFilterBack, transformImage } from "./transforms.ts";

/** Sizes in bytes: of rows and places of the transformed image [36, c, tiles] and cotangent [36, o, tiles], and of the sums [36, o, c]. */
function layoutOf({ size, block }: WinogradFilterGradient) {
  const vectors = vectorsOf(block);
  const tileRow = 16 * vectors;
  const inputs = dotColumns * Math.ceil(size.c / dotColumns);
  const outputs = dotRows * Math.ceil(size.o / dotRows);
  const sumRow = 4 * inputs;
  return {
    vectors,
    tileRow,
    inputs,
    outputs,
    imagePlace: placeBytes(inputs * tileRow),
    cotangentPlace: placeBytes(outputs * tileRow),
    sumRow,
    sumPlace: placeBytes(outputs * sumRow),
  };
}

export function filterGradientScratch(plan: WinogradFilterGradient): Scratch {
  const { imagePlace, cotangentPlace, sumPlace } = layoutOf(plan);
  return { shared: plan.parts * places * sumPlace, perThread: places * (imagePlace + cotangentPlace) };
}

/** First each part of the images gives sums of its own, then these are added and transformed back. */
export function filterGradientPhases(kernel: Kernel, plan: WinogradFilterGradient, finish: Finish): readonly Phase[] {
  const { size, parts } = plan;
  const vectors = (size.n * size.y * size.x) / 64;
  return [
    {
      size: parts,
      block: 1,
      cost: vectors * (300 * size.c + 180 * size.o + 66 * size.c * size.o),
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
  const { image, cotangent, axes, size, parts, block } = plan;
  const layout = layoutOf(plan);
  const { shared, perThread } = filterGradientScratch(plan);
  const scratch = scratchAddress(f, kernel, table);
  const ownScratch = op("i32.add", scratch, op("i32.mul", thread, i32(perThread)));
  const transformed = f.let("i32", "transformed", op("i32.add", ownScratch, i32(shared)));
  const transformedCotangent = after(f, "transformed", transformed, places * layout.imagePlace);
  const part = f.let("i32", "part", low);
  const start = ({ operand, at: address }: Load, channel: number) =>
    pixelsAt(f, addressOf(f, table, operand), address, { ...axes, channel }, (bytes) =>
      op("i32.mul", part, i32((size.n / parts) * bytes)),
    );
  const [x, y] = [start(image, axes.c), start(cotangent, axes.o)];
  const isOnlyBlock = 64 * vectorsOf(block) * parts === size.n * size.y * size.x;

  f.loop((again) => {
    const sums = f.let("i32", "sums", op("i32.add", scratch, op("i32.mul", part, i32(places * layout.sumPlace))));
    if (!isOnlyBlock) f.memoryFill(sums, i32(0), i32(places * layout.sumPlace));
    forBlocks(f, block, { ...size, n: size.n / parts }, [x, y], () => {
      forVectors(f, block, size.c, x, transformed, (from, pointer) => {
        transformImage(f, relaxed, from, { pointer, stride: layout.imagePlace });
      });
      forVectors(f, block, size.o, y, transformedCotangent, (from, pointer) => {
        transformCotangent(f, relaxed, from, { pointer, stride: layout.cotangentPlace });
      });
      multiply(f, plan, { relaxed, adds: !isOnlyBlock }, transformed, transformedCotangent, sums);
    });
    f.tee(part, op("i32.add", part, i32(1)));
    f.branchIf(again, op("i32.lt_s", high));
  });
}

/** The 36 products cotangent times transposed image; `adds` them to the sums or takes them for these. */
function multiply(
  f: FunctionBuilder,
  plan: WinogradFilterGradient,
  { relaxed, adds }: { readonly relaxed: boolean; readonly adds: boolean },
  transformed: Local,
  transformedCotangent: Local,
  sums: Local,
): void {
  const { vectors, inputs, outputs, imagePlace, cotangentPlace, sumRow, sumPlace } = layoutOf(plan);
  const [left, panel, to] = [
    after(f, "y", transformedCotangent, 0),
    after(f, "v", transformed, 0),
    after(f, "sum", sums, 0),
  ];
  repeat(f, places, () => {
    const count = { below: outputs / dotRows, beside: inputs / dotColumns };
    dotTiles(f, { relaxed, vectors, adds }, count, left, panel, { pointer: to, row: sumRow });
    advance(f, left, cotangentPlace);
    advance(f, to, sumPlace);
    advance(f, panel, imagePlace);
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
      const values = Array.from({ length: places }, (_, place) => {
        const sum = f.let("v128", "sum", memory("v128.load", place * sumPlace, from));
        for (let part = 1; part < parts; part++) {
          f.set(sum, op("f32x4.add", sum, memory("v128.load", (places * part + place) * sumPlace, from)));
        }
        return sum;
      });
      transformFilterBack(f, relaxed, values).forEach((tap, index) => {
        for (let lane = 0; lane < lanes; lane++) {
          const at = Math.floor(index / 3) * bytes(axes.ky) + (index % 3) * bytes(axes.kx) + lane * bytes(axes.c);
          f.memoryLane("v128.store32_lane", at, lane, to, tap);
        }
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
