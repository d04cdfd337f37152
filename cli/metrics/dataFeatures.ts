/** Features that know a data set's own pictures: those of a classifier that is trained on them, once for all processes of a folder. */
import { join } from "node:path";
import type { ImageDataset } from "../../diffusion/data/index.ts";
import { defaultClassifierTraining } from "../../diffusion/metrics/index.ts";
import { type Device, EvenkeelError } from "../../engine/index.ts";
import { exists } from "../exists.ts";
import { onceForAll } from "../shards/unitLock.ts";
import { trainClassifier } from "./trainClassifier.ts";

/** What asks for them, where `classifier:FILE` would name a classifier that there is. */
export const dataClassifier = "classifier";

/** @throws EvenkeelError `value` if the features need classes that the data haven't. @param command for messages */
export function requireClasses(command: string, features: string, data: string, { labels }: ImageDataset): void {
  if (features !== dataClassifier || labels?.kind === "classes") return;
  throw new EvenkeelError(
    "value",
    `${command}: ${data} has no classes from which a classifier could learn features. Choose others by --features: pixels, ` +
      "nsfwjs-mobilenet, ... (npx evenkeel metrics --help lists them).",
  );
}

/** The name of the features as `featureExtractor` takes it; a classifier of the data at this path is trained into the folder, once. */
export async function dataFeatures(
  features: string,
  place: { readonly data: string; readonly outdir: string },
  device: Device,
  print: (line: string) => void,
): Promise<string> {
  if (features !== dataClassifier) return features;
  const { data, outdir } = place;
  const out = join(outdir, "classifier.safetensors");
  const isThere = (): Promise<boolean> => exists(out);
  await onceForAll(out, isThere, print, async () => {
    print("training the classifier whose features pictures are measured in");
    await trainClassifier({ ...defaultClassifierTraining, data, out }, device, print);
  });
  return `classifier:${out}`;
}
