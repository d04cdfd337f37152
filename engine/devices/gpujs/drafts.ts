/** The dispatches of a plan before anything is compiled. */
import { at } from "../../graph/shape.ts";
import type { Plan, PlanStep } from "../../kernel/plan.ts";
import { type Home, placedStep, type Starts, startsOf } from "./homes.ts";
import { emitBatches, emitRows, type EmitOptions, type WgslKernel } from "./wgsl/index.ts";

/** A dispatch before its kernel is compiled. */
export type Draft = {
  /** The step that it runs; the first of several, if it is a batch. */
  readonly step: PlanStep;
  /** The step of the plan that it belongs to. */
  readonly part: PlanStep;
  /** The kernel over whole memories of several members of a step at once, or of stages; null: the step's own. */
  readonly whole: WgslKernel | null;
  /** From where on these memories are bound. */
  readonly starts: Starts;
};

const fromTheFirst: Starts = new Map();

/** A dispatch for each step with elements; for one with members as few as can be. */
export function draftsOf({ steps }: Plan, homes: readonly Home[], options: EmitOptions = {}): Draft[] {
  return steps
    .filter(({ kernel }) => kernel.stores[0].length > 0)
    .flatMap((step) => draftsOfStep(step, homes, options));
}

function draftsOfStep(part: PlanStep, homes: readonly Home[], options: EmitOptions): Draft[] {
  const members = part.members ?? [part];
  const isInArenas = ({ parts }: PlanStep): boolean => parts !== undefined;
  // What is alone is run as every step is, unless it relies on arenas.
  if (members.length === 1 && !members.some(isInArenas)) return [draftAlone(part, part, homes, options)];
  const batches = emitBatches(
    members.map((member) => placedStep(member, homes)),
    options,
  ).filter((batch) => batch.members.length > 1 || isInArenas(at(members, at(batch.members, 0))));
  const inBatches = new Set(batches.flatMap((batch) => batch.members));
  return [
    ...batches.map((batch) => ({
      step: at(members, at(batch.members, 0)),
      part,
      whole: batch.kernel,
      starts: fromTheFirst,
    })),
    ...members.flatMap((step, i) => (inBatches.has(i) ? [] : [draftAlone(step, part, homes, options)])),
  ];
}

/** Stages are written for the memory in which their arrays lie, as batches are. */
function draftAlone(step: PlanStep, part: PlanStep, homes: readonly Home[], options: EmitOptions): Draft {
  const starts = step.stages === undefined ? fromTheFirst : startsOf(step, homes);
  const placed = placedStep(step, homes, starts);
  return { step, part, whole: "stages" in placed ? emitRows(placed, options).own : null, starts };
}
