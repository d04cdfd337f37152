/**
 * Diffusion models: what it takes to train one and to sample from it. Each room (`ema/`, `sample/`, `metrics/`, ...) has an entry point of its
 * own, with all that it offers; these are the names to begin with. Safe in a page; files are in `node.ts`.
 */
export { createDataset, type HostBatch, type ImageDataset, trainingBatches } from "./data/index.ts";
export { curvesByPlace, parseDynamics } from "./dynamics/index.ts";
export { type PostHocFit, powerProfile, reconstruct, solvePostHocCoefficients } from "./ema/index.ts";
export { DenoiserProgram, type NetworkConfig, networkConfig } from "./network/index.ts";
export { type Preset, presetNetwork, presetOf, type TrainingRecipe, trainingRecipe } from "./presets/index.ts";
export {
  type GeneratedBatch,
  generateImages,
  type GenerateOptions,
  imageGrid,
  type Picture,
  toPixels,
} from "./sample/index.ts";
export { type RunOptions, type RunResult, runTraining } from "./run/index.ts";
export {
  type BegunStep,
  type StepStatistics,
  Trainer,
  type TrainingOptions,
} from "./training/index.ts";
