import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { at } from "../../../engine/graph/shape.ts";
import type { PlanStep } from "../../../engine/kernel/plan.ts";
import type { Scalar } from "../../../engine/kernel/kernel.ts";
import { rootsOf, scalarsOf } from "../../../engine/kernel/scalar.ts";
import { overwritingOf } from "../../../engine/passes/aliasOutputs.ts";
import { placeOf } from "../../../testing/bounds/kernelPoints.ts";
import { forEachExactPoint } from "../devices/wasm/exactKernels.ts";
import { PlanDraft, type Read } from "../devices/wasm/planDraft.ts";

const [rows, columns] = [3, 4];

type StepSpec = { readonly reads: readonly (Omit<Read, "of"> & { readonly from: number })[]; readonly sums: boolean };

const ways: readonly Omit<Read, "of">[] = [
  { at: [columns, 1] },
  { at: [columns, 1] },
  { at: [columns, 1] },
  { at: [columns, 0] },
  { at: [0, 1] },
  { offset: rows * columns - 1, at: [-columns, -1] },
  { at: [1, rows] },
  { gathers: true, at: [columns, 1] },
];
const stepSpecs: fc.Arbitrary<StepSpec> = fc.record({
  reads: fc.array(
    fc.tuple(fc.nat(20), fc.constantFrom(...ways)).map(([from, way]) => ({ from, ...way })),
    { maxLength: 3 },
  ),
  sums: fc.nat(4).map((n) => n === 0),
});

/** Steps that each read the two inputs or what earlier ones made. */
function stepsOf(specs: readonly StepSpec[]): readonly PlanStep[] {
  const draft = new PlanDraft();
  const buffers = [draft.input(rows * columns), draft.input(rows * columns)];
  for (const { reads, sums } of specs) {
    const all = reads.map(({ from, ...way }) => ({ of: at(buffers, from % buffers.length), ...way }));
    const result = draft.output(rows * columns);
    // Sums read in their epilogue only: each point its own element, or not.
    const options = sums ? { reduce: [2], after: all } : {};
    buffers.push(draft.step([rows, columns], sums ? [] : all, result, options));
  }
  return draft.plan().steps;
}

/** Whether no point of a kernel reads of an operand what another point writes; what is read by an index may be anything. */
function readsItsOwnElements({ kernel }: PlanStep, operand: number): boolean {
  if (scalarsOf(...rootsOf(kernel)).some((scalar) => scalar.kind === "gather" && scalar.operand === operand))
    return false;
  let isOwn = true;
  let reads: number[] = [];
  const note = (other: number, element: number): number => {
    if (other === operand) reads.push(element);
    return 0;
  };
  forEachExactPoint(kernel, [0, at(kernel.axes, 0).size], note, (position, valueOf) => {
    const [store] = kernel.stores;
    valueOf(store.value);
    isOwn &&= reads.every((element) => element === placeOf(store.at, position));
    reads = [];
  });
  return isOwn;
}

describe("overwritingOf", () => {
  it("allows exactly what no later step and no other point of the kernel reads, and no kernel that sums", () => {
    const counts = { allowed: 0, readLater: 0, summed: 0, elsewhere: 0, ownElements: 0 };
    fc.assert(
      fc.property(fc.array(stepSpecs, { minLength: 1, maxLength: 4 }), (specs) => {
        const steps = stepsOf(specs);
        for (const [index, step] of steps.entries()) {
          for (const input of [0, 1]) {
            const operand = step.operands.indexOf(input);
            const reads = operand >= 0;
            const why = steps.slice(index + 1).some(({ operands }) => operands.includes(input))
              ? "readLater"
              : !reads
                ? "allowed"
                : step.kernel.reduction !== null
                  ? "summed"
                  : readsItsOwnElements(step, operand)
                    ? "ownElements"
                    : "elsewhere";
            counts[why]++;
            assert.equal(overwritingOf(steps)(input, step.results[0]), why === "allowed" || why === "ownElements");
          }
        }
      }),
      { numRuns: 200 },
    );
    assert.ok(Math.min(...Object.values(counts)) > 10, JSON.stringify(counts));
  });

  it("not for an output that no step makes", () => {
    const draft = new PlanDraft();
    const [x, unread, unmade] = [draft.input(4), draft.input(4), draft.output(4)];
    draft.step([4], [x], draft.output(4));
    for (const input of [x, unread]) assert.equal(overwritingOf(draft.plan().steps)(input, unmade), false);
  });

  it("not for elements at a distance from each point's own that is read", () => {
    const draft = new PlanDraft();
    const x = draft.input(4);
    const index: Scalar = { kind: "literal", dtype: "i32", value: 1 };
    const wrap = (own: Scalar): Scalar =>
      own.kind === "load" ? { ...own, kind: "gather", index, stride: 1, size: 2 } : assert.fail("not a load");
    const y = draft.step([3], [x], draft.output(3), { wrap });
    assert.equal(overwritingOf(draft.plan().steps)(x, y), false);
  });
});
