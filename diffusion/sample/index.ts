/** Sampling: noise schedules, solvers, guidance, random numbers by seed, pictures. Safe in a page; files are in `node.ts`. */
export { encodePng } from "./encodePng.ts";
export {
  type GeneratedBatch,
  generateImages,
  type GenerateOptions,
  type GeneratorOptions,
  ImageGenerator,
  type ImageLabel,
  type ImageRequest,
  labelVectors,
} from "./generate.ts";
export { type ClassSpace, describeClasses, parseClasses } from "./classList.ts";
export {
  type ActiveGuide,
  activeGuides,
  type GuidanceInterval,
  type Guide,
  guideLabels,
  type GuidedNetwork,
} from "./guidance.ts";
export { type GuideWeight, isNoGuidance, parseGuideWeight, weightAt, type WeightTable } from "./guideWeight.ts";
export { firstChannels, type GridOptions, imageGrid, type Picture, toPixels } from "./imageGrid.ts";
export {
  ImageSampler,
  type ImageSamplerOptions,
  type ImageStep,
  type SampledPart,
  type SamplerPart,
  type SamplingWatch,
} from "./imageSampler.ts";
export { addNoise } from "./addNoise.ts";
export { churnNoise, drawClasses, dropoutKeys, imageKeys, startNoise } from "./imageStreams.ts";
export type { NoiseSource } from "./samplerState.ts";
export {
  type HostArray,
  type ImageSolver,
  runSampler,
  type SamplerOptions,
  type SamplerStep,
  type Solver,
  type StateDenoiser,
} from "./samplers.ts";
export { consistencyLevels, type ConsistencyOptions, consistencySigmas } from "./consistencySteps.ts";
export { pushedAway, samplerStep } from "./samplerStep.ts";
export { type ScheduleOptions, sigmaSteps } from "./schedule.ts";
export { type ChurnOptions, type StepLevels, stepLevels } from "./stepLevels.ts";
export { parseSeeds, parseShard, type Shard, takeShard } from "./seeds.ts";
export { samplingMemory, type SamplingForecast } from "./memory.ts";
export {
  recordTrajectory,
  sampleTrajectory,
  type Trajectory,
  type TrajectoryOptions,
  type TrajectoryRequest,
} from "./trajectory.ts";
