import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { DeviceLimits } from "../../../engine/devices/device.ts";
import { at } from "../../../engine/graph/shape.ts";
import { type Tensor, tensor } from "../../../engine/index.ts";
import { dispatchCounts } from "../../../engine/kernel/dispatchCounts.ts";
import type { Kernel } from "../../../engine/kernel/kernel.ts";
import type { PlanStep } from "../../../engine/kernel/plan.ts";
import { orderByLevel } from "../../../engine/passes/orderByLevel.ts";
import type { Overwrite } from "../../../engine/passes/places.ts";
import { planFor } from "../../../engine/program/planFor.ts";
import { buildProgram, inputData, loopFreePrograms } from "../../../testing/arbitraries/programs.ts";
import { firstLeaves, type Leaves, updateLeaves, updateSpecs } from "../../arbitraries/stateUpdates.ts";
import { limits } from "./plannedFor.ts";

const kernel = {} as Kernel;
const inputs = 4;

type Program = {
  readonly steps: readonly PlanStep[];
  readonly overwrites: readonly Overwrite[];
  readonly bytes: number[];
};

/** Steps that read inputs and earlier results; some take over the memory of an input that no step after them reads. */
const programs: fc.Arbitrary<Program> = fc
  .array(
    fc.record({
      reads: fc.array(fc.nat(40), { maxLength: 4 }),
      results: fc.constantFrom(1, 1, 1, 2),
      bytes: fc.constantFrom(0, 4, 64, 4096),
      replaces: fc.boolean(),
    }),
    { minLength: 1, maxLength: 14 },
  )
  .map((specs) => {
    const bytes = Array.from({ length: inputs }, () => 0);
    const steps = specs.map(({ reads, results, bytes: size }): PlanStep => {
      const operands = reads.map((read) => read % bytes.length);
      const [first, ...others] = Array.from({ length: results }, () => bytes.push(size) - 1);
      return { kernel, operands, results: [first ?? 0, ...others] };
    });
    const overwrites = specs.flatMap(({ replaces }, step): Overwrite[] => {
      const input = step % inputs;
      const isReadLater = steps.slice(step + 1).some(({ operands }) => operands.includes(input));
      return replaces && !isReadLater ? [{ input, output: at(steps, step).results[0] }] : [];
    });
    // Each input once.
    return {
      steps,
      overwrites: overwrites.filter((one, i) => overwrites.findIndex(({ input }) => input === one.input) === i),
      bytes,
    };
  });

/** Whether a step has to come behind another one: it reads what that makes, or writes over what that reads. */
function waits({ overwrites }: Program, later: PlanStep, earlier: PlanStep): boolean {
  if (later === earlier) return false;
  const overwritten = overwrites.flatMap(({ input, output }) => (later.results.includes(output) ? [input] : []));
  return (
    later.operands.some((operand) => earlier.results.includes(operand)) ||
    overwritten.some((input) => earlier.operands.includes(input))
  );
}

describe("orderByLevel", () => {
  it("gives each step a level above all that it waits for, and takes no more levels than the longest chain", () => {
    let [moved, waiting] = [0, 0];
    fc.assert(
      fc.property(programs, (program) => {
        const { steps, levels } = orderByLevel(
          program.steps,
          (buffer) => at(program.bytes, buffer),
          program.overwrites,
        );
        assert.deepEqual(new Set(steps), new Set(program.steps));
        assert.equal(steps.length, program.steps.length);
        const levelOf = new Map(steps.map((step, index) => [step, at(levels, index)]));
        for (const later of steps) {
          for (const earlier of steps) {
            const isAbove = (levelOf.get(later) ?? -1) > (levelOf.get(earlier) ?? -1);
            assert.ok(!waits(program, later, earlier) || isAbove);
          }
        }
        assert.deepEqual(
          levels,
          levels.toSorted((a, b) => a - b),
        );
        const chains = new Map<PlanStep, number>();
        for (const step of program.steps) {
          const before = [...chains].flatMap(([other, length]) => (waits(program, step, other) ? [length] : []));
          chains.set(step, 1 + Math.max(0, ...before));
        }
        assert.equal(1 + Math.max(...levels), Math.max(...chains.values()));
        moved += Number(steps.some((step, index) => step !== program.steps[index]));
        waiting += Number(program.overwrites.length > 0);
      }),
      { numRuns: 500 },
    );
    assert.ok(moved > 50 && waiting > 50, `${moved} moved, ${waiting} overwriting`);
  });

  /** A step that reads and makes buffers of these numbers. */
  const step = (operands: readonly number[], result: number): PlanStep => ({ kernel, operands, results: [result] });
  const order = (steps: readonly PlanStep[], bytes: readonly number[]): readonly number[] =>
    orderByLevel(steps, (buffer) => bytes[buffer] ?? 0).steps.map(({ results: [result] }) => result);

  it("makes what is large only when it is needed, and gives up what is large as soon as it can", () => {
    const large = 1000;
    // 1 to 4 follow each other, and 4 needs 5 as well.
    const chain = [step([0], 1), step([1], 2), step([2], 3)];
    assert.deepEqual(order([...chain, step([0], 5), step([3, 5], 4)], [0, 10, 10, 10, 10, large]), [1, 2, 3, 5, 4]);
    // 5 is the last to read 6, which is larger.
    const shrinking = [...chain, step([0], 6), step([6], 5), step([3, 5], 4)];
    assert.deepEqual(order(shrinking, [0, 10, 10, 10, 10, 10, large]), [1, 6, 2, 5, 3, 4]);
  });

  it("puts those first in a level that read most of what nobody has read", () => {
    const steps = [step([0], 1), step([0], 2), step([1], 3), step([2], 4), step([1, 2], 5)];
    assert.deepEqual(order(steps, []), [1, 2, 5, 3, 4]);
  });

  const overlapping: DeviceLimits = { ...limits, operands: 7, temporaries: "slots", overlap: true, inPlace: false };

  it("a plan waits between its levels only: no temporary is where another one of its level was or is", async () => {
    let serial = 0;
    await fc.assert(
      fc.asyncProperty(loopFreePrograms, fc.constantFrom(1, 4), async (spec, results) => {
        const data = spec.inputs.map(inputData);
        const given = spec.inputs.map((input, i) => tensor(at(data, i), { shape: input.shape, dtype: input.dtype }));
        const program = (...args: readonly Tensor[]): unknown => buildProgram(spec, [...args]);
        const { plan } = await planFor(program, given, { ...overlapping, results });
        const { levels, levelsInMemory, fewestBarriers } = dispatchCounts(plan);
        // What only has to come behind something may be on the device with it.
        const isGated = plan.steps.some(({ after }) => after !== undefined);
        assert.ok(isGated ? levelsInMemory <= levels : levelsInMemory === levels);
        assert.ok(isGated ? fewestBarriers < levels : fewestBarriers === Math.max(0, levels - 1));
        const inOrder = await planFor(program, given, { ...overlapping, results, overlap: false });
        serial += Number(dispatchCounts(inOrder.plan).fewestBarriers > fewestBarriers);
      }),
      { numRuns: 100 },
    );
    assert.ok(serial >= 10, `${serial} that wait more in the order of the graph`);
  });

  it("so does one that writes new state over the old one, and as much of it as in the order of the graph", async () => {
    let replaced = 0;
    await fc.assert(
      fc.asyncProperty(updateSpecs, fc.constantFrom(1, 4), async (spec, results) => {
        const update = (old: Leaves): unknown => updateLeaves(spec, old);
        const inPlace = { ...overlapping, inPlace: true, results };
        const { plan } = await planFor(update, [firstLeaves(spec)], inPlace, true);
        const { levelsInMemory, fewestBarriers } = dispatchCounts(plan);
        assert.equal(fewestBarriers, Math.max(0, levelsInMemory - 1));
        const inOrder = await planFor(update, [firstLeaves(spec)], { ...inPlace, overlap: false }, true);
        assert.deepEqual(plan.aliases, inOrder.plan.aliases);
        replaced += plan.aliases.filter((alias) => alias !== null).length;
      }),
      { numRuns: 100 },
    );
    assert.ok(replaced >= 50, `${replaced} leaves are replaced`);
  });
});
