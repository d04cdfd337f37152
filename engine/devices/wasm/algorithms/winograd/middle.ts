/** What is multiplied in the middle of the algorithm: for each place of a transformed tile a product, tiled for the registers. */
import { at } from "../../../../graph/shape.ts";
import type { Load } from "../../../../kernel/contraction.ts";
import type { Axis } from "../../../../kernel/kernel.ts";
import type { Split, Tiled } from "../../../../kernel/tiling.ts";
import { dotColumns, dotRows } from "../tile.ts";
import { vectorsOf } from "./blocks.ts";
import type { Winograd } from "./plan.ts";
import { places } from "./transforms.ts";

/**
 * Of a block of tiles. Forward, the product [place, o, tile] is the sum over c of filter [place, o, c] and image [place, c, tile], and
 * lanes are tiles; of a filter gradient it is [place, o, c], the sum over tiles of cotangent [place, o, tile] and image [place, c, tile],
 * and lanes are summed.
 */
export function middleOf({ kind, size, block }: Winograd): Tiled {
  const vectors = vectorsOf(block);
  const [tiles, isForward] = [4 * vectors, kind === "forward"];
  const [columns, depth] = isForward ? [tiles, size.c] : [size.c, tiles];
  const axes: readonly Axis[] = [
    { role: "parallel", size: places },
    { role: "parallel", size: size.o },
    { role: "parallel", size: columns },
    { role: "reduce", size: depth },
  ];
  const load = (operand: number, coefficients: readonly number[]): Load => ({
    kind: "load",
    dtype: "f32",
    operand,
    at: { offset: 0, coefficients },
  });
  const left = load(0, [size.o * depth, depth, 0, 1]);
  const right = load(1, [columns * depth, 0, ...(isForward ? [1, columns] : [depth, 1])]);
  const body = { kind: "binary", op: "multiply", dtype: "f32", x: left, y: right } as const;
  // Forward, as many sums at a time as hide how long an addition takes.
  const rows = !isForward ? dotRows : vectors === 1 ? 8 : vectors === 2 ? 4 : 2;
  const [place, o, column, summed] = [0, 1, 2, 3];
  const loops: readonly Split[] = [
    { axis: place, by: 1, as: "loop" },
    { axis: o, by: rows, as: "loop" },
  ];
  const tile: readonly Split[] = isForward
    ? [
        { axis: summed, by: 1, as: "loop" },
        { axis: o, by: 1, as: "unroll" },
        { axis: column, by: 4, as: "unroll" },
        { axis: column, by: 1, as: "lane" },
      ]
    : [
        { axis: column, by: dotColumns, as: "loop" },
        { axis: summed, by: 4, as: "loop" },
        { axis: o, by: 1, as: "unroll" },
        { axis: column, by: 1, as: "unroll" },
        { axis: summed, by: 1, as: "lane" },
      ];
  return { kernel: { axes, reduction: { op: "sum", body } }, tiling: { splits: [...loops, ...tile], stages: [] } };
}

/** Rows of the product that a tile has. */
export const tileRows = (plan: Winograd): number => at(middleOf(plan).tiling.splits, 1).by;
