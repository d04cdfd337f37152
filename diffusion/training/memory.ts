/** How much memory a training run takes on a device, known before any of it is. */
import { type Device, memoryOf, treeLeaves } from "../../engine/index.ts";
import { countNetwork, type NetworkConfig } from "../network/index.ts";
import type { TrainingOptions } from "./options.ts";
import { stepPrograms } from "./stepPrograms.ts";
import { stepTemplate } from "./stepTemplate.ts";

/** Bytes on a device. */
export type MemoryForecast = {
  /** What is kept: weights, moments, averages, the sum of a batch's gradients if it goes through the network in parts. */
  readonly state: number;
  /** The most that is in use at once, the state included: no less than that, and not much more. */
  readonly most: number;
};

type Limits = Pick<Device, "limits">["limits"];

/** Elements that a step keeps at most for each element that layers put out, and for each weight: tested on all configurations. */
const [keptOfOutputs, keptOfWeights] = [4, 3];
/** Of what a device can hold, the part from which programs are planned rather than bounded: a plan takes seconds. */
const largeShare = 1 / 4;
/** What devices need beside: code, packed operands of products. */
const scratch = (most: number): number => 2 ** 24 + most / 16;

/**
 * What training with these options takes. Of a network that is small for the device this is a bound that takes no time; of a large one
 * the step's programs are planned, which takes seconds.
 * @param limits the device's.
 * @example
 * ```ts
 * import { getDevice } from "evenkeel/engine";
 * import { presetNetwork, presetOf, trainingRecipe } from "evenkeel/diffusion";
 *
 * const [network, recipe] = [presetNetwork("G", presetOf("smoke")), trainingRecipe("G", presetOf("smoke"))];
 * const options = { ...recipe, network, batchDevice: 16, labelDropout: 0, seed: 0, emaSigmaRels: [0.1] };
 * const { state, most } = await trainingMemory(options, (await getDevice("wasm")).limits);
 * console.log(state, most > state); // 734584 true
 * ```
 */
export async function trainingMemory(options: TrainingOptions, limits: Limits): Promise<MemoryForecast> {
  const stateBytes = bytesOfTree(stepTemplate(options).state);
  const count = countNetwork(options.network);
  const temporaries = 4 * (keptOfOutputs * count.outputs * options.batchDevice + keptOfWeights * count.parameters);
  const bound = stateBytes + temporaries;
  if (bound <= limits.memory * largeShare) return { state: stateBytes, most: bound + scratch(temporaries) };
  const programs = await stepPrograms(options, (fn, args) => memoryOf(fn, args, limits, true));
  const beside = programs.map(({ found }) => found.total - stateBytes);
  const all = beside.reduce((sum, bytes) => sum + Math.max(0, bytes), 0);
  return { state: stateBytes, most: stateBytes + all + scratch(all) };
}

/**
 * The least that training a network on a device takes, at one image at once: for saying what would fit.
 * @example
 * ```ts
 * import { presetNetwork, presetOf } from "evenkeel/diffusion";
 *
 * const network = presetNetwork("G", presetOf("edm2-img512-xxl"));
 * console.log(`${(leastTrainingMemory(network, 2, true) / 2 ** 30).toFixed(1)} GiB`); // 34.0 GiB
 * ```
 */
export function leastTrainingMemory(network: NetworkConfig, averages: number, isInParts: boolean): number {
  return 4 * countNetwork(network).parameters * (3 + averages + (isInParts ? 1 : 0));
}

function bytesOfTree(tree: unknown): number {
  return treeLeaves(tree).reduce((sum, leaf) => sum + 4 * leaf.tensor.size, 0);
}
