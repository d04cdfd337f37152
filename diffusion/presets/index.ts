/** Settings under their published names, of configurations and of runs. Safe in a page. */
export {
  attentionResolutions,
  type AveragingRecipe,
  configurationNetwork,
  paperRecipes,
  presetNetwork,
  type TrainingRecipe,
  trainingRecipe,
} from "./configurations.ts";
export { type Preset, presetOf, presets } from "./presets.ts";
