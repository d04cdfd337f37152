import { countNetwork } from "../../diffusion/network/index.ts";
import { isLatent, labelNotes, type TrainingDataset } from "../../diffusion/data/index.ts";
import type { TrainingOptions } from "../../diffusion/training/index.ts";
import { vaeName } from "../../diffusion/encoding/index.ts";
import { missingAttention } from "../../nn/index.ts";
import { describeLabels } from "../describeLabels.ts";
import { describeCost, gridLayout, trainingSteps } from "./grids.ts";
import { idleTrainSettings } from "./idleSettings.ts";
import type { TrainSettings } from "./settings.ts";

/** What a run is about to do: its data, network and pictures, and what looks wrong about them, a line each. */
export function describeRun(
  settings: TrainSettings,
  images: TrainingDataset,
  validation: TrainingDataset | null,
  training: TrainingOptions,
  given: ReadonlySet<string>,
): readonly string[] {
  const { unet } = training.network;
  const count = countNetwork(training.network);
  const { resolution, channels } = images;
  const kind = isLatent(images) ? `latents of ${channels} channels` : channels === 3 ? "colour" : "grey";
  const labels =
    unet.labelDim === 0 && images.labels !== null ? "labels not used (--cond false)" : describeLabels(images, true);
  const heldOut = validation === null ? "" : `, ${validation.count} more held out`;
  const layout = gridLayout(training.network, images, trainingSteps);
  const every = settings.samples.toLocaleString("en");
  const missing = missingAttention(unet);
  const notes = [
    ...(unet.labelDim === 0 ? [] : labelNotes(images)),
    ...heldOutNote(settings.holdout, images.count),
    ...idleTrainSettings(settings, training, given),
  ];
  return [
    `Data               ${images.count} images ${resolution}x${resolution}, ${kind}${heldOut}`,
    ...(isLatent(images)
      ? [`                   drawn anew from means and deviations at each use, whitened as those of ${vaeName}`]
      : []),
    `Labels             ${labels}`,
    `Network            ${count.parameters.toLocaleString("en")} parameters, ${(count.macs / 1e6).toFixed(1)} million multiply-adds an image`,
    ...(missing === null ? [] : [`                   ${missing}`]),
    `Sample grids       ${settings.samples === 0 ? "none (--samples 0)" : `every ${every} images: ${describeCost(layout)}${isLatent(images) ? ", their first three channels as colours" : ""}`}`,
    ...notes.map((note) => `Note               ${note}`),
  ];
}

/** Where more than a fifth of the images are kept from training. */
function heldOutNote(heldOut: number, left: number): readonly string[] {
  const all = heldOut + left;
  if (heldOut * 5 <= all) return [];
  const share = Math.round((100 * heldOut) / all);
  return [
    `--holdout keeps ${heldOut} of ${all} images (${share}%) from training; a tenth, ${Math.round(all / 10)}, says as much`,
  ];
}
