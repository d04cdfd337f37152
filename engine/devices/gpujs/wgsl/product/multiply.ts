/** A thread's tile of sums, and how a step adds its products to them: one chain of fused multiply-adds for each sum, in order. */
import { at } from "../../../../graph/shape.ts";
import type { WgslWriter } from "../writer.ts";
import type { Layout } from "./fill.ts";
import { sumText } from "./offsets.ts";
import type { Tile } from "./tile.ts";

/** Four sums each: by row of the thread and four of its columns. */
export type Sums = readonly (readonly string[])[];

export const range = (count: number): readonly number[] => Array.from({ length: count }, (_, index) => index);
export const lanes = ["x", "y", "z", "w"] as const;

export function declareSums(writer: WgslWriter, { threadRows, threadColumns }: Tile, prefix: string): Sums {
  return range(threadRows).map(() =>
    range(threadColumns / 4).map(() => {
      const name = writer.fresh(prefix);
      writer.line(`var ${name} = vec4f();`);
      return name;
    }),
  );
}

/** Adds the sums of a chain to the totals, and begins the next chain. */
export function addChains(writer: WgslWriter, totals: Sums, sums: Sums): void {
  totals.forEach((row, i) =>
    row.forEach((total, q) => {
      const sum = at(at(sums, i), q);
      writer.line(`${total} += ${sum};`);
      writer.line(`${sum} = vec4f();`);
    }),
  );
}

/** A tile that lies in memory of the workgroup. */
export type Staged = { readonly array: string; readonly layout: Layout };

/** Threads of a workgroup along its rows and its columns. */
export const threadGrid = (tile: Tile): { readonly rows: number; readonly columns: number } => ({
  rows: tile.rows / tile.threadRows,
  columns: tile.columns / tile.threadColumns,
});

/**
 * The row of the tile that is row `i` of a thread's, as text. Neighbours, or fours of them where these lie in one vector, are other
 * threads', so that threads side by side read side by side.
 */
export function rowText(tile: Tile, layout: Pick<Layout, "lanes">, threadRow: string, i: number): string {
  const { rows } = threadGrid(tile);
  if (layout.lanes === "depth") return sumText(threadRow, `${i * rows}u`);
  return sumText(`${movedText(threadRow, Math.floor(i / 4) * rows)} * 4u`, `${i % 4}u`);
}

/** The same where the row is known by a text. */
export function rowAtText(tile: Tile, layout: Pick<Layout, "lanes">, threadRow: string, i: string): string {
  const { rows } = threadGrid(tile);
  return layout.lanes === "depth"
    ? `${threadRow} + ${i} * ${rows}u`
    : `(${threadRow} + ${i} / 4u * ${rows}u) * 4u + ${i} % 4u`;
}

const movedText = (text: string, more: number): string => (more === 0 ? text : `(${text} + ${more}u)`);

/** The quarter of the first of four columns of the tile that are fours number `q` of a thread's. */
export const quarterText = (tile: Tile, threadColumn: string, q: number): string =>
  sumText(threadColumn, `${q * threadGrid(tile).columns}u`);

/** Multiplies what a step has staged. */
export function multiplyStaged(
  writer: WgslWriter,
  tile: Tile,
  sums: Sums,
  [left, right]: readonly [Staged, Staged],
  [threadRow, threadColumn]: readonly [string, string],
): void {
  const four = writer.fresh("four");
  writer.open(`for (var ${four} = 0u; ${four} < ${tile.depth / 4}u; ${four}++)`);
  const columns = readColumns(writer, tile, right, four, threadColumn);
  const { rows } = threadGrid(tile);
  const multiply = (row: readonly string[], j: number, factor: string): void =>
    row.forEach((sum, q) => writer.line(`${sum} = fma(vec4f(${factor}), ${at(at(columns, j), q)}, ${sum});`));
  if (left.layout.lanes === "depth") {
    sums.forEach((row, i) => {
      const place = sumText(`${threadRow} * ${left.layout.pitch}u`, `${i * rows * left.layout.pitch}u`, four);
      const factors = writer.local(`${left.array}[${place}]`);
      lanes.forEach((lane, j) => multiply(row, j, `${factors}.${lane}`));
    });
  } else {
    for (const block of range(tile.threadRows / 4)) {
      const factors = lanes.map((_, j) => {
        const place = sumText(`(${four} * 4u + ${j}u) * ${left.layout.pitch}u`, threadRow, `${block * rows}u`);
        return writer.local(`${left.array}[${place}]`);
      });
      lanes.forEach((lane, i) =>
        factors.forEach((factor, j) => multiply(at(sums, 4 * block + i), j, `${factor}.${lane}`)),
      );
    }
  }
  writer.close();
}

/** For each of the four numbers of a step's four the thread's columns, in vectors. */
function readColumns(
  writer: WgslWriter,
  tile: Tile,
  { array, layout }: Staged,
  four: string,
  threadColumn: string,
): readonly (readonly string[])[] {
  const quarters = range(tile.threadColumns / 4).map((q) => q * threadGrid(tile).columns);
  if (layout.lanes === "own") {
    return lanes.map((_, j) =>
      quarters.map((quarter) => {
        const place = sumText(`(${four} * 4u + ${j}u) * ${layout.pitch}u`, threadColumn, `${quarter}u`);
        return writer.local(`${array}[${place}]`);
      }),
    );
  }
  const read = quarters.map((quarter) =>
    range(4).map((i) => {
      const slot = i * (layout.apart ?? 0) + quarter;
      const place = sumText(`${threadColumn} * ${layout.pitch}u`, `${slot * layout.pitch}u`, four);
      return writer.local(`${array}[${place}]`);
    }),
  );
  return lanes.map((lane) =>
    read.map((columns) => writer.local(`vec4f(${columns.map((column) => `${column}.${lane}`).join(", ")})`)),
  );
}
