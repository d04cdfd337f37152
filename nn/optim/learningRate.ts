import { EvenkeelError } from "../../engine/index.ts";
import {
  constantSchedule,
  cosineSchedule,
  type DecayOptions,
  linearSchedule,
  type Schedule,
  stableSchedule,
  usualFall,
} from "./schedules.ts";

/**
 * How a rate goes over a run, behind its ramp: as one over the square root (Karras et al. 2024), not at all, down half a cosine, down a
 * line, or level with a line down over the last fifth. The last three end at 0 and need to know when the run ends.
 */
export const rateSchedules = ["inverse-sqrt", "constant", "cosine", "linear", "warmup-stable-decay"] as const;

/** See `rateSchedules`. */
export type RateSchedule = (typeof rateSchedules)[number];

type EndingSchedule = Exclude<RateSchedule, "inverse-sqrt" | "constant">;

/**
 * Whether a schedule needs a run's end.
 * @example console.log(rateSchedules.filter(needsEnd)); // [ 'cosine', 'linear', 'warmup-stable-decay' ]
 */
export function needsEnd(schedule: RateSchedule): boolean {
  return schedule !== "inverse-sqrt" && schedule !== "constant";
}

/** The learning rate over a run, in images seen. Karras et al. 2024, Eq. 67, and others. */
export type LearningRateOptions = {
  /** Largest rate, alpha_ref. */
  readonly reference: number;
  /** Batches after which the rate falls as one over the square root; 0 = it doesn't fall. Other schedules don't look at it. */
  readonly referenceBatches: number;
  /** Millions of images over which the rate rises from 0 in a line; 0 = it starts at once. */
  readonly rampUpMimg: number;
  /** Default `inverse-sqrt`. */
  readonly schedule?: RateSchedule;
  /** Images of the whole run: where schedules that end have their end. */
  readonly duration?: number;
};

/**
 * The rate of a step: reference / sqrt(max(nimg / (referenceBatches * batch), 1)) * min(nimg / rampUp, 1), or by another schedule with the
 * same ramp. The first step of a run with a ramp has rate 0.
 * @param nimg images seen before the step.
 * @param batch images a step.
 * @example
 * ```ts
 * const options = { reference: 0.01, referenceBatches: 100, rampUpMimg: 0.01 };
 * console.log([0, 5000, 10_000, 40_000].map((nimg) => learningRate(nimg, 100, options))); // [ 0, 0.005, 0.01, 0.005 ]
 * const cosine = { ...options, schedule: "cosine", duration: 50_000 } as const;
 * console.log([0, 10_000, 30_000, 50_000].map((nimg) => learningRate(nimg, 100, cosine))); // [ 0, 0.01, 0.005, 0 ]
 * ```
 * @throws EvenkeelError `range` for negative numbers, and a ramp that is longer than a run whose end the schedule needs; `value` if it needs
 * one and there is none.
 */
export function learningRate(nimg: number, batch: number, options: LearningRateOptions): number {
  const { reference, referenceBatches, rampUpMimg, schedule = "inverse-sqrt", duration } = options;
  if (!(reference >= 0) || !(referenceBatches >= 0) || !(rampUpMimg >= 0) || !(batch > 0) || !(nimg >= 0)) {
    throw new EvenkeelError(
      "range",
      `learningRate: nimg ${nimg}, batch ${batch}, ${JSON.stringify(options)}: none may be negative, and batch not 0.`,
    );
  }
  const warmUp = rampUpMimg * 1e6;
  if (schedule === "constant") return constantSchedule(reference, warmUp)(nimg);
  if (schedule !== "inverse-sqrt") {
    if (duration === undefined) {
      throw new EvenkeelError(
        "value",
        `learningRate: the schedule ${schedule} ends with the run; give its duration in images, or take inverse-sqrt or constant.`,
      );
    }
    const level = schedule === "warmup-stable-decay" ? duration * (1 - usualFall) : duration;
    if (warmUp > level) {
      throw new EvenkeelError(
        "range",
        `learningRate: the rate rises over ${warmUp} images, and with the schedule ${schedule} of a run of ${duration} it has to be up ` +
          `after ${level}. Shorten the ramp (rampup), or take inverse-sqrt or constant.`,
      );
    }
    return endingSchedule(schedule, { peak: reference, steps: duration, warmUp })(nimg);
  }
  const decay = referenceBatches > 0 ? Math.sqrt(Math.max(nimg / (referenceBatches * batch), 1)) : 1;
  const ramp = rampUpMimg > 0 ? Math.min(nimg / (rampUpMimg * 1e6), 1) : 1;
  return (reference / decay) * ramp;
}

function endingSchedule(schedule: EndingSchedule, options: DecayOptions): Schedule {
  switch (schedule) {
    case "cosine":
      return cosineSchedule(options);
    case "linear":
      return linearSchedule(options);
    case "warmup-stable-decay":
      return stableSchedule(options);
  }
}
