import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { netB, trainingOptions } from "../../../bench/works/networks.ts";
import { describeDenoiser, networkConfig } from "../../../diffusion/network/index.ts";
import { objectiveGradient, trainingStep, type TrainingState } from "../../../diffusion/training/step.ts";
import {
  compile,
  createDevice,
  memoryOf,
  randomKey,
  randomNormal,
  scalar,
  tensor,
  zeros,
} from "../../../engine/index.ts";
import {
  adamMoments,
  flattenParameters,
  initializeParameters,
  type NamedParameters,
  type ParameterSpec,
} from "../../../nn/index.ts";
import { smallOptions } from "./smallRun.ts";
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
  it("takes little more than half of the memory of a training step, state and all, and two fifths of what lives within it", async () => {
    const [all, few] = [await memoryOfStep(false), await memoryOfStep(true)];
    assert.ok(few.total < 0.52 * all.total, `${few.total} of ${all.total} bytes`);
    assert.ok(few.temporaries < 0.41 * all.temporaries, `${few.temporaries} of ${all.temporaries} bytes`);
  });

  it("has the bits of the gradient of one whose blocks are kept", async () => {
    const device = await createDevice("wasm");
    const network = networkConfig({ unet: { ...smallOptions.network.unet, channelMult: [1, 2, 2], numBlocks: 2 } });
    const options = { ...smallOptions, network };
    const drawn = Object.entries(
      initializeParameters(flattenParameters<ParameterSpec>(describeDenoiser(network)), randomKey(1)),
    );
    const arrays = Object.fromEntries(drawn.map(([name, array]) => [name, array.rank === 0 ? scalar(0.5) : array]));
    const images = randomNormal(randomKey(2), [2, 3, 8, 8]);
    const batch = {
      images,
      labels: zeros([2, 4]),
      sigma: tensor([0.3, 2]),
      noise: randomNormal(randomKey(3), [2, 3, 8, 8]),
    };
    const bitsOf = async (recomputesBlocks: boolean): Promise<unknown> => {
      const program = compile(
        (weights: NamedParameters) => objectiveGradient(options, weights, {}, batch, 2, { recomputesBlocks }).gradient,
        { device },
      );
      const gradient = Object.entries(await program(arrays));
      const bits = await Promise.all(gradient.map(async ([name, g]) => [name, [...(await g.data("f32"))]]));
      program.dispose();
      return bits;
    };
    assert.deepEqual(await bitsOf(true), await bitsOf(false));
    device.dispose();
  });
});
