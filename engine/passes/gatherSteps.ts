/**
 * Brings steps that can be computed together next to each other, so that `joinSteps` finds them: each element-wise step goes to a group of
 * steps over the same points, if possible one that makes or reads what it reads. A group is computed when all that any of its steps
 * needs is there, so no step is put where the group would have to wait for what waits for it.
 */
import type { DeviceLimits } from "../devices/device.ts";
import { atOnce } from "../devices/eventLoop.ts";
import { at } from "../graph/shape.ts";
import { sameAffine } from "../kernel/affine.ts";
import { readsOwn } from "../kernel/access.ts";
import { reusesLoads } from "../kernel/contraction.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { PlanStep } from "../kernel/plan.ts";
import { rootsOf, scalarsOf } from "../kernel/scalar.ts";
import { bordersAllow, commonSizes, joinable, overSizes, parallelSizes } from "./joinable.ts";
import { mostScalars } from "./joinSteps.ts";
import { arraysFit, memoriesFit, type Memories } from "./memories.ts";
import { type Overwrite, placesOf } from "./places.ts";
import { Precedence } from "./precedence.ts";

type Limits = Pick<DeviceLimits, "operands" | "results" | "arrays" | "joins">;

/** Steps side by side. */
type Group = {
  readonly steps: readonly PlanStep[];
  /** That of all of them (`placesOf`). */
  readonly place: number;
  /** The kernels of the steps over the fewest axes; null if nothing can join. */
  readonly kernels: readonly Kernel[] | null;
  /** Axes over which all of them go. */
  readonly sizes: readonly number[];
  readonly points: number;
  readonly scalars: number;
  /** Whether the first of them folds. */
  readonly folds: boolean;
  /** Whether one of them has a border, which not every cut of the axes allows. */
  readonly hasBorders: boolean;
};

/**
 * @param steps in an order of computation; each buffer is made by one of them at most
 * @param isKept whether a buffer is needed when the steps are done
 * @param memories the memory of each buffer (`memoriesOf`), if kernels are given several in one as one
 */
export function gatherSteps(
  steps: readonly PlanStep[],
  limits: Limits,
  isKept: (buffer: number) => boolean,
  overwrites: readonly Overwrite[] = [],
  memories: Memories | null = null,
): readonly PlanStep[] {
  return atOnce(gatheringSteps(steps, limits, isKept, overwrites, memories));
}

/** The same, with pauses. */
export function* gatheringSteps(
  steps: readonly PlanStep[],
  limits: Limits,
  isKept: (buffer: number) => boolean,
  overwrites: readonly Overwrite[],
  memories: Memories | null,
): Generator<void, readonly PlanStep[]> {
  const readers = new Map<number, PlanStep[]>();
  for (const step of steps)
    for (const buffer of step.operands) readers.set(buffer, [...(readers.get(buffer) ?? []), step]);
  const fits = fitting(limits, isKept, readers, memories);
  const placed = new Map<PlanStep, number>();
  placesOf(steps, overwrites).forEach((place, step) => placed.set(at(steps, step), place));
  const alone = new Map<Kernel, Omit<Group, "steps" | "place">>();
  let groups = steps.map((step): Group => {
    const known = alone.get(step.kernel) ?? describe(step.kernel, limits.joins);
    alone.set(step.kernel, known);
    return { ...known, steps: [step], place: placed.get(step) ?? 0 };
  });
  // Groups may join others as steps do.
  for (let before = Infinity; groups.length < before; ) {
    before = groups.length;
    groups = yield* gather(groups, limits.joins, fits, overwrites);
  }
  return groups.flatMap((group) => group.steps);
}

/** The units in groups, each behind all that it needs. */
function* gather(
  units: readonly Group[],
  joins: Limits["joins"],
  fits: (steps: readonly PlanStep[]) => boolean,
  overwrites: readonly Overwrite[],
): Generator<void, Group[]> {
  const groups: Group[] = [];
  const order = new Precedence(units.length);
  const madeIn = new Map<number, number>();
  const readIn = new Map<number, Set<number>>();
  /** Groups that need no other. */
  const free = new Set<number>();
  const overwritten = new Map(overwrites.map(({ input, output }) => [output, input]));
  for (const unit of units) {
    const operands = unit.steps.flatMap((step) => step.operands);
    const results = unit.steps.flatMap((step) => step.results);
    const waits = unit.steps.flatMap((step) => step.after ?? []);
    const needed = new Set([
      ...[...operands, ...waits].flatMap((buffer) => madeIn.get(buffer) ?? []),
      ...results.flatMap((buffer) => [...(readIn.get(overwritten.get(buffer) ?? -1) ?? [])]),
    ]);
    let [index, joined]: [number, Group] = [groups.length, unit];
    for (const place of placesFor(unit, needed, madeIn, readIn, free)) {
      const group = at(groups, place);
      if (group.points !== unit.points || group.place !== unit.place || !order.mayFollow(place, needed)) continue;
      if (!fits([...group.steps, ...unit.steps])) continue;
      const both = together(group, unit, joins);
      if (both === null) continue;
      [index, joined] = [place, both];
      break;
    }
    if (needed.size > 0) free.delete(index);
    else if (index === groups.length) free.add(index);
    groups[index] = joined;
    order.follow(index, needed);
    for (const buffer of results) madeIn.set(buffer, index);
    for (const buffer of operands) readIn.set(buffer, (readIn.get(buffer) ?? new Set()).add(index));
    yield;
  }
  return order.all(groups.length).map((group) => at(groups, group));
}

function describe(kernel: Kernel, joins: Limits["joins"]): Omit<Group, "steps" | "place"> {
  const normal = joinable(kernel, joins);
  if (normal === null) return { kernels: null, sizes: [], points: 0, scalars: 0, folds: false, hasBorders: false };
  const sizes = parallelSizes(normal);
  const scalars = scalarsOf(...rootsOf(normal));
  return {
    kernels: [normal],
    sizes,
    points: sizeOf(sizes),
    scalars: scalars.length,
    folds: normal.reduction !== null,
    hasBorders: scalars.some(({ kind }) => kind === "region"),
  };
}

const sizeOf = (sizes: readonly number[]): number => sizes.reduce((product, size) => product * size, 1);

/** A group with another behind it, if they can be computed together as far as their points go. */
function together(group: Group, unit: Group, joins: Limits["joins"]): Group | null {
  const scalars = group.scalars + unit.scalars;
  if (group.kernels === null || unit.kernels === null || scalars > mostScalars) return null;
  const sizes = commonSizes(group.sizes, unit.sizes, joins);
  if (sizes === null) return null;
  const kernels = [...group.kernels, ...unit.kernels];
  const hasBorders = group.hasBorders || unit.hasBorders;
  if (hasBorders && !kernels.every((kernel) => bordersAllow(kernel, sizes))) return null;
  const made = new Set(group.steps.flatMap(({ results }) => results));
  const readsAtItsPoints = unit.steps.every(({ operands }, i) => {
    if (!operands.some((buffer) => made.has(buffer))) return true;
    const kernel = overSizes(at(unit.kernels ?? [], i), sizes, []);
    const own = readsOwn(kernel, (address) => sameAffine(address, kernel.stores[0].at));
    return operands.every((buffer, operand) => !made.has(buffer) || at(own, operand));
  });
  if (!readsAtItsPoints) return null;
  return { ...group, steps: [...group.steps, ...unit.steps], kernels, sizes, scalars, hasBorders };
}

/**
 * Where a unit may go, the best first: to groups that make what it reads, who makes most before the others; arrays with fewer elements
 * than it has points don't count. Then to groups that read the same, the last before the others, up to the first for which nothing waits
 * longer. What needs nothing may go to any that doesn't either; others would have it wait for what it has nothing to do with.
 */
function* placesFor(
  { kernels, steps, points, folds }: Group,
  needed: ReadonlySet<number>,
  madeIn: ReadonlyMap<number, number>,
  readIn: ReadonlyMap<number, ReadonlySet<number>>,
  free: ReadonlySet<number>,
): Generator<number> {
  if (kernels === null || folds) return;
  const made = new Map<number, number>();
  const reading = new Set<number>();
  const earliest = Math.max(0, ...needed);
  for (const { kernel, operands } of steps) {
    operands.forEach((buffer, operand) => {
      const { length } = at(kernel.operands, operand);
      if (length < points) return;
      const group = madeIn.get(buffer);
      if (group !== undefined) made.set(group, (made.get(group) ?? 0) + length);
      for (const reader of readIn.get(buffer) ?? []) if (reader >= earliest) reading.add(reader);
    });
  }
  yield* [...made.keys()].sort((a, b) => (made.get(b) ?? 0) - (made.get(a) ?? 0) || b - a);
  if (needed.size === 0) for (const group of free) reading.add(group);
  yield* [...reading].filter((group) => !made.has(group)).sort((a, b) => b - a);
}

/** Whether steps that are joined have no more arrays than a kernel may have: what they hand on to each other alone is none. */
function fitting(
  limits: Limits,
  isKept: (buffer: number) => boolean,
  readers: ReadonlyMap<number, readonly PlanStep[]>,
  memories: Memories | null,
): (steps: readonly PlanStep[]) => boolean {
  return (steps) => {
    const made = new Set(steps.flatMap(({ results }) => results));
    const inside = new Set(steps);
    const operands = [...new Set(steps.flatMap((step) => step.operands.filter((buffer) => !made.has(buffer))))];
    const results = [...made].filter(
      (buffer) => isKept(buffer) || (readers.get(buffer) ?? []).some((reader) => !inside.has(reader)),
    );
    if (arraysFit(operands, results, limits)) return true;
    if (memories === null || steps.some(({ kernel }) => reusesLoads(kernel))) return false;
    return memoriesFit(operands, results, limits, memories);
  };
}
