import type { Dynamics, DynamicsSample } from "./format.ts";
import { namesOf, type ReadingKind } from "./readings.ts";

/**
 * Where in the network a layer is: `enc 16x16`; null for the embedding, the output and the loss head.
 * @example console.log(placeOfLayer("enc.16x16_block0.conv_res0"), placeOfLayer("out_conv")); // enc 16x16 null
 */
export function placeOfLayer(layer: string): string | null {
  const match = /^(enc|dec)\.(\d+x\d+)_/.exec(layer);
  return match === null ? null : `${match[1] ?? ""} ${match[2] ?? ""}`;
}

/** A quantity over a run at one place: images seen, and its value at each. */
export type PlaceCurve = {
  readonly place: string;
  readonly nimg: readonly number[];
  readonly values: readonly number[];
};

/**
 * A quantity's curve at each resolution of encoder and decoder, in order of computation: the mean or the largest of its layers.
 * Karras et al. 2024, Fig. 3 and 15.
 * @param include which layers count; default all.
 * @example
 * ```ts
 * import { readingKinds } from "evenkeel/diffusion/dynamics";
 *
 * const names = { activations: ["enc.8x8_conv", "enc.8x8_block0.conv_res0"], weights: [], weightShapes: [], gains: [], attention: [] };
 * const training = { network: { unet: { imageResolution: 8, imageChannels: 1, labelDim: 0 } }, batch: 16 };
 * const header = { format: "evenkeel-dynamics", version: 1, every: 10, training, names, sigmaEdges: [1] };
 * const none = Object.fromEntries(readingKinds.map((kind) => [kind, []]));
 * const readings = { ...none, activation: [1, 2], activationMax: [2, 2] };
 * const bins = { count: [1, 0], loss: [0.2, null], error: [0.2, null] };
 * const sample = { nimg: 160, learningRate: 0.01, gradientNorm: 1, nonFiniteGradients: 0, readings, bins };
 * const dynamics = parseDynamics(`${JSON.stringify(header)}\n${JSON.stringify(sample)}\n`, "dynamics.jsonl");
 * if (dynamics !== null) console.log(curvesByPlace(dynamics, "activation", "mean")); // [ { place: 'enc 8x8', nimg: [ 160 ], values: [ 1.5 ] } ]
 * ```
 */
export function curvesByPlace(
  { header, samples }: Dynamics,
  kind: ReadingKind,
  how: "mean" | "max",
  include: (layer: string) => boolean = () => true,
): PlaceCurve[] {
  const layers = new Map<string, number[]>();
  for (const [i, layer] of namesOf(header.names, kind).entries()) {
    const place = placeOfLayer(layer);
    if (place === null || !include(layer)) continue;
    layers.set(place, [...(layers.get(place) ?? []), i]);
  }
  const join = (sample: DynamicsSample, indices: readonly number[]): number => {
    const values = indices.map((i) => sample.readings[kind][i] ?? NaN);
    return how === "max" ? Math.max(...values) : values.reduce((sum, value) => sum + value, 0) / values.length;
  };
  return [...layers].map(([place, indices]) => ({
    place,
    nimg: samples.map(({ nimg }) => nimg),
    values: samples.map((sample) => join(sample, indices)),
  }));
}

/**
 * A layer's readings of a kind over all samples; those that weren't finite are NaN.
 * @example
 * ```ts
 * const names = { activations: ["enc.8x8_conv", "out_conv"], weights: [], weightShapes: [], gains: [], attention: [] };
 * const training = { network: { unet: { imageResolution: 8, imageChannels: 1, labelDim: 0 } }, batch: 16 };
 * const header = { format: "evenkeel-dynamics", version: 1, every: 10, training, names, sigmaEdges: [1] };
 * const none = Object.fromEntries(readingKinds.map((kind) => [kind, []]));
 * const readings = { ...none, activation: [1, 1.5], activationMax: [2, 2] };
 * const bins = { count: [1, 0], loss: [0.2, null], error: [0.2, null] };
 * const sample = { nimg: 160, learningRate: 0.01, gradientNorm: 1, nonFiniteGradients: 0, readings, bins };
 * const dynamics = parseDynamics(`${JSON.stringify(header)}\n${JSON.stringify(sample)}\n`, "dynamics.jsonl");
 * if (dynamics !== null) console.log(layerCurve(dynamics, "activation", "out_conv")); // [ 1.5 ]
 * ```
 */
export function layerCurve({ header, samples }: Dynamics, kind: ReadingKind, layer: string): number[] {
  const index = namesOf(header.names, kind).indexOf(layer);
  return samples.map(({ readings }) => readings[kind][index] ?? NaN);
}
