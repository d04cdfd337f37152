/** What settings make: complete ones, and what they cost. */
import { splitData } from "../../diffusion/data/index.ts";
import { countNetwork } from "../../diffusion/network/index.ts";
import { completePlan, trainingOptions } from "../../diffusion/settings/index.ts";
import { checkTrainingOptions, leastTrainingMemory } from "../../diffusion/training/index.ts";
import { EvenkeelError } from "../../engine/index.ts";
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

/** Complete settings of what was chosen, with their costs; or why they can't be. */
export async function planRun(given: GivenSettings): Promise<Plan> {
  try {
    const { batch, data } = completePlan([{ from: "your choice", values: given }]);
    const dataset = await openDataset(data);
    const settings = completePlan([
      { from: "the lab's defaults", values: labDefaults(batch, dataset.count) },
      { from: "your choice", values: given },
    ]);
    const { training: images } = splitData(dataset, settings.holdout, settings.seed);
    const training = trainingOptions(settings, images);
    checkTrainingOptions(training);
    const { parameters, macs } = countNetwork(training.network);
    const bytes = leastTrainingMemory(
      training.network,
      training.emaSigmaRels.length,
      training.batch > training.batchDevice,
    );
    // A step is a forward pass and twice that backwards; a multiply-accumulate is two operations.
    return { kind: "possible", settings, facts: { parameters, flopsOfImage: 6 * macs, bytes } };
  } catch (reason) {
    if (reason instanceof EvenkeelError) return { kind: "impossible", reason: reason.message };
    throw reason;
  }
}
