/** All parts of a program as one plan, to look at: what it takes of memory and computes. Only those of one part can be run. */
import type { Plan, PlanBuffer, PlanStep } from "../kernel/plan.ts";
import { at } from "../graph/shape.ts";
import { type Own, type Planned, type PlannedLoop } from "./planGraph.ts";
import type { Slot } from "./splitAtLoops.ts";

/** Steps of loops are there once, with the number of their runs. What goes from part to part is a temporary with memory of its own. */
export function mergedPlan(planned: Planned): Plan {
  if (planned.kind === "whole") return planned.plan;
  const { plan, given } = planned.last;
  const merged = new Merged();
  const inputs = plan.inputs - given.length;
  const numbers = {
    input: Array.from({ length: inputs }, (_, index) => merged.buffer(roleOf(plan, "input", index))),
    own: planned.own.map((own) => merged.own(own)),
  };
  const numberOf = ({ kind, index }: Slot): number => at(numbers[kind], index);
  for (const part of planned.parts) {
    if (part.kind === "plan") {
      merged.add(part.plan, [...numbers.input, ...part.given.map(numberOf)], part.results.map(numberOf));
    } else addLoop(merged, part, numberOf);
  }
  const outputs = Array.from({ length: plan.outputs }, (_, index) => merged.buffer(roleOf(plan, "output", index)));
  merged.add(plan, [...numbers.input, ...given.map(numberOf)], outputs);
  return merged.plan(inputs, plan.outputs, plan.aliases);
}

function roleOf(plan: Plan, kind: "input" | "output", index: number): PlanBuffer {
  const buffer = plan.buffers.find(({ role }) => role.kind === kind && role.index === index);
  if (buffer === undefined) throw new Error(`the plan has no ${kind} ${index}`);
  return buffer;
}

function addLoop(merged: Merged, loop: PlannedLoop, numberOf: (slot: Slot) => number): void {
  const { length, carried, stacked, given } = loop;
  const turns = [0, 1].map(() => carried.map((own) => merged.own(own)));
  carried.forEach((own) => typeof own.first === "number" && merged.own(own));
  const stacks = loop.levels.map(({ height, most }) =>
    Array.from({ length: most }, () => stacked.map((own) => merged.own({ ...own, length: own.length * height }))),
  );
  const body = mergedPlan(loop.body);
  merged.add(body, [...at(turns, 0), ...given.map(numberOf)], [...at(turns, 1), ...(stacks[0]?.[0] ?? [])], length);
  const arraysOf = (of: readonly (readonly number[])[]): number[] =>
    stacked.flatMap((_, array) => of.map((stack) => at(stack, array)));
  loop.joins.forEach((plan, level) => {
    const times = Math.floor(length / at(loop.levels, level + 1).height);
    merged.add(plan, arraysOf(at(stacks, level)), at(at(stacks, level + 1), 0), times);
  });
  const out = carried.flatMap(({ result }, i) => (result === null ? [] : [{ result, from: at(at(turns, 1), i) }]));
  const left = stacks
    .map((of, level) => of.slice(0, at(loop.levels, level).left))
    .toReversed()
    .flat();
  if (stacked.length + out.length === 0) return;
  merged.add(
    loop.finish,
    [...arraysOf(left), ...out.map(({ from }) => from)],
    [...stacked, ...out].map(({ result }) => numberOf(result)),
  );
}

class Merged {
  readonly #buffers: PlanBuffer[] = [];
  readonly #steps: PlanStep[] = [];
  readonly #slots: number[] = [];

  buffer(buffer: PlanBuffer): number {
    return this.#buffers.push(buffer) - 1;
  }

  own({ dtype, length }: Own): number {
    const slot = this.#slots.push(4 * length) - 1;
    return this.buffer({ dtype, length, role: { kind: "temporary", slot, offset: 0 } });
  }

  /** The steps of a plan over these arrays in the place of its inputs and outputs. */
  add(plan: Plan, inputs: readonly number[], outputs: readonly number[], repeats = 1): void {
    const firstSlot = this.#slots.push(...plan.slots) - plan.slots.length;
    const numbers = plan.buffers.map((buffer) => {
      const { role } = buffer;
      if (role.kind === "input") return at(inputs, role.index);
      if (role.kind === "output") return at(outputs, role.index);
      if (role.kind === "constant") return this.buffer(buffer);
      return this.buffer({ ...buffer, role: { ...role, slot: firstSlot + role.slot } });
    });
    const moved = (step: PlanStep): PlanStep => {
      const [result, ...results] = step.results.map((buffer) => at(numbers, buffer));
      if (result === undefined) throw new Error(`${step.kernel.name} has no result`);
      return {
        ...step,
        operands: step.operands.map((buffer) => at(numbers, buffer)),
        results: [result, ...results],
        ...(step.after && { after: step.after.map((buffer) => at(numbers, buffer)) }),
        ...(step.members && { members: step.members.map(moved) }),
        ...(step.parts && { parts: step.parts.map(moved) }),
        ...(step.stages && { stages: step.stages.map((stage) => ({ ...stage, step: moved(stage.step) })) }),
        ...(repeats * (step.repeats ?? 1) > 1 && { repeats: repeats * (step.repeats ?? 1) }),
      };
    };
    this.#steps.push(...plan.steps.map(moved));
  }

  plan(inputs: number, outputs: number, aliases: Plan["aliases"]): Plan {
    return { buffers: this.#buffers, steps: this.#steps, slots: this.#slots, inputs, outputs, aliases };
  }
}
