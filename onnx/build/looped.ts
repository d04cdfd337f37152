/** Graphs within nodes that are run once a step, as loops of the engine. */
import { EvenkeelError, scan, type Tensor } from "../../engine/index.ts";
import { TensorValue, type Value } from "./value.ts";

/** What is done in each step. */
export type Steps = {
  readonly length: number;
  /** What is carried into the first step. */
  readonly carried: readonly (Value | undefined)[];
  /** Tensors [length, ...] of which each step gets a row. */
  readonly rows: readonly TensorValue[];
  /** The rows of the first step, known where steps that are written out would have them known. */
  readonly firstRows: readonly Value[];
  /** What is carried on, as many values as before, and then what is gathered. */
  readonly body: (carried: readonly Value[], rows: readonly Value[]) => readonly Value[];
};

const areTensors = (values: readonly (Value | undefined)[]): values is readonly TensorValue[] =>
  values.every((value) => value instanceof TensorValue);

/**
 * What is carried out of the last step, and what all steps gather along a new first axis. Undefined where steps must be written out: where
 * they make sequences or other shapes, where what comes of them would be known (shapes may depend on it), or where they look at
 * numbers that a loop knows only when it runs.
 */
export function looped({ length, carried, rows, firstRows, body }: Steps): readonly TensorValue[] | undefined {
  if (!areTensors(carried)) return undefined;
  try {
    const first = body(carried, firstRows);
    if (!areTensors(first) || first.some(({ isKnown }) => isKnown)) return undefined;
    const valuesOf = (tensors: readonly Tensor[], like: readonly TensorValue[]): TensorValue[] =>
      tensors.flatMap((made, i) =>
        like.slice(i, i + 1).map(({ name, type }) => TensorValue.computed(name, type, made, false)),
      );
    const { carry, ys } = scan(
      (given: readonly Tensor[], row: readonly Tensor[]) => {
        const made = body(valuesOf(given, carried), valuesOf(row, rows));
        const tensors = made.flatMap((value) => (value instanceof TensorValue ? [value.tensor] : []));
        return { carry: tensors.slice(0, carried.length), y: tensors.slice(carried.length) };
      },
      carried.map(({ tensor }): Tensor => tensor),
      rows.map(({ tensor }): Tensor => tensor),
      { length },
    );
    return valuesOf([...carry, ...ys], first);
  } catch (cause) {
    // Written out it may go, or else says in the model's words why not.
    if (cause instanceof EvenkeelError) return undefined;
    throw cause;
  }
}
