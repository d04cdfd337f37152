/** The first paper's network (EDM's ADM, configuration A) under the names of its published code. */
import { clipText } from "../../engine/io/index.ts";
import { EvenkeelError } from "../../engine/index.ts";
import { configA, type UNetConfig, type UNetData } from "../../nn/index.ts";
import { type NetworkConfig, networkConfig, shown } from "./config.ts";

/** EDM's names of our options. */
const optionNames: Readonly<Record<string, keyof UNetConfig | "sigmaData">> = {
  img_resolution: "imageResolution",
  img_channels: "imageChannels",
  label_dim: "labelDim",
  augment_dim: "augmentDim",
  model_channels: "modelChannels",
  channel_mult: "channelMult",
  channel_mult_emb: "channelMultEmb",
  num_blocks: "numBlocks",
  attn_resolutions: "attnResolutions",
  channels_per_head: "channelsPerHead",
  dropout: "dropout",
  sigma_data: "sigmaData",
};

/** What EDM passes beside; none changes what a trained network computes in float32. */
const ignoredOptions = new Set(["class_name", "model_type", "use_fp16", "label_dropout", "sigma_min", "sigma_max"]);

/**
 * A network of configuration A from options under EDM's names, with EDM's defaults.
 * @throws EvenkeelError `value` that names an option it doesn't know, or one that is missing.
 * @example
 * ```ts
 * const { unet } = networkConfigFromEdm({ img_resolution: 32, img_channels: 3, label_dim: 10, model_channels: 64 });
 * console.log(unet.imageResolution, unet.modelChannels); // 32 64
 * ```
 */
export function networkConfigFromEdm(options: Readonly<Record<string, unknown>>): NetworkConfig {
  // EDM's noise features are as many as the base width has channels, its embedding four times as wide.
  const ours: Record<string, unknown> = { channelMultNoise: 1, channelMultEmb: 4 };
  for (const [name, value] of Object.entries(options)) {
    const own = optionNames[name];
    if (own !== undefined) ours[own] = value;
    else if (!ignoredOptions.has(name)) {
      throw new EvenkeelError("value", `networkConfigFromEdm: unknown option ${clipText(name)} = ${shown(value)}.`);
    }
  }
  for (const required of ["img_resolution", "img_channels", "label_dim"]) {
    if (!(required in options)) throw new EvenkeelError("value", `networkConfigFromEdm: ${required} is missing.`);
  }
  const { sigmaData, ...unet } = ours;
  return networkConfig({
    unet: configA(unet as UNetData & Partial<UNetConfig>),
    lossHead: false,
    ...(sigmaData === undefined ? {} : { sigmaData: sigmaData as number }),
  });
}

/** EDM's names of our modules, where they differ. */
const moduleNames: Readonly<Record<string, string>> = {
  unet: "model",
  emb_noise: "map_layer0",
  emb_second: "map_layer1",
  emb_label: "map_label",
  emb_augment: "map_augment",
  conv_res0: "conv0",
  conv_res1: "conv1",
  emb_linear: "affine",
  conv_skip: "skip",
  attn_qkv: "qkv",
  attn_proj: "proj",
};

/**
 * The name that an array of configuration A or B has in EDM's state dictionary: `unet.enc.8x8_block0.conv_res0.weight` is
 * `model.enc.8x8_block0.conv0.weight` there.
 * @example console.log(edmParameterName("unet.enc.8x8_block0.conv_res0.weight")); // model.enc.8x8_block0.conv0.weight
 */
export function edmParameterName(name: string): string {
  return name
    .split(".")
    .map((part) => moduleNames[part] ?? part)
    .join(".");
}
