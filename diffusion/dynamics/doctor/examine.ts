import type { AveragingProfile } from "../../ema/index.ts";
import type { TrainingOptions } from "../../training/index.ts";
import type { Dynamics } from "../format.ts";
import { examineActivations } from "./activations.ts";
import { examineAttention } from "./attention.ts";
import type { Finding, Severity } from "./finding.ts";
import { examineBins, examineGradients, examineLoss, type LossPoint, lossPoints } from "./losses.ts";
import { examineAverages, examineRate } from "./settings.ts";
import { examineUpdates } from "./updates.ts";
import { examineGains, examineWeights } from "./weights.ts";

/** What is known of a run. */
export type RunRecord = {
  /** What it trains, and how; null if nothing tells. */
  readonly training: TrainingOptions | null;
  /** Images it is to see, or has seen. */
  readonly duration: number;
  /** Images it has seen so far. */
  readonly nimg: number;
  readonly dynamics: Dynamics | null;
  /** The loss over time; null to take it from the dynamics. */
  readonly losses: readonly LossPoint[] | null;
  /** Averages in the run folder after the start. */
  readonly stored: readonly AveragingProfile[];
  /** Length of the average that is to be made of them. */
  readonly sampleEma: number | null;
};

const order: readonly Severity[] = ["error", "warning", "note"];

/**
 * Everything about a run that deserves a word, the worst first.
 * @example
 * ```ts
 * const losses = [1, 0.5, NaN].map((loss, i) => ({ nimg: 1000 * (i + 1), loss, error: loss }));
 * const findings = examineRun({ training: null, duration: 10_000, nimg: 3000, dynamics: null, losses, stored: [], sampleEma: null });
 * console.log(findings[0]?.what); // the loss was not finite around 3,000 images
 * ```
 */
export function examineRun(run: RunRecord): Finding[] {
  const { training, dynamics } = run;
  const points = run.losses ?? (dynamics === null ? [] : lossPoints(dynamics));
  const findings = [
    ...examineLoss(points, training ?? dynamics?.header.training),
    ...(dynamics === null ? [] : examineDynamics(dynamics)),
    ...(training === null ? [] : examineRate(training, run.duration)),
    ...(training === null ? [] : examineAverages(training, run.duration, run.stored, run.sampleEma)),
    ...(dynamics === null || dynamics.samples.length === 0 ? [unseen] : []),
  ];
  return findings.toSorted((a, b) => order.indexOf(a.severity) - order.indexOf(b.severity));
}

/**
 * What a run's dynamics alone show.
 * @example
 * ```ts
 * const names = { activations: ["enc.8x8_conv", "out_conv"], weights: [], weightShapes: [], gains: [], attention: [] };
 * const training = { network: { unet: { imageResolution: 8, imageChannels: 1, labelDim: 0 } }, batch: 16 };
 * const header = { format: "evenkeel-dynamics", version: 1, every: 10, training, names, sigmaEdges: [1] };
 * const none = Object.fromEntries(readingKinds.map((kind) => [kind, []]));
 * const readings = { ...none, activation: [1, null], activationMax: [2, null] };
 * const bins = { count: [1, 0], loss: [0.2, null], error: [0.2, null] };
 * const sample = { nimg: 160, learningRate: 0.01, gradientNorm: 1, nonFiniteGradients: 0, readings, bins };
 * const dynamics = parseDynamics(`${JSON.stringify(header)}\n${JSON.stringify(sample)}\n`, "dynamics.jsonl");
 * if (dynamics !== null) console.log(examineDynamics(dynamics)[0]?.what); // 1 of 2 layers gave outputs that are not finite
 * ```
 */
export function examineDynamics(dynamics: Dynamics): Finding[] {
  if (dynamics.samples.length === 0) return [];
  return [
    ...examineActivations(dynamics),
    ...examineWeights(dynamics),
    ...examineGains(dynamics),
    ...examineUpdates(dynamics),
    ...examineAttention(dynamics),
    ...examineBins(dynamics),
    ...examineGradients(dynamics),
  ];
}

const unseen: Finding = {
  check: "run",
  severity: "note",
  what: "the run has no record of its dynamics",
  where: [],
  meaning: "Magnitudes, gains, effective learning rates and attention can't be checked.",
  advice: "Train with --dynamics.",
};
