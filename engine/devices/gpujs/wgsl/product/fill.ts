/**
 * A step's tile of one array of a product in memory of the workgroup: how it lies there, and how all threads together fill it. Four
 * elements of a vector lie along the array's own direction or along what is summed over, whichever lets neighbouring threads read
 * neighbouring elements. Vectors are apart by an odd pitch, so that threads meet different banks.
 */
import { at } from "../../../../graph/shape.ts";
import type { Affine, Axis } from "../../../../kernel/kernel.ts";
import type { WgslWriter } from "../writer.ts";
import { sumText } from "./offsets.ts";
import { type Element, Places, type Step } from "./places.ts";
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
  readonly axes: readonly Axis[];
  readonly threads: number;
  /** Text of the tile's first row or column, and of the product's number in the batch. */
  readonly first: string;
  readonly batch: string;
  /** The factor, or four of them, where the texts of its addresses are these. */
  readonly factor: (address: (affine: Affine) => string) => string;
};

/** A vector of the tile that a thread fills: numbers along both directions, in fours along that of the lanes. */
type Slot = { readonly own: string; readonly depth: string };

export class Fill {
  readonly array: string;
  readonly #task: Task;
  readonly #slots: readonly Slot[];
  readonly #places: Places;

  constructor(task: Task) {
    const { writer, side, layout, axes } = task;
    this.#task = task;
    this.array = writer.shared("vec4f", vectorsOf(layout));
    this.#slots = slotsOf(writer, side, layout, task.threads);
    const owns = this.#slots.flatMap((slot) => elementsOf(slot, side, layout).map(({ own }) => own));
    this.#places = new Places({ ...task, own: layout.own, depth: layout.depth }, axes, owns);
  }

  get places(): Places {
    return this.#places;
  }

  /** Copies the tile of a step. */
  fill(step: Step): void {
    const { writer, side, layout, factor } = this.#task;
    const isWhole = side.depth.size % layout.depth === 0;
    this.#places.nextStep();
    for (const slot of this.#slots) {
      const values = elementsOf(slot, side, layout).map((element) => {
        const value = factor((affine) => this.#places.text(affine, element, step));
        if (isWhole) return side.inFours ? value : writer.local(value);
        const isInside = `${step.number} * ${layout.depth}u + ${element.depth} < ${side.depth.size}u`;
        return writer.local(`select(${side.inFours ? "vec4f()" : "0f"}, ${value}, ${isInside})`);
      });
      const vector = side.inFours ? at(values, 0) : `vec4f(${values.join(", ")})`;
      writer.line(`${this.array}[${vectorText(layout, slot.own, slot.depth)}] = ${vector};`);
    }
  }
}

/** The elements that are read for a vector: the first of four that are neighbours in memory, or each of the four. */
function elementsOf({ own, depth }: Slot, { inFours }: Side, { lanes }: Layout): readonly Element[] {
  return (inFours ? [0] : [0, 1, 2, 3]).map((lane) => ({
    own: lanes === "own" ? sumText(`${own} * 4u`, `${lane}u`) : own,
    depth: lanes === "depth" ? sumText(`${depth} * 4u`, `${lane}u`) : depth,
  }));
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
