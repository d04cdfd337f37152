/** What a training step is called with, by its shapes alone: for planning it without a device. */
import { scalar, type Tensor, tensor, zeros } from "../../engine/index.ts";
import { flattenParameters, type NamedParameters, type ParameterSpec } from "../../nn/index.ts";
import { describeDenoiser } from "../network/index.ts";
import type { AccumulatingState } from "./accumulate.ts";
import type { TrainingOptions } from "./options.ts";
import { startingState } from "./stepFunctions.ts";
import type { StepSchedule, TrainingBatch } from "./step.ts";

/** Arguments of a step's functions; a batch of as many images as go through the network at once. */
export type StepTemplate = {
  readonly state: AccumulatingState;
  readonly batch: TrainingBatch;
  readonly schedule: StepSchedule;
  /** True, as the functions take it. */
  readonly yes: Tensor;
};

/** Large arrays in it are zeros that nobody has computed: they take no memory. */
export function stepTemplate(options: TrainingOptions): StepTemplate {
  const specs = flattenParameters<ParameterSpec>(describeDenoiser(options.network));
  const of = (isBuffer: boolean): NamedParameters =>
    Object.fromEntries(
      Object.entries(specs)
        .filter(([, { role }]) => (role === "buffer") === isBuffer)
        .map(([name, { shape }]) => [name, zeros(shape)]),
    );
  const { imageChannels, imageResolution, labelDim } = options.network.unet;
  const { batchDevice, emaSigmaRels } = options;
  return {
    state: startingState(options, of(false), of(true)),
    batch: {
      images: zeros([batchDevice, imageChannels, imageResolution, imageResolution]),
      labels: labelDim === 0 ? null : zeros([batchDevice, labelDim]),
      positions: tensor(new Uint32Array(batchDevice)),
    },
    schedule: {
      rate: scalar(0),
      corrections: { first: scalar(1), second: scalar(1) },
      updateRates: zeros([emaSigmaRels.length]),
    },
    yes: scalar(1, "bool"),
  };
}
