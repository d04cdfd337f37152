/**
 * Runs a plan as threads do, in JavaScript: steps joined and in bands, in memory that buffers share, threads meeting only where
 * they must, and in between in any order that chance gives. What may go wrong on real threads once in a while goes wrong here.
 */
import { bandsOf, type Band } from "../../../../engine/devices/wasm/program/bands.ts";
import { Barriers, touchOf } from "../../../../engine/devices/wasm/program/barriers.ts";
import { joinSteps } from "../../../../engine/passes/joinSteps.ts";
import { atOnce } from "../../../../engine/devices/eventLoop.ts";
import { type CompiledKernel, findingDistinct } from "../../../../engine/devices/wasm/program/module.ts";
import { regionsOf } from "../../../../engine/kernel/access.ts";
import { at as item } from "../../../../engine/graph/shape.ts";
import type { Plan } from "../../../../engine/kernel/plan.ts";
import { placeOf } from "../../../../testing/bounds/kernelPoints.ts";
import { forEachExactPoint, type Next } from "./exactKernels.ts";

/** A plan as it is run: its steps joined, how each is compiled, which go in bands. */
export type CompiledPlan = {
  readonly plan: Plan;
  readonly kernelOf: (step: number) => CompiledKernel;
  readonly bands: readonly Band[];
};

export function compilePlan(plan: Plan): CompiledPlan {
  const joined = joinSteps(plan, { operands: 64, results: 64, arrays: Infinity, joins: "rows" });
  const { distinct, numbers } = atOnce(findingDistinct(joined.steps.map(({ kernel }) => kernel)));
  const kernelOf = (step: number): CompiledKernel => item(distinct, item(numbers, step));
  return { plan: joined, kernelOf, bands: bandsOf(joined.steps, kernelOf, regionsOf(joined)) };
}

/** Rows `low` to `high` of a step, or meeting the other threads. */
type Action = { readonly step: number; readonly low: number; readonly high: number } | "meet";

/** The outputs of a run. */
export function simulatePlan(
  compiled: CompiledPlan,
  inputs: readonly ArrayLike<number>[],
  threads: number,
  next: Next,
): readonly (readonly number[])[] {
  const memory = new PlanMemory(compiled.plan, inputs);
  const programs = actionsOf(compiled, threads, next);
  const done = programs.map(() => 0);
  const forward = next(3);
  const wanted = (thread: number): Action | undefined => item(programs, thread)[item(done, thread)];
  const all = programs.map((_, thread) => thread);
  for (;;) {
    const busy = all.filter((thread) => !["meet", undefined].includes(wanted(thread) as string | undefined));
    if (busy.length === 0) {
      const waiting = all.filter((thread) => wanted(thread) === "meet");
      if (waiting.length === 0) return memory.outputs();
      for (const thread of waiting) done[thread] = item(done, thread) + 1;
      continue;
    }
    // One thread far ahead of the others, the first or the last, or any.
    const thread = item(busy, forward === 0 ? 0 : forward === 1 ? busy.length - 1 : next(busy.length));
    const action = wanted(thread);
    if (action !== undefined && action !== "meet") runRows(compiled, action, memory, next);
    done[thread] = item(done, thread) + 1;
  }
}

/** What each thread does. */
function actionsOf({ plan, kernelOf, bands }: CompiledPlan, threads: number, next: Next): Action[][] {
  const { steps } = plan;
  const regions = regionsOf(plan);
  const barriers = new Barriers();
  const programs: Action[][] = Array.from({ length: threads }, () => []);
  for (let first = 0; first < steps.length; ) {
    const band = bands.find((candidate) => candidate.first === first);
    const units = band?.units ?? [1];
    const members = steps.slice(first, first + units.length);
    const [own] = kernelOf(first).kernel.axes;
    const rows = band?.rows ?? (own?.role === "parallel" ? own.size : 1);
    const block = band?.block ?? 1 + next(4);
    const isShared = rows > block && next(4) > 0;
    const touches = members.map((member) => touchOf(member, regions, false));
    const touch = {
      reads: touches.flatMap(({ reads }) => reads),
      writes: touches.flatMap(({ writes }) => writes),
    };
    if (barriers.before(touch, isShared)) programs.forEach((program) => program.push("meet"));
    const blocks = Math.ceil(rows / block);
    programs.forEach((program, thread) => {
      const [from, to] = isShared
        ? [Math.floor((blocks * thread) / threads), Math.floor((blocks * (thread + 1)) / threads)]
        : [0, thread === 0 ? blocks : 0];
      for (let at = from; at < to; at++) {
        for (const [index, unit] of units.entries()) {
          const [low, high] = [at * block * unit, Math.min(rows, (at + 1) * block) * unit];
          program.push({ step: first + index, low, high });
        }
      }
    });
    first += units.length;
  }
  return programs;
}

/** Some rows of a step, in any order; what is stored is seen at once or later, as vectors do it. */
function runRows(
  { plan, kernelOf }: CompiledPlan,
  { step, low, high }: Exclude<Action, "meet">,
  memory: PlanMemory,
  next: Next,
): void {
  const { operands, results } = item(plan.steps, step);
  const { kernel } = kernelOf(step);
  const read = (operand: number, element: number): number => memory.read(item(operands, operand), element);
  const rows = Array.from({ length: high - low }, (_, row) => low + row);
  for (let last = rows.length - 1; last > 0; last--) {
    const other = next(last + 1);
    [rows[last], rows[other]] = [item(rows, other), item(rows, last)];
  }
  const sharesRows = kernel.axes[0]?.role === "parallel";
  let pending: (() => void)[] = [];
  for (const row of rows) {
    const range = sharesRows ? ([row, row + 1] as const) : ([0, kernel.axes[0]?.size ?? 0] as const);
    forEachExactPoint(kernel, range, read, (position, valueOf) => {
      for (const [index, { value: root, at }] of kernel.stores.entries()) {
        const [value, element] = [valueOf(root), placeOf(at, position)];
        pending.push(() => memory.write(item(results, index), element, value));
      }
    });
    if (next(2) === 0) continue;
    pending.forEach((store) => store());
    pending = [];
  }
  pending.forEach((store) => store());
}

/** Elements where a plan says that they are: outputs over inputs, temporaries in an arena. */
class PlanMemory {
  readonly #plan: Plan;
  readonly #cells: readonly { readonly space: Float64Array; readonly start: number }[];

  constructor(plan: Plan, inputs: readonly ArrayLike<number>[]) {
    this.#plan = plan;
    const bound = inputs.map((values) => Float64Array.from(values));
    const slots = plan.slots.map((bytes) => new Float64Array(bytes / 4).fill(NaN));
    this.#cells = plan.buffers.map(({ role, length }) => {
      switch (role.kind) {
        case "input":
          return { space: item(bound, role.index), start: 0 };
        case "output": {
          const input = plan.aliases[role.index] ?? null;
          return { space: input === null ? new Float64Array(length).fill(NaN) : item(bound, input), start: 0 };
        }
        case "constant":
          return { space: Float64Array.from(role.data), start: 0 };
        case "temporary":
          return { space: item(slots, role.slot), start: role.offset / 4 };
      }
    });
  }

  read(buffer: number, element: number): number {
    const { space, start } = item(this.#cells, buffer);
    const value = space[start + element];
    if (value === undefined) throw new RangeError(`element ${element} of buffer ${buffer}`);
    return value;
  }

  write(buffer: number, element: number, value: number): void {
    const { space, start } = item(this.#cells, buffer);
    space[start + element] = value;
  }

  outputs(): readonly (readonly number[])[] {
    return Array.from({ length: this.#plan.outputs }, (_, output) => {
      const buffer = this.#plan.buffers.findIndex(({ role }) => role.kind === "output" && role.index === output);
      const { space, start } = item(this.#cells, buffer);
      return [...space.subarray(start, start + item(this.#plan.buffers, buffer).length)];
    });
  }
}
