import { clipText } from "../../engine/io/index.ts";
import { EvenkeelError } from "../../engine/index.ts";
import { type UNetConfig, unetConfig, type UNetData } from "../../nn/index.ts";
import { type PredictionTarget, predictionTargets } from "./precondition.ts";

/** A denoiser: a U-Net, its preconditioning and its loss head, as plain data. */
export type NetworkConfig = {
  readonly unet: UNetConfig;
  /** Standard deviation of the data. Default 0.5. */
  readonly sigmaData: number;
  /**
   * Whether it learns what error to expect at each noise level, u(sigma), and is trained by error / e^u + u: all configurations but A.
   * The head's layer has the switches of the U-Net: a bias in B, none in C, normalized weights from D on, features of unit magnitude
   * in G. Default true.
   */
  readonly lossHead: boolean;
  /** Fourier features of the loss head. The second paper tells their number for G only; it is the same in all. Default 128. */
  readonly logvarChannels: number;
  /** What the raw network predicts. Default `v`, EDM's mixture of image and noise; files that don't say have it. */
  readonly target: PredictionTarget;
  /** Degrees of freedom of the Student-t noise that it removes, above 2; 0, the default, is Gaussian noise. */
  readonly noiseDf: number;
};

/** Most Fourier features of the loss head. */
const mostFeatures = 2 ** 20;

/** A value of a file in a message. */
export function shown(value: unknown): string {
  const text = typeof value === "bigint" ? String(value) : (JSON.stringify(value) as string | undefined);
  return clipText(text ?? typeof value);
}

/**
 * A complete configuration. @throws EvenkeelError `value` that names the field.
 * @example
 * ```ts
 * import { configG } from "evenkeel/nn";
 *
 * const network = networkConfig({ unet: configG({ imageResolution: 16, imageChannels: 3, labelDim: 0 }) });
 * console.log(network.sigmaData); // 0.5
 * ```
 */
export function networkConfig(options: {
  readonly unet: UNetData & Partial<UNetConfig>;
  readonly sigmaData?: number;
  readonly lossHead?: boolean;
  readonly logvarChannels?: number;
  readonly target?: PredictionTarget;
  readonly noiseDf?: number;
}): NetworkConfig {
  // Whatever the types say: configurations come from files, too.
  const given: unknown = options;
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    throw new EvenkeelError("value", "networkConfig: the options are no object.");
  }
  const { sigmaData = 0.5, lossHead = true, logvarChannels = 128, target = "v", noiseDf = 0 } = options;
  const fail = (field: string, expected: string): never => {
    throw new EvenkeelError(
      "value",
      `networkConfig: ${field} is ${shown(given[field as never])}, expected ${expected}.`,
    );
  };
  if (typeof sigmaData !== "number" || !(sigmaData > 0 && sigmaData < Infinity)) fail("sigmaData", "a number above 0");
  if (typeof lossHead !== "boolean") fail("lossHead", "true or false");
  if (!Number.isInteger(logvarChannels) || logvarChannels < 1 || logvarChannels > mostFeatures) {
    fail("logvarChannels", `a whole number from 1 to ${mostFeatures}`);
  }
  if (!predictionTargets.includes(target)) fail("target", `one of ${predictionTargets.join(", ")}`);
  if (typeof noiseDf !== "number" || !(noiseDf === 0 || (noiseDf > 2 && noiseDf < Infinity))) {
    fail("noiseDf", "a finite number above 2, or 0 for Gaussian noise");
  }
  return { unet: unetConfig(options.unet), sigmaData, lossHead, logvarChannels, target, noiseDf };
}

/** The reference's names of our options. */
const referenceNames: Readonly<Record<string, keyof UNetConfig | "sigmaData" | "logvarChannels">> = {
  img_resolution: "imageResolution",
  img_channels: "imageChannels",
  label_dim: "labelDim",
  model_channels: "modelChannels",
  channel_mult: "channelMult",
  channel_mult_noise: "channelMultNoise",
  channel_mult_emb: "channelMultEmb",
  num_blocks: "numBlocks",
  attn_resolutions: "attnResolutions",
  channels_per_head: "channelsPerHead",
  label_balance: "labelBalance",
  concat_balance: "concatBalance",
  res_balance: "resBalance",
  attn_balance: "attnBalance",
  clip_act: "clipAct",
  dropout: "dropout",
  resample_filter: "resampleFilter",
  sigma_data: "sigmaData",
  logvar_channels: "logvarChannels",
};

/** What the reference passes beside the network's options; none changes what float32 computes. */
const ignoredReferenceOptions = new Set(["class_name", "use_fp16"]);

/**
 * A configuration from options under the reference's names, e.g. `{ img_resolution: 16, model_channels: 32 }`, as its snapshots
 * hold them. @throws EvenkeelError `value` that names an option it doesn't know.
 * @example
 * ```ts
 * const { unet } = networkConfigFromReference({ img_resolution: 64, img_channels: 4, label_dim: 1000, model_channels: 64 });
 * console.log(unet.imageChannels, unet.modelChannels); // 4 64
 * ```
 */
export function networkConfigFromReference(options: Readonly<Record<string, unknown>>): NetworkConfig {
  const ours: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(options)) {
    const own = referenceNames[name];
    if (own !== undefined) ours[own] = value;
    else if (!ignoredReferenceOptions.has(name)) {
      throw new EvenkeelError(
        "value",
        `networkConfigFromReference: unknown option ${clipText(name)} = ${shown(value)}.`,
      );
    }
  }
  for (const required of ["img_resolution", "img_channels", "label_dim"]) {
    if (!(required in options)) throw new EvenkeelError("value", `networkConfigFromReference: ${required} is missing.`);
  }
  const { sigmaData, logvarChannels, ...unet } = ours;
  return networkConfig({
    unet: unet as UNetData & Partial<UNetConfig>,
    ...(sigmaData === undefined ? {} : { sigmaData: sigmaData as number }),
    ...(logvarChannels === undefined ? {} : { logvarChannels: logvarChannels as number }),
  });
}
