import { convertIndexedToRgb, decode } from "fast-png";
import { EvenkeelError } from "../../../engine/index.ts";
import { messageOf } from "./imageSource.ts";

/** Pixels of a PNG, channel by channel: [channels, height, width]. */
export type DecodedImage = {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  readonly pixels: Uint8Array;
};

/** Larger pictures aren't decoded. */
const maximumPixels = 2 ** 26;

/**
 * Decodes a PNG of 8 bits a channel, indexed ones to colour.
 * @throws EvenkeelError `file` for damaged files, other depths and pictures of more than 64 million pixels.
 */
export function decodePng(bytes: Uint8Array, name: string): DecodedImage {
  const fail = (problem: string, cause?: unknown): never => {
    throw new EvenkeelError("file", `${name}: ${problem}`, { cause });
  };
  checkHeader(bytes, fail);
  let image: ReturnType<typeof decode>;
  let interleaved: ArrayLike<number>;
  try {
    image = decode(bytes, { checkCrc: true });
    interleaved = image.palette === undefined ? image.data : convertIndexedToRgb(image);
  } catch (cause) {
    return fail(`can't be read as a PNG: ${messageOf(cause)}`, cause);
  }
  const { width, height, depth } = image;
  if (image.palette === undefined && depth !== 8) fail(`has ${depth} bits a channel, expected 8`);
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

/** Refuses sizes that would cost memory before anything is unpacked. */
function checkHeader(bytes: Uint8Array, fail: (problem: string) => never): void {
  const signature = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
  if (bytes.length < 33 || signature.some((byte, i) => bytes[i] !== byte)) fail("is no PNG");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [width, height] = [view.getUint32(16), view.getUint32(20)];
  if (width === 0 || height === 0 || width * height > maximumPixels) fail(`claims a size of ${width}x${height}`);
}
