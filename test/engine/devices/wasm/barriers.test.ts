import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Barriers, type Touch, touchOf } from "../../../../engine/devices/wasm/program/barriers.ts";
import { type Region, regionsOf } from "../../../../engine/kernel/access.ts";
import type { Plan } from "../../../../engine/kernel/plan.ts";

const region = fc.record({
  space: fc.constantFrom("a", "b"),
  begin: fc.nat(30),
  length: fc.integer({ min: 1, max: 8 }),
});
const regions = fc
  .array(region, { maxLength: 2 })
  .map((all): Region[] => all.map(({ space, begin, length }) => ({ space, begin, end: begin + length })));
const step = fc.record({ touch: fc.record({ reads: regions, writes: regions }), isShared: fc.boolean() });
type Step = { readonly touch: Touch; readonly isShared: boolean };

const bytesOf = (all: readonly Region[]): Set<string> =>
  new Set(
    all.flatMap(({ space, begin, end }) => Array.from({ length: end - begin }, (_, i) => `${space}${begin + i}`)),
  );

/** Whether two threads could get in each other's way: byte by byte. */
function conflict(one: Step, other: Step): boolean {
  if (!one.isShared && !other.isShared) return false;
  const [reads, writes] = [bytesOf(one.touch.reads), bytesOf(one.touch.writes)];
  const [otherReads, otherWrites] = [bytesOf(other.touch.reads), bytesOf(other.touch.writes)];
  return (
    [...writes].some((byte) => otherWrites.has(byte) || otherReads.has(byte)) ||
    [...reads].some((byte) => otherWrites.has(byte))
  );
}

test("threads meet between any two steps that touch the same memory, and only then", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
      const barriers = new Barriers();
      let sinceMeeting: Step[] = [];
      for (const each of steps) {
        const meets = barriers.before(each.touch, each.isShared);
        const needed = sinceMeeting.some((earlier) => conflict(earlier, each));
        assert.equal(meets, needed);
        if (meets) sinceMeeting = [];
        sinceMeeting.push(each);
      }
    }),
    { numRuns: 500 },
  );
});

test("an output that takes over an input's memory is the same region; constants are none", () => {
  const buffer = { dtype: "f32", length: 4 } as const;
  const plan: Plan = {
    buffers: [
      { ...buffer, role: { kind: "input", index: 0 } },
      { ...buffer, role: { kind: "output", index: 0 } },
      { ...buffer, role: { kind: "output", index: 1 } },
      { ...buffer, role: { kind: "constant", data: new Float32Array(4) } },
      { ...buffer, role: { kind: "temporary", slot: 0, offset: 64 } },
    ],
    steps: [],
    slots: [80],
    inputs: 1,
    outputs: 2,
    aliases: [0, null],
  };
  const [input, taken, own, constant, temporary] = regionsOf(plan);
  assert.deepEqual(taken, input);
  assert.notEqual(own?.space, input?.space);
  assert.equal(constant, null);
  assert.deepEqual(temporary, { space: "slot 0", begin: 64, end: 80 });
});

test("a step reads its operands and writes its result and, if it has some, scratch that all share", () => {
  const [a, b, c] = ["a", "b", "c"].map((space): Region => ({ space, begin: 0, end: 4 }));
  assert.ok(a !== undefined && b !== undefined && c !== undefined);
  const regions = [a, null, b, c];
  assert.deepEqual(touchOf({ operands: [0, 1], results: [2] }, regions, false), { reads: [a], writes: [b] });
  const barriers = new Barriers();
  const steps = [
    { operands: [0], results: [2] },
    { operands: [0], results: [3] },
  ] as const;
  assert.deepEqual(
    steps.map((each) => barriers.before(touchOf(each, regions, true), true)),
    [false, true],
  );
});
