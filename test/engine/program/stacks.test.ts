import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { at } from "../../../engine/graph/shape.ts";
import { createDevice, compile, multiply, scalar, scan, type Tensor } from "../../../engine/index.ts";
import { planFor } from "../../../engine/program/planFor.ts";
import { radix, stackLevels } from "../../../engine/program/stacks.ts";
import { limits } from "../passes/plannedFor.ts";

describe("stackLevels", () => {
  it("hold the results of all iterations, as they come and in the end", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3000 }), (length) => {
        const levels = stackLevels(length);
        const counts = levels.map(() => 0);
        for (let iteration = 0; iteration < length; iteration++) {
          counts[0] = at(counts, 0) + 1;
          for (let level = 0; at(counts, level) === radix && level + 1 < levels.length; level++) {
            counts[level] = 0;
            counts[level + 1] = at(counts, level + 1) + 1;
          }
          levels.forEach(({ most }, level) => assert.ok(at(counts, level) <= most));
        }
        assert.deepEqual(
          counts,
          levels.map(({ left }) => left),
        );
        assert.equal(
          levels.reduce((sum, { height, left }) => sum + height * left, 0),
          length,
        );
      }),
    );
  });

  it("are none where nothing is stacked", async () => {
    const last = (length: number) => (x: Tensor) =>
      scan((carry: Tensor) => ({ carry: multiply(carry, 2), y: null }), x, null, { length }).carry;
    const arraysOf = async (length: number): Promise<number> =>
      (await planFor(last(length), [scalar(1)], limits)).plan.buffers.length;
    assert.equal(await arraysOf(1000), await arraysOf(2));
    const program = compile(last(100), { device: await createDevice("wasm") });
    assert.equal(await (await program(scalar(1))).item(), 2 ** 100);
    program.dispose();
  });
});
