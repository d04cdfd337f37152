/** Which outputs may be written over the inputs they replace. */
import type { PlanStep } from "../kernel/plan.ts";
import { scalarsOf } from "../kernel/scalar.ts";

/** Output `output` is the new value of what input `input` holds. */
export type Donation = { readonly input: number; readonly output: number };

/**
 * True if nobody needs the buffer `input` any more when the kernel that makes `output` writes: no later step reads it, and that
 * kernel itself is element-wise and reads each element only where it writes it. A kernel that sums doesn't qualify: devices may keep
 * its sums in the result before what is stored reads anything.
 */
export function mayOverwrite(steps: readonly PlanStep[], input: number, output: number): boolean {
  const writer = steps.findIndex(({ results }) => results.includes(output));
  const writing = steps[writer];
  if (writing === undefined || steps.some(({ operands }, step) => step > writer && operands.includes(input)))
    return false;
  const { kernel, operands } = writing;
  const operand = operands.indexOf(input);
  if (operand < 0) return true;
  if (kernel.reduction !== null) return false;
  const [store] = kernel.stores;
  const address = JSON.stringify(store.at);
  return scalarsOf(store.value).every(
    (scalar) =>
      (scalar.kind !== "load" && scalar.kind !== "gather") ||
      scalar.operand !== operand ||
      (scalar.kind === "load" && JSON.stringify(scalar.at) === address),
  );
}
