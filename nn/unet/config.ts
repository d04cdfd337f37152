import { clipText, quoteText } from "../../engine/io/index.ts";
import { EvenkeelError } from "../../engine/index.ts";
import { configurationSwitches } from "./ladder.ts";
import { checkSwitches, type UNetSwitches } from "./switches.ts";

/** A U-Net as plain data: its sizes and constants, and the switches that tell the ladder's configurations apart. */
export type UNetConfig = UNetSwitches & {
  /** Height and width of the images. */
  readonly imageResolution: number;
  readonly imageChannels: number;
  /** Length of the label vector: the number of classes for one-hot labels; 0 = unconditional. */
  readonly labelDim: number;
  /** Length of the vector that says how an image was augmented, as EDM had it; 0 = none. */
  readonly augmentDim: number;
  /** Base number of channels. */
  readonly modelChannels: number;
  /** Channels at each resolution, as multiples of the base; each entry after the first halves the resolution. */
  readonly channelMult: readonly number[];
  /** Fourier features of the noise level, as a multiple of the base; null = those of the first level. */
  readonly channelMultNoise: number | null;
  /** Width of the embedding, as a multiple of the base; null = the largest level's. */
  readonly channelMultEmb: number | null;
  /** Residual blocks at each resolution of the encoder; the decoder has one more. */
  readonly numBlocks: number;
  /** Resolutions with self-attention. The first block of the decoder has it always. */
  readonly attnResolutions: readonly number[];
  /**
   * Channels of a head of attention; a level whose channels are no multiple of it has as many heads as fit, of equal size, and one with
   * fewer channels has none.
   */
  readonly channelsPerHead: number;
  /** Weight of the label in the embedding, 0 to 1. */
  readonly labelBalance: number;
  /** Weight of the skip in concatenations, 0 to 1. */
  readonly concatBalance: number;
  /** Weight of the residual branch, 0 to 1. */
  readonly resBalance: number;
  /** Weight of attention, 0 to 1. */
  readonly attnBalance: number;
  /** Every block's output is clamped to -clipAct..clipAct; null = it isn't. */
  readonly clipAct: number | null;
  /** Probability of dropping an element in training, 0 to 1. */
  readonly dropout: number;
  /**
   * What convolutions read and write, and the outputs of blocks, with all that flows back through them, are rounded to numbers of so
   * many bits, and a device may keep them in as many. Weights, attention's inside, the embedding and the output are float32.
   */
  readonly activations: ActivationFormat;
  /** Separable filter of even length for halving and doubling the resolution. */
  readonly resampleFilter: readonly number[];
};

/** What activations can be rounded to; float32 is what they are computed in. */
export const activationFormats = ["float32", "float16"] as const;
/** How activations are kept. */
export type ActivationFormat = (typeof activationFormats)[number];

/** What has no default: what the data are. */
export type UNetData = Pick<UNetConfig, "imageResolution" | "imageChannels" | "labelDim">;

const requiredFields: readonly string[] = ["imageResolution", "imageChannels", "labelDim"] satisfies (keyof UNetData)[];

const paperSizes: Omit<UNetConfig, keyof UNetData | keyof UNetSwitches> = {
  augmentDim: 0,
  modelChannels: 192,
  channelMult: [1, 2, 3, 4],
  channelMultNoise: null,
  channelMultEmb: null,
  numBlocks: 3,
  attnResolutions: [16, 8],
  channelsPerHead: 64,
  labelBalance: 0.5,
  concatBalance: 0.5,
  resBalance: 0.3,
  attnBalance: 0.3,
  clipAct: 256,
  dropout: 0,
  activations: "float32",
  resampleFilter: [1, 1],
};

/** Largest sizes, far above any network's: a description in a file can ask for anything. */
const largest = {
  imageResolution: 2 ** 16,
  imageChannels: 2 ** 16,
  modelChannels: 2 ** 20,
  numBlocks: 1024,
  channelsPerHead: 2 ** 20,
};

/** Longest list of levels, resolutions or a filter's weights. */
const mostInList = 64;

/** A value of a file in a message. */
function shown(value: unknown): string {
  const text = typeof value === "bigint" ? String(value) : (JSON.stringify(value) as string | undefined);
  return text === undefined ? typeof value : clipText(text);
}

/**
 * A complete configuration: EDM2's (configuration G, size S) where nothing else is given.
 * @throws EvenkeelError `value` that names the field: for one that there isn't, switches that don't go together, sizes that aren't
 * whole, balances outside of 0 to 1, a resolution that can't be halved often enough, or channels that don't divide into heads.
 * @example console.log(unetConfig({ imageResolution: 16, imageChannels: 3, labelDim: 0, modelChannels: 32 }).channelMult); // [ 1, 2, 3, 4 ]
 */
export function unetConfig(options: UNetData & Partial<UNetConfig>): UNetConfig {
  const defaults = { ...paperSizes, ...configurationSwitches.G };
  // Whatever the types say: configurations come from files, too.
  const given: unknown = options;
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    throw new EvenkeelError("value", `unetConfig: the options are ${shown(given)}, expected an object.`);
  }
  const unknown = Object.keys(options).find((name) => !(name in defaults) && !requiredFields.includes(name));
  if (unknown !== undefined) {
    throw new EvenkeelError(
      "value",
      `unetConfig: there is no option ${quoteText(unknown)}; there are ${[...requiredFields, ...Object.keys(defaults)].join(", ")}.`,
    );
  }
  const config: UNetConfig = { ...defaults, ...options };
  checkSwitches(config);
  const fail = (field: keyof UNetConfig, expected: string): never => {
    throw new EvenkeelError("value", `unetConfig: ${field} is ${shown(config[field])}, expected ${expected}.`);
  };
  const isNumber = (value: unknown, least: number, most: number): boolean =>
    typeof value === "number" && value >= least && value <= most;
  const isWhole = (value: unknown, least: number, most: number): boolean =>
    Number.isInteger(value) && isNumber(value, least, most);
  const isList = (value: unknown, most: number): boolean =>
    Array.isArray(value) && value.length <= most && value.every((item) => Number.isFinite(item));
  for (const [field, most] of Object.entries(largest)) {
    const name = field as keyof typeof largest;
    if (!isWhole(config[name], 1, most)) fail(name, `a whole number from 1 to ${most}`);
  }
  if (!isWhole(config.labelDim, 0, Number.MAX_SAFE_INTEGER)) fail("labelDim", "a whole number, 0 for no labels");
  if (!isWhole(config.augmentDim, 0, Number.MAX_SAFE_INTEGER)) fail("augmentDim", "a whole number, 0 for none");
  for (const field of ["labelBalance", "concatBalance", "resBalance", "attnBalance"] as const) {
    if (!isNumber(config[field], 0, 1)) fail(field, "a number from 0 to 1");
  }
  if (!isNumber(config.dropout, 0, 1) || config.dropout === 1) fail("dropout", "a number from 0 to below 1");
  const { clipAct } = config;
  if (clipAct !== null && (!isNumber(clipAct, 0, Infinity) || clipAct === 0)) {
    fail("clipAct", "a number above 0, or null");
  }
  if (!activationFormats.includes(config.activations)) fail("activations", activationFormats.join(" or "));
  for (const field of ["channelMult", "attnResolutions", "resampleFilter"] as const) {
    if (!isList(config[field], mostInList)) fail(field, `a list of at most ${mostInList} numbers`);
  }
  const whole = (value: number): boolean => isWhole(value, 1, largest.modelChannels);
  const { channelMult } = config;
  if (channelMult.length === 0 || channelMult.some((mult) => !whole(mult * config.modelChannels))) {
    fail("channelMult", "multiples of modelChannels that are whole numbers of channels, at least one");
  }
  for (const field of ["channelMultNoise", "channelMultEmb"] as const) {
    const mult = config[field];
    if (mult !== null && (typeof mult !== "number" || !whole(mult * config.modelChannels))) {
      fail(field, "null or a multiple of modelChannels");
    }
  }
  if (config.noiseFeatures === "positional" && noiseChannels(config) % 2 !== 0) {
    fail("noiseFeatures", `"fourier": ${noiseChannels(config)} channels are not pairs of a sine and a cosine`);
  }
  if (config.imageResolution % 2 ** (channelMult.length - 1) !== 0) {
    fail("imageResolution", `a multiple of ${2 ** (channelMult.length - 1)}, for ${channelMult.length} levels`);
  }
  for (const { level, channels } of attentionLevels(config)) {
    const heads = Math.floor(channels / config.channelsPerHead);
    if (heads > 0 && channels % heads !== 0) {
      fail(
        "channelsPerHead",
        `so many that the ${channels} channels of level ${level}, which has attention, make equal heads`,
      );
    }
  }
  return config;
}

/** The levels that ask for attention: those of its resolutions, and the coarsest, whose first block of the decoder has it always. */
function attentionLevels(config: UNetConfig): { level: number; resolution: number; channels: number }[] {
  const { channelMult, modelChannels, imageResolution, attnResolutions } = config;
  return channelMult
    .map((mult, level) => ({ level, resolution: imageResolution >> level, channels: mult * modelChannels }))
    .filter(({ level, resolution }) => level === channelMult.length - 1 || attnResolutions.includes(resolution));
}

/**
 * Attention that a configuration asks for and its network doesn't have, in one line: at resolutions that no level has, and at levels with
 * fewer channels than one head has, as in the published networks. Null if there is none.
 * @example
 * ```ts
 * const config = unetConfig({ imageResolution: 16, imageChannels: 3, labelDim: 0, modelChannels: 16, attnResolutions: [4] });
 * console.log(missingAttention(config)); // no attention at 4x4 (48 channels): a head has 64 channels
 * ```
 */
export function missingAttention(config: UNetConfig): string | null {
  const size = (resolution: number): string => `${resolution}x${resolution}`;
  const narrow = attentionLevels(config).filter(({ channels }) => channels < config.channelsPerHead);
  const places = narrow.map(({ resolution, channels }) => `${size(resolution)} (${channels} channels)`);
  const all = config.channelMult.map((_, level) => config.imageResolution >> level);
  const absent = [...new Set(config.attnResolutions)].filter((resolution) => !all.includes(resolution));
  const problems = [
    ...(places.length === 0 ? [] : [`${places.join(", ")}: a head has ${config.channelsPerHead} channels`]),
    ...(absent.length === 0 ? [] : [`${absent.map(size).join(", ")}: the levels are ${all.map(size).join(", ")}`]),
  ];
  return problems.length === 0 ? null : `no attention at ${problems.join("; nor at ")}`;
}

/** The width of the embedding. */
export function embeddingChannels(config: UNetConfig): number {
  return (config.channelMultEmb ?? Math.max(...config.channelMult)) * config.modelChannels;
}

/** Number of Fourier features of the noise level. */
export function noiseChannels(config: UNetConfig): number {
  return (config.channelMultNoise ?? config.channelMult[0] ?? 1) * config.modelChannels;
}
