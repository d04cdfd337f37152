/**
 * Random kernels over small whole numbers: every order of summation gives the same float32, so that any schedule must
 * give the interpreter's result bit for bit. They exercise what schedules differ in: axes of all sizes, strides (also
 * negative and broadcast), regions, gathers, shared expressions, epilogues.
 */
import type { DType, TensorData } from "../../../../engine/graph/dtype.ts";
import type { Affine, Axis, Kernel, Operand, ReduceOp, Scalar } from "../../../../engine/kernel/kernel.ts";
import type { Plan, PlanStep } from "../../../../engine/kernel/plan.ts";
import { forEachPoint, placeOf } from "../../../../testing/bounds/kernelPoints.ts";
import { float32 } from "../../../../testing/devices/referenceDevice.ts";

export type KernelCase = { readonly kernel: Kernel; readonly data: readonly TensorData[] };

/** The plan that runs one kernel from inputs to output 0. */
export function planOf(kernel: Kernel): Plan {
  const inputs = kernel.operands.map((operand, index) => ({ ...operand, role: { kind: "input" as const, index } }));
  const [{ dtype, length }] = kernel.stores;
  const output = { dtype, length, role: { kind: "output" as const, index: 0 } };
  const step: PlanStep = { kernel, operands: kernel.operands.map((_, index) => index), results: [inputs.length] };
  return { buffers: [...inputs, output], steps: [step], slots: [], inputs: inputs.length, outputs: 1, aliases: [null] };
}

/** Element `element` of operand `operand`. */
type Read = (operand: number, element: number) => number;

/**
 * Visits the points of a kernel whose first axis is in [low, high), in order. `visit` gets a position that changes, and what
 * evaluates an expression there, which may use what was folded.
 */
export function forEachExactPoint(
  kernel: Kernel,
  range: readonly [number, number],
  read: Read,
  visit: (position: readonly number[], valueOf: (root: Scalar) => number) => void,
): void {
  forEachPoint(kernel, float32, read, visit, (axis, size) => (axis === 0 ? range : [0, size]));
}

/** The result of a kernel, straight from its definition. */
export function interpretExact(kernel: Kernel, data: readonly TensorData[]): number[] {
  const { axes, stores } = kernel;
  const [store] = stores;
  const output = new Array<number>(store.length).fill(Number.NaN);
  const read = (operand: number, index: number): number => {
    const value = data[operand]?.[index];
    if (value === undefined) throw new RangeError(`element ${index} of operand ${operand}`);
    return value;
  };
  forEachExactPoint(kernel, [0, axes[0]?.size ?? 0], read, (position, valueOf) => {
    output[placeOf(store.at, position)] = valueOf(store.value);
  });
  return output;
}

/** A whole number from 0 to below `limit`, the next of a sequence. */
export type Next = (limit: number) => number;

export function numbersFrom(seed: number): Next {
  let state = (seed + 1) >>> 0;
  return (limit) => {
    // Steele, Lea and Flood 2014: splittable numbers, 32-bit variant of the finaliser.
    state = (state + 0x9e37_79b9) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x85eb_ca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2_ae35);
    return ((mixed ^ (mixed >>> 16)) >>> 0) % limit;
  };
}

type Bounds = readonly { readonly low: number; readonly high: number }[];

const maximumPoints = 4000;
const axisSizes = [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 16, 17, 19] as const;

/** Case number `seed`. */
export function exactCase(seed: number): KernelCase {
  return new CaseBuilder(numbersFrom(seed)).build();
}

class CaseBuilder {
  readonly #next: Next;
  readonly #operands: { dtype: DType; length: number }[] = [];
  #axes: readonly Axis[] = [];
  #folded: DType = "f32";

  constructor(next: Next) {
    this.#next = next;
  }

  build(): KernelCase {
    const next = this.#next;
    const reduced = next(3) === 0 ? 0 : next(4);
    this.#axes = this.#makeAxes(next(5), reduced);
    const bounds: Bounds = this.#axes.map(({ size }) => ({ low: 0, high: size }));
    const isProduct = reduced > 0 && next(3) === 0;
    this.#folded = isProduct ? "f32" : this.#pick(["f32", "f32", "i32", "u32"]);
    const body = isProduct ? this.#product(bounds) : this.#scalar(this.#folded, next(6), bounds, false, []);
    const plain: Scalar = { kind: "accumulator", dtype: this.#folded };
    const outer = this.#pick<DType>(["f32", "i32", "u32", "bool"]);
    const epilogue = next(2) === 0 ? plain : this.#scalar(outer, next(4), bounds, true, []);
    const op: ReduceOp = next(2) === 0 ? "sum" : "max";
    const coefficients = this.#axes.map(() => 0);
    let length = 1;
    for (const [axis, { role, size }] of [...this.#axes.entries()].reverse()) {
      if (role === "reduce") continue;
      coefficients[axis] = length;
      length *= size;
    }
    const value = reduced === 0 ? body : epilogue;
    const operands: readonly Operand[] = this.#operands;
    return {
      kernel: {
        name: "exact",
        axes: this.#axes,
        operands,
        reduction: reduced === 0 ? null : { op, body },
        stores: [{ value, dtype: value.dtype, length, at: { offset: 0, coefficients } }],
        flops: 0,
        bytes: 0,
      },
      data: operands.map((operand) => this.#data(operand)),
    };
  }

  #pick<T>(values: readonly T[]): T {
    // `values` is never empty, so the index is within it.
    return values[this.#next(values.length)] as T;
  }

  #makeAxes(parallel: number, reduced: number): readonly Axis[] {
    const axes = Array.from({ length: parallel + reduced }, (_, index): Axis => {
      const role = index < parallel ? "parallel" : "reduce";
      return { role, size: this.#next(200) === 0 ? 0 : this.#pick(axisSizes) };
    });
    const points = (): number => axes.reduce((product, { size }) => product * Math.max(1, size), 1);
    while (points() > maximumPoints) {
      const largest = axes.reduce((best, { size }, axis) => (size > (axes[best]?.size ?? 0) ? axis : best), 0);
      axes[largest] = { role: axes[largest]?.role ?? "parallel", size: Math.ceil((axes[largest]?.size ?? 1) / 2) };
    }
    return axes;
  }

  #data({ dtype, length }: Operand): TensorData {
    const next = this.#next;
    const signed = (): number => next(17) - 8;
    switch (dtype) {
      case "f32":
        return Float32Array.from({ length }, () => (next(60) === 0 ? Number.NaN : signed()));
      case "i32":
        return Int32Array.from({ length }, signed);
      case "u32":
        return Uint32Array.from({ length }, () => next(17) + (next(5) === 0 ? 4_294_967_000 : 0));
      case "bool":
        return Uint8Array.from({ length }, () => next(2));
    }
  }

  /** An address within bounds for all axes within `bounds`, and the length of buffer that it needs. */
  #affine(bounds: Bounds, parallelOnly: boolean): { readonly at: Affine; readonly length: number } {
    const next = this.#next;
    const coefficients = this.#axes.map(() => 0);
    let stride = this.#pick([1, 1, 1, 2, 3]);
    const order = this.#axes.map((_, axis) => axis).reverse();
    if (next(3) === 0) order.sort(() => next(3) - 1);
    for (const axis of order) {
      const { role, size } = this.#axes[axis] ?? { role: "reduce", size: 1 };
      if ((parallelOnly && role === "reduce") || next(4) === 0) continue;
      coefficients[axis] = next(6) === 0 ? -stride : stride;
      stride *= Math.max(1, size) + (next(4) === 0 ? 1 : 0);
    }
    let [low, high] = [0, 0];
    coefficients.forEach((coefficient, axis) => {
      const range = bounds[axis];
      if (range === undefined || range.high <= range.low) return;
      low += Math.min(coefficient * range.low, coefficient * (range.high - 1));
      high += Math.max(coefficient * range.low, coefficient * (range.high - 1));
    });
    const offset = next(3) - low;
    return { at: { offset, coefficients }, length: high + offset + 1 };
  }

  #operand(dtype: DType, length: number): number {
    const known = this.#operands.findIndex((operand) => operand.dtype === dtype);
    const operand = this.#operands[known];
    if (operand === undefined || this.#next(2) === 0) return this.#operands.push({ dtype, length }) - 1;
    operand.length = Math.max(operand.length, length);
    return known;
  }

  #load(dtype: DType, bounds: Bounds, parallelOnly: boolean): Scalar {
    const { at, length } = this.#affine(bounds, parallelOnly);
    return { kind: "load", dtype, operand: this.#operand(dtype, length), at };
  }

  #product(bounds: Bounds): Scalar {
    const [x, y] = [this.#load("f32", bounds, false), this.#load("f32", bounds, false)];
    return { kind: "binary", dtype: "f32", op: "multiply", x, y };
  }

  /** @param known expressions of the same place that may be used again */
  #scalar(dtype: DType, depth: number, bounds: Bounds, epilogue: boolean, known: Scalar[]): Scalar {
    const next = this.#next;
    const again = known.filter((scalar) => scalar.dtype === dtype);
    if (again.length > 0 && next(4) === 0) return this.#pick(again);
    const made = this.#fresh(dtype, depth, bounds, epilogue, known);
    known.push(made);
    return made;
  }

  #fresh(dtype: DType, depth: number, bounds: Bounds, epilogue: boolean, known: Scalar[]): Scalar {
    const next = this.#next;
    const inner = (of: DType): Scalar => this.#scalar(of, depth - 1, bounds, epilogue, known);
    if (epilogue && dtype === this.#folded && next(3) === 0) return { kind: "accumulator", dtype };
    switch (next(depth <= 0 ? 4 : 13)) {
      case 0:
        return { kind: "literal", dtype, value: dtype === "bool" ? next(2) : dtype === "u32" ? next(9) : next(9) - 4 };
      case 1:
        return { kind: "index", dtype, at: this.#affine(bounds, epilogue).at };
      case 2:
      case 3:
        return this.#load(dtype, bounds, epilogue);
      case 4:
        return { kind: "unary", dtype, op: dtype === "bool" ? "not" : "negate", x: inner(dtype) };
      case 5:
      case 6: {
        const op = dtype === "bool" ? "and" : this.#pick(["add", "subtract", "maximum", "minimum"] as const);
        return { kind: "binary", dtype, op, x: inner(dtype), y: inner(dtype) };
      }
      case 7: {
        if (dtype !== "bool")
          return { kind: "select", dtype, condition: inner("bool"), x: inner(dtype), y: inner(dtype) };
        const of = this.#pick<DType>(["f32", "i32", "u32"]);
        const op = this.#pick(["less", "lessEqual", "equal", "notEqual"] as const);
        return { kind: "compare", dtype, op, x: inner(of), y: inner(of) };
      }
      case 8: {
        const sources: { readonly [D in DType]: readonly DType[] } = {
          f32: ["i32", "bool"],
          i32: ["bool", "u32"],
          u32: ["bool", "i32"],
          bool: ["i32", "u32"],
        };
        return { kind: "cast", dtype, x: inner(this.#pick(sources[dtype])) };
      }
      case 9: {
        const [stride, size] = [next(4) + 1, next(6) + 1];
        const { at, length } = this.#affine(bounds, epilogue);
        const operand = this.#operand(dtype, length + stride * (size - 1));
        return { kind: "gather", dtype, operand, at, index: inner("i32"), stride, size };
      }
      default:
        return this.#region(dtype, depth, bounds, epilogue, known);
    }
  }

  #region(dtype: DType, depth: number, bounds: Bounds, epilogue: boolean, known: Scalar[]): Scalar {
    const next = this.#next;
    const axes = this.#axes.flatMap(({ role }, axis) => (epilogue && role === "reduce" ? [] : [axis]));
    const axis = axes.length === 0 ? -1 : this.#pick(axes);
    const range = bounds[axis];
    if (range === undefined || range.high <= range.low) return this.#scalar(dtype, depth - 1, bounds, epilogue, known);
    const start = next(5) === 0 ? range.low - 1 : range.low + next(range.high - range.low);
    const stop = start + next(range.high - start + 2);
    const within = bounds.with(axis, { low: Math.max(range.low, start), high: Math.min(range.high, stop) });
    return {
      kind: "region",
      dtype,
      axis,
      start,
      stop,
      inside: this.#scalar(dtype, depth - 1, within, epilogue, []),
      outside: this.#scalar(dtype, depth - 1, bounds, epilogue, known),
    };
  }
}
