import {
  add,
  cast,
  clamp,
  cos,
  divide,
  EvenkeelError,
  less,
  multiply,
  scalar,
  subtract,
  type Tensor,
  where,
} from "../../engine/index.ts";

/**
 * A rate as a function of the step, counted from 0: of a number on the host, or in the graph of a scalar tensor of any numeric dtype
 * (a counter in the state), up to float32's rounding.
 */
export type Schedule = { (step: number): number; (step: Tensor): Tensor };

/** From where the one before ends until a step, from one rate to another. */
type Piece = { readonly until: number; readonly from: number; readonly to: number; readonly curve: "line" | "cosine" };

/** Before the first piece its first rate, behind the last `last`. Pieces without a step in them are left out. */
function pieces(given: readonly Piece[], last: number): Schedule {
  const begun: (Piece & { readonly begin: number })[] = [];
  let begin = 0;
  for (const piece of given) {
    if (piece.until <= begin) continue;
    begun.push({ ...piece, begin });
    begin = piece.until;
  }
  const onHost = (step: number): number => {
    const piece = begun.find(({ until }) => step < until);
    if (piece === undefined) return last;
    const { from, to, until, curve } = piece;
    const share = Math.max(0, step - piece.begin) / (until - piece.begin);
    return curve === "line" ? from + (to - from) * share : to + ((from - to) * (1 + Math.cos(Math.PI * share))) / 2;
  };
  const inGraph = (step: Tensor): Tensor => {
    const counted = cast(step, "f32");
    return begun.reduceRight<Tensor>((after, piece) => {
      const { from, to, until, curve } = piece;
      const share = clamp(divide(subtract(counted, piece.begin), until - piece.begin), 0, 1);
      const rate =
        curve === "line"
          ? add(multiply(share, to - from), from)
          : add(multiply(add(cos(multiply(share, Math.PI)), 1), (from - to) / 2), to);
      return where(less(counted, until), rate, after);
    }, scalar(last));
  };
  function rateAt(step: number): number;
  function rateAt(step: Tensor): Tensor;
  function rateAt(step: number | Tensor): number | Tensor {
    return typeof step === "number" ? onHost(step) : inGraph(step);
  }
  return rateAt;
}

function requireNumbers(schedule: string, options: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(options)) {
    if (!(value >= 0 && Number.isFinite(value))) {
      throw new EvenkeelError("range", `${schedule}: ${name} is ${value}, expected a number of 0 or more.`);
    }
  }
}

/** How a rate rises and falls. */
export type DecayOptions = {
  /** The largest rate. */
  readonly peak: number;
  /** Steps of the whole: from this one on the rate is `final`. */
  readonly steps: number;
  /** Steps over which it rises in a line from `start` to `peak`. Default 0: it starts at the peak. */
  readonly warmUp?: number;
  /** The rate of step 0 if there is a warm-up. Default 0. */
  readonly start?: number;
  /** The rate at the end. Default 0. */
  readonly final?: number;
};

function decay(
  schedule: string,
  curve: Piece["curve"],
  { peak, steps, warmUp = 0, start = 0, final = 0 }: DecayOptions,
): Schedule {
  requireNumbers(schedule, { peak, steps, warmUp, start, final });
  if (warmUp > steps) {
    throw new EvenkeelError("range", `${schedule}: a warm-up of ${warmUp} steps doesn't fit in ${steps}.`);
  }
  const rise: Piece = { until: warmUp, from: start, to: peak, curve: "line" };
  return pieces([rise, { until: steps, from: peak, to: final, curve }], final);
}

/**
 * Half a cosine from the peak down, behind a warm-up in a line (Loshchilov and Hutter 2017, without restarts): final + (peak - final) (1 +
 * cos(pi s)) / 2, where s goes from 0 at the end of the warm-up to 1 at `steps`. @throws EvenkeelError `range`
 * @example
 * ```ts
 * const rate = cosineSchedule({ peak: 1, steps: 100, warmUp: 10 });
 * console.log(rate(5), rate(10), rate(55), rate(100)); // 0.5 1 0.5 0
 * ```
 */
export function cosineSchedule(options: DecayOptions): Schedule {
  return decay("cosineSchedule", "cosine", options);
}

/**
 * A line from the peak down, behind a warm-up in a line.
 * @throws EvenkeelError `range`
 * @example
 * ```ts
 * const rate = linearSchedule({ peak: 1, steps: 100, final: 0.5 });
 * console.log(rate(0), rate(50), rate(100)); // 1 0.75 0.5
 * ```
 */
export function linearSchedule(options: DecayOptions): Schedule {
  return decay("linearSchedule", "line", options);
}

/** Share of the steps over which a rate that was level falls at the end. */
export const usualFall = 0.2;

/** Options of `stableSchedule`. */
export type StableOptions = DecayOptions & {
  /** Share of the steps over which the rate falls at the end. Default 0.2. */
  readonly fallShare?: number;
};

/**
 * The peak until the last fifth of the steps, then a line down: warm-up, stable, decay (Hu et al. 2024, MiniCPM; with these shares and a
 * line Haegele et al. 2024). Up to the fall it is the same for every number of steps. @throws EvenkeelError `range`
 * @example
 * ```ts
 * const rate = stableSchedule({ peak: 1, steps: 100, warmUp: 10 });
 * console.log([5, 10, 80, 90, 100].map((step) => rate(step))); // [ 0.5, 1, 1, 0.5, 0 ]
 * ```
 */
export function stableSchedule(options: StableOptions): Schedule {
  const { peak, steps, warmUp = 0, start = 0, final = 0, fallShare = usualFall } = options;
  requireNumbers("stableSchedule", { peak, steps, warmUp, start, final, fallShare });
  const fall = steps * (1 - fallShare);
  if (fallShare > 1 || warmUp > fall) {
    throw new EvenkeelError(
      "range",
      `stableSchedule: a warm-up of ${warmUp} steps and a fall over ${fallShare} of all don't fit in ${steps} steps.`,
    );
  }
  const level: Piece = { until: fall, from: peak, to: peak, curve: "line" };
  const rise: Piece = { until: warmUp, from: start, to: peak, curve: "line" };
  return pieces([rise, level, { until: steps, from: peak, to: final, curve: "line" }], final);
}

/**
 * Always the same rate, behind a warm-up in a line from 0.
 * @throws EvenkeelError `range`
 * @example
 * ```ts
 * const rate = constantSchedule(0.1, 10);
 * console.log(rate(0), rate(5), rate(100)); // 0 0.05 0.1
 * ```
 */
export function constantSchedule(rate: number, warmUp = 0): Schedule {
  requireNumbers("constantSchedule", { rate, warmUp });
  return pieces([{ until: warmUp, from: 0, to: rate, curve: "line" }], rate);
}

/** Options of `oneCycleSchedule`. */
export type OneCycleOptions = {
  /** The largest rate. */
  readonly peak: number;
  /** Steps of the whole: the last one, `steps` - 1, has the smallest rate. */
  readonly steps: number;
  /** Share of the steps over which the rate rises. Default 0.3. */
  readonly riseShare?: number;
  /** The rate of step 0. Default: the peak / 25. */
  readonly start?: number;
  /** The rate of the last step. Default: the peak / 250,000. */
  readonly final?: number;
  /** Default "cosine". */
  readonly curve?: "cosine" | "line";
};

/**
 * One cycle (Smith and Topin 2018): the rate rises to the peak, at step riseShare * steps - 1, and falls to next to nothing at the last.
 * Defaults and places as in PyTorch. @throws EvenkeelError `range`
 * @example
 * ```ts
 * const rate = oneCycleSchedule({ peak: 1, steps: 100 });
 * console.log(rate(0), rate(29), rate(99)); // 0.04 1 0.000004
 * ```
 */
export function oneCycleSchedule(options: OneCycleOptions): Schedule {
  const { peak, steps, riseShare = 0.3, start = peak / 25, final = peak / 250_000, curve = "cosine" } = options;
  requireNumbers("oneCycleSchedule", { peak, steps, riseShare, start, final });
  if (riseShare > 1) {
    throw new EvenkeelError("range", `oneCycleSchedule: riseShare is ${riseShare}, expected a number from 0 to 1.`);
  }
  const rise: Piece = { until: riseShare * steps - 1, from: start, to: peak, curve };
  return pieces([rise, { until: steps - 1, from: peak, to: final, curve }], final);
}
