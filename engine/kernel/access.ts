/**
 * Which memory a step of a plan touches, where and when, and whether two steps, or two parts of the work of one, get in each other's
 * way. Whoever moves, joins, shares or overwrites asks here.
 */
import { at } from "../graph/shape.ts";
import type { Affine, Kernel, Scalar } from "./kernel.ts";
import type { Plan, PlanStep } from "./plan.ts";
import { rootsOf, scalarsOf } from "./scalar.ts";
import { storedBytes } from "./storage.ts";

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
  return plan.buffers.map((buffer): Region | null => {
    const { role } = buffer;
    switch (role.kind) {
      case "constant":
        return null;
      case "temporary":
        return { space: `slot ${role.slot}`, begin: role.offset, end: role.offset + storedBytes(buffer) };
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

/** Whether a load touches nothing but the part of its operand that belongs to the part of the work that it is made for. */
export type IsOwn = (address: Affine, operand: number) => boolean;

/** Of each operand of a kernel whether all that is read of it is its own: no gather, and no load elsewhere. */
export function readsOwn(kernel: Kernel, isOwn: IsOwn): readonly boolean[] {
  const own = kernel.operands.map(() => true);
  for (const scalar of scalarsOf(...rootsOf(kernel))) {
    if (!isRead(scalar)) continue;
    if (scalar.kind === "gather" || !isOwn(scalar.at, scalar.operand)) own[scalar.operand] = false;
  }
  return own;
}

/** An element of an operand. */
export type Read = Extract<Scalar, { readonly kind: "load" | "gather" }>;

export function isRead(scalar: Scalar): scalar is Read {
  return scalar.kind === "load" || scalar.kind === "gather";
}

/**
 * Whether all that a kernel reads is read before anything is written at the same point or at a later one. A device may keep the sums
 * of one that folds in a result before it reads what is stored with them.
 */
export function readsBeforeWriting({ reduction }: Kernel): boolean {
  return reduction === null;
}

/**
 * What a step does with memory, part by part. Results are written in the order of their elements, each part its own.
 * @param kernel the step's, in whatever form its addresses are told
 * @param isOwn of the kernel's loads
 * @param regionOf the memory of a buffer that is read or written; null: nothing that anybody writes
 */
export function usesOf(
  { operands, results }: Pick<PlanStep, "operands" | "results">,
  kernel: Kernel,
  isOwn: IsOwn,
  regionOf: (buffer: number, writes: boolean) => Region | null,
): readonly Use[] {
  const own = readsOwn(kernel, isOwn);
  const use = (buffer: number, writes: boolean, inPlace: boolean): Use[] => {
    const region = regionOf(buffer, writes);
    return region === null ? [] : [{ region, writes, inPlace }];
  };
  return [
    ...operands.flatMap((buffer, operand) => use(buffer, false, at(own, operand))),
    ...results.flatMap((buffer) => use(buffer, true, true)),
  ];
}
