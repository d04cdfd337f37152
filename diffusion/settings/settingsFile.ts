import { stringify } from "smol-toml";
import { EvenkeelError, messageOf } from "../../engine/index.ts";
import { parseToml } from "../parseToml.ts";
import { parseImages } from "./imageCount.ts";
import type { PlannedSettings } from "./settings.ts";

export { settingsFileName } from "../settingsFileName.ts";

/** Settings that count images may be written as `"8Mi"` in a file. */
const imageSettings = [
  "duration",
  "batch",
  "batch-device",
  "holdout",
  "status",
  "snapshot",
  "checkpoint",
  "samples",
  "validation",
];

/**
 * The settings that a config file holds, whatever they are. @throws EvenkeelError `file` for what is no TOML, `value` for no number of images.
 * @example console.log(parseSettings("lr = 0.02", "mine.toml")["lr"]); // 0.02
 */
export function parseSettings(text: string, source: string): Record<string, unknown> {
  const settings = parseToml(text, source);
  for (const name of imageSettings) {
    const value = settings[name];
    if (typeof value === "string") settings[name] = parseSetting(source, name, value);
  }
  return settings;
}

function parseSetting(path: string, name: string, text: string): number {
  try {
    return parseImages(text);
  } catch (cause) {
    throw new EvenkeelError("value", `${path}: ${name}: ${messageOf(cause)}`, {
      cause,
    });
  }
}

/**
 * Settings as a config file.
 * @example
 * ```ts
 * const settings = completePlan([{ from: "here", values: { preset: "emoji16", data: "emoji", lr: 0.01 } }]);
 * console.log(parseSettings(formatSettings(settings), "settings.toml")["lr"]); // 0.01
 * ```
 */
export function formatSettings(settings: PlannedSettings): string {
  return `${stringify(settings)}\n`;
}
