import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Allocator } from "../../../../engine/devices/wasm/runtime/memoryAllocator.ts";

const end = 1 << 16;
const start = 1024;

/** Either a size to allocate or which of the living allocations to free. */
const actions = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constant("allocate" as const), bytes: fc.oneof(fc.nat(64), fc.nat(5000)) }),
    fc.record({ kind: fc.constant("free" as const), which: fc.nat() }),
  ),
  { maxLength: 120 },
);

test("allocations are aligned, within bounds, never overlap, and everything freed is one range again", () => {
  fc.assert(
    fc.property(actions, (steps) => {
      const allocator = new Allocator(start, end);
      const living: { address: number; bytes: number }[] = [];
      for (const step of steps) {
        if (step.kind === "allocate") {
          const address = allocator.allocate(step.bytes);
          if (address === null) {
            assert.ok(allocator.missing(step.bytes) > 0, "what can't be had is missing");
            continue;
          }
          assert.equal(address % Allocator.alignment, 0);
          assert.ok(address >= start && address + step.bytes <= end);
          const next = { address, bytes: Math.max(1, step.bytes) };
          for (const other of living) {
            assert.ok(other.address + other.bytes <= next.address || next.address + next.bytes <= other.address);
          }
          living.push(next);
        } else if (living.length > 0) {
          const [freed] = living.splice(step.which % living.length, 1);
          assert.ok(freed !== undefined && allocator.release(freed.address));
        }
        const free = allocator.free.reduce((sum, range) => sum + range.size, 0);
        assert.equal(free + allocator.takenBytes, end - start);
        for (const [index, range] of allocator.free.entries()) {
          const next = allocator.free[index + 1];
          assert.ok(next === undefined || range.start + range.size < next.start, "neighbours are merged");
        }
      }
      for (const { address } of living) allocator.release(address);
      assert.deepEqual(allocator.free, [{ start, size: end - start }]);
      assert.equal(allocator.takenBytes, 0);
    }),
    { numRuns: 500 },
  );
});

test("what is missing is exactly what growth must bring", () => {
  fc.assert(
    fc.property(actions, fc.nat(1 << 17), (steps, wanted) => {
      const allocator = new Allocator(start, end);
      for (const step of steps) if (step.kind === "allocate") allocator.allocate(step.bytes);
      const missing = allocator.missing(wanted);
      if (missing > 0) assert.equal(allocator.allocate(wanted), null);
      allocator.extend(end + missing);
      assert.notEqual(allocator.allocate(wanted), null);
    }),
    { numRuns: 300 },
  );
});

test("an address that is not allocated can't be released", () => {
  const allocator = new Allocator(start, end);
  const address = allocator.allocate(100) ?? -1;
  assert.equal(allocator.release(address + 64), false);
  assert.equal(allocator.release(address), true);
  assert.equal(allocator.release(address), false);
});
