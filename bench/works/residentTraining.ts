/** A training step whose state stays on the device, with its report read back or not: what a trainer does around it is left out. */
import { describeDenoiser } from "../../diffusion/network/index.ts";
import type { StepSchedule, TrainingBatch } from "../../diffusion/training/index.ts";
import { startingState, stepFunctions } from "../../diffusion/training/stepFunctions.ts";
import { compileStep, createState, type Device, randomKey, scalar, tensor } from "../../engine/index.ts";
import {
  adamCorrections,
  flattenParameters,
  initializeParameters,
  type NamedParameters,
  type ParameterSpec,
} from "../../nn/index.ts";
import { batchOf, type Net, trainingOptions } from "./networks.ts";

export type ResidentTraining = {
  /** One step whose losses are read back. */
  step(): Promise<readonly number[]>;
  /** So many steps, one behind the other, of which nothing is read but a number of the last state. */
  advance(times: number): Promise<void>;
  dispose(): void;
};

export async function residentTraining(net: Net, device: Device): Promise<ResidentTraining> {
  const options = trainingOptions(net);
  const specs = flattenParameters<ParameterSpec>(describeDenoiser(net.network));
  const functions = stepFunctions(options, specs);
  if (functions.kind !== "whole") throw new TypeError(`net (${net.name}) is trained in parts`);
  const drawn = Object.entries(initializeParameters(specs, randomKey(options.seed)));
  const of = (isBuffer: boolean): NamedParameters =>
    Object.fromEntries(drawn.filter(([name]) => (specs[name]?.role === "buffer") === isBuffer));
  const state = await createState(startingState(options, of(false), of(true)), device);
  const step = compileStep(functions.step, { device });
  const { imageChannels, imageResolution, labelDim } = net.network.unet;
  const { images, labels } = batchOf(net);
  const batch: TrainingBatch = {
    images: tensor(images, { shape: [net.batch, imageChannels, imageResolution, imageResolution] }),
    labels: tensor(labels, { shape: [net.batch, labelDim] }),
    positions: tensor(Uint32Array.from({ length: net.batch }, (_, i) => i)),
  };
  const { first, second } = adamCorrections(1, options.adam);
  const schedule: StepSchedule = {
    rate: scalar(options.learningRate.reference),
    corrections: { first: scalar(first), second: scalar(second) },
    updateRates: tensor(options.emaSigmaRels.map(() => 0.5)),
  };
  const yes = scalar(1, "bool");
  return {
    step: async () => [...(await (await step(state, batch, schedule, yes)).loss.data())],
    advance: async (times) => {
      for (let i = 0; i < times; i++) await step.advance(state, batch, schedule, yes);
      await state.read(({ training: { weights } }) => {
        const [smallest] = Object.values(weights).sort((a, b) => a.size - b.size);
        if (smallest === undefined) throw new TypeError(`net (${net.name}) has no weights`);
        return smallest;
      });
    },
    dispose: () => {
      step.dispose();
      state.dispose();
    },
  };
}
