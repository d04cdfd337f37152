import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { netB, trainingOptions } from "../../../bench/works/networks.ts";
import { describeDenoiser } from "../../../diffusion/network/index.ts";
import { trainingStep, type TrainingState } from "../../../diffusion/training/step.ts";
import { memoryOf, scalar, zeros } from "../../../engine/index.ts";
import { adamMoments, flattenParameters, type NamedParameters, type ParameterSpec } from "../../../nn/index.ts";
import { limits } from "../../engine/passes/plannedFor.ts";

/** What a step of the benchmark's larger network takes, whose blocks are kept or computed again. */
async function memoryOfStep(recomputesBlocks: boolean): Promise<{ temporaries: number; total: number }> {
  const { network, batch } = netB;
  const options = trainingOptions(netB);
  const specs = flattenParameters<ParameterSpec>(describeDenoiser(network));
  const arrays = (isBuffer: boolean): NamedParameters =>
    Object.fromEntries(
      Object.entries(specs)
        .filter(([, { role }]) => (role === "buffer") === isBuffer)
        .map(([name, { shape }]) => [name, zeros(shape)]),
    );
  const weights = arrays(false);
  const state = { weights, buffers: arrays(true), moments: adamMoments(weights), averages: [weights, weights] };
  const { imageChannels, imageResolution, labelDim } = network.unet;
  const images = zeros([batch, imageChannels, imageResolution, imageResolution]);
  const noisy = { images, labels: zeros([batch, labelDim]), sigma: zeros([batch]), noise: images };
  const schedule = { rate: scalar(0), corrections: { first: scalar(1), second: scalar(1) }, updateRates: zeros([2]) };
  const step = (training: TrainingState, given: { noisy: typeof noisy; schedule: typeof schedule }): unknown =>
    trainingStep(options, specs, training, given.noisy, given.schedule, { recomputesBlocks });
  const oneAddressSpace = { ...limits, elements: 2 ** 28, results: 8 };
  return memoryOf(
    step as (...args: readonly unknown[]) => unknown,
    [state, { noisy, schedule }],
    oneAddressSpace,
    true,
  );
}

describe("a network whose blocks are computed again for derivatives", () => {
  it("takes less than half of the memory of a training step, state and all, and two fifths of what lives within it", async () => {
    const [all, few] = [await memoryOfStep(false), await memoryOfStep(true)];
    assert.ok(few.total < 0.5 * all.total, `${few.total} of ${all.total} bytes`);
    assert.ok(few.temporaries < 0.4 * all.temporaries, `${few.temporaries} of ${all.temporaries} bytes`);
  });
});
