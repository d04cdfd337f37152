import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { bandsOf } from "../../../../engine/devices/wasm/program/bands.ts";
import type { KernelMethod } from "../../../../engine/devices/wasm/algorithms/method.ts";
import type { CompiledKernel } from "../../../../engine/devices/wasm/program/module.ts";
import { regionsOf } from "../../../../engine/kernel/access.ts";
import type { Scalar } from "../../../../engine/kernel/kernel.ts";
import type { Plan } from "../../../../engine/kernel/plan.ts";
import { numbersFrom } from "./exactKernels.ts";
import { PlanDraft, type Read } from "./planDraft.ts";
import { type CompiledPlan, compilePlan, simulatePlan } from "./simulatePlan.ts";
import { inputsOf, interpretPlan, stepPlans } from "./stepPlans.ts";

type Found = readonly (readonly [first: number, rows: number, block: number, units: readonly number[]])[];

/** A plan with each step shared along its first axis in blocks of `blocks[step]` (one if not said), or not along it: null. */
function inBlocks(plan: Plan, blocks: readonly (number | null)[] = []): CompiledPlan {
  const { plan: joined, kernelOf: really } = compilePlan(plan);
  const kernelOf = (step: number): CompiledKernel => {
    const { key, kernel } = really(step);
    const [axis] = kernel.axes;
    const block = blocks[step] === undefined ? 1 : blocks[step];
    const emit = (): never => assert.fail("nothing is emitted");
    const method: KernelMethod = {
      name: "by rows",
      tiled: { kernel, tiling: { splits: [], stages: [] } },
      phases: [{ size: axis?.size ?? 1, block: block ?? 1, cost: 0, emit }],
      sharesFirstAxis: block !== null && axis?.role === "parallel",
      scratch: null,
    };
    return { key, kernel, method };
  };
  return { plan: joined, kernelOf, bands: bandsOf(joined.steps, kernelOf, regionsOf(joined)) };
}

/** The bands of a plan; it is run with them, too. */
function bands(draft: PlanDraft, blocks?: readonly (number | null)[]): Found {
  const plan = draft.plan();
  const compiled = inBlocks(plan, blocks);
  const inputs = inputsOf(plan);
  const expected = interpretPlan(plan, inputs);
  for (const [threads, seed] of [
    [1, 1],
    [3, 2],
    [3, 3],
    [3, 4],
  ] as const) {
    assert.deepEqual(simulatePlan(compiled, inputs, threads, numbersFrom(seed)), expected);
  }
  return found(compiled);
}

const found = (compiled: CompiledPlan): Found =>
  compiled.bands.map(({ first, rows, block, units }) => [first, rows, block, units]);

const bandsInBlocks = (plan: Plan, blocks: readonly (number | null)[]): Found => found(inBlocks(plan, blocks));

const lengths = (all: Found): readonly number[] => all.map(([, , , units]) => units.length);

/** Maxima of rows of x, and x with these in some way. */
function maximaOfRows(rows: number, columns: number, row: Read["at"] = [1, 0], temporary = true): PlanDraft {
  const draft = new PlanDraft();
  const x = draft.input(rows * columns);
  const m = draft.step([rows], [x], temporary ? draft.temporary(rows) : draft.output(rows), { reduce: [columns] });
  draft.step([rows, columns], [x, { of: m, at: row }], draft.output(rows * columns));
  return draft;
}

describe("which steps go in bands", () => {
  it("rows and what is made of their maxima, in one", () => {
    assert.deepEqual(bands(maximaOfRows(64, 16)), [[0, 64, 8, [1, 1]]]);
    assert.deepEqual(bands(maximaOfRows(64, 16, [1, 0], false)), [[0, 64, 8, [1, 1]]]);
  });

  it("not where a row needs another row's maximum", () => {
    assert.deepEqual(bands(maximaOfRows(64, 16, [0, 1])), []);
    assert.deepEqual(bands(maximaOfRows(64, 64, [0, 1])), []);
    const draft = new PlanDraft();
    const x = draft.input(64 * 16);
    const m = draft.step([64], [x], draft.temporary(64), { reduce: [16] });
    draft.step(
      [64, 16],
      [
        { of: x, at: [0, 1] },
        { of: m, offset: 63, at: [-1, 0] },
      ],
      draft.output(64 * 16),
    );
    assert.deepEqual(bands(draft), []);
  });

  /** y = x, then the maxima over `reduce` of what is read of y at some place of each row. */
  const rowsOfY = (read: Omit<Read, "of">, reduce = 4, rows = 64, length = 8): Found => {
    const draft = new PlanDraft();
    const y = draft.step([rows * length], [draft.input(rows * length)], draft.temporary(rows * length));
    draft.step([rows], [{ of: y, ...read }], draft.output(rows), { reduce: [reduce] });
    return bands(draft);
  };
  const places: readonly (readonly [what: string, read: Omit<Read, "of">, expected: boolean])[] = [
    ["its begin", { at: [8, 1] }, true],
    ["its end", { offset: 4, at: [8, 1] }, true],
    ["beyond its end", { offset: 5, at: [8, 1] }, false],
    ["before its begin", { offset: 3, at: [8, -1] }, true],
    ["backwards over its begin", { offset: 2, at: [8, -1] }, false],
    ["every second", { offset: 1, at: [8, 2] }, true],
    ["every third", { at: [8, 3] }, false],
    ["one element", { offset: 7, at: [8, 0] }, true],
    ["the next row's first", { offset: 8, at: [8, 0] }, false],
    ["rows half as long", { at: [4, 1] }, false],
    ["any place that is read", { gathers: true }, false],
    ["any place that its own row says", { gathers: true, at: [8, 1] }, false],
  ];
  for (const [what, read, expected] of places) {
    // At the last row there is nothing behind it: one row less is summed.
    it(`a row that reads of its own row ${what}: ${expected ? "yes" : "no"}`, () => {
      const draft = new PlanDraft();
      const rows = 64;
      const x = draft.input(rows * 8 + 8);
      const first = draft.step([rows * 8], [x], draft.temporary(rows * 8));
      const steps = { of: first, ...read };
      const last = (read.offset ?? 0) + 63 * (read.at?.[0] ?? 0) + 3 * Math.max(0, read.at?.[1] ?? 0);
      const begin = (read.offset ?? 0) + 3 * Math.min(0, read.at?.[1] ?? 0);
      if (last >= rows * 8 || begin < 0) {
        // It can't be run; it must not be made a band all the same.
        draft.step([rows], [steps], draft.output(rows), { reduce: [4] });
        assert.deepEqual(bandsInBlocks(draft.plan(), []), []);
        return;
      }
      draft.step([rows], [steps], draft.output(rows), { reduce: [4] });
      assert.equal(bands(draft).length, expected ? 1 : 0);
    });
  }

  it("not rows that read at a distance from their own place that is read", () => {
    const draft = new PlanDraft();
    const y = draft.step([512], [draft.input(512)], draft.temporary(512));
    const index: Scalar = { kind: "literal", dtype: "i32", value: 1 };
    const wrap = (own: Scalar): Scalar =>
      own.kind === "load" ? { ...own, kind: "gather", index, stride: 1, size: 20 } : assert.fail("not a load");
    draft.step([64], [{ of: y, at: [8, 1] }], draft.output(64), { reduce: [4], wrap });
    assert.deepEqual(bands(draft), []);
  });

  it("steps with more rows, some of them to each", () => {
    // 512 elements, eight to a row; 64 rows.
    assert.deepEqual(rowsOfY({ at: [8, 1] }, 8), [[0, 64, 8, [8, 1]]]);
    // 32 rows in common are enough, 16 are not.
    assert.deepEqual(rowsOfY({ at: [16, 1] }, 16, 32, 16), [[0, 32, 4, [16, 1]]]);
    assert.deepEqual(rowsOfY({ at: [32, 1] }, 32, 16, 32), []);
  });

  it("also fewer rows than 32 if all have as many, but never fewer than eight", () => {
    assert.deepEqual(bands(maximaOfRows(16, 16)), [[0, 16, 2, [1, 1]]]);
    assert.deepEqual(bandsInBlocks(maximaOfRows(8, 16).plan(), [1, 1]), [[0, 8, 1, [1, 1]]]);
    assert.deepEqual(bandsInBlocks(maximaOfRows(7, 16).plan(), [1, 1]), []);
  });

  it("those that the rows of one more don't fit end before it", () => {
    const draft = new PlanDraft();
    const x = draft.input(64 * 16);
    const m = draft.step([64], [x], draft.temporary(64), { reduce: [16] });
    const y = draft.step([64, 16], [x, { of: m, at: [1, 0] }], draft.temporary(64 * 16));
    const all = draft.step([16], [{ of: y, at: [1, 16] }], draft.temporary(16), { reduce: [64] });
    const z = draft.step([64, 16], [y, { of: all, at: [0, 1] }], draft.temporary(64 * 16));
    draft.step([64], [z], draft.output(64), { reduce: [16] });
    assert.deepEqual(
      bands(draft).map(([first, rows, , units]) => [first, rows, units]),
      [
        [0, 64, [1, 1]],
        [3, 64, [1, 1]],
      ],
    );
  });

  it("not if they were apart in more rows only", () => {
    // 64 rows of y are read in place; when the third step makes them 32, the first two no longer fit.
    const draft = new PlanDraft();
    const x = draft.input(64 * 16);
    const y = draft.step([64 * 16], [x, { of: x, at: [0] }], draft.temporary(64 * 16));
    const m = draft.step([64], [y], draft.temporary(64), { reduce: [16] });
    draft.step([32], [{ of: m, at: [2, 1] }], draft.output(32), { reduce: [2] });
    assert.deepEqual(bands(draft), [[0, 32, 4, [32, 2, 1]]]);
  });

  it("that share rows where one writes what another reads in arrays of another length", () => {
    // The first step makes one kernel of both negations; of the second, rows are rows of the upper half.
    const draft = new PlanDraft();
    const [x, z] = [draft.input(512), draft.input(1024)];
    draft.step([512], [x], draft.output(512), { longer: 1 });
    const y = draft.step([1024], [z, z], draft.temporary(1024));
    draft.step([512], [y], draft.output(512), { longer: 1 });
    assert.deepEqual(
      bands(draft).map(([first, , , units]) => [first, units]),
      [[0, [1, 2]]],
    );
  });

  it("an update in place", () => {
    const draft = new PlanDraft();
    const x = draft.input(64 * 16);
    const m = draft.step([64], [x], draft.temporary(64), { reduce: [16] });
    draft.step([64, 16], [x, { of: m, at: [1, 0] }], draft.output(64 * 16, 0));
    assert.deepEqual(lengths(bands(draft)), [2]);
    const other = new PlanDraft();
    const w = other.input(64 * 16);
    const first = other.step([64], [{ of: w, at: [0, 1] }], other.temporary(64), { reduce: [16] });
    other.step([64, 16], [w, { of: first, at: [1, 0] }], other.output(64 * 16, 0));
    assert.deepEqual(bands(other), []);
  });

  it("steps whose epilogue stays in its row, and not others", () => {
    for (const [at, expected] of [
      [[1], [2]],
      [[0], []],
    ] as const) {
      const draft = new PlanDraft();
      const x = draft.input(64 * 16);
      const m = draft.step([64], [x], draft.temporary(64), { reduce: [16] });
      draft.step([64], [x], draft.output(64), { reduce: [16], after: [{ of: m, at }] });
      assert.deepEqual(lengths(bands(draft)), expected);
    }
  });

  it("sweeps, by all that they read and write", () => {
    for (const [at, expected] of [
      [[1, 0], 1],
      [[0, 1], 0],
    ] as const) {
      const draft = new PlanDraft();
      const [x, g] = [draft.input(64 * 16), draft.input(64 * 16)];
      const m = draft.step([64], [x], draft.temporary(64), { reduce: [16] });
      draft.step([64, 16], [x, g], draft.output(64 * 16));
      draft.step([64, 16], [g, { of: m, at }], draft.output(64 * 16));
      assert.deepEqual(
        compilePlan(draft.plan()).plan.steps.map(({ kernel }) => kernel.flops),
        [1, 2],
      );
      assert.equal(bands(draft).length, expected);
    }
  });

  it("not those with a border between rows that stay together", () => {
    const bordered = (start: number, where: "body" | "value"): Plan => {
      const cut = (inside: Scalar): Scalar => {
        const outside: Scalar = { kind: "literal", dtype: "f32", value: 0 };
        return { kind: "region", dtype: "f32", axis: 0, start, stop: 64, inside, outside };
      };
      const draft = new PlanDraft();
      const x = draft.input(64 * 16);
      const wraps = where === "body" ? { wrap: cut } : { wrapAfter: cut };
      const m = draft.step([64], [x], draft.temporary(64), { reduce: [16], ...wraps });
      draft.step([64, 16], [x, { of: m, at: [1, 0] }], draft.output(64 * 16));
      return draft.plan();
    };
    for (const where of ["body", "value"] as const) {
      assert.equal(bandsInBlocks(bordered(4, where), [4, 1]).length, 1);
      assert.equal(bandsInBlocks(bordered(3, where), [1, 1]).length, 1);
      assert.equal(bandsInBlocks(bordered(3, where), [4, 1]).length, 0);
    }
  });

  it("not those that are shared along another axis", () => {
    const plan = maximaOfRows(64, 16).plan();
    assert.deepEqual(bandsInBlocks(plan, [1, 1]), [[0, 64, 8, [1, 1]]]);
    assert.deepEqual(bandsInBlocks(plan, [null, 1]), []);
    assert.deepEqual(bandsInBlocks(plan, [1, null]), []);
  });

  it("arguments and constants that nothing writes stand in nobody's way", () => {
    const draft = new PlanDraft();
    const [x, c] = [draft.input(64 * 16), draft.constant(64)];
    const m = draft.step([64], [x, { of: c, at: [0, 1] }], draft.temporary(64), { reduce: [16] });
    draft.step(
      [64, 16],
      [
        { of: x, at: [0, 1] },
        { of: m, at: [1, 0] },
        { of: c, at: [0, 1] },
      ],
      draft.output(64 * 16),
    );
    assert.deepEqual(lengths(bands(draft)), [2]);
  });
});

describe("how many rows a band has", () => {
  it("whole blocks of each of its steps", () => {
    const plan = maximaOfRows(192, 16).plan();
    assert.deepEqual(bandsInBlocks(plan, [4, 1]), [[0, 192, 24, [1, 1]]]);
    assert.deepEqual(bandsInBlocks(plan, [5, 1]), [[0, 192, 20, [1, 1]]]);
    assert.deepEqual(bandsInBlocks(plan, [4, 6]), [[0, 192, 24, [1, 1]]]);
    assert.deepEqual(bandsInBlocks(plan, [4, 5]), [[0, 192, 20, [1, 1]]]);
    assert.deepEqual(bandsInBlocks(plan, [4, 7]), []);
    assert.deepEqual(bandsInBlocks(plan, [1, 25]), []);
  });

  it("with several units of a step to a row, as many as make whole blocks of them", () => {
    const draft = new PlanDraft();
    const y = draft.step([768], [draft.input(768)], draft.temporary(768));
    draft.step([96], [y], draft.output(96), { reduce: [8] });
    const plan = draft.plan();
    // Blocks of 32 units are those of 4 rows.
    assert.deepEqual(bandsInBlocks(plan, [32, 1]), [[0, 96, 12, [8, 1]]]);
    assert.deepEqual(bandsInBlocks(plan, [64, 1]), [[0, 96, 8, [8, 1]]]);
    assert.deepEqual(bandsInBlocks(plan, [12, 2]), [[0, 96, 12, [8, 1]]]);
    assert.deepEqual(bandsInBlocks(plan, [12, 5]), []);
    assert.deepEqual(bandsInBlocks(plan, [4, 12]), [[0, 96, 12, [8, 1]]]);
  });

  it("at most as many as touch a quarter of a mebibyte in all steps together, or one of which no step touches more than a mebibyte", () => {
    // A row: 4 * (1024 + 1) bytes in the first step, 4 * (2 * 1024 + 1) in the second.
    const plan = maximaOfRows(1024, 1024).plan();
    assert.deepEqual(bandsInBlocks(plan, [1, 1]), [[0, 1024, Math.floor(2 ** 18 / (4 * (3 * 1024 + 2))), [1, 1]]]);
    assert.deepEqual(bandsInBlocks(maximaOfRows(1024, 65536).plan(), [1, 1]), [[0, 1024, 1, [1, 1]]]);
    assert.deepEqual(bandsInBlocks(maximaOfRows(64, 2 ** 17).plan(), [1, 1]), []);
  });
});

it("bands give what steps one after the other give, on any threads in any order", () => {
  const counts = { bands: 0, steps: 0 };
  fc.assert(
    fc.property(stepPlans([32, 40, 64], [1, 3, 16]), fc.nat(), (plan, seed) => {
      const compiled = compilePlan(plan);
      for (const { first, rows, block, units } of compiled.bands) {
        counts.bands++;
        counts.steps += units.length;
        assert.ok(units.length > 1 && rows / block >= 8);
        for (const [index, unit] of units.entries()) {
          const [phase] = compiled.kernelOf(first + index).method.phases;
          assert.equal(phase?.size, rows * unit);
          assert.equal((block * unit) % phase.block, 0);
        }
      }
      const inputs = inputsOf(plan);
      const made = simulatePlan(compiled, inputs, 1 + (seed % 4), numbersFrom(seed));
      assert.deepEqual(made, interpretPlan(plan, inputs));
    }),
    { numRuns: 120 },
  );
  assert.ok(counts.bands > 40 && counts.steps > 100, JSON.stringify(counts));
});
