import { dirname, join } from "node:path";
import type { TrainingDataset } from "../../diffusion/data/index.ts";
import { type EmojiVendor, emojiVendors, loadEmoji, writeDataset } from "../../diffusion/data/node.ts";
import { EvenkeelError } from "../../engine/index.ts";
import { makeFolder } from "../../engine/io/node.ts";
import { exists } from "../exists.ts";
import { readTrainingData, tellingOf } from "../readData.ts";

/** `emoji16`, `emoji32-google`: emoji packages instead of a path, at a resolution. */
const emojiName = /^emoji(\d+)(?:-([a-z]+))?$/;

/** Where the data that `--data` names are read from: emoji are converted into the run folder. */
export function dataPath(source: string, outdir: string): string {
  return emojiName.test(source) ? join(outdir, `${source}.zip`) : source;
}

/**
 * The data that `--data` names: a zip or folder, or `emoji16` for the emoji of the installed packages, which are converted into
 * the run folder once, if they are to be kept.
 * @param outdir the run folder, if there is one.
 */
export async function loadTrainingData(
  source: string,
  outdir: string | undefined,
  { isKept }: { readonly isKept: boolean },
  print: (line: string) => void,
): Promise<TrainingDataset> {
  const emoji = emojiName.exec(source);
  if (emoji === null) return readTrainingData(source);
  const [, resolution = "", vendor] = emoji;
  const path = outdir === undefined ? null : dataPath(source, outdir);
  if (path !== null && (await exists(path))) return readTrainingData(path);
  const vendors = vendor === undefined ? emojiVendors : emojiVendors.filter((name) => name === vendor);
  if (vendors.length === 0) {
    throw new EvenkeelError("value", `--data ${source}: there are emoji of ${emojiVendors.join(" and ")}.`);
  }
  print(
    `Converting the emoji of ${vendors.join(" and ")} to ${resolution}x${resolution} pixels${path === null ? "" : `: ${path}`}`,
  );
  return tellingOf(async (reading) => {
    const dataset = await loadEmoji(vendors as readonly EmojiVendor[], Number(resolution), reading);
    if (isKept && path !== null) {
      await makeFolder(dirname(path));
      await writeDataset(path, dataset, reading);
    }
    return dataset;
  });
}
