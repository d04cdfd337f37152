/** Whether points were drawn from a known mixture: distances to true draws against what true draws have among themselves. */
import { atOnce, EvenkeelError, inTurns } from "../../engine/index.ts";
import { drawPoints } from "./draw.ts";
import { type Mixture, mixtureDensity } from "./mixture.ts";
import type { RandomState } from "./randomState.ts";

/** Directions in which clouds of points are looked at, evenly spread over half a turn. */
const directions = 64;

/**
 * The sliced Wasserstein distance W2 of two equally large sets of points [N, 2]: the root of the mean over directions of the mean
 * squared distance between points of equal rank.
 * @throws EvenkeelError `shape` for sets of different sizes.
 * @example console.log(slicedWasserstein(Float64Array.of(0, 0, 1, 1), Float64Array.of(0, 0, 1, 1))); // 0
 */
export function slicedWasserstein(a: Float64Array, b: Float64Array): number {
  return atOnce(measuringDistance(a, b));
}

/** The same with a pause after each direction. */
function* measuringDistance(a: Float64Array, b: Float64Array): Generator<void, number> {
  if (a.length !== b.length || a.length === 0) {
    throw new EvenkeelError(
      "shape",
      `slicedWasserstein: ${a.length / 2} and ${b.length / 2} points; expected equally many, and some.`,
    );
  }
  let sum = 0;
  for (let i = 0; i < directions; i++) {
    const angle = (Math.PI * i) / directions;
    const [p, q] = [projections(a, angle), projections(b, angle)];
    for (let j = 0; j < p.length; j++) sum += ((p[j] ?? NaN) - (q[j] ?? NaN)) ** 2;
    yield;
  }
  return Math.sqrt(sum / (directions * (a.length / 2)));
}

function projections(points: Float64Array, angle: number): Float64Array {
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const length = points.length / 2;
  return Float64Array.from({ length }, (_, i) => cos * (points[2 * i] ?? 0) + sin * (points[2 * i + 1] ?? 0)).sort();
}

/** A measured number beside what true draws of the same size give. */
export type NoiseComparison = {
  readonly value: number;
  /** Mean and standard deviation over pairs of true draws. */
  readonly noiseMean: number;
  readonly noiseStd: number;
  /** (value - noiseMean) / noiseStd: beyond 3 is more than chance. */
  readonly deviations: number;
};

/** How near samples are to the true distribution. */
export type DistributionReport = {
  readonly samples: number;
  readonly repeats: number;
  /** Sliced Wasserstein distance to true draws. */
  readonly slicedWasserstein: NoiseComparison;
  /** Mean of the exact log density at the samples, in nats: low for outliers, high if the edges are missing. */
  readonly logDensity: NoiseComparison;
};

/** The mixture is looked at through this much noise, so that a point between two branches counts as one. */
const densitySigma = 0.002;

/**
 * Compares samples [N, 2] with a mixture by two numbers. Each is repeated for `repeats` true draws of N points: the distance of the
 * samples is the mean over these, and the noise is that of true draws among themselves.
 * @throws EvenkeelError `value` for fewer than 3 repeats.
 * @example
 * ```ts
 * const [mixture, random] = [growToyMixture("A"), new RandomState(0)];
 * const same = await compareDistribution(mixture, drawPoints(mixture, 100, random), 4, random);
 * const other = await compareDistribution(mixture, drawPoints(growToyMixture("B"), 100, random), 4, random);
 * console.log(same.slicedWasserstein.deviations < 3, other.slicedWasserstein.deviations > 3); // true true
 * ```
 */
export async function compareDistribution(
  mixture: Mixture,
  samples: Float64Array,
  repeats: number,
  random: RandomState,
): Promise<DistributionReport> {
  if (!Number.isInteger(repeats) || repeats < 3) {
    throw new EvenkeelError("value", `compareDistribution: repeats is ${repeats}, expected a whole number from 3 on.`);
  }
  const count = samples.length / 2;
  const truths = Array.from({ length: repeats }, () => drawPoints(mixture, count, random));
  // How far each true draw is from all others on average: the same statistic as that of the samples.
  const meanDistance = async (own: Float64Array): Promise<number> => {
    const distances: number[] = [];
    for (const other of truths) if (other !== own) distances.push(await inTurns(measuringDistance(own, other)));
    return meanOf(distances);
  };
  const toOthers: number[] = [];
  for (const own of truths) toOthers.push(await meanDistance(own));
  const distance = await meanDistance(samples);
  const densities: number[] = [];
  for (const truth of truths) densities.push(await inTurns(findingLogDensity(mixture, truth)));
  return {
    samples: count,
    repeats,
    slicedWasserstein: against(distance, toOthers),
    logDensity: against(await inTurns(findingLogDensity(mixture, samples)), densities),
  };
}

function* findingLogDensity(mixture: Mixture, points: Float64Array): Generator<void, number> {
  let sum = 0;
  for (let i = 0; i < points.length; i += 2) {
    sum += mixtureDensity(mixture, points[i] ?? NaN, points[i + 1] ?? NaN, densitySigma).logDensity;
    yield;
  }
  return sum / (points.length / 2);
}

function against(value: number, noise: readonly number[]): NoiseComparison {
  const noiseMean = meanOf(noise);
  const squares = noise.reduce((sum, other) => sum + (other - noiseMean) ** 2, 0);
  const noiseStd = Math.sqrt(squares / (noise.length - 1));
  return { value, noiseMean, noiseStd, deviations: (value - noiseMean) / noiseStd };
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
