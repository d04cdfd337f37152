import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { interfere, overlap, type Region, regionsOf, type Use } from "../../../engine/kernel/access.ts";
import { at } from "../../../engine/graph/shape.ts";
import type { BufferRole, Plan, PlanBuffer } from "../../../engine/kernel/plan.ts";

/** Lengths that can be cut into 2, 3, 4 and 6 parts. */
const regions = fc
  .record({ space: fc.constantFrom("a", "a", "b"), begin: fc.nat(30), twelfth: fc.integer({ min: 1, max: 2 }) })
  .map(({ space, begin, twelfth }): Region => ({ space, begin, end: begin + 12 * twelfth }));

/** The bytes of part `part` of `parts` of a region. */
function bytesOf({ space, begin, end }: Region, part: number, parts: number): Set<string> {
  const length = (end - begin) / parts;
  return new Set(Array.from({ length }, (_, byte) => `${space}${begin + part * length + byte}`));
}

const meet = (some: ReadonlySet<string>, others: ReadonlySet<string>): boolean =>
  [...some].some((byte) => others.has(byte));

test("regions overlap where they have a byte in common", () => {
  fc.assert(
    fc.property(regions, regions, (one, other) => {
      assert.equal(overlap(one, other), meet(bytesOf(one, 0, 1), bytesOf(other, 0, 1)));
    }),
  );
  const [low, high]: readonly Region[] = [
    { space: "a", begin: 0, end: 8 },
    { space: "a", begin: 8, end: 16 },
  ];
  assert.ok(low !== undefined && high !== undefined);
  assert.deepEqual([overlap(low, high), overlap(high, low), overlap(low, low)], [false, false, true]);
});

const uses = fc.record({ region: regions, writes: fc.boolean(), inPlace: fc.boolean() });

/** Whether some part of one step's work writes what another part of the other's touches, however finely they are cut. */
function interfereByBytes(one: Use, other: Use): boolean {
  if (!one.writes && !other.writes) return false;
  return [2, 3, 4, 6].some((parts) => {
    const all = Array.from({ length: parts }, (_, part) => part);
    const touched = ({ region, inPlace }: Use, part: number): Set<string> =>
      inPlace ? bytesOf(region, part, parts) : bytesOf(region, 0, 1);
    return all.some((part) =>
      all.some((another) => part !== another && meet(touched(one, part), touched(other, another))),
    );
  });
}

test("two uses interfere where one part writes what another part touches", () => {
  const counts = { apart: 0, inPlace: 0, interfering: 0 };
  const sameRegion = fc.tuple(uses, uses).map(([one, other]) => [one, { ...other, region: one.region }] as const);
  fc.assert(
    fc.property(fc.oneof(fc.tuple(uses, uses), sameRegion), ([one, other]) => {
      const expected = interfereByBytes(one, other);
      assert.equal(interfere(one, other), expected);
      assert.equal(interfere(other, one), expected);
      counts[expected ? "interfering" : overlap(one.region, other.region) ? "inPlace" : "apart"]++;
    }),
    { numRuns: 400 },
  );
  assert.ok(Math.min(...Object.values(counts)) > 20, JSON.stringify(counts));
});

test("parts of regions that end or begin together aren't the same parts", () => {
  const use = (begin: number, end: number): Use => ({
    region: { space: "a", begin, end },
    writes: true,
    inPlace: true,
  });
  assert.equal(interfere(use(0, 24), use(12, 24)), true);
  assert.equal(interfere(use(0, 24), use(0, 12)), true);
  assert.equal(interfere(use(0, 24), use(0, 24)), false);
});

const roles: fc.Arbitrary<readonly { readonly role: BufferRole; readonly length: number }[]> = fc.array(
  fc.record({
    role: fc.oneof(
      fc.nat(2).map((index): BufferRole => ({ kind: "input", index })),
      fc.nat(3).map((index): BufferRole => ({ kind: "output", index })),
      fc.constant<BufferRole>({ kind: "constant", data: new Float32Array(4) }),
      fc.record({ kind: fc.constant("temporary"), slot: fc.nat(1), offset: fc.nat(8).map((n) => 4 * n) }),
    ),
    length: fc.integer({ min: 1, max: 6 }),
  }),
  { minLength: 2, maxLength: 10 },
);

/** The memory of a buffer, byte by byte; what a caller binds is one thing, wherever it is. Constants can't be written. */
function memoryOf({ role, length }: PlanBuffer, aliases: Plan["aliases"]): Set<string> {
  switch (role.kind) {
    case "constant":
      return new Set();
    case "input":
      return new Set([`argument ${role.index}`]);
    case "output": {
      const input = at(aliases, role.index);
      return new Set([input === null ? `result ${role.index}` : `argument ${input}`]);
    }
    case "temporary":
      return new Set(Array.from({ length: 4 * length }, (_, byte) => `${role.slot} at ${role.offset + byte}`));
  }
}

test("buffers of a plan share a region exactly where they share memory", () => {
  const aliases = fc.array(fc.option(fc.nat(2)), { minLength: 4, maxLength: 4 });
  fc.assert(
    fc.property(roles, aliases, (drafts, taken) => {
      const buffers = drafts.map(({ role, length }): PlanBuffer => ({ dtype: "f32", length, role }));
      const found = regionsOf({ buffers, steps: [], slots: [64, 64], inputs: 3, outputs: 4, aliases: taken });
      assert.equal(found.length, buffers.length);
      for (const [index, one] of buffers.entries()) {
        assert.equal(found[index] === null, one.role.kind === "constant");
        for (const [another, other] of buffers.entries()) {
          const [mine, others] = [found[index] ?? null, found[another] ?? null];
          const shared = meet(memoryOf(one, taken), memoryOf(other, taken));
          assert.equal(mine !== null && others !== null && overlap(mine, others), shared);
        }
      }
    }),
    { numRuns: 200 },
  );
});
