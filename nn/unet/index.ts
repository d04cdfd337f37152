export { applyBlock, type BlockConfig, type BlockParameters, describeBlock } from "./block.ts";
export { embeddingChannels, noiseChannels, type UNetConfig, unetConfig, type UNetData } from "./config.ts";
export { type UNetLayer, unetLayers } from "./layers.ts";
export type { Run } from "./run.ts";
export { applyUNet, describeUNet, type UNetParameters } from "./unet.ts";
