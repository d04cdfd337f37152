/** What is multiplied in the middle of the algorithm: for each place of a transformed tile a product, tiled for the registers. */
import type { Load } from "../../../../kernel/contraction.ts";
import type { Axis } from "../../../../kernel/kernel.ts";
import type { Tiled } from "../../../../kernel/tiling.ts";
import { panelChannels } from "./tiles.ts";
import { places } from "./transforms.ts";

/** Rows of a register tile, of two vectors each: eight sums hide how long an addition takes. */
export const middleRows = 4;
/** Sums go on in parts of at most so many products (docs/sums.md). */
export const longestSum = 384;

type Middle = {
  readonly kind: "forward" | "filterGradient";
  readonly size: Readonly<Record<"o" | "c", number>>;
  readonly block: { readonly tiles: number };
};

/**
 * Of a block of tiles. Forward, the product [place, tile, o] is the sum over c of image [place, tile, c] and filter [place, c, o]; of a
 * filter gradient it is [place, o, c], the sum over tiles of cotangent [place, tile, o] and image [place, tile, c]. Lanes are channels.
 */
export function middleOf({ kind, size, block }: Middle): Tiled {
  const isForward = kind === "forward";
  const [rows, columns, depth] = isForward ? [block.tiles, size.o, size.c] : [size.o, size.c, block.tiles];
  const axes: readonly Axis[] = [
    { role: "parallel", size: places },
    { role: "parallel", size: rows },
    { role: "parallel", size: columns },
    { role: "reduce", size: depth },
  ];
  const load = (operand: number, coefficients: readonly number[]): Load => ({
    kind: "load",
    dtype: "f32",
    operand,
    at: { offset: 0, coefficients },
  });
  const left = load(0, [rows * depth, ...(isForward ? [depth, 0, 1] : [1, 0, rows])]);
  const right = load(1, [columns * depth, 0, 1, columns]);
  const body = { kind: "binary", op: "multiply", dtype: "f32", x: left, y: right } as const;
  const [place, row, column, summed] = [0, 1, 2, 3];
  return {
    kernel: { axes, reduction: { op: "sum", body } },
    tiling: {
      splits: [
        { axis: place, by: 1, as: "loop" },
        ...(isForward
          ? ([
              { axis: column, by: Math.min(columns, panelChannels), as: "loop" },
              { axis: row, by: Math.min(rows, middleRows), as: "loop" },
            ] as const)
          : ([
              { axis: row, by: Math.min(rows, middleRows), as: "loop" },
              { axis: column, by: Math.min(columns, panelChannels), as: "loop" },
            ] as const)),
        { axis: summed, by: 1, as: "loop" },
        { axis: row, by: 1, as: "unroll" },
        { axis: column, by: 4, as: "unroll" },
        { axis: column, by: 1, as: "lane" },
      ],
      stages: [],
    },
  };
}
