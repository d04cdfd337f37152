/** Diffusion models: preconditioning, losses, training, power-function EMA and samplers will live here. */
export * from "./network/index.ts";
export * from "./training/index.ts";
export * from "./ema/index.ts";
export {
  attentionResolutions,
  type AveragingRecipe,
  configurationNetwork,
  paperRecipes,
  presetNetwork,
  type TrainingRecipe,
  trainingRecipe,
} from "./configurations.ts";
export { parseToml } from "./parseToml.ts";
export { type Preset, presetOf, presets } from "./presets.ts";
export * from "./sample/index.ts";
export * from "./encoding/index.ts";
export * from "./toy/index.ts";
export * from "./data/index.ts";
export {
  parseSnapshotMetadata,
  type Snapshot,
  type SnapshotDtype,
  type SnapshotInfo,
  snapshotMetadata,
} from "./snapshot/index.ts";
export * from "./interchange/index.ts";
export * from "./metrics/index.ts";
export * from "./features/index.ts";
export * from "./dynamics/index.ts";
