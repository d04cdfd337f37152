/**
 * Brings steps that can be computed together next to each other, so that `joinSteps` finds them: each element-wise step goes to the last
 * group of steps over the same points that isn't before anything it needs. It may be computed earlier than it was, never later.
 */
import type { DeviceLimits } from "../devices/device.ts";
import { at } from "../graph/shape.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { PlanStep } from "../kernel/plan.ts";
import { rootsOf, scalarsOf } from "../kernel/scalar.ts";
import { commonSizes, joinable, parallelSizes } from "./joinable.ts";
import { mostScalars } from "./joinSteps.ts";
import type { Overwrite } from "./orderByLevel.ts";

type Limits = Pick<DeviceLimits, "operands" | "results" | "arrays" | "joins">;

/** Steps side by side. */
type Group = {
  readonly steps: PlanStep[];
  /** Axes over which all of them go; null if nothing can join. */
  sizes: readonly number[] | null;
  scalars: number;
};

/**
 * @param steps in an order of computation; each buffer is made by one of them at most
 * @param isKept whether a buffer is needed when the steps are done
 */
export function gatherSteps(
  steps: readonly PlanStep[],
  limits: Limits,
  isKept: (buffer: number) => boolean,
  overwrites: readonly Overwrite[] = [],
): readonly PlanStep[] {
  const groups: Group[] = [];
  const madeIn = new Map<number, number>();
  const readIn = new Map<number, number>();
  const overwritten = new Map(overwrites.map(({ input, output }) => [output, input]));
  const readers = new Map<number, PlanStep[]>();
  for (const step of steps)
    for (const buffer of step.operands) readers.set(buffer, [...(readers.get(buffer) ?? []), step]);
  const shapes = new Map<Kernel, Shape | null>();
  const fits = arraysFit(limits, isKept, readers);
  for (const step of steps) {
    const known = shapes.get(step.kernel);
    const shape = known === undefined ? shapeOf(step.kernel, limits.joins) : known;
    shapes.set(step.kernel, shape);
    const needed = [
      ...step.operands.map((buffer) => madeIn.get(buffer) ?? -1),
      ...step.results.map((buffer) => readIn.get(overwritten.get(buffer) ?? -1) ?? -1),
    ];
    const first = Math.max(0, ...needed);
    const place = shape === null || shape.folds ? -1 : placeFor(groups, first, step, shape, limits.joins, fits);
    const group = place < 0 ? groups.length : place;
    const into = (groups[group] ??= { steps: [], sizes: shape?.sizes ?? null, scalars: 0 });
    into.steps.push(step);
    into.scalars += shape?.scalars ?? 0;
    if (into.sizes !== null && shape !== null) into.sizes = commonSizes(into.sizes, shape.sizes, limits.joins);
    for (const buffer of step.results) madeIn.set(buffer, group);
    for (const buffer of step.operands) readIn.set(buffer, Math.max(readIn.get(buffer) ?? -1, group));
  }
  return groups.flatMap((group) => group.steps);
}

type Shape = {
  readonly sizes: readonly number[];
  readonly points: number;
  readonly scalars: number;
  readonly folds: boolean;
};

function shapeOf(kernel: Kernel, joins: Limits["joins"]): Shape | null {
  const normal = joinable(kernel, joins);
  if (normal === null) return null;
  const sizes = parallelSizes(normal);
  return {
    sizes,
    points: sizes.reduce((product, size) => product * size, 1),
    scalars: scalarsOf(...rootsOf(normal)).length,
    folds: normal.reduction !== null,
  };
}

/** The last group from `first` on that the step can be part of; of those that touch none of its buffers only if there is no other. */
function placeFor(
  groups: readonly Group[],
  first: number,
  step: PlanStep,
  shape: Shape,
  joins: Limits["joins"],
  fits: (steps: readonly PlanStep[]) => boolean,
): number {
  const touched = new Set([...step.operands, ...step.results]);
  let other = -1;
  for (let index = groups.length - 1; index >= first; index--) {
    const { steps, sizes, scalars } = at(groups, index);
    if (sizes === null || scalars + shape.scalars > mostScalars) continue;
    if (sizes.reduce((product, size) => product * size, 1) !== shape.points) continue;
    if (commonSizes(sizes, shape.sizes, joins) === null || !fits([...steps, step])) continue;
    if (steps.some(({ operands, results }) => [...operands, ...results].some((buffer) => touched.has(buffer))))
      return index;
    if (other < 0) other = index;
  }
  return other;
}

/** Whether steps that are joined have no more arrays than a kernel may have: what they hand on to each other alone is none. */
function arraysFit(
  limits: Limits,
  isKept: (buffer: number) => boolean,
  readers: ReadonlyMap<number, readonly PlanStep[]>,
): (steps: readonly PlanStep[]) => boolean {
  return (steps) => {
    const made = new Set(steps.flatMap(({ results }) => results));
    const inside = new Set(steps);
    const operands = new Set(steps.flatMap((step) => step.operands.filter((buffer) => !made.has(buffer))));
    const results = [...made].filter(
      (buffer) => isKept(buffer) || (readers.get(buffer) ?? []).some((reader) => !inside.has(reader)),
    );
    return (
      operands.size <= limits.operands &&
      results.length <= limits.results &&
      operands.size + results.length <= limits.arrays
    );
  };
}
