import { differingSettings } from "../diffusion/checkpoint/index.ts";
import type { TrainingDataset } from "../diffusion/data/index.ts";
import { type PlannedSettings, trainingOptions } from "../diffusion/settings/index.ts";
import type { TrainingOptions } from "../diffusion/training/index.ts";

/**
 * In what a run's settings as they are written now differ from those that it was trained with, each as `name was this, now that`.
 * @throws EvenkeelError `value` if there can be no run with the settings.
 */
export function changedSettings(settings: PlannedSettings, trained: TrainingOptions): readonly string[] {
  const { imageResolution, imageChannels, labelDim } = trained.network.unet;
  // What the settings say is asked for, of data of the same sizes.
  const data = { name: settings.data, count: 0, resolution: imageResolution, classNames: null };
  const values = new Int32Array(0);
  const labels = labelDim === 0 ? null : ({ kind: "classes", labelDim, values } as const);
  const [channels, pixels] = [imageChannels, new Uint8Array(0)];
  const images: TrainingDataset =
    channels === 1 || channels === 3
      ? { ...data, labels, channels, pixels }
      : { ...data, labels, channels, meanAndDeviation: new Float32Array(0) };
  return differingSettings({ training: trained }, { training: trainingOptions(settings, images) });
}
