import type { Dynamics } from "../format.ts";
import { layerCurve } from "../places.ts";
import { type Finding, lastThird, type LayerValue, median, show, worst } from "./finding.ts";

/** Normalization's epsilon makes 0.9999 of 1. */
const forcedBand = { low: 0.99, high: 1.01 };

/** Magnitudes of stored weights: exactly 1 for every output under forced normalization. */
export function examineWeights(dynamics: Dynamics): Finding[] {
  const { unet } = dynamics.header.training.network;
  const { weights } = dynamics.header.names;
  const off = (kind: "weight" | "weightMax"): LayerValue[] =>
    weights.flatMap((layer) => {
      const bad = layerCurve(dynamics, kind, layer).filter(
        (value) => !(value >= forcedBand.low && value <= forcedBand.high),
      );
      const last = bad.at(-1);
      return last === undefined ? [] : [{ layer, value: last }];
    });
  if (unet.forcedNorm) {
    const bad = new Map([...off("weight"), ...off("weightMax")].map((each) => [each.layer, each]));
    if (bad.size === 0) return [];
    const found = [...bad.values()];
    const grow = found.filter(({ layer }) => growthOf(dynamics, layer) > 1.02).length;
    return [
      {
        check: "weights",
        severity: "error",
        what:
          `${found.length} of ${weights.length} weights are not of unit magnitude when a step begins` +
          (grow > 0 ? `, and ${grow} of them grow` : ""),
        where: worst(found),
        meaning:
          "Forced normalization does not take place (or not for these layers): weights grow with every step, because a step is at right " +
          "angles to a weight that is normalized in use, and the effective learning rate falls by itself, in each layer at its own pace.",
        advice:
          "Set stored weights to unit magnitude for each output before every step, outside of the gradient (section 2.3).",
      },
    ];
  }
  const grown = weights.map((layer) => ({ layer, value: growthOf(dynamics, layer) })).filter(({ value }) => value > 2);
  if (grown.length === 0) return [];
  return [
    {
      check: "weights",
      severity: "note",
      what: `${grown.length} of ${weights.length} weights have grown to up to ${show(Math.max(...grown.map(({ value }) => value)))} times their magnitude`,
      where: worst(grown),
      meaning:
        "Weights without forced normalization grow with training (configurations A to D), and their effective learning rate falls with it.",
      advice: "Nothing has to be done; forced normalization (configuration E on) puts the schedule in charge instead.",
    },
  ];
}

function growthOf(dynamics: Dynamics, layer: string): number {
  const curve = layerCurve(dynamics, "weight", layer);
  const [first = NaN] = curve.filter((value) => value > 0);
  return median(lastThird(curve)) / first;
}

/** Learned factors: they start at zero and must leave it, but not run away. */
export function examineGains(dynamics: Dynamics): Finding[] {
  const { gains } = dynamics.header.names;
  const trained = dynamics.samples.filter(({ learningRate }) => learningRate > 0).length;
  // The first sample is before any update.
  if (gains.length === 0 || trained < 2) return [];
  const current = gains.map((layer) => ({ layer, value: Math.abs(layerCurve(dynamics, "gain", layer).at(-1) ?? NaN) }));
  const stuck = current.filter(({ value }) => value === 0);
  const large = current.filter(({ value }) => !(value <= 10));
  const findings: Finding[] = [];
  if (stuck.length > 0) {
    findings.push({
      check: "gains",
      severity: "error",
      what: `${stuck.length} of ${gains.length} gains are still exactly zero`,
      where: stuck.map(({ layer }) => layer),
      meaning:
        "Nothing behind such a gain can learn or be seen: no gradient reaches it, or the optimizer does not have it.",
      advice: "See that gains are among the trained arrays, and that what they multiply is not zero itself.",
    });
  }
  if (large.length > 0) {
    findings.push({
      check: "gains",
      severity: large.some(({ value }) => !(value <= 100)) ? "error" : "warning",
      what: `${large.length} of ${gains.length} gains are above 10`,
      where: worst(large),
      meaning:
        "A gain that large makes up for a signal that is too small, or runs away: gains are the only weights without normalization.",
      advice: "Look at the magnitudes of the same layers; lower the learning rate.",
    });
  }
  return findings;
}
