/**
 * Products without memory of the workgroup: each thread reads the rows and columns that it multiplies itself, and the caches keep what
 * threads side by side read too. The innermost of what is summed over is written out, so that most addresses are constants apart; not
 * where factors are made of what is read, whose text is long: loops go through all of it then.
 */
import { at } from "../../../../graph/shape.ts";
import { affineKey } from "../../../../kernel/affine.ts";
import type { Affine } from "../../../../kernel/kernel.ts";
import { type AxisText, addressText } from "../addresses.ts";
import type { WgslWriter } from "../writer.ts";
import type { Layout } from "./fill.ts";
import { addChains, lanes, quarterText, range, rowText, type Sums } from "./multiply.ts";
import { offsetNumeral, offsetText, sumText } from "./offsets.ts";
import { placesIn } from "./places.ts";
import type { Product } from "./product.ts";
import { directionsOf, isStored, type Side } from "./sides.ts";
import type { Tile } from "./tile.ts";

type Place = {
  readonly tile: Tile & { readonly part: number };
  readonly first: { readonly row: string; readonly column: string };
  readonly thread: { readonly row: string; readonly column: string };
  /** Text of the product's number in the batch. */
  readonly batch: string;
  /** The factor of a side, or four of them, where the texts of its addresses are these. */
  readonly factorOf: (side: Side) => (address: (affine: Affine) => string) => string;
};

/** Where the products that are written out lie: loops around them, and of each the coordinates of all summed axes. */
type Depth = {
  readonly loops: readonly { readonly name: string; readonly count: number }[];
  readonly places: readonly (readonly AxisText[])[];
};

/** By address, or place, of a factor: where it begins at a row or column, the text of a name. */
type Begins = ReadonlyMap<string, string>;

/** @returns which rows are a thread's */
export function multiplyFromMemory(
  writer: WgslWriter,
  { kernel, left, right, depth: summed }: Product,
  { tile, first, thread, batch, factorOf }: Place,
  sums: Sums,
  totals: Sums | null,
): Pick<Layout, "lanes"> {
  // Four rows in one vector are one thread's.
  const rowLayout = { lanes: left.inFours && left.along === "own" ? "own" : "depth" } as const;
  const known = new Map<string, string>();
  /** Addresses of one factor are made of the same coordinates. */
  const once = (text: string): string => {
    const name = known.get(text) ?? writer.local(text);
    known.set(text, name);
    return name;
  };
  const begin = (side: Side, count: number, numberOf: (i: number) => string, from: string): Begins[] => {
    const inFours = side.inFours && side.along === "own";
    const last = inFours ? side.own.size - 4 : side.own.size - 1;
    const isWhole = side.own.size % (side === left ? tile.rows : tile.columns) === 0;
    const bases = placesIn(side, kernel.axes).map((affine) => {
      const directions = directionsOf(affine, kernel.axes, side.axes);
      const base = once(sumText(offsetText(once, directions.batch, batch), offsetNumeral(affine)));
      return { key: affineKey(affine), base, own: directions.own };
    });
    return range(count)
      .filter((i) => !inFours || i % 4 === 0)
      .map((i) => {
        const number = sumText(from, numberOf(i));
        const index = isWhole ? `(${number})` : `min(${number}, ${last}u)`;
        return new Map(bases.map(({ key, base, own }) => [key, once(sumText(base, offsetText(once, own, index)))]));
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
    tile.depth,
  );
  for (const { name, count } of loops) writer.open(`for (var ${name} = 0u; ${name} < ${count}u; ${name}++)`);
  /** What a place along the depth adds to the addresses of a side. */
  const offsetsAt = (side: Side, place: readonly AxisText[]): ((affine: Affine) => string) => {
    const made = new Map<string, string>();
    return (affine) => {
      const coefficients = summed.map((axis) => at(affine.coefficients, axis));
      const text = addressText({ offset: 0, coefficients }, place);
      if (isStored(side) || /^\w+$/.test(text)) return text;
      const name = made.get(text) ?? writer.local(text);
      made.set(text, name);
      return name;
    };
  };
  /** Four neighbours along the depth that were read at once, by where they begin. */
  const read = (
    side: Side,
    begins: readonly Begins[],
    j: number,
    found: Map<number, readonly string[]>,
  ): readonly string[] => {
    const isAlong = side.inFours && side.along === "depth";
    const from = isAlong ? j - (j % 4) : j;
    const offsetOf = offsetsAt(side, at(places, from));
    const values =
      found.get(from) ??
      begins.map((starts) =>
        writer.local(
          factorOf(side)((affine) => {
            const start = starts.get(affineKey(affine)) ?? "0u";
            const offset = offsetOf(affine);
            return offset.startsWith("0u - ") ? `${start}${offset.slice(2)}` : sumText(start, offset);
          }),
        ),
      );
    found.set(from, values);
    if (isAlong) return values.map((four) => `${four}.${at(lanes, j % 4)}`);
    return side.inFours ? values.flatMap((four) => lanes.map((lane) => `${four}.${lane}`)) : values;
  };
  const found = { left: new Map<number, readonly string[]>(), right: new Map<number, readonly string[]>() };
  places.forEach((_, j) => {
    const factors = read(left, rows, j, found.left);
    const others = read(right, columns, j, found.right);
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

/** @param count products that are written out: of whole inner axes, or of a part of one */
function depthOf(writer: WgslWriter, sizes: readonly number[], count: number): Depth {
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
