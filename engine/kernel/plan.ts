import type { DType, TensorData } from "../graph/dtype.ts";
import { at } from "../graph/shape.ts";
import type { Kernel, Storage } from "./kernel.ts";
import type { ChannelsLast } from "./layout.ts";

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
  /** As all kernels have it that touch the buffer. Of what a caller binds nothing is stored otherwise than its dtype says. */
  readonly storage?: Storage;
  readonly role: BufferRole;
  /** How its elements lie, if not in order; kernels' addresses say it, too. Only temporaries have one. */
  readonly layout?: ChannelsLast;
};

/** One kernel run: `buffers[operands[i]]` is the kernel's operand i, `buffers[results[i]]` what its store i writes. */
export type PlanStep = {
  readonly kernel: Kernel;
  readonly operands: readonly number[];
  readonly results: readonly [number, ...number[]];
  /** Buffers that must have been written before, though the step doesn't read them: what it computes is wanted behind them only. */
  readonly after?: readonly number[];
  /** How often it is run, if it is part of a loop and the plan is one to look at (`program/mergedPlan.ts`). */
  readonly repeats?: number;
  /**
   * Steps that are run as one (`passes/batchSteps.ts`): none needs what another makes, their kernels differ in numbers alone, and what is
   * at one place of all of them, such as their first operands, lies in one memory. The step itself then lists what any of them touches,
   * and its kernel is the first one's with the flops and bytes of all.
   */
  readonly members?: readonly PlanStep[];
  /**
   * Steps that a workgroup goes through one after the other for some rows of all of them (`passes/chainRows.ts`): what one of them makes
   * for a row no other touches in another row. The step itself then lists what is read that none of them makes, and all that is made.
   */
  readonly stages?: readonly Stage[];
  /**
   * The steps that were joined to this one (`passes/joinSteps.ts`), if it has more arrays than a kernel can be given one by one: it relies
   * on several of them lying in one arena, which is bound once.
   */
  readonly parts?: readonly PlanStep[];
};

/** A step as one of several over the same rows. */
export type Stage = {
  readonly step: PlanStep;
  /** The step's, its axes cut so that each that tells rows apart is one of its own. */
  readonly kernel: Kernel;
  /** The parallel axes that tell rows apart, in an order that is the same in all stages. */
  readonly rows: readonly number[];
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

/** What a step that is made of others waits for besides what they read. */
export function afterOf(steps: readonly PlanStep[]): Pick<PlanStep, "after"> {
  const made = new Set(steps.flatMap(({ results }) => results));
  const after = [...new Set(steps.flatMap((step) => step.after ?? []))].filter((buffer) => !made.has(buffer));
  return after.length === 0 ? {} : { after };
}

/** The steps that a step is made of: of each member its stages, of these those that were joined. */
export function partsOf(step: PlanStep): readonly PlanStep[] {
  return stepsIn(step).flatMap((member) => member.parts ?? [member]);
}

const stepsIn = (step: PlanStep): readonly PlanStep[] =>
  (step.members ?? [step]).flatMap((member) => member.stages?.map((stage) => stage.step) ?? [member]);

/**
 * The same plan for buffers that lie anywhere: each step that is made of others is those, one after the other. What joined ones hand on to
 * each other has memory here, which is the next step's when they are done.
 */
export function separated(plan: Plan): Plan {
  const buffers = plan.buffers.map((buffer): PlanBuffer => {
    const { role } = buffer;
    return role.kind === "input" || role.kind === "output"
      ? { ...buffer, role: { kind: role.kind, index: role.index } }
      : buffer;
  });
  const slots = [...plan.slots];
  for (const step of plan.steps.flatMap(stepsIn)) giveMemory(step, buffers, slots, plan.slots.length);
  return { ...plan, buffers, slots, steps: plan.steps.flatMap(partsOf) };
}

/** Adds memory for what the steps that were joined to one hand on, in slots from the first on. */
function giveMemory({ parts, results }: PlanStep, buffers: PlanBuffer[], slots: number[], first: number): void {
  const isStored = new Set(results);
  let slot = first;
  for (const part of parts ?? []) {
    part.results.forEach((result, i) => {
      const store = part.kernel.stores[i];
      if (isStored.has(result) || store === undefined) return;
      buffers[result] = { dtype: store.dtype, length: store.length, role: { kind: "temporary", slot, offset: 0 } };
      slots[slot] = Math.max(slots[slot] ?? 0, 4 * store.length);
      slot++;
    });
  }
}
