import { compile, type Compiled, type Device, divide, mapTree, randomKey, type Tensor } from "../../engine/index.ts";
import { flattenParameters, type NamedParameters, type ParameterSpec, type NetworkRun } from "../../nn/index.ts";
import { describeDenoiser } from "../network/index.ts";
import {
  type AccumulatingState,
  batchLoss,
  denoiserParameters,
  drawDropout,
  drawNoise,
  normalizeWeights,
  objectiveGradient,
  type StepProbe,
  type StepSchedule,
  type TrainingBatch,
  type TrainingOptions,
  updateTrainingState,
} from "../training/index.ts";
import { type ReadingKind, type ReadingNames, readStep, splitReadings, type Tapped } from "./readings.ts";

/**
 * Reads a training step from inside: one program that takes the very step on the state as it is, and gives reductions of what it
 * sees instead of a new state. It costs about a step, or a forward pass where a batch is cut into parts.
 */
export class DynamicsProbe implements StepProbe {
  readonly #run: Compiled<[AccumulatingState, TrainingBatch, StepSchedule], Tensor>;
  #names: ReadingNames | undefined;
  #values: Float32Array | undefined;

  /** @param options those of the trainer whose steps it sees. */
  constructor(options: TrainingOptions, device: Device) {
    const specs = flattenParameters<ParameterSpec>(describeDenoiser(options.network));
    const key = randomKey(options.seed);
    this.#run = compile(
      (state: AccumulatingState, batch: TrainingBatch, schedule: StepSchedule) => {
        const { names, values } = readStep(specs, viewStep(options, specs, key, state, batch, schedule));
        this.#names = names;
        return values;
      },
      { device },
    );
  }

  /** Looks at a step before it is made; `readings` has what it saw. */
  async observe(...[state, batch, schedule]: Parameters<StepProbe["observe"]>): Promise<void> {
    this.#values = await (await this.#run(state, batch, schedule)).data("f32");
  }

  /** What the last step seen gave; null if none was. */
  get readings(): { readonly names: ReadingNames; readonly values: Readonly<Record<ReadingKind, number[]>> } | null {
    if (this.#names === undefined || this.#values === undefined) return null;
    return { names: this.#names, values: splitReadings(this.#names, this.#values) };
  }

  /** Frees what it has on the device. */
  dispose(): void {
    this.#run.dispose();
  }
}

/** The trainer's next step, taken in the graph alone. */
function viewStep(
  options: TrainingOptions,
  specs: NamedParameters<ParameterSpec>,
  key: Tensor,
  state: AccumulatingState,
  batch: TrainingBatch,
  schedule: StepSchedule,
): Parameters<typeof readStep>[1] {
  const { training } = state;
  const taps: Tapped[] = [];
  const run: NetworkRun = {
    ...(options.network.unet.dropout > 0 ? drawDropout(key, batch.positions) : {}),
    tap: (name, value) => void taps.push({ name, value }),
  };
  const noisy = drawNoise(options, key, batch, training.noise);
  const isWhole = options.batchDevice === options.batch;
  const weights = normalizeWeights(specs, training.weights);
  // Parts of a batch have gathered the gradient already.
  let gradient = state.gradient;
  if (isWhole) ({ gradient } = objectiveGradient(options, weights, training.buffers, noisy, options.batch, run));
  else batchLoss(options.network, denoiserParameters(weights, training.buffers), noisy, run);
  const next = updateTrainingState(options, training, weights, gradient, schedule).weights;
  return {
    taps,
    weights,
    next,
    gradient: mapTree(gradient, (g) => divide(g, options.lossScaling)),
    byDirection: options.network.unet.weightNorm,
  };
}
