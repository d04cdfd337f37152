/** What runs are said to take, beside what they take. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { configurationNetwork, presetNetwork, presetOf } from "../../diffusion/presets/index.ts";
import { DenoiserProgram, type NetworkConfig } from "../../diffusion/network/index.ts";
import { leastTrainingMemory, Trainer, trainingMemory, type TrainingOptions } from "../../diffusion/training/index.ts";
import { samplingMemory } from "../../diffusion/sample/index.ts";
import { createDevice, type Device, randomKey } from "../../engine/index.ts";
import { configurationNames, flattenParameters, initializeParameters, type ParameterSpec } from "../../nn/index.ts";
import { describeDenoiser } from "../../diffusion/network/denoiser.ts";
import { limitedDevice } from "../support/limitedDevice.ts";
import { smallOptions } from "./training/smallRun.ts";

const optionsOf = (network: NetworkConfig, batch: number, batchDevice: number): TrainingOptions => ({
  ...smallOptions,
  network,
  labelDropout: 0.1,
  batch,
  batchDevice,
});

/** What a device has given out after a step. */
async function takenByStep(device: Device, options: TrainingOptions): Promise<number> {
  const trainer = await Trainer.create(options, device);
  const { imageChannels, imageResolution, labelDim } = options.network.unet;
  const images = new Float32Array(options.batch * imageChannels * imageResolution ** 2).fill(0.5);
  const labels = labelDim === 0 ? null : new Float32Array(options.batch * labelDim).fill(1);
  await trainer.step({ images, labels });
  const { bytes } = device.memory();
  trainer.dispose();
  return bytes;
}

const small = (name: (typeof configurationNames)[number], modelChannels: number, labelDim: number): NetworkConfig =>
  configurationNetwork(name, {
    imageResolution: 16,
    imageChannels: 3,
    labelDim,
    modelChannels,
    channelMult: [1, 2],
    numBlocks: 1,
    attnResolutions: [8],
    channelsPerHead: 8,
  });

/** Devices have some megabytes of their own needs; what is small against these isn't compared from above. */
const own = 2 ** 24 + 2 ** 22;

describe("the memory that training is said to take", () => {
  for (const [name, batch, batchDevice, channels] of [
    ["A", 8, 8, 16],
    ["C", 2, 1, 16],
    ["G", 8, 8, 24],
  ] as const) {
    it(`bounds what configuration ${name} takes with ${batchDevice} of ${batch} images at once, within a factor of 2`, async () => {
      const device = await createDevice("wasm");
      const options = optionsOf(small(name, channels, 3), batch, batchDevice);
      const quick = await trainingMemory(options, device.limits);
      const planned = await trainingMemory(options, { ...device.limits, memory: 2 ** 20 });
      const taken = await takenByStep(device, options);
      const scarce = limitedDevice(device, { memory: 2 ** 20 });
      const takenOfLittle = await takenByStep(scarce, options);
      device.dispose();
      for (const [forecast, real] of [
        [quick.most, taken],
        [planned.most, takenOfLittle],
      ] as const) {
        assert.ok(forecast >= real, `${forecast} said, ${real} taken`);
        assert.ok(forecast <= 2 * real + own, `${forecast} said, ${real} taken`);
      }
      assert.ok(takenOfLittle < taken);
    });
  }

  it("of EDM2-XS at one image at once is below wasm's 4 GiB, also in parts, with room for a network to sample from", async () => {
    const device = await createDevice("wasm");
    const network = presetNetwork("G", presetOf("edm2-img512-xs"));
    const forecast = await trainingMemory(optionsOf(network, 2048, 1), device.limits);
    device.dispose();
    assert.equal(device.limits.memory, 2 ** 32);
    // Weights, two moments, two averages, a gradient.
    const weights = 4 * 124_713_253;
    assert.ok(Math.abs(forecast.state - 6 * weights) < 2 ** 20, `${forecast.state}`);
    assert.ok(forecast.most + weights < 0.9 * 2 ** 32, `${forecast.most}`);
    assert.ok(leastTrainingMemory(network, 2, true) === 6 * weights);
  });
});

describe("the memory that sampling is said to take", () => {
  for (const [name, channels, batch] of [
    ["A", 16, 1],
    ["G", 64, 4],
  ] as const) {
    it(`bounds what configuration ${name} takes for ${batch} images at once`, async () => {
      const device = await createDevice("wasm");
      const network = small(name, channels, 0);
      const { most, weights } = await samplingMemory([network], batch, device.limits);
      const specs = flattenParameters<ParameterSpec>(describeDenoiser(network));
      const program = await DenoiserProgram.create(network, initializeParameters(specs, randomKey(0)), device);
      await program.denoise(new Float32Array(batch * 3 * 256), new Float32Array(batch).fill(1), null);
      const { bytes } = device.memory();
      program.dispose();
      device.dispose();
      assert.ok(most >= bytes && most <= 2 * bytes + own, `${most} said, ${bytes} taken`);
      assert.ok(weights < bytes);
    });
  }
});
