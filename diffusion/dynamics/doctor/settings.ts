import { type AveragingProfile, fitProfiles, powerProfile } from "../../ema/index.ts";
import type { TrainingOptions } from "../../training/index.ts";
import { type Finding, show } from "./finding.ts";

/**
 * The learning rate against what the paper's sizes have: at batch 2048 alpha_ref falls with the width as 0.01 sqrt(192 / channels), within
 * 7% from XXS to XXL (Table 6), for networks with normalized weights. Plain weights take 1e-4 to 2e-4 with 192 channels, and more in
 * narrower networks: a step of Adam moves an output by the rate times the number of weights behind it.
 */
export function examineRate(training: TrainingOptions, duration: number): Finding[] {
  const { learningRate, network, batch } = training;
  const { weightNorm, forcedNorm, modelChannels, resBalance, attnBalance, mpSum } = network.unet;
  const findings: Finding[] = [];
  const warn = (what: string, meaning: string, advice: string, where: string): void =>
    void findings.push({ check: "rate", severity: "warning", what, where: [where], meaning, advice });
  const wanted = weightNorm ? 0.01 * Math.sqrt(192 / modelChannels) : (2e-4 * 192) / modelChannels;
  const ratio = learningRate.reference / wanted;
  const slack = weightNorm ? 4 : 10;
  if (ratio > slack || ratio < 1 / slack) {
    warn(
      `the learning rate ${show(learningRate.reference)} is ${ratio > 1 ? `${show(ratio)} times` : `${show(ratio)} of`} what the paper's scaling gives for ` +
        `${modelChannels} channels, ${show(wanted)}`,
      weightNorm
        ? "With weights of unit magnitude a rate is a relative one, and the same range works at all sizes."
        : "Weights without normalization take smaller rates.",
      "Try the paper's, unless a sweep led here.",
      "lr",
    );
  }
  const steps = duration / batch;
  const { referenceBatches, rampUpMimg, schedule = "inverse-sqrt" } = learningRate;
  if (forcedNorm && schedule === "constant") {
    findings.push({
      check: "rate",
      severity: "note",
      what: "the learning rate never falls, as --schedule constant has it",
      where: ["schedule"],
      meaning: "Under forced normalization nothing else lowers the effective learning rate: raw weights stay noisy.",
      advice: "Sample from averages; --schedule inverse-sqrt falls and needs no end either.",
    });
  }
  if (forcedNorm && schedule === "inverse-sqrt" && (referenceBatches === 0 || referenceBatches >= steps)) {
    warn(
      referenceBatches === 0
        ? "the learning rate never falls"
        : `the learning rate falls only after ${referenceBatches} batches, and the run has ${show(steps)}`,
      "Under forced normalization nothing else lowers the effective learning rate, and the end of training stays noisy.",
      `Let it fall after a fraction of the run, e.g. --decay ${Math.max(1, Math.round(steps / 3))}; the paper begins at 7% of its runs.`,
      "decay",
    );
  }
  if (rampUpMimg * 1e6 > duration / 4) {
    warn(
      `the learning rate rises over ${show(rampUpMimg * 1e6)} images, and the run has ${duration.toLocaleString("en")}`,
      "Much of the run goes at less than the wanted rate; the paper's rise takes half a percent of its runs.",
      "Shorten --rampup.",
      "rampup",
    );
  }
  const swapped = [
    ["resBalance", resBalance],
    ["attnBalance", attnBalance],
  ] as const;
  for (const [name, balance] of swapped) {
    if (!mpSum || balance <= 0.5) continue;
    warn(
      `${name} is ${balance}: the branch weighs more than the main path`,
      "The paper gives branches t = 0.3; a widely used implementation has the two swapped.",
      "Use 0.3 unless the difference is wanted.",
      name,
    );
  }
  return findings;
}

/** The stored averages: enough of them to make any other afterwards. */
export function examineAverages(
  training: TrainingOptions,
  duration: number,
  stored: readonly AveragingProfile[],
  wanted: number | null,
): Finding[] {
  const findings: Finding[] = [];
  const warn = (what: string, meaning: string, advice: string, where: readonly string[] = []): void =>
    void findings.push({ check: "averages", severity: "warning", what, where, meaning, advice });
  const { emaSigmaRels } = training;
  if (emaSigmaRels.length === 1) {
    warn(
      "one length of average is stored",
      "Averages made afterwards are combinations of stored ones, and one length spans little.",
      "Store two, as the paper: --ema 0.05,0.1.",
      ["ema"],
    );
  }
  const odd = emaSigmaRels.filter((sigmaRel) => sigmaRel < 0.01 || sigmaRel > 0.25);
  if (odd.length > 0) {
    warn(
      `averages of length ${odd.join(", ")} are far from what has been found useful, 0.01 to 0.25`,
      "A very short average is the raw weights, a very long one holds the beginning of training.",
      "Use 0.05 and 0.1.",
      ["ema"],
    );
  }
  const times = new Set(stored.map((profile) => profile.nimg)).size;
  // Files are named by thousands of images: a short run has as many as there can be.
  if (times >= Math.ceil(duration / 1000)) return findings;
  if (wanted !== null && stored.length > 0 && times > 1) {
    const [fit] = fitProfiles(stored, [powerProfile(Math.max(...stored.map((profile) => profile.nimg)), wanted)], {});
    if (fit !== undefined && fit.relativeError > 0.01) {
      warn(
        `an average of length ${wanted} can't be made well from the ${times} stored times: its profile would be off by ${show(100 * Math.sqrt(fit.relativeError))}%`,
        "Too few snapshots, or at times too far apart, for profiles of this width.",
        "Store snapshots more often (--snapshot).",
        ["snapshot"],
      );
    }
  } else if (wanted !== null && times === 1) {
    warn(
      "there is one snapshot",
      "Averages of other lengths can't be made from it.",
      "Store snapshots more often (--snapshot).",
      ["snapshot"],
    );
  }
  return findings;
}
