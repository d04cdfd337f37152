/** A training run's settings: their names and ranges, how they come together, and their file. Safe in a page. */
export { completePlan, completeSettings } from "./completeSettings.ts";
export { createRunDevice } from "./createRunDevice.ts";
export { parseImages } from "./imageCount.ts";
export { mergeOptions, type OptionLayer } from "./mergeOptions.ts";
export { type RunData, runOptions } from "./runOptions.ts";
export {
  defaultSettings,
  type PlannedSettings,
  presetSettings,
  type TrainSettings,
  trainSettings,
} from "./settings.ts";
export { formatSettings, parseSettings, settingsFileName } from "./settingsFile.ts";
export { splitForRun } from "./splitForRun.ts";
export { trainingOptions } from "./trainingOptions.ts";
