/**
 * Float64 numbers with a bound on the error of a device that computes in float32: `bounds.ts` as an arithmetic. The error
 * of an i32, u32 or bool is 0, or Infinity where a rounding error upstream may have changed it.
 */
import {
  binaryScalar,
  castScalar,
  compareScalar,
  shiftScalar,
  threefryScalar,
  unaryScalar,
  wrap,
} from "../../engine/devices/oracle/scalars.ts";
import type { DType } from "../../engine/graph/dtype.ts";
import {
  type Accuracy,
  binaryError,
  compareError,
  conversionError,
  literalError,
  sumError,
  truncationError,
  unaryError,
} from "./bounds.ts";
import type { Arithmetic } from "./kernelPoints.ts";

type BoundedScalar = { readonly value: number; readonly error: number };

/** A whole number or a bool that is certain if everything it was made of is. `worst`: the largest error of that. */
function decided(value: number, worst: number): BoundedScalar {
  return { value, error: worst === Infinity ? Infinity : 0 };
}

function worstOf(terms: readonly BoundedScalar[]): number {
  let worst = 0;
  for (const { error } of terms) worst = Math.max(worst, error);
  return worst;
}

const pair = ({ value, error }: BoundedScalar): readonly [number, number] => [value, error];

export function boundedArithmetic(accuracy: Accuracy): Arithmetic<BoundedScalar> {
  /** An f32 result of operands of which `worst` is the largest error. What exact ones make NaN or infinite is so wherever there are such values. */
  const rounded = (value: number, worst: number, bound: number): BoundedScalar => {
    if (worst === Infinity) return { value, error: Infinity };
    if (worst === 0 && !Number.isFinite(value)) return { value, error: accuracy.specialValues ? 0 : Infinity };
    return { value, error: Number.isNaN(bound) ? Infinity : bound };
  };
  return {
    literal: (value, dtype) =>
      dtype === "f32"
        ? { value, error: literalError(value, accuracy) }
        : { value: dtype === "bool" ? Number(value !== 0) : wrap(value, dtype), error: 0 },
    index: (value, dtype) =>
      dtype === "f32"
        ? { value, error: conversionError(value) }
        : { value: dtype === "bool" ? Number(value !== 0) : wrap(value, dtype), error: 0 },
    unary: (op, dtype, x) => {
      const value = unaryScalar(op, x.value, dtype);
      if (dtype !== "f32") return decided(value, x.error);
      return rounded(value, x.error, unaryError(op, x.value, x.error, accuracy));
    },
    binary: (op, dtype, x, y) => {
      const value = binaryScalar(op, x.value, y.value, dtype);
      const worst = Math.max(x.error, y.error);
      if (dtype !== "f32") return decided(value, worst);
      return rounded(value, worst, binaryError(op, pair(x), pair(y), accuracy));
    },
    compare: (op, dtype, x, y) => {
      const value = compareScalar(op, x.value, y.value);
      if (dtype !== "f32") return decided(value, Math.max(x.error, y.error));
      return { value, error: compareError(op, pair(x), pair(y), accuracy) };
    },
    select: (condition, x, y) => {
      const chosen = condition.value === 0 ? y : x;
      return condition.error === Infinity ? { ...chosen, error: Infinity } : chosen;
    },
    cast: (from, to, x) => {
      const value = castScalar(x.value, from, to);
      if (from === to) return x;
      if (to === "f32") return x.error === Infinity ? x : { value, error: conversionError(value) };
      if (from !== "f32") return decided(value, x.error);
      if (to === "bool") return { value, error: compareError("notEqual", pair(x), [0, 0], accuracy) };
      return { value, error: truncationError(x.value, x.error) };
    },
    shift: (direction, amount, dtype, x) => decided(shiftScalar(direction, amount, x.value, dtype), x.error),
    threefry: (word, words) => {
      const [key0, key1, counter0, counter1] = words;
      const value = threefryScalar(word, key0.value, key1.value, counter0.value, counter1.value);
      return decided(value, worstOf(words));
    },
    fold: (op, dtype, terms) => (op === "sum" ? sum(dtype, terms, accuracy) : largest(dtype, terms, accuracy)),
    whole: ({ value }) => value,
    readAt: (index, element) => (index.error === Infinity ? { ...element, error: Infinity } : element),
  };
}

function sum(dtype: DType, terms: readonly BoundedScalar[], accuracy: Accuracy): BoundedScalar {
  const value = terms.reduce((total, term) => binaryScalar("add", total, term.value, dtype), 0);
  if (dtype !== "f32") return decided(value, worstOf(terms));
  const finite = terms.filter((term) => Number.isFinite(term.value));
  const magnitude = finite.reduce((total, term) => total + Math.abs(term.value), 0);
  const spread = terms.reduce((total, { error }) => total + error, 0);
  const error = sumError(finite.length === terms.length ? value : 0, terms.length, magnitude, spread, accuracy);
  if (finite.length === terms.length) return { value, error };
  // NaN and infinities give what they give in any order, unless finite terms may overflow on the way.
  return { value, error: error === Infinity || !accuracy.specialValues ? Infinity : 0 };
}

function largest(dtype: DType, terms: readonly BoundedScalar[], accuracy: Accuracy): BoundedScalar {
  const lowest = dtype === "f32" ? -Infinity : dtype === "i32" ? -(2 ** 31) : 0;
  const value = terms.reduce((most, term) => Math.max(most, term.value), lowest);
  const worst = worstOf(terms);
  if (dtype !== "f32" || worst === Infinity) return decided(value, worst);
  if (!Number.isFinite(value)) return { value, error: accuracy.specialValues ? 0 : Infinity };
  // Which of +0 and -0 wins is open; the slack makes a division by it uncertain.
  return { value, error: value === 0 ? Math.max(worst, 2 ** -149) : worst };
}
