/** Arrays of float64 numbers, each with a bound on how far a device may be from it. */
import type { DType, TensorData } from "../../engine/graph/dtype.ts";
import { type Accuracy, inputError } from "./bounds.ts";

/** Float64 values, and how far from each a device may be: Infinity where anything may be. */
export type Bounded = { readonly values: Float64Array; readonly errors: Float64Array };

/** What a device holds after an upload. */
export function boundedInput(data: ArrayLike<number>, dtype: DType, accuracy: Accuracy): Bounded {
  const values = Float64Array.from(data);
  return { values, errors: values.map((value) => (dtype === "f32" ? inputError(value, accuracy) : 0)) };
}

/** The first element that is not within its bound; 0 if there are more or fewer. */
export function firstViolation(got: TensorData, { values, errors }: Bounded): number | undefined {
  if (got.length !== values.length) return 0;
  const place = got.findIndex((value, i) => {
    const [wanted, error] = [values[i] ?? NaN, errors[i] ?? 0];
    if (error === Infinity || Object.is(value, wanted)) return false;
    return !(Math.abs(value - wanted) <= error);
  });
  return place < 0 ? undefined : place;
}
