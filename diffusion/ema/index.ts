/** Averages of weights over training, and averages of averages after it. Safe in a page; files by path are in `node.ts`. */
export { type ProfileFields, profileFields } from "./averageMetadata.ts";
export {
  fitProfiles,
  fittingProfiles,
  type PostHocFit,
  type PostHocOptions,
  solvePostHocCoefficients,
} from "./postHoc.ts";
export {
  gammaToSigmaRel,
  maximumSigmaRel,
  powerFunctionBeta,
  powerFunctionResponse,
  powerFunctionUpdateRate,
  sigmaRelToGamma,
} from "./powerFunction.ts";
export {
  type AveragingProfile,
  compareProfiles,
  describeProfile,
  exponentialProfile,
  type ExponentialProfile,
  powerProfile,
  type PowerProfile,
  profileDensity,
  profileInnerProduct,
} from "./profile.ts";
export type { AverageShare, FitDescription } from "./describeFit.ts";
export { type AverageChoice, guideAverage } from "./guideAverage.ts";
export { isBufferByName } from "./layout.ts";
export { profileTimes } from "./profileTimes.ts";
export { reconstruct, type Reconstruction, type ReconstructOptions, type SnapshotSource } from "./reconstruct.ts";
export { StoredAverages, type StoredAveragesOptions } from "./storedAverages.ts";
export { type SnapshotFilter, snapshotsIn } from "./snapshotFolder.ts";
export { snapshotPlace } from "./snapshotPlace.ts";
export type { SnapshotFile } from "./storedAverage.ts";
export { formatSigmaRel } from "./snapshotNames.ts";
export { traditionalBeta, type TraditionalEma, traditionalUpdateRate } from "./traditional.ts";
export { powerFunctionUpdateRates, updateAverages } from "./updateAverages.ts";
