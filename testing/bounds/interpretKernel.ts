/** The truth about kernels and plans: their float64 results, and how far a device may be from them. */
import { at } from "../../engine/graph/shape.ts";
import type { Kernel } from "../../engine/kernel/kernel.ts";
import type { Plan } from "../../engine/kernel/plan.ts";
import type { Accuracy } from "./bounds.ts";
import { boundedArithmetic } from "./boundedScalars.ts";
import { type Bounded, boundedInput } from "./bounded.ts";
import { forEachPoint, placeOf } from "./kernelPoints.ts";

/**
 * The float64 result of a kernel and how far a device of an accuracy may be from it.
 * @throws RangeError where the kernel reads out of bounds, misses an element of its result or writes one twice
 * @example
 * ```ts
 * import { tensor, type Tensor } from "evenkeel/engine";
 *
 * const { graph } = await graphCase((x: Tensor) => x.divide(3), tensor([1]));
 * const { steps } = await planGraph(graph, new ReferenceDevice("arena"));
 * const x = { values: Float64Array.of(1), errors: Float64Array.of(0) };
 * const results = steps.map(({ kernel }) => interpretKernel(kernel, [x], accuracies.wasm));
 * console.log(results[0]?.values, results[0]?.errors); // Float64Array(1) [ 0.33333 ] Float64Array(1) [ 1.9868e-8 ]
 * ```
 */
export function interpretKernel(kernel: Kernel, operands: readonly Bounded[], accuracy: Accuracy): Bounded {
  const [{ value, length, at: to }] = kernel.stores;
  const [values, errors, isWritten] = [new Float64Array(length), new Float64Array(length), new Uint8Array(length)];
  let written = 0;
  forEachPoint(
    kernel,
    boundedArithmetic(accuracy),
    (operand, place) => {
      const given = at(operands, operand);
      const value = given.values[place];
      const error = given.errors[place];
      if (value === undefined || error === undefined || given.values.length !== kernel.operands[operand]?.length) {
        throw new RangeError(`${kernel.name} reads element ${place} of ${given.values.length} of operand ${operand}`);
      }
      return { value, error };
    },
    (position, valueOf) => {
      const place = placeOf(to, position);
      if (isWritten[place] !== 0) {
        throw new RangeError(`${kernel.name} writes element ${place} of ${length} twice or out of bounds`);
      }
      const element = valueOf(value);
      values[place] = element.value;
      errors[place] = element.error;
      isWritten[place] = 1;
      written++;
    },
  );
  if (written !== length) throw new RangeError(`${kernel.name} writes ${written} elements of ${length}`);
  return { values, errors };
}

/**
 * Every buffer of a plan of kernels with one result each after a run; those that nothing writes are what they replace.
 * @example
 * ```ts
 * import { tensor, type Tensor } from "evenkeel/engine";
 *
 * const { graph, inputs } = await graphCase((x: Tensor) => x.divide(3), tensor([1]));
 * const plan = await planGraph(graph, new ReferenceDevice("arena"));
 * console.log(interpretPlan(plan, inputs, accuracies.wasm).map(({ values }) => values[0])); // [ 1, 0.33333 ]
 * ```
 */
export function interpretPlan(plan: Plan, inputs: readonly ArrayLike<number>[], accuracy: Accuracy): Bounded[] {
  const buffers = plan.buffers.map(({ role, dtype, length }): Bounded => {
    const replaced = role.kind === "output" ? (plan.aliases[role.index] ?? null) : null;
    if (role.kind === "input") return boundedInput(at(inputs, role.index), dtype, accuracy);
    if (role.kind === "constant") return boundedInput(role.data, dtype, accuracy);
    if (replaced !== null) return boundedInput(at(inputs, replaced), dtype, accuracy);
    return { values: new Float64Array(length), errors: new Float64Array(length).fill(Infinity) };
  });
  for (const {
    kernel,
    operands,
    results: [result],
  } of plan.steps) {
    buffers[result] = interpretKernel(
      kernel,
      operands.map((operand) => at(buffers, operand)),
      accuracy,
    );
  }
  return buffers;
}
