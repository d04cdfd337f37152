/**
 * What a kernel means, straight from its definition: loops over the axes, one scalar after the other, no cleverness. What
 * stands for a number is open: float64 with an error bound for the truth, float32 for a device that can be trusted.
 */
import type { DType } from "../../engine/graph/dtype.ts";
import type { BinaryOp, CompareOp, UnaryOp } from "../../engine/graph/node.ts";
import { at } from "../../engine/graph/shape.ts";
import type { Affine, AxisRole, Kernel, ReduceOp, Scalar } from "../../engine/kernel/kernel.ts";
import type { Plan } from "../../engine/kernel/plan.ts";
import type { Accuracy } from "./bounds.ts";
import { type BoundedScalar, boundedArithmetic, boundedInput } from "./boundedScalars.ts";
import type { Bounded } from "./graphBounds.ts";

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

/** Runs a kernel. `read` gives element `place` of an operand; `store` gets each element of the result. */
export function runKernel<T>(
  kernel: Kernel,
  arithmetic: Arithmetic<T>,
  read: (operand: number, place: number) => T,
  store: (place: number, value: T) => void,
): void {
  const { axes, body, reduction, result } = kernel;
  const position = axes.map(() => 0);
  const place = ({ offset, coefficients }: Affine): number =>
    coefficients.reduce((sum, coefficient, axis) => sum + coefficient * at(position, axis), offset);
  /** Visits every point of the axes of a role, outermost first. */
  const forEachPoint = (role: AxisRole, visit: () => void, axis = 0): void => {
    const loop = axes[axis];
    if (loop === undefined) return visit();
    if (loop.role !== role) return forEachPoint(role, visit, axis + 1);
    for (let i = 0; i < loop.size; i++) {
      position[axis] = i;
      forEachPoint(role, visit, axis + 1);
    }
    position[axis] = 0;
  };
  const evaluate = (root: Scalar, accumulator?: T): T => scalarValue(root, { position, place, accumulator, read });
  const scalarValue = scalarEvaluator(arithmetic);
  forEachPoint("parallel", () => {
    if (reduction === null) return store(place(result.at), evaluate(body));
    const terms: T[] = [];
    forEachPoint("reduce", () => terms.push(evaluate(body)));
    store(place(result.at), evaluate(reduction.epilogue, arithmetic.fold(reduction.op, body.dtype, terms)));
  });
}

/** Where an expression is evaluated. */
type Point<T> = {
  readonly position: readonly number[];
  readonly place: (at: Affine) => number;
  readonly accumulator: T | undefined;
  readonly read: (operand: number, place: number) => T;
};

function scalarEvaluator<T>(arithmetic: Arithmetic<T>): (root: Scalar, point: Point<T>) => T {
  return (root, { position, place, accumulator, read }) => {
    const known = new Map<Scalar, T>();
    const value = (scalar: Scalar): T => {
      const done = known.get(scalar);
      if (done !== undefined) return done;
      const computed = compute(scalar);
      known.set(scalar, computed);
      return computed;
    };
    const compute = (scalar: Scalar): T => {
      switch (scalar.kind) {
        case "load":
          return read(scalar.operand, place(scalar.at));
        case "gather": {
          const index = value(scalar.index);
          const row = Math.max(0, Math.min(scalar.size - 1, arithmetic.whole(index)));
          return arithmetic.readAt(index, read(scalar.operand, place(scalar.at) + scalar.stride * row));
        }
        case "literal":
          return arithmetic.literal(scalar.value, scalar.dtype);
        case "index":
          return arithmetic.index(place(scalar.at), scalar.dtype);
        case "unary":
          return arithmetic.unary(scalar.op, scalar.x.dtype, value(scalar.x));
        case "binary":
          return arithmetic.binary(scalar.op, scalar.dtype, value(scalar.x), value(scalar.y));
        case "compare":
          return arithmetic.compare(scalar.op, scalar.x.dtype, value(scalar.x), value(scalar.y));
        case "select":
          return arithmetic.select(value(scalar.condition), value(scalar.x), value(scalar.y));
        case "cast":
          return arithmetic.cast(scalar.x.dtype, scalar.dtype, value(scalar.x));
        case "shift":
          return arithmetic.shift(scalar.direction, scalar.amount, scalar.dtype, value(scalar.x));
        case "threefry": {
          const { word, key0, key1, counter0, counter1 } = scalar;
          return arithmetic.threefry(word, [value(key0), value(key1), value(counter0), value(counter1)]);
        }
        case "region": {
          const i = at(position, scalar.axis);
          return value(scalar.start <= i && i < scalar.stop ? scalar.inside : scalar.outside);
        }
        case "accumulator":
          if (accumulator === undefined) throw new Error("an accumulator outside an epilogue");
          return accumulator;
      }
    };
    return value(root);
  };
}

/**
 * The float64 result of a kernel and how far a device of an accuracy may be from it.
 * @throws RangeError where the kernel reads out of bounds, misses an element of its result or writes one twice
 */
export function interpretKernel(kernel: Kernel, operands: readonly Bounded[], accuracy: Accuracy): Bounded {
  const { length } = kernel.result;
  const elements = new Map<number, BoundedScalar>();
  runKernel(
    kernel,
    boundedArithmetic(accuracy),
    (operand, place) => {
      const { values, errors } = at(operands, operand);
      const [value, error] = [values[place], errors[place]];
      if (value === undefined || error === undefined || values.length !== kernel.operands[operand]?.length) {
        throw new RangeError(`${kernel.name} reads element ${place} of ${values.length} of operand ${operand}`);
      }
      return { value, error };
    },
    (place, element) => {
      if (!(place >= 0 && place < length) || elements.has(place)) {
        throw new RangeError(`${kernel.name} writes element ${place} of ${length} twice or out of bounds`);
      }
      elements.set(place, element);
    },
  );
  if (elements.size !== length) throw new RangeError(`${kernel.name} writes ${elements.size} elements of ${length}`);
  const list = Array.from({ length }, (_, place) => elements.get(place) ?? { value: NaN, error: Infinity });
  return {
    values: Float64Array.from(list, ({ value }) => value),
    errors: Float64Array.from(list, ({ error }) => error),
  };
}

/** Every buffer of a plan after a run; those that nothing writes are what they replace. */
export function interpretPlan(plan: Plan, inputs: readonly ArrayLike<number>[], accuracy: Accuracy): Bounded[] {
  const buffers = plan.buffers.map(({ role, dtype, length }): Bounded => {
    const replaced = role.kind === "output" ? (plan.aliases[role.index] ?? null) : null;
    if (role.kind === "input") return boundedInput(at(inputs, role.index), dtype, accuracy);
    if (role.kind === "constant") return boundedInput(role.data, dtype, accuracy);
    if (replaced !== null) return boundedInput(at(inputs, replaced), dtype, accuracy);
    return { values: new Float64Array(length), errors: new Float64Array(length).fill(Infinity) };
  });
  for (const { kernel, operands, result } of plan.steps) {
    buffers[result] = interpretKernel(
      kernel,
      operands.map((operand) => at(buffers, operand)),
      accuracy,
    );
  }
  return buffers;
}
