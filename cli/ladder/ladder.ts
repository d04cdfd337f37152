import { access, readFile } from "node:fs/promises";
import os from "node:os";
import { join } from "node:path";
import {
  defaultClassifierTraining,
  type FeatureExtractor,
  type ImageDataset,
  presetOf,
  validationSigmas,
} from "../../diffusion/index.ts";
import { featureExtractor, openDataset } from "../../diffusion/node.ts";
import { type Device, EvenkeelError } from "../../engine/index.ts";
import { trainClassifier } from "../metrics/trainClassifier.ts";
import { loadTrainingData, splitData } from "../train/data.ts";
import { makeFolder } from "../train/makeFolder.ts";
import { trainingOptions } from "../train/options.ts";
import type { TrainSettings } from "../train/settings.ts";
import { deviceOf, train } from "../train/train.ts";
import { writeText } from "../train/writeText.ts";
import { keepBudget, type LadderBudget } from "./budget.ts";
import { measureRun } from "./measure.ts";
import { referenceOf, type Yardstick } from "./networkMeter.ts";
import { ladderPage } from "./page.ts";
import type { LadderEntry, LadderResults } from "./results.ts";
import { type Rung, runName, runSettings } from "./rungs.ts";

export type LadderOptions = {
  readonly outdir: string;
  readonly rungs: readonly Rung[];
  readonly seeds: readonly number[];
  readonly budget: LadderBudget;
  readonly device: string;
  readonly threads?: number | undefined;
  /** The command line, for the report. */
  readonly command: string;
};

type Run = { readonly rung: Rung; readonly seed: number; readonly settings: TrainSettings };

/**
 * Trains every rung with every seed, measures each and writes `results.json` and `ladder.html`. What is done already, in this folder and
 * with this budget, is not done again.
 * @returns null if a run was asked to stop.
 * @throws EvenkeelError `value` for a folder of another budget, `file` for what can't be read or written.
 */
export async function climb(options: LadderOptions, print: (line: string) => void): Promise<LadderResults | null> {
  const { outdir, budget, rungs, seeds } = options;
  const dataset = await loadTrainingData(budget.data, outdir, print);
  const data = await storedPath(budget.data, outdir);
  const runs: Run[] = [];
  for (const rung of rungs) {
    for (const seed of seeds) {
      const folder = join(outdir, "runs", runName(rung, seed));
      const settings = await runSettings(rung, seed, budget, { ...options, data, outdir: folder });
      // What can't be is told before hours of training.
      trainingOptions(settings, splitData(dataset, budget.holdout, seed).training);
      runs.push({ rung, seed, settings });
    }
  }
  await makeFolder(outdir);
  await keepBudget(outdir, budget);
  for (const folder of ["runs", "measures", "samples"]) await makeFolder(join(outdir, folder));

  const entries: LadderEntry[] = [];
  const measuring = new Measuring(options, dataset, data, print);
  try {
    for (const [i, run] of runs.entries()) {
      const name = runName(run.rung, run.seed);
      const path = join(outdir, "measures", `${name}.json`);
      const kept = await readEntry(path);
      if (kept !== null) {
        print(`[${i + 1} of ${runs.length}] ${name}: measured before`);
        entries.push(kept);
        continue;
      }
      print(`[${i + 1} of ${runs.length}] ${name}: training`);
      if (!(await train(run.settings, { withReport: false }))) return null;
      print(`[${i + 1} of ${runs.length}] ${name}: measuring`);
      const entry = await measuring.measure(run);
      await writeText(path, `${JSON.stringify(entry)}\n`);
      entries.push(entry);
    }
    return await finish(options, dataset, await measuring.metric(), entries, print);
  } finally {
    measuring.dispose();
  }
}

/** What measuring needs, made when the first run needs it. */
class Measuring {
  readonly #options: LadderOptions;
  readonly #dataset: ImageDataset;
  readonly #data: string;
  readonly #print: (line: string) => void;
  #tools: { readonly device: Device; readonly extractor: FeatureExtractor } | undefined;
  #reference: Awaited<ReturnType<typeof referenceOf>> | undefined;

  constructor(options: LadderOptions, dataset: ImageDataset, data: string, print: (line: string) => void) {
    this.#options = options;
    this.#dataset = dataset;
    this.#data = data;
    this.#print = print;
  }

  async measure({ rung, seed, settings }: Run): Promise<LadderEntry> {
    const { budget, outdir, seeds } = this.#options;
    const { device, extractor } = await this.#prepare(settings);
    const reference = await this.#referenceOf(extractor);
    const { training, validation } = splitData(this.#dataset, settings.holdout, settings.seed);
    if (validation === null) throw new RangeError("a ladder holds images out");
    const { P_mean: mean, P_std: standardDeviation } = presetOf(budget.preset);
    const yardstick: Yardstick = {
      validation,
      sigmas: validationSigmas({ mean, standardDeviation }),
      extractor,
      reference: reference.reference,
      samples: budget.samples,
      steps: budget.steps,
    };
    const { network } = trainingOptions(settings, training);
    const withGroups = budget.groups.includes(rung.config) && seed === seeds[0];
    return measureRun({ rung, seed, settings, network, budget, withGroups, outdir }, device, yardstick, this.#print);
  }

  /** What the distance is measured in. Known once something was measured; else it is read from the results before. */
  async metric(): Promise<LadderResults["metric"]> {
    const { budget, outdir } = this.#options;
    const { samples, steps } = budget;
    if (this.#tools !== undefined && this.#reference !== undefined) {
      const { name } = this.#tools.extractor;
      return { features: `${name}: ${this.#tools.extractor.describe()}`, samples, steps, floor: this.#reference.floor };
    }
    const before = await readResults(join(outdir, "results.json"));
    return before?.metric ?? { features: budget.features, samples, steps, floor: null };
  }

  async #prepare(settings: TrainSettings): Promise<{ readonly device: Device; readonly extractor: FeatureExtractor }> {
    if (this.#tools !== undefined) return this.#tools;
    const device = await deviceOf(settings);
    const features = await this.#featuresFile(device);
    const extractor = await featureExtractor(features, this.#dataset, { device, print: this.#print });
    this.#tools = { device, extractor };
    return this.#tools;
  }

  /** The name of the features; the classifier of this data is trained once. */
  async #featuresFile(device: Device): Promise<string> {
    const { budget, outdir } = this.#options;
    if (budget.features !== "classifier") return budget.features;
    const out = join(outdir, "classifier.safetensors");
    if (!(await exists(out))) {
      this.#print("training the classifier whose features the Fréchet distance is measured in");
      await trainClassifier({ ...defaultClassifierTraining, data: this.#data, out }, device, this.#print);
    }
    return `classifier:${out}`;
  }

  async #referenceOf(extractor: FeatureExtractor): Promise<Awaited<ReturnType<typeof referenceOf>>> {
    this.#reference ??= await referenceOf(extractor, this.#dataset, this.#options.budget.samples);
    return this.#reference;
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
  const memory = (os.totalmem() / 2 ** 30).toFixed(0);
  const results: LadderResults = {
    format: "evenkeel-ladder",
    version: 1,
    command,
    date: new Date().toISOString(),
    machine: `${os.cpus()[0]?.model ?? "unknown CPU"}, ${os.availableParallelism()} cores, ${memory} GiB, Node ${process.version}`,
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

/** Where the data are once they have been converted. */
async function storedPath(data: string, outdir: string): Promise<string> {
  const converted = join(outdir, `${data}.zip`);
  return (await exists(converted)) ? converted : data;
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** @throws EvenkeelError `file` for a file that is no measure. */
async function readEntry(path: string): Promise<LadderEntry | null> {
  return readJson(path, (value): value is LadderEntry => "sweeps" in value && "best" in value);
}

async function readResults(path: string): Promise<LadderResults | null> {
  return readJson(path, (value): value is LadderResults => "entries" in value && "metric" in value);
}

async function readJson<T>(path: string, isWanted: (value: object) => value is T & object): Promise<T | null> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch {
    return null;
  }
  const fail = (cause?: unknown): never => {
    throw new EvenkeelError("file", `${path} is damaged. Remove it, and the ladder measures anew.`, { cause });
  };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    return fail(cause);
  }
  return typeof value === "object" && value !== null && isWanted(value) ? value : fail();
}

/** Checks that a data set can be opened and has labels if the features need them. @throws EvenkeelError `value`. */
export async function checkData(budget: LadderBudget): Promise<void> {
  if (budget.features !== "classifier" || /^emoji\d+/.test(budget.data)) return;
  const { labels } = await openDataset(budget.data);
  if (labels?.kind === "classes") return;
  throw new EvenkeelError(
    "value",
    `ladder: ${budget.data} has no classes from which a classifier could learn features. Choose others by --features: pixels, ` +
      "nsfwjs-mobilenet, ... (evenkeel metrics --help lists them).",
  );
}
