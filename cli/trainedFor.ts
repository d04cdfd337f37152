/** What a network is asked for that its training may not have taught it. */
import type { TrainedAs } from "../diffusion/snapshot/index.ts";
import { dropoutGuide, selfGuide } from "./sampleSettings.ts";

/** How a network is to be sampled, as far as training has to do with it. */
export type AskedFor = {
  /** Its name, for lines. */
  readonly net: string;
  readonly trained: TrainedAs | null;
  /** Whether it guides itself, without its labels. */
  readonly guidesItself: boolean;
  readonly solver: "heun" | "euler" | "consistency";
};

/** What was never trained and is asked for all the same, or may be such, a line each. */
export function untrainedNotes({ net, trained, guidesItself, solver }: AskedFor): readonly string[] {
  const notes: string[] = [];
  const isUnknown = trained === null;
  if (guidesItself && isUnknown) {
    notes.push(
      `${net} doesn't say whether it was trained with label dropout: without it the guide "${selfGuide}" was never trained`,
    );
  } else if (guidesItself && trained?.labelDropout === 0) {
    notes.push(
      `${net} was trained without label dropout (train --label-dropout), so that the guide "${selfGuide}", its answer without labels, was ` +
        `never trained: guide by another network, or by "${dropoutGuide}"`,
    );
  }
  const isConsistent = solver === "consistency";
  if (isConsistent && isUnknown) {
    notes.push(
      `${net} doesn't say whether it was tuned to be consistent: --solver consistency is for networks that were (train --tune consistency)`,
    );
  } else if (isConsistent && trained?.isConsistent === false) {
    notes.push(
      `${net} was not tuned to be consistent (train --tune consistency): in the steps of --solver consistency it makes blurred images, ` +
        "in those of heun and euler sharp ones",
    );
  } else if (!isConsistent && trained?.isConsistent === true) {
    notes.push(
      `${net} was tuned to be consistent: the steps of ${solver} ask it for means, which it no longer answers with; sample --solver consistency is for it`,
    );
  }
  return notes;
}
