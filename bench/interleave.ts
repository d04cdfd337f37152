/** One of those who take turns. */
export type Lane = {
  readonly name: string;
  /** Seconds of so many runs. */
  measure(times: number): Promise<number>;
};

export type Measurement = {
  readonly contender: string;
  /** Of one run: seconds, or of memory rows bytes. */
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly samples: number;
};

export type InterleaveOptions = {
  /** Samples of each. Default 7. */
  readonly repeats?: number;
  /** A sample is the mean of as many runs as fit in here. Default 0.1 s. */
  readonly sampleSeconds?: number;
  /** One run longer than this is measured three times only. Default 3 s. */
  readonly slowSeconds?: number;
};

/** Idle workers of some engines spin for a while before they sleep; they must not do so in another one's turn. */
const settleSeconds = 0.03;

// Pages have no timers that are promises.
const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Runs shorter than this get a first one that isn't counted: caches belong to whoever had the turn before. */
const coldSeconds = 0.5;

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const [low = NaN, high = NaN] = [sorted[middle - 1], sorted[middle]];
  return sorted.length % 2 === 0 ? (low + high) / 2 : high;
}

/** Measures all in one run, in turns: a sample of each, in an order that moves on by one every round. */
export async function interleave(lanes: readonly Lane[], options: InterleaveOptions = {}): Promise<Measurement[]> {
  const { repeats = 7, sampleSeconds = 0.1, slowSeconds = 3 } = options;
  const plans = [];
  for (const lane of lanes) {
    await lane.measure(1);
    const once = await lane.measure(1);
    plans.push({
      lane,
      isCold: once < coldSeconds,
      times: Math.max(1, Math.min(1000, Math.round(sampleSeconds / once))),
      repeats: once > slowSeconds ? Math.min(repeats, 3) : repeats,
      samples: [] as number[],
    });
  }
  for (let round = 0; round < repeats; round++) {
    for (let turn = 0; turn < plans.length; turn++) {
      const plan = plans[(round + turn) % plans.length];
      if (plan === undefined || plan.samples.length >= plan.repeats) continue;
      await pause(settleSeconds * 1e3);
      if (plan.isCold) await plan.lane.measure(1);
      plan.samples.push((await plan.lane.measure(plan.times)) / plan.times);
    }
  }
  return plans.map(({ lane, samples }) => summarize(lane.name, samples));
}

export function summarize(contender: string, samples: readonly number[]): Measurement {
  return {
    contender,
    median: median(samples),
    min: Math.min(...samples),
    max: Math.max(...samples),
    samples: samples.length,
  };
}
