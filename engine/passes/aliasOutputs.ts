/** Which outputs may be written over the inputs they replace. */
import { at } from "../graph/shape.ts";
import type { PlanStep } from "../kernel/plan.ts";
import { readsBeforeWriting, readsOwn } from "../kernel/access.ts";
import { sameAffine } from "../kernel/affine.ts";

/** Output `output` is the new value of what input `input` holds. */
export type Donation = { readonly input: number; readonly output: number };

/**
 * Tells of a plan's steps whether an output may be written over an input: nobody needs the buffer `input` any more when the kernel that
 * makes `output` writes, as no later step reads it, and that kernel itself reads each element only where and before it writes it.
 */
export function overwritingOf(steps: readonly PlanStep[]): (input: number, output: number) => boolean {
  const writers = new Map<number, number>();
  const lastReads = new Map<number, number>();
  for (const [step, { operands, results }] of steps.entries()) {
    for (const buffer of operands) lastReads.set(buffer, step);
    for (const buffer of results) if (!writers.has(buffer)) writers.set(buffer, step);
  }
  return (input, output) => {
    const writer = writers.get(output);
    if (writer === undefined || (lastReads.get(input) ?? -1) > writer) return false;
    const { kernel, operands } = at(steps, writer);
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
  };
}
