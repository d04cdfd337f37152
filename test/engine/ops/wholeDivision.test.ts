/** Whole quotients, rests, powers and shifts of integers over their whole range, and of floats, on every device that runs in Node. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { DeviceName } from "../../../engine/devices/device.ts";
import * as ops from "../../../engine/index.ts";
import { createDevice, tensor } from "../../../engine/index.ts";
import { refuses } from "../../support/plain.ts";
import { webgpuSkip } from "../../support/webgpuSkip.ts";
import { wrongFloats, wrongIntegers } from "../../support/wholeDivision.ts";

describe("whole quotients, rests, powers and shifts", () => {
  for (const name of ["oracle", "wasm", "cpu", "webgpu"] as const satisfies readonly DeviceName[]) {
    it(`are the exact ones on ${name}`, { skip: name === "webgpu" && webgpuSkip }, async () => {
      const device = await createDevice(name);
      assert.deepEqual(await wrongIntegers(device, 7, 1500), []);
      assert.deepEqual(await wrongFloats(device, 8, 1500, name === "webgpu"), []);
      device.dispose();
    });
  }
});

describe("powers and shifts by numbers", () => {
  it("say what they refuse", () => {
    const x = tensor(Int32Array.of(1, 2));
    refuses(() => ops.power(x, -1), "range", /^power: i32 to the power -1: integers have no negative powers/);
    refuses(() => ops.power(x, 0.5), "value", /^power: 0\.5 is not a i32 value/);
    refuses(() => ops.power(tensor([true]), tensor([true])), "dtype", /^power: dtype bool/);
    refuses(() => ops.shiftLeft(x, tensor([1])), "dtype", /^shiftLeft \(amount\): dtype f32 is not supported/);
    refuses(() => ops.remainder(tensor([true]), tensor([true])), "dtype", /^remainder: dtype bool is not supported/);
    refuses(() => ops.floorDivide(x, tensor(Int32Array.of(1, 2, 3))), "shape", /^floorDivide/);
  });

  it("are the exact ones, of numbers on either side", async () => {
    const x = tensor(Int32Array.of(-3, 0, 2, 65_537));
    assert.deepEqual([...(await ops.power(x, 0).data("i32"))], [1, 1, 1, 1]);
    assert.deepEqual([...(await ops.power(x, 5).data("i32"))], [-243, 0, 32, Number(BigInt.asIntN(32, 65_537n ** 5n))]);
    assert.deepEqual(
      [...(await ops.power(2, tensor(Int32Array.of(0, 5, 31, 32, -1))).data("i32"))],
      [1, 32, -(2 ** 31), 0, 0],
    );
    assert.deepEqual([...(await ops.remainder(x, 5).data("i32"))], [2, 0, 2, 2]);
    assert.deepEqual([...(await ops.floorDivide(7, tensor(Int32Array.of(2, -2, 0))).data("i32"))], [3, -4, 0]);
  });
});
