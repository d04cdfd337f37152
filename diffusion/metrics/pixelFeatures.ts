import { EvenkeelError } from "../../engine/index.ts";
import { imageExtents } from "./imageExtents.ts";
import type { FeatureExtractor } from "./features.ts";

/** Longest vectors of pixels: covariances grow with the square, and the time of their eigenvalues with the cube. */
const maximumPixels = 4096;

/**
 * The pixels themselves, in -1..1. No knowledge of pictures at all: for tests and for images of a few pixels.
 * @throws EvenkeelError `value` for images of more than 4096 values.
 * @example
 * ```ts
 * const extractor = pixelFeatures(1, 1);
 * console.log(await extractor.extract(Uint8Array.of(0, 255), [2, 1, 1, 1])); // Float32Array(2) [ -1, 1 ]
 * ```
 */
export function pixelFeatures(channels: number, resolution: number): FeatureExtractor {
  const dimension = channels * resolution ** 2;
  const size = `${channels}x${resolution}x${resolution}`;
  if (dimension > maximumPixels) {
    throw new EvenkeelError(
      "value",
      `features pixels: images of ${size} have ${dimension} values, more than ${maximumPixels}. Use a network's features.`,
    );
  }
  return {
    name: "pixels",
    distanceName: "FD-pixels",
    fingerprint: size,
    dimension,
    describe: () => `the pixels of images of ${size}, from -1 to 1`,
    extract: async (images, shape) => {
      imageExtents("pixels", images, shape);
      if (shape.slice(1).join("x") !== size) {
        throw new EvenkeelError("shape", `features pixels: images are ${shape.slice(1).join("x")}, expected ${size}.`);
      }
      return Float32Array.from(images, (value) => value / 127.5 - 1);
    },
    dispose: () => undefined,
  };
}
