import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { joinSteps } from "../../../../engine/passes/joinSteps.ts";
import { at as item } from "../../../../engine/graph/shape.ts";
import type { PlanStep } from "../../../../engine/kernel/plan.ts";
import type { Scalar } from "../../../../engine/kernel/kernel.ts";
import { rootsOf, scalarsOf } from "../../../../engine/kernel/scalar.ts";
import { numbersFrom } from "./exactKernels.ts";
import { PlanDraft } from "./planDraft.ts";
import { compilePlan, simulatePlan } from "./simulatePlan.ts";
import { inputsOf, interpretPlan, stepPlans } from "./stepPlans.ts";

/** How many steps each sweep has; each plan is run, too. */
function sweeps(draft: PlanDraft): readonly number[] {
  const plan = draft.plan();
  const compiled = compilePlan(plan);
  const inputs = inputsOf(plan);
  for (const threads of [1, 3]) {
    assert.deepEqual(simulatePlan(compiled, inputs, threads, numbersFrom(threads)), interpretPlan(plan, inputs));
  }
  // Each kernel of a draft says that it takes one operation.
  const joined = compiled.plan.steps.map(({ kernel }) => kernel.flops);
  assert.equal(
    joined.reduce((sum, steps) => sum + steps, 0),
    plan.steps.length,
  );
  return joined;
}

const joinedSteps = (draft: PlanDraft): readonly PlanStep[] =>
  joinSteps(draft.plan(), { operands: 64, results: 64, arrays: Infinity, joins: "rows" }).steps;

const only = <T>(list: readonly T[]): T => {
  assert.equal(list.length, 1);
  return item(list, 0);
};

describe("what a sweep holds", () => {
  it("a chain is one sweep that reads its input and writes its output", () => {
    const draft = new PlanDraft();
    const x = draft.input(48);
    let last = x;
    for (let link = 0; link < 4; link++) last = draft.step([48], [last, last], draft.temporary(48));
    const y = draft.step([48], [last], draft.output(48));
    assert.deepEqual(sweeps(draft), [5]);
    const { kernel, operands, results } = only(joinedSteps(draft));
    assert.deepEqual([operands, results, kernel.stores.length], [[x], [y], 1]);
    assert.deepEqual(kernel.operands, [{ dtype: "f32", length: 48 }]);
    // One load and four sums.
    assert.equal(scalarsOf(...rootsOf(kernel)).length, 5);
  });

  it("what several steps read is read once; results are written in their order", () => {
    const draft = new PlanDraft();
    const [x, g, w] = [draft.input(48), draft.input(48), draft.input(48, "bool")];
    const first = draft.step([48], [x, g], draft.output(48));
    const kept = draft.step([48], [first, w], draft.temporary(48));
    const lost = draft.step([48], [kept, x], draft.temporary(48));
    const second = draft.step([48], [lost, g, w], draft.output(48));
    draft.step([3], [kept], draft.output(3), { reduce: [16] });
    assert.deepEqual(sweeps(draft), [4, 1]);
    const { kernel, operands, results } = item(joinedSteps(draft), 0);
    assert.deepEqual(operands, [x, g, w]);
    assert.deepEqual(results, [first, kept, second]);
    assert.deepEqual(
      kernel.operands.map(({ dtype }) => dtype),
      ["f32", "f32", "bool"],
    );
    const loads = scalarsOf(...rootsOf(kernel)).filter(({ kind }) => kind === "load");
    assert.equal(loads.length, 3);
    assert.deepEqual(
      kernel.stores.map(({ length }) => length),
      [48, 48, 48],
    );
  });

  it("a temporary is written if a later sweep reads it, and not if this one was the last", () => {
    const draft = new PlanDraft();
    const x = draft.input(48);
    const [a, b] = [draft.temporary(48), draft.temporary(48)];
    draft.step([48], [x], a);
    draft.step([48], [a], b);
    draft.step([48], [a, b], draft.output(48));
    draft.step([3], [b], draft.output(3), { reduce: [16] });
    assert.deepEqual(sweeps(draft), [3, 1]);
    assert.deepEqual(item(joinedSteps(draft), 0).results, [b, 3]);
  });

  it("of steps that nobody needs the last is written", () => {
    const draft = new PlanDraft();
    const x = draft.input(48);
    for (let step = 0; step < 2; step++) draft.step([48], [x], draft.temporary(48));
    const last = draft.step([48], [x, x], draft.temporary(48));
    assert.deepEqual(only(joinedSteps(draft)).results, [last]);
  });

  it("a step alone keeps its kernel and its operands", () => {
    const draft = new PlanDraft();
    const [x, g] = [draft.input(48), draft.input(48)];
    const y = draft.step([3], [g, x], draft.output(3), { reduce: [16] });
    const z = draft.step([3, 2, 8], [g, x], draft.output(48));
    const { steps } = draft.plan();
    for (const [index, { kernel, operands, results }] of joinedSteps(draft).entries()) {
      assert.equal(kernel, item(steps, index).kernel);
      assert.deepEqual([operands, results], [[g, x], [item([y, z], index)]]);
    }
  });
});

describe("which steps can be swept", () => {
  /** Two equal steps that read x in some way: how they are joined. */
  const twice = (
    sizes: readonly number[],
    length: number,
    read: { readonly offset?: number; readonly at?: readonly number[]; readonly gathers?: true },
    options: Parameters<PlanDraft["step"]>[3] = {},
  ): number => {
    const draft = new PlanDraft();
    const x = draft.input(length);
    const points = sizes.reduce((product, size) => product * size, 1);
    for (let step = 0; step < 2; step++) {
      draft.step(sizes, [{ of: x, ...read }], draft.output(points), options);
    }
    return Math.max(...sweeps(draft));
  };
  const region = (body: Scalar): Scalar => ({
    kind: "region",
    dtype: "f32",
    axis: 0,
    start: 1,
    stop: 3,
    inside: body,
    outside: { kind: "literal", dtype: "f32", value: 0 },
  });
  const cases: readonly (readonly [what: string, joined: number, found: () => number])[] = [
    ["one axis", 2, () => twice([48], 48, {})],
    ["a single point", 2, () => twice([], 1, {})],
    ["axes that are one", 2, () => twice([2, 3, 4, 5], 120, {})],
    ["one number for all points", 2, () => twice([48], 1, { at: [0] })],
    ["elements behind others", 2, () => twice([48], 60, { offset: 12, at: [1] })],
    ["every second element", 1, () => twice([48], 96, { at: [2] })],
    ["elements backwards", 1, () => twice([48], 48, { offset: 47, at: [-1] })],
    ["rows of 16, by number of row", 2, () => twice([3, 16], 3, { at: [1, 0] })],
    ["rows of 20, by number of column", 2, () => twice([3, 20], 20, { at: [0, 1] })],
    ["rows of 12", 1, () => twice([3, 12], 3, { at: [1, 0] })],
    ["rows of 18", 1, () => twice([3, 18], 3, { at: [1, 0] })],
    ["columns", 1, () => twice([16, 16], 256, { at: [1, 16] })],
    ["rows apart", 2, () => twice([3, 16], 96, { at: [32, 1] })],
    ["three axes", 1, () => twice([2, 16, 16], 32, { at: [16, 0, 1] })],
    ["no points", 1, () => twice([0], 0, {})],
    ["no points in one of two axes", 1, () => twice([0, 16], 16, { at: [0, 1] })],
    ["a maximum", 1, () => twice([16], 48, {}, { reduce: [3] })],
    ["a border", 1, () => twice([48], 48, {}, { wrap: region })],
    ["a place that is read", 1, () => twice([48], 48, { gathers: true })],
  ];
  for (const [what, joined, found] of cases) {
    it(`${what}: ${joined === 2 ? "yes" : "no"}`, () => assert.equal(found(), joined));
  }

  it("as many as have 160 expressions", () => {
    for (const [extra, expected] of [
      [0, [3]],
      [1, [2, 1]],
    ] as const) {
      const draft = new PlanDraft();
      const x = draft.input(16);
      // A load and what makes it longer.
      for (const longer of [79, 39, 39 + extra]) draft.step([16], [x], draft.output(16), { longer });
      assert.deepEqual(sweeps(draft), expected);
    }
  });

  it("over the same points only, by rows where one of them goes by rows", () => {
    const joined = (...all: (readonly number[])[]): readonly number[] => {
      const draft = new PlanDraft();
      const [x, row] = [draft.input(96), draft.input(16)];
      for (const sizes of all) {
        const points = sizes.reduce((product, size) => product * size, 1);
        // Two axes stay two if something goes along one of them.
        const along = sizes.length === 2 ? [{ of: row, at: [0, points === 96 && sizes[1] === 16 ? 1 : 0] }] : [];
        const byRow = along.length > 0 && sizes[1] !== 16 ? [{ of: row, at: [1, 0] }] : along;
        draft.step(sizes, [{ of: x }, ...byRow], draft.output(points));
      }
      return sweeps(draft);
    };
    assert.deepEqual(joined([96], [96]), [2]);
    assert.deepEqual(joined([96], [80]), [1, 1]);
    assert.deepEqual(joined([6, 16], [96], [6, 16], [96]), [4]);
    assert.deepEqual(joined([96], [96], [6, 16]), [3]);
    assert.deepEqual(joined([80], [6, 16]), [1, 1]);
    assert.deepEqual(joined([6, 16], [80]), [1, 1]);
    assert.deepEqual(joined([96], [3, 32], [6, 16]), [2, 1]);
    assert.deepEqual(joined([4, 24], [4, 20]), [1, 1]);
    assert.deepEqual(joined([], [96]), [1, 1]);
  });

  it("of any number of rows", () => {
    for (let rows = 2; rows < 40; rows++) {
      const draft = new PlanDraft();
      const [x, scale] = [draft.input(rows * 20), draft.input(rows)];
      draft.step([rows * 20], [x], draft.output(rows * 20));
      draft.step([rows, 20], [x, { of: scale, at: [1, 0] }], draft.output(rows * 20));
      assert.equal(joinedSteps(draft).length, 1);
    }
  });

  it("also where a step by rows comes late and what was read is shared", () => {
    const draft = new PlanDraft();
    const [x, scale] = [draft.input(96), draft.input(6)];
    const t = draft.step([96], [x, { of: x, at: [0] }], draft.temporary(96));
    draft.step([6, 16], [t, x, { of: scale, at: [1, 0] }], draft.output(96));
    assert.deepEqual(sweeps(draft), [2]);
    const { kernel } = only(joinedSteps(draft));
    assert.deepEqual(
      kernel.axes.map(({ size }) => size),
      [6, 16],
    );
    const loads = scalarsOf(...rootsOf(kernel)).filter((scalar) => scalar.kind === "load");
    assert.deepEqual(loads.map(({ operand, at }) => [operand, at.coefficients]).sort(), [
      [0, [0, 0]],
      [0, [16, 1]],
      [1, [1, 0]],
    ]);
  });
});

describe("which steps stay apart", () => {
  /** x to t, t to u (read in some way), and how they are joined. */
  const chain = (read: { readonly offset?: number; readonly at?: readonly number[] }): readonly number[] => {
    const draft = new PlanDraft();
    const x = draft.input(48);
    const t = draft.step([3, 16], [x], draft.temporary(48));
    draft.step([3, 16], [{ of: t, ...read }, x], draft.output(48));
    return sweeps(draft);
  };

  it("one that reads at another point what the other makes", () => {
    assert.deepEqual(chain({}), [2]);
    for (const at of [
      [16, 0],
      [0, 1],
      [0, 0],
      [1, 0],
    ])
      assert.deepEqual(chain({ at }), [1, 1]);
  });

  it("one that reads the other's result both at its own point and at another", () => {
    const draft = new PlanDraft();
    const x = draft.input(48);
    const t = draft.step([48], [x], draft.temporary(48));
    draft.step([48], [t, { of: t, at: [0] }], draft.output(48));
    assert.deepEqual(sweeps(draft), [1, 1]);
  });

  it("one that writes over what the other reads at other points", () => {
    for (const [at, expected] of [
      [[1], [2]],
      [[0], [1, 1]],
    ] as const) {
      const draft = new PlanDraft();
      const x = draft.input(48);
      draft.step([48], [{ of: x, at }], draft.output(48));
      draft.step([48], [draft.constant(48)], draft.output(48, 0));
      assert.deepEqual(sweeps(draft), expected);
    }
  });

  it("one that writes to a part of what the other reads or writes", () => {
    for (const [offset, expected] of [
      [0, [3]],
      [64, [1, 2]],
      [192, [3]],
    ] as const) {
      const draft = new PlanDraft();
      const [x, old] = [draft.input(48), draft.temporary(48, 0)];
      const [u, v] = [draft.temporary(48, offset), draft.temporary(48, 512)];
      draft.step([3], [draft.step([48], [x], old)], draft.output(3), { reduce: [16] });
      draft.step([48], [old], v);
      draft.step([48], [x, x], u);
      draft.step([48], [x], draft.output(48));
      draft.step([3], [u], draft.output(3), { reduce: [16] });
      draft.step([3], [v], draft.output(3), { reduce: [16] });
      assert.deepEqual(sweeps(draft).slice(2, -2), expected);
    }
  });

  it("but not for memory that nothing is written to, as its value stays in a register", () => {
    const draft = new PlanDraft();
    const [x, old] = [draft.input(48), draft.temporary(48, 0)];
    draft.step([3], [draft.step([48], [x], old)], draft.output(3), { reduce: [16] });
    draft.step([48], [old], draft.output(48));
    const t = draft.step([48], [x, x], draft.temporary(48, 64));
    draft.step([48], [t], draft.output(48));
    assert.deepEqual(sweeps(draft), [1, 1, 3]);
  });

  it("a temporary whose memory a later one takes while it is needed no more", () => {
    const draft = new PlanDraft();
    const x = draft.input(48);
    const a = draft.step([48], [x], draft.temporary(48, 0));
    const b = draft.step([48], [a, x], draft.temporary(48, 192));
    const c = draft.step([48], [b], draft.temporary(48, 0));
    draft.step([48], [c], draft.output(48));
    assert.deepEqual(sweeps(draft), [4]);
  });

  it("constants never stand in the way", () => {
    const draft = new PlanDraft();
    const c = draft.constant(48);
    draft.step([48], [{ of: c, at: [0] }], draft.output(48));
    draft.step([48], [c], draft.output(48));
    assert.deepEqual(sweeps(draft), [2]);
  });

  it("and what follows those that stay apart is joined again", () => {
    const draft = new PlanDraft();
    const x = draft.input(48);
    const a = draft.step([48], [x], draft.temporary(48));
    const b = draft.step([48], [a], draft.temporary(48));
    const c = draft.step([48], [{ of: b, at: [0] }], draft.temporary(48));
    const d = draft.step([48], [c, c], draft.temporary(48));
    draft.step([48], [d, { of: a, at: [0] }], draft.output(48));
    draft.step([48], [{ of: d, at: [0] }], draft.output(48));
    assert.deepEqual(sweeps(draft), [2, 3, 1]);
  });
});

it("joined steps make what steps one after the other make, on any threads in any order", () => {
  const counts = { joined: 0, registers: 0 };
  fc.assert(
    fc.property(stepPlans([1, 2, 3, 4], [1, 3, 16, 20]), fc.nat(), (plan, seed) => {
      const compiled = compilePlan(plan);
      for (const { kernel, results } of compiled.plan.steps.filter((step) => step.kernel.flops > 1)) {
        counts.joined += kernel.flops;
        counts.registers += kernel.flops - results.length;
      }
      const inputs = inputsOf(plan);
      const made = simulatePlan(compiled, inputs, 1 + (seed % 4), numbersFrom(seed));
      assert.deepEqual(made, interpretPlan(plan, inputs));
    }),
    { numRuns: 150 },
  );
  assert.ok(counts.joined > 100 && counts.registers > 20, JSON.stringify(counts));
});
