import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { at } from "../../../engine/graph/shape.ts";
import { Precedence } from "../../../engine/passes/precedence.ts";

const count = 40;
const follows = fc.array(
  fc.tuple(
    fc.nat(count - 1),
    fc.array(fc.nat(count - 1), { maxLength: 4 }).map((of) => new Set(of)),
  ),
  { maxLength: 60 },
);

/** All that a group waits for, at once or by others. */
function reachable(direct: readonly ReadonlySet<number>[], group: number): ReadonlySet<number> {
  const found = new Set<number>();
  const open = [group];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    for (const other of at(direct, next)) {
      if (!found.has(other)) open.push(other);
      found.add(other);
    }
  }
  return found;
}

describe("precedence of groups", () => {
  it("lets a group follow others exactly if none of them waits for it, and puts each behind all that it waits for", () => {
    fc.assert(
      fc.property(follows, (given) => {
        const order = new Precedence(count);
        const direct = Array.from({ length: count }, () => new Set<number>());
        for (const [group, needed] of given) {
          const isFree = [...needed].every((other) => other === group || !reachable(direct, other).has(group));
          assert.equal(order.mayFollow(group, needed), isFree);
          if (!isFree) continue;
          order.follow(group, needed);
          for (const other of needed) if (other !== group) at(direct, group).add(other);
        }
        const all = order.all(count);
        assert.deepEqual(
          all.toSorted((a, b) => a - b),
          Array.from({ length: count }, (_, group) => group),
        );
        for (const group of all) {
          for (const other of at(direct, group)) assert.ok(all.indexOf(other) < all.indexOf(group));
        }
      }),
      { numRuns: 300 },
    );
  });
});
