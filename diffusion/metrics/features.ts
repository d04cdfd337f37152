import type { Device, Shape } from "../../engine/index.ts";

/**
 * Turns pictures into vectors, in whose space sets of pictures are compared. What it knows of pictures is what a metric sees, so its
 * name goes with every number.
 */
export interface FeatureExtractor {
  /** What asked for it: `pixels`, `nsfwjs-mobilenet`, `classifier`, ... */
  readonly name: string;
  /** What a Fréchet distance in its space is called. "FID" is for the published InceptionV3 alone. */
  readonly distanceName: string;
  /**
   * Whatever decides the features, in short: a digest of the weights, the size of the input. Statistics of two extractors are
   * comparable if their names and fingerprints are equal.
   */
  readonly fingerprint: string;
  /** Length of a vector. */
  readonly dimension: number;
  /** A human-readable sentence: the network, where its weights are from, which layer. */
  describe(): string;
  /**
   * Vectors [N, dimension] of images u8 [N, C, H, W], grey or colour; resizes them as the network needs. The vector of an image doesn't
   * depend on the others. Calls may not overlap.
   * @throws EvenkeelError `shape` for images that it can't take.
   */
  extract(images: Uint8Array, shape: Shape): Promise<Float32Array>;
  /** Frees what it holds on a device. Idempotent. */
  dispose(): void;
}

/** What extractors may need to be made. */
export type FeatureOptions = {
  /** Where networks run. */
  readonly device: Device;
  /** Told what takes long, such as the conversion of weights. */
  readonly print?: (line: string) => void;
};
