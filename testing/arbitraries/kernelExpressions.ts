/**
 * Random scalar expressions of kernels, built from lists of instructions. Every instruction is valid wherever it stands: it
 * adapts its operands and addresses, so that shrinking always gives a kernel again.
 */
import fc from "fast-check";
import type { DType } from "../../engine/graph/dtype.ts";
import { binaryOps, compareOps, unaryOps } from "../../engine/graph/node.ts";
import { binaryDtypes } from "../../engine/graph/shapeRules.ts";
import { at } from "../../engine/graph/shape.ts";
import type { Affine, Axis, Scalar } from "../../engine/kernel/kernel.ts";

/** How an operand is walked through. The bits of `skip` and `flip` stand for axes. */
export type Access = {
  /** 0 to 3: row-major, column-major, rotated, its last two exchanged. Others: strides of 0 to 2, as windows have. */
  readonly order: number;
  readonly skip: number;
  readonly flip: number;
  readonly step: number;
  /** Elements left out after each row, and before the first. */
  readonly gap: number;
};

export type ScalarInstruction = {
  /** A name of {@link scalarInstructions}. */
  readonly name: string;
  /** Which earlier values to use: how far before the newest, the second, third and fourth newest. */
  readonly operands: readonly [number, number, number, number];
  readonly choices: readonly [number, number, number];
  readonly access: Access;
};

/** A buffer to read: its length is given, or as long as the addresses need. */
export type OperandSlot = { readonly dtype: DType; length: number; readonly isFixed: boolean };

/** Where an address must be valid: from `start` to below `stop` of each axis. */
type Bounds = readonly { readonly start: number; readonly stop: number }[];

const literals: { readonly [D in DType]: readonly number[] } = {
  f32: [1, 0, -1, 2, 0.5, 0.1, -2.25, 1e-3, 1e30, -0, 1e-40, Infinity, -Infinity, NaN],
  i32: [1, 0, -1, 7, 65_536, -65_535, 2 ** 31 - 1, -(2 ** 31)],
  u32: [1, 0, 7, 65_535, 2 ** 31, 2 ** 32 - 1],
  bool: [1, 0],
};

const choose = <T>(list: readonly T[], choice: number): T => at(list, choice % list.length);
const bit = (bits: number, place: number): boolean => (bits >> place) % 2 === 1;

type OperandNumber = 0 | 1 | 2 | 3;

/** What an instruction is built in. */
type Builder = {
  readonly choices: readonly [number, number, number];
  readonly axes: readonly Axis[];
  /** An earlier value, as it is or as a dtype. */
  readonly any: (operand: OperandNumber) => Scalar;
  readonly of: (operand: OperandNumber, dtype: DType) => Scalar;
  /** An element of the operand that `choice` chooses, valid within the given bounds or everywhere. */
  readonly load: (choice: number, bounds?: Bounds) => Scalar;
  readonly gather: (choice: number, index: Scalar, size: number, stride: number) => Scalar;
  readonly index: () => Affine;
  readonly bounds: Bounds;
  readonly isUsable: (axis: number) => boolean;
};

export function literal(value: number, dtype: DType): Scalar {
  return { kind: "literal", dtype, value };
}

export function toDtype(x: Scalar, dtype: DType): Scalar {
  return x.dtype === dtype ? x : { kind: "cast", dtype, x };
}

const numbers = ["f32", "i32", "u32"] as const;
const integers = ["i32", "u32"] as const;
/** The dtype of a value where it is one of `list`, else one of them. */
function dtypeOf<D extends DType>({ dtype }: Scalar, list: readonly D[], choice: number): D {
  return list.find((one) => one === dtype) ?? choose(list, choice);
}
const arithmeticOps = ["add", "subtract", "multiply", "maximum", "minimum"] as const;
const floatUnaries = unaryOps.filter((op) => op !== "not");

const instructionTable: { readonly [name: string]: (builder: Builder) => Scalar } = {
  load: ({ load, choices: [c] }) => load(c),
  literal: ({ choices: [c, d] }) => {
    const dtype = choose(["f32", "f32", "i32", "u32", "bool"] as const, c);
    return literal(choose(literals[dtype], d), dtype);
  },
  index: ({ index, choices: [c] }) => ({ kind: "index", dtype: choose([...numbers, "bool"], c), at: index() }),
  gather: ({ gather, of, choices: [c, d, e] }) => gather(c, of(0, "i32"), (d % 6) + 1, (e % 3) + 1),
  unary: ({ of, choices: [c] }) => {
    const op = choose(floatUnaries, c);
    const dtype = op === "isFinite" || op === "isNaN" ? "bool" : "f32";
    return { kind: "unary", dtype, op, x: of(0, "f32") };
  },
  integerUnary: ({ any, of, choices: [c, d] }) => {
    const dtype = dtypeOf(any(0), integers, d);
    return { kind: "unary", dtype, op: choose(["negate", "absolute", "sign", "not"] as const, c), x: of(0, dtype) };
  },
  not: ({ of }) => ({ kind: "unary", dtype: "bool", op: "not", x: of(0, "bool") }),
  arithmetic: ({ of, choices: [c] }) => ({
    kind: "binary",
    dtype: "f32",
    op: choose(arithmeticOps, c),
    x: of(0, "f32"),
    y: of(1, "f32"),
  }),
  quotient: ({ of, choices: [c] }) => ({
    kind: "binary",
    dtype: "f32",
    op: choose(["divide", "power", "fmod"] as const, c),
    x: of(0, "f32"),
    y: of(1, "f32"),
  }),
  integerArithmetic: ({ any, of, choices: [c, d] }) => {
    const dtype = dtypeOf(any(0), integers, d);
    const op = choose(
      binaryOps.filter((one) => binaryDtypes[one].includes(dtype)),
      c,
    );
    return { kind: "binary", dtype, op, x: of(0, dtype), y: of(1, dtype) };
  },
  logic: ({ of, choices: [c] }) => ({
    kind: "binary",
    dtype: "bool",
    op: choose(["and", "or", "xor"] as const, c),
    x: of(0, "bool"),
    y: of(1, "bool"),
  }),
  compare: ({ any, of, choices: [c, d] }) => {
    const dtype = dtypeOf(any(0), numbers, d);
    return { kind: "compare", dtype: "bool", op: choose(compareOps, c), x: of(0, dtype), y: of(1, dtype) };
  },
  select: ({ any, of }) => {
    const { dtype } = any(1);
    return { kind: "select", dtype, condition: of(0, "bool"), x: any(1), y: of(2, dtype) };
  },
  cast: ({ any, choices: [c] }) => toDtype(any(0), choose([...numbers, "bool"], c)),
  shift: ({ any, of, choices: [c, d, e] }) => {
    const dtype = dtypeOf(any(0), integers, c);
    return { kind: "shift", dtype, direction: choose(["left", "right"] as const, d), amount: e % 32, x: of(0, dtype) };
  },
  threefry: ({ of, choices: [c] }) => ({
    kind: "threefry",
    dtype: "u32",
    word: c % 2 === 0 ? 0 : 1,
    key0: of(0, "u32"),
    key1: of(1, "u32"),
    counter0: of(2, "u32"),
    counter1: of(3, "u32"),
  }),
  border: (builder) => border(builder, builder.bounds, builder.choices[2] % 2),
  concat: (builder) => {
    const split = splitAxis(builder, builder.bounds, builder.choices);
    if (split === undefined) return builder.load(builder.choices[0]);
    const { axis, start, range } = split;
    const inside = builder.load(builder.choices[0], builder.bounds.with(axis, { start: range.start, stop: start }));
    const outside = builder.load(builder.choices[1], builder.bounds.with(axis, { start, stop: range.stop }));
    return {
      kind: "region",
      dtype: inside.dtype,
      axis,
      start: range.start,
      stop: start,
      inside,
      outside: toDtype(outside, inside.dtype),
    };
  },
};

type Split = {
  readonly axis: number;
  readonly start: number;
  readonly stop: number;
  readonly range: { readonly start: number; readonly stop: number };
};

/** A part of an axis, sometimes beyond its ends. */
function splitAxis({ axes, isUsable }: Builder, bounds: Bounds, [c, d, e]: Builder["choices"]): Split | undefined {
  const usable = axes.flatMap((_, axis) => (isUsable(axis) ? [axis] : []));
  if (usable.length === 0) return undefined;
  const axis = choose(usable, c);
  const range = at(bounds, axis);
  const size = Math.max(0, range.stop - range.start);
  const start = range.start + (d % (size + 1));
  const stop = start + (e % (range.stop - start + 1));
  return { axis, start: d % 7 === 6 ? start - 1 : start, stop: e % 7 === 6 ? stop + 1 : stop, range };
}

/** A value within a part of an axis, with addresses that are valid only there, and an earlier value around it. */
function border(builder: Builder, bounds: Bounds, deeper: number): Scalar {
  const { choices, load, any, of } = builder;
  const split = splitAxis(builder, bounds, [choices[0] + deeper, choices[1] + 3 * deeper, choices[2]]);
  if (split === undefined) return load(choices[0]);
  const { axis, start, stop, range } = split;
  const within = bounds.with(axis, { start: Math.max(start, range.start), stop: Math.min(stop, range.stop) });
  const read = deeper > 0 ? border(builder, within, deeper - 1) : load(choices[0], within);
  const { dtype } = read;
  const isNumber = dtype !== "bool" && choices[1] % 3 === 0;
  const inside: Scalar = isNumber ? { kind: "binary", dtype, op: "add", x: read, y: of(1, dtype) } : read;
  return { kind: "region", dtype, axis, start, stop, inside, outside: toDtype(any(0), dtype) };
}

/** Every kind of instruction, by name. */
export const scalarInstructions: readonly string[] = Object.keys(instructionTable);

/** Builds expressions of one kernel; grows the operands they read. */
export class ExpressionBuilder {
  readonly #axes: readonly Axis[];
  readonly #operands: readonly OperandSlot[];

  constructor(axes: readonly Axis[], operands: readonly OperandSlot[]) {
    this.#axes = axes;
    this.#operands = operands;
  }

  /**
   * The value of the last instruction.
   * @param values what instructions may use from the start; the accumulator in an epilogue
   * @param role of an epilogue: only parallel axes are used
   */
  build(instructions: readonly ScalarInstruction[], values: readonly Scalar[], role: "body" | "epilogue"): Scalar {
    const known = [...values];
    const isUsable = (axis: number): boolean => role === "body" || at(this.#axes, axis).role === "parallel";
    const bounds = this.#axes.map(({ size }) => ({ start: 0, stop: size }));
    for (const { name, operands, choices, access } of instructions) {
      const apply = instructionTable[name];
      if (apply === undefined) throw new Error(`no instruction ${name}`);
      const load = (choice: number, within: Bounds = bounds): Scalar => this.#load(choice, access, within, isUsable);
      // Operand i is by default the value i before the newest; where there is none it is loaded.
      const any = (i: OperandNumber): Scalar => known.at(-1 - i - operands[i]) ?? load(i + operands[i]);
      const of = (i: OperandNumber, dtype: DType): Scalar => {
        // The first operand is cast where it must be, so that values get used; the others are of the dtype if any is.
        if (i === 0) return toDtype(any(0), dtype);
        const fitting = known.filter((scalar) => scalar.dtype === dtype).at(-1 - i - operands[i]);
        const slots = this.#operands.flatMap((slot, number) => (slot.dtype === dtype ? [number] : []));
        return fitting ?? (slots.length > 0 ? load(choose(slots, operands[i])) : toDtype(any(i), dtype));
      };
      known.push(
        apply({
          choices,
          axes: this.#axes,
          any,
          of,
          load,
          gather: (choice, index, size, stride) => this.#gather({ choice, index, size, stride }, access, isUsable),
          index: () => this.#affine(access, bounds, isUsable, Infinity)?.at ?? this.#constantPlace(0),
          bounds,
          isUsable,
        }),
      );
    }
    return known.at(-1) ?? this.#load(0, { order: 0, skip: 0, flip: 0, step: 1, gap: 0 }, bounds, isUsable);
  }

  /** An element of an i32 operand that depends on the reduce axes alone, or a number if there is no such operand. */
  rowIndex(choice: number, access: Access): Scalar {
    const slots = this.#operands.flatMap((slot, number) => (slot.dtype === "i32" ? [number] : []));
    if (slots.length === 0) return literal(choice % 3, "i32");
    const bounds = this.#axes.map(({ size }) => ({ start: 0, stop: size }));
    return this.#load(choose(slots, choice), access, bounds, (axis) => at(this.#axes, axis).role === "reduce");
  }

  #load(choice: number, access: Access, bounds: Bounds, isUsable: (axis: number) => boolean): Scalar {
    const operand = choice % this.#operands.length;
    const slot = at(this.#operands, operand);
    const affine = this.#affine(access, bounds, isUsable, slot.isFixed ? slot.length : Infinity);
    if (affine === undefined) return literal(1, slot.dtype);
    slot.length = Math.max(slot.length, affine.length);
    return { kind: "load", dtype: slot.dtype, operand, at: affine.at };
  }

  #gather(
    { choice, index, size, stride }: { choice: number; index: Scalar; size: number; stride: number },
    access: Access,
    isUsable: (axis: number) => boolean,
  ): Scalar {
    const operand = choice % this.#operands.length;
    const slot = at(this.#operands, operand);
    const bounds = this.#axes.map((axis) => ({ start: 0, stop: axis.size }));
    const room = (slot.isFixed ? slot.length : Infinity) - stride * (size - 1);
    const affine = this.#affine(access, bounds, isUsable, room);
    if (affine === undefined) return literal(1, slot.dtype);
    const length = affine.length === 0 ? 0 : affine.length + stride * (size - 1);
    slot.length = Math.max(slot.length, length);
    return { kind: "gather", dtype: slot.dtype, operand, at: affine.at, index, stride, size };
  }

  #constantPlace(offset: number): Affine {
    return { offset, coefficients: this.#axes.map(() => 0) };
  }

  /** An address that stays within `capacity`, over fewer axes if need be, and the length that it needs. */
  #affine(
    access: Access,
    bounds: Bounds,
    isUsable: (axis: number) => boolean,
    capacity: number,
  ): { readonly at: Affine; readonly length: number } | undefined {
    let axes = orderAxes(this.#axes.length, access.order).filter((axis) => isUsable(axis) && !bit(access.skip, axis));
    let gap = access.gap;
    for (;;) {
      const coefficients = this.#coefficients(access, axes, gap);
      let [low, high] = [0, 0];
      coefficients.forEach((coefficient, axis) => {
        const { start, stop } = at(bounds, axis);
        low += Math.min(coefficient * start, coefficient * (stop - 1));
        high += Math.max(coefficient * start, coefficient * (stop - 1));
      });
      // A place that no point reaches may be anywhere, but is of the kernel's own address all the same.
      const isEmpty = bounds.some(({ start, stop }, axis) => start >= stop && isUsable(axis));
      const offset = gap - low;
      const length = isEmpty ? 0 : offset + high + 1;
      if (length <= capacity) return { at: { offset, coefficients }, length };
      if (axes.length === 0 && gap === 0) return undefined;
      if (gap > 0) gap = 0;
      else axes = axes.slice(0, -1);
    }
  }

  #coefficients({ order, flip, step }: Access, axes: readonly number[], gap: number): readonly number[] {
    const coefficients = this.#axes.map(() => 0);
    let stride = step;
    for (const [place, axis] of axes.entries()) {
      const size = order < 4 ? stride : (place + order) % 3;
      coefficients[axis] = size === 0 ? 0 : bit(flip, axis) ? -size : size;
      stride = stride * Math.max(1, at(this.#axes, axis).size) + gap;
    }
    return coefficients;
  }
}

/** Innermost first. */
function orderAxes(count: number, order: number): readonly number[] {
  const rowMajor = Array.from({ length: count }, (_, i) => count - 1 - i);
  switch (order) {
    case 1:
      return rowMajor.reverse();
    case 2:
      return [...rowMajor.slice(1), ...rowMajor.slice(0, 1)];
    case 3:
      return count < 2 ? rowMajor : [at(rowMajor, 1), at(rowMajor, 0), ...rowMajor.slice(2)];
    default:
      return rowMajor;
  }
}

/** Mostly the newest values, so that most of what is computed reaches the result. */
const operand = fc.oneof(
  { weight: 5, arbitrary: fc.constant(0) },
  { weight: 2, arbitrary: fc.constant(1) },
  { weight: 2, arbitrary: fc.nat(7) },
);
const choice = fc.nat(419);
const rarely = <T>(usual: T, arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T> =>
  fc.oneof({ weight: 3, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary });

export const accesses: fc.Arbitrary<Access> = fc.record({
  order: fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(6) }),
  skip: rarely(0, fc.nat(127)),
  flip: rarely(0, fc.nat(127)),
  step: rarely(1, fc.integer({ min: 2, max: 3 })),
  gap: rarely(0, fc.integer({ min: 1, max: 3 })),
});

/** What stands for much, or is what other instructions need, comes more often. */
const weights: { readonly [name: string]: number } = {
  load: 6,
  unary: 6,
  arithmetic: 4,
  integerArithmetic: 6,
  integerUnary: 2,
  quotient: 2,
  select: 2,
  border: 2,
  gather: 2,
  compare: 3,
};
const names = scalarInstructions.flatMap((name) => new Array<string>(weights[name] ?? 1).fill(name));

export const scalarInstruction: fc.Arbitrary<ScalarInstruction> = fc.record({
  name: fc.constantFrom(...names),
  operands: fc.tuple(operand, operand, operand, operand),
  choices: fc.tuple(choice, choice, choice),
  access: accesses,
});
