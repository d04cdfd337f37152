/** In which GPU buffer each of a plan's buffers lies, and from which byte on. */
import { at } from "../../graph/shape.ts";
import type { Plan, PlanStep } from "../../kernel/plan.ts";
import type { GpuRange } from "./webgpuMemory.ts";
import type { Aliases, PlacedKernel, PlacedRows } from "./wgsl/index.ts";

/** A part of a GPU buffer, which is the same one where `memory` is equal. */
export type Home = {
  readonly memory: string;
  readonly offset: number;
  /** Bytes of an element. */
  readonly width: 2 | 4;
  /** Bound by a caller who may have taken it from memory that others are in too. */
  readonly isForeign: boolean;
};

/** Where a plan expects its buffers: leaves of a state in its arenas, everything else of a caller's on its own. */
export function expectedHomes({ buffers, aliases }: Plan): readonly Home[] {
  return buffers.map(({ role, storage }, index): Home => {
    const width = storage === "float16" ? 2 : 4;
    switch (role.kind) {
      case "temporary":
        return { memory: `slot ${role.slot}`, offset: role.offset, width, isForeign: false };
      case "constant":
        return { memory: `constant ${index}`, offset: 0, width, isForeign: false };
      case "input":
      case "output": {
        if (role.place !== undefined) {
          return { memory: `arena ${role.place.arena}`, offset: role.place.offset, width, isForeign: false };
        }
        const input = role.kind === "input" ? role.index : at(aliases, role.index);
        const memory = input === null ? `output ${role.index}` : `input ${input}`;
        return { memory, offset: 0, width, isForeign: role.kind === "input" };
      }
    }
  });
}

/** Where a plan's buffers are if a caller binds these: inputs first, then outputs. */
export function actualHomes(plan: Plan, bound: readonly GpuRange[]): readonly Home[] {
  const numbers = new Map<GPUBuffer, number>();
  const homes = bound.map(({ buffer, offset }): Home => {
    const number = numbers.get(buffer) ?? numbers.size;
    numbers.set(buffer, number);
    return { memory: `bound ${number}`, offset, width: 4, isForeign: false };
  });
  return expectedHomes(plan).map((home, index) => {
    const external = externalIndex(plan, index);
    return external === null ? home : at(homes, external);
  });
}

/** The number of an input or output among what a caller binds. */
export function externalIndex(plan: Plan, buffer: number): number | null {
  const { role } = at(plan.buffers, buffer);
  if (role.kind === "input") return role.index;
  return role.kind === "output" ? plan.inputs + role.index : null;
}

/** How the arrays of a step share memory. */
export function aliasesOf({ operands, results }: PlanStep, homes: readonly Home[]): Aliases {
  const written = results.map((result) => at(homes, result));
  const isInArena = written.some(({ memory }) => memory.startsWith("arena"));
  const inPlace = operands.map((operand) => {
    const { memory, offset } = at(homes, operand);
    const result = written.findIndex((other) => other.memory === memory && other.offset === offset);
    return result < 0 ? null : result;
  });
  return {
    operands: inPlace,
    results: results.map((_, result) => result),
    beside: operands.map((operand, i) => {
      const { memory, isForeign } = at(homes, operand);
      // A leaf that has two buffers may have one in the arena.
      return inPlace[i] === null && ((isForeign && isInArena) || written.some((other) => other.memory === memory));
    }),
  };
}

/** From which byte on the memory is bound that a buffer lies in, by buffer; others are bound from their first byte on. */
export type Starts = ReadonlyMap<number, number>;

/**
 * The memory of temporaries from where the first of those begins that a step touches: steps that do the same further on in a memory have the
 * same text then.
 */
export function startsOf({ operands, results }: PlanStep, homes: readonly Home[]): Starts {
  const touched = [...operands, ...results].filter((buffer) => at(homes, buffer).memory.startsWith("slot"));
  const first = new Map<string, number>();
  for (const buffer of touched) {
    const { memory, offset } = at(homes, buffer);
    first.set(memory, Math.min(offset, first.get(memory) ?? Infinity));
  }
  return new Map(touched.map((buffer) => [buffer, first.get(at(homes, buffer).memory) ?? 0]));
}

/** A member of a step over the memory that all its members share. @param starts from where on this is bound */
export function placedStep(
  step: PlanStep,
  homes: readonly Home[],
  starts: Starts = new Map(),
): PlacedKernel | PlacedRows {
  const touched = [...step.operands, ...step.results];
  const arrays = [...new Set(touched.map((buffer) => at(homes, buffer).memory))];
  const place = (buffer: number): PlacedKernel["operands"][number] => {
    const { memory, offset, width } = at(homes, buffer);
    return { array: arrays.indexOf(memory), offset: (offset - (starts.get(buffer) ?? 0)) / width };
  };
  const places = ({ operands, results }: PlanStep): Pick<PlacedKernel, "operands" | "results"> => {
    return { operands: operands.map(place), results: results.map(place) };
  };
  if (step.stages === undefined) return { kernel: step.kernel, ...places(step) };
  return {
    name: step.kernel.name,
    ...places(step),
    stages: step.stages.map((stage) => ({ kernel: stage.kernel, rows: stage.rows, ...places(stage.step) })),
  };
}
