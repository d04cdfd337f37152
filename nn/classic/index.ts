/** Layers of the baseline networks, which know nothing of magnitudes. */
export { addBias, perChannel } from "./bias.ts";
export {
  describeGroupNorm,
  groupNorm,
  type GroupNormParameters,
  normGroups,
  simpleGroupNorm,
} from "./groupNorm.ts";
export { positionalFeatures } from "./positional.ts";
