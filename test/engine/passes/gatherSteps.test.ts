import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { DeviceLimits } from "../../../engine/devices/device.ts";
import { at } from "../../../engine/graph/shape.ts";
import { add, exp, multiply, negate, reduceSum, sqrt, square, type Tensor, tensor } from "../../../engine/index.ts";
import type { PlanStep } from "../../../engine/kernel/plan.ts";
import { gatherSteps } from "../../../engine/passes/gatherSteps.ts";
import { commonSizes } from "../../../engine/passes/joinable.ts";
import type { Overwrite } from "../../../engine/passes/places.ts";
import { planFor } from "../../../engine/program/planFor.ts";
import { buildProgram, inputData, loopFreePrograms } from "../../../testing/arbitraries/programs.ts";
import { accuracies } from "../../../testing/bounds/accuracies.ts";
import { checkPrograms } from "../../../testing/laws/programLaw.ts";
import { ReferenceDevice } from "../../../testing/devices/referenceDevice.ts";
import { input, limits, planOf } from "./plannedFor.ts";

const points: DeviceLimits = { ...limits, results: 4, arrays: 8, operands: 7, joins: "points" };
const overlapping: DeviceLimits = { ...points, overlap: true, temporaries: "slots" };
/** One kernel a step, in an order of computation: what gathering is given. */
const apart: DeviceLimits = { ...limits, results: 1 };

describe("gatherSteps", () => {
  it("gives the same steps, each behind all that it needs", async () => {
    let moved = 0;
    await fc.assert(
      fc.asyncProperty(loopFreePrograms, async (spec) => {
        const given = spec.inputs.map((one) => tensor(inputData(one), { shape: one.shape, dtype: one.dtype }));
        const { plan } = await planFor((...args: readonly Tensor[]) => buildProgram(spec, args), given, apart);
        const overwrites: Overwrite[] = [];
        const isKept = (buffer: number): boolean => at(plan.buffers, buffer).role.kind !== "temporary";
        const gathered = gatherSteps(plan.steps, points, isKept, overwrites);
        assert.deepEqual(new Set(gathered), new Set(plan.steps));
        assert.equal(gathered.length, plan.steps.length);
        checkOrder(plan.steps, gathered);
        if (gathered.some((step, i) => step !== plan.steps[i])) moved++;
      }),
      { numRuns: 300, seed: 11 },
    );
    assert.ok(moved > 20, `only ${moved} orders were changed`);
  });

  it("brings together what reads the same or hands on, what needs nothing, and nothing else", () => {
    const [x, y, z] = [input(8, 16), input(8, 16), input(8, 16)];
    const places = (outputs: readonly Tensor[]): readonly string[] => {
      const { steps } = planOf(outputs, [], apart);
      return gatherSteps(steps, points, () => true, []).map(({ kernel }) => kernel.name.replace(/_\d+$/, ""));
    };
    const [first, second] = [reduceSum(x, { axes: 1, keepAxes: true }), reduceSum(y, { axes: 1, keepAxes: true })];
    // Both wait for a sum of their own: neither waits for the other's.
    assert.deepEqual(places([exp(add(x, first)), reduceSum(z, { axes: 0 }), sqrt(add(y, second))]), [
      "sum",
      "exp_add",
      "sum",
      "sum",
      "sqrt_add",
    ]);
    assert.deepEqual(places([exp(x), reduceSum(z, { axes: 1 }), sqrt(x)]), ["exp", "sqrt", "sum"]);
    assert.deepEqual(places([exp(x), reduceSum(z, { axes: 1 }), sqrt(y)]), ["exp", "sqrt", "sum"]);
  });

  it("keeps who overwrites an input behind all who read it", () => {
    const [x, y] = [input(8, 16), input(8, 16)];
    // The second could join the first, but what it replaces is read by the third.
    const plan = planOf([exp(x), negate(y), reduceSum(y, { axes: 1 }), multiply(y, 2)], [], apart);
    const last = at(plan.steps, plan.steps.length - 1);
    const overwrites = [{ input: 1, output: last.results[0] }];
    const gathered = gatherSteps(plan.steps, points, () => true, overwrites);
    const readers = gathered.filter(({ operands }) => operands.includes(1) && operands !== last.operands);
    assert.ok(readers.every((reader) => gathered.indexOf(reader) < gathered.indexOf(last)));
  });
});

function checkOrder(before: readonly PlanStep[], after: readonly PlanStep[]): void {
  const made = new Set(before.flatMap(({ results }) => results));
  const done = new Set<number>();
  for (const { operands, results } of after) {
    for (const operand of operands) assert.ok(!made.has(operand) || done.has(operand), `${operand} isn't made yet`);
    for (const result of results) done.add(result);
  }
}

describe("common axes of row-major points", () => {
  const axes = fc.array(fc.constantFrom(2, 3, 4, 6), { maxLength: 4 });

  it("refine both, and there are some if any refine both", () => {
    fc.assert(
      fc.property(axes, axes, (a, b) => {
        const common = commonSizes(a, b, "points");
        const [left, right] = [boundaries(a), boundaries(b)];
        const all = [...new Set([...left, ...right])].sort((one, other) => one - other);
        const isPossible =
          left.at(-1) === right.at(-1) && all.every((bound, i) => bound % (i === 0 ? 1 : at(all, i - 1)) === 0);
        assert.deepEqual(common === null ? null : boundaries(common), isPossible ? all : null);
      }),
      { numRuns: 2000 },
    );
  });

  /** Points of the inner axes, from none of them to all. */
  const boundaries = (sizes: readonly number[]): number[] =>
    sizes.toReversed().reduce((bounds, size) => [...bounds, (bounds.at(-1) ?? 1) * size], [1]);
});

describe("steps joined over points", () => {
  it("compute what the program says, in 200 random programs", async () => {
    const device = new ReferenceDevice("slots");
    assert.equal(device.limits.joins, "points");
    await checkPrograms(device, { runs: 200, seed: 20_261_129, accuracy: accuracies.cpu });
  });

  it("what follows a sum over its points is stored with it, and what nobody else reads is never stored", () => {
    const x = input(8, 16);
    const sums = reduceSum(multiply(x, x), { axes: 1 });
    const { steps } = planOf([sqrt(sums), add(sums, 1)], [], points);
    assert.deepEqual(
      steps.map(({ kernel, results }) => [kernel.reduction !== null, results.length]),
      [[true, 2]],
    );
    assert.equal(planOf([sqrt(sums), add(sums, 1)], [], { ...points, joins: "rows" }).steps.length, 2);
  });

  it("what needs two sums is stored with the one over its points, whichever was made first", () => {
    const [x, y] = [input(8, 16), input(40)];
    const gain = (): Tensor => reduceSum(square(y));
    const sums = (): Tensor => reduceSum(square(x), { axes: 1 });
    for (const made of [() => [sums(), gain()], () => [gain(), sums()].toReversed()]) {
      const [long, short] = made();
      if (long === undefined || short === undefined) throw new Error("two sums");
      const { steps } = planOf([long, short, multiply(sqrt(long), short)], [], overlapping);
      assert.deepEqual(
        steps.map(({ results }) => results.length),
        [1, 2],
      );
    }
  });

  it("groups that read each other's values are one, if nothing between them waits for one and is waited for by the other", () => {
    const [x, y] = [input(8, 16), input(8, 16)];
    const [a, b] = [exp(x), exp(y)];
    assert.equal(planOf([a, b, add(a, b)], [], overlapping).steps.length, 1);
    const rows = reduceSum(a, { axes: 1, keepAxes: true });
    const { steps } = planOf([a, multiply(a, rows)], [], overlapping);
    assert.deepEqual(steps.map(({ kernel }) => kernel.reduction !== null).toSorted(), [false, false, true]);
  });
});
