/** What a plan's steps are to the code that runs them: records in memory, one for each phase of a step, and for each band. */
import { overwritesInput, type Plan, type PlanBuffer, type PlanStep } from "../../../kernel/plan.ts";
import { EvenkeelError } from "../../../errors.ts";
import { at } from "../../../graph/shape.ts";
import { type Band, bandsOf } from "./bands.ts";
import { Barriers, type Touch, touchOf } from "./barriers.ts";
import { type LinearMemory, type OwnedMemory, writeData } from "../runtime/index.ts";
import { tableOf } from "../loops/index.ts";
import type { CompiledKernel, DistinctKernels } from "./module.ts";
import { recordFlags, recordLayout } from "./moduleRun.ts";
import { type Region, regionsOf } from "../../../kernel/access.ts";

/** A place in a record that holds the address of an input or output. */
type Binding = { readonly address: number; readonly kind: "input" | "output"; readonly index: number };

/** Steps that only run together: one, or those of a band. */
export type Run = {
  readonly steps: readonly PlanStep[];
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
export function layOut(owned: OwnedMemory, plan: Plan, kernels: DistinctKernels, layout: Layout): Records {
  const addresses = allocateBuffers(owned, plan, layout.memory);
  const regions = regionsOf(plan);
  const kernelOf = (step: number): CompiledKernel => compiledOf(kernels, step);
  const bands = new Map(bandsOf(plan.steps, kernelOf, regions).map((band) => [band.first, band]));
  const scratch = allocateScratch(owned, kernels, [...bands.values()], layout.crew.threads);
  const writer = new RecordWriter(owned, plan, kernels, { addresses, scratch, regions }, layout);
  for (let step = 0; step < plan.steps.length; ) {
    const band = bands.get(step);
    if (band === undefined) writer.step(step);
    else writer.band(band);
    step += band?.units.length ?? 1;
  }
  return writer.records();
}

/** Where a plan's buffers lie: their addresses, that of the scratch memory, and the regions that they share. */
type Places = {
  readonly addresses: readonly (number | null)[];
  readonly scratch: number;
  readonly regions: readonly (Region | null)[];
};

/** Writes records one behind the other. */
class RecordWriter {
  readonly #plan: Plan;
  readonly #kernels: DistinctKernels;
  /** Of distinct kernels: the number of the first function. */
  readonly #functions: readonly number[];
  readonly #places: Places;
  readonly #layout: Layout;
  readonly #barriers = new Barriers();
  readonly #bindings: Binding[] = [];
  readonly #parts: Part[] = [];
  readonly #runs: Run[] = [];
  readonly #words: Uint32Array;
  readonly #start: number;
  #at: number;

  constructor(owned: OwnedMemory, plan: Plan, kernels: DistinctKernels, places: Places, layout: Layout) {
    this.#plan = plan;
    this.#kernels = kernels;
    this.#functions = firstFunctions(kernels.distinct);
    this.#places = places;
    this.#layout = layout;
    // A band has a record more, and at least two steps.
    const bytes = plan.steps.reduce((sum, _, step) => {
      return sum + this.#bytesOf(step) * compiledOf(kernels, step).method.phases.length + recordLayout.addresses;
    }, 0);
    this.#start = owned.allocate(bytes, "the steps of a program");
    this.#at = this.#start;
    this.#words = layout.memory.uint32(0, (this.#start + bytes) / 4);
  }

  records(): Records {
    return { start: this.#start, end: this.#at, runs: this.#runs, parts: this.#parts, bindings: this.#bindings };
  }

  /** A step alone: a record for each of its phases. */
  step(step: number): void {
    const { phases, scratch } = compiledOf(this.#kernels, step).method;
    const planned = at(this.#plan.steps, step);
    const touch = touchOf(planned, this.#places.regions, scratch !== null);
    const start = this.#at;
    const shared = phases.map(({ size, block, cost }, phase) => {
      const isShared = this.#isShared(size, block, cost);
      const from = this.#at;
      this.#writeStep(step, phase, this.#places.scratch, { flags: this.#flags(isShared, touch), size, block });
      this.#part([planned], { start: from, size, block, cost, isShared });
      return isShared;
    });
    this.#runs.push({ steps: [planned], band: null, start, end: this.#at, isShared: shared.includes(true) });
  }

  /** Steps in bands of rows: a record of their own, then one for each. */
  band(band: Band): void {
    const { first, rows, block, units } = band;
    const members = units.map((_, index) => first + index);
    const steps = members.map((step) => at(this.#plan.steps, step));
    const cost = members.reduce((sum, step) => sum + at(compiledOf(this.#kernels, step).method.phases, 0).cost, 0);
    const isShared = this.#isShared(rows, block, cost);
    const start = this.#at;
    const usesScratch = (step: number): boolean => compiledOf(this.#kernels, step).method.scratch !== null;
    const touches = members.map((step, index) => touchOf(at(steps, index), this.#places.regions, usesScratch(step)));
    const touch = { reads: touches.flatMap(({ reads }) => reads), writes: touches.flatMap(({ writes }) => writes) };
    const end = members.reduce((sum, step) => sum + this.#bytesOf(step), start + recordLayout.addresses);
    const flags = this.#flags(isShared, touch) | recordFlags.band;
    this.#write({ kernel: end, flags, size: rows, block, bytes: recordLayout.addresses, begin: 0 });
    this.#at += recordLayout.addresses;
    // One thread may be at a step while another is at the next, so each has scratch memory of its own.
    let scratch = this.#places.scratch;
    units.forEach((unit, index) => {
      this.#writeStep(first + index, 0, scratch, { flags: 0, size: unit, block: 1 });
      scratch += scratchBytes(compiledOf(this.#kernels, first + index), this.#layout.crew.threads);
    });
    this.#part(steps, { start, size: rows, block, cost, isShared });
    this.#runs.push({ steps, band, start, end: this.#at, isShared });
  }

  #isShared(size: number, block: number, cost: number): boolean {
    return this.#layout.crew.threads > 1 && size > block && cost >= this.#layout.sharedCost;
  }

  #flags(isShared: boolean, touch: Touch): number {
    return (isShared ? recordFlags.shared : 0) | (this.#barriers.before(touch, isShared) ? recordFlags.barrier : 0);
  }

  #part(steps: readonly PlanStep[], part: Omit<Part, "end" | "overwritesInput">): void {
    const isOverwriting = steps.some(({ results }) => results.some((buffer) => overwritesInput(this.#plan, buffer)));
    this.#parts.push({ ...part, end: this.#at, overwritesInput: isOverwriting });
  }

  /** Bytes of a record of a step. */
  #bytesOf(step: number): number {
    return recordLayout.addresses + 4 * this.#tableOf(step).length;
  }

  /** The buffers in a step's table of addresses, as `phase.ts` has it; null: scratch memory. */
  #tableOf(step: number): readonly (number | null)[] {
    const { operands, results } = at(this.#plan.steps, step);
    const usesScratch = compiledOf(this.#kernels, step).method.scratch !== null;
    return tableOf<number | null>(operands, results, usesScratch ? [null] : []);
  }

  #writeStep(
    step: number,
    phase: number,
    scratch: number,
    header: { flags: number; size: number; block: number },
  ): void {
    const bytes = this.#bytesOf(step);
    const kernel = at(this.#functions, at(this.#kernels.numbers, step)) + phase;
    this.#write({ kernel, bytes, begin: 0, ...header });
    this.#tableOf(step).forEach((buffer, place) => {
      const address = this.#at + recordLayout.addresses + 4 * place;
      const role = buffer === null ? undefined : at(this.#plan.buffers, buffer).role;
      const isBound = role?.kind === "input" || role?.kind === "output";
      if (isBound) this.#bindings.push({ address, kind: role.kind, index: role.index });
      this.#words[address / 4] = isBound ? 0 : buffer === null ? scratch : this.#addressOf(buffer);
    });
    this.#at += bytes;
  }

  /** Of memory that stays where it is. */
  #addressOf(buffer: number): number {
    const address = at(this.#places.addresses, buffer);
    if (address === null) throw new RangeError(`buffer ${buffer} has no address`);
    return address;
  }

  #write(header: Readonly<Record<Exclude<keyof typeof recordLayout, "addresses">, number>>): void {
    for (const [field, value] of Object.entries(header)) {
      this.#words[(this.#at + recordLayout[field as keyof typeof header]) / 4] = value;
    }
  }
}

function compiledOf({ distinct, numbers }: DistinctKernels, step: number): CompiledKernel {
  return at(distinct, at(numbers, step));
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

/** Memory that the kernels of a program use one after the other, those of a band at once. */
function allocateScratch(
  owned: OwnedMemory,
  kernels: DistinctKernels,
  bands: readonly Band[],
  threads: number,
): number {
  const alone = kernels.distinct.map((kernel) => scratchBytes(kernel, threads));
  const together = bands.map(({ first, units }) =>
    units.reduce((sum, _, index) => sum + scratchBytes(compiledOf(kernels, first + index), threads), 0),
  );
  const most = [...alone, ...together].reduce((a, b) => Math.max(a, b), 0);
  return most === 0 ? 0 : owned.allocate(most, "the scratch memory of a program");
}

function scratchBytes({ method: { scratch } }: CompiledKernel, threads: number): number {
  return scratch === null ? 0 : scratch.shared + threads * scratch.perThread;
}
