import { type Device, EvenkeelError } from "../../engine/index.ts";
import type { Folder } from "../../engine/io/index.ts";
import { fingerprint, seenLabels, trainingBatches, type TrainingDataset } from "../data/index.ts";
import type { TrainingOptions } from "../training/index.ts";
import type { PlannedSettings } from "./settings.ts";

/** What a run is of: the whole set of images, and those of it that are trained on. */
export type RunData = { readonly dataset: TrainingDataset; readonly images: TrainingDataset };

/** Where a run is made, and where its files go. */
type RunPlace = { readonly folder: Folder; readonly device: Device };

/**
 * The run that settings ask for, as `runTraining` takes it. Wherever it is made so, it can go on elsewhere with the same bits. Of one that
 * begins with another network's weights the caller gives these as `start`; without them it can only go on.
 * @param training what `trainingOptions` makes of the settings
 * @example
 * ```ts
 * import { getDevice } from "evenkeel/engine";
 * import { memoryFolder } from "evenkeel/engine/io";
 * import { createDataset, runTraining } from "evenkeel/diffusion";
 *
 * const dataset = createDataset({ name: "black", channels: 1, resolution: 4, pixels: new Uint8Array(16) });
 * const settings = completePlan([{ from: "here", values: { preset: "smoke", data: "black", duration: 32, "channel-mult": [1] } }]);
 * const place = { folder: memoryFolder("run"), device: await getDevice("wasm") };
 * const options = runOptions(settings, { dataset, images: dataset }, trainingOptions(settings, dataset), place);
 * console.log(await runTraining(options)); // { nimg: 32, finished: true }
 * ```
 */
export function runOptions(
  settings: PlannedSettings,
  { dataset, images }: RunData,
  training: TrainingOptions,
  { folder, device }: RunPlace,
) {
  const isLabelled = training.network.unet.labelDim > 0;
  const { status, snapshot, checkpoint, samples, validation } = settings;
  return {
    folder,
    device,
    training,
    duration: settings.duration,
    intervals: { status, snapshot, checkpoint, samples, validation },
    dynamicsEvery: settings.dynamics,
    snapshotDtype: settings["snapshot-dtype"],
    classNames: isLabelled ? images.classNames : null,
    seenLabels: isLabelled ? seenLabels(images) : null,
    ...(settings.from === undefined ? {} : { start: () => refuseStart(settings.from) }),
    // By its content: the same data may lie elsewhere, and what is held out of them is another thing.
    fixed: {
      images: dataset.count,
      data: fingerprint(dataset),
      holdout: settings.holdout,
      ...(settings["holdout-seed"] === undefined ? {} : { holdoutSeed: settings["holdout-seed"] }),
      xflip: settings.xflip,
      ...(settings.from === undefined ? {} : { from: settings.from }),
    },
    nextBatch: trainingBatches(images, settings.seed, settings.xflip),
  };
}

/** Nobody who takes options from here alone can read other networks: a run that goes on has its weights already. */
async function refuseStart(from: string | undefined): Promise<never> {
  throw new EvenkeelError(
    "value",
    `train: the run begins with the weights of ${from}, which can't be read here. Begin it with npx evenkeel train; then it goes on anywhere.`,
  );
}
