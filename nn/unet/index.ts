/** The U-Net of all configurations of the ladder, A to G. */
export { applyBlock, type BlockParameters, describeBlock } from "./block.ts";
export type { BlockConfig } from "./blockConfig.ts";
export {
  type ActivationFormat,
  activationFormats,
  missingAttention,
  type UNetConfig,
  unetConfig,
  type UNetData,
} from "./config.ts";
export {
  type Configuration,
  configA,
  configB,
  configC,
  configD,
  configE,
  configF,
  configG,
  configurations,
} from "./configurations.ts";
export { configurationNamed, type ConfigurationName, configurationNames, configurationSwitches } from "./ladder.ts";
export { leastArrays } from "./layers.ts";
export type { NetworkRun } from "./run.ts";
export { parseSwitches, switchNames, type UNetSwitches } from "./switches.ts";
export { applyUNet, describeUNet, type UNetParameters } from "./unet.ts";
export { applyLayer, describeLayer, type LayerOptions, type LayerParameters } from "./weights.ts";
