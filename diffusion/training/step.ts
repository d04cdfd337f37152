import {
  and,
  cast,
  equal,
  EvenkeelError,
  foldIn,
  isFinite,
  mapTree,
  mean,
  multiply,
  not,
  randomBernoulli,
  randomNormal,
  reduceSum,
  reshape,
  scalar,
  sqrt,
  sumOfSquares,
  type Tensor,
  valueAndGradWithAux,
  where,
  divide,
} from "../../engine/index.ts";
import {
  type AdamOptions,
  cleanGradients,
  countNonFinite,
  forceNormalize,
  type NamedParameters,
  nestParameters,
  type OptimizerOptions,
  type OptimizerState,
  optimizerStep,
  type ParameterSpec,
  type NetworkRun,
} from "../../nn/index.ts";
import { updateAverages } from "../ema/index.ts";
import {
  consistencyLoss,
  type ConsistencyTuning,
  denoise,
  type DenoiserParameters,
  edm2Loss,
  imageDropout,
  lowerLevels,
  type NetworkConfig,
  type NoiseDistribution,
  noiseLevels,
  studentNoise,
  weightedError,
} from "../network/index.ts";
import { type NoiseEstimate, noiseShares, noiseSums, sharedNoiseLevels, updateEstimate } from "./infoNoise.ts";

/** What a step of training needs to know; plain data, fixed for a run. */
export type StepOptions = {
  readonly network: NetworkConfig;
  readonly noise: NoiseDistribution;
  readonly adam: AdamOptions;
  /** What moves the weights. Default: Adam alone. */
  readonly optimizer?: Omit<OptimizerOptions, "adam">;
  /** Factor on the objective; Adam cancels it but for its epsilon. */
  readonly lossScaling: number;
  /** Probability of training an image without its label. */
  readonly labelDropout: number;
  readonly seed: number;
  /** Tunes the network to be consistent with itself, in the place of denoising. Absent: it is trained to denoise. */
  readonly consistency?: ConsistencyTuning;
};

/** Everything that training changes, by the arrays' names. Lives on the device. */
export type TrainingState = {
  /** What the optimizer moves. */
  readonly weights: NamedParameters;
  /** Fixed features. */
  readonly buffers: NamedParameters;
  /** What the optimizer remembers: of Adam the means of gradients and of their squares. */
  readonly moments: OptimizerState;
  /** Power-function averages of the weights, one for each profile. */
  readonly averages: readonly NamedParameters[];
  /** What the losses have told of the noise levels, where these are drawn by it. */
  readonly noise?: NoiseEstimate;
};

/** A batch as the host gives it. Images [N, C, H, W] in -1..1; positions u32 [N]: each image's number in the run. */
export type TrainingBatch = { readonly images: Tensor; readonly labels: Tensor | null; readonly positions: Tensor };

/** A batch with everything that is random about it drawn. */
export type NoisyBatch = {
  readonly images: Tensor;
  readonly labels: Tensor | null;
  /** Noise levels [N]. */
  readonly sigma: Tensor;
  /** Noise of variance 1 and the images' shape: standard normals, or Student-t noise, whose variance is larger. */
  readonly noise: Tensor;
  /** Lower noise levels [N] at which a network that is tuned to be consistent is asked, too. */
  readonly lower?: Tensor;
};

/** Scalars that change from step to step, as tensors so that nothing is traced again. */
export type StepSchedule = {
  readonly rate: Tensor;
  readonly corrections: { readonly first: Tensor; readonly second: Tensor };
  /** 1 - beta of each average in this step: [averages]. */
  readonly updateRates: Tensor;
};

/** What a step reports. Errors are weighted by lambda(sigma): 1 for an untrained network. */
export type StepReport = {
  /** For each image [N]: mean loss (may be negative), mean weighted error, noise level. */
  readonly loss: Tensor;
  readonly error: Tensor;
  readonly sigma: Tensor;
  /** Euclidean norm of the gradient of the sum over pixels, mean over images. */
  readonly gradientNorm: Tensor;
  /** Elements of the gradient that weren't finite and were set to 0. */
  readonly nonFiniteGradients: Tensor;
};

/** What a random number is for: the second word of its key. */
const purposes = { sigma: 0, noise: 1, labelDropout: 2, dropout: 3, tails: 4 } as const;

/**
 * Draws a batch's noise. Each number depends on the seed, its purpose and the image's position alone, so that splitting a batch
 * changes nothing.
 * @param estimate of the state, for `infonoise`.
 * @throws EvenkeelError `value` if that needs it and there is none.
 * @example
 * ```ts
 * import { randomKey, tensor, zeros } from "evenkeel/engine";
 * import { presetNetwork, presetOf, trainingRecipe } from "evenkeel/diffusion";
 *
 * const options = { ...trainingRecipe("G", presetOf("smoke")), network: presetNetwork("G", presetOf("smoke")), labelDropout: 0, seed: 0 };
 * const batch = { images: zeros([2, 3, 16, 16]), labels: null, positions: tensor(Uint32Array.of(0, 1)) };
 * const { sigma, noise } = drawNoise(options, randomKey(0), batch);
 * console.log(await sigma.array(), noise.shape); // [ 0.3507, 0.1758 ] [ 2, 3, 16, 16 ]
 * ```
 */
export function drawNoise(
  options: StepOptions,
  key: Tensor,
  batch: TrainingBatch,
  estimate?: NoiseEstimate,
): NoisyBatch {
  const keys = (purpose: number): Tensor => foldIn(foldIn(key, purpose), batch.positions);
  const sigma = drawLevels(options.noise, randomNormal(keys(purposes.sigma), []), estimate);
  const normals = randomNormal(keys(purposes.noise), batch.images.shape.slice(1));
  const noise = studentNoise(normals, keys(purposes.tails), options.network.noiseDf);
  const { images, labels, positions } = batch;
  const { consistency, labelDropout } = options;
  const lower = consistency === undefined ? {} : { lower: lowerLevels(sigma, positions, consistency) };
  if (labels === null || labelDropout === 0) return { images, labels, sigma, noise, ...lower };
  const dropped = randomBernoulli(keys(purposes.labelDropout), [1], labelDropout);
  return { images, labels: where(dropped, 0, labels), sigma, noise, ...lower };
}

function drawLevels(distribution: NoiseDistribution, normals: Tensor, estimate: NoiseEstimate | undefined): Tensor {
  const { kind = "lognormal" } = distribution;
  switch (kind) {
    case "lognormal":
      return noiseLevels(normals, distribution);
    case "infonoise":
      if (estimate === undefined) {
        throw new EvenkeelError(
          "value",
          "drawNoise: infonoise draws by the training state's estimate; give it (state.noise).",
        );
      }
      return sharedNoiseLevels(normals, noiseShares(estimate));
  }
}

/** A state with what a step's images, all of its parts, have told of the noise levels. */
export function learnNoise(
  next: TrainingState,
  before: NoiseEstimate | undefined,
  sums: () => NoiseEstimate,
  batch: number,
): TrainingState {
  return before === undefined ? next : { ...next, noise: updateEstimate(before, sums(), batch) };
}

/**
 * Dropout for each image and layer, by the image's position in the run.
 * @example
 * ```ts
 * import { ones, randomKey, tensor } from "evenkeel/engine";
 *
 * const { dropout } = drawDropout(randomKey(0), tensor(Uint32Array.of(0, 1)));
 * console.log(await dropout?.(ones([2, 4]), 0.5, "enc.4x4_block0").array()); // [ [ 0, 2, 0, 2 ], [ 2, 2, 0, 2 ] ]
 * ```
 */
export function drawDropout(key: Tensor, positions: Tensor): NetworkRun {
  return imageDropout((layer) => foldIn(foldIn(foldIn(key, purposes.dropout), layer), positions));
}

/**
 * Stored weights after forced normalization, where the configuration has it; everything else as it is.
 * @example
 * ```ts
 * import { tensor } from "evenkeel/engine";
 * import type { ParameterSpec } from "evenkeel/nn";
 *
 * const spec: ParameterSpec = { shape: [1, 2], role: "weight", init: { kind: "normal", scale: 1 }, isForced: true };
 * console.log(await normalizeWeights({ w: spec }, { w: tensor([[3, 3]]) })["w"]?.array()); // [ [ 1.000, 1.000 ] ]
 * ```
 */
export function normalizeWeights(
  specs: NamedParameters<ParameterSpec>,
  weights: NamedParameters,
): Record<string, Tensor> {
  return Object.fromEntries(
    Object.entries(weights).map(([name, w]) => [name, specs[name]?.isForced === true ? forceNormalize(w) : w]),
  );
}

/**
 * Weights and buffers as the network takes them.
 * @example
 * ```ts
 * import { scalar, zeros } from "evenkeel/engine";
 *
 * const { unet } = denoiserParameters({ "unet.out_gain": scalar(0) }, { "unet.emb_fourier.freqs": zeros([8]) });
 * console.log(Object.keys(unet)); // [ 'out_gain', 'emb_fourier' ]
 * ```
 */
export function denoiserParameters(weights: NamedParameters, buffers: NamedParameters): DenoiserParameters {
  return nestParameters<DenoiserParameters>({ ...weights, ...buffers });
}

/**
 * The loss of a batch and the weighted error of its denoised images: EDM2's, or, with lower noise levels, that of consistency tuning.
 * @param run sees and does the same in both calls of a network that is tuned, but for what it taps: the target isn't shown.
 * @returns the loss for each element, or for each image [N, 1, 1, 1]; the error for each element [N, C, H, W].
 * @example
 * ```ts
 * import { ones, randomKey, tensor, zeros } from "evenkeel/engine";
 * import { initializeParameters } from "evenkeel/nn";
 * import { presetNetwork, presetOf } from "evenkeel/diffusion";
 * import { describeDenoiser } from "evenkeel/diffusion/network";
 *
 * const data = { imageResolution: 4, imageChannels: 1, labelDim: 0 };
 * const network = presetNetwork("G", presetOf("smoke"), data, { channelMult: [1] });
 * const untrained = initializeParameters(describeDenoiser(network), randomKey(0));
 * const batch = { images: zeros([1, 1, 4, 4]), labels: null, sigma: tensor([0.5]), noise: ones([1, 1, 4, 4]) };
 * console.log(batchLoss(network, untrained, batch).loss.shape); // [ 1, 1, 4, 4 ]
 * console.log(batchLoss(network, untrained, { ...batch, lower: tensor([0.2]) }).loss.shape); // [ 1, 1, 1, 1 ]
 * ```
 */
export function batchLoss(
  network: NetworkConfig,
  parameters: DenoiserParameters,
  { images, labels, sigma, noise, lower }: NoisyBatch,
  run: NetworkRun = {},
): { readonly loss: Tensor; readonly error: Tensor } {
  if (lower === undefined) return edm2Loss(network, parameters, images, sigma, noise, labels, run);
  const { tap: _, ...untapped } = run;
  const { loss, denoised } = consistencyLoss(
    (x, level, isTarget) => denoise(network, parameters, x, level, labels, isTarget ? untapped : run),
    { images, sigma, lower, noise },
    network.sigmaData,
  );
  return { loss, error: weightedError(images, denoised, sigma, network.sigmaData) };
}

/**
 * A power of two by which what flows back through the network is larger than it would be, so that 16 bits hold it. The objective is a sum
 * over pixels and a mean over images: an element of the output has a derivative of about 1 times `lossScaling / batchSize`, as errors
 * are weighted to 1 at the start and by the loss head later. That is brought to 1, in the middle of the range from 2^-14 to 2^16. What is
 * beyond it becomes infinite, and is reported with the gradient's elements that aren't finite.
 * @example
 * ```ts
 * import { presetNetwork, presetOf, trainingRecipe } from "evenkeel/diffusion";
 *
 * const network = presetNetwork("G", presetOf("smoke"), undefined, { activations: "float16" });
 * console.log(cotangentScale({ ...trainingRecipe("G", presetOf("smoke")), network, labelDropout: 0, seed: 0 }, 16)); // 16
 * ```
 */
export function cotangentScale({ network, lossScaling }: StepOptions, batchSize: number): number {
  return network.unet.activations === "float32" ? 1 : 2 ** Math.round(Math.log2(batchSize / lossScaling));
}

/**
 * The gradient of the objective (the loss summed over elements, divided by `batchSize`) with respect to normalized weights.
 * @param batchSize images of the whole batch, of which `batch` may be a part.
 * @example
 * ```ts
 * import { ones, randomKey, tensor, zeros } from "evenkeel/engine";
 * import { flattenParameters, initializeParameters, type ParameterSpec } from "evenkeel/nn";
 * import { presetNetwork, presetOf, trainingRecipe } from "evenkeel/diffusion";
 * import { describeDenoiser } from "evenkeel/diffusion/network";
 *
 * const data = { imageResolution: 4, imageChannels: 1, labelDim: 0 };
 * const network = presetNetwork("G", presetOf("smoke"), data, { channelMult: [1] });
 * const options = { ...trainingRecipe("G", presetOf("smoke")), network, labelDropout: 0, seed: 0 };
 * const weights = initializeParameters(flattenParameters<ParameterSpec>(describeDenoiser(network)), randomKey(0));
 * const batch = { images: zeros([1, 1, 4, 4]), labels: null, sigma: tensor([0.5]), noise: ones([1, 1, 4, 4]) };
 * const { gradient, error } = objectiveGradient(options, weights, {}, batch, 1);
 * console.log(gradient["unet.out_gain"]?.shape, await error.array()); // [] [ 0.5 ]
 * ```
 */
export function objectiveGradient(
  options: StepOptions,
  weights: NamedParameters,
  buffers: NamedParameters,
  batch: NoisyBatch,
  batchSize: number,
  run: NetworkRun = {},
): { readonly gradient: NamedParameters; readonly loss: Tensor; readonly error: Tensor } {
  const scale = cotangentScale(options, batchSize);
  const perImage = (x: Tensor): Tensor => mean(reshape(x, [x.shape[0] ?? 0, -1]), { axes: 1 });
  const objective = (trained: NamedParameters): { value: Tensor; aux: { loss: Tensor; error: Tensor } } => {
    const network = denoiserParameters(trained, buffers);
    const { loss, error } = batchLoss(options.network, network, batch, run);
    const value = multiply(reduceSum(loss), (options.lossScaling * scale) / batchSize);
    return { value, aux: { loss: perImage(loss), error: perImage(error) } };
  };
  const { gradient, aux } = valueAndGradWithAux(objective)(weights);
  return { gradient: scale === 1 ? gradient : mapTree(gradient, (g) => multiply(g, 1 / scale)), ...aux };
}

/**
 * The optimizer and all averages, from normalized weights and their gradient.
 * @example
 * ```ts
 * import { scalar, tensor } from "evenkeel/engine";
 * import { adamCorrections, adamMoments } from "evenkeel/nn";
 * import { presetNetwork, presetOf, trainingRecipe } from "evenkeel/diffusion";
 *
 * const options = { ...trainingRecipe("G", presetOf("smoke")), network: presetNetwork("G", presetOf("smoke")), labelDropout: 0, seed: 0 };
 * const weights = { w: tensor([1]) };
 * const state = { weights, buffers: {}, moments: adamMoments(weights), averages: [weights] };
 * const { first, second } = adamCorrections(1, options.adam);
 * const schedule = { rate: scalar(0.1), corrections: { first: scalar(first), second: scalar(second) }, updateRates: tensor([0.5]) };
 * const next = updateTrainingState(options, state, weights, { w: tensor([3]) }, schedule);
 * console.log(await next.weights["w"]?.array(), await next.averages[0]?.["w"]?.array()); // [ 0.900 ] [ 0.950 ]
 * ```
 */
export function updateTrainingState(
  options: StepOptions,
  state: TrainingState,
  normalized: NamedParameters,
  gradient: NamedParameters,
  schedule: StepSchedule,
): TrainingState {
  const { rate, corrections, updateRates } = schedule;
  const optimizer = { ...options.optimizer, adam: options.adam };
  const updated = optimizerStep(optimizer, normalized, cleanGradients(gradient), state.moments, rate, corrections);
  return {
    weights: updated.parameters,
    buffers: state.buffers,
    moments: updated.state,
    averages: updateAverages(state.averages, updated.parameters, updateRates),
  };
}

/**
 * Whether every element is finite, and `unless` doesn't hold: a bool scalar. The elements' sum may overflow all the same.
 * @param unless bool scalar. It is part of the one count, so that those who ask for the answer have one number to read.
 */
export function allFinite(x: Tensor, unless: Tensor): Tensor {
  return equal(reduceSum(cast(and(isFinite(x), not(unless)), "i32")), x.size);
}

/**
 * One whole step: forced normalization, loss, gradient, optimizer, averages, in the reference's order (section D.2). If the loss is
 * not finite for each image the state stays as it was, so that the cause can be looked for.
 * @param isHalted bool scalar: whether the state is to stay as it is in any case. Default: not.
 * @returns the new state, whether it was left as it was (bool scalar), and what the step reports.
 * @example
 * ```ts
 * import { ones, randomKey, scalar, tensor, zeros } from "evenkeel/engine";
 * import { adamCorrections, adamMoments, flattenParameters, initializeParameters, type ParameterSpec } from "evenkeel/nn";
 * import { presetNetwork, presetOf, trainingRecipe } from "evenkeel/diffusion";
 * import { describeDenoiser } from "evenkeel/diffusion/network";
 *
 * const data = { imageResolution: 4, imageChannels: 1, labelDim: 0 };
 * const network = presetNetwork("G", presetOf("smoke"), data, { channelMult: [1] });
 * const options = { ...trainingRecipe("G", presetOf("smoke")), network, labelDropout: 0, seed: 0 };
 * const specs = flattenParameters<ParameterSpec>(describeDenoiser(network));
 * const weights = initializeParameters(specs, randomKey(0));
 * const state = { weights, buffers: {}, moments: adamMoments(weights), averages: [weights] };
 * const batch = { images: zeros([1, 1, 4, 4]), labels: null, sigma: tensor([0.5]), noise: ones([1, 1, 4, 4]) };
 * const { first, second } = adamCorrections(1, options.adam);
 * const schedule = { rate: scalar(0.01), corrections: { first: scalar(first), second: scalar(second) }, updateRates: tensor([0.5]) };
 * const step = trainingStep(options, specs, state, batch, schedule);
 * console.log(await step.result.error.array(), await step.state.weights["unet.out_gain"]?.array()); // [ 0.5 ] 0.0100
 * ```
 */
export function trainingStep(
  options: StepOptions,
  specs: NamedParameters<ParameterSpec>,
  state: TrainingState,
  batch: NoisyBatch,
  schedule: StepSchedule,
  run: NetworkRun = {},
  isHalted: Tensor = scalar(0, "bool"),
): { readonly state: TrainingState; readonly result: StepReport; readonly isHalted: Tensor } {
  const normalized = normalizeWeights(specs, state.weights);
  const batchSize = batch.images.shape[0] ?? 0;
  const { gradient, loss, error } = objectiveGradient(options, normalized, state.buffers, batch, batchSize, run);
  const updated = updateTrainingState(options, state, normalized, gradient, schedule);
  const sums = (): NoiseEstimate => noiseSums(options.network, batch.sigma, error);
  const next = learnNoise(updated, state.noise, sums, batchSize);
  const isGood = allFinite(loss, isHalted);
  return {
    state: keepUnless(isGood, next, state),
    isHalted: not(isGood),
    result: {
      loss,
      error,
      sigma: batch.sigma,
      gradientNorm: reportedNorm(gradient, options.lossScaling),
      nonFiniteGradients: countNonFinite(gradient),
    },
  };
}

/**
 * The gradient's norm without the loss scaling, in one sweep over the gradient: `globalNorm`, which also holds gradients beyond 1e19,
 * takes two.
 */
export function reportedNorm(gradient: NamedParameters, lossScaling: number): Tensor {
  return divide(sqrt(sumOfSquares(Object.values(gradient))), lossScaling);
}

/** `next` where `good` holds, else `state`. */
export function keepUnless(good: Tensor, next: TrainingState, state: TrainingState): TrainingState {
  const kept = new Map<string, Tensor>();
  mapTree(state, (tensor, path) => {
    kept.set(path, tensor);
    return tensor;
  });
  return mapTree(next, (tensor, path) => {
    const old = kept.get(path) as Tensor;
    return old === tensor ? tensor : where(good, tensor, old);
  });
}
