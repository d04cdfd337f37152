import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { at } from "../../../engine/graph/shape.ts";
import {
  cast,
  concat,
  conv2d,
  exp,
  gather,
  grad,
  matmul,
  multiply,
  reduceSum,
  square,
  type Tensor,
} from "../../../engine/index.ts";
import { dispatchCounts } from "../../../engine/kernel/dispatchCounts.ts";
import type { Plan, PlanStep } from "../../../engine/kernel/plan.ts";
import { buildPlan, planSpecs } from "../../../testing/arbitraries/plans.ts";
import { input, planOf } from "../passes/plannedFor.ts";

/** The name of the device's buffer that one of the plan's is in. */
function memoryOf({ buffers, aliases }: Plan, buffer: number): string {
  const { role } = at(buffers, buffer);
  if (role.kind === "temporary") return `slot ${role.slot}`;
  if (role.kind === "constant") return `constant ${buffer}`;
  const input = role.kind === "input" ? role.index : (aliases[role.index] ?? null);
  return input === null ? `output ${role.index}` : `input ${input}`;
}

type Touch = (step: PlanStep) => readonly number[] | readonly string[];

/** The longest of all chains of steps, each of which has something to do with the one before. */
function longestOfChains(steps: readonly PlanStep[], waits: (later: PlanStep, earlier: PlanStep) => boolean): number {
  const chainTo = (last: number): number =>
    1 +
    Math.max(0, ...steps.slice(0, last).flatMap((earlier, i) => (waits(at(steps, last), earlier) ? [chainTo(i)] : [])));
  return Math.max(0, ...steps.map((_, step) => chainTo(step)));
}

/** The smallest of all sets of barriers that come between any two steps of which one waits for the other. */
function fewestOfSets(steps: readonly PlanStep[], waits: (later: PlanStep, earlier: PlanStep) => boolean): number {
  let fewest = Infinity;
  for (let set = 0; set < 2 ** steps.length; set++) {
    const isBefore = (step: number): boolean => (set >> step) % 2 === 1;
    const isEnough = steps.every((later, j) =>
      steps
        .slice(0, j)
        .every(
          (earlier, i) => !waits(later, earlier) || steps.some((_, step) => i < step && step <= j && isBefore(step)),
        ),
    );
    const barriers = steps.filter((_, step) => isBefore(step)).length;
    if (isEnough) fewest = Math.min(fewest, barriers);
  }
  return fewest;
}

describe("dispatchCounts", () => {
  it("counts what a look at all pairs, chains and sets of barriers does", () => {
    const met = { reuse: 0, waste: 0, aliases: 0 };
    const layouts = fc.constantFrom(
      { temporaries: "slots", inPlace: true } as const,
      { temporaries: "slots", inPlace: false } as const,
      { temporaries: "arena", inPlace: true } as const,
    );
    fc.assert(
      fc.property(planSpecs, layouts, (spec, layout) => {
        const { plan } = buildPlan(spec, layout);
        const steps = plan.steps.filter(({ kernel }) => kernel.stores[0].length > 0);
        const counts = dispatchCounts(plan);
        const reads = ({ operands }: PlanStep): string[] => operands.map((buffer) => memoryOf(plan, buffer));
        const writes = ({ results }: PlanStep): string[] => results.map((buffer) => memoryOf(plan, buffer));
        const meet = (later: PlanStep, some: Touch, earlier: PlanStep, others: Touch): boolean =>
          some(later).some((one) => others(earlier).some((other) => one === other));

        assert.equal(counts.dispatches, steps.length);
        assert.equal(counts.kernels, new Set(steps.map(({ kernel }) => kernel)).size);
        assert.equal(
          counts.levels,
          longestOfChains(steps, (later, earlier) =>
            meet(
              later,
              ({ operands }) => operands,
              earlier,
              ({ results }) => results,
            ),
          ),
        );
        const waits = (later: PlanStep, earlier: PlanStep): boolean =>
          meet(later, reads, earlier, writes) ||
          meet(later, writes, earlier, reads) ||
          meet(later, writes, earlier, writes);
        assert.equal(counts.levelsInMemory, longestOfChains(steps, waits));
        assert.equal(counts.fewestBarriers, fewestOfSets(steps, waits));

        // Steps of one run, and of one run after the other.
        const barriersOf = (all: readonly PlanStep[]): readonly number[] =>
          all.flatMap((step, index) => {
            const touched = (each: PlanStep): string[] => [...reads(each), ...writes(each)];
            const waits = touched(step).some((memory) => {
              const last = all.slice(0, index).findLast((each) => touched(each).includes(memory));
              return last !== undefined && (writes(step).includes(memory) || writes(last).includes(memory));
            });
            return waits ? [index] : [];
          });
        assert.equal(counts.barriers, barriersOf(steps).length);
        const again = barriersOf([...steps, ...steps]).filter((index) => index >= steps.length);
        assert.equal(counts.barriersAgain, again.length);
        // Nothing that is written was never touched.
        assert.equal(counts.barriersAgain, steps.length);

        // Whatever waits in a chain has a barrier; a barrier that is needed is one that Dawn makes.
        assert.ok(counts.levels <= counts.levelsInMemory);
        assert.ok(counts.levelsInMemory - 1 <= counts.fewestBarriers && counts.fewestBarriers <= counts.barriers);

        const bound = steps.flatMap(({ operands, results }) => [...operands, ...results]);
        assert.equal(counts.bindings, bound.length);
        assert.equal(
          counts.bytes,
          bound.reduce((sum, buffer) => sum + 4 * at(plan.buffers, buffer).length, 0),
        );
        for (const what of ["dispatches", "bytes", "flops"] as const) {
          assert.equal(
            counts.kinds.reduce((sum, kind) => sum + kind[what], 0),
            counts[what],
          );
        }
        met.reuse += Number(counts.levels < counts.levelsInMemory);
        met.waste += Number(counts.fewestBarriers < counts.barriers);
        met.aliases += Number(plan.aliases.some((alias) => alias !== null));
      }),
      { numRuns: 500 },
    );
    assert.ok(Math.min(...Object.values(met)) >= 10, JSON.stringify(met));
  });

  it("of nothing is nothing", () => {
    const counts = dispatchCounts({ buffers: [], steps: [], slots: [], inputs: 0, outputs: 0, aliases: [] });
    assert.deepEqual(Object.values(counts), [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, []]);
  });

  it("tells the kinds of kernels", () => {
    const kinds = (...outputs: readonly Tensor[]): readonly string[] =>
      dispatchCounts(planOf(outputs)).kinds.map(({ kind, dispatches }) => `${dispatches} ${kind}`);
    const [image, filter] = [input(2, 3, 8, 8), input(4, 3, 3, 3)];
    const loss = (x: Tensor, w: Tensor): Tensor => reduceSum(conv2d(x, w));
    const cotangent = input(2, 4, 6, 6);
    const weighted = (x: Tensor, w: Tensor): Tensor => reduceSum(multiply(conv2d(x, w), cotangent));
    assert.deepEqual(kinds(conv2d(image, filter)), ["1 convolution"]);
    // The cotangent is padded first.
    assert.deepEqual(kinds(grad((x: Tensor) => weighted(x, filter))(image)), ["1 convolution", "1 copy"]);
    assert.deepEqual(kinds(grad((w: Tensor) => weighted(image, w))(filter)), ["1 filter gradient"]);
    assert.deepEqual(kinds(loss(image, filter)), ["1 convolution", "1 reduction"]);
    assert.deepEqual(kinds(matmul(input(4, 8), input(8, 5))), ["1 product"]);
    // A dot product of rows reads each element once.
    assert.deepEqual(kinds(reduceSum(square(input(4, 8)), { axes: 1 })), ["1 reduction"]);
    assert.deepEqual(kinds(exp(input(4, 8))), ["1 element-wise"]);
    assert.deepEqual(kinds(concat([input(4, 8), input(4, 8)], 0)), ["1 copy"]);
    const table = input(6, 4);
    const rows = cast(input(5), "i32");
    assert.deepEqual(kinds(grad((x: Tensor) => reduceSum(multiply(gather(x, rows), input(5, 4))))(table)), [
      "1 scatter",
      "1 element-wise",
    ]);
  });
});
