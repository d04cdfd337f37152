import type { Dynamics, DynamicsSample } from "./format.ts";
import { namesOf, type ReadingKind } from "./readings.ts";

/** Where in the network a layer is: `enc 16x16`; null for the embedding, the output and the loss head. */
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

/** A layer's readings of a kind over all samples; those that weren't finite are NaN. */
export function layerCurve({ header, samples }: Dynamics, kind: ReadingKind, layer: string): number[] {
  const index = namesOf(header.names, kind).indexOf(layer);
  return samples.map(({ readings }) => readings[kind][index] ?? NaN);
}
