import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Kernel } from "../../../engine/kernel/kernel.ts";
import type { PlanStep } from "../../../engine/kernel/plan.ts";
import { type PlannedBuffer, planMemory } from "../../../engine/passes/planMemory.ts";

const kernel = {} as Kernel;

/** Random chains: step i writes buffer i and reads some earlier ones. */
const programs = fc
  .array(
    fc.record({
      length: fc.integer({ min: 1, max: 300 }),
      reads: fc.array(fc.nat(30), { maxLength: 4 }),
      temporary: fc.boolean(),
    }),
    {
      minLength: 1,
      maxLength: 30,
    },
  )
  .map((specs) => {
    const buffers = specs.map(({ length, temporary }): PlannedBuffer => ({ dtype: "f32", length, temporary }));
    const steps = specs.map(
      ({ reads }, i): PlanStep => ({
        kernel,
        operands: i === 0 ? [] : reads.map((read) => read % i),
        results: [i],
      }),
    );
    return { buffers, steps };
  });

function lifetime(steps: readonly PlanStep[], buffer: number): readonly [number, number] {
  const touching = steps.flatMap(({ operands, results }, step) =>
    results.includes(buffer) || operands.includes(buffer) ? [step] : [],
  );
  return [Math.min(...touching), Math.max(...touching)];
}

describe("planMemory", () => {
  for (const layout of ["arena", "slots"] as const) {
    it(`${layout}: buffers that live at the same time never overlap and fit their slot`, () => {
      fc.assert(
        fc.property(programs, ({ buffers, steps }) => {
          const { roles, slots } = planMemory(buffers, steps, layout);
          const placed = buffers.flatMap(({ length, temporary }, i) => {
            const role = roles(i);
            assert.equal(role.kind, "temporary");
            if (!temporary) return [];
            const end = role.offset + length * 4;
            assert.ok(end <= (slots[role.slot] ?? 0), "beyond its slot");
            assert.equal(role.offset % 64, 0);
            if (layout === "slots") assert.equal(role.offset, 0);
            return [{ slot: role.slot, start: role.offset, end, life: lifetime(steps, i) }];
          });
          for (const [i, a] of placed.entries()) {
            for (const b of placed.slice(i + 1)) {
              const together = a.slot === b.slot && a.life[0] <= b.life[1] && b.life[0] <= a.life[1];
              assert.ok(!together || a.end <= b.start || b.end <= a.start, "two living buffers overlap");
            }
          }
        }),
        { numRuns: 300 },
      );
    });
  }

  it("reuses memory: a long chain needs two buffers, not one for each step", () => {
    const buffers = Array.from({ length: 50 }, (): PlannedBuffer => ({ dtype: "f32", length: 1000, temporary: true }));
    const steps = buffers.map((_, i): PlanStep => ({ kernel, operands: i === 0 ? [] : [i - 1], results: [i] }));
    const size = Math.ceil((4000 + 16) / 64) * 64;
    assert.deepEqual(planMemory(buffers, steps, "arena").slots, [2 * size]);
    assert.deepEqual(planMemory(buffers, steps, "slots").slots, [size, size]);
  });

  for (const layout of ["arena", "slots"] as const) {
    it(`${layout}: compares with what lives at the same time only: a chain ten times as long takes ten times the work`, () => {
      // Of many sizes, so that they are not placed in the order of time.
      const comparisons = (length: number): number => {
        const buffers = Array.from(
          { length },
          (_, i): PlannedBuffer => ({ dtype: "f32", length: 1 + ((i * 7919) % 1000), temporary: true }),
        );
        const steps = buffers.map(
          (_, i): PlanStep => ({ kernel, operands: i < 3 ? [] : [i - 1, i - 3], results: [i] }),
        );
        return planMemory(buffers, steps, layout).comparisons;
      };
      assert.ok(comparisons(10_000) <= 11 * comparisons(1000));
    });
  }

  it("gives no memory to buffers that no step writes", () => {
    const { roles, slots } = planMemory([{ dtype: "f32", length: 0, temporary: true }], [], "arena");
    assert.deepEqual([roles(0), slots], [{ kind: "temporary", slot: 0, offset: 0 }, [0]]);
  });
});
