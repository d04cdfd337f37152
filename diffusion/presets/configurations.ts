import {
  type AdamOptions,
  type ConfigurationName,
  configurationNames,
  configurations,
  type LearningRateOptions,
  type UNetConfig,
  type UNetData,
} from "../../nn/index.ts";
import type { ExponentialProfile } from "../ema/index.ts";
import { networkConfig, type NetworkConfig, type NoiseDistribution } from "../network/index.ts";
import { type Preset, presetOf } from "./presets.ts";

/**
 * How the published runs of a configuration averaged weights: A as EDM did, with a half-life in images; the rest by power functions of
 * these lengths. Our trainer stores power-function averages in all; A's exponential one is made from them afterwards
 * (`fitProfiles` with an `exponentialProfile`), so that all can be compared at every length.
 */
export type AveragingRecipe =
  | { readonly kind: "exponential"; readonly halfLife: ExponentialProfile["halfLife"] }
  | { readonly kind: "powerFunction"; readonly sigmaRels: readonly number[] };

/** How a configuration is trained, beside what its network is. Karras et al. 2024, Fig. 16 to 22. */
export type TrainingRecipe = {
  readonly batch: number;
  readonly learningRate: LearningRateOptions;
  readonly noise: NoiseDistribution;
  readonly adam: Required<AdamOptions>;
  readonly dropout: number;
  readonly lossScaling: number;
  /** By lambda(sigma) alone, or also by what a loss head expects of each noise level. */
  readonly lossWeighting: "lambda" | "uncertainty";
  readonly averaging: AveragingRecipe;
};

/** What a configuration's recipe has of its own; factors are relative to G's. */
type RecipeDifferences = {
  readonly batchFactor: number;
  readonly rateFactor: number;
  readonly hasDecay: boolean;
  readonly noise?: NoiseDistribution;
  readonly beta2: number;
  readonly dropout?: number;
  readonly lossScaling: number;
  readonly lossWeighting: TrainingRecipe["lossWeighting"];
};

const recipeG: RecipeDifferences = {
  batchFactor: 1,
  rateFactor: 1,
  hasDecay: true,
  beta2: 0.99,
  lossScaling: 1,
  lossWeighting: "uncertainty",
};
const recipeF: RecipeDifferences = { ...recipeG, dropout: 0.1 };
const recipeD: RecipeDifferences = { ...recipeF, hasDecay: false };
const recipeC: RecipeDifferences = { ...recipeD, rateFactor: 0.02, lossScaling: 100 };
const recipeA: RecipeDifferences = {
  ...recipeC,
  batchFactor: 2,
  rateFactor: 0.01,
  noise: { mean: -1.2, standardDeviation: 1.2 },
  beta2: 0.999,
  lossWeighting: "lambda",
};

const differences: Readonly<Record<ConfigurationName, RecipeDifferences>> = {
  A: recipeA,
  B: recipeC,
  C: recipeC,
  D: recipeD,
  E: recipeF,
  F: recipeF,
  G: recipeG,
};

/** EDM's half-life, as a share of the published runs' duration: 50 million of 2^31 images. */
const halfLifeShare = 50e6 / 2 ** 31;

/**
 * The recipe of a configuration at the scale of a preset, which is itself a recipe of G: for `edm2-img512-s` the published one. The
 * learning rate is the preset's own for that configuration, or in the published proportion to G's.
 * @example
 * ```ts
 * import { presetOf } from "evenkeel/diffusion";
 *
 * console.log(trainingRecipe("G", presetOf("emoji16")).adam); // { beta1: 0.9, beta2: 0.99, epsilon: 1e-8 }
 * ```
 */
export function trainingRecipe(name: ConfigurationName, preset: Preset): TrainingRecipe {
  const own = differences[name];
  return {
    batch: preset.batch * own.batchFactor,
    learningRate: {
      reference: preset.lrOf?.[name] ?? preset.lr * own.rateFactor,
      referenceBatches: own.hasDecay ? preset.decay : 0,
      rampUpMimg: preset.rampup,
    },
    noise: own.noise ?? { mean: preset.P_mean, standardDeviation: preset.P_std },
    adam: { beta1: 0.9, beta2: own.beta2, epsilon: 1e-8 },
    dropout: own.dropout ?? preset.dropout,
    lossScaling: own.lossScaling,
    lossWeighting: own.lossWeighting,
    averaging:
      name === "A"
        ? { kind: "exponential", halfLife: preset.duration * halfLifeShare }
        : { kind: "powerFunction", sigmaRels: preset.ema },
  };
}

/** The published recipes: ImageNet-512 latents, size S. */
export const paperRecipes = Object.fromEntries(
  configurationNames.map((name) => [name, trainingRecipe(name, presetOf("edm2-img512-s"))]),
) as Readonly<Record<ConfigurationName, TrainingRecipe>>;

/**
 * Resolutions with attention: A has it also at twice the highest one of the others (32 beside 16 and 8 in the paper), unless that is
 * the image's own.
 * @example console.log(attentionResolutions("A", [16, 8], 64), attentionResolutions("G", [16, 8], 64)); // [ 32, 16, 8 ] [ 16, 8 ]
 */
export function attentionResolutions(
  name: ConfigurationName,
  others: readonly number[],
  imageResolution: number,
): readonly number[] {
  const next = 2 * Math.max(...others);
  return name === "A" && others.length > 0 && next < imageResolution ? [next, ...others] : others;
}

/**
 * A configuration's denoiser for some data; sizes are the paper's (S) where nothing else is said.
 * @example
 * ```ts
 * const network = configurationNetwork("A", { imageResolution: 32, imageChannels: 3, labelDim: 10 });
 * console.log(network.lossHead, network.unet.modelChannels); // false 192
 * ```
 */
export function configurationNetwork(
  name: ConfigurationName,
  unet: UNetData & Partial<UNetConfig>,
  options: Partial<Pick<NetworkConfig, "sigmaData" | "logvarChannels" | "target" | "noiseDf">> = {},
): NetworkConfig {
  return networkConfig({
    ...options,
    unet: configurations[name](unet),
    lossHead: differences[name].lossWeighting === "uncertainty",
  });
}

/**
 * A configuration's denoiser at the scale of a preset, for its data or other data.
 * @example
 * ```ts
 * const network = presetNetwork("G", presetOf("emoji16"), { imageResolution: 16, imageChannels: 3, labelDim: 9 });
 * console.log(network.unet.modelChannels); // 32
 * ```
 */
export function presetNetwork(
  name: ConfigurationName,
  preset: Preset,
  data: UNetData = preset.data,
  overrides: Partial<UNetConfig> = {},
): NetworkConfig {
  const others = preset.unet?.attnResolutions ?? [16, 8];
  return configurationNetwork(name, {
    modelChannels: preset.channels,
    ...preset.unet,
    attnResolutions: attentionResolutions(name, others, data.imageResolution),
    dropout: trainingRecipe(name, preset).dropout,
    ...data,
    ...overrides,
  });
}
