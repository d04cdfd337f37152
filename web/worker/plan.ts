/** What settings make: complete ones, and what they cost. */
import { countNetwork } from "../../diffusion/network/index.ts";
import { completePlan, type PlannedSettings, splitForRun, trainingOptions } from "../../diffusion/settings/index.ts";
import { checkTrainingOptions, leastTrainingMemory } from "../../diffusion/training/index.ts";
import { EvenkeelError } from "../../engine/index.ts";
import { optionGroups } from "../train/options.ts";
import { openDataset } from "./datasets.ts";
import type { GivenSettings, Plan } from "./messages.ts";

/** Of a run whose settings don't say: a page shows more, more often, than a run folder keeps. */
function labDefaults(batch: number, images: number): GivenSettings {
  return {
    status: 10 * batch,
    samples: 80 * batch,
    checkpoint: 200 * batch,
    snapshot: Math.max(1000, 125 * batch),
    validation: 0,
    dynamics: 50,
    // Of a handful of drawings each is needed for training.
    holdout: Math.min(128, Math.floor(images / 16)),
  };
}

/** What the form calls an option, with its name in links and files. */
function labelOf(name: string): string {
  const option = optionGroups.flatMap(({ options }) => options).find((each) => each.name === name);
  return option === undefined ? name : `${option.title} (${name})`;
}

/** What `wasm` can hold. */
const wasmBytes = 2 ** 32;

/** Why a network isn't even counted: that takes longer than anybody waits. */
function tooLargeToCount({ blocks, channels }: PlannedSettings): string | null {
  if (blocks > 32) return `${blocks} blocks per level are more than a page can train. Choose at most 32.`;
  if (channels > 4096) return `A width of ${channels} is more than a page can train. Choose at most 4096.`;
  return null;
}

/** Complete settings of what was chosen, with their costs; or why they can't be. */
export async function planRun(given: GivenSettings): Promise<Plan> {
  try {
    const choice = { from: "your choice", values: given, label: labelOf };
    const { batch, data } = completePlan([choice]);
    const dataset = await openDataset(data);
    const settings = completePlan([{ from: "the lab's defaults", values: labDefaults(batch, dataset.count) }, choice]);
    const tooLarge = tooLargeToCount(settings);
    if (tooLarge !== null) return { kind: "impossible", reason: tooLarge };
    const { training: images } = splitForRun(dataset, settings);
    const training = trainingOptions(settings, images);
    checkTrainingOptions(training);
    const { parameters, macs } = countNetwork(training.network);
    const bytes = leastTrainingMemory(
      training.network,
      training.emaSigmaRels.length,
      training.batch > training.batchDevice,
    );
    if ((settings.device ?? "wasm") === "wasm" && bytes > wasmBytes) {
      const reason = `This network takes at least ${(bytes / 1e9).toPrecision(3)} GB to train, and wasm holds 4.29 GB. Choose a smaller width or fewer blocks.`;
      return { kind: "impossible", reason };
    }
    // A step is a forward pass and twice that backwards; a multiply-accumulate is two operations.
    return { kind: "possible", settings, facts: { parameters, flopsOfImage: 6 * macs, bytes } };
  } catch (reason) {
    if (reason instanceof EvenkeelError) return { kind: "impossible", reason: reason.message };
    throw reason;
  }
}
