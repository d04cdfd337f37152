import type { Sharp } from "sharp";
import { EvenkeelError, messageOf } from "../../../engine/index.ts";
import { areaAverage, type PictureRows } from "../files/areaAverage.ts";
import { type Colour, flattened, isTransparent, type RawPicture, rowsOn } from "../files/background.ts";
import { PixelBudget } from "./pixelBudget.ts";
import { sharp } from "./sharp.ts";
import type { Transform } from "./transforms.ts";

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
 * So many pixels are in memory at once, of all pictures that are worked on; a larger picture is alone. A pixel takes 3 bytes, one of a
 * picture with transparency 4, beside what its decoder takes.
 */
const pixelBudget = new PixelBudget(2 ** 25);

/** What a picture became. */
export type SharpSquare = {
  /** [channels, resolution, resolution]. */
  readonly pixels: Uint8Array;
  /** Whether the background shows through the picture. */
  readonly isTransparent: boolean;
  /** Of the picture; an animation has several pages. */
  readonly width: number;
  readonly height: number;
  readonly pages: number;
  /** Whether it had 16 bits a channel, of which the lower ones are lost. */
  readonly isDeep: boolean;
};

/** Decoders get memory for whole rows before they look whether they are there. JPEG and WebP can't have longer ones anyway. */
const longestSide = 2 ** 17;

/**
 * Makes one picture square.
 * @throws EvenkeelError `file` that names the picture if it can't be read, `value` for a shape that the transform doesn't take.
 */
export async function makeSquare(
  picture: Sharp,
  name: string,
  options: SquareOptions,
  channels: 1 | 3,
): Promise<SharpSquare> {
  try {
    const { width, height, hasAlpha, pages = 1, depth } = await picture.metadata();
    if (depth !== "uchar" && depth !== "ushort") {
      const problem = `its channels are of type ${depth}, whose black and white nothing tells; save it with 8 bits a channel`;
      throw new EvenkeelError("file", `${name}: ${problem}.`);
    }
    if (Math.max(width, height) > longestSide) {
      const sizes = `${width} x ${height} pixels, expected at most ${longestSide} on a side; cut it into several`;
      throw new EvenkeelError("file", `${name}: it is ${sizes}.`);
    }
    return await pixelBudget.spend(width * height, async () => {
      // By the way the camera was held.
      const upright = picture.rotate().toColourspace("srgb");
      const image = await rawOf(hasAlpha ? upright.ensureAlpha() : upright.removeAlpha());
      // Before the picture's memory is written over.
      const showsBackground = isTransparent(image);
      const square = await squareOf(image, name, options);
      const sized = channels === 1 ? await rawOf(sharpOf(square).greyscale()) : square;
      const area = options.resolution ** 2;
      const pixels = Uint8Array.from({ length: channels * area }, (_, i) => {
        const channel = Math.floor(i / area);
        return sized.data[(i % area) * sized.channels + channel] ?? 0;
      });
      return { pixels, isTransparent: showsBackground, width, height, pages, isDeep: depth === "ushort" };
    });
  } catch (cause) {
    if (cause instanceof EvenkeelError) throw cause;
    throw new EvenkeelError("file", `${name}: can't be read as an image: ${messageOf(cause)}`, { cause });
  }
}

async function rawOf(image: Sharp): Promise<RawPicture> {
  const { data, info } = await image.raw({ depth: "uchar" }).toBuffer({ resolveWithObject: true });
  // The assertion: nothing else comes of sRGB and grey.
  return { data, width: info.width, height: info.height, channels: info.channels as RawPicture["channels"] };
}

function sharpOf({ data, width, height, channels }: RawPicture): Sharp {
  return sharp(data, { raw: { width, height, channels } });
}

async function squareOf(image: RawPicture, name: string, options: SquareOptions): Promise<RawPicture> {
  const { resolution, bandHeight = resolution } = options;
  const [r, g, b] = options.background;
  const background = { r, g, b };
  const onBackground = (): Sharp => sharpOf(flattened(image, options.background));
  const size = { width: resolution, height: resolution };
  switch (options.transform) {
    case "center-crop":
      return rawOf(onBackground().resize({ ...size, fit: "cover", position: "centre", kernel: "lanczos3" }));
    case "center-crop-wide": {
      const band = { width: resolution, height: bandHeight };
      const wide = onBackground().resize({ ...band, fit: "cover", position: "centre", kernel: "lanczos3" });
      return rawOf(sharpOf(await rawOf(wide)).resize({ ...size, fit: "contain", background: "#000000" }));
    }
    case "center-crop-dhariwal":
      return rawOf(cropByHalving(image, resolution, options.background));
    case "contain":
      return rawOf(onBackground().resize({ ...size, fit: "contain", background, kernel: "lanczos3" }));
    case "box":
      return boxAverage(rowsOn(image, options.background), name, resolution);
  }
}

function boxAverage(image: PictureRows, name: string, resolution: number): RawPicture {
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
function cropByHalving(image: RawPicture, resolution: number, background: Colour): Sharp {
  let current = image;
  while (Math.min(current.width, current.height) >= 2 * resolution) {
    const [width, height] = [Math.floor(current.width / 2), Math.floor(current.height / 2)];
    current = { data: areaAverage(rowsOn(current, background), width, height), width, height, channels: 3 };
  }
  current = flattened(current, background);
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
