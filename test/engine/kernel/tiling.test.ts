import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Axis } from "../../../engine/kernel/kernel.ts";
import {
  checkTiling,
  extentOf,
  printTiling,
  type Role,
  type Split,
  stepsOf,
  type Tiling,
} from "../../../engine/kernel/tiling.ts";

const axesOf = (sizes: readonly number[], reduced = 0): readonly Axis[] =>
  sizes.map((size, axis) => ({ role: axis < sizes.length - reduced ? "parallel" : "reduce", size }));

/** Every point that the loops of a tiling go through, with how often. */
function visits(axes: readonly Axis[], { splits }: Tiling): Map<string, number> {
  const counts = new Map<string, number>();
  const walk = (level: number, ranges: readonly (readonly [number, number])[]): void => {
    const split = splits[level];
    if (split === undefined) {
      assert.ok(ranges.every(([low, high]) => high - low === 1));
      const key = ranges.map(([low]) => low).join();
      counts.set(key, (counts.get(key) ?? 0) + 1);
      return;
    }
    const [low, high] = ranges[split.axis] ?? [0, 0];
    for (let start = low; start < high; start += split.by) {
      walk(level + 1, ranges.with(split.axis, [start, Math.min(high, start + split.by)]));
    }
  };
  walk(
    0,
    axes.map(({ size }) => [0, size]),
  );
  return counts;
}

/** Axes and, for each, steps that get smaller down to 1, in any order among the axes. */
const tilings = fc
  .array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 3 })
  .chain((sizes) =>
    fc.record({
      sizes: fc.constant(sizes),
      cuts: fc.tuple(...sizes.map((size) => fc.array(fc.integer({ min: 1, max: size }), { maxLength: 2 }))),
      order: fc.array(fc.nat(), { minLength: 9, maxLength: 9 }),
    }),
  )
  .map(({ sizes, cuts, order }) => {
    const chains = cuts.map((steps) => [...steps.toSorted((a, b) => b - a), 1]);
    const splits: Split[] = [];
    for (const pick of order) {
      const left = chains.flatMap((steps, axis) => (steps.length > 0 ? [axis] : []));
      const axis = left[pick % Math.max(1, left.length)];
      const by = axis === undefined ? undefined : chains[axis]?.shift();
      if (axis !== undefined && by !== undefined) splits.push({ axis, by, as: "loop" });
    }
    return { axes: axesOf(sizes), tiling: { splits, stages: [] } satisfies Tiling };
  });

describe("a tiling", () => {
  it("that is whole goes through every point once", () => {
    fc.assert(
      fc.property(tilings, ({ axes, tiling }) => {
        checkTiling({ axes }, tiling);
        const counts = visits(axes, tiling);
        assert.equal(
          counts.size,
          axes.reduce((points, { size }) => points * size, 1),
        );
        assert.ok([...counts.values()].every((count) => count === 1));
      }),
    );
  });

  it("knows how far its splits go", () => {
    fc.assert(
      fc.property(tilings, ({ axes, tiling }) => {
        tiling.splits.forEach(({ axis, by }, level) => {
          const extent = extentOf({ axes }, tiling, axis, level);
          assert.equal(extentOf({ axes }, tiling, axis, level + 1), by);
          let steps = 0;
          for (let start = 0; start < extent; start += by) steps++;
          assert.equal(stepsOf({ axes }, tiling, level), steps);
        });
      }),
    );
  });

  it("that leaves points out, or cuts more than there is, is refused", () => {
    fc.assert(
      fc.property(tilings, fc.nat(), ({ axes, tiling: { splits } }, pick) => {
        const level = pick % splits.length;
        const { axis, by } = splits[level] ?? { axis: 0, by: 0 };
        const size = axes[axis]?.size ?? 0;
        const isLast = splits.slice(level + 1).every((split) => split.axis !== axis);
        const without = { splits: splits.toSpliced(level, 1), stages: [] };
        if (isLast && extentOf({ axes }, without, axis, splits.length) > 1) {
          assert.throws(() => checkTiling({ axes }, without), /nothing goes through the last/);
        }
        const tooLarge = { splits: splits.with(level, { axis, by: size + by, as: "loop" as const }), stages: [] };
        assert.throws(() => checkTiling({ axes }, tooLarge), /steps of/);
      }),
    );
  });

  it("nests its roles as devices can", () => {
    const axes = axesOf([4, 4, 4], 1);
    const check = (...roles: readonly Role[]): void => {
      checkTiling({ axes }, { splits: roles.map((as, axis) => ({ axis, by: 1, as })), stages: [] });
    };
    check("grid", "loop", "unroll");
    check("loop", "grid", "loop");
    check("loop", "unroll", "lane");
    assert.throws(() => check("unroll", "loop", "loop"), /a loop inside of a unroll/);
    assert.throws(() => check("loop", "lane", "unroll"), /a unroll inside of a lane/);
    assert.throws(() => check("loop", "loop", "grid"), /summed over/);
  });

  it("is printed in a line, by the names of what the kernel is", () => {
    const load = (operand: number, coefficients: readonly number[]) =>
      ({ kind: "load", dtype: "f32", operand, at: { offset: 0, coefficients } }) as const;
    const splits: readonly Split[] = [
      { axis: 0, by: 1, as: "grid" },
      { axis: 1, by: 16, as: "grid" },
      { axis: 2, by: 30, as: "loop" },
      { axis: 2, by: 1, as: "loop" },
      { axis: 1, by: 4, as: "unroll" },
      { axis: 1, by: 1, as: "lane" },
    ];
    const axes = axesOf([6, 20, 90], 1);
    const [left, right] = [load(0, [90, 0, 1]), load(1, [0, 1, 20])];
    const body = { kind: "binary", op: "multiply", dtype: "f32", x: left, y: right } as const;
    const tiling: Tiling = { splits, stages: [{ load: right, inside: 3 }] };
    assert.equal(
      printTiling({ kernel: { axes, reduction: { op: "sum", body } }, tiling }),
      "grid row 6, column 2 by 16 | loop depth 3 by 30 | copy operand 1 (column 16, depth 30) | loop depth 30 | unroll column 4 by 4 | lane column 4",
    );
    assert.equal(
      printTiling({ kernel: { axes, reduction: null }, tiling: { splits: splits.slice(0, 3), stages: [] } }),
      "grid parallel0 6, parallel1 2 by 16 | loop reduce 3 by 30",
    );
  });
});
