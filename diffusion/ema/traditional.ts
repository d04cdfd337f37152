/** The classic exponential average of weights, as EDM (Karras et al. 2022) uses it. */
import { EvenkeelError } from "../../engine/index.ts";

/** An exponential average: how long it remembers. */
export type TraditionalEma = {
  /** Images after which a set of weights has lost half of its share; 0 keeps nothing. */
  readonly halfLife: number;
  /**
   * Early in training the half-life is at most this multiple of the images seen, so that the random start is forgotten
   * soon; null for a constant half-life. EDM's loop uses 0.05.
   */
  readonly rampupRatio: number | null;
};

/**
 * How much of the average the update after a batch keeps: beta = 2^(-batch / half-life), with the half-life cut to
 * `rampupRatio * nimg`. `nimg` counts the images seen, `batch` those of this step.
 * @throws EvenkeelError `range` for negative or non-finite numbers, or a batch that is not > 0.
 * @example console.log(traditionalBeta({ halfLife: 1000, rampupRatio: null }, 100_000, 100)); // 0.93303
 */
export function traditionalBeta(ema: TraditionalEma, nimg: number, batch: number): number {
  return 2 ** -batchesPerHalfLife(ema, nimg, batch);
}

/**
 * 1 - beta to full relative precision; see {@link traditionalBeta}.
 * @example console.log(traditionalUpdateRate({ halfLife: 1000, rampupRatio: null }, 100_000, 100)); // 0.066967
 */
export function traditionalUpdateRate(ema: TraditionalEma, nimg: number, batch: number): number {
  return -Math.expm1(-Math.LN2 * batchesPerHalfLife(ema, nimg, batch));
}

/** The batch in half-lives. */
function batchesPerHalfLife({ halfLife, rampupRatio }: TraditionalEma, nimg: number, batch: number): number {
  const valid = [halfLife, rampupRatio ?? 0, nimg].every((value) => value >= 0 && value < Infinity);
  if (!valid || !(batch > 0 && batch < Infinity)) {
    throw new EvenkeelError(
      "range",
      `exponential average: half-life ${halfLife} images, ramp-up ratio ${rampupRatio ?? "none"}, ${nimg} images seen, ` +
        `batch ${batch}; wanted finite numbers >= 0 and a batch > 0.`,
    );
  }
  const current = rampupRatio === null ? halfLife : Math.min(halfLife, rampupRatio * nimg);
  return batch / current;
}
