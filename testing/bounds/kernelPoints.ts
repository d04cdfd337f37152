/**
 * The points of a kernel, straight from its definition: loops over the axes, one scalar after the other, no cleverness. What
 * stands for a number is open: float64 with an error bound for the truth, float32 for a device that can be trusted.
 */
import type { DType } from "../../engine/graph/dtype.ts";
import type { BinaryOp, CompareOp, UnaryOp } from "../../engine/graph/node.ts";
import { at } from "../../engine/graph/shape.ts";
import type { Affine, Axis, AxisRole, Kernel, ReduceOp, Scalar } from "../../engine/kernel/kernel.ts";

/** Numbers and what can be done with them. `dtype` is that of the operands, except for `literal` and `index`. */
export type Arithmetic<T> = {
  readonly literal: (value: number, dtype: DType) => T;
  /** A whole number as an element of `dtype`. */
  readonly index: (value: number, dtype: DType) => T;
  readonly unary: (op: UnaryOp, dtype: DType, x: T) => T;
  readonly binary: (op: BinaryOp, dtype: DType, x: T, y: T) => T;
  readonly compare: (op: CompareOp, dtype: DType, x: T, y: T) => T;
  readonly select: (condition: T, x: T, y: T) => T;
  readonly cast: (from: DType, to: DType, x: T) => T;
  readonly shift: (direction: "left" | "right", amount: number, dtype: DType, x: T) => T;
  readonly threefry: (word: 0 | 1, words: readonly [T, T, T, T]) => T;
  /** The fold of any number of terms, in any order. */
  readonly fold: (op: ReduceOp, dtype: DType, terms: readonly T[]) => T;
  /** An i32 as a number. */
  readonly whole: (x: T) => number;
  /** `element`, read at a place that depends on `index`. */
  readonly readAt: (index: T, element: T) => T;
};

/** Element number of an address at a point. */
export function placeOf({ offset, coefficients }: Affine, position: readonly number[]): number {
  let place = offset;
  for (let axis = 0; axis < coefficients.length; axis++) place += at(coefficients, axis) * at(position, axis);
  return place;
}

/** From where to where an axis goes. */
export type RangeOf = (axis: number, size: number) => readonly [number, number];

/**
 * Visits the points of a kernel within the range of each axis, outermost axis first.
 * @param read gives element `place` of an operand
 * @param visit gets a position that changes, and what evaluates an expression there, which may use what was folded
 */
export function forEachPoint<T>(
  { axes, reduction }: Kernel,
  arithmetic: Arithmetic<T>,
  read: (operand: number, place: number) => T,
  visit: (position: readonly number[], valueOf: (root: Scalar) => T) => void,
  rangeOf: RangeOf = (_, size) => [0, size],
): void {
  const point: Point<T> = { position: axes.map(() => 0), accumulator: undefined, number: 0 };
  const functionOf = scalarCompiler(arithmetic, read, point);
  const valueOf = (root: Scalar): T => {
    point.number++;
    return functionOf(root)();
  };
  const walkParallel = walkOf(axes, "parallel", point.position, rangeOf);
  if (reduction === null) return walkParallel(() => visit(point.position, valueOf));
  const walkReduce = walkOf(axes, "reduce", point.position, rangeOf);
  const { op, body } = reduction;
  const bodyHere = functionOf(body);
  walkParallel(() => {
    const terms: T[] = [];
    point.accumulator = undefined;
    walkReduce(() => {
      point.number++;
      terms.push(bodyHere());
    });
    point.accumulator = arithmetic.fold(op, body.dtype, terms);
    visit(point.position, valueOf);
  });
}

/** Walks through the axes of a role, and leaves `position` at 0 of each. */
function walkOf(
  axes: readonly Axis[],
  role: AxisRole,
  position: number[],
  rangeOf: RangeOf,
): (visit: () => void) => void {
  const loops = axes.flatMap((axis, index) => {
    const [from, to] = rangeOf(index, axis.size);
    return axis.role === role ? [{ index, from, to }] : [];
  });
  const walk = (level: number, visit: () => void): void => {
    const loop = loops[level];
    if (loop === undefined) return visit();
    for (let i = loop.from; i < loop.to; i++) {
      position[loop.index] = i;
      walk(level + 1, visit);
    }
    position[loop.index] = 0;
  };
  return (visit) => walk(0, visit);
}

/** {@link placeOf} of wherever `position` is by then, by the axes that matter. */
function placeAt({ offset, coefficients }: Affine, position: readonly number[]): () => number {
  const axes = [...coefficients.keys()].filter((axis) => coefficients[axis] !== 0);
  const strides = axes.map((axis) => at(coefficients, axis));
  return () => {
    let place = offset;
    for (let i = 0; i < axes.length; i++) place += (strides[i] ?? NaN) * (position[axes[i] ?? -1] ?? NaN);
    return place;
  };
}

/** Where expressions are evaluated. `number`: which evaluation it is. */
type Point<T> = { readonly position: number[]; accumulator: T | undefined; number: number };

/** Makes a function of each expression once; to look at its kind at every point would take most of the time. */
function scalarCompiler<T>(
  arithmetic: Arithmetic<T>,
  read: (operand: number, place: number) => T,
  point: Point<T>,
): (root: Scalar) => () => T {
  const { position } = point;
  const made = new Map<Scalar, () => T>();
  const of = (scalar: Scalar): (() => T) => {
    const known = made.get(scalar);
    if (known !== undefined) return known;
    const compute = functionOf(scalar);
    if (scalar.kind === "load" || scalar.kind === "literal") {
      made.set(scalar, compute);
      return compute;
    }
    let last = 0;
    let value: T;
    // What is used several times is computed once.
    const once = (): T => {
      if (last !== point.number) {
        value = compute();
        last = point.number;
      }
      return value;
    };
    made.set(scalar, once);
    return once;
  };
  const functionOf = (scalar: Scalar): (() => T) => {
    switch (scalar.kind) {
      case "load": {
        const { operand } = scalar;
        const place = placeAt(scalar.at, position);
        return () => read(operand, place());
      }
      case "gather": {
        const index = of(scalar.index);
        const place = placeAt(scalar.at, position);
        return () => {
          const row = Math.max(0, Math.min(scalar.size - 1, arithmetic.whole(index())));
          return arithmetic.readAt(index(), read(scalar.operand, place() + scalar.stride * row));
        };
      }
      case "literal": {
        const value = arithmetic.literal(scalar.value, scalar.dtype);
        return () => value;
      }
      case "index": {
        const place = placeAt(scalar.at, position);
        return () => arithmetic.index(place(), scalar.dtype);
      }
      case "unary": {
        const x = of(scalar.x);
        return () => arithmetic.unary(scalar.op, scalar.x.dtype, x());
      }
      case "binary": {
        const [x, y] = [of(scalar.x), of(scalar.y)];
        return () => arithmetic.binary(scalar.op, scalar.dtype, x(), y());
      }
      case "compare": {
        const [x, y] = [of(scalar.x), of(scalar.y)];
        return () => arithmetic.compare(scalar.op, scalar.x.dtype, x(), y());
      }
      case "select": {
        const [condition, x, y] = [of(scalar.condition), of(scalar.x), of(scalar.y)];
        return () => arithmetic.select(condition(), x(), y());
      }
      case "cast": {
        const x = of(scalar.x);
        return () => arithmetic.cast(scalar.x.dtype, scalar.dtype, x());
      }
      case "shift": {
        const x = of(scalar.x);
        return () => arithmetic.shift(scalar.direction, scalar.amount, scalar.dtype, x());
      }
      case "threefry": {
        const [k0, k1, c0, c1] = [of(scalar.key0), of(scalar.key1), of(scalar.counter0), of(scalar.counter1)];
        return () => arithmetic.threefry(scalar.word, [k0(), k1(), c0(), c1()]);
      }
      case "region": {
        const { axis, start, stop } = scalar;
        const [inside, outside] = [of(scalar.inside), of(scalar.outside)];
        return () => {
          const i = at(position, axis);
          return start <= i && i < stop ? inside() : outside();
        };
      }
      case "within": {
        const { start, stop, at: affine } = scalar;
        const [inside, outside] = [of(scalar.inside), of(scalar.outside)];
        return () => {
          const place = placeOf(affine, position);
          return start <= place && place < stop ? inside() : outside();
        };
      }
      case "accumulator":
        return () => {
          if (point.accumulator === undefined) throw new Error("an accumulator where nothing was folded");
          return point.accumulator;
        };
    }
  };
  return of;
}
