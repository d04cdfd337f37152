import { join } from "node:path";
import { type ImageDataset, isLatent } from "../../diffusion/data/index.ts";
import { type Shard, takeShard } from "../../diffusion/sample/index.ts";
import { splitForRun, trainingOptions, type TrainSettings } from "../../diffusion/settings/index.ts";
import { validationSigmas } from "../../diffusion/training/index.ts";
import { type Device, EvenkeelError } from "../../engine/index.ts";
import { makeFolder } from "../../engine/io/node.ts";
import { keepPlan } from "../keepPlan.ts";
import { machineText } from "../machineText.ts";
import { atWorkElsewhere, type Outcome, Runs } from "../runs/runs.ts";
import { dataPath, loadTrainingData } from "../train/data.ts";
import { deviceOf } from "../train/train.ts";
import { writeText } from "../train/writeText.ts";
import type { Change } from "./changes.ts";
import { Comparison } from "./comparison.ts";
import { divergedRun, type MeasuredRun, measureRun, requireSame, type Yardstick } from "./measure.ts";
import { comparisonPage } from "./page.ts";
import type { ComparisonResults, ResultsSamples, Sweep } from "./results.ts";
import { checkSamples, type MeasuredSamples, SampledRuns, type SamplesPlan } from "./samples.ts";
import { baseName, type ComparedRun, type ComparisonPlan, runOfSide, type Side } from "./sides.ts";
import { checkSweep, sweepSide } from "./sweep.ts";
import { verdictText } from "./words.ts";

export type CompareOptions = {
  readonly outdir: string;
  readonly plan: ComparisonPlan;
  readonly changes: readonly Change[];
  /** Pairs at most. */
  readonly pairs: number;
  readonly firstSeed: number;
  readonly margin: number;
  readonly level: number;
  readonly device: string | undefined;
  /** Metrics of generated images that are measured of each run, too. */
  readonly samples?: SamplesPlan | undefined;
  /** The share of the runs that this process makes; without it, it makes what is missing and decides. */
  readonly shard?: Shard | undefined;
  /** The command line, for the report. */
  readonly command: string;
  /** Whether standard output is left to somebody else. */
  readonly toStderr: boolean;
};

/** What a comparison works with. */
type Work = {
  readonly options: CompareOptions;
  readonly dataset: ImageDataset;
  readonly baseSettings: TrainSettings;
  readonly runOf: (side: Side, seed: number) => ComparedRun;
  readonly runs: Runs<ComparedRun, MeasuredRun>;
  readonly sampled: SampledRuns | null;
  readonly print: (line: string) => void;
};

/** What is known of a run: its errors and, if they were asked for and it didn't diverge, metrics of its images. */
type Measured = { readonly errors: MeasuredRun; readonly samples: MeasuredSamples | null };

/**
 * Trains the base and its changes in pairs that share every random number, until each change is decided or there are no more pairs to make.
 * What is there already, in this folder and by this plan, isn't done again. Writes `results.json` and `comparison.html`, after each pair.
 * With a shard it makes that share of the runs, as long as what is there doesn't decide them, and decides nothing itself.
 * @returns "stopped" if a run was asked to stop, "shared" if its share is done.
 * @throws EvenkeelError `value` for changes that can't be or that are the base, for a folder of another plan, for a base that diverges;
 * `file` for what can't be read or written, and if another process is at a run that the decision needs.
 */
export async function compare(
  options: CompareOptions,
  print: (line: string) => void,
): Promise<ComparisonResults | "stopped" | "shared"> {
  const { outdir, plan, changes, firstSeed } = options;
  const dataset = await loadTrainingData(plan.data, outdir, { isKept: true }, print);
  if (isLatent(dataset))
    throw new EvenkeelError("value", `compare: ${plan.data} holds latents; compare needs pictures.`);
  const place = { data: dataPath(plan.data, outdir), outdir, device: options.device };
  const sides: Side[] = [{ name: baseName, change: null }, ...changes.map((change) => ({ name: change.name, change }))];
  const runOf = (side: Side, seed: number): ComparedRun => runOfSide(side, seed, plan, place);
  // What can't be is told before hours of training.
  const first = sides.map((side) => runOf(side, firstSeed));
  for (const { settings } of first) trainingOptions(settings, splitForRun(dataset, settings).training);
  requireDifferent(first);
  const [base] = first;
  if (base === undefined) throw new RangeError("there is always a base");
  if (plan.sweep !== null) checkSweep(plan.sweep, sides, (side) => runOf(side, firstSeed).settings);
  const { samples } = options;
  if (samples !== undefined) await checkSamples(samples, dataset, plan.data, first);
  await makeFolder(outdir);
  await keepPlan("compare", join(outdir, "comparison.json"), plan);
  if (samples !== undefined) {
    // Other metrics of the same images may be asked for later.
    const { metrics: _, ...kept } = samples;
    await keepPlan("compare", join(outdir, "metrics.json"), kept);
  }

  const { P_mean: mean, P_std: standardDeviation } = base.settings;
  const yardstick: Yardstick = { dataset, sigmas: validationSigmas({ mean, standardDeviation }), length: plan.length };
  let device: Device | undefined;
  const deviceFor = async ({ settings }: ComparedRun): Promise<Device> =>
    (device ??= (await deviceOf(settings, trainingOptions(settings, splitForRun(dataset, settings).training))).device);
  const runs = await Runs.in<ComparedRun, MeasuredRun>({
    outdir,
    fields: ["error", "levels", "settings"],
    requireSame,
    measure: async (run) => measureRun(run, yardstick, await deviceFor(run)),
    diverged: divergedRun,
    describe: ({ error }) => `error ${error === null ? "not finite" : error.toPrecision(5)}`,
    output: options.toStderr ? process.stderr : process.stdout,
    print,
  });
  const sampled =
    samples === undefined
      ? null
      : new SampledRuns({ outdir, plan: samples, dataset, data: place.data, length: plan.length, deviceFor, print });
  try {
    const work: Work = { options, dataset, baseSettings: base.settings, runOf, runs, sampled, print };
    const sweeps = await sweepSides(work, sides);
    if (sweeps === "stopped" || sweeps === "shared") return sweeps;
    const tuned = sides.map((side): Side => {
      const found = sweeps.find((each) => each.side === side.name);
      return found === undefined ? side : { ...side, tuned: { [found.setting]: found.best } };
    });
    return options.shard === undefined
      ? await decide(work, tuned, sweeps)
      : await makeShare(work, tuned, options.shard);
  } finally {
    sampled?.dispose();
    device?.dispose();
  }
}

/** @throws EvenkeelError `value` if a change gives the settings of the base, or two changes the same. */
function requireDifferent(runs: readonly ComparedRun[]): void {
  const seen = new Map<string, string>();
  const folders = new Set<string>();
  for (const { side, settings } of runs) {
    const { outdir, ...rest } = settings;
    const text = JSON.stringify(Object.entries(rest).sort(([a], [b]) => (a < b ? -1 : 1)));
    const other = seen.get(text);
    if (other !== undefined) {
      throw new EvenkeelError(
        "value",
        `compare: ${side.name} gives the settings of ${other}: there is nothing to compare.`,
      );
    }
    if (folders.has(outdir)) throw new EvenkeelError("value", `compare: two changes would both write into ${outdir}.`);
    seen.set(text, side.change === null ? "the base" : side.name);
    folders.add(outdir);
  }
}

/**
 * The best value of what is swept, on each side; none if nothing is. A sweep goes step by step, so a shard takes whole sides; the pairs
 * begin when all are found.
 */
async function sweepSides(
  { options, runOf, runs, print }: Work,
  sides: readonly Side[],
): Promise<readonly Sweep[] | "stopped" | "shared"> {
  const { shard, firstSeed } = options;
  const { sweep } = options.plan;
  if (sweep === null) return [];
  const own = shard === undefined ? sides : takeShard(sides, shard);
  const sweeps: Sweep[] = [];
  const missing: string[] = [];
  for (const side of sides) {
    const isOwn = own.includes(side);
    const look = async (run: ComparedRun): Promise<Outcome<MeasuredRun>> => {
      if (isOwn) return runs.measured(run, `[best ${sweep}]`);
      const measured = await runs.stored(run);
      return measured === null ? "elsewhere" : { measured };
    };
    const found = await sweepSide(side, sweep, firstSeed, runOf, look, isOwn ? print : () => undefined);
    if (found === "stopped") return found;
    if (found === "elsewhere") missing.push(side.name);
    else sweeps.push(found);
  }
  if (missing.length === 0) return sweeps;
  const what = missing.map((name) => `the best ${sweep} of ${name}`);
  if (shard === undefined) throw atWorkElsewhere("compare", what);
  print(`Pairs begin when ${what.join(" and ")} is found: start the shards again then.`);
  return "shared";
}

/** Goes through the pairs in their order until all is decided, or a run isn't there. */
async function goThrough(
  { options, runOf }: Work,
  sides: readonly Side[],
  comparison: Comparison,
  look: (run: ComparedRun, pair: number) => Promise<Outcome<Measured>>,
  onPair: () => Promise<void>,
): Promise<"decided" | { readonly run: ComparedRun; readonly outcome: "stopped" | "elsewhere" }> {
  for (let pair = 0; pair < options.pairs; pair++) {
    const seed = options.firstSeed + pair;
    for (const side of comparison.open(sides)) {
      const run = runOf(side, seed);
      const outcome = await look(run, pair);
      if (typeof outcome === "string") return { run, outcome };
      const { errors, samples } = outcome.measured;
      if (side.change === null && errors.error === null) {
        throw new EvenkeelError(
          "diverged",
          `compare: the base diverges with seed ${seed}. Take a lower rate: --base "lr=..."`,
        );
      }
      comparison.add(errors, samples);
    }
    await onPair();
    if (comparison.open(sides).length === 1) break;
  }
  return "decided";
}

const judgingOf = ({ changes, margin, level, samples }: CompareOptions) => ({
  changes: changes.map(({ name }) => name),
  margin,
  level,
  metrics: samples?.metrics ?? [],
});

/** Trains and measures a run, and its images if that is asked for. */
async function measuredRun({ runs, sampled }: Work, run: ComparedRun, where: string): Promise<Outcome<Measured>> {
  const outcome = await runs.measured(run, where);
  if (typeof outcome === "string") return outcome;
  const errors = outcome.measured;
  if (sampled === null || errors.error === null) return { measured: { errors, samples: null } };
  const samples = await sampled.measured(run, where);
  return typeof samples === "string" ? samples : { measured: { errors, samples: samples.measured } };
}

/** Makes what is missing, pair by pair, and says what it tells. */
async function decide(
  work: Work,
  sides: readonly Side[],
  sweeps: readonly Sweep[],
): Promise<ComparisonResults | "stopped"> {
  const { options, print } = work;
  const { outdir, pairs } = options;
  const comparison = new Comparison(judgingOf(options));
  const results = (): ComparisonResults => resultsOf(work, comparison, sweeps);
  const end = await goThrough(
    work,
    sides,
    comparison,
    (run, pair) => measuredRun(work, run, `[pair ${pair + 1} of at most ${pairs}]`),
    async () => {
      const now = results();
      await writeText(join(outdir, "results.json"), `${JSON.stringify(now)}\n`);
      await writeText(join(outdir, "comparison.html"), comparisonPage(now));
      for (const each of now.changes) print(verdictText(each, now));
    },
  );
  if (end === "decided") return results();
  if (end.outcome === "stopped") return "stopped";
  throw atWorkElsewhere("compare", [end.run.name]);
}

/** Makes a share of the runs of all pairs; a side that is decided by what is there needs no more. */
async function makeShare(work: Work, sides: readonly Side[], shard: Shard): Promise<"stopped" | "shared"> {
  const { options, runOf, runs, print } = work;
  const all = Array.from({ length: options.pairs }, (_, pair) =>
    sides.map((side) => runOf(side, options.firstSeed + pair)),
  ).flat();
  for (const run of takeShard(all, shard)) {
    const known = new Comparison(judgingOf(options));
    const look = async (each: ComparedRun): Promise<Outcome<Measured>> => {
      const errors = await runs.stored(each);
      return errors === null ? "elsewhere" : { measured: { errors, samples: null } };
    };
    await goThrough(work, sides, known, look, () => Promise.resolve());
    const open = known.open(sides);
    // One that is part of the decision may lack metrics that are asked for now.
    const isPart = known.runs.some(({ side, seed }) => side === run.side.name && seed === run.settings.seed);
    if (!isPart && (open.length === 1 || !open.includes(run.side))) {
      print(`${run.name}: not needed, as what there is decides`);
      continue;
    }
    if ((await measuredRun(work, run, `[shard ${shard.index} of ${shard.count}]`)) === "stopped") return "stopped";
  }
  return "shared";
}

function resultsOf(
  { options, dataset, baseSettings }: Work,
  comparison: Comparison,
  sweeps: readonly Sweep[],
): ComparisonResults {
  const { plan, margin, level, command, samples } = options;
  return {
    format: "evenkeel-comparison",
    version: 1,
    command,
    date: new Date().toISOString(),
    machine: machineText(),
    data: {
      name: plan.data,
      trainingImages: dataset.count - plan.holdout,
      heldOutImages: plan.holdout,
    },
    base: Object.entries(plan.base)
      .map(([name, value]) => `${name}=${String(value)}`)
      .join(","),
    duration: baseSettings.duration,
    length: plan.length,
    margin,
    level,
    changes: comparison.compared(),
    sweeps,
    samples: samples === undefined ? null : samplesOf(samples, comparison),
    runs: comparison.runs,
  };
}

function samplesOf({ metrics, images, steps }: SamplesPlan, { samples }: Comparison): ResultsSamples {
  const runs = samples.map(({ side, seed, values }) => ({
    side,
    seed,
    values: Object.fromEntries(metrics.map((metric) => [metric, values[metric] ?? null])),
  }));
  return { metrics, images, steps, space: samples[0]?.space ?? null, runs };
}
