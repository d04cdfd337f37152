/** What the engine makes of a training step. */
import { compileStep, createState, type Device, explain, type Explanation } from "../../engine/index.ts";
import { flattenParameters, type ParameterSpec } from "../../nn/index.ts";
import { describeDenoiser } from "../network/index.ts";
import { checkTrainingOptions, type TrainingOptions } from "./options.ts";
import { firstState, refreshFunction } from "./stepFunctions.ts";
import { type StepProgramName, stepPrograms } from "./stepPrograms.ts";

/** A program of a step. */
export type ExplainedProgram = {
  /** `step`, or `accumulate` and `apply` where batches go through the network in parts; `refresh`, if the optimizer does something between steps. */
  readonly name: StepProgramName;
  /** How often a step runs it. */
  readonly runs: number;
  readonly explanation: Explanation;
};

/** How training is explained. */
export type ExplainTrainingOptions = {
  /** Measure each kernel of one run, which is made twice. Default: false. */
  readonly profile?: boolean;
  /** Told before each program: how many are explained, and all. */
  readonly onProgress?: (name: StepProgramName, done: number, total: number) => void;
};

/**
 * Compiles the programs of a step as a trainer does, runs each on freshly drawn weights and grey images, and tells what was made of
 * them. Needs as much of the device's memory as training, and leaves nothing there.
 * @throws EvenkeelError `value` for options that don't fit, and what the device throws.
 * @example
 * ```ts
 * import { getDevice } from "evenkeel/engine";
 * import { presetNetwork, presetOf, trainingRecipe } from "evenkeel/diffusion";
 *
 * const data = { imageResolution: 4, imageChannels: 1, labelDim: 0 };
 * const [network, recipe] = [presetNetwork("G", presetOf("smoke"), data, { channelMult: [1] }), trainingRecipe("G", presetOf("smoke"))];
 * const options = { ...recipe, network, batchDevice: 8, labelDropout: 0, seed: 0, emaSigmaRels: [0.1] };
 * const programs = await explainTraining(options, await getDevice("wasm"));
 * console.log(programs.map(({ name, runs }) => `${name}: ${runs}`)); // [ 'accumulate: 2', 'apply: 1' ]
 * ```
 */
export async function explainTraining(
  options: TrainingOptions,
  device: Device,
  { profile = false, onProgress }: ExplainTrainingOptions = {},
): Promise<readonly ExplainedProgram[]> {
  checkTrainingOptions(options);
  const specs = flattenParameters<ParameterSpec>(describeDenoiser(options.network));
  const state = await createState(firstState(options, specs), device);
  try {
    let done = 0;
    const total = (options.batchDevice === options.batch ? 1 : 2) + (refreshFunction(options) === null ? 0 : 1);
    const programs = await stepPrograms(options, async (fn, [, ...rest], name) => {
      onProgress?.(name, done++, total);
      const step = compileStep(fn, { device });
      try {
        return await explain(step, [state, ...rest], { profile });
      } finally {
        step.dispose();
      }
    });
    return programs.map(({ name, found, runs }) => ({ name, runs, explanation: found }));
  } finally {
    state.dispose();
  }
}
