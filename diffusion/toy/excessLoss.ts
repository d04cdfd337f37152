import { EvenkeelError, eventLoopTurn } from "../../engine/index.ts";
import { addNoise, drawPoints } from "./draw.ts";
import { type Mixture, mixtureDensity } from "./mixture.ts";
import type { PointScorer } from "./pointScores.ts";
import type { RandomState } from "./randomState.ts";

/** How much worse than the ideal denoiser D* a denoiser D is, within one bin of noise levels. y is the clean point. */
export type ExcessLoss = {
  /** The bin's ends. */
  readonly sigmaFrom: number;
  readonly sigmaTo: number;
  /** E |D* - y|^2: what not even the ideal denoiser can know. Mean over the bin. */
  readonly idealLoss: number;
  /** E |D - D*|^2, which is E |D - y|^2 - E |D* - y|^2. Mean over the bin. */
  readonly excessLoss: number;
  /** Excess over ideal loss of each noise level, averaged over the bin: 0.01 is 1 % worse than ideal. */
  readonly ratio: number;
  /** Of the ratio: how far another draw of points moves it. */
  readonly standardError: number;
};

/** Where and by how many points an excess loss is measured. */
export type ExcessLossOptions = {
  /** Lowest and highest noise level. */
  readonly sigmaMin: number;
  readonly sigmaMax: number;
  /** Equal parts of ln(sigma). */
  readonly bins: number;
  /** Noisy points drawn in each bin. */
  readonly points: number;
};

/** Noise levels in a bin: the middles of equal parts of it. */
const levelsPerBin = 8;

/**
 * The excess loss of a denoiser over the ideal one. Both errors of a noisy point are exact given the point (the posterior of a
 * mixture is known), so that only where the points lie is left to chance; `standardError` says how much that is.
 * @throws EvenkeelError `value` for options out of range.
 * @example
 * ```ts
 * const [mixture, random] = [growToyMixture("A"), new RandomState(0)];
 * const options = { sigmaMin: 0.1, sigmaMax: 1, bins: 1, points: 16 };
 * const [ideal] = await excessLoss(mixture, exactScorer(mixture), options, random);
 * const [other] = await excessLoss(mixture, exactScorer(growToyMixture("B")), options, random);
 * console.log(ideal?.ratio, (other?.ratio ?? 0) > 1); // 0 true
 * ```
 */
export async function excessLoss(
  mixture: Mixture,
  scores: PointScorer,
  options: ExcessLossOptions,
  random: RandomState,
): Promise<ExcessLoss[]> {
  const { sigmaMin, sigmaMax, bins, points } = options;
  if (!(sigmaMin > 0 && sigmaMin < sigmaMax && sigmaMax < Infinity)) {
    throw new EvenkeelError("value", `excessLoss: noise levels ${sigmaMin} to ${sigmaMax}; expected 0 < low < high.`);
  }
  if (!Number.isInteger(bins) || bins < 1) {
    throw new EvenkeelError("value", `excessLoss: bins is ${bins}, expected a whole number of at least 1.`);
  }
  const perLevel = Math.floor(points / levelsPerBin);
  if (!(perLevel >= 2)) {
    throw new EvenkeelError(
      "value",
      `excessLoss: points is ${points}, expected at least ${2 * levelsPerBin} in a bin.`,
    );
  }
  const at = (part: number): number => sigmaMin * (sigmaMax / sigmaMin) ** part;
  const found: ExcessLoss[] = [];
  for (let bin = 0; bin < bins; bin++) {
    const levels: LevelLoss[] = [];
    for (let i = 0; i < levelsPerBin; i++) {
      const sigma = at((bin + (i + 0.5) / levelsPerBin) / bins);
      levels.push(await lossAt(mixture, scores, sigma, perLevel, random));
    }
    const average = (of: (level: LevelLoss) => number): number =>
      levels.reduce((sum, level) => sum + of(level), 0) / levelsPerBin;
    found.push({
      sigmaFrom: at(bin / bins),
      sigmaTo: at((bin + 1) / bins),
      idealLoss: average(({ ideal }) => ideal),
      excessLoss: average(({ excess }) => excess),
      ratio: average(({ ideal, excess }) => excess / ideal),
      standardError: Math.sqrt(average(({ variance }) => variance) / levelsPerBin),
    });
  }
  return found;
}

type LevelLoss = {
  readonly ideal: number;
  readonly excess: number;
  /** Of excess / ideal. */
  readonly variance: number;
};

async function lossAt(
  mixture: Mixture,
  scores: PointScorer,
  sigma: number,
  count: number,
  random: RandomState,
): Promise<LevelLoss> {
  const noisy = addNoise(drawPoints(mixture, count, random), () => sigma, random);
  const { score } = await scores(noisy, sigma);
  const [ideals, excesses] = [new Float64Array(count), new Float64Array(count)];
  for (let i = 0; i < count; i++) {
    const exact = mixtureDensity(mixture, noisy[2 * i] ?? NaN, noisy[2 * i + 1] ?? NaN, sigma);
    const [dx, dy] = [(score[2 * i] ?? NaN) - exact.score[0], (score[2 * i + 1] ?? NaN) - exact.score[1]];
    ideals[i] = exact.posteriorVariance;
    excesses[i] = sigma ** 4 * (dx * dx + dy * dy);
    await eventLoopTurn();
  }
  const mean = (values: Float64Array): number => values.reduce((sum, value) => sum + value, 0) / count;
  const [ideal, excess] = [mean(ideals), mean(excesses)];
  // The ratio of two means, to first order in their errors.
  const residuals = excesses.map((value, i) => value - (excess / ideal) * (ideals[i] ?? NaN));
  const squares = residuals.reduce((sum, value) => sum + value * value, 0);
  return { ideal, excess, variance: squares / (count * (count - 1)) / ideal ** 2 };
}
