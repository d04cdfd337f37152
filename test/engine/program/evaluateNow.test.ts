import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  add,
  cast,
  compile,
  createDevice,
  EvenkeelError,
  evaluateNow,
  gather,
  multiply,
  reduceSum,
  reshape,
  type Tensor,
  tensor,
} from "../../../engine/index.ts";

const isCode = (code: string) => (error: unknown) => error instanceof EvenkeelError && error.code === code;

describe("evaluateNow", () => {
  it("gives the values of constants at once, also while a function is traced, and shapes may depend on them", async () => {
    const device = await createDevice("oracle");
    try {
      await fc.assert(
        fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 3 }), async (sizes) => {
          const shape = tensor(Int32Array.from(sizes));
          const length = sizes.reduce((product, size) => product * size, 1);
          const fold = compile(
            (x: Tensor) =>
              reshape(
                x,
                Array.from(evaluateNow(multiply(add(shape, 1), 2)), (size) => size / 2 - 1),
              ),
            { device },
          );
          const result = await fold(tensor(new Float32Array(length)));
          assert.deepEqual(result.shape, sizes);
        }),
        { numRuns: 20 },
      );
    } finally {
      device.dispose();
    }
    assert.deepEqual(evaluateNow(reduceSum(tensor([0.1, 0.2]))), Float64Array.of(Math.fround(0.1) + Math.fround(0.2)));
  });

  it("refuses what depends on an argument, and what isn't right when it runs", async () => {
    await assert.rejects(compile((x: Tensor) => reshape(x, [...evaluateNow(x)]))(tensor([1])), isCode("trace"));
    assert.throws(() => evaluateNow(gather(tensor([1, 2]), tensor(Int32Array.of(2)))), isCode("value"));
    assert.throws(() => evaluateNow(cast(tensor([NaN]), "i32")), isCode("value"));
  });
});
