/** The memory that steps of a plan touch, and when two of them get in each other's way. */
import { at } from "../graph/shape.ts";
import type { Plan } from "./plan.ts";

/** Memory that a step touches: bytes [begin, end) of a space; different spaces never overlap. */
export type Region = { readonly space: string; readonly begin: number; readonly end: number };

/** Whether two regions have bytes in common. */
export function overlap(one: Region, other: Region): boolean {
  return one.space === other.space && one.begin < other.end && other.begin < one.end;
}

/**
 * What a step does with a region. `inPlace`: for each part of the work (a point, a row) it touches the part of the region that
 * belongs to it, all regions cut alike.
 */
export type Use = { readonly region: Region; readonly writes: boolean; readonly inPlace: boolean };

/** Whether the work of two steps can't be interleaved part by part: one writes what the other touches in another part. */
export function interfere(one: Use, other: Use): boolean {
  if (!(one.writes || other.writes) || !overlap(one.region, other.region)) return false;
  const isSame = one.region.begin === other.region.begin && one.region.end === other.region.end;
  return !(one.inPlace && other.inPlace && isSame);
}

/** The memory of each of a plan's buffers; null for constants, which nothing writes. */
export function regionsOf(plan: Plan): readonly (Region | null)[] {
  return plan.buffers.map(({ role, length }): Region | null => {
    switch (role.kind) {
      case "constant":
        return null;
      case "temporary":
        return { space: `slot ${role.slot}`, begin: role.offset, end: role.offset + 4 * length };
      case "input":
        return { space: `input ${role.index}`, begin: 0, end: 1 };
      case "output": {
        // It may be bound to the memory of the input that it takes over.
        const input = at(plan.aliases, role.index);
        return { space: input === null ? `output ${role.index}` : `input ${input}`, begin: 0, end: 1 };
      }
    }
  });
}
