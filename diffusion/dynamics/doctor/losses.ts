import type { TrainingOptions } from "../../training/index.ts";
import type { Dynamics } from "../format.ts";
import { type Finding, lastThird, meanOf, median, show } from "./finding.ts";

/** A run's loss and weighted error over time, each a mean since the point before. Null, as files have it, or NaN: not finite. */
export type LossPoint = { readonly nimg: number; readonly loss: number | null; readonly error: number | null };

/** Points of the loss from the dynamics, where there is no other record. */
export function lossPoints({ samples }: Dynamics): LossPoint[] {
  return samples.map(({ nimg, bins }) => {
    const mean = (values: readonly (number | null)[]): number | null => {
      const total = bins.count.reduce((sum, count) => sum + count, 0);
      const sum = values.reduce<number>((all, value, i) => all + (value ?? 0) * (bins.count[i] ?? 0), 0);
      // A mean that wasn't finite was stored as null.
      const isWhole = values.every((value, i) => value !== null || bins.count[i] === 0);
      return isWhole && total > 0 ? sum / total : null;
    };
    return { nimg, loss: mean(bins.loss), error: mean(bins.error) };
  });
}

/** Student-t noise: its squared size has a heavy tail, and so have errors. */
function hasHeavyTails(training: NoiseOfRun | undefined): boolean {
  return (training?.network.noiseDf ?? 0) !== 0;
}

/** Images that a mean of errors must have for a comparison to mean anything. */
const enoughImages = 512;

/** What decides how errors are looked at; files needn't say all of it. */
type NoiseOfRun = Pick<TrainingOptions, "network"> & Partial<Pick<TrainingOptions, "noise">>;

/** Is the error finite, falling, and not rising again? */
export function examineLoss(points: readonly LossPoint[], training?: NoiseOfRun): Finding[] {
  const broken = points.filter(({ loss, error }) => !Number.isFinite(loss) || !Number.isFinite(error));
  if (broken.length > 0) {
    return [
      {
        check: "loss",
        severity: "error",
        what: `the loss was not finite around ${broken
          .map(({ nimg }) => nimg.toLocaleString("en"))
          .slice(0, 5)
          .join(", ")} images`,
        where: [],
        meaning: "Numbers overflowed, or the data hold some that are not finite.",
        advice: "The message that ended the run names the first layer; lower the learning rate, or look at the data.",
      },
    ];
  }
  // What it is a mean over changes as noise levels are learned; it may rise by that alone, and each level is looked at by itself.
  if (training?.noise?.kind === "infonoise") return [];
  // Single images weigh much in a mean over heavy tails.
  const middle = hasHeavyTails(training) ? median : meanOf;
  const last = points.at(-1)?.nimg ?? 0;
  const window = Math.ceil(points.length / 5);
  if (points.length < 5 || last / 5 < enoughImages) return [];
  const means = Array.from({ length: points.length - window + 1 }, (_, i) =>
    middle(points.slice(i, i + window).map(({ error }) => error ?? NaN)),
  );
  const [first, end] = [means[0] ?? NaN, means.at(-1) ?? NaN];
  const best = Math.min(...means);
  if (end > 1.25 * best) {
    return [
      {
        check: "loss",
        severity: "error",
        what: `the error rises again: ${show(end)} at the end, and it was ${show(best)}`,
        where: [],
        meaning: "Training diverges: steps are too large for where the network is.",
        advice: "Lower the learning rate or let it fall earlier (--decay), and go back to a snapshot from before.",
      },
    ];
  }
  const start = Math.max(first, points[0]?.error ?? NaN);
  if (end > 0.97 * start) {
    return [
      {
        check: "loss",
        severity: "error",
        what: `the error does not fall: ${show(start)} at the start, ${show(end)} after ${last.toLocaleString("en")} images`,
        where: [],
        meaning:
          "The network learns nothing: the learning rate is far too small or too large, the gradient does not arrive, or the data are noise.",
        advice:
          "Look at the effective learning rates (updates) first; then at the pictures, and at sigma-data against their deviation.",
      },
    ];
  }
  return [];
}

/** Each noise level by itself: a mean can hide one that gets worse. */
export function examineBins(dynamics: Dynamics): Finding[] {
  const { samples, header } = dynamics;
  const late = lastThird(samples);
  const steps = (samples.at(-1)?.nimg ?? 0) / header.training.batch;
  const bins = header.sigmaEdges.length + 1;
  const growthLimit = hasHeavyTails(header.training) ? 2 : 1.3;
  const over = (of: typeof late, what: "loss" | "error", bin: number): { mean: number; count: number } => {
    const count = of.reduce((sum, sample) => sum + (sample.bins.count[bin] ?? 0), 0);
    const sum = of.reduce((all, sample) => all + (sample.bins[what][bin] ?? 0) * (sample.bins.count[bin] ?? 0), 0);
    return { mean: sum / count, count };
  };
  const name = (bin: number): string => {
    const [from, to] = [header.sigmaEdges[bin - 1], header.sigmaEdges[bin]];
    return `sigma ${from === undefined ? "below" : show(from)}${from === undefined || to === undefined ? " " : " to "}${to === undefined ? "and above" : show(to)}`;
  };
  const findings: Finding[] = [];
  if (steps < 200) return findings;
  const half = samples.slice(0, Math.floor(samples.length / 2));
  const worse: string[] = [];
  const uncalibrated: string[] = [];
  for (let bin = 0; bin < bins; bin++) {
    const [before, now, loss] = [over(half, "error", bin), over(late, "error", bin), over(late, "loss", bin)];
    if (now.count < 256 || before.count < 256) continue;
    if (now.mean > growthLimit * before.mean) worse.push(`${name(bin)} (${show(before.mean)} to ${show(now.mean)})`);
    const gap = loss.mean - (1 + Math.log(now.mean));
    // Without a loss head the loss is the error itself.
    if (gap > 1 && loss.mean !== now.mean) uncalibrated.push(`${name(bin)} (${show(gap)})`);
  }
  if (worse.length > 0) {
    findings.push({
      check: "loss",
      severity: "warning",
      what: `the error grows at ${worse.length} of ${bins} ranges of noise levels`,
      where: worse,
      meaning: "Other noise levels are learned at the cost of these.",
      advice: "Look at the distribution of noise levels (P_mean, P_std) and at the loss head; lower the learning rate.",
    });
  }
  if (uncalibrated.length > 0) {
    findings.push({
      check: "loss",
      severity: "warning",
      what: `the loss head u(sigma) is off at ${uncalibrated.length} of ${bins} ranges of noise levels`,
      where: uncalibrated,
      meaning:
        "u should be the logarithm of the expected error, where the loss is 1 + ln(error); these noise levels get a wrong weight.",
      advice: "Give it time at first; if it stays, look whether the loss head is trained and knows the noise level.",
    });
  }
  return findings;
}

/** Gradients that weren't finite, and norms that jump. */
export function examineGradients({ samples }: Dynamics): Finding[] {
  const broken = samples.filter(({ nonFiniteGradients }) => nonFiniteGradients > 0);
  if (broken.length > 0) {
    return [
      {
        check: "gradients",
        severity: broken.length > samples.length / 10 ? "error" : "warning",
        what: `elements of gradients were not finite before ${broken.length} of ${samples.length} samples, and were set to zero`,
        where: broken.slice(0, 5).map(({ nimg }) => `${nimg.toLocaleString("en")} images`),
        meaning:
          "Something in the backward pass overflows or divides by zero; the optimizer steps as if such weights had no gradient.",
        advice: "Lower the loss scaling (--ls) or the learning rate; look for layers with very large activations.",
      },
    ];
  }
  const norms = samples.map(({ gradientNorm }) => gradientNorm ?? NaN);
  const zero = norms.slice(1).filter((norm) => norm === 0).length;
  if (zero > 0) {
    return [
      {
        check: "gradients",
        severity: "error",
        what: `the gradient is zero in ${zero} of ${norms.length} samples`,
        where: [],
        meaning: "The loss does not depend on the weights.",
        advice: "Look for a stopped gradient or an output that is multiplied by zero.",
      },
    ];
  }
  const middle = norms.slice(Math.floor(norms.length / 3), Math.floor((2 * norms.length) / 3));
  const usual = Math.max(...middle);
  const jumps = lastThird(norms).filter((norm) => norm > 20 * usual).length;
  if (norms.length < 9 || jumps === 0) return [];
  return [
    {
      check: "gradients",
      severity: "warning",
      what: `norms of gradients jump above 20 times what they were (${show(usual)} at most) in ${jumps} of the last samples`,
      where: [],
      meaning: "Some images or noise levels pull the network far from where it is, which often goes before divergence.",
      advice: "Lower the learning rate; look at the error by noise level and at the data.",
    },
  ];
}
