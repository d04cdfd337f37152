import type { DType, TensorData } from "../graph/dtype.ts";
import { at } from "../graph/shape.ts";
import type { Kernel } from "./kernel.ts";

/**
 * Where a leaf of a state lies among the memory that all its leaves share, in bytes. Buffers of one arena can be touched by one kernel
 * as if they were one array.
 */
export type ArenaPlace = { readonly arena: number; readonly offset: number };

/** Where a buffer's memory comes from. */
export type BufferRole =
  /** Bound by the caller at every run: argument or state. */
  | { readonly kind: "input"; readonly index: number; readonly place?: ArenaPlace }
  /** Bound by the caller at every run: result or new state. */
  | { readonly kind: "output"; readonly index: number; readonly place?: ArenaPlace }
  /** Uploaded once when the plan is compiled. */
  | { readonly kind: "constant"; readonly data: TensorData }
  /** Lives inside a run only; shares the `slot` (and in an arena the bytes from `offset`) with others of disjoint lifetime. */
  | { readonly kind: "temporary"; readonly slot: number; readonly offset: number };

export type PlanBuffer = {
  readonly dtype: DType;
  /** In elements. */
  readonly length: number;
  readonly role: BufferRole;
};

/** One kernel run: `buffers[operands[i]]` is the kernel's operand i, `buffers[results[i]]` what its store i writes. */
export type PlanStep = {
  readonly kernel: Kernel;
  readonly operands: readonly number[];
  readonly results: readonly [number, ...number[]];
  /**
   * Steps that are run as one (`passes/batchSteps.ts`): none needs what another makes, their kernels differ in numbers alone, and what is
   * at one place of all of them, such as their first operands, lies in one memory. The step itself then lists what any of them touches,
   * and its kernel is the first one's with the flops and bytes of all.
   */
  readonly members?: readonly PlanStep[];
};

/** Ordered kernels over planned buffers: all a kernel device needs to know of a program. */
export type Plan = {
  readonly buffers: readonly PlanBuffer[];
  readonly steps: readonly PlanStep[];
  /** Size in bytes of each temporary slot. On devices with one arena there is a single slot. */
  readonly slots: readonly number[];
  readonly inputs: number;
  readonly outputs: number;
  /**
   * Per output: the input whose memory it takes over, so that the caller binds one device buffer to both; null for a
   * buffer of its own. An output that is its input unchanged has no step at all.
   */
  readonly aliases: readonly (number | null)[];
};

/** Whether a buffer is an output in the memory of an input, which is lost once a step has begun to write it. */
export function overwritesInput({ buffers, aliases }: Plan, buffer: number): boolean {
  const { role } = at(buffers, buffer);
  return role.kind === "output" && at(aliases, role.index) !== null;
}

/** The same plan for buffers that lie anywhere: each step that has members is those, one after the other. */
export function separated(plan: Plan): Plan {
  return {
    ...plan,
    buffers: plan.buffers.map((buffer): PlanBuffer => {
      const { role } = buffer;
      return role.kind === "input" || role.kind === "output"
        ? { ...buffer, role: { kind: role.kind, index: role.index } }
        : buffer;
    }),
    steps: plan.steps.flatMap((step) => step.members ?? [step]),
  };
}
