/** Sampling: noise schedules, solvers, guidance, random numbers by seed, pictures. Safe in a page; files are in `node.ts`. */
export {
  type Denoiser,
  type GuidedDenoiser,
  type HostArray,
  inBatchesOf,
  type StateDenoiser,
  stateDenoiser,
} from "./denoiser.ts";
export { type GeneratedBatch, generateImages, type GenerateOptions, type ImageLabel } from "./generate.ts";
export { type GuidanceInterval, type Guide, guidedDenoiser } from "./guidance.ts";
export { type GridOptions, imageGrid, type Picture, toPixels } from "./imageGrid.ts";
export { createImageStreams, type ImageStreams } from "./imageStreams.ts";
export { type ChurnOptions, runSampler, type SamplerOptions, type SamplerStep, type Solver } from "./samplers.ts";
export { type ScheduleOptions, sigmaSteps } from "./schedule.ts";
export { parseSeeds, parseShard, type Shard, takeShard } from "./seeds.ts";
export { samplingMemory, type SamplingForecast } from "./memory.ts";
