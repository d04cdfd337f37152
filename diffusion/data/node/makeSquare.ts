import type { Sharp } from "sharp";
import { EvenkeelError } from "../../../engine/index.ts";
import { areaAverage, type RawImage } from "./areaAverage.ts";
import { messageOf } from "./imageSource.ts";
import { sharp } from "./sharp.ts";

/** How pictures of any shape become square. */
export const transforms = ["center-crop", "center-crop-wide", "center-crop-dhariwal", "contain", "box"] as const;

/**
 * `center-crop` cuts the middle out in one step (Lanczos); `center-crop-dhariwal` by halving and then bicubic, as ImageNet's reference
 * statistics were made; `center-crop-wide` cuts out a band wider than high and fills it up with black. `contain` keeps everything, on
 * the background. `box` averages areas of square pictures.
 */
export type Transform = (typeof transforms)[number];

/** Red, green and blue, 0 to 255. */
export type Colour = readonly [red: number, green: number, blue: number];

export type SquareOptions = {
  /** Width and height of the result. */
  readonly resolution: number;
  readonly transform: Transform;
  /** Height of the band of `center-crop-wide`; for the others none. */
  readonly bandHeight?: number | undefined;
  readonly background: Colour;
};

/** A colour of a name or like `#ffffff`. @throws EvenkeelError `value` for other texts. */
export async function parseColour(text: string): Promise<Colour> {
  try {
    const create = { width: 1, height: 1, channels: 3, background: text } as const;
    const [red = 0, green = 0, blue = 0] = await sharp({ create }).raw().toBuffer();
    return [red, green, blue];
  } catch (cause) {
    throw new EvenkeelError("value", `${JSON.stringify(text)} is no colour; write one like #ffffff or white.`, {
      cause,
    });
  }
}

/**
 * One picture as [channels, resolution, resolution].
 * @throws EvenkeelError `file` that names the picture if it can't be read, `value` for a shape that the transform doesn't take.
 */
export async function makeSquare(
  picture: Sharp,
  name: string,
  options: SquareOptions,
  channels: 1 | 3,
): Promise<Uint8Array> {
  try {
    // By the way the camera was held.
    const rgba = await rawOf(picture.rotate().ensureAlpha().toColourspace("srgb"));
    const square = await squareOf(rgba, name, options);
    const sized = channels === 1 ? await rawOf(sharpOf(square).greyscale()) : square;
    const area = options.resolution ** 2;
    return Uint8Array.from({ length: channels * area }, (_, i) => {
      const channel = Math.floor(i / area);
      return sized.data[(i % area) * sized.channels + channel] ?? 0;
    });
  } catch (cause) {
    if (cause instanceof EvenkeelError) throw cause;
    throw new EvenkeelError("file", `${name}: can't be read as an image: ${messageOf(cause)}`, { cause });
  }
}

async function rawOf(image: Sharp): Promise<RawImage> {
  const { data, info } = await image.raw({ depth: "uchar" }).toBuffer({ resolveWithObject: true });
  return { data, width: info.width, height: info.height, channels: info.channels };
}

function sharpOf({ data, width, height, channels }: RawImage): Sharp {
  const bytes = data instanceof Uint8Array ? data : Uint8Array.from(data, Math.round);
  return sharp(bytes, { raw: { width, height, channels: channels as 1 | 3 | 4 } });
}

/** RGBA pixels on a colour, not yet rounded. */
function flatten(rgba: RawImage, background: Colour): RawImage {
  const data = new Float64Array(rgba.width * rgba.height * 3);
  for (let i = 0; i < rgba.width * rgba.height; i++) {
    const opacity = (rgba.data[i * 4 + 3] ?? 0) / 255;
    background.forEach((behind, channel) => {
      data[i * 3 + channel] = (rgba.data[i * 4 + channel] ?? 0) * opacity + behind * (1 - opacity);
    });
  }
  return { data, width: rgba.width, height: rgba.height, channels: 3 };
}

async function squareOf(rgba: RawImage, name: string, options: SquareOptions): Promise<RawImage> {
  const { resolution, bandHeight = resolution } = options;
  const [r, g, b] = options.background;
  const background = { r, g, b };
  const opaque = flatten(rgba, options.background);
  const size = { width: resolution, height: resolution };
  switch (options.transform) {
    case "center-crop":
      return rawOf(sharpOf(opaque).resize({ ...size, fit: "cover", position: "centre", kernel: "lanczos3" }));
    case "center-crop-wide": {
      const band = { width: resolution, height: bandHeight };
      const wide = sharpOf(opaque).resize({ ...band, fit: "cover", position: "centre", kernel: "lanczos3" });
      return rawOf(sharpOf(await rawOf(wide)).resize({ ...size, fit: "contain", background: "#000000" }));
    }
    case "center-crop-dhariwal":
      return rawOf(cropByHalving(opaque, resolution));
    case "contain":
      return rawOf(sharpOf(opaque).resize({ ...size, fit: "contain", background, kernel: "lanczos3" }));
    case "box":
      return boxAverage(opaque, name, resolution);
  }
}

function boxAverage(image: RawImage, name: string, resolution: number): RawImage {
  const { width, height, channels } = image;
  if (width !== height || width < resolution) {
    throw new EvenkeelError(
      "value",
      `${name}: ${width}x${height} can't be averaged to ${resolution}x${resolution}; use another --transform.`,
    );
  }
  return { data: areaAverage(image, resolution, resolution), width: resolution, height: resolution, channels };
}

/** Halves while the short side is at least twice the target, then bicubic to the target, then the middle. */
function cropByHalving(image: RawImage, resolution: number): Sharp {
  let current = image;
  while (Math.min(current.width, current.height) >= 2 * resolution) {
    const [width, height] = [Math.floor(current.width / 2), Math.floor(current.height / 2)];
    current = { ...current, data: areaAverage(current, width, height), width, height };
  }
  const scale = resolution / Math.min(current.width, current.height);
  const [width, height] = [Math.round(current.width * scale), Math.round(current.height * scale)];
  return sharpOf(current)
    .resize({ width, height, kernel: "cubic", fit: "fill" })
    .extract({
      left: Math.floor((width - resolution) / 2),
      top: Math.floor((height - resolution) / 2),
      width: resolution,
      height: resolution,
    });
}
