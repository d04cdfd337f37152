import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type ImageDataset, isLatent } from "../../diffusion/data/index.ts";
import { presetOf } from "../../diffusion/presets/index.ts";
import { type Shard, takeShard } from "../../diffusion/sample/index.ts";
import { type TrainingOptions, validationSigmas } from "../../diffusion/training/index.ts";
import { featureExtractor } from "../../diffusion/metrics/node.ts";
import { type Device, EvenkeelError } from "../../engine/index.ts";
import { makeFolder } from "../../engine/io/node.ts";
import { machineText } from "../machineText.ts";
import { atWorkElsewhere, Runs } from "../runs/runs.ts";
import { dataFeatures, requireClasses } from "../metrics/dataFeatures.ts";
import { dataPath, loadTrainingData } from "../train/data.ts";
import { splitForRun, trainingOptions } from "../../diffusion/settings/index.ts";
import type { TrainSettings } from "../../diffusion/settings/index.ts";
import { deviceOf } from "../train/train.ts";
import { writeText } from "../train/writeText.ts";
import { keepBudget, type LadderBudget } from "./budget.ts";
import { measureRun } from "./measure.ts";
import { meterOf, type Yardstick } from "./networkMeter.ts";
import { ladderPage } from "./page.ts";
import type { LadderEntry, LadderResults } from "./results.ts";
import { type LadderRun, type Rung, runOfRung } from "./rungs.ts";
import { readStored } from "../storedJson.ts";

export type LadderOptions = {
  readonly outdir: string;
  readonly rungs: readonly Rung[];
  readonly seeds: readonly number[];
  readonly budget: LadderBudget;
  readonly device?: string | undefined;
  readonly threads?: number | undefined;
  /** The share of the runs that this process makes; without it, it makes what is missing and writes the results. */
  readonly shard?: Shard | undefined;
  /** The command line, for the report. */
  readonly command: string;
};

/**
 * Trains every rung with every seed, measures each and writes `results.json` and `ladder.html`. What is done already, in this folder and
 * with this budget, is not done again. With a shard it does that share of the runs and writes neither.
 * @returns "stopped" if a run was asked to stop, "shared" if its share is done.
 * @throws EvenkeelError `value` for a folder of another budget; `file` for what can't be read or written, and if another process is at a
 * run that the results need.
 */
export async function climb(
  options: LadderOptions,
  print: (line: string) => void,
): Promise<LadderResults | "stopped" | "shared"> {
  const { outdir, budget, rungs, seeds, device, threads, shard } = options;
  const dataset = await loadTrainingData(budget.data, outdir, { isKept: true }, print);
  if (isLatent(dataset)) {
    throw new EvenkeelError("value", `ladder: ${budget.data} holds latents; the ladder measures and shows pictures.`);
  }
  requireClasses("ladder", budget.features, budget.data, dataset);
  const place = { data: dataPath(budget.data, outdir), outdir, device, threads };
  const all = rungs.flatMap((rung) => seeds.map((seed) => runOfRung(rung, seed, budget, place)));
  // What can't be is told before hours of training.
  for (const { settings } of all) trainingOptions(settings, splitForRun(dataset, settings).training);
  await makeFolder(outdir);
  await keepBudget(outdir, budget);
  await makeFolder(join(outdir, "samples"));

  const measuring = new Measuring(options, dataset, place.data, print);
  const runs = await Runs.in<LadderRun, LadderEntry>({
    outdir,
    fields: ["sweeps", "best"],
    measure: (run) => measuring.measure(run),
    describe: ({ best }) => `error ${best.error.toPrecision(5)} with sigma_rel ${best.sigmaRel}`,
    output: process.stdout,
    print,
  });
  try {
    if (shard === undefined) await runs.tellMissing(all);
    const entries: LadderEntry[] = [];
    const elsewhere: string[] = [];
    for (const [i, run] of (shard === undefined ? all : takeShard(all, shard)).entries()) {
      const where = shard === undefined ? `${i + 1} of ${all.length}` : `shard ${shard.index} of ${shard.count}`;
      const outcome = await runs.measured(run, `[${where}]`);
      if (outcome === "stopped") return outcome;
      if (outcome === "elsewhere") elsewhere.push(run.name);
      else entries.push(outcome.measured);
    }
    if (shard !== undefined) return "shared";
    if (elsewhere.length > 0) throw atWorkElsewhere("ladder", elsewhere);
    const metric = await readStored<LadderResults["metric"]>(join(outdir, metricName), ["features", "floor"]);
    if (metric === null)
      throw new EvenkeelError("file", `ladder: ${outdir} has lost ${metricName}. Remove its measures.`);
    return await finish(options, dataset, metric, entries, print);
  } finally {
    measuring.dispose();
  }
}

/** What distances are measured in, beside the measures. */
const metricName = "metric.json";

type Tools = Pick<Yardstick, "extractor" | "meter"> & { readonly device: Device };

/** What measuring needs, made when the first run needs it. */
class Measuring {
  readonly #options: LadderOptions;
  readonly #dataset: ImageDataset;
  readonly #data: string;
  readonly #print: (line: string) => void;
  #tools: Tools | undefined;

  constructor(options: LadderOptions, dataset: ImageDataset, data: string, print: (line: string) => void) {
    this.#options = options;
    this.#dataset = dataset;
    this.#data = data;
    this.#print = print;
  }

  async measure(run: LadderRun): Promise<LadderEntry> {
    const { budget, outdir } = this.#options;
    const { settings } = run;
    const { training, validation } = splitForRun(this.#dataset, settings);
    const options = trainingOptions(settings, training);
    const { device, ...tools } = (this.#tools ??= await this.#prepare(settings, options));
    if (validation === null) throw new RangeError("a ladder holds images out");
    const { P_mean: mean, P_std: standardDeviation } = presetOf(budget.preset);
    const sigmas = validationSigmas({ mean, standardDeviation });
    const yardstick: Yardstick = { ...tools, validation, sigmas, samples: budget.samples, steps: budget.steps };
    return measureRun({ ...run, network: options.network, budget, outdir }, device, yardstick, this.#print);
  }

  async #prepare(settings: TrainSettings, training: TrainingOptions): Promise<Tools> {
    const { outdir, budget } = this.#options;
    const { samples, steps } = budget;
    const { device } = await deviceOf(settings, training);
    const features = await dataFeatures(budget.features, { data: this.#data, outdir }, device, this.#print);
    const extractor = await featureExtractor(features, this.#dataset, { device, print: this.#print });
    const { meter, floor } = await meterOf(extractor, this.#dataset, samples);
    const metric: LadderResults["metric"] = {
      features: `${extractor.name}: ${extractor.describe()}`,
      samples,
      steps,
      floor,
    };
    await writeText(join(outdir, metricName), `${JSON.stringify(metric, null, 2)}\n`);
    return { device, extractor, meter };
  }

  dispose(): void {
    this.#tools?.extractor.dispose();
    this.#tools?.device.dispose();
  }
}

async function finish(
  { outdir, budget, seeds, command }: LadderOptions,
  dataset: ImageDataset,
  metric: LadderResults["metric"],
  entries: readonly LadderEntry[],
  print: (line: string) => void,
): Promise<LadderResults> {
  const results: LadderResults = {
    format: "evenkeel-ladder",
    version: 1,
    command,
    date: new Date().toISOString(),
    machine: machineText(),
    data: {
      name: budget.data,
      trainingImages: dataset.count - budget.holdout,
      heldOutImages: budget.holdout,
      resolution: dataset.resolution,
      channels: dataset.channels,
      classes: dataset.labels?.labelDim ?? 0,
    },
    preset: budget.preset,
    duration: budget.duration,
    seeds,
    metric,
    entries,
  };
  await writeText(join(outdir, "results.json"), `${JSON.stringify(results)}\n`);
  const page = join(outdir, "ladder.html");
  await writeText(page, await ladderPage(results, { samplesOf: (path) => readFile(join(outdir, path)) }));
  print(`Results            ${join(outdir, "results.json")}`);
  print(`Report             ${page}`);
  return results;
}
