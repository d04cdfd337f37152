/** Static memory plan: temporaries of disjoint lifetime share memory. */
import type { DType } from "../graph/dtype.ts";
import { at } from "../graph/shape.ts";
import type { Storage } from "../kernel/kernel.ts";
import type { BufferRole, PlanStep } from "../kernel/plan.ts";
import { placesInRow } from "../kernel/arenas.ts";
import { storedBytes } from "../kernel/storage.ts";
import { Arena, firstIndex, type Life } from "./arena.ts";

export type PlannedBuffer = {
  readonly dtype: DType;
  readonly length: number;
  readonly storage?: Storage;
  readonly temporary: boolean;
};

export type MemoryPlan = {
  /** The role of temporary buffer `index`. */
  readonly roles: (index: number) => BufferRole;
  /** Size of each slot in bytes. */
  readonly slots: readonly number[];
  /** How often a buffer was compared with a place to find its own. */
  readonly comparisons: number;
};

/** Alignment of temporaries in an arena; a cache line. Sizes are rounded up beyond a vector's slack. */
const alignment = 64;
const slack = 16;

type Lifetime = Life & { readonly buffer: number; readonly bytes: number };

/**
 * @param layout `arena`: one slot, buffers at offsets in it. `slots`: each buffer is a whole slot.
 * @param times when each step is run, in ascending order. Steps of one time may be run in any order and overlap: what one of them is
 * the last to read isn't free for the results of the others, nor do these share anything.
 * @param bundles temporaries that lie in one place, side by side, as long as any of them is needed
 */
export function planMemory(
  buffers: readonly PlannedBuffer[],
  steps: readonly PlanStep[],
  layout: "arena" | "slots",
  times: readonly number[] = steps.map((_, step) => step),
  bundles: readonly (readonly number[])[] = [],
): MemoryPlan {
  const apart = lifetimesOf(buffers, steps, times);
  const { lifetimes, offsets, homes } = bundled(apart, buffers, bundles);
  const placed = layout === "arena" ? placeInArena(lifetimes) : placeInSlots(lifetimes);
  return {
    slots: placed.slots,
    comparisons: placed.comparisons,
    roles: (index) => {
      const place = placed.places.get(homes.get(index) ?? index);
      // A temporary that no step writes is empty; it needs no memory.
      return { kind: "temporary", slot: place?.slot ?? 0, offset: (place?.offset ?? 0) + (offsets.get(index) ?? 0) };
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

function lifetimesOf(
  buffers: readonly PlannedBuffer[],
  steps: readonly PlanStep[],
  times: readonly number[],
): Lifetime[] {
  const { first, last } = livesOf(steps);
  return buffers.flatMap((planned, buffer) => {
    const [start, stop] = [first.get(buffer), last.get(buffer)];
    if (!planned.temporary || start === undefined || stop === undefined) return [];
    const bytes = Math.ceil((storedBytes(planned) + slack) / alignment) * alignment;
    return [{ buffer, bytes, first: at(times, start), last: at(times, stop) }];
  });
}

type Bundled = {
  /** A bundle is placed as a whole, under the number of its first buffer. */
  readonly lifetimes: readonly Lifetime[];
  readonly homes: ReadonlyMap<number, number>;
  /** Of each buffer of a bundle its place there. */
  readonly offsets: ReadonlyMap<number, number>;
};

function bundled(
  apart: readonly Lifetime[],
  buffers: readonly PlannedBuffer[],
  bundles: readonly (readonly number[])[],
): Bundled {
  const [homes, offsets] = [new Map<number, number>(), new Map<number, number>()];
  const lifeOf = new Map(apart.map((life) => [life.buffer, life]));
  const whole = bundles.map((members): Lifetime => {
    const lives = members.flatMap((member) => lifeOf.get(member) ?? []);
    const row = placesInRow(members.map((member) => storedBytes(at(buffers, member)) / 4));
    const buffer = at(members, 0);
    members.forEach((member, i) => {
      homes.set(member, buffer);
      offsets.set(member, at(row.offsets, i));
    });
    const [first, last] = [Math.min(...lives.map((life) => life.first)), Math.max(...lives.map((life) => life.last))];
    return { buffer, bytes: row.bytes, first, last };
  });
  return { lifetimes: [...apart.filter(({ buffer }) => !homes.has(buffer)), ...whole], homes, offsets };
}

type Places = {
  readonly slots: number[];
  readonly comparisons: number;
  readonly places: Map<number, { readonly slot: number; readonly offset: number }>;
};

/**
 * A buffer is small if this many would fit into the largest, and lives so many steps longer on both sides: steps over the same rows can't be
 * interleaved row by row where one's few numbers for each row lie in the middle of what another has just read.
 */
const smallShare = 16;
const smallMargin = 6;

/** Largest first, each at the lowest offset that is free for its whole life. */
function placeInArena(lifetimes: readonly Lifetime[]): Places {
  const places = new Map<number, { slot: number; offset: number }>();
  const steps = lifetimes.reduce((most, { last }) => Math.max(most, last + 1), 0);
  const arena = new Arena(steps);
  const largest = lifetimes.reduce((most, { bytes }) => Math.max(most, bytes), 0);
  let size = 0;
  for (const life of [...lifetimes].sort((a, b) => b.bytes - a.bytes || a.buffer - b.buffer)) {
    const margin = smallShare * life.bytes <= largest ? smallMargin : 0;
    const [first, last] = [Math.max(0, life.first - margin), Math.min(steps - 1, life.last + margin)];
    const offset = arena.take({ first, last }, life.bytes);
    places.set(life.buffer, { slot: 0, offset });
    size = Math.max(size, offset + life.bytes);
  }
  return { slots: [size], places, comparisons: arena.comparisons };
}

/** In order of time; a new buffer takes the free slot that fits best, or grows the largest free one, or opens one. */
function placeInSlots(lifetimes: readonly Lifetime[]): Places {
  const places = new Map<number, { slot: number; offset: number }>();
  const slots: number[] = [];
  /** In ascending order of size, equal ones in that of their numbers. */
  const free: number[] = [];
  const endingAt = new Map<number, number[]>();
  let comparisons = 0;
  const firstFree = (holds: (slot: number) => boolean): number =>
    firstIndex(free.length, (index) => {
      comparisons++;
      return holds(at(free, index));
    });
  let step = 0;
  for (const life of [...lifetimes].sort((a, b) => a.first - b.first)) {
    for (; step < life.first; step++) {
      for (const ended of endingAt.get(step) ?? []) {
        const size = at(slots, ended);
        free.splice(
          firstFree((slot) => at(slots, slot) > size || (at(slots, slot) === size && slot > ended)),
          0,
          ended,
        );
      }
    }
    const largest = at(slots, free.at(-1) ?? slots.push(0) - 1);
    const [found] = free.splice(
      firstFree((slot) => at(slots, slot) >= Math.min(life.bytes, largest)),
      1,
    );
    const slot = found ?? slots.length - 1;
    slots[slot] = Math.max(at(slots, slot), life.bytes);
    endingAt.set(life.last, [...(endingAt.get(life.last) ?? []), slot]);
    places.set(life.buffer, { slot, offset: 0 });
  }
  return { slots, places, comparisons };
}
