import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { EvenkeelError } from "../../engine/errors.ts";
import { compile, createDevice, type Tensor, tensor } from "../../engine/index.ts";
import { crossEntropy, orderedBatches, shuffledBatches, takeRows } from "../../nn/index.ts";
import { drawNumbers } from "./layerLaw.ts";
import { onOracle } from "./onOracle.ts";

const refuses = (code: string, pattern: RegExp) => (error: unknown) =>
  error instanceof EvenkeelError && error.code === code && pattern.test(error.message);

describe("batches", () => {
  it("have every row once, all of one size, the last filled up with rows of its own that don't count", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 60 }),
        fc.integer({ min: 1, max: 20 }),
        fc.nat(),
        fc.boolean(),
        (rows, batch, seed, isShuffled) => {
          const batches = [...(isShuffled ? shuffledBatches(rows, batch, { seed }) : orderedBatches(rows, batch))];
          const counted = batches.flatMap(({ index, weights, size }) => {
            assert.deepEqual([index.length, weights.length], [batch, batch]);
            assert.deepEqual(
              [...weights],
              Array.from({ length: batch }, (_, i) => Number(i < size)),
            );
            const own = [...index.subarray(0, size)];
            assert.ok(index.every((row) => own.includes(row)));
            return own;
          });
          const all = Array.from({ length: rows }, (_, i) => i);
          assert.deepEqual(
            counted.toSorted((a, b) => a - b),
            all,
          );
          if (!isShuffled) assert.deepEqual(counted, all);
        },
      ),
    );
  });

  it("are in an order that follows from seed and epoch, and all orders come", () => {
    const order = (seed: number, epoch: number, rows = 20): number[] =>
      [...shuffledBatches(rows, 7, { seed, epoch })].flatMap(({ index, size }) => [...index.subarray(0, size)]);
    assert.deepEqual(order(3, 1), order(3, 1));
    assert.notDeepEqual(order(3, 1), order(3, 2));
    assert.notDeepEqual(order(3, 1), order(4, 1));
    assert.notDeepEqual(order(2 ** 40 + 3, 1), order(3, 1));
    // 24 orders of 4 rows, each n = 3000 / 24 = 125 times. Of even ones chi^2 has 23 degrees of freedom and is above 62.3 once in 50,000.
    const counts = new Map<string, number>();
    for (let seed = 0; seed < 3000; seed++) {
      const seen = order(seed, 0, 4).join();
      counts.set(seen, (counts.get(seen) ?? 0) + 1);
    }
    assert.equal(counts.size, 24);
    const chiSquare = [...counts.values()].reduce((sum, count) => sum + (count - 125) ** 2 / 125, 0);
    assert.ok(chiSquare < 62.3, `${chiSquare}`);
  });

  it("give the loss of the smaller batch, by the program of the others", async () => {
    const [rows, channels, batch] = [11, 3, 4];
    const [data, labels] = [drawNumbers(1, rows * channels), Int32Array.from({ length: rows }, (_, i) => i % channels)];
    for (const name of ["oracle", "wasm"] as const) {
      const device = await createDevice(name);
      const loss = compile((x: Tensor, y: Tensor, weights: Tensor) => crossEntropy(x, y, { weights }), { device });
      for (const { index, weights, size } of shuffledBatches(rows, batch, { seed: 1 })) {
        const own = index.subarray(0, size);
        const taken = (of: Int32Array): [Tensor, Tensor] => [
          takeRows(Float32Array.from(data), [channels], of),
          takeRows(labels, [], of, "i32"),
        ];
        const [padded = NaN] = await (await loss(...taken(index), tensor(weights))).data();
        const [exact = NaN] = await onOracle(crossEntropy(...taken(own)));
        // The oracle adds in order, and 0 changes nothing; on wasm it is float32's rounding of a few terms.
        if (name === "oracle") assert.equal(padded, exact);
        else assert.ok(Math.abs(padded - exact) <= 8 * 2 ** -24 * exact);
      }
      assert.equal(loss.programs, 1);
      device.dispose();
    }
  });

  it("are of rows that lie on the host, bytes too", async () => {
    const bytes = Uint8Array.of(1, 2, 3, 4, 5, 255);
    const taken = takeRows(bytes, [1, 2], [2, 0, 2]);
    assert.deepEqual([taken.dtype, await taken.array()], ["f32", [[[5, 255]], [[1, 2]], [[5, 255]]]]);
    assert.deepEqual(await takeRows(bytes, [], [5], "i32").array(), [255]);
    assert.throws(() => takeRows(bytes, [4], [0]), refuses("shape", /6 numbers aren't rows of \[4\]/));
    assert.throws(() => takeRows(bytes, [2], [3]), refuses("range", /no row 3 of 3/));
    assert.throws(() => takeRows(bytes, [2], [-1]), refuses("range", /no row -1/));
    assert.throws(() => takeRows(bytes, [], [5], "bool"), refuses("value", /255/));
  });

  it("say what they can't be", () => {
    assert.throws(() => orderedBatches(0, 1), refuses("value", /rows is 0/));
    assert.throws(() => shuffledBatches(1, 1.5, { seed: 0 }), refuses("value", /batch is 1\.5/));
    assert.throws(() => shuffledBatches(1, 1, { seed: -1 }), refuses("value", /seed -1/));
    assert.throws(() => shuffledBatches(1, 1, { seed: 0, epoch: 0.5 }), refuses("value", /epoch 0\.5/));
  });
});
