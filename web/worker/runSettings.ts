/** The settings of a run, without a look at its other files. */
import { completePlan, parseSettings, type PlannedSettings, settingsFileName } from "../../diffusion/settings/index.ts";
import { EvenkeelError } from "../../engine/index.ts";
import { readTextIfAny } from "../../engine/io/index.ts";
import { runFolder } from "./storage.ts";

/** @throws EvenkeelError `file` if there are none yet. */
export async function runSettings(run: string): Promise<PlannedSettings> {
  const text = await readTextIfAny((await runFolder(run)).file(settingsFileName));
  if (text === null) {
    throw new EvenkeelError("file", `${run} has written no files yet. Wait until it trains.`);
  }
  return completePlan([{ from: settingsFileName, values: parseSettings(text, `${run}/${settingsFileName}`) }]);
}

/** Whether a run has written its settings, the first of its files. */
export async function hasSettings(run: string): Promise<boolean> {
  return (await runFolder(run)).file(settingsFileName).exists();
}
