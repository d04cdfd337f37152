/** Static memory plan: temporaries of disjoint lifetime share memory. */
import type { DType } from "../graph/dtype.ts";
import { at } from "../graph/shape.ts";
import type { BufferRole, PlanStep } from "../kernel/plan.ts";

export type PlannedBuffer = { readonly dtype: DType; readonly length: number; readonly temporary: boolean };

export type MemoryPlan = {
  /** The role of temporary buffer `index`. */
  readonly roles: (index: number) => BufferRole;
  /** Size of each slot in bytes. */
  readonly slots: readonly number[];
  /** How many pairs of buffers were compared to place them. */
  readonly comparisons: number;
};

/** Alignment of temporaries in an arena; a cache line. Sizes are rounded up beyond a vector's slack. */
const alignment = 64;
const slack = 16;

type Lifetime = { readonly buffer: number; readonly bytes: number; readonly first: number; readonly last: number };

/** @param layout `arena`: one slot, buffers at offsets in it. `slots`: each buffer is a whole slot. */
export function planMemory(
  buffers: readonly PlannedBuffer[],
  steps: readonly PlanStep[],
  layout: "arena" | "slots",
): MemoryPlan {
  const lifetimes = lifetimesOf(buffers, steps);
  const placed = layout === "arena" ? placeInArena(lifetimes) : placeInSlots(lifetimes);
  return {
    slots: placed.slots,
    comparisons: placed.comparisons,
    roles: (index) => {
      const place = placed.places.get(index);
      // A temporary that no step writes is empty; it needs no memory.
      return { kind: "temporary", slot: place?.slot ?? 0, offset: place?.offset ?? 0 };
    },
  };
}

/** For each buffer that steps make the first step that does, and for each that they touch the last one that does. */
export function livesOf(steps: readonly PlanStep[]): {
  readonly first: ReadonlyMap<number, number>;
  readonly last: ReadonlyMap<number, number>;
} {
  const first = new Map<number, number>();
  const last = new Map<number, number>();
  steps.forEach(({ operands, results }, step) => {
    for (const result of results) if (!first.has(result)) first.set(result, step);
    for (const buffer of [...results, ...operands]) last.set(buffer, step);
  });
  return { first, last };
}

function lifetimesOf(buffers: readonly PlannedBuffer[], steps: readonly PlanStep[]): Lifetime[] {
  const { first, last } = livesOf(steps);
  return buffers.flatMap(({ length, temporary }, buffer) => {
    const [start, stop] = [first.get(buffer), last.get(buffer)];
    if (!temporary || start === undefined || stop === undefined) return [];
    const bytes = Math.ceil((length * 4 + slack) / alignment) * alignment;
    return [{ buffer, bytes, first: start, last: stop }];
  });
}

type Places = {
  readonly slots: number[];
  readonly comparisons: number;
  readonly places: Map<number, { readonly slot: number; readonly offset: number }>;
};

/** Largest first, each at the lowest offset that is free for its whole life: compared with those only that live at the same time. */
function placeInArena(lifetimes: readonly Lifetime[]): Places {
  const places = new Map<number, { slot: number; offset: number }>();
  const neighbours = new Contemporaries();
  let size = 0;
  for (const life of [...lifetimes].sort((a, b) => b.bytes - a.bytes || a.buffer - b.buffer)) {
    let offset = 0;
    for (const other of neighbours.of(life).sort((a, b) => a.offset - b.offset)) {
      if (other.offset - offset >= life.bytes) break;
      offset = Math.max(offset, other.offset + other.bytes);
    }
    neighbours.add({ ...life, offset });
    places.set(life.buffer, { slot: 0, offset });
    size = Math.max(size, offset + life.bytes);
  }
  return { slots: [size], places, comparisons: neighbours.found };
}

type Placed = Lifetime & { readonly offset: number };

/** Buffers by when they live. */
class Contemporaries {
  /** How many buffers all questions together have been answered with. */
  found = 0;
  /** By step: all that live then, and those whose life begins. */
  readonly #alive: Placed[][] = [];
  readonly #born: Placed[][] = [];

  add(placed: Placed): void {
    (this.#born[placed.first] ??= []).push(placed);
    for (let step = placed.first; step <= placed.last; step++) (this.#alive[step] ??= []).push(placed);
  }

  /** Those that live when `life` does. */
  of({ first, last }: Lifetime): Placed[] {
    const list = [...(this.#alive[first] ?? [])];
    for (let step = first + 1; step <= last; step++) list.push(...(this.#born[step] ?? []));
    this.found += list.length;
    return list;
  }
}

/** In order of time; a new buffer takes the free slot that fits best, or grows the largest free one, or opens one. */
function placeInSlots(lifetimes: readonly Lifetime[]): Places {
  const places = new Map<number, { slot: number; offset: number }>();
  const slots: number[] = [];
  const busyUntil: number[] = [];
  let comparisons = 0;
  for (const life of [...lifetimes].sort((a, b) => a.first - b.first)) {
    comparisons += slots.length;
    const free = slots.map((_, slot) => slot).filter((slot) => at(busyUntil, slot) < life.first);
    const fitting = free.filter((slot) => at(slots, slot) >= life.bytes).sort((a, b) => at(slots, a) - at(slots, b));
    const growing = free.sort((a, b) => at(slots, b) - at(slots, a));
    const slot = fitting[0] ?? growing[0] ?? slots.push(0) - 1;
    slots[slot] = Math.max(at(slots, slot), life.bytes);
    busyUntil[slot] = life.last;
    places.set(life.buffer, { slot, offset: 0 });
  }
  return { slots, places, comparisons };
}
