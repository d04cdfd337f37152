/** How often programs and states wait for what a device computed, and how much of it they fetch. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  add,
  cast,
  compile,
  compileStep,
  createDevice,
  createState,
  gather,
  multiply,
  reduceSum,
  type Tensor,
  tensor,
} from "../../../engine/index.ts";
import { countMappings } from "../../support/countMappings.ts";
import { ReferenceDevice } from "../../../testing/devices/referenceDevice.ts";
import { scheduledDevice } from "../../support/scheduledDevice.ts";
import { webgpuSkip } from "../../support/webgpuSkip.ts";

type Leaves = { readonly w: Tensor; readonly count: Tensor; readonly table: readonly Tensor[] };

const start = (): Leaves => ({
  w: tensor([1, 2, 3]),
  count: tensor(Int32Array.of(7)),
  // Computed on the device, with two things to check.
  table: [cast(multiply(tensor([2, 4]), 0.5), "i32"), gather(tensor([5, 6, 7]), tensor(Int32Array.of(2, 0)))],
});

/** Three results and two checks. */
const step = (s: Leaves, rows: Tensor) => {
  const picked = gather(s.w, rows);
  return {
    state: { ...s, w: add(s.w, 1), count: add(s.count, 1) },
    result: { picked, total: reduceSum(s.w), whole: [cast(s.w, "i32")] },
  };
};

const rows = tensor(Int32Array.of(2, 0));

const values = async (tree: readonly Tensor[]): Promise<number[][]> => {
  const all: number[][] = [];
  for (const each of tree) all.push([...(await each.data())]);
  return all;
};

describe("results and runtime checks come in one readback", () => {
  const makers = {
    oracle: () => createDevice("oracle"),
    wasm: () => createDevice("wasm"),
    cpu: () => createDevice("cpu"),
    reference: async () => new ReferenceDevice("slots"),
  };
  for (const [name, make] of Object.entries(makers)) {
    it(`on ${name}`, async () => {
      const inner = await make();
      const device = scheduledDevice(inner, () => Promise.resolve());
      /** The bytes of each download since the last time. */
      const fetched = (): number[] => device.downloads.splice(0);
      const state = await createState(start(), device);
      assert.deepEqual(fetched(), [4 * 2], "two checks");
      const train = compileStep(step, { device });
      const { picked, total, whole } = await train(state, rows);
      assert.deepEqual(await values([picked, total, ...whole]), [[3, 1], [6], [1, 2, 3]]);
      assert.deepEqual(fetched(), [4 * (2 + 1 + 3 + 2)]);
      await train.advance(state, rows);
      assert.deepEqual(fetched(), []);
      const look = compile((s: Leaves) => [multiply(s.w, 2), ...s.table], { device });
      assert.deepEqual(await values(await look(state)), [
        [6, 8, 10],
        [1, 2],
        [7, 5],
      ]);
      assert.deepEqual(fetched(), [4 * (3 + 2 + 2)]);
      const { w, count, table } = await state.read();
      assert.deepEqual(await values([w, count, ...table]), [[3, 4, 5], [9], [1, 2], [7, 5]]);
      assert.deepEqual(fetched(), [4 * (3 + 1 + 2 + 2)]);
      await assert.rejects(train(state, tensor(Int32Array.of(3, 0))), { code: "value" });
      assert.equal(fetched().length, 1);
      state.dispose();
      train.dispose();
      look.dispose();
      inner.dispose();
    });
  }

  it("on webgpu it is one mapped buffer", { skip: webgpuSkip }, async () => {
    const device = await createDevice("webgpu");
    const mapped = await countMappings();
    try {
      const state = await createState(start(), device);
      assert.equal(mapped(), 1);
      const train = compileStep(step, { device });
      for (let i = 0; i < 3; i++) {
        const { picked, total, whole } = await train(state, rows);
        assert.deepEqual(await values([picked, total, ...whole]), [[3 + i, 1 + i], [6 + 3 * i], [1 + i, 2 + i, 3 + i]]);
        assert.equal(mapped(), 1);
      }
      await train.advance(state, rows);
      assert.equal(mapped(), 0);
      const { w, count, table } = await state.read();
      assert.deepEqual(await values([w, count, ...table]), [[5, 6, 7], [11], [1, 2], [7, 5]]);
      assert.equal(mapped(), 1);
      state.dispose();
      train.dispose();
    } finally {
      device.dispose();
    }
  });
});
