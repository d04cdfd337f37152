import {
  add,
  divide,
  EvenkeelError,
  maximum,
  multiply,
  reduceSum,
  sqrt,
  square,
  stopGradient,
  subtract,
  type Tensor,
} from "../../engine/index.ts";
import { perChannel } from "../classic/index.ts";
import { alongFirstAxes, weighted } from "../losses/index.ts";
import type { ParameterSpec } from "../parameters.ts";

/** Scale and shift of each channel [C]. */
export type BatchNormParameters<T = Tensor> = { readonly weight: T; readonly bias: T };

/** Running mean and variance of each channel [C]. They aren't trained: keep them beside the parameters. */
export type BatchStatistics<T = Tensor> = { readonly mean: T; readonly variance: T };

/** Options of `batchNormTraining`. */
export type BatchNormOptions = {
  /** Share of this batch in the running statistics. Default 0.1. */
  readonly momentum?: number;
  /** Added to the variance. Default 1e-5. */
  readonly epsilon?: number;
  /** How much each image counts [N]: 1, or 0 for those that only fill a batch up. Default: all count. */
  readonly weights?: Tensor;
};

/**
 * What a batch norm learns: a scale, 1 at first, and a shift, 0.
 * @example
 * ```ts
 * const { weight, bias } = describeBatchNorm(8);
 * console.log(weight.shape, bias.shape); // [ 8 ] [ 8 ]
 * ```
 */
export function describeBatchNorm(channels: number): BatchNormParameters<ParameterSpec> {
  return {
    weight: { shape: [channels], role: "scale", init: { kind: "constant", value: 1 } },
    bias: { shape: [channels], role: "bias", init: { kind: "constant", value: 0 } },
  };
}

/**
 * The statistics before the first batch: mean 0, variance 1.
 * @example
 * ```ts
 * const { mean, variance } = describeBatchStatistics(8);
 * console.log(mean.shape, variance.shape); // [ 8 ] [ 8 ]
 * ```
 */
export function describeBatchStatistics(channels: number): BatchStatistics<ParameterSpec> {
  return {
    mean: { shape: [channels], role: "buffer", init: { kind: "constant", value: 0 } },
    variance: { shape: [channels], role: "buffer", init: { kind: "constant", value: 1 } },
  };
}

function applyStatistics(
  x: Tensor,
  { weight, bias }: BatchNormParameters,
  { mean, variance }: BatchStatistics,
  epsilon: number,
): Tensor {
  const scale = divide(weight, sqrt(add(variance, epsilon)));
  return add(multiply(subtract(x, perChannel(mean, x.rank)), perChannel(scale, x.rank)), perChannel(bias, x.rank));
}

/**
 * Batch normalization as it is used after training: (x - mean) / sqrt(variance + epsilon) weight + bias with the running statistics.
 * x is [N, C, ...].
 * @throws EvenkeelError `shape` unless x has as many channels as the parameters.
 * @example
 * ```ts
 * import { ones, tensor, zeros } from "evenkeel/engine";
 *
 * const parameters = { weight: ones([1]), bias: zeros([1]) };
 * const y = batchNorm(tensor([[10], [50]]), parameters, { mean: tensor([30]), variance: tensor([400]) });
 * console.log(await y.array()); // [ [ -1 ], [ 1 ] ]
 * ```
 */
export function batchNorm(
  x: Tensor,
  parameters: BatchNormParameters,
  statistics: BatchStatistics,
  epsilon = 1e-5,
): Tensor {
  requireChannels("batchNorm", x, parameters);
  return applyStatistics(x, parameters, statistics, epsilon);
}

/**
 * Batch normalization in training (Ioffe and Szegedy 2015): x [N, C, ...] by the mean and variance of its own batch, through which
 * derivatives go. The running statistics move by `momentum` towards these, the variance as that of a sample (divided by n - 1), as
 * in PyTorch; no derivative goes through them.
 * @returns the normalized x, and the running statistics for the next step.
 * @throws EvenkeelError `shape` unless x has as many channels as the parameters, and if there is but one number a channel.
 * @example
 * ```ts
 * import { ones, tensor, zeros } from "evenkeel/engine";
 *
 * const parameters = { weight: ones([1]), bias: zeros([1]) };
 * const before = { mean: zeros([1]), variance: ones([1]) };
 * const { value, statistics } = batchNormTraining(tensor([[100], [300]]), parameters, before);
 * console.log(await value.array(), await statistics.mean.array()); // [ [ -1 ], [ 1 ] ] [ 20 ]
 * ```
 */
export function batchNormTraining(
  x: Tensor,
  parameters: BatchNormParameters,
  statistics: BatchStatistics,
  { momentum = 0.1, epsilon = 1e-5, weights }: BatchNormOptions = {},
): { readonly value: Tensor; readonly statistics: BatchStatistics } {
  requireChannels("batchNormTraining", x, parameters);
  const [images = 0, channels = 0] = x.shape;
  const pixels = x.size / Math.max(1, images * channels);
  if (images * pixels < 2) {
    throw new EvenkeelError(
      "shape",
      `batchNormTraining: x [${x.shape.join(", ")}] has ${images * pixels} numbers a channel, expected 2 or more to have a variance.`,
    );
  }
  if (weights !== undefined && (weights.rank !== 1 || weights.size !== images)) {
    throw new EvenkeelError(
      "shape",
      `batchNormTraining: weights are [${weights.shape.join(", ")}], expected one for each image, [${images}].`,
    );
  }
  const count = weights === undefined ? images * pixels : multiply(reduceSum(weights), pixels);
  const axes = x.shape.flatMap((_, axis) => (axis === 1 ? [] : [axis]));
  const share = weights === undefined ? null : alongFirstAxes("batchNormTraining", weights, x.shape);
  const meanOf = (values: Tensor): Tensor =>
    divide(reduceSum(share === null ? values : weighted(values, share), { axes }), count);
  const mean = meanOf(x);
  const variance = meanOf(square(subtract(x, perChannel(mean, x.rank))));
  const sampleFactor = typeof count === "number" ? count / (count - 1) : divide(count, maximum(subtract(count, 1), 1));
  const moved = (before: Tensor, now: Tensor): Tensor =>
    stopGradient(add(multiply(before, 1 - momentum), multiply(now, momentum)));
  return {
    value: applyStatistics(x, parameters, { mean, variance }, epsilon),
    statistics: {
      mean: moved(statistics.mean, mean),
      variance: moved(statistics.variance, multiply(variance, sampleFactor)),
    },
  };
}

function requireChannels(operation: string, x: Tensor, { weight }: BatchNormParameters): void {
  if (x.rank < 2 || weight.rank !== 1 || x.shape[1] !== weight.size) {
    throw new EvenkeelError(
      "shape",
      `${operation}: x [${x.shape.join(", ")}] and parameters [${weight.shape.join(", ")}] don't fit: expected x [N, C, ...] and [C].`,
    );
  }
}
