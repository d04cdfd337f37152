import type { Dynamics } from "../format.ts";
import { layerCurve } from "../places.ts";
import { type Finding, lastThird, type LayerValue, median, show, worst } from "./finding.ts";

/** Relative sizes of updates: effective learning rates. Every layer's should be about the same, and follow the schedule. */
export function examineUpdates(dynamics: Dynamics): Finding[] {
  const { header, samples } = dynamics;
  // The first sample is of the first step, in which gains of zero let no gradient through.
  const steps = samples
    .map(({ learningRate, nimg }, i) => ({ i, learningRate, nimg }))
    .filter(({ i, learningRate }) => i > 0 && learningRate > 0);
  const current = lastThird(steps);
  if (steps.length < 2) return [];
  const at = (
    layer: string,
    of: readonly { readonly i: number }[],
    kind: "update" | "gradient" = "update",
  ): number[] => {
    const curve = layerCurve(dynamics, kind, layer);
    return of.map(({ i }) => curve[i] ?? NaN);
  };
  const layers = header.names.weights.map((layer) => ({ layer, value: median(at(layer, current)) }));
  const still = layers.filter(({ value }) => !(value > 1e-9));
  const moving = layers.filter(({ value }) => value > 1e-9);
  return [
    ...examineStill(still, (layer) => median(at(layer, current, "gradient")) === 0),
    ...examineSize(moving),
    ...examineSpread(dynamics, moving),
    ...examineTrend(dynamics, steps, moving, at),
  ];
}

function examineStill(still: readonly LayerValue[], hasNoGradient: (layer: string) => boolean): Finding[] {
  if (still.length === 0) return [];
  const withoutGradient = still.filter(({ layer }) => hasNoGradient(layer)).length;
  return [
    {
      check: "updates",
      severity: "error",
      what: `${still.length} weights don't move`,
      where: still.map(({ layer }) => layer),
      meaning:
        withoutGradient === still.length
          ? "Their gradient is zero: what they compute does not reach the loss, or a gain before it stays at zero."
          : "The steps vanish in rounding: the learning rate is too small for weights of this magnitude.",
      advice:
        withoutGradient === still.length
          ? "Follow the layer's output to the network's: look for a zero gain, an unused input (labels that are all zero), or a stopped gradient."
          : "Raise the learning rate, or keep weights small by forced normalization.",
    },
  ];
}

const sizes = { large: 0.05, tooLarge: 0.2 };

function examineSize(moving: readonly LayerValue[]): Finding[] {
  const large = moving.filter(({ value }) => value > sizes.large);
  if (large.length === 0) return [];
  const most = Math.max(...large.map(({ value }) => value));
  return [
    {
      check: "updates",
      severity: most > sizes.tooLarge ? "error" : "warning",
      what: `a step changes ${large.length} of ${moving.length} weights by up to ${show(100 * most)}% of their magnitude`,
      where: worst(large),
      meaning: `With such steps a weight is another one after ${Math.ceil(1 / most)} of them: the network forgets as fast as it learns.`,
      advice: "Lower the learning rate, or let it fall earlier (--decay).",
    },
  ];
}

/** Rules for matrices leave those of one output or input to Adam, whose steps are of another size. */
function isMovedAlike({ names, training: { optimizer = {} } }: Dynamics["header"], layer: string): boolean {
  const { name = "adam", hyperball, magnitudeRate } = optimizer;
  const isPlain = (name === "adam" || name === "sgd") && hyperball === undefined && magnitudeRate === undefined;
  const [rows = 1, ...others] = names.weightShapes[names.weights.indexOf(layer)] ?? [];
  return isPlain || (rows > 1 && others.some((extent) => extent > 1));
}

/** Largest over smallest effective rate; forced normalization leaves about 2 between layers, more while gains are near zero. */
const spreadLimit = 8;

function examineSpread({ header }: Dynamics, moving: readonly LayerValue[]): Finding[] {
  const { weightNorm, forcedNorm } = header.training.network.unet;
  const sorted = moving.filter(({ layer }) => isMovedAlike(header, layer)).toSorted((a, b) => b.value - a.value);
  const [most, least] = [sorted[0], sorted.at(-1)];
  if (most === undefined || least === undefined || most.value / least.value < spreadLimit) return [];
  const isControlled = weightNorm && forcedNorm;
  return [
    {
      check: "updates",
      severity: isControlled ? "warning" : "note",
      what: `effective learning rates differ between layers by a factor of ${show(most.value / least.value)}: ${show(least.value)} to ${show(most.value)}`,
      where: [`${most.layer} (${show(most.value)})`, `${least.layer} (${show(least.value)})`],
      meaning: isControlled
        ? "With forced normalization one learning rate should mean the same in every layer; here some learn while others hardly move."
        : "Without forced normalization the effective rate follows each layer's magnitude and fan-in.",
      advice: isControlled
        ? "Look at the slow layers' gradients: are their stored weights really of unit magnitude for each output, and are their gains near zero?"
        : "Nothing has to be done; forced normalization (configuration E on) makes the rates equal.",
    },
  ];
}

/** How far the rate per scheduled rate may fall or rise once the ramp is over. */
const trendLimit = 4;

function examineTrend(
  { header }: Dynamics,
  steps: readonly { readonly i: number; readonly learningRate: number; readonly nimg: number }[],
  moving: readonly LayerValue[],
  at: (layer: string, of: readonly { readonly i: number }[]) => number[],
): Finding[] {
  const { learningRate, network } = header.training;
  const settled = steps.filter(({ nimg }) => nimg > 2e6 * learningRate.rampUpMimg);
  if (settled.length < 6) return [];
  const third = Math.floor(settled.length / 3);
  const perRate = (layer: string, of: typeof settled): number =>
    median(at(layer, of).map((value, k) => value / (of[k]?.learningRate ?? NaN)));
  const changed = moving
    .map(({ layer }) => ({
      layer,
      value: perRate(layer, settled.slice(-third)) / perRate(layer, settled.slice(0, third)),
    }))
    .filter(({ value }) => value > trendLimit || value < 1 / trendLimit);
  if (changed.length === 0) return [];
  const { weightNorm, forcedNorm } = network.unet;
  const isControlled = weightNorm && forcedNorm;
  const falls = changed.filter(({ value }) => value < 1);
  return [
    {
      check: "updates",
      severity: isControlled ? "warning" : "note",
      what:
        `effective learning rates of ${changed.length} of ${moving.length} weights drift away from the schedule, ` +
        `${falls.length > 0 ? `falling to ${show(Math.min(...falls.map(({ value }) => value)))}` : `rising to ${show(Math.max(...changed.map(({ value }) => value)))}`} of what they were`,
      where: worst(changed.map(({ layer, value }) => ({ layer, value: value < 1 ? 1 / value : value }))),
      meaning: isControlled
        ? "Gradients have become small against their own spread (the noise of small batches), or weights are not of unit magnitude."
        : "Weights grow, so that steps of the same size turn them less and less: a decay of the learning rate that nobody chose.",
      advice: isControlled
        ? "Look at weights' magnitudes; a larger batch or a smaller learning rate brings gradients above their noise."
        : "Control it: forced normalization and a schedule that falls (configuration E on).",
    },
  ];
}
