/** Puts what writes over an input behind everything else that reads it, where nothing of that waits for it. */
import { at } from "../graph/shape.ts";
import type { PlanStep } from "../kernel/plan.ts";
import type { Overwrite } from "./places.ts";

/**
 * The steps in an order in which as many as can be of the given outputs may take the memory of their inputs; the same order but for
 * the steps that have to wait.
 * @param wanted buffers of inputs and of the outputs that replace them
 */
export function overwriteLast(steps: readonly PlanStep[], wanted: readonly Overwrite[]): readonly PlanStep[] {
  const makers = new Map<number, number>();
  const readers = new Map<number, number[]>(wanted.map(({ input }) => [input, []]));
  const after = steps.map((): number[] => []);
  steps.forEach(({ operands, results, after: waits = [] }, step) => {
    for (const buffer of operands) readers.get(buffer)?.push(step);
    for (const buffer of [...operands, ...waits]) {
      const maker = makers.get(buffer);
      if (maker !== undefined) at(after, maker).push(step);
    }
    for (const result of results) makers.set(result, step);
  });
  let isInOrder = true;
  for (const { input, output } of wanted) {
    const writer = makers.get(output);
    const others = (readers.get(input) ?? []).filter((reader) => reader !== writer);
    if (writer === undefined || others.length === 0 || reaches(after, writer, new Set(others))) continue;
    for (const reader of others) {
      at(after, reader).push(writer);
      isInOrder &&= reader < writer;
    }
  }
  return isInOrder ? steps : ordered(after).map((step) => at(steps, step));
}

/** Whether any of `targets` waits for `start`. */
function reaches(after: readonly (readonly number[])[], start: number, targets: ReadonlySet<number>): boolean {
  const seen = new Set([start]);
  for (const step of seen) {
    if (targets.has(step)) return true;
    for (const next of at(after, step)) seen.add(next);
  }
  return false;
}

/** An order in which each comes before what waits for it: that of their numbers but for those that come right behind what they wait for. */
function ordered(after: readonly (readonly number[])[]): number[] {
  const waiting = after.map(() => 0);
  for (const next of after.flat()) waiting[next] = at(waiting, next) + 1;
  const order: number[] = [];
  after.forEach((_, step) => {
    if (at(waiting, step) > 0) return;
    // Its turn, and that of what was passed over because it waited for it.
    const ready = [step];
    for (let current = ready.pop(); current !== undefined; current = ready.pop()) {
      order.push(current);
      for (const next of at(after, current)) {
        const left = at(waiting, next) - 1;
        waiting[next] = left;
        if (left === 0 && next < step) ready.push(next);
      }
    }
  });
  return order;
}
