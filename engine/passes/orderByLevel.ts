/** Puts steps that don't wait for each other side by side, for devices whose kernels may overlap. */
import { at } from "../graph/shape.ts";
import type { PlanStep } from "../kernel/plan.ts";
import { type Overwrite, placesOf } from "./places.ts";

/** Steps in order, and the level of each: what a step waits for is of lower levels, and steps of one level wait for nothing in it. */
export type Levels = { readonly steps: readonly PlanStep[]; readonly levels: readonly number[] };

/**
 * Orders steps by levels, of which there are as few as can be: as many as steps are on the longest chain. A step that may be of
 * several levels is of the last one if it makes more than it is the last to read, so that what it makes isn't kept for long; else of
 * the first. Within a level those come first that read most of what nobody has read yet: a device that waits once for each new value
 * has waited for more of them when it gets to the others. Steps of different places (`placesOf`) are of different levels.
 * @param steps in an order of computation; each buffer is made by one of them at most
 * @param bytesOf what a buffer takes of the memory of temporaries; 0 for others
 */
export function orderByLevel(
  steps: readonly PlanStep[],
  bytesOf: (buffer: number) => number,
  overwrites: readonly Overwrite[] = [],
): Levels {
  const places = placesOf(steps, overwrites);
  const inOrder = [...new Set(places)].sort((a, b) => a - b);
  let first = 0;
  const parts = inOrder.map((place): Levels => {
    const part = levelled(
      steps.filter((_, step) => at(places, step) === place),
      bytesOf,
      overwrites,
    );
    const levels = part.levels.map((level) => first + level);
    first = Math.max(first, ...levels.map((level) => level + 1));
    return { steps: part.steps, levels };
  });
  return { steps: parts.flatMap((part) => part.steps), levels: parts.flatMap((part) => part.levels) };
}

/** The same for steps of one place. */
function levelled(
  steps: readonly PlanStep[],
  bytesOf: (buffer: number) => number,
  overwrites: readonly Overwrite[],
): Levels {
  const waits = waitsOf(steps, overwrites);
  const earliest: number[] = [];
  for (const before of waits)
    earliest.push(before.reduce((level, other) => Math.max(level, at(earliest, other) + 1), 0));
  const levels = chooseLevels(steps, waits, earliest, bytesOf);
  const fresh = freshReads(steps, levels);
  const order = steps
    .map((_, step) => step)
    .sort((a, b) => at(levels, a) - at(levels, b) || at(fresh, b) - at(fresh, a) || a - b);
  return { steps: order.map((step) => at(steps, step)), levels: order.map((step) => at(levels, step)) };
}

/** For each step the earlier ones that it waits for: their values, or the end of their reading. */
function waitsOf(steps: readonly PlanStep[], overwrites: readonly Overwrite[]): readonly (readonly number[])[] {
  const madeBy = new Map<number, number>();
  const readers = new Map<number, number[]>(overwrites.map(({ input }) => [input, []]));
  const overwritten = new Map(overwrites.map(({ input, output }) => [output, input]));
  return steps.map(({ operands, results, after = [] }, step) => {
    const readFirst = results.flatMap((result) => readers.get(overwritten.get(result) ?? -1) ?? []);
    for (const operand of operands) readers.get(operand)?.push(step);
    for (const result of results) madeBy.set(result, step);
    return [...[...operands, ...after].flatMap((buffer) => madeBy.get(buffer) ?? []), ...readFirst];
  });
}

/** For each step a level between the first and the last one that it can be of. */
function chooseLevels(
  steps: readonly PlanStep[],
  waits: readonly (readonly number[])[],
  earliest: readonly number[],
  bytesOf: (buffer: number) => number,
): readonly number[] {
  const lastReader = new Map<number, number>();
  steps.forEach(({ operands }, step) => operands.forEach((operand) => lastReader.set(operand, step)));
  const sum = (buffers: readonly number[]): number => buffers.reduce((bytes, buffer) => bytes + bytesOf(buffer), 0);
  const highest = earliest.reduce((most, level) => Math.max(most, level), 0);
  // The last level of each: before all that wait for it, whose levels are known when its turn comes.
  const latest = steps.map(() => highest);
  const levels = [...earliest];
  for (let step = steps.length - 1; step >= 0; step--) {
    const { operands, results } = at(steps, step);
    const freed = operands.filter((operand) => lastReader.get(operand) === step);
    if (sum(results) > sum([...new Set(freed)])) levels[step] = at(latest, step);
    for (const before of at(waits, step)) latest[before] = Math.min(at(latest, before), at(levels, step) - 1);
  }
  return levels;
}

/** Of each step how many of its operands, made by steps, nobody reads at a lower level. */
function freshReads(steps: readonly PlanStep[], levels: readonly number[]): readonly number[] {
  const isMade = new Set(steps.flatMap(({ results }) => results));
  const firstRead = new Map<number, number>();
  steps.forEach(({ operands }, step) => {
    for (const operand of operands) {
      if (isMade.has(operand)) firstRead.set(operand, Math.min(firstRead.get(operand) ?? Infinity, at(levels, step)));
    }
  });
  return steps.map(
    ({ operands }, step) => new Set(operands.filter((operand) => firstRead.get(operand) === at(levels, step))).size,
  );
}
