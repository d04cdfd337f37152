/** What is told of the programs of a training step. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { presetNetwork, presetOf } from "../../../diffusion/presets/index.ts";
import { type ExplainedProgram, explainTraining, type TrainingOptions } from "../../../diffusion/training/index.ts";
import { createDevice, type Device } from "../../../engine/index.ts";
import { scheduledDevice } from "../../support/scheduledDevice.ts";
import { webgpuSkip } from "../../support/webgpuSkip.ts";
import { smallOptions } from "./smallRun.ts";

const preset = presetOf("smoke");
const smoke: TrainingOptions = {
  ...smallOptions,
  network: presetNetwork("G", preset),
  batch: preset.batch,
  batchDevice: preset.batch,
};

/** What holds of every program, on all devices that compile kernels. */
function check(
  { explanation }: ExplainedProgram,
  device: Device,
  languages: readonly string[],
  profile: boolean,
): void {
  assert.equal(explanation.device, `${device.name}: ${device.description}`);
  assert.equal(explanation.passes[0]?.name, "trace");
  for (const { name, sources, text, milliseconds } of explanation.kernels) {
    assert.ok(text.length > 0 && sources.length > 0, name);
    for (const source of sources) {
      assert.ok(languages.includes(source.language) && source.text.length > 0, `${name}: ${source.language}`);
    }
    if (profile) assert.ok(milliseconds !== undefined && milliseconds >= 0, `${name}: ${milliseconds} ms`);
    else assert.equal(milliseconds, undefined, name);
  }
  assert.ok(explanation.memory !== undefined && explanation.memory.total > 0, "it says what memory it takes");
}

describe("explainTraining", () => {
  it("tells of a step on wasm, in WebAssembly's text, with times, and leaves nothing on the device", async () => {
    const inner = await createDevice("wasm", { wasm: { threads: 1 } });
    const device = scheduledDevice(inner, () => Promise.resolve());
    try {
      const told: unknown[] = [];
      const onProgress = (...progress: readonly unknown[]): void => void told.push(progress);
      const programs = await explainTraining(smoke, device, { profile: true, onProgress });
      assert.deepEqual(told, [["step", 0, 1]]);
      assert.deepEqual([device.held, device.violations], [0, []]);
      const [program, ...others] = programs;
      assert.ok(program !== undefined && others.length === 0, "whole batches go through one program");
      assert.deepEqual([program.name, program.runs], ["step", 1]);
      check(program, device, ["wat"], true);
      const { kernels, buffers } = program.explanation;
      // Forward and backward are six operations a weight and use, at least.
      const flops = kernels.reduce((sum, kernel) => sum + kernel.flops, 0);
      const images = smoke.batch * 3 * preset.data.imageResolution ** 2;
      assert.ok(flops > 6 * images * preset.channels, `${flops} operations`);
      assert.ok(
        buffers.some(({ role, length }) => role === "input" && length === images),
        "the images are an argument",
      );
    } finally {
      inner.dispose();
    }
  });

  it("tells of both programs of a step in parts, on the CPU in JavaScript, without times unless they are wanted", async () => {
    const device = await createDevice("cpu");
    try {
      const told: unknown[] = [];
      const programs = await explainTraining({ ...smallOptions, batch: 12, batchDevice: 4 }, device, {
        onProgress: (...progress) => void told.push(progress),
      });
      assert.deepEqual(told, [
        ["accumulate", 0, 2],
        ["apply", 1, 2],
      ]);
      assert.deepEqual(
        programs.map(({ name, runs }) => [name, runs]),
        [
          ["accumulate", 3],
          ["apply", 1],
        ],
      );
      for (const program of programs) check(program, device, ["javascript"], false);
    } finally {
      device.dispose();
    }
  });

  it("tells of a step on webgpu, in WGSL, with times", { skip: webgpuSkip }, async () => {
    const device = await createDevice("webgpu");
    try {
      // Software takes seconds for a whole batch.
      const [program] = await explainTraining({ ...smoke, batch: 4, batchDevice: 4 }, device, { profile: true });
      assert.ok(program !== undefined, "there is a program");
      check(program, device, ["javascript", "wgsl"], true);
      for (const { name, sources } of program.explanation.kernels) {
        assert.ok(
          sources.some(({ language }) => language === "wgsl"),
          name,
        );
      }
    } finally {
      device.dispose();
    }
  });

  it("refuses options that don't fit before anything is compiled", async () => {
    const inner = await createDevice("wasm", { wasm: { threads: 1 } });
    const device = scheduledDevice(inner, () => Promise.resolve());
    await assert.rejects(explainTraining({ ...smallOptions, batchDevice: 3 }, device), {
      code: "value",
      message: /batchDevice is 3, expected a divisor of the batch of 8/,
    });
    assert.deepEqual([device.compiled, device.held], [0, 0]);
    inner.dispose();
  });
});
