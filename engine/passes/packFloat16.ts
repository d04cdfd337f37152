/**
 * Temporaries of numbers that 16 bits hold take no more memory than that, where a device can have them so: each of their elements is
 * written in a four by one thread, and all kernels that touch them know. Nothing that is computed changes.
 */
import type { DeviceLimits } from "../devices/device.ts";
import { at } from "../graph/shape.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { partsOf, type PlanStep, type Stage } from "../kernel/plan.ts";
import { givesFloat16, withFloat16 } from "../kernel/storage.ts";

/**
 * @param bundles temporaries that lie side by side: one array for some steps, and so of one kind
 * @returns the steps with kernels that know, and the buffers
 */
export function packFloat16(
  steps: readonly PlanStep[],
  { writtenInFours }: Pick<DeviceLimits, "writtenInFours">,
  isTemporary: (buffer: number) => boolean,
  bundles: readonly (readonly number[])[],
): { readonly steps: readonly PlanStep[]; readonly packed: ReadonlySet<number> } {
  const packed = new Set<number>();
  if (writtenInFours === null) return { steps, packed };
  const rounded = roundedIn(steps);
  for (const step of steps) {
    const wanted = step.results.filter((buffer) => isTemporary(buffer) && rounded.has(buffer));
    if (wanted.length === 0) continue;
    const inFours = writtenInFours(step);
    for (const buffer of wanted) if (inFours.has(buffer)) packed.add(buffer);
  }
  for (const bundle of bundles) {
    if (!bundle.every((buffer) => packed.has(buffer))) for (const buffer of bundle) packed.delete(buffer);
  }
  if (packed.size === 0) return { steps, packed };
  const rewrite = new Rewriting(packed);
  return { steps: steps.map((step) => rewrite.step(step)), packed };
}

/** The buffers that hold numbers of 16 bits whatever is computed. */
export function roundedIn(steps: readonly PlanStep[]): ReadonlySet<number> {
  const rounded = new Set<number>();
  // What joined steps hand on in registers is among the parts' results, too.
  for (const { kernel, operands, results } of steps.flatMap(partsOf)) {
    const isRounded = (operand: number): boolean => rounded.has(at(operands, operand));
    results.forEach((buffer, i) => {
      if (givesFloat16(at(kernel.stores, i).value, isRounded)) rounded.add(buffer);
    });
  }
  return rounded;
}

/** Gives equal kernels over arrays of equal storage as one object, as plans have them. */
class Rewriting {
  readonly #packed: ReadonlySet<number>;
  readonly #known = new Map<Kernel, Map<string, Kernel>>();

  constructor(packed: ReadonlySet<number>) {
    this.#packed = packed;
  }

  step(step: PlanStep): PlanStep {
    const { members, stages, parts, kernel, operands, results } = step;
    return {
      ...step,
      // The kernel of several stands for them, and has no array of its own.
      kernel: members || stages ? kernel : this.#kernel(kernel, operands, results),
      ...(members && { members: members.map((member) => this.step(member)) }),
      ...(parts && { parts: parts.map((part) => this.step(part)) }),
      ...(stages && { stages: stages.map((stage) => this.#stage(stage)) }),
    };
  }

  #stage(stage: Stage): Stage {
    const { operands, results } = stage.step;
    return { ...stage, step: this.step(stage.step), kernel: this.#kernel(stage.kernel, operands, results) };
  }

  #kernel(kernel: Kernel, operands: readonly number[], results: readonly number[]): Kernel {
    const isOperand = (index: number): boolean => this.#packed.has(at(operands, index));
    const isResult = (index: number): boolean => this.#packed.has(at(results, index));
    const key = [...operands.map((_, i) => isOperand(i)), ...results.map((_, i) => isResult(i))].join();
    const made = this.#known.get(kernel) ?? new Map<string, Kernel>();
    this.#known.set(kernel, made);
    const rewritten = made.get(key) ?? withFloat16(kernel, isOperand, isResult);
    made.set(key, rewritten);
    return rewritten;
  }
}
