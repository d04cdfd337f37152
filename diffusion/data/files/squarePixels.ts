import { areaAverage, type PictureRows } from "./areaAverage.ts";
import { type Colour, type RawPicture, rowsOn } from "./background.ts";

/** How pictures of any shape become square where areas are averaged. */
export const squareTransforms = ["center-crop", "contain"] as const;

/** `center-crop` cuts the middle out; `contain` keeps everything, on the background. */
export type SquareTransform = (typeof squareTransforms)[number];

/** A picture's channels: grey, or colour. */
type Channels = 1 | 3;

/**
 * A picture on the background, as a square: each pixel is the mean of the area that it covers.
 * @returns [channels, resolution, resolution].
 */
export function squarePixels(
  picture: RawPicture,
  options: { readonly resolution: number; readonly transform: SquareTransform; readonly background: Colour },
  channels: Channels,
): Uint8Array {
  const { resolution, transform, background } = options;
  const rows = rowsOn(picture, background);
  switch (transform) {
    case "center-crop":
      return planesOf(areaAverage(middleOf(rows), resolution, resolution), rows.channels, channels);
    case "contain":
      return contained(rows, resolution, background, channels);
  }
}

/** The largest square in the middle of a picture. */
function middleOf({ width, height, channels, row }: PictureRows): PictureRows {
  const side = Math.min(width, height);
  const [left, top] = [Math.floor((width - side) / 2), Math.floor((height - side) / 2)];
  const rowOf = (y: number): Uint8Array | Float64Array =>
    row(top + y).subarray(left * channels, (left + side) * channels);
  return { width: side, height: side, channels, row: rowOf };
}

/** A whole picture in the middle of a square. @returns [channels, resolution, resolution]. */
function contained(rows: PictureRows, resolution: number, background: Colour, channels: Channels): Uint8Array {
  const scale = resolution / Math.max(rows.width, rows.height);
  const width = Math.max(1, Math.round(rows.width * scale));
  const height = Math.max(1, Math.round(rows.height * scale));
  const picture = planesOf(areaAverage(rows, width, height), rows.channels, channels);
  const around = planesOf(Uint8Array.from(background), 3, channels);
  const [left, top] = [Math.floor((resolution - width) / 2), Math.floor((resolution - height) / 2)];
  const square = new Uint8Array(channels * resolution ** 2);
  for (let channel = 0; channel < channels; channel++) {
    const plane = square.subarray(channel * resolution ** 2, (channel + 1) * resolution ** 2);
    plane.fill(around[channel] ?? 0);
    for (let y = 0; y < height; y++) {
      const from = (channel * height + y) * width;
      plane.set(picture.subarray(from, from + width), (top + y) * resolution + left);
    }
  }
  return square;
}

/** Planes of pixels whose channels lie together. */
function planesOf(pixels: Uint8Array, from: Channels, to: Channels): Uint8Array {
  const area = pixels.length / from;
  const planes = new Uint8Array(to * area);
  for (let i = 0; i < area; i++) {
    const [red = 0, green = red, blue = red] = pixels.subarray(i * from, (i + 1) * from);
    if (to === 1) planes[i] = from === 1 ? red : luminance(red, green, blue);
    else {
      planes[i] = red;
      planes[area + i] = green;
      planes[2 * area + i] = blue;
    }
  }
  return planes;
}

/** The grey of sRGB that is as bright as a colour: luminances add up as light does (Rec. 709). */
function luminance(red: number, green: number, blue: number): number {
  const light = 0.2126 * toLight(red) + 0.7152 * toLight(green) + 0.0722 * toLight(blue);
  const value = light <= 0.0031308 ? 12.92 * light : 1.055 * light ** (1 / 2.4) - 0.055;
  return Math.round(255 * value);
}

function toLight(byte: number): number {
  const value = byte / 255;
  return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
}
