import { concat, EvenkeelError, mean, multiply, ones, type Tensor } from "../../../engine/index.ts";
import {
  describeMpConv,
  type NamedParameters,
  mpConv,
  mpSilu,
  mpSum,
  type ParameterSpec,
  pixelNorm,
  resample,
  type WeightParameters,
} from "../../../nn/index.ts";

/** A classifier of small pictures; plain data. */
export type ClassifierConfig = {
  /** 1 grey, 3 colour. */
  readonly imageChannels: number;
  readonly imageResolution: number;
  readonly classes: number;
  /** Channels of each resolution, each half the one before. The last number is that of the features. */
  readonly channels: readonly number[];
};

/** The main path's balance with a block's branch. */
const residualBalance = 0.3;

/**
 * The configuration for pictures: 32, 64, ... channels while the resolution can be halved, down to 4 pixels, 128 features at least.
 * @throws EvenkeelError `value` for fewer than two classes or channels other than 1 and 3.
 * @example console.log(classifierConfig({ imageChannels: 3, imageResolution: 16, classes: 10 }).channels); // [ 32, 64, 128 ]
 */
export function classifierConfig(
  parts: Omit<ClassifierConfig, "channels"> & { readonly channels?: readonly number[] },
): ClassifierConfig {
  const { imageChannels, imageResolution, classes } = parts;
  const fail = (problem: string): never => {
    throw new EvenkeelError("value", `classifier: ${problem}.`);
  };
  if (imageChannels !== 1 && imageChannels !== 3) fail(`images have ${imageChannels} channels, expected 1 or 3`);
  if (!Number.isInteger(imageResolution) || imageResolution < 4) {
    fail(`images are ${imageResolution} pixels high, expected 4 or more`);
  }
  if (!Number.isInteger(classes) || classes < 2) fail(`there are ${classes} classes; two are needed to tell apart`);
  const channels = parts.channels ?? usualChannels(imageResolution);
  if (channels.length === 0 || channels.some((count) => !Number.isInteger(count) || count < 1)) {
    fail(`channels ${channels.join(", ")} are not whole numbers from 1 on`);
  }
  if (imageResolution % 2 ** (channels.length - 1) !== 0) {
    fail(`${imageResolution} pixels can't be halved ${channels.length - 1} times`);
  }
  return { imageChannels, imageResolution, classes, channels };
}

function usualChannels(resolution: number): readonly number[] {
  const channels = [32];
  for (let size = resolution; size % 2 === 0 && size > 4; size /= 2)
    channels.push(Math.min(32 << channels.length, 128));
  return channels.with(-1, 128);
}

type BlockParameters<T> = {
  /** 1 x 1, to the block's number of channels. */
  readonly skip: WeightParameters<T>;
  readonly conv0: WeightParameters<T>;
  readonly conv1: WeightParameters<T>;
};

/** A classifier's arrays. */
export type ClassifierParameters<T = Tensor> = {
  readonly input: WeightParameters<T>;
  readonly levels: Readonly<Record<string, BlockParameters<T>>>;
  readonly output: WeightParameters<T>;
  /** Scales the logits, whose weights have a fixed length. */
  readonly gain: T;
};

/** Every array with its shape and first values. */
export function describeClassifier({
  imageChannels,
  classes,
  channels,
}: ClassifierConfig): ClassifierParameters<ParameterSpec> {
  const first = channels[0] ?? 0;
  const block = (inputs: number, outputs: number): BlockParameters<ParameterSpec> => ({
    skip: describeMpConv(inputs, outputs, [1, 1]),
    conv0: describeMpConv(outputs, outputs, [3, 3]),
    conv1: describeMpConv(outputs, outputs, [3, 3]),
  });
  return {
    // A channel of ones stands for biases.
    input: describeMpConv(imageChannels + 1, first, [3, 3]),
    levels: Object.fromEntries(
      channels.map((outputs, level) => [`level${level}`, block(channels[level - 1] ?? first, outputs)]),
    ),
    output: describeMpConv((channels.at(-1) ?? 0) + 1, classes, []),
    gain: { shape: [], role: "gain", init: { kind: "constant", value: 1 } },
  };
}

/** Features [N, F] of images x [N, C, H, W] in -1..1: the last level's, averaged over the pixels. */
export function classifierFeatures(config: ClassifierConfig, parameters: ClassifierParameters, x: Tensor): Tensor {
  const [count = 0, , height = 0, width = 0] = x.shape;
  let h = mpConv(concat([x, ones([count, 1, height, width])], 1), parameters.input.weight);
  for (const level of config.channels.keys()) {
    const { skip, conv0, conv1 } = parameters.levels[`level${level}`] as BlockParameters<Tensor>;
    if (level > 0) h = resample(h, "down");
    h = pixelNorm(mpConv(h, skip.weight));
    const branch = mpConv(mpSilu(mpConv(mpSilu(h), conv0.weight)), conv1.weight);
    h = mpSum(h, branch, residualBalance);
  }
  return mean(mpSilu(h), { axes: [2, 3] });
}

/** Logits [N, classes] of features [N, F]. */
export function classifierLogits(parameters: ClassifierParameters, features: Tensor): Tensor {
  const [count = 0] = features.shape;
  return multiply(mpConv(concat([features, ones([count, 1])], 1), parameters.output.weight), parameters.gain);
}

/** A classifier's arrays by name, with its configuration. */
export type ClassifierWeights = { readonly config: ClassifierConfig; readonly weights: NamedParameters };
