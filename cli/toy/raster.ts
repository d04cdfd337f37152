import { encode } from "fast-png";

/** A part of the plane, as wide as it is high. */
export type View = { readonly left: number; readonly bottom: number; readonly size: number };

type Colour = readonly [number, number, number];

/** Colours from light to dark. */
const ramps = {
  amber: [
    [255, 255, 255],
    [254, 232, 200],
    [253, 187, 110],
    [239, 120, 50],
    [176, 58, 20],
    [92, 22, 10],
  ],
  blue: [
    [255, 255, 255],
    [222, 235, 247],
    [158, 202, 225],
    [82, 148, 200],
    [28, 92, 160],
    [8, 40, 92],
  ],
  grey: [
    [255, 255, 255],
    [222, 222, 222],
    [190, 190, 190],
  ],
  /** Below the middle, the middle, above it. */
  diverging: [
    [33, 90, 160],
    [128, 178, 214],
    [255, 255, 255],
    [244, 165, 110],
    [178, 40, 30],
  ],
} as const satisfies Record<string, readonly Colour[]>;

export type RampName = keyof typeof ramps;

/** The middles of `pixels` x `pixels` squares of a view, row by row from the top: [pixels * pixels, 2]. */
export function pixelCentres({ left, bottom, size }: View, pixels: number): Float64Array {
  const centres = new Float64Array(2 * pixels * pixels);
  for (let row = 0, i = 0; row < pixels; row++) {
    for (let column = 0; column < pixels; column++) {
      centres[i++] = left + (size * (column + 0.5)) / pixels;
      centres[i++] = bottom + size * (1 - (row + 0.5) / pixels);
    }
  }
  return centres;
}

/** The colour of NaN: nothing is known there. */
const unknown: Colour = [236, 236, 234];

/** A square PNG of values from 0 to 1 in the colours of a ramp, as an address that a picture can hold. */
export function rasterAddress(values: Float64Array, ramp: RampName): string {
  const pixels = Math.sqrt(values.length);
  const data = new Uint8Array(3 * values.length);
  values.forEach((value, i) => data.set(colourOf(ramps[ramp], value), 3 * i));
  const bytes = encode({ width: pixels, height: pixels, channels: 3, data, depth: 8 });
  return `data:image/png;base64,${Buffer.from(bytes).toString("base64")}`;
}

function colourOf(ramp: readonly Colour[], value: number): readonly number[] {
  if (Number.isNaN(value)) return unknown;
  const place = Math.min(Math.max(value, 0), 1) * (ramp.length - 1);
  const from = Math.min(Math.floor(place), ramp.length - 2);
  const [low, high] = [ramp[from] ?? [0, 0, 0], ramp[from + 1] ?? [0, 0, 0]];
  return low.map((part, i) => Math.round(part + (place - from) * ((high[i] ?? 0) - part)));
}
