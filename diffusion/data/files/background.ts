import type { PictureRows } from "./areaAverage.ts";

/** Red, green and blue, 0 to 255. */
export type Colour = readonly [red: number, green: number, blue: number];

/** A picture's pixels row by row, the channels of a pixel together: grey, colour, or colour and opacity. */
export type RawPicture = {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3 | 4;
};

/** Whether what is behind a picture shows through it. */
export function isTransparent({ data, channels }: RawPicture): boolean {
  if (channels !== 4) return false;
  for (let i = 3; i < data.length; i += 4) if (data[i] !== 255) return true;
  return false;
}

/** The rows of a picture on a colour, not rounded. */
export function rowsOn(picture: RawPicture, background: Colour): PictureRows {
  const { data, width, height, channels } = picture;
  const rowOf = (y: number): Uint8Array => data.subarray(y * width * channels, (y + 1) * width * channels);
  if (channels !== 4) return { width, height, channels, row: rowOf };
  const flat = new Float64Array(width * 3);
  return {
    width,
    height,
    channels: 3,
    row: (y) => {
      flatten(rowOf(y), flat, background);
      return flat;
    },
  };
}

/** A picture on a colour, in the memory of the picture. */
export function flattened(picture: RawPicture, background: Colour): RawPicture {
  const { data, width, height, channels } = picture;
  if (channels !== 4) return picture;
  flatten(data, data, background);
  return { data: data.subarray(0, width * height * 3), width, height, channels: 3 };
}

/** Lays pixels of four channels on a colour. @param onto may be the same memory: a pixel is written where earlier ones were read. */
function flatten(rgba: Uint8Array, onto: Float64Array | Uint8Array, background: Colour): void {
  const round = onto instanceof Uint8Array ? Math.round : (value: number): number => value;
  const [red, green, blue] = background;
  for (let from = 0, to = 0; from < rgba.length; from += 4, to += 3) {
    const opacity = (rgba[from + 3] ?? 0) / 255;
    const [r, g, b] = [rgba[from] ?? 0, rgba[from + 1] ?? 0, rgba[from + 2] ?? 0];
    onto[to] = round(r * opacity + red * (1 - opacity));
    onto[to + 1] = round(g * opacity + green * (1 - opacity));
    onto[to + 2] = round(b * opacity + blue * (1 - opacity));
  }
}
