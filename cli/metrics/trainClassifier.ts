import path from "node:path";
import { classifierConfig, ClassifierTrainer, type ClassifierTraining } from "../../diffusion/metrics/index.ts";
import { fingerprint, labelDimOf, selectImages, splitIndices } from "../../diffusion/data/index.ts";
import { writeClassifier } from "../../diffusion/metrics/node.ts";
import { type Device, EvenkeelError } from "../../engine/index.ts";
import { readData } from "../readData.ts";

export type ClassifierSettings = ClassifierTraining & {
  readonly data: string;
  readonly out: string;
  /** Images that aren't trained on; default a tenth. */
  readonly holdout?: number | undefined;
};

/** What came of it. */
export type ClassifierReport = {
  readonly file: string;
  readonly classes: number;
  readonly features: number;
  readonly trainingImages: number;
  readonly heldOut: { readonly images: number; readonly accuracy: number; readonly loss: number } | null;
  /** Accuracy of always guessing the commonest class among the images held out. */
  readonly commonest: number | null;
};

/** Steps from one line of progress to the next. */
const reportSteps = 50;

/**
 * Trains a classifier and writes it to a file.
 * @throws EvenkeelError `value` for data without classes or settings out of range, `file` for what can't be read or written.
 */
export async function trainClassifier(
  settings: ClassifierSettings,
  device: Device,
  print: (line: string) => void,
): Promise<ClassifierReport> {
  const dataset = await readData(settings.data);
  const { labels, classNames, channels, resolution } = dataset;
  if (labels?.kind !== "classes") {
    throw new EvenkeelError(
      "value",
      `metrics classifier: ${settings.data} has no classes to learn; they come from dataset.json or from folders.`,
    );
  }
  const { data, out, holdout = Math.floor(dataset.count / 10), ...training } = settings;
  const split = splitIndices(dataset.count, holdout, training.seed, labels.values);
  const config = classifierConfig({
    imageChannels: channels,
    imageResolution: resolution,
    classes: labelDimOf(dataset),
  });
  const others = holdout === 0 ? null : selectImages(dataset, split.heldOut);
  const trainer = await ClassifierTrainer.create(config, training, selectImages(dataset, split.training), device);
  try {
    const begin = performance.now();
    let sum = 0;
    while (trainer.iteration < training.steps) {
      sum += await trainer.step();
      if (trainer.iteration % reportSteps !== 0) continue;
      const seconds = ((performance.now() - begin) / 1000).toFixed(1);
      print(`step ${trainer.iteration} of ${training.steps}: loss ${(sum / reportSteps).toFixed(4)}, ${seconds} s`);
      sum = 0;
    }
    const heldOut = others === null ? null : { images: holdout, ...(await trainer.evaluate(others)) };
    await writeClassifier(
      out,
      { config, weights: await trainer.weights() },
      {
        classNames,
        data: { name: path.basename(data), fingerprint: fingerprint(dataset) },
        training,
        heldOut,
      },
    );
    return {
      file: out,
      classes: config.classes,
      features: config.channels.at(-1) ?? 0,
      trainingImages: split.training.length,
      heldOut,
      commonest: others === null ? null : commonestShare(others.labels?.values ?? []),
    };
  } finally {
    trainer.dispose();
  }
}

function commonestShare(classes: ArrayLike<number>): number {
  const counts = new Map<number, number>();
  for (const chosen of Array.from(classes)) counts.set(chosen, (counts.get(chosen) ?? 0) + 1);
  return Math.max(...counts.values()) / classes.length;
}
