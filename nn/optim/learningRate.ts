import { EvenkeelError } from "../../engine/index.ts";

/** The learning rate over a run. Karras et al. 2024, Eq. 67. */
export type LearningRateOptions = {
  /** Largest rate, alpha_ref. */
  readonly reference: number;
  /** Batches after which the rate falls as one over the square root; 0 = it doesn't fall. */
  readonly referenceBatches: number;
  /** Millions of images over which the rate rises from 0 in a line; 0 = it starts at once. */
  readonly rampUpMimg: number;
};

/**
 * The rate of a step: reference / sqrt(max(nimg / (referenceBatches * batch), 1)) * min(nimg / rampUp, 1). The first step of a
 * run with a ramp has rate 0.
 * @param nimg images seen before the step.
 * @param batch images a step.
 * @example
 * ```ts
 * const options = { reference: 0.01, referenceBatches: 100, rampUpMimg: 0.01 };
 * console.log([0, 5000, 10_000, 40_000].map((nimg) => learningRate(nimg, 100, options))); // [ 0, 0.005, 0.01, 0.005 ]
 * ```
 */
export function learningRate(nimg: number, batch: number, options: LearningRateOptions): number {
  const { reference, referenceBatches, rampUpMimg } = options;
  if (!(reference >= 0) || !(referenceBatches >= 0) || !(rampUpMimg >= 0) || !(batch > 0) || !(nimg >= 0)) {
    throw new EvenkeelError(
      "range",
      `learningRate: nimg ${nimg}, batch ${batch}, ${JSON.stringify(options)}: none may be negative, and batch not 0.`,
    );
  }
  const decay = referenceBatches > 0 ? Math.sqrt(Math.max(nimg / (referenceBatches * batch), 1)) : 1;
  const ramp = rampUpMimg > 0 ? Math.min(nimg / (rampUpMimg * 1e6), 1) : 1;
  return (reference / decay) * ramp;
}
