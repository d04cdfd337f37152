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

/** Everything about a run that deserves a word, the worst first. */
export function examineRun(run: RunRecord): Finding[] {
  const { training, dynamics } = run;
  const points = run.losses ?? (dynamics === null ? [] : lossPoints(dynamics));
  const findings = [
    ...examineLoss(points),
    ...(dynamics === null ? [] : examineDynamics(dynamics)),
    ...(training === null ? [] : examineRate(training, run.duration)),
    ...(training === null ? [] : examineAverages(training, run.stored, run.sampleEma)),
    ...(dynamics === null || dynamics.samples.length === 0 ? [unseen] : []),
  ];
  return findings.toSorted((a, b) => order.indexOf(a.severity) - order.indexOf(b.severity));
}

/** What a run's dynamics alone show. */
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
