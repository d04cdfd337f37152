import type { Kernel } from "../../../kernel/kernel.ts";
import { type FunctionBuilder, i32, type Local, memory, op } from "../assembler.ts";
import type { Finish } from "../finish.ts";
import { type EmitOptions, kernelParameters, type Phase, type Scratch, type Share } from "../phase.ts";
import type { WinogradFilterGradient } from "./plan.ts";
import { advance, after, dotTile, repeat } from "../tile.ts";
import { transformCotangent, transformFilterBack, transformImage } from "./transforms.ts";

/** Sizes in bytes: of rows and places of the transformed image [16, c, tiles] and cotangent [16, o, tiles], and of the sums [16, o, c]. */
function layoutOf({ size, images, rows }: WinogradFilterGradient) {
  const vectors = (images * rows * size.x) / 8;
  const tileRow = 16 * vectors;
  const inputs = 4 * Math.ceil(size.c / 4);
  const outputs = 2 * Math.ceil(size.o / 2);
  const sumRow = 4 * inputs;
  return {
    vectors,
    tileRow,
    inputs,
    outputs,
    imagePlace: inputs * tileRow,
    cotangentPlace: outputs * tileRow,
    sumRow,
    sumPlace: outputs * sumRow,
  };
}

export function filterGradientScratch(plan: WinogradFilterGradient): Scratch {
  const { imagePlace, cotangentPlace, sumPlace } = layoutOf(plan);
  return { shared: plan.parts * 16 * sumPlace, perThread: 16 * (imagePlace + cotangentPlace) };
}

/** First each part of the images gives sums of its own, then these are added and transformed back. */
export function filterGradientPhases(kernel: Kernel, plan: WinogradFilterGradient, finish: Finish): readonly Phase[] {
  const { size, parts } = plan;
  const vectors = (size.n * size.y * size.x) / 16;
  return [
    {
      size: parts,
      block: 1,
      cost: vectors * (76 * size.c + 40 * size.o + 28 * size.c * size.o),
      emit: (module, name, options) =>
        module.define(name, kernelParameters, [], (f, table, low, high, thread) => {
          emitParts(f, kernel, plan, options, { table, low, high, thread });
        }),
    },
    {
      size: size.o,
      block: 1,
      cost: size.o * Math.ceil(size.c / 4) * (32 * parts + 100),
      emit: (module, name) => {
        const finishing = finish(module, `${name}_finish`);
        return module.define(`${name}_sum`, kernelParameters, [], (f, table, low, high, thread) => {
          emitSums(f, kernel, plan, table, low, high);
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
  const { image, cotangent, axes, size, parts, images, rows } = plan;
  const layout = layoutOf(plan);
  const { shared, perThread } = filterGradientScratch(plan);
  const operand = (index: number): Local => f.let("i32", "base", memory("i32.load", 4 * index, table));
  const scratch = operand(kernel.operands.length + 2);
  const ownScratch = op("i32.add", scratch, op("i32.mul", thread, i32(perThread)));
  const transformed = f.let("i32", "transformed", op("i32.add", ownScratch, i32(shared)));
  const transformedCotangent = after(f, "transformed", transformed, 16 * layout.imagePlace);
  // What is transformed, where to, and the bytes from one channel, row and image of it to the next.
  const [x, y] = ([image, cotangent] as const).map(({ operand: index, at: { offset, coefficients } }, which) => {
    const bytes = (axis: number): number => 4 * (coefficients[axis] ?? 0);
    return {
      base: operand(index),
      offset: 4 * offset,
      pixels: f.local("i32", "pixels"),
      to: which === 0 ? transformed : transformedCotangent,
      channels: which === 0 ? size.c : size.o,
      channel: bytes(which === 0 ? axes.c : axes.o),
      row: bytes(axes.y),
      image: bytes(axes.n),
    };
  }) as [Source, Source];

  const part = f.let("i32", "part", low);
  f.loop((again) => {
    const sums = f.let("i32", "sums", op("i32.add", scratch, op("i32.mul", part, i32(16 * layout.sumPlace))));
    f.memoryFill(sums, i32(0), i32(16 * layout.sumPlace));
    for (const { base, offset, pixels, image: step } of [x, y]) {
      const first = op("i32.mul", part, i32((size.n / parts) * step));
      f.set(pixels, op("i32.add", op("i32.add", base, first), i32(offset)));
    }
    repeat(f, size.n / parts / images, () => {
      repeat(f, size.y / (2 * rows), () => {
        transformBlock(f, plan, x, (from, to) => {
          transformImage(f, from, 0, x.row, { pointer: to, offset: 0, stride: layout.imagePlace });
        });
        transformBlock(f, plan, y, (from, to) => {
          transformCotangent(f, from, y.row, { pointer: to, offset: 0, stride: layout.cotangentPlace });
        });
        multiply(f, plan, relaxed, transformed, transformedCotangent, sums);
        for (const { pixels, row } of [x, y]) advance(f, pixels, 2 * rows * row);
      });
      for (const { pixels, row, image: step } of [x, y]) advance(f, pixels, images * step - size.y * row);
    });
    f.tee(part, op("i32.add", part, i32(1)));
    f.branchIf(again, op("i32.lt_s", high));
  });
}

type Source = {
  readonly base: Local;
  readonly offset: number;
  readonly pixels: Local;
  readonly to: Local;
  readonly channels: number;
  readonly channel: number;
  readonly row: number;
  readonly image: number;
};

/** Transforms every channel of the block of tiles at `pixels`. */
function transformBlock(
  f: FunctionBuilder,
  plan: WinogradFilterGradient,
  { pixels, to, channels, channel, row, image }: Source,
  transform: (from: Local, to: Local) => void,
): void {
  const { size, images, rows } = plan;
  const { tileRow } = layoutOf(plan);
  const from = after(f, "from", pixels, 0);
  const place = after(f, "place", to, 0);
  repeat(f, images, () => {
    repeat(f, rows, () => {
      repeat(f, size.x / 8, () => {
        const [source, target] = [after(f, "source", from, 0), after(f, "target", place, 0)];
        repeat(f, channels, () => {
          transform(source, target);
          advance(f, source, channel);
          advance(f, target, tileRow);
        });
        advance(f, from, 32);
        advance(f, place, 16);
      });
      advance(f, from, 2 * row - 4 * size.x);
    });
    advance(f, from, image - 2 * rows * row);
  });
}

/** Adds the 16 products cotangent times transposed image to the sums. */
function multiply(
  f: FunctionBuilder,
  plan: WinogradFilterGradient,
  relaxed: boolean,
  transformed: Local,
  transformedCotangent: Local,
  sums: Local,
): void {
  const { vectors, tileRow, inputs, outputs, imagePlace, sumRow } = layoutOf(plan);
  const [left, panel, to] = [
    after(f, "y", transformedCotangent, 0),
    after(f, "v", transformed, 0),
    after(f, "sum", sums, 0),
  ];
  repeat(f, 16, () => {
    repeat(f, outputs / 2, () => {
      const right = after(f, "right", panel, 0);
      repeat(f, inputs / 4, () => {
        dotTile(f, relaxed, vectors, left, right, { pointer: to, row: sumRow });
        advance(f, right, 4 * tileRow);
        advance(f, to, 16);
      });
      advance(f, left, 2 * tileRow);
      advance(f, to, sumRow);
    });
    advance(f, panel, imagePlace);
  });
}

/** The result for the o from `low` to `high`. */
function emitSums(
  f: FunctionBuilder,
  kernel: Kernel,
  plan: WinogradFilterGradient,
  table: Local,
  low: Local,
  high: Local,
): void {
  const { axes, size, parts } = plan;
  const { sumRow, sumPlace } = layoutOf(plan);
  const { offset, coefficients } = kernel.result.at;
  const bytes = (axis: number): number => 4 * (coefficients[axis] ?? 0);
  const result = f.let("i32", "result", memory("i32.load", 4 * kernel.operands.length, table));
  const scratch = f.let("i32", "scratch", memory("i32.load", 4 * (kernel.operands.length + 2), table));
  const o = f.let("i32", "o", low);
  f.loop((again) => {
    const row = op("i32.mul", o, i32(bytes(axes.o)));
    const to = f.let("i32", "to", op("i32.add", op("i32.add", result, row), i32(4 * offset)));
    const from = f.let("i32", "from", op("i32.add", scratch, op("i32.mul", o, i32(sumRow))));
    const vector = (lanes: number): void => {
      const places = Array.from({ length: 16 }, (_, place) => {
        const sum = f.let("v128", "sum", memory("v128.load", place * sumPlace, from));
        for (let part = 1; part < parts; part++) {
          f.set(sum, op("f32x4.add", sum, memory("v128.load", (16 * part + place) * sumPlace, from)));
        }
        return sum;
      });
      transformFilterBack(f, places).forEach((tap, index) => {
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
