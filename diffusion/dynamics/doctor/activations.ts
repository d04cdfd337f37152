import type { Dynamics } from "../format.ts";
import { layerCurve } from "../places.ts";
import { type Finding, lastThird, type LayerValue, median, show, worst } from "./finding.ts";

/**
 * Magnitudes of activations. Where every function preserves magnitudes (configuration G) each layer's output stays near 1, at the
 * start within what random weights allow; elsewhere it may grow, and only numbers that can't be computed with are errors.
 */
export function examineActivations(dynamics: Dynamics): Finding[] {
  const { unet } = dynamics.header.training.network;
  const isPreserving = unet.mpSum && unet.mpCat && unet.mpSilu && unet.weightNorm;
  const causes = isPreserving ? causesOf(dynamics) : [];
  const nonFinite = layersWith(dynamics, (curve) => (curve.some((value) => !Number.isFinite(value)) ? 1 : null));
  if (nonFinite.length > 0) {
    const finding: Finding = {
      check: "activations",
      severity: "error",
      what: `${nonFinite.length} of ${dynamics.header.names.activations.length} layers gave outputs that are not finite`,
      where: nonFinite.map(({ layer }) => layer),
      meaning:
        causes.length > 0
          ? "This follows from the cause above."
          : "Numbers overflowed, or the data hold some that are not finite.",
      advice: "Look at the first layer of the list; lower the learning rate, or look at the data.",
    };
    return [...causes, finding];
  }
  return isPreserving ? [...causes, ...examinePreserved(dynamics, causes.length > 0)] : examineGrowth(dynamics);
}

/** Why magnitudes aren't preserved, where that can be told from how training starts; the first cause hides others. */
function causesOf(dynamics: Dynamics): Finding[] {
  if (!startsAtStart(dynamics)) return [];
  const factors = missingFanIn(dynamics);
  return factors.length > 0 ? factors : wrongSums(dynamics);
}

/** Layers for which `measure` of their magnitudes over time is a number, in order of computation. */
function layersWith(
  dynamics: Dynamics,
  measure: (curve: readonly number[], layer: string) => number | null,
): LayerValue[] {
  return dynamics.header.names.activations.flatMap((layer) => {
    const value = measure(layerCurve(dynamics, "activation", layer), layer);
    return value === null ? [] : [{ layer, value }];
  });
}

/** Outputs of these are multiplied by a gain that starts at zero. */
const hasGain = (layer: string): boolean => /(^|\.)(emb_linear|out_conv)$/.test(layer);

/** Averages over pixels that differ are smaller than what is averaged: attention's output, when attention is even. */
const isAveraged = (layer: string): boolean => layer.endsWith(".attn_proj");

const limits = { high: 5, tooHigh: 10, low: 0.1, tooLow: 0.03, averaged: 0.3 };

function examinePreserved(dynamics: Dynamics, hasCause: boolean): Finding[] {
  const current = layersWith(dynamics, (curve) => median(lastThird(curve)));
  const high = current.filter(({ value }) => value > limits.high);
  const low = current.filter(({ layer, value }) => {
    const least = limits.low * (isAveraged(layer) ? limits.averaged : 1);
    return !hasGain(layer) && value < least;
  });
  const findings: Finding[] = [];
  if (high.length > 0) {
    findings.push({
      check: "activations",
      severity: high.some(({ value }) => value > limits.tooHigh) ? "error" : "warning",
      what: `outputs of ${high.length} of ${current.length} layers have magnitudes up to ${show(Math.max(...high.map(({ value }) => value)))}; they should stay near 1`,
      where: worst(high),
      meaning: hasCause
        ? "This follows from the cause above."
        : "Something on the way does not preserve magnitudes, or gains grew large.",
      advice: hasCause
        ? "Mend the cause first."
        : "Look at the first of these layers in order of computation and at what feeds it: weights without normalization, " +
          "SiLU without its 1/0.596, a sum or a concatenation without its normalizer.",
    });
  }
  if (low.length > 0) {
    findings.push({
      check: "activations",
      severity: low.some(({ value }) => value < limits.tooLow) ? "error" : "warning",
      what: `outputs of ${low.length} of ${current.length} layers have magnitudes down to ${show(Math.min(...low.map(({ value }) => value)))}; they should stay near 1`,
      where: worst(low).reverse(),
      meaning: "The signal fades on its way: later layers see little of the earlier ones.",
      advice: hasCause
        ? "Mend the cause first."
        : "Look for a sum whose weights add up to less than unit magnitude, a factor applied twice, or inputs of the wrong scale.",
    });
  }
  return findings;
}

/** The layer's fan-in, from its weight's shape. */
function fanInOf({ header }: Dynamics, layer: string): number {
  const shape = header.names.weightShapes[header.names.weights.indexOf(layer)] ?? [];
  return shape.slice(1).reduce((product, extent) => product * extent, 1);
}

/**
 * Layers whose outputs start at about sqrt(fan-in), the first of them behind layers that are sound: what normalized weights give that
 * nobody divided by it.
 */
function missingFanIn(dynamics: Dynamics): Finding[] {
  const start = layersWith(dynamics, (curve, layer) => (hasGain(layer) ? null : (curve[0] ?? null)));
  const suspects = start.filter(({ layer, value }) => {
    const root = Math.sqrt(fanInOf(dynamics, layer));
    // Two thirds to three halves: what correlated inputs and few channels make of it.
    return root > 4 && value > root / 1.5 && value < root * 1.5;
  });
  const [first] = suspects;
  if (first === undefined) return [];
  // Where magnitudes have grown from layer to layer, one of them meets sqrt(fan-in) by chance.
  if (start.slice(0, start.indexOf(first)).some(({ value }) => !(value < 2))) return [];
  return [
    {
      check: "activations",
      severity: "error",
      what:
        `outputs of ${suspects.length} layers start at about sqrt(fan_in): ${first.layer} has magnitude ${show(first.value)}, and ` +
        `sqrt(fan_in) is ${show(Math.sqrt(fanInOf(dynamics, first.layer)))}`,
      where: suspects.map(({ layer, value }) => `${layer} (${show(value)})`),
      meaning:
        "The factor 1/sqrt(fan_in) is missing where the weights are used: a sum of fan_in unit numbers has that magnitude.",
      advice: "Divide normalized weights by sqrt(fan_in) in the layer (Karras et al. 2024, Eq. 47 and 66).",
    },
  ];
}

/** What chance makes of a few layers' random weights: their median lies within 0.75 to 1.1, and no trend is as strong. */
const chance = { low: 0.7, high: 1.25, slope: 0.035, whole: 0.35 };

/**
 * The main path when training starts, as the layers see it that read it: a sum that doesn't preserve magnitudes makes it too large or
 * too small everywhere, and, where no norm comes between, more so from block to block of the decoder.
 */
function wrongSums(dynamics: Dynamics): Finding[] {
  const readers = layersWith(dynamics, (curve, layer) =>
    /^dec\..*\.(conv_res0|conv_skip)$|\.attn_qkv$/.test(layer) ? (curve[0] ?? null) : null,
  ).filter(({ value }) => value > 0);
  if (readers.length < 4) return [];
  const level = median(readers.map(({ value }) => value));
  const blocks = readers.filter(({ layer }) => layer.endsWith(".conv_res0"));
  const slope = blocks.length < 4 ? 0 : slopeOf(blocks.map(({ value }) => Math.log(value)));
  const isTrend = Math.abs(slope) > chance.slope && Math.abs(slope) * (blocks.length - 1) > chance.whole;
  if (level > chance.low && level < chance.high && !isTrend) return [];
  return [
    {
      check: "activations",
      severity: "error",
      what: isTrend
        ? `the decoder's main path ${slope > 0 ? "grows" : "shrinks"} by a factor of ${show(Math.exp(slope))} from block to block when ` +
          `training starts, ${show(Math.exp(slope * (blocks.length - 1)))} over ${blocks.length} blocks`
        : `the main path has magnitude ${show(level)} when training starts, and it should be near 1`,
      where: (isTrend ? blocks : readers).map(({ layer, value }) => `${layer} (${show(value)})`),
      meaning:
        "The sum of the main path and the residual branch does not preserve magnitude: t and the normalizer " +
        "sqrt((1 - t)^2 + t^2) don't belong together, or the normalizer is missing.",
      advice:
        "Check mp-sum: ((1 - t) a + t b) / sqrt((1 - t)^2 + t^2) with the same t = 0.3 throughout, a the main path, b the branch.",
    },
  ];
}

/** Is the first sample that of the first step, with weights as they were drawn? */
function startsAtStart({ header, samples }: Dynamics): boolean {
  return samples[0]?.nimg === header.training.batch;
}

/** Slope of the straight line through (0, y0), (1, y1), ... by least squares. */
function slopeOf(values: readonly number[]): number {
  const center = (values.length - 1) / 2;
  const [up, down] = values.reduce(
    ([sum, squares], y, x): [number, number] => [sum + (x - center) * y, squares + (x - center) ** 2],
    [0, 0],
  );
  return up / down;
}

/** Networks with norms inside: magnitudes may take any value, but not grow without an end. */
function examineGrowth(dynamics: Dynamics): Finding[] {
  const { unet } = dynamics.header.training.network;
  const huge = layersWith(dynamics, (curve) => {
    const value = median(lastThird(curve));
    return value > 1e4 ? value : null;
  });
  if (huge.length > 0) {
    return [
      {
        check: "activations",
        severity: "error",
        what: `outputs of ${huge.length} layers have magnitudes above 10,000`,
        where: worst(huge),
        meaning:
          "The network is diverging: 16-bit floats end at 65,504, and gradients behind such layers drown in rounding.",
        advice: "Lower the learning rate, or use configuration D or later, which keeps magnitudes by construction.",
      },
    ];
  }
  const grown = layersWith(dynamics, (curve) => {
    const [first = NaN] = curve.filter((value) => value > 0);
    const ratio = median(lastThird(curve)) / first;
    return ratio > 5 && median(lastThird(curve)) > 10 ? ratio : null;
  });
  if (grown.length === 0) return [];
  return [
    {
      check: "activations",
      severity: unet.weightNorm ? "warning" : "note",
      what: `outputs of ${grown.length} layers have grown, up to ${show(Math.max(...grown.map(({ value }) => value)))} times`,
      where: worst(grown),
      meaning: unet.weightNorm
        ? "With normalized weights activations should level off."
        : "Activations of networks without magnitude-preserving layers (configurations A to C) grow throughout training, as the paper found.",
      advice: unet.weightNorm
        ? "Look at the learning rate, and at sums without a norm behind them."
        : "Nothing has to be done; configurations D to G don't do this.",
    },
  ];
}
