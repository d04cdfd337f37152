/** What a training run's `auto` compares devices by: its own step. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { trainingWorkload } from "../../../diffusion/training/index.ts";
import { createDevice } from "../../../engine/index.ts";
import { smallOptions } from "./smallRun.ts";

const rates = { flops: 1e6, bytes: 1e6, step: 0.01 };

it("a step is estimated by its own arithmetic, traffic and programs, whole or in parts", async () => {
  const device = await createDevice("wasm", { wasm: { threads: 1 } });
  const estimate = (batch: number, batchDevice: number, given = rates): Promise<number> => {
    const work = trainingWorkload({ ...smallOptions, batch, batchDevice });
    assert.ok(work.estimate !== null);
    return work.estimate(device.limits, given);
  };
  const whole = await estimate(8, 8);
  assert.ok(Number.isFinite(whole) && whole > 0);
  // What a device does faster takes less, and all of it together as much less.
  assert.ok((await estimate(8, 8, { ...rates, flops: 1e9 })) < whole);
  assert.ok((await estimate(8, 8, { ...rates, step: 0 })) < whole);
  const faster = await estimate(8, 8, { flops: 2e6, bytes: 2e6, step: 0.005 });
  assert.ok(Math.abs(faster - whole / 2) < 1e-9 * whole);
  assert.ok((await estimate(16, 16)) > whole);
  // Each part runs the network's steps anew.
  const inParts = [await estimate(8, 4), await estimate(8, 2)];
  assert.ok(
    inParts.every((parts) => parts > whole) && (inParts[1] ?? 0) > (inParts[0] ?? 0),
    `${whole} ${inParts.join(" ")}`,
  );
  device.dispose();
});

it("a step is timed, and leaves nothing on the device", async () => {
  const device = await createDevice("wasm", { wasm: { threads: 1 } });
  const empty = device.memory();
  const milliseconds = await trainingWorkload(smallOptions).time(device);
  assert.ok(milliseconds > 0 && Number.isFinite(milliseconds));
  assert.deepEqual(device.memory(), empty);
  device.dispose();
});
