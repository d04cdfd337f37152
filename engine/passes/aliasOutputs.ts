/** Which outputs may be written over the inputs they replace. */
import { at } from "../graph/shape.ts";
import type { PlanStep } from "../kernel/plan.ts";
import { readsBeforeWriting, readsOwn } from "../kernel/access.ts";
import { sameAffine } from "../kernel/affine.ts";

/** Output `output` is the new value of what input `input` holds. */
export type Donation = { readonly input: number; readonly output: number };

/**
 * True if nobody needs the buffer `input` any more when the kernel that makes `output` writes: no later step reads it, and that
 * kernel itself reads each element only where and before it writes it.
 */
export function mayOverwrite(steps: readonly PlanStep[], input: number, output: number): boolean {
  const writer = steps.findIndex(({ results }) => results.includes(output));
  const writing = steps[writer];
  if (writing === undefined || steps.some(({ operands }, step) => step > writer && operands.includes(input)))
    return false;
  const { kernel, operands } = writing;
  const operand = operands.indexOf(input);
  if (operand < 0) return true;
  // Each result is written in the order of its elements: all stores have one address.
  const [store] = kernel.stores;
  return (
    readsBeforeWriting(kernel) &&
    at(
      readsOwn(kernel, (address) => sameAffine(address, store.at)),
      operand,
    )
  );
}
