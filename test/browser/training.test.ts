/** One program on all devices: a network with every kind of layer is trained by the same steps wherever they are taken. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Trainer } from "../../diffusion/training/index.ts";
import { createDevice, type DeviceName, tensor } from "../../engine/index.ts";
import { smallBatch, smallOptions } from "../diffusion/training/smallRun.ts";
import { webgpuSkip } from "../support/webgpuSkip.ts";
import { cases } from "./cases.ts";
import { findChromium, openPage } from "./run.ts";

const steps = 20;
const seed = 3;
/** Those taken in a page, by software that takes long for each. (The lab's tests train there on webgl2, too, a smaller network.) */
const stepsInPage = 8;

/**
 * How far apart curves may be, relative to the loss. What rounding does to a gradient is small beside the whole of it, some hundred
 * roundings along the longest path, eta = 1000 * 2^-24 = 6e-5 at most. Adam makes of that large changes of some weights, whose gradients
 * are not larger than what rounding does to them; but the loss changes by gradient times change, at most by eta of what all of the step
 * changes it by. Here no step changes the loss by more than its half, so that 20 steps add up to 20 * eta / 2 = 6e-4 at most, unless
 * training itself makes more of what is small: the second test says that it doesn't.
 */
const boundOf = (taken: number): number => (1e-3 * taken) / steps;
const bound = boundOf(steps);

const apart = (one: readonly number[], other: readonly number[]): number =>
  Math.max(...one.map((loss, i) => Math.abs(loss - (other[i] ?? NaN)) / loss));

const inNode = async (name: DeviceName): Promise<readonly number[]> => {
  const device = await createDevice(name);
  try {
    return (await cases.training(device, seed, steps)).numbers ?? [];
  } finally {
    device.dispose();
  }
};

const chromiumPath = findChromium();

describe("20 steps of training", async () => {
  const wasm = await inNode("wasm");

  it("are as many losses, and of a network that learns", () => {
    assert.equal(wasm.length, steps);
    assert.ok(wasm.every((loss) => loss > 0 && Number.isFinite(loss)));
    assert.ok(new Set(wasm).size === steps);
  });

  it("make no more of what is small: weights that are a thousand roundings off give losses within the bound", async () => {
    const device = await createDevice("wasm", { wasm: { threads: 1 } });
    const trainer = await Trainer.create({ ...smallOptions, batch: 2, batchDevice: 2, seed }, device);
    const start = await trainer.readState();
    let sign = 1;
    const moved = new Map<string, ReturnType<typeof tensor>>();
    for (const [name, array] of start) {
      const data = await array.data();
      const isWeight = array.dtype === "f32" && name.startsWith("weights");
      // Signs in turn, so that no sum of weights has the change of all.
      const changed = isWeight
        ? Float32Array.from(data, (value) => value * (1 + (sign = -sign) * 1000 * 2 ** -24))
        : data;
      moved.set(name, tensor(changed, { shape: array.shape, dtype: array.dtype }));
    }
    assert.ok(
      [...start.keys()].some((name) => name.startsWith("weights")),
      [...start.keys()].join(" "),
    );
    await trainer.writeState(0, moved);
    const losses: number[] = [];
    for (let step = 0; step < steps; step++) losses.push((await trainer.step(smallBatch(trainer.nimg, 2))).loss);
    const distance = apart(wasm, losses);
    assert.ok(distance > 0 && distance < bound, `${distance}`);
    trainer.dispose();
    device.dispose();
  });

  it("have the same losses on cpu, in JavaScript", async () => {
    const distance = apart(wasm, await inNode("cpu"));
    assert.ok(distance < bound, `${distance} apart`);
  });

  it("have the same losses on webgpu in Node", { skip: webgpuSkip }, async () => {
    const distance = apart(wasm, await inNode("webgpu"));
    assert.ok(distance < bound, `${distance} apart`);
  });

  const skip = chromiumPath === undefined ? "no chromium: install it or name it by CHROMIUM" : false;
  it("have the same losses in Chromium on webgpu", { skip }, async (t) => {
    if (chromiumPath === undefined) return;
    const page = await openPage(chromiumPath);
    try {
      const report = await page.runCases("training", "webgpu", seed, stepsInPage);
      if (report.kind === "unavailable") {
        // Headless Chromium has every device by software: where tests must prove something, its lack is a failure.
        if (process.env["CI"] === "true") assert.fail(report.reason);
        t.skip(report.reason);
        return;
      }
      const distance = apart(wasm.slice(0, stepsInPage), report.numbers ?? []);
      assert.ok(distance < boundOf(stepsInPage), `${distance} apart on ${report.description}`);
    } finally {
      await page.close();
    }
  });
});
