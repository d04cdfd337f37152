/** Which device `auto` is for a training run. */
import { type AutomaticDevice, chooseAutomatically, estimateOf, type Workload } from "../../engine/index.ts";
import type { HostBatch } from "../data/index.ts";
import type { TrainingOptions } from "./options.ts";
import { stepPrograms } from "./stepPrograms.ts";
import { Trainer } from "./trainer.ts";

/**
 * A step, to compare devices by.
 * @example
 * ```ts
 * import { createDevice } from "evenkeel/engine";
 * import { presetNetwork, presetOf, trainingRecipe } from "evenkeel/diffusion";
 *
 * const data = { imageResolution: 4, imageChannels: 1, labelDim: 0 };
 * const [network, recipe] = [presetNetwork("G", presetOf("smoke"), data, { channelMult: [1] }), trainingRecipe("G", presetOf("smoke"))];
 * const { what, time } = trainingWorkload({ ...recipe, network, batchDevice: 16, labelDropout: 0, seed: 0, emaSigmaRels: [] });
 * const device = await createDevice("wasm");
 * console.log(what, (await time(device)) > 0); // a step true
 * device.dispose();
 * ```
 */
export function trainingWorkload(options: TrainingOptions): Workload {
  return {
    what: "a step",
    estimate: async (limits, rates) => {
      const programs = await stepPrograms(options, (fn, args) => estimateOf(fn, args, limits, rates, true));
      return programs.reduce((sum, { found, runs }) => sum + runs * found, 0);
    },
    time: async (device) => {
      const trainer = await Trainer.create(options, device);
      try {
        const batch = grayBatch(options);
        // The first pays for compiling and for caches.
        await trainer.step(batch);
        let shortest = Infinity;
        for (let step = 0; step < 2; step++) {
          const start = performance.now();
          await trainer.step(batch);
          shortest = Math.min(shortest, performance.now() - start);
        }
        return shortest;
      } finally {
        trainer.dispose();
      }
    },
  };
}

/**
 * The device that takes the least time for a step with these options, and why, with what it was estimated or measured to take.
 * @example
 * ```ts
 * import { deviceNames } from "evenkeel/engine";
 * import { presetNetwork, presetOf, trainingRecipe } from "evenkeel/diffusion";
 *
 * const data = { imageResolution: 4, imageChannels: 1, labelDim: 0 };
 * const [network, recipe] = [presetNetwork("G", presetOf("smoke"), data, { channelMult: [1] }), trainingRecipe("G", presetOf("smoke"))];
 * const options = { ...recipe, network, batchDevice: 16, labelDropout: 0, seed: 0, emaSigmaRels: [] };
 * const { name } = await chooseTrainingDevice(options);
 * console.log(deviceNames.includes(name)); // true
 * ```
 */
export function chooseTrainingDevice(options: TrainingOptions): Promise<AutomaticDevice> {
  return chooseAutomatically(trainingWorkload(options));
}

function grayBatch({ batch, network }: TrainingOptions): HostBatch {
  const { imageChannels, imageResolution, labelDim } = network.unet;
  return {
    images: new Float32Array(batch * imageChannels * imageResolution ** 2),
    labels: labelDim === 0 ? null : new Float32Array(batch * labelDim),
  };
}
