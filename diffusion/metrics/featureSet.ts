import { EvenkeelError, inTurns, type Shape } from "../../engine/index.ts";
import type { FeatureExtractor } from "./features.ts";
import { type FeatureStatistics, StatisticsAccumulator } from "./statistics.ts";

/** What decides whether vectors are comparable. */
export type FeatureSpace = Pick<FeatureExtractor, "name" | "distanceName" | "fingerprint" | "dimension">;

/** A set of pictures as metrics see it. */
export type FeatureSet = {
  readonly space: FeatureSpace;
  /** What the pictures are, human-readable: a path, a network. */
  readonly source: string;
  readonly statistics: FeatureStatistics;
  /** Vectors [kept, dimension] of the first pictures, which all metrics but the Fréchet distance need. */
  readonly features: Float32Array;
};

/** Gathers the features of pictures that come batch by batch. */
export class FeatureCollector {
  readonly #extractor: FeatureExtractor;
  readonly #accumulator: StatisticsAccumulator;
  readonly #features: Float32Array;
  readonly #kept: number;

  /** @param kept so many vectors are kept, from the first on. */
  constructor(extractor: FeatureExtractor, kept: number) {
    this.#extractor = extractor;
    this.#accumulator = new StatisticsAccumulator(extractor.dimension);
    this.#features = new Float32Array(kept * extractor.dimension);
    this.#kept = kept;
  }

  /** Pictures seen so far. */
  get count(): number {
    return this.#accumulator.count;
  }

  /** Takes images u8 [N, C, H, W]. @throws EvenkeelError `shape` for images that the extractor can't take. */
  async add(images: Uint8Array, shape: Shape): Promise<void> {
    const { dimension } = this.#extractor;
    const features = await this.#extractor.extract(images, shape);
    if (features.length !== (shape[0] ?? 0) * dimension) {
      throw new EvenkeelError(
        "shape",
        `features ${this.#extractor.name}: ${shape[0]} images gave ${features.length} numbers, not ${dimension} each.`,
      );
    }
    await this.addVectors(features);
  }

  /** Takes the features of pictures that have been extracted before, [N, dimension]. */
  async addVectors(features: Float32Array): Promise<void> {
    const { dimension } = this.#extractor;
    const room = Math.max(this.#kept - this.count, 0) * dimension;
    if (room > 0) this.#features.set(features.subarray(0, room), this.count * dimension);
    await inTurns(this.#accumulator.adding(features));
  }

  /** @throws EvenkeelError `value` for fewer than two pictures. */
  async finish(source: string): Promise<FeatureSet> {
    const { name, distanceName, fingerprint, dimension } = this.#extractor;
    const statistics = await inTurns(this.#accumulator.finishing());
    return {
      space: { name, distanceName, fingerprint, dimension },
      source,
      statistics,
      features: this.#features.subarray(0, Math.min(this.#kept, statistics.count) * dimension),
    };
  }
}

/**
 * Checks that a set can be compared with others of a space.
 * @throws EvenkeelError `value` if a set's features are others than the wanted ones.
 * @example
 * ```ts
 * import { EvenkeelError } from "evenkeel/engine";
 *
 * const collector = new FeatureCollector(pixelFeatures(1, 1), 0);
 * await collector.add(Uint8Array.of(0, 255), [2, 1, 1, 1]);
 * const set = await collector.finish("mine");
 * requireSameSpace(set, pixelFeatures(1, 1)); // they are comparable: nothing happens
 * try {
 *   requireSameSpace(set, pixelFeatures(3, 1));
 * } catch (error) {
 *   console.log(error instanceof EvenkeelError && error.code); // value
 * }
 * ```
 */
export function requireSameSpace({ space, source }: FeatureSet, wanted: FeatureSpace): void {
  if (space.name === wanted.name && space.fingerprint === wanted.fingerprint && space.dimension === wanted.dimension) {
    return;
  }
  const text = ({ name, fingerprint, dimension }: FeatureSpace): string =>
    `${name} (${dimension} numbers, fingerprint ${fingerprint})`;
  throw new EvenkeelError(
    "value",
    `${source} has statistics of the features ${text(space)}, which can't be compared with ${text(wanted)}. ` +
      "Make it anew by npx evenkeel metrics ref with the same --features.",
  );
}
