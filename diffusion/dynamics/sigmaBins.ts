import type { NoiseDistribution } from "../network/index.ts";
import { infoNoiseEdges } from "../training/index.ts";

/** Means over the images whose noise level lies in a bin; null where there were none. */
export type BinMeans = {
  readonly count: readonly number[];
  readonly loss: readonly (number | null)[];
  readonly error: readonly (number | null)[];
  /** Mean rate of information (`informationRate`): what InfoNoise draws noise levels by. Files of older programs have none. */
  readonly rate?: readonly (number | null)[] | undefined;
};

/** What {@link SigmaBins} has gathered, as JSON data. */
export type BinSums = {
  readonly count: number[];
  readonly loss: number[];
  readonly error: number[];
  /** Checkpoints of older programs have none. */
  readonly rate?: number[] | undefined;
};

/** Octiles of the standard normal distribution: the probability below each is k / 8 within 1e-6. */
const octiles = [-1.150349, -0.67449, -0.318639, 0, 0.318639, 0.67449, 1.150349];

/**
 * Noise levels that cut training's distribution into eight equally likely parts; those between InfoNoise's own bins where it is learned, so
 * that what is drawn of a bin is always the same.
 */
export function sigmaEdges({ mean, standardDeviation, kind = "lognormal" }: NoiseDistribution): number[] {
  if (kind === "infonoise") return infoNoiseEdges.slice(1, -1);
  // Exponentials differ in their last digit from one JavaScript engine to the next, and a run may go from one to another.
  return octiles.map((z) => Number(Math.exp(mean + standardDeviation * z).toPrecision(12)));
}

/** The loss, the weighted error and the rate of information by noise level, gathered from step to step. */
export class SigmaBins {
  readonly #edges: readonly number[];
  readonly #count: number[];
  readonly #loss: number[];
  readonly #error: number[];
  /** Null: not known of all images in the count. */
  #rate: number[] | null;

  /** @param edges rising; there is one bin more, and a level equal to an edge is in the upper one. */
  constructor(edges: readonly number[], sums?: BinSums) {
    this.#edges = edges;
    const of = (values: readonly number[] | undefined): number[] =>
      Array.from({ length: edges.length + 1 }, (_, i) => values?.[i] ?? 0);
    this.#count = of(sums?.count);
    this.#loss = of(sums?.loss);
    this.#error = of(sums?.error);
    this.#rate = sums !== undefined && sums.rate === undefined ? null : of(sums?.rate);
  }

  /** What was gathered, as a checkpoint keeps it. */
  get sums(): BinSums {
    const rate = this.#rate === null ? {} : { rate: [...this.#rate] };
    return { count: [...this.#count], loss: [...this.#loss], error: [...this.#error], ...rate };
  }

  /** Adds images of a step: the noise level, loss, weighted error and rate of information of each. */
  add(sigmas: ArrayLike<number>, losses: ArrayLike<number>, errors: ArrayLike<number>, rates: ArrayLike<number>): void {
    for (let i = 0; i < sigmas.length; i++) {
      const sigma = sigmas[i] ?? NaN;
      let bin = 0;
      while (sigma >= (this.#edges[bin] ?? Infinity)) bin++;
      this.#count[bin] = (this.#count[bin] ?? 0) + 1;
      this.#loss[bin] = (this.#loss[bin] ?? 0) + (losses[i] ?? NaN);
      this.#error[bin] = (this.#error[bin] ?? 0) + (errors[i] ?? NaN);
      if (this.#rate !== null) this.#rate[bin] = (this.#rate[bin] ?? 0) + (rates[i] ?? NaN);
    }
  }

  /** The means, and begins anew. */
  take(): BinMeans {
    const { count, loss, error, rate } = this.sums;
    const means = (sums: readonly number[]): (number | null)[] =>
      sums.map((sum, i) => {
        const n = count[i] ?? 0;
        return n === 0 ? null : sum / n;
      });
    for (const sums of [this.#count, this.#loss, this.#error]) sums.fill(0);
    this.#rate = this.#count.map(() => 0);
    return { count, loss: means(loss), error: means(error), ...(rate === undefined ? {} : { rate: means(rate) }) };
  }
}
