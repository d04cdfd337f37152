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

type Life = { readonly buffer: number; readonly bytes: number; readonly first: number; readonly last: number };
type Places = { readonly slots: readonly number[]; readonly places: ReadonlyMap<number, readonly [number, number]> };

const areTogether = (a: Life, b: Life): boolean => a.first <= b.last && b.first <= a.last;

/** Largest first, each at the lowest offset that is free for its whole life. */
function placedInArena(lives: readonly Life[]): Places {
  const placed: (Life & { readonly offset: number })[] = [];
  for (const life of [...lives].sort((a, b) => b.bytes - a.bytes || a.buffer - b.buffer)) {
    const others = placed.filter((other) => areTogether(life, other));
    const isFree = (offset: number): boolean =>
      others.every((other) => other.offset + other.bytes <= offset || offset + life.bytes <= other.offset);
    const offsets = [0, ...others.map(({ offset, bytes }) => offset + bytes)].filter(isFree);
    placed.push({ ...life, offset: Math.min(...offsets) });
  }
  return {
    slots: [Math.max(0, ...placed.map(({ offset, bytes }) => offset + bytes))],
    places: new Map(placed.map(({ buffer, offset }) => [buffer, [0, offset]])),
  };
}

/** In order of time; each in the smallest free slot that it fits into, else in the largest, which grows, else in a new one. */
function placedInSlots(lives: readonly Life[]): Places {
  const slots: { bytes: number; last: number }[] = [];
  const places = new Map<number, readonly [number, number]>();
  for (const life of [...lives].sort((a, b) => a.first - b.first)) {
    const free = slots.filter(({ last }) => last < life.first);
    const fitting = free.filter(({ bytes }) => bytes >= life.bytes).sort((a, b) => a.bytes - b.bytes);
    const [slot = { bytes: 0, last: 0 }] = [...fitting, ...free.sort((a, b) => b.bytes - a.bytes)];
    if (!slots.includes(slot)) slots.push(slot);
    [slot.bytes, slot.last] = [Math.max(slot.bytes, life.bytes), life.last];
    places.set(life.buffer, [slots.indexOf(slot), 0]);
  }
  return { slots: slots.map(({ bytes }) => bytes), places };
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

  for (const layout of ["arena", "slots"] as const) {
    it(`${layout}: steps of one time may be run in any order: nothing that one of them touches lies where another one's does`, () => {
      // How many steps have each time.
      const widths = fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 30, maxLength: 30 });
      let shared = 0;
      fc.assert(
        fc.property(programs, widths, ({ buffers, steps }, sizes) => {
          const times = sizes.flatMap((size, time) => Array.from({ length: size }, () => time)).slice(0, steps.length);
          const { roles } = planMemory(buffers, steps, layout, times);
          const placed = buffers.flatMap(({ length, temporary }, buffer) => {
            const role = roles(buffer);
            if (!temporary || role.kind !== "temporary") return [];
            const [first, last] = lifetime(steps, buffer).map((step) => times[step] ?? NaN);
            return [{ ...role, end: role.offset + 4 * length, first: first ?? NaN, last: last ?? NaN }];
          });
          for (const [i, one] of placed.entries()) {
            for (const other of placed.slice(i + 1)) {
              const isApart = one.slot !== other.slot || one.end <= other.offset || other.end <= one.offset;
              assert.ok(isApart || one.last < other.first || other.last < one.first);
              shared += Number(!isApart);
            }
          }
        }),
        { numRuns: 300 },
      );
      assert.ok(shared > 100, `${shared} share memory`);
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
    it(`${layout}: places each buffer where a comparison with all others would`, () => {
      fc.assert(
        fc.property(programs, ({ buffers, steps }) => {
          const { roles, slots } = planMemory(buffers, steps, layout);
          const exact = buffers.flatMap(({ length, temporary }, buffer): Life[] => {
            if (!temporary) return [];
            const [first, last] = lifetime(steps, buffer);
            return [{ buffer, bytes: Math.ceil((length * 4 + 16) / 64) * 64, first, last }];
          });
          const largest = Math.max(...exact.map(({ bytes }) => bytes));
          const lives = exact.map((life): Life => {
            const margin = layout === "arena" && 16 * life.bytes <= largest ? 6 : 0;
            return { ...life, first: life.first - margin, last: life.last + margin };
          });
          const slowly = layout === "arena" ? placedInArena(lives) : placedInSlots(lives);
          assert.deepEqual(slots, slowly.slots);
          for (const { buffer } of lives) {
            const role = roles(buffer);
            assert.ok(role.kind === "temporary");
            assert.deepEqual([role.slot, role.offset], slowly.places.get(buffer));
          }
        }),
        { numRuns: 1000 },
      );
    });

    // Of many sizes, so that they are not placed in the order of time.
    const lengthOf = (index: number): number => 1 + ((index * 7919) % 1000);
    const shapes: Record<string, (index: number, count: number) => readonly number[]> = {
      "a chain": (index) => (index < 3 ? [] : [index - 1, index - 3]),
      "what lives to the end": (index, count) =>
        index === count - 1 ? Array.from({ length: index }, (_, i) => i) : [],
      "what is read in the opposite order": (index, count) => (index < count / 2 ? [] : [count - 1 - index]),
    };
    for (const [name, readsOf] of Object.entries(shapes)) {
      it(`${layout}: ${name}, and twice as much of it, takes little more than twice the comparisons`, () => {
        const comparisons = (count: number): number => {
          const buffers = Array.from(
            { length: count },
            (_, i): PlannedBuffer => ({ dtype: "f32", length: lengthOf(i), temporary: true }),
          );
          const steps = buffers.map((_, i): PlanStep => ({ kernel, operands: readsOf(i, count), results: [i] }));
          return planMemory(buffers, steps, layout).comparisons;
        };
        const counts = [1000, 2000, 4000].map(comparisons);
        for (const [i, count] of counts.entries()) {
          // Some twenty nodes of the tree, each asked some ten times and more.
          assert.ok(count <= 400 * 1000 * 2 ** i, counts.join(", "));
          assert.ok(count <= 2.5 * (counts[i - 1] ?? Infinity), counts.join(", "));
        }
      });
    }
  }

  it("gives no memory to buffers that no step writes", () => {
    const { roles, slots } = planMemory([{ dtype: "f32", length: 0, temporary: true }], [], "arena");
    assert.deepEqual([roles(0), slots], [{ kind: "temporary", slot: 0, offset: 0 }, [0]]);
  });
});
