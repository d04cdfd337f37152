/** The law of magnitudes: unit variance in, unit variance out. */
import { EvenkeelError } from "../../engine/errors.ts";
import { at, formatShape, type Shape, sizeOf } from "../../engine/graph/shape.ts";
import type { Tensor } from "../../engine/graph/tensor.ts";
import { type DeviceChoice, evaluate, keyAt, randomKey, randomNormal, splitKey } from "../../engine/index.ts";

/** How a layer's magnitudes are measured. */
export type UnitVarianceOptions = {
  /** Independent samples: the size of the first axis of all inputs and of the result. At least 1,000; default 4,096. */
  readonly samples?: number;
  /** The same seed draws the same inputs. Default 1. */
  readonly seed?: number;
  /** The mean square that the result should have. Default 1. */
  readonly expected?: number;
  /** What the layer may be off by, beside what chance makes: of an epsilon in a norm, for one. Default 0. */
  readonly tolerance?: number;
  /** Where it is computed. Default `oracle`: in float64, and nothing stays behind. */
  readonly device?: DeviceChoice;
};

/** What was measured: the mean square of the result, and how far from what was expected it may be. */
export type UnitVarianceReport = { readonly meanSquare: number; readonly bound: number };

/** Standard errors that chance is allowed. */
const standardErrors = 6;

/**
 * Measures the mean square of what a layer makes of independent standard normal inputs. Only samples (the first axis) are taken as
 * independent: the mean square over the rest of each sample is one number, and the bound is six standard errors of their mean, measured
 * from the same numbers. A right layer fails by chance once in 30 million draws at most with 4,096 samples, if its results have no longer
 * tails than a normal (the squares of normals are skewed, for which Cramér's expansion of the studentised mean, in Jing, Shao and Wang
 * 2003, takes the share 1e-9 of six standard errors times 25). What it misses is a factor within some 6 sqrt(2 / samples) of 1.
 * @param layer of inputs `[samples, ...]`, gives `[samples, ...]`; weights are its own, and part of what is measured
 * @param shapes of one sample of each input
 * @throws Error with the measured mean square, its bound and the channel (the second axis) that is furthest off
 * @throws EvenkeelError `shape` if the result hasn't as many samples, `range` for too few
 * @example
 * ```ts
 * const { meanSquare, bound } = await unitVarianceLaw((x) => x.sum({ axes: [-1] }).divide(Math.sqrt(8)), [[8]]);
 * console.log(Math.abs(meanSquare - 1) <= bound); // true
 * ```
 */
export async function unitVarianceLaw(
  layer: (...inputs: Tensor[]) => Tensor,
  shapes: readonly Shape[],
  options: UnitVarianceOptions = {},
): Promise<UnitVarianceReport> {
  const { samples = 4096, seed = 1, expected = 1, tolerance = 0, device = "oracle" } = options;
  if (!Number.isInteger(samples) || samples < 1000) {
    throw new EvenkeelError("range", `unitVarianceLaw: ${samples} samples; expected a whole number of at least 1000.`);
  }
  const keys = splitKey(randomKey(seed), Math.max(1, shapes.length));
  const result = layer(...shapes.map((shape, i) => randomNormal(keyAt(keys, i), [samples, ...shape])));
  if (result.rank === 0 || result.shape[0] !== samples || result.size === 0) {
    throw new EvenkeelError(
      "shape",
      `unitVarianceLaw: the layer gives ${formatShape(result.shape)}; expected ${samples} samples along the first axis, none of them empty.`,
    );
  }
  const squares = Float64Array.from(await evaluate(result, device), (value) => value ** 2);
  const width = squares.length / samples;
  const perSample = Float64Array.from({ length: samples }, (_, i) =>
    mean(squares.subarray(i * width, (i + 1) * width)),
  );
  const meanSquare = mean(perSample);
  const spread = perSample.reduce((sum, value) => sum + (value - meanSquare) ** 2, 0) / (samples - 1);
  const bound = standardErrors * Math.sqrt(spread / samples) + tolerance;
  if (Math.abs(meanSquare - expected) <= bound) return { meanSquare, bound };
  throw new Error(
    `unitVarianceLaw: the mean square is ${meanSquare}, expected ${expected} within ${bound} (${samples} samples of seed ${seed})` +
      `${furthestChannel(squares, result.shape, expected)}.`,
  );
}

const mean = (values: Float64Array): number => values.reduce((sum, value) => sum + value, 0) / values.length;

/** The channel whose mean square is furthest from what is expected, in words; nothing where there is one channel. */
function furthestChannel(squares: Float64Array, shape: Shape, expected: number): string {
  const channels = shape[1] ?? 1;
  if (channels === 1) return "";
  const inner = sizeOf(shape.slice(2));
  const sums = new Float64Array(channels);
  for (const [i, value] of squares.entries()) {
    const channel = Math.floor(i / inner) % channels;
    sums[channel] = at(sums as ArrayLike<number> as readonly number[], channel) + value;
  }
  const means = sums.map((sum) => (sum * channels) / squares.length);
  const distances = means.map((value) => Math.abs(value - expected));
  // A channel that has a NaN is further off than any other.
  const lost = distances.findIndex(Number.isNaN);
  const furthest = lost < 0 ? distances.indexOf(Math.max(...distances)) : lost;
  return `; furthest off is channel ${furthest} of ${channels} with ${means[furthest]}`;
}
