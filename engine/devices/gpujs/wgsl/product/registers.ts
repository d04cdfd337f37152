/**
 * Products without memory of the workgroup: each thread reads the rows and columns that it multiplies itself, and the caches keep what
 * threads side by side read too. The innermost of what is summed over is written out, so that most addresses are constants apart.
 */
import { at } from "../../../../graph/shape.ts";
import { type AxisText, addressText } from "../addresses.ts";
import type { WgslWriter } from "../writer.ts";
import type { Layout } from "./fill.ts";
import { addChains, lanes, quarterText, range, rowText, type Sums } from "./multiply.ts";
import { offsetText, sumText } from "./offsets.ts";
import type { Product } from "./product.ts";
import type { Side } from "./sides.ts";
import { type Tile, writtenOut } from "./tile.ts";

type Place = {
  readonly tile: Tile & { readonly part: number };
  readonly first: { readonly row: string; readonly column: string };
  readonly thread: { readonly row: string; readonly column: string };
  /** What the product's place in the batch adds to the addresses of a side. */
  readonly batchOf: (side: Side) => string;
  readonly elementOf: (side: Side) => (index: string) => string;
};

/** Where the products that are written out lie: loops around them, and of each the coordinates of all summed axes. */
type Depth = {
  readonly loops: readonly { readonly name: string; readonly count: number }[];
  readonly places: readonly (readonly AxisText[])[];
};

/** @returns which rows are a thread's */
export function multiplyFromMemory(
  writer: WgslWriter,
  { kernel, left, right, depth: summed }: Product,
  { tile, first, thread, batchOf, elementOf }: Place,
  sums: Sums,
  totals: Sums | null,
): Pick<Layout, "lanes"> {
  // Four rows in one vector are one thread's.
  const rowLayout = { lanes: left.inFours && left.along === "own" ? "own" : "depth" } as const;
  const begin = (side: Side, count: number, numberOf: (i: number) => string, from: string): string[] => {
    const inFours = side.inFours && side.along === "own";
    const last = inFours ? side.own.size - 4 : side.own.size - 1;
    const isWhole = side.own.size % (side === left ? tile.rows : tile.columns) === 0;
    const base = writer.local(sumText(batchOf(side), `${side.load.at.offset}u`));
    return range(count)
      .filter((i) => !inFours || i % 4 === 0)
      .map((i) => {
        const number = sumText(from, numberOf(i));
        const offset = offsetText(writer, side.own, isWhole ? `(${number})` : `min(${number}, ${last}u)`);
        return writer.local(sumText(base, offset));
      });
  };
  const rows = begin(left, tile.threadRows, (i) => rowText(tile, rowLayout, thread.row, i), first.row);
  const columns = begin(
    right,
    tile.threadColumns,
    (i) => sumText(`(${quarterText(tile, thread.column, Math.floor(i / 4))}) * 4u`, `${i % 4}u`),
    first.column,
  );

  const { loops, places } = depthOf(
    writer,
    summed.map((axis) => at(kernel.axes, axis).size),
  );
  for (const { name, count } of loops) writer.open(`for (var ${name} = 0u; ${name} < ${count}u; ${name}++)`);
  const address = (side: Side, place: readonly AxisText[]): string => {
    const coefficients = summed.map((axis) => at(side.load.at.coefficients, axis));
    return addressText({ offset: 0, coefficients }, place);
  };
  /** Four neighbours along the depth that were read at once, by where they begin. */
  const read = (
    side: Side,
    begins: readonly string[],
    j: number,
    known: Map<number, readonly string[]>,
  ): readonly string[] => {
    const isAlong = side.inFours && side.along === "depth";
    const from = isAlong ? j - (j % 4) : j;
    const found =
      known.get(from) ??
      begins.map((start) => {
        const offset = address(side, at(places, from));
        return writer.local(
          elementOf(side)(
            offset === "0u"
              ? start
              : offset.startsWith("0u - ")
                ? `${start}${offset.slice(2)}`
                : `${start} + ${offset}`,
          ),
        );
      });
    known.set(from, found);
    if (isAlong) return found.map((four) => `${four}.${at(lanes, j % 4)}`);
    return side.inFours ? found.flatMap((four) => lanes.map((lane) => `${four}.${lane}`)) : found;
  };
  const known = { left: new Map<number, readonly string[]>(), right: new Map<number, readonly string[]>() };
  places.forEach((_, j) => {
    const factors = read(left, rows, j, known.left);
    const others = read(right, columns, j, known.right);
    const vectors = range(tile.threadColumns / 4).map((q) =>
      writer.local(`vec4f(${others.slice(4 * q, 4 * q + 4).join(", ")})`),
    );
    sums.forEach((row, i) =>
      row.forEach((sum, q) => writer.line(`${sum} = fma(vec4f(${at(factors, i)}), ${at(vectors, q)}, ${sum});`)),
    );
  });
  if (totals !== null) {
    const rounds = loops.reduce(
      (text, { name, count }) => (text === "" ? name : `(${text} * ${count}u + ${name})`),
      "",
    );
    const perPart = tile.part / places.length;
    writer.open(`if (${rounds} % ${perPart}u == ${perPart - 1}u)`);
    addChains(writer, totals, sums);
    writer.close();
  }
  for (const _ of loops) writer.close();
  return rowLayout;
}

function depthOf(writer: WgslWriter, sizes: readonly number[]): Depth {
  const count = writtenOut(sizes);
  const loops: { readonly name: string; readonly count: number }[] = [];
  const axes: AxisText[] = [];
  /** Of each inner axis how many of its numbers are written out. */
  const written: number[] = [];
  let left = count;
  sizes.toReversed().forEach((size) => {
    const own = left >= size ? size : left;
    left = left >= size ? left / size : 1;
    written.unshift(own);
  });
  sizes.forEach((size, axis) => {
    const own = at(written, axis);
    if (own === size) {
      axes.push({ text: "0u", size });
      return;
    }
    const loop = { name: writer.fresh("i"), count: size / own };
    loops.push(loop);
    axes.push({ text: own === 1 ? loop.name : `${loop.name} * ${own}u`, size });
  });
  const places = range(count).map((number) => {
    let rest = number;
    const coordinates = written
      .toReversed()
      .map((own) => {
        const coordinate = rest % own;
        rest = Math.floor(rest / own);
        return coordinate;
      })
      .reverse();
    return axes.map(({ text, size }, axis) => {
      const moved = sumText(text, `${at(coordinates, axis)}u`);
      return { text: /^\w+$/.test(moved) ? moved : `(${moved})`, size };
    });
  });
  return { loops, places };
}
