/** Averages of weights over training, and averages of averages after it. Safe in a page; files are in `node.ts`. */
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
export {
  isBufferByName,
  reconstruct,
  type Reconstruction,
  type ReconstructOptions,
  type SnapshotSource,
} from "./reconstruct.ts";
export { formatSigmaRel } from "./snapshotNames.ts";
export { traditionalBeta, type TraditionalEma, traditionalUpdateRate } from "./traditional.ts";
export { powerFunctionUpdateRates, updateAverages } from "./updateAverages.ts";
