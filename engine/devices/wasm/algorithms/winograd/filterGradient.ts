/**
 * A filter gradient: chunks of tiles, of which each is transformed, then multiplied and added to the sums. What a chunk makes stays in
 * the cache that cores share; threads share tiles first, then outputs.
 */
import type { Kernel } from "../../../../kernel/kernel.ts";
import { type FunctionBuilder, type FunctionReference, i32, type Local, op } from "../../assembler/index.ts";
import type { Finish } from "../finish.ts";
import { type EmitOptions, type Phase, type Scratch, scratchAddress } from "../../loops/index.ts";
import { after, smaller } from "../tile.ts";
import { chunkParameters, chunksOf, ofChunk, sharedTiles } from "./chunks.ts";
import { cursorsAt, layoutOf, multiplyTiles, transformSums, transformTiles } from "./filterSums.ts";
import { middleRows } from "./middle.ts";
import type { WinogradFilterGradient } from "./plan.ts";
import { filled, panelRow } from "./tiles.ts";
import { places } from "./transforms.ts";

export function filterGradientScratch(plan: WinogradFilterGradient): Scratch {
  const { imagePlace, cotangentPlace, sumPlace } = layoutOf(plan);
  const [transformed, sums] = [places * (imagePlace + cotangentPlace), places * sumPlace];
  // Sums of a single chunk are done with as soon as they are made.
  return chunksOf(plan).length === 1
    ? { shared: transformed, perThread: sums }
    : { shared: transformed + Math.ceil(plan.size.o / middleRows) * sums, perThread: 0 };
}

export function filterGradientPhases(kernel: Kernel, plan: WinogradFilterGradient, finish: Finish): readonly Phase[] {
  const { size } = plan;
  const [c, o] = [filled(size.c), filled(size.o)];
  const chunks = chunksOf(plan);
  return chunks.flatMap(({ first, count }, index): readonly Phase[] => {
    const [isFirst, isLast] = [index === 0, index === chunks.length - 1];
    return [
      {
        size: Math.ceil(count / sharedTiles),
        block: 1,
        cost: count * (75 * c + 45 * o),
        emit: (module, name, options) => {
          const transform = module.define(`${name}_tiles`, chunkParameters, [], (f, table, low, high, _, ...chunk) => {
            emitTiles(f, kernel, plan, options, { table, low, high }, chunk);
          });
          return ofChunk(module, `${name}_tiles_${index}`, transform, { first, count });
        },
      },
      {
        size: size.o,
        block: middleRows,
        cost: 16 * count * c * o + (isLast ? 68 * size.o * c : 0),
        emit: (module, name, options) => {
          const finishing = isLast ? finish(module, `${name}_finish`) : null;
          const suffix = `${isFirst ? "_first" : ""}${isLast ? "_last" : ""}`;
          const sum = module.define(
            `${name}_sums${suffix}`,
            chunkParameters,
            [],
            (f, table, low, high, thread, ...chunk) => {
              emitSums(
                f,
                kernel,
                plan,
                { ...options, isFirst, isLast },
                { table, low, high, thread },
                chunk[1],
                finishing,
              );
            },
          );
          return ofChunk(module, `${name}_sums_${index}`, sum, { first, count });
        },
      },
    ];
  });
}

type Range = Readonly<Record<"table" | "low" | "high", Local>>;

/** Transforms tiles of a chunk: so many times `sharedTiles`, from `low` to `high`. */
function emitTiles(
  f: FunctionBuilder,
  kernel: Kernel,
  plan: WinogradFilterGradient,
  { relaxed }: EmitOptions,
  { table, low, high }: Range,
  [first, tiles]: readonly [Local, Local],
): void {
  const layout = layoutOf(plan);
  const start = f.let("i32", "start", op("i32.mul", low, i32(sharedTiles)));
  const end = smaller(f, "end", f.let("i32", "end", op("i32.mul", high, i32(sharedTiles))), tiles);
  const row = op("i32.add", scratchAddress(f, kernel, table), op("i32.mul", start, i32(panelRow)));
  const image = f.let("i32", "image", row);
  const to = { image, cotangent: after(f, "cotangent", image, places * layout.imagePlace) };
  const count = f.let("i32", "count", op("i32.sub", end, start));
  const tile = f.let("i32", "tile", op("i32.add", first, start));
  transformTiles(f, plan, layout, relaxed, cursorsAt(f, plan, table, tile), count, to);
}

/** Adds a chunk to the sums for the o from `low` to `high`, some after the others; behind the last chunk these are results. */
function emitSums(
  f: FunctionBuilder,
  kernel: Kernel,
  plan: WinogradFilterGradient,
  { relaxed, isFirst, isLast }: EmitOptions & { readonly isFirst: boolean; readonly isLast: boolean },
  { table, low, high, thread }: Range & { readonly thread: Local },
  count: Local,
  finish: FunctionReference | null,
): void {
  const layout = layoutOf(plan);
  const scratch = scratchAddress(f, kernel, table);
  const sumsOf = (index: Local): Local => {
    const behind = op("i32.mul", index, i32(places * layout.sumPlace));
    const start = op("i32.add", scratch, i32(places * (layout.imagePlace + layout.cotangentPlace)));
    return f.let("i32", "sums", op("i32.add", start, behind));
  };
  const isOnly = isFirst && isLast;
  const sums = sumsOf(isOnly ? thread : f.let("i32", "group", op("i32.div_u", low, i32(middleRows))));
  const o = f.let("i32", "o", low);
  f.loop((again) => {
    const next = smaller(f, "next", f.let("i32", "next", op("i32.add", o, i32(middleRows))), high);
    multiplyTiles(f, plan, layout, { relaxed, isFirst }, { scratch, o, count }, sums);
    if (isLast) {
      transformSums(f, kernel, plan, layout, relaxed, { table, low: o, high: next, sums });
      if (finish !== null) f.call(finish, table, o, next, thread);
    }
    if (!isOnly) f.set(sums, op("i32.add", sums, i32(places * layout.sumPlace)));
    f.set(o, next);
    f.branchIf(again, op("i32.lt_s", o, high));
  });
}
