/**
 * What a plan is to a device that dispatches its kernels one after the other and lets them overlap until it has to wait, as GPUs do:
 * how many there are, how long a chain of them waits for one another, how often everything waits, how much memory is bound. Known
 * from the plan alone.
 */
import { at } from "../graph/shape.ts";
import { regionsOf } from "./access.ts";
import type { Kernel } from "./kernel.ts";
import { type KernelKind, kernelKinds, kindOfKernel } from "./kernelKind.ts";
import type { Plan, PlanStep } from "./plan.ts";
import { storedBytes } from "./storage.ts";

/** The dispatches of one kind of kernel. */
export type KindCounts = {
  readonly kind: KernelKind;
  readonly dispatches: number;
  readonly flops: number;
  readonly bytes: number;
};

/** Counts of one run of a plan; see `dispatchCounts`. */
export type DispatchCounts = {
  /** Steps that have something to compute. */
  readonly dispatches: number;
  /** Different kernels among them. */
  readonly kernels: number;
  /** The longest chain of steps in which each reads what the one before it makes: no order and no memory makes it shorter. */
  readonly levels: number;
  /** The longest chain in which each touches memory that the one before it writes, or writes what that one touches. */
  readonly levelsInMemory: number;
  /**
   * Steps before which there is a barrier if the last use of each buffer is all that is known, as in WebGPU's implementations: one is
   * read after it was written, or written after anything. That a barrier for another buffer has waited for the same isn't known.
   */
  readonly barriers: number;
  /** The same in later runs if uses by the run before aren't forgotten: Dawn on Vulkan forgets none, so that whatever writes waits. */
  readonly barriersAgain: number;
  /** Barriers that it takes in this order if each of them waits for everything. */
  readonly fewestBarriers: number;
  /** Arrays bound, results included. */
  readonly bindings: number;
  /** Bytes of what is bound. */
  readonly bytes: number;
  readonly flops: number;
  /** What there is of each kind, in the order of `kernelKinds`. */
  readonly kinds: readonly KindCounts[];
};

/** What a dispatch does with memory: each number is a whole buffer of the device, as temporaries share them. */
type MemoryUse = { readonly reads: readonly number[]; readonly writes: readonly number[] };

/** Counts a plan's dispatches and what they wait for. Each slot, or the one arena, is a buffer; outputs may be an input's. */
export function dispatchCounts(plan: Plan): DispatchCounts {
  const steps = plan.steps.filter(({ kernel }) => kernel.stores[0].length > 0);
  const uses = memoryUses(plan, steps);
  const bytesOf = ({ operands, results }: PlanStep): number =>
    [...operands, ...results].reduce((sum, buffer) => sum + storedBytes(at(plan.buffers, buffer)), 0);
  const sum = (of: (step: PlanStep) => number, some = steps): number => some.reduce((all, step) => all + of(step), 0);
  const flopsOf = ({ kernel }: PlanStep): number => kernel.flops;
  const kinds = new Map<Kernel, KernelKind>();
  for (const { kernel } of steps) if (!kinds.has(kernel)) kinds.set(kernel, kindOfKernel(kernel));
  return {
    dispatches: steps.length,
    kernels: kinds.size,
    levels: longestChain(steps),
    levelsInMemory: longestWait(uses),
    ...barriersByBuffer(uses),
    fewestBarriers: barriersForAll(uses),
    bindings: sum(({ operands, results }) => operands.length + results.length),
    bytes: sum(bytesOf),
    flops: sum(flopsOf),
    kinds: kernelKinds.flatMap((kind) => {
      const own = steps.filter(({ kernel }) => kinds.get(kernel) === kind);
      return own.length === 0
        ? []
        : [{ kind, dispatches: own.length, flops: sum(flopsOf, own), bytes: sum(bytesOf, own) }];
    }),
  };
}

/** The device's buffers that steps touch. Constants are left out: nobody writes them. */
function memoryUses(plan: Plan, steps: readonly PlanStep[]): readonly MemoryUse[] {
  const numbers = new Map<string, number>();
  const memory = regionsOf(plan).map((region, buffer) => {
    if (region === null) return null;
    const { role } = at(plan.buffers, buffer);
    const place = role.kind === "input" || role.kind === "output" ? role.place : undefined;
    const space = place === undefined ? region.space : `arena ${place.arena}`;
    const known = numbers.get(space) ?? numbers.size;
    numbers.set(space, known);
    return known;
  });
  const buffersOf = (touched: readonly number[]): number[] => [
    ...new Set(touched.flatMap((buffer) => memory[buffer] ?? [])),
  ];
  return steps.map(({ operands, results }) => ({ reads: buffersOf(operands), writes: buffersOf(results) }));
}

/** Steps on the longest chain of values, and of what has to come before others though they don't read it. */
function longestChain(steps: readonly PlanStep[]): number {
  const madeAt = new Map<number, number>();
  let longest = 0;
  for (const { operands, results, after = [] } of steps) {
    const level = 1 + Math.max(0, ...[...operands, ...after].map((buffer) => madeAt.get(buffer) ?? 0));
    for (const buffer of results) madeAt.set(buffer, level);
    longest = Math.max(longest, level);
  }
  return longest;
}

/** Steps on the longest chain of such as can't overlap. */
function longestWait(uses: readonly MemoryUse[]): number {
  const writtenAt = new Map<number, number>();
  const touchedAt = new Map<number, number>();
  let longest = 0;
  for (const { reads, writes } of uses) {
    const level =
      1 +
      Math.max(
        0,
        ...reads.map((buffer) => writtenAt.get(buffer) ?? 0),
        ...writes.map((buffer) => touchedAt.get(buffer) ?? 0),
      );
    for (const buffer of [...reads, ...writes]) touchedAt.set(buffer, Math.max(level, touchedAt.get(buffer) ?? 0));
    for (const buffer of writes) writtenAt.set(buffer, level);
    longest = Math.max(longest, level);
  }
  return longest;
}

/** Barriers of a first and of a later run where the last use of each buffer is all that is known of it. */
function barriersByBuffer(uses: readonly MemoryUse[]): Pick<DispatchCounts, "barriers" | "barriersAgain"> {
  const lastUse = new Map<number, "read" | "written">();
  const run = (): number => {
    let barriers = 0;
    for (const { reads, writes } of uses) {
      const isFresh = reads.some((buffer) => lastUse.get(buffer) === "written");
      if (isFresh || writes.some((buffer) => lastUse.has(buffer))) barriers++;
      for (const buffer of reads) lastUse.set(buffer, "read");
      // Read and written in one dispatch it is bound for writing.
      for (const buffer of writes) lastUse.set(buffer, "written");
    }
    return barriers;
  };
  return { barriers: run(), barriersAgain: run() };
}

/** Barriers as late as can be, each of which waits for all that was dispatched before. */
function barriersForAll(uses: readonly MemoryUse[]): number {
  const touched = new Set<number>();
  const written = new Set<number>();
  let barriers = 0;
  for (const { reads, writes } of uses) {
    if (reads.some((buffer) => written.has(buffer)) || writes.some((buffer) => touched.has(buffer))) {
      barriers++;
      touched.clear();
      written.clear();
    }
    for (const buffer of [...reads, ...writes]) touched.add(buffer);
    for (const buffer of writes) written.add(buffer);
  }
  return barriers;
}
