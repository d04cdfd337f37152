import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  compile,
  createDevice,
  explain,
  matmul,
  memoryMap,
  softmax,
  tanh,
  type Tensor,
  zeros,
} from "../../../engine/index.ts";

const layers = (x: Tensor, w: Tensor): Tensor => softmax(matmul(tanh(matmul(tanh(matmul(x, w)), w)), w));

describe("the map of memory", () => {
  for (const name of ["wasm", "cpu"] as const) {
    it(`has every temporary within its slot, and no two in one place at one time, on ${name}`, async () => {
      const device = await createDevice(name);
      const compiled = compile(layers, { device });
      const explanation = await explain(compiled, [zeros([64, 64]), zeros([64, 64])]);
      const { steps, bytes, slots, buffers } = memoryMap(explanation);
      assert.equal(steps, explanation.kernels.length);
      assert.equal(slots, explanation.slots.length);
      assert.equal(
        bytes,
        explanation.slots.reduce((sum, slot) => sum + slot, 0),
      );
      assert.equal(buffers.length, explanation.buffers.filter(({ role }) => role === "temporary").length);
      assert.ok(buffers.length >= 2, `there are ${buffers.length} temporaries`);
      for (const [i, one] of buffers.entries()) {
        assert.ok(one.start + one.bytes <= bytes, `b${one.buffer} ends behind the memory`);
        assert.equal(one.bytes, 4 * one.length);
        const touches = explanation.kernels.flatMap(({ operands, results }, step) =>
          [...operands, ...results].includes(one.buffer) ? [step] : [],
        );
        assert.deepEqual([one.first, one.last], [touches[0], touches.at(-1)]);
        for (const other of buffers.slice(i + 1)) {
          const areApart =
            one.last < other.first ||
            other.last < one.first ||
            one.start + one.bytes <= other.start ||
            other.start + other.bytes <= one.start;
          assert.ok(areApart, `b${one.buffer} and b${other.buffer} lie in one place at one time`);
        }
      }
      compiled.dispose();
      device.dispose();
    });
  }
});
