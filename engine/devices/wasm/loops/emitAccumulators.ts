/**
 * Registers in which reductions are folded. Long sums of float32 are made in two steps: after a few additions (`sumChunkOf`) what a
 * register holds goes to a float64 total and the register starts again from 0. A sum of any length is then off by the roundings of
 * one chunk and of the result, while one of n additions after the other is off by n.
 */
import type { DType } from "../../../graph/dtype.ts";
import type { ReduceOp } from "../../../kernel/kernel.ts";
import {
  type Code,
  type FunctionBuilder,
  i32x4,
  type Local,
  op as instruction,
  type PlainOpcode,
  shuffle32,
} from "../assembler/index.ts";
import { literal } from "../math/index.ts";

/** What is folded where. */
export type FoldLayout = {
  readonly op: ReduceOp;
  readonly dtype: DType;
  /** Results at a time. */
  readonly points: number;
  /** Vectors along a reduce axis that each point has a register for; 0: lanes are results of their own, or there is one lane. */
  readonly vectors: number;
  /** Whether all four lanes of a register hold something. */
  readonly fillsLanes: boolean;
  /** Whether it is a sum that is made in chunks: always, or where it turns out to be long (`LongSum`). */
  readonly chunks: "none" | "all" | "ofLong";
};

/** What makes a sum in chunks of one of unknown length: `begin` before the first `next`, which follows each chunk; then `end`. */
export type LongSum = {
  readonly chunkLength: number;
  readonly begin: () => void;
  readonly next: () => void;
  readonly end: () => void;
};

export class Accumulators {
  readonly #f: FunctionBuilder;
  readonly #layout: FoldLayout;
  readonly #fold: PlainOpcode;
  /** By chain, then by point. */
  readonly #registers: readonly Local[];
  /** Float64 totals of each point: of lanes 0 and 1, and of lanes 2 and 3 where these are other results. */
  readonly #totals: readonly (readonly Local[])[];

  constructor(f: FunctionBuilder, layout: FoldLayout) {
    const { op, dtype, points, vectors, fillsLanes, chunks } = layout;
    this.#f = f;
    this.#layout = layout;
    this.#fold = foldOpcode(op, dtype);
    const registers = points * Math.max(1, vectors);
    this.#registers = Array.from({ length: registers }, () => f.local("v128", "accumulator"));
    if (chunks !== "all") this.begin();
    const halves = vectors === 0 && fillsLanes ? 2 : 1;
    this.#totals = Array.from({ length: chunks === "none" ? 0 : points }, () =>
      Array.from({ length: halves }, () => f.local("v128", "total")),
    );
    if (chunks === "all") this.#beginTotals();
  }

  /** For a sum whose chunks are `ofLong`. Begun as it is, only what is longer than one chunk pays for totals. */
  longSum(chunkLength: number): LongSum {
    return {
      chunkLength,
      begin: () => this.#beginTotals(),
      next: () => {
        this.endChunk();
        this.begin();
      },
      end: () => {
        for (let point = 0; point < this.#layout.points; point++) {
          this.#f.set(this.register(0, point), this.#roundedTotal(point));
        }
      },
    };
  }

  #beginTotals(): void {
    const { op, dtype } = this.#layout;
    for (const total of this.#totals.flat()) this.#f.set(total, identity(op, dtype));
  }

  /** Sets all registers to what a fold starts from. */
  begin(): void {
    for (const register of this.#registers) this.#f.set(register, identity(this.#layout.op, this.#layout.dtype));
  }

  register(chain: number, point: number): Local {
    const register = this.#registers[chain * this.#layout.points + point];
    if (register === undefined) throw new RangeError(`no register for point ${point} of chain ${chain}`);
    return register;
  }

  /** Adds a vector on the stack, of which `lanes` lanes count, to a register that is there already. */
  fold(lanes: number): void {
    if (lanes < 4) {
      // Lanes beyond the end hold whatever is there.
      this.#f.emit(identity(this.#layout.op, this.#layout.dtype));
      this.#f.op("v128.bitselect", laneMask(lanes));
    }
    this.#f.op(this.#fold);
  }

  /** Ends a chunk, which `begin` began: adds the registers to the totals. */
  endChunk(): void {
    const f = this.#f;
    this.#totals.forEach((totals, point) => {
      const sum = this.#foldChains(point);
      const high = shuffle32([2, 3, 2, 3], sum, sum);
      const [first, second = first] = totals;
      if (first === undefined || second === undefined) return;
      f.set(first, instruction("f64x2.add", first, instruction("f64x2.promote_low_f32x4", sum)));
      if (this.#layout.fillsLanes)
        f.set(second, instruction("f64x2.add", second, instruction("f64x2.promote_low_f32x4", high)));
    });
  }

  /** Locals with the results, in every lane that counts; nothing is added any more. */
  results(): readonly Local[] {
    const { points, vectors, chunks } = this.#layout;
    return Array.from({ length: points }, (_, point) => {
      if (chunks === "all") return this.#roundedTotal(point);
      const total = this.#foldChains(point);
      return vectors === 0 ? total : this.#foldLanes(total, this.#fold);
    });
  }

  /** Folds the chains of a point in pairs, into the first. */
  #foldChains(point: number): Local {
    const f = this.#f;
    const chains = Math.max(1, this.#layout.vectors);
    for (let distance = 1; distance < chains; distance *= 2) {
      for (let chain = 0; chain + distance < chains; chain += 2 * distance) {
        const [left, right] = [this.register(chain, point), this.register(chain + distance, point)];
        f.set(left, instruction(this.#fold, left, right));
      }
    }
    return this.register(0, point);
  }

  #foldLanes(total: Local, fold: PlainOpcode): Local {
    const f = this.#f;
    for (const lanes of [
      [2, 3, 0, 1],
      [1, 0, 3, 2],
    ] as const) {
      const swapped = f.let("v128", "swapped", shuffle32(lanes, total, total));
      f.set(total, instruction(fold, total, swapped));
    }
    return total;
  }

  /** The totals of a point as float32. */
  #roundedTotal(point: number): Local {
    const f = this.#f;
    const [low, high = null] = this.#totals[point] ?? [];
    if (low === undefined) throw new RangeError(`no total for point ${point}`);
    if (this.#layout.vectors > 0) f.set(low, instruction("f64x2.add", low, shuffle32([2, 3, 0, 1], low, low)));
    f.set(low, instruction("f32x4.demote_f64x2_zero", low));
    if (high === null) return low;
    f.set(high, instruction("f32x4.demote_f64x2_zero", high));
    f.set(low, shuffle32([0, 1, 4, 5], low, high));
    return low;
  }
}

/** What a fold starts from. */
function identity(op: ReduceOp, dtype: DType): Code {
  if (op === "sum" || dtype === "u32" || dtype === "bool") return literal(0, dtype === "bool" ? "u32" : dtype);
  return dtype === "f32" ? literal(Number.NEGATIVE_INFINITY, "f32") : literal(-(2 ** 31), "i32");
}

function foldOpcode(op: ReduceOp, dtype: DType): PlainOpcode {
  switch (dtype) {
    case "f32":
      // f32x4.max gives NaN if either side is.
      return op === "sum" ? "f32x4.add" : "f32x4.max";
    case "i32":
      return op === "sum" ? "i32x4.add" : "i32x4.max_s";
    case "u32":
      return op === "sum" ? "i32x4.add" : "i32x4.max_u";
    case "bool":
      return "v128.or";
  }
}

function laneMask(lanes: number): Code {
  return i32x4(-1, lanes > 1 ? -1 : 0, lanes > 2 ? -1 : 0, 0);
}
