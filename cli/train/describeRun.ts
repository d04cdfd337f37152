import { type ConsistencyTuning, countNetwork } from "../../diffusion/network/index.ts";
import { isLatent, labelNotes, pixelNotes, type TrainingDataset } from "../../diffusion/data/index.ts";
import type { TrainingOptions } from "../../diffusion/training/index.ts";
import { presetOf, presets } from "../../diffusion/presets/index.ts";
import { vaeChannels, vaeName } from "../../diffusion/encoding/index.ts";
import { missingAttention, needsEnd } from "../../nn/index.ts";
import { describeLabels } from "../describeLabels.ts";
import { gridLayout, gridSteps } from "../../diffusion/run/index.ts";
import { describeCost } from "./grids.ts";
import { idleTrainSettings } from "./idleSettings.ts";
import type { PlannedSettings } from "../../diffusion/settings/index.ts";

/** What a run is about to do: its data, network and pictures, and what looks wrong about them, a line each. */
export function describeRun(
  settings: PlannedSettings,
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
  const layout = gridLayout(training, images, gridSteps.training);
  const every = settings.samples.toLocaleString("en");
  const missing = missingAttention(unet);
  const notes = [
    ...otherDataNote(settings.preset, images),
    ...(unet.labelDim === 0 ? [] : labelNotes(images)),
    ...(isLatent(images) ? [] : pixelNotes(images)),
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
    ...(unet.activations === "float16" ? ["                   activations, and what flows back, of 16 bits"] : []),
    ...questions(settings),
    ...(settings.from === undefined ? [] : [`                   begins with the weights of ${settings.from}`]),
    ...(training.consistency === undefined ? [] : [`                   ${describeTuning(training.consistency)}`]),
    ...(missing === null ? [] : [`                   ${missing}`]),
    `Sample grids       ${settings.samples === 0 ? "none (--samples 0)" : `every ${every} images: ${describeCost(layout)}${isLatent(images) ? ", their first three channels as colours" : ""}`}`,
    ...notes.map(noteLine),
  ];
}

/** What is asked of the run that the paper doesn't ask. */
function questions({ noise, "noise-df": noiseDf, target, schedule, duration }: PlannedSettings): readonly string[] {
  const ends = `falls to 0 at the run's end, ${duration.toLocaleString("en")} images: a longer one is another run`;
  return [
    ...(target === "v" ? [] : [`Target             ${target === "x" ? "the image" : "the noise"} (${target})`]),
    ...(noise === "lognormal" ? [] : ["Noise              levels from the losses (infonoise)"]),
    ...(noiseDf === 0 ? [] : [`Noise              Student-t, ${noiseDf} degrees of freedom`]),
    ...(schedule === "inverse-sqrt" ? [] : [`Learning rate      ${schedule}${needsEnd(schedule) ? `, ${ends}` : ""}`]),
  ];
}

function describeTuning({ stage, factor }: ConsistencyTuning): string {
  return `tuned to be consistent, in stages of ${stage.toLocaleString("en")} images with levels nearer by a factor of ${factor}`;
}

/** What looks wrong, as such a line. */
export function noteLine(note: string): string {
  return `Note               ${note}`;
}

/** Where a preset for latents meets pictures, or one for pictures latents. */
function otherDataNote(name: string, images: TrainingDataset): readonly string[] {
  const { takes } = presetOf(name);
  const { channels } = images;
  const isOfLatents = isLatent(images);
  if (takes === "anything" || (takes === "latents") === isOfLatents) return [];
  const other = isOfLatents ? name.replace("img64", "img512") : name.replace("img512", "img64");
  const known = other !== name && Object.hasOwn(presets, other);
  if (isOfLatents) {
    return [
      `the preset ${name} is made for pictures, and this trains on latents of ${channels} channels; one for latents is ` +
        (known ? other : "edm2-img512-xs"),
    ];
  }
  return [
    `the preset ${name} is made for latents of ${vaeChannels} channels, and this trains on the pixels of pictures (${channels} ` +
      `${channels === 1 ? "channel" : "channels"}): encode them first, with dataset_tool.py encode of EDM2, or take a preset for pictures, such as ` +
      (known ? other : "edm2-img64-xs"),
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
