/** What a plan's steps are to the code that runs them: records in memory, one for each phase of a step, and for each band. */
import type { Plan, PlanBuffer } from "../../../kernel/plan.ts";
import { EvenkeelError } from "../../../errors.ts";
import { type Band, bandsOf } from "./bands.ts";
import { Barriers, type Touch, touchOf } from "./barriers.ts";
import { type LinearMemory, type OwnedMemory, writeData } from "../runtime/index.ts";
import type { JoinedStep } from "./joinSteps.ts";
import type { CompiledKernel } from "./module.ts";
import { recordFlags, recordLayout } from "./moduleRun.ts";
import { type Region, regionsOf } from "./regions.ts";

/** A place in a record that holds the address of an input or output. */
type Binding = { readonly address: number; readonly kind: "input" | "output"; readonly index: number };

/** Steps that only run together: one, or those of a band. */
export type Run = {
  readonly steps: readonly JoinedStep[];
  readonly band: Band | null;
  readonly start: number;
  readonly end: number;
  readonly isShared: boolean;
};

/** What threads share of a record: places 0 to `size`, of which `block` stay together. */
export type Part = {
  readonly start: number;
  readonly end: number;
  readonly size: number;
  readonly block: number;
  /** Estimated time in rough instructions. */
  readonly cost: number;
  readonly isShared: boolean;
  /** Whether it writes an output that takes over the memory of an input. */
  readonly overwritesInput: boolean;
};

export type Records = {
  readonly start: number;
  readonly end: number;
  readonly runs: readonly Run[];
  /** The records of all runs in order; those of a band are one. */
  readonly parts: readonly Part[];
  readonly bindings: readonly Binding[];
};

/** What records depend on besides the plan. */
export type Layout = {
  readonly memory: LinearMemory;
  readonly crew: { readonly threads: number };
  /** Estimated instructions from which a kernel is shared among threads. */
  readonly sharedCost: number;
};

/**
 * Allocates temporaries and constants and writes the records of all steps.
 * @throws EvenkeelError `memory` if they don't fit
 */
export function layOut(
  owned: OwnedMemory,
  plan: Plan,
  steps: readonly JoinedStep[],
  kernels: readonly CompiledKernel[],
  numbers: readonly number[],
  { memory, crew, sharedCost }: Layout,
): Records {
  const kernelOf = (step: number): CompiledKernel => {
    const compiled = kernels[numbers[step] ?? -1];
    if (compiled === undefined) throw new RangeError(`step ${step} has no kernel`);
    return compiled;
  };
  const addresses = allocateBuffers(owned, plan, memory);
  const scratch = allocateScratch(owned, kernels, crew.threads);
  const functions = firstFunctions(kernels);
  const regions = regionsOf(plan);
  const bands = new Map(bandsOf(steps, kernelOf, regions).map((band) => [band.first, band]));
  const sizeOf = (step: number): number => {
    const { operands, results } = steps[step] ?? { operands: [], results: [] };
    return recordLayout.addresses + 4 * (operands.length + results.length + (usesScratch(step) ? 2 : 0));
  };
  const usesScratch = (step: number): boolean => kernelOf(step).method.scratch !== null;
  const total =
    steps.reduce((sum, _, step) => sum + sizeOf(step) * kernelOf(step).method.phases.length, 0) +
    bands.size * recordLayout.addresses;
  const first = owned.allocate(total, "the steps of a program");
  const words = memory.uint32(0, (first + total) / 4);
  const bindings: Binding[] = [];
  const parts: Part[] = [];
  const overwrites = (joined: readonly JoinedStep[]): boolean =>
    joined.some(({ results }) =>
      results.some((buffer) => {
        const role = plan.buffers[buffer]?.role;
        return role?.kind === "output" && typeof plan.aliases[role.index] === "number";
      }),
    );
  const barriers = new Barriers();
  let at = first;
  const write = (header: Record<Exclude<keyof typeof recordLayout, "addresses">, number>): void => {
    for (const [field, value] of Object.entries(header)) {
      words[(at + recordLayout[field as keyof typeof header]) / 4] = value;
    }
  };
  const flagsOf = (isShared: boolean, touch: Touch): number =>
    (isShared ? recordFlags.shared : 0) | (barriers.before(touch, isShared) ? recordFlags.barrier : 0);
  const writeStep = (step: number, phase: number, header: { flags: number; size: number; block: number }): void => {
    const { operands, results } = steps[step] ?? { operands: [], results: [] };
    const bytes = sizeOf(step);
    write({ kernel: (functions[numbers[step] ?? 0] ?? 0) + phase, bytes, begin: 0, ...header });
    const tail = usesScratch(step) ? [...results, null] : [];
    [...operands, ...results, ...tail].forEach((buffer, operand) => {
      const address = at + recordLayout.addresses + 4 * operand;
      const role = buffer === null ? undefined : plan.buffers[buffer]?.role;
      words[address / 4] = buffer === null ? scratch : (addresses[buffer] ?? 0);
      if (role?.kind === "input" || role?.kind === "output")
        bindings.push({ address, kind: role.kind, index: role.index });
    });
    at += bytes;
  };
  const writeBand = ({ first: from, rows, block, units }: Band): boolean => {
    const members = units.map((_, index) => from + index);
    const cost = members.reduce((sum, step) => sum + (kernelOf(step).method.phases[0]?.cost ?? 0), 0);
    const isShared = crew.threads > 1 && rows > block && cost >= sharedCost;
    const end = members.reduce((sum, step) => sum + sizeOf(step), at + recordLayout.addresses);
    const together = steps.slice(from, from + units.length);
    const flags = flagsOf(isShared, union(together, regions)) | recordFlags.band;
    write({ kernel: end, flags, size: rows, block, bytes: recordLayout.addresses, begin: 0 });
    parts.push({ start: at, end, size: rows, block, cost, isShared, overwritesInput: overwrites(together) });
    at += recordLayout.addresses;
    units.forEach((unit, index) => writeStep(from + index, 0, { flags: 0, size: unit, block: 1 }));
    return isShared;
  };
  const writePhases = (step: number, joined: JoinedStep): boolean => {
    const { phases, scratch: needed } = kernelOf(step).method;
    const touch = touchOf(joined, regions, needed !== null);
    const shared = phases.map(({ size, block, cost }, phase) => {
      const isShared = crew.threads > 1 && size > block && cost >= sharedCost;
      const start = at;
      writeStep(step, phase, { flags: flagsOf(isShared, touch), size, block });
      parts.push({ start, end: at, size, block, cost, isShared, overwritesInput: overwrites([joined]) });
      return isShared;
    });
    return shared.includes(true);
  };
  const runs: Run[] = [];
  for (let step = 0; step < steps.length; ) {
    const start = at;
    const band = bands.get(step) ?? null;
    const together = steps.slice(step, step + (band?.units.length ?? 1));
    const [one] = together;
    if (one === undefined) break;
    const isShared = band === null ? writePhases(step, one) : writeBand(band);
    runs.push({ steps: together, band, start, end: at, isShared });
    step += together.length;
  }
  return { start: first, end: at, runs, parts, bindings };
}

function union(steps: readonly JoinedStep[], regions: readonly (Region | null)[]): Touch {
  const touches = steps.map((step) => touchOf(step, regions, false));
  return { reads: touches.flatMap(({ reads }) => reads), writes: touches.flatMap(({ writes }) => writes) };
}

/** The addresses of temporaries and constants; null for what a run binds. */
function allocateBuffers(owned: OwnedMemory, plan: Plan, memory: LinearMemory): readonly (number | null)[] {
  if (plan.slots.length > 1) {
    throw new EvenkeelError(
      "kernel",
      `wasm: the plan has ${plan.slots.length} slots; this device has one arena. Plan for its limits.`,
    );
  }
  const arena = owned.allocate(plan.slots[0] ?? 0, "the temporaries of a program");
  return plan.buffers.map(({ role, length }: PlanBuffer): number | null => {
    if (role.kind === "temporary") return arena + role.offset;
    if (role.kind !== "constant") return null;
    const address = owned.allocate(4 * length, "a constant");
    writeData(memory, address, role.data);
    return address;
  });
}

/** For each kernel the number of its first function in the module. */
function firstFunctions(kernels: readonly CompiledKernel[]): readonly number[] {
  let count = 0;
  return kernels.map(({ method }) => (count += method.phases.length) - method.phases.length);
}

/** Memory that the kernels of a program use one after the other. */
function allocateScratch(owned: OwnedMemory, kernels: readonly CompiledKernel[], threads: number): number {
  const bytes = kernels.map(({ method: { scratch } }) =>
    scratch === null ? 0 : scratch.shared + threads * scratch.perThread,
  );
  const most = bytes.reduce((a, b) => Math.max(a, b), 0);
  return most === 0 ? 0 : owned.allocate(most, "the scratch memory of a program");
}
