/** A tensor's elements on devices of all kinds that need no GPU. */
import assert from "node:assert/strict";
import { after } from "node:test";
import type { Device } from "../../engine/devices/device.ts";
import { createWasmDevice } from "../../engine/devices/wasm/device.ts";
import { createDevice, evaluate, type Tensor } from "../../engine/index.ts";
import type { Plain } from "./plain.ts";

const devices: readonly Device[] = [
  await createDevice("oracle"),
  await createWasmDevice({ threads: 2, sharedCost: 0 }),
  await createDevice("cpu"),
];
after(() => devices.forEach((device) => device.dispose()));

let calls = 0;

/**
 * Asserts shape and elements on each: zeros of both signs are equal, NaN equals NaN. Numbers may differ by `tolerance`. The last one, which
 * takes longest to compile, computes every third.
 */
export async function assertOnDevices(x: Tensor, expected: Plain, tolerance = 0): Promise<void> {
  assert.deepEqual(x.shape, expected.shape);
  calls++;
  for (const device of calls % 3 === 0 ? devices : devices.slice(0, 2)) {
    const values = await evaluate(x, device);
    assert.equal(values.length, expected.values.length);
    const wrong = expected.values.findIndex((wanted, i) => {
      const value = values[i] ?? NaN;
      const isSame = value === wanted || (Number.isNaN(value) && Number.isNaN(wanted));
      return !isSame && !(Math.abs(value - wanted) <= tolerance);
    });
    const got = [...values].join(", ");
    assert.ok(wrong < 0, `${device.name}: element ${wrong} of [${got}], wanted [${expected.values.join(", ")}]`);
  }
}

/** Asserts that a run on each ends with this message. */
export async function failsOnDevices(x: Tensor, message: RegExp): Promise<void> {
  for (const device of devices) await assert.rejects(evaluate(x, device), { name: "EvenkeelError", message });
}
