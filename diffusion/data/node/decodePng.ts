import { convertIndexedToRgb, decode } from "fast-png";
import { EvenkeelError } from "../../../engine/index.ts";
import { messageOf } from "./imageSource.ts";
import { sanitizePng } from "./pngChunks.ts";

/** Pixels of a PNG, channel by channel: [channels, height, width]. */
export type DecodedImage = {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  readonly pixels: Uint8Array;
};

/**
 * Decodes a PNG of 8 bits a channel, one with a palette to colour.
 * @throws EvenkeelError `file` for damaged files, other depths and pictures that unpack to more than 256 MiB.
 */
export function decodePng(bytes: Uint8Array, name: string): DecodedImage {
  const fail = (problem: string, cause?: unknown): never => {
    throw new EvenkeelError("file", `${name} ${problem}.`, { cause });
  };
  let checked: ReturnType<typeof sanitizePng>;
  try {
    checked = sanitizePng(bytes);
  } catch (cause) {
    return fail(messageOf(cause), cause);
  }
  let interleaved: ArrayLike<number>;
  try {
    const image = decode(checked.png);
    interleaved = image.palette === undefined ? image.data : convertIndexedToRgb(image);
  } catch (cause) {
    return fail(`can't be read as a PNG: ${messageOf(cause)}`, cause);
  }
  const { width, height } = checked.header;
  const channels = interleaved.length / (width * height);
  if (!Number.isInteger(channels) || channels < 1 || channels > 4) fail("holds another number of pixels than it says");
  const pixels = new Uint8Array(interleaved.length);
  for (let i = 0; i < width * height; i++) {
    for (let channel = 0; channel < channels; channel++) {
      pixels[channel * width * height + i] = interleaved[i * channels + channel] ?? 0;
    }
  }
  return { channels, height, width, pixels };
}
