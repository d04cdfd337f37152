import { EvenkeelError } from "../../engine/index.ts";
import { parseSwitches } from "../../nn/index.ts";
import { presetNetwork, presetOf } from "../presets/index.ts";
import { mergeOptions, type OptionLayer } from "./mergeOptions.ts";
import {
  defaultSettings,
  plannedSettings,
  type PlannedSettings,
  presetSettings,
  type TrainSettings,
  trainSettings,
  tuningSettings,
} from "./settings.ts";

/**
 * Complete settings: defaults, then the preset's that one of the layers names, then the layers, the weakest first.
 * @throws EvenkeelError `value` that names the setting, where it is from, what it is and what was expected, or why switches can't be.
 * @example
 * ```ts
 * const flags = { from: "the flags", values: { preset: "emoji16", data: "emoji", outdir: "runs/a", lr: 0.01 } };
 * const { lr, batch } = completeSettings([flags]);
 * console.log(lr, batch); // 0.01 32
 * ```
 */
export function completeSettings(given: readonly OptionLayer[]): TrainSettings {
  return withNetwork(mergeOptions(trainSettings, withPreset(given)));
}

/**
 * The same where nothing is to be written: they needn't have a folder. @throws EvenkeelError as `completeSettings`.
 * @example
 * ```ts
 * const { channels, outdir } = completePlan([{ from: "the page", values: { preset: "emoji16", data: "emoji" } }]);
 * console.log(channels, outdir); // 32 undefined
 * ```
 */
export function completePlan(given: readonly OptionLayer[]): PlannedSettings {
  return withNetwork(mergeOptions(plannedSettings, withPreset(given)));
}

function withPreset(given: readonly OptionLayer[]): readonly OptionLayer[] {
  // Checked before anything is made of it; what is missing in these may be in the preset.
  const chosen = mergeOptions(trainSettings.partial(), given);
  if (chosen.preset === undefined) {
    throw new EvenkeelError(
      "value",
      "train: no preset. Choose one by --preset; `npx evenkeel train --help` lists them.",
    );
  }
  requireOne("config", "configuration", given);
  requireOne("preset", "preset", given);
  const preset = presetSettings(chosen.preset, chosen.config);
  const { tune } = chosen;
  const tuning = tune === undefined ? {} : tuningSettings(chosen.preset, chosen.config, chosen.duration);
  const { duration = 0, batch = 0 } = { ...preset, ...tuning, ...chosen };
  return [
    { from: "the defaults", values: defaultSettings(duration, batch) },
    { from: `the preset ${chosen.preset}`, values: preset },
    ...(tune === undefined ? [] : [{ from: `the tuning ${tune}`, values: tuning }]),
    ...given,
  ];
}

/** Data are read, and some converted, before the network is made of them: switches that can't be are told before that. */
function withNetwork<Settings extends PlannedSettings>(settings: Settings): Settings {
  presetNetwork(settings.config, presetOf(settings.preset), undefined, parseSwitches(settings.switches));
  return settings;
}

/**
 * A file that says its configuration or preset has that one's learning rate and the like, too.
 * @throws EvenkeelError `value` if a flag has another.
 */
function requireOne(setting: "config" | "preset", what: string, given: readonly OptionLayer[]): void {
  const [first, second] = given.filter(({ values }) => values[setting] !== undefined);
  if (first === undefined || second === undefined || first.values[setting] === second.values[setting]) return;
  throw new EvenkeelError(
    "value",
    `train: ${first.from} holds settings for ${what} ${String(first.values[setting])}, not for ` +
      `${String(second.values[setting])}. Begin from the preset instead: leave the file out.`,
  );
}
