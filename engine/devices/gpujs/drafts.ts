/** The dispatches of a plan before anything is compiled. */
import { at } from "../../graph/shape.ts";
import type { Plan, PlanStep } from "../../kernel/plan.ts";
import { type Home, placedKernel } from "./homes.ts";
import { emitBatches, type EmitOptions, type WgslKernel } from "./wgsl/index.ts";

/** A dispatch before its kernel is compiled. */
export type Draft = {
  /** The step that it runs; the first of several, if it is a batch. */
  readonly step: PlanStep;
  /** The step of the plan that it belongs to. */
  readonly part: PlanStep;
  /** The kernel of several members of a step at once. */
  readonly batch: WgslKernel | null;
};

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
  if (members.length === 1 && !members.some(isInArenas)) return [{ step: part, part, batch: null }];
  const batches = emitBatches(
    members.map((member) => placedKernel(member, homes)),
    options,
  ).filter((batch) => batch.members.length > 1 || isInArenas(at(members, at(batch.members, 0))));
  const inBatches = new Set(batches.flatMap((batch) => batch.members));
  return [
    ...batches.map((batch) => ({ step: at(members, at(batch.members, 0)), part, batch: batch.kernel })),
    ...members.flatMap((step, i) => (inBatches.has(i) ? [] : [{ step, part, batch: null }])),
  ];
}
