/**
 * A step's tile of one array of a product in memory of the workgroup: how it lies there, and how all threads together fill it. Four
 * elements of a vector lie along the array's own direction or along what is summed over, whichever lets neighbouring threads read
 * neighbouring elements. Vectors are apart by an odd pitch, so that threads meet different banks.
 */
import { at } from "../../../../graph/shape.ts";
import type { WgslWriter } from "../writer.ts";
import { isLinear, offsetText, sumText } from "./offsets.ts";
import { type DirectionName, lanesOf, type Side } from "./sides.ts";

/** A tile in memory of the workgroup. */
export type Layout = {
  readonly lanes: DirectionName;
  /** Rows or columns of the tile, and numbers of each. */
  readonly own: number;
  readonly depth: number;
  /** Vectors from one number of the outer direction to the next: of the array's own one if lanes are along the depth, else of the depth. */
  readonly pitch: number;
  /**
   * Lanes along the depth only: where fours of neighbours are one thread's, the first of all fours lie together, then the second and so
   * on, each so far from the ones before. Null: neighbours lie together.
   */
  readonly apart: number | null;
};

export function layoutOf(side: Side, own: number, depth: number, takesFours: boolean): Layout {
  const lanes = lanesOf(side);
  const inner = lanes === "own" ? own / 4 : depth / 4;
  // The first ones of eight neighbours are in different banks, too.
  const apart = lanes === "depth" && takesFours ? own / 4 + 2 : null;
  return { lanes, own, depth, pitch: inner % 2 === 0 ? inner + 1 : inner, apart };
}

/** Vectors of memory that a tile takes. */
export function vectorsOf({ lanes, own, depth, pitch, apart }: Layout): number {
  const outer = lanes === "own" ? depth : apart === null ? own : 4 * apart;
  return outer * pitch;
}

/** The place of a vector: of number `own` (a four of them) at `depth` (or a four of them). Texts that can be multiplied as they stand. */
export function vectorText({ lanes, pitch, apart }: Layout, own: string, depth: string): string {
  if (lanes === "own") return sumText(`${depth} * ${pitch}u`, own);
  const slot = apart === null ? own : `(${own} % 4u * ${apart}u + ${own} / 4u)`;
  return sumText(`${slot} * ${pitch}u`, depth);
}

type Task = {
  readonly writer: WgslWriter;
  readonly side: Side;
  readonly layout: Layout;
  readonly threads: number;
  /** Text of the tile's first row or column. */
  readonly first: string;
  /** Text of what the product's place in the batch adds to addresses. */
  readonly batch: string;
  /** The element, or four of them, at an address (u32 text). */
  readonly element: (index: string) => string;
};

/** A vector of the tile that a thread fills: numbers along both directions, in fours along that of the lanes. */
type Slot = { readonly own: string; readonly depth: string };

/** Own offsets that a thread keeps in registers at most; more lie in memory of the workgroup. */
const mostKept = 4;

export class Fill {
  readonly array: string;
  readonly #task: Task;
  readonly #slots: readonly Slot[];
  /** Offsets along the depth of this step and the next, if they are no multiples: the name of an array. */
  readonly #depthTable: string | null;
  readonly #ownOffset: (slot: Slot, lane: number) => string;

  constructor(task: Task) {
    const { writer, side, layout, threads } = task;
    this.#task = task;
    this.array = writer.shared("vec4f", vectorsOf(layout));
    this.#slots = slotsOf(writer, side, layout, threads);
    this.#depthTable = isLinear(side.depth) ? null : writer.shared("u32", 2 * layout.depth);
    this.#ownOffset = this.#keepOwnOffsets();
  }

  /** Whether offsets along the depth are looked up. */
  get hasTable(): boolean {
    return this.#depthTable !== null;
  }

  /**
   * Writes what step number `step` (u32 text) looks up into the part of the table that begins at `half`. Not the part that is read
   * meanwhile, by threads whose number is below the step's length.
   */
  tabulate(step: string, half: string): void {
    if (this.#depthTable === null) return;
    const { writer, side, layout } = this.#task;
    const place = writer.local(this.#clamped(`${step} * ${layout.depth}u + local`));
    writer.line(`${this.#depthTable}[${sumText(half, "local")}] = ${offsetText(writer, side.depth, place)};`);
  }

  /** Copies the tile of step number `step`, whose part of the table begins at `half`. */
  fill(step: string, half: string): void {
    const { writer, side, layout, element } = this.#task;
    for (const slot of this.#slots) {
      const own = layout.lanes === "own" && !side.inFours ? [0, 1, 2, 3] : [0];
      const depth = layout.lanes === "depth" && !side.inFours ? [0, 1, 2, 3] : [0];
      const values = own.flatMap((i) =>
        depth.map((j) => {
          const number = layout.lanes === "depth" ? sumText(`${slot.depth} * 4u`, `${j}u`) : slot.depth;
          const address = sumText(this.#ownOffset(slot, i), this.#depthOffset(number, step, half));
          const value = element(address);
          const isWhole = side.depth.size % layout.depth === 0;
          const zero = side.inFours ? "vec4f()" : "0f";
          return isWhole
            ? value
            : `select(${zero}, ${value}, ${step} * ${layout.depth}u + ${number} < ${side.depth.size}u)`;
        }),
      );
      const vector = side.inFours ? at(values, 0) : `vec4f(${values.map((value) => writer.local(value)).join(", ")})`;
      writer.line(`${this.array}[${vectorText(layout, slot.own, slot.depth)}] = ${vector};`);
    }
  }

  #depthOffset(number: string, step: string, half: string): string {
    const { writer, side, layout } = this.#task;
    if (this.#depthTable !== null) return `${this.#depthTable}[${sumText(half, number)}]`;
    return offsetText(writer, side.depth, this.#clamped(`${step} * ${layout.depth}u + ${number}`));
  }

  /** What is beyond the last product is read there, and taken for 0. */
  #clamped(number: string): string {
    const { side, layout } = this.#task;
    return side.depth.size % layout.depth === 0 ? `(${number})` : `min(${number}, ${side.depth.size - 1}u)`;
  }

  /** Where rows or columns begin: what is beyond the last is read there, and what comes of it is left alone. */
  #keepOwnOffsets(): (slot: Slot, lane: number) => string {
    const { writer, side, layout, threads, first, batch } = this.#task;
    const isOwnLane = layout.lanes === "own";
    const isWhole = side.own.size % layout.own === 0;
    const begin = writer.local(sumText(batch, `${side.load.at.offset}u`));
    const offset = (number: string): string => {
      // A four of them is inside or outside as a whole.
      const last = isOwnLane && side.inFours ? side.own.size - 4 : side.own.size - 1;
      const place = sumText(first, number);
      return sumText(begin, offsetText(writer, side.own, isWhole ? `(${place})` : `min(${place}, ${last}u)`));
    };
    const distinct = new Set(this.#slots.map(({ own }) => own));
    const lanes = isOwnLane && !side.inFours ? [0, 1, 2, 3] : [0];
    const numberOf = (own: string, lane: number): string => (isOwnLane ? sumText(`${own} * 4u`, `${lane}u`) : own);
    if (distinct.size * lanes.length > mostKept && !isLinear(side.own)) {
      const table = writer.shared("u32", layout.own);
      for (let done = 0; done < layout.own; done += threads) {
        const number = sumText("local", `${done}u`);
        if (layout.own - done < threads) writer.open(`if (local < ${layout.own - done}u)`);
        writer.line(`${table}[${number}] = ${offset(number)};`);
        if (layout.own - done < threads) writer.close();
      }
      return (slot, lane) => `${table}[${numberOf(slot.own, lane)}]`;
    }
    const kept = new Map(
      [...distinct].map((own) => [own, lanes.map((lane) => writer.local(offset(numberOf(own, lane))))] as const),
    );
    return (slot, lane) => at(kept.get(slot.own) ?? [], lane);
  }
}

/** The vectors that each thread fills. Neighbouring threads go along the direction of neighbours in memory. */
function slotsOf(writer: WgslWriter, side: Side, layout: Layout, threads: number): readonly Slot[] {
  const own = layout.lanes === "own" ? layout.own / 4 : layout.own;
  const depth = layout.lanes === "depth" ? layout.depth / 4 : layout.depth;
  const fast = side.along === "own" ? own : depth;
  const slot = (quick: string, slow: string): Slot =>
    side.along === "own" ? { own: quick, depth: slow } : { own: slow, depth: quick };
  const count = (own * depth) / threads;
  if (fast >= threads) {
    const perLine = fast / threads;
    return Array.from({ length: count }, (_, i) =>
      slot(i % perLine === 0 ? "local" : `(local + ${(i % perLine) * threads}u)`, `${Math.floor(i / perLine)}u`),
    );
  }
  const quick = writer.local(`local % ${fast}u`);
  const slow = writer.local(`local / ${fast}u`);
  return Array.from({ length: count }, (_, i) => slot(quick, i === 0 ? slow : `(${slow} + ${(i * threads) / fast}u)`));
}
