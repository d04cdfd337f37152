/** How many arrays a kernel is given: what lies in one arena is one. */
import type { DeviceLimits } from "../devices/device.ts";
import { at } from "../graph/shape.ts";
import type { PlanBuffer } from "../kernel/plan.ts";

type Limits = Pick<DeviceLimits, "operands" | "results" | "arrays">;

/** The memory of each buffer, as far as it is known before temporaries are placed: equal numbers are one array. Null: now one, now another. */
export type Memories = readonly (number | null)[];

/** @param moves buffers that don't lie in the same memory in each run */
export function memoriesOf(
  buffers: readonly { readonly role: PlanBuffer["role"] | null }[],
  moves: ReadonlySet<number>,
): Memories {
  return buffers.map(({ role }, buffer) => {
    if (moves.has(buffer)) return null;
    const place = role === null || role.kind === "constant" || role.kind === "temporary" ? undefined : role.place;
    return place === undefined ? buffer : -1 - place.arena;
  });
}

/**
 * Whether a kernel can be given so many arrays.
 * @param operands each once
 * @param results each once
 */
export function arraysFit(operands: readonly number[], results: readonly number[], limits: Limits): boolean {
  return (
    operands.length <= limits.operands &&
    results.length <= limits.results &&
    operands.length + results.length <= limits.arrays
  );
}

/**
 * Whether it can be given them if what lies in one memory is one array, to be read and to be written. What may be a part of such an array
 * in some runs can't be given besides.
 */
export function memoriesFit(
  operands: readonly number[],
  results: readonly number[],
  limits: Limits,
  memories: Memories,
): boolean {
  const inMemory = (buffers: readonly number[]): Set<number | null> =>
    new Set(buffers.map((buffer) => at(memories, buffer)));
  const [read, written] = [inMemory(operands), inMemory(results)];
  const all = new Set([...read, ...written]);
  return !all.has(null) && written.size <= limits.results && all.size <= limits.arrays;
}
