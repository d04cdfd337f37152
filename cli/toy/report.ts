import {
  compareDistribution,
  type DistributionReport,
  exactScorer,
  excessLoss,
  type ExcessLoss,
  growToyMixture,
  type NoiseComparison,
  RandomState,
  sampleToy,
  toySampling,
} from "../../diffusion/toy/index.ts";
import type { NamedScorer } from "./scorers.ts";

export type ReportOptions = {
  readonly bins: number;
  /** Points in each bin. */
  readonly points: number;
  /** Size of the sets whose distributions are compared. */
  readonly samples: number;
  /** True draws of that size. */
  readonly repeats: number;
  /** Steps of the sampler. */
  readonly steps: number;
  readonly seed: number;
};

/** What is known of a model by comparison with the truth. */
export type ToyReport = {
  readonly net: { readonly name: string; readonly cls: string };
  readonly excessLoss: readonly ExcessLoss[];
  /** The largest ratio of all bins, and whether it is below 1 %. */
  readonly worstRatio: number;
  readonly isBelowOnePercent: boolean;
  /** The model's samples, and what the sampler itself makes of the exact score: its own error. */
  readonly samples: DistributionReport;
  readonly samplerWithExactScore: DistributionReport;
  /** Whether the model's numbers are within 3 standard deviations of true draws. The second finds single outliers, the first doesn't. */
  readonly isWithinNoise: { readonly slicedWasserstein: boolean; readonly logDensity: boolean };
};

/** Standard deviations of the noise within which a number counts as equal to the truth's. */
const allowedDeviations = 3;

export async function reportToy(net: NamedScorer, options: ReportOptions): Promise<ToyReport> {
  const mixture = growToyMixture(net.cls);
  const { seed, samples, repeats, steps } = options;
  const { sigmaMin, sigmaMax } = toySampling;
  const losses = await excessLoss(
    mixture,
    net.scores,
    { sigmaMin, sigmaMax, bins: options.bins, points: options.points },
    new RandomState(seed),
  );
  const compare = async (scores: NamedScorer["scores"]): Promise<DistributionReport> => {
    const drawn = await sampleToy(scores, samples, new RandomState(seed + 1), { steps, start: mixture });
    return compareDistribution(mixture, drawn, repeats, new RandomState(seed + 2));
  };
  const ours = await compare(net.scores);
  const worstRatio = Math.max(...losses.map(({ ratio }) => ratio));
  return {
    net: { name: net.name, cls: net.cls },
    excessLoss: losses,
    worstRatio,
    isBelowOnePercent: worstRatio < 0.01,
    samples: ours,
    samplerWithExactScore: net.trained === undefined ? ours : await compare(exactScorer(mixture)),
    isWithinNoise: { slicedWasserstein: isWithin(ours.slicedWasserstein), logDensity: isWithin(ours.logDensity) },
  };
}

function isWithin({ deviations }: NoiseComparison): boolean {
  return Math.abs(deviations) <= allowedDeviations;
}

/** The report in words and columns. */
export function describeReport({ net, excessLoss: losses, worstRatio, ...rest }: ToyReport): string {
  const rows = losses.map(
    ({ sigmaFrom, sigmaTo, idealLoss, excessLoss: excess, ratio, standardError }) =>
      `  ${sigmaFrom.toFixed(4).padStart(7)} ${sigmaTo.toFixed(4).padStart(7)} ${idealLoss.toExponential(3).padStart(11)} ` +
      `${excess.toExponential(3).padStart(11)} ${percent(ratio).padStart(9)} +- ${percent(standardError)}`,
  );
  const distribution = ({ slicedWasserstein: distance, logDensity: density }: DistributionReport): string =>
    `    sliced Wasserstein distance ${told(distance)}\n    mean log density            ${told(density)}`;
  return [
    `${net.name}, class ${net.cls}`,
    "",
    "Excess loss over the ideal denoiser, E |D - D*|^2 beside E |D* - y|^2:",
    "    sigma      to       ideal      excess     ratio",
    ...rows,
    `  worst ${percent(worstRatio)}: ${rest.isBelowOnePercent ? "below" : "not below"} 1 % at every bin`,
    "",
    `${rest.samples.samples} samples beside true draws of the same size (mean and deviation of ${rest.samples.repeats}):`,
    "  the model's",
    distribution(rest.samples),
    "  the same sampler with the exact score",
    distribution(rest.samplerWithExactScore),
    `  the model's samples are ${rest.isWithinNoise.slicedWasserstein ? "within" : "not within"} ${allowedDeviations} ` +
      `deviations of true draws by their distance, ${rest.isWithinNoise.logDensity ? "within" : "not within"} by their density`,
  ].join("\n");
}

function percent(ratio: number): string {
  return `${(100 * ratio).toPrecision(3)} %`;
}

function told({ value, noiseMean, noiseStd, deviations }: NoiseComparison): string {
  const sign = deviations < 0 ? "-" : "+";
  return (
    `${value.toFixed(4)}; true draws ${noiseMean.toFixed(4)} +- ${noiseStd.toFixed(4)} ` +
    `(${sign}${Math.abs(deviations).toFixed(1)} deviations)`
  );
}
