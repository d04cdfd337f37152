/**
 * Addresses and places of the elements that threads fill a tile with. Each is the sum of what a row or column, and what a number of the
 * depth adds; the first is the same in all steps and made once, the second, where it is no multiple, looked up in a table that the
 * workgroup makes for each step.
 */
import { affineKey } from "../../../../kernel/affine.ts";
import type { Affine, Axis } from "../../../../kernel/kernel.ts";
import { hasAddress, scalarsOf } from "../../../../kernel/scalar.ts";
import { fromStart } from "../expression.ts";
import type { WgslWriter } from "../writer.ts";
import { isLinear, offsetNumeral, offsetText, sumText } from "./offsets.ts";
import { type Direction, directionsOf, type Side } from "./sides.ts";

/** An element of a tile: text of its row or column within the tile, and of its number within the step. */
export type Element = { readonly own: string; readonly depth: string };

/** The step that is filled: its number, and where its part of tables begins. */
export type Step = { readonly number: string; readonly half: string };

type Tile = {
  readonly writer: WgslWriter;
  readonly side: Side;
  /** Rows or columns of the tile, and numbers of a step. */
  readonly own: number;
  readonly depth: number;
  readonly threads: number;
  /** Text of the tile's first row or column, and of the product's number in the batch. */
  readonly first: string;
  readonly batch: string;
};

type Part = { readonly own: ReadonlyMap<string, string> | string; readonly depth: Direction };

/** Own parts of an address that a thread keeps in registers at most; more lie in memory of the workgroup. */
const mostKept = 4;

export class Places {
  readonly #tile: Tile;
  readonly #parts = new Map<string, Part>();
  /** Names of tables by what is looked up, and what was looked up for this step, by where. */
  readonly #tables = new Map<string, { readonly name: string; readonly direction: Direction }>();
  readonly #found = new Map<string, string>();

  /** @param owns rows or columns that a thread fills, as text */
  constructor(tile: Tile, axes: readonly Axis[], owns: readonly string[]) {
    this.#tile = tile;
    const { writer, side, depth } = tile;
    const local = (text: string): string => writer.local(text);
    const distinct = [...new Set(owns)];
    for (const affine of placesIn(side, axes)) {
      const key = affineKey(affine);
      if (this.#parts.has(key)) continue;
      const directions = directionsOf(affine, axes, side.axes);
      const begin = sumText(offsetText(local, directions.batch, tile.batch), offsetNumeral(affine));
      this.#parts.set(key, { own: this.#keep(directions.own, begin, distinct), depth: directions.depth });
      const tableKey = JSON.stringify(directions.depth.runs);
      if (isLinear(directions.depth) || this.#tables.has(tableKey)) continue;
      this.#tables.set(tableKey, { name: writer.shared("u32", 2 * depth), direction: directions.depth });
    }
  }

  /** Whether there is something to look up. */
  get hasTables(): boolean {
    return this.#tables.size > 0;
  }

  /**
   * Writes what a step looks up. Not into the part of the tables that is read meanwhile; by threads whose number is below the step's
   * length.
   */
  tabulate({ number, half }: Step): void {
    const { writer, depth } = this.#tile;
    if (this.#tables.size === 0) return;
    const place = writer.local(this.#clamped(`${number} * ${depth}u + local`));
    for (const { name, direction } of this.#tables.values()) {
      writer.line(
        `${name}[${sumText(half, "local")}] = ${offsetText((text) => writer.local(text), direction, place)};`,
      );
    }
  }

  /** What was looked up for a step is forgotten. */
  nextStep(): void {
    this.#found.clear();
  }

  /** The text of an address at an element; it may have wrapped on the way. */
  text(affine: Affine, { own, depth: number }: Element, step: Step): string {
    const part = this.#parts.get(affineKey(affine));
    if (part === undefined) throw new Error("a place that the factor has none of");
    const kept = typeof part.own === "string" ? `${part.own}[${own}]` : (part.own.get(own) ?? "0u");
    return sumText(kept, this.#depthText(part.depth, number, step));
  }

  #depthText(direction: Direction, number: string, { number: step, half }: Step): string {
    const { writer, depth } = this.#tile;
    if (direction.runs.length === 0) return "0u";
    const table = this.#tables.get(JSON.stringify(direction.runs));
    if (table !== undefined) {
      const place = `${table.name}[${sumText(half, number)}]`;
      const found = this.#found.get(place) ?? writer.local(place);
      this.#found.set(place, found);
      return found;
    }
    return offsetText((text) => writer.local(text), direction, this.#clamped(`${step} * ${depth}u + ${number}`));
  }

  /** What is beyond the last product is read there, and taken for 0. */
  #clamped(number: string): string {
    const { size } = this.#tile.side.depth;
    return size % this.#tile.depth === 0 ? `(${number})` : `min(${number}, ${size - 1}u)`;
  }

  /** What rows or columns add: what is beyond the last is read there, and what comes of it is left alone. */
  #keep(direction: Direction, begin: string, distinct: readonly string[]): Part["own"] {
    const { writer, own, threads, first } = this.#tile;
    const isWhole = direction.size % own === 0;
    const offset = (number: string): string => {
      if (direction.runs.length === 0) return begin;
      const place = sumText(first, number);
      return sumText(
        begin,
        offsetText(
          (text) => writer.local(text),
          direction,
          isWhole ? `(${place})` : `min(${place}, ${direction.size - 1}u)`,
        ),
      );
    };
    if (distinct.length <= mostKept || isLinear(direction)) {
      return new Map(distinct.map((number) => [number, writer.local(offset(number))]));
    }
    const table = writer.shared("u32", own);
    for (let done = 0; done < own; done += threads) {
      const number = sumText("local", `${done}u`);
      if (own - done < threads) writer.open(`if (local < ${own - done}u)`);
      writer.line(`${table}[${number}] = ${offset(number)};`);
      if (own - done < threads) writer.close();
    }
    return table;
  }
}

/** Addresses of a factor, and what its borders are told by. */
export function placesIn({ factor }: Side, axes: readonly Axis[]): readonly Affine[] {
  return scalarsOf(factor).flatMap((scalar) => {
    if (scalar.kind === "region")
      return [{ offset: 0, coefficients: axes.map((_, axis) => Number(axis === scalar.axis)) }];
    if (scalar.kind === "within") return [fromStart(scalar)];
    return hasAddress(scalar) ? [scalar.at] : [];
  });
}
