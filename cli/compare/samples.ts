/** Metrics of the images that a comparison's runs make: each run is sampled once, from the same noise as the other of its pair. */
import { join } from "node:path";
import { type ImageDataset, seenLabels } from "../../diffusion/data/index.ts";
import {
  chooseIndices,
  type FeatureExtractor,
  type FeatureSpace,
  fewestPictures,
  MetricMeter,
  type MetricName,
} from "../../diffusion/metrics/index.ts";
import { featureExtractor, requireFeatures } from "../../diffusion/metrics/node.ts";
import { DenoiserProgram } from "../../diffusion/network/index.ts";
import { splitForRun, trainingOptions } from "../../diffusion/settings/index.ts";
import { type Device, EvenkeelError } from "../../engine/index.ts";
import { exists } from "../exists.ts";
import { dataClassifier, dataFeatures, requireClasses } from "../metrics/dataFeatures.ts";
import { featuresOf } from "../metrics/featureSets.ts";
import { imageProgress } from "../metrics/measureSets.ts";
import { imageSource, networkSource } from "../metrics/pictureSource.ts";
import { StoredAverages } from "../runs/averages.ts";
import { finite } from "../runs/curves.ts";
import type { Outcome } from "../runs/runs.ts";
import { unlessTaken } from "../shards/unitLock.ts";
import { readStored } from "../storedJson.ts";
import { writeText } from "../train/writeText.ts";
import { type MeasuredSettings, requireSame, settingsKept } from "./measure.ts";
import type { ComparedRun } from "./sides.ts";

/** What is asked of generated images. All but the metrics is the same in all runs of a folder, as values are compared. */
export type SamplesPlan = {
  readonly metrics: readonly MetricName[];
  /** Images that each run makes. */
  readonly images: number;
  /** Steps of the sampler. */
  readonly steps: number;
  /** Space of the metrics, as `evenkeel metrics` names it, or `classifier`: one that is trained on the data. */
  readonly features: string;
};

/** The space in which images were measured, and how many images of the data they were held against. */
export type SamplesSpace = FeatureSpace & { readonly description: string; readonly references: number };

/** Everything that a comparison keeps of the images of a run: `measures/RUN.metrics.json`. */
export type MeasuredSamples = {
  readonly side: string;
  readonly seed: number;
  /** What the run was trained with, but for places. */
  readonly settings: MeasuredSettings;
  readonly space: SamplesSpace;
  /** Those that were ever asked for; null if one isn't finite. */
  readonly values: Readonly<Partial<Record<MetricName, number | null>>>;
};

/**
 * Refuses before any training what can't be measured.
 * @param data how the images are called, for messages
 * @throws EvenkeelError `value` for fewer images than a metric takes, features that there aren't or that the data can't have, and runs
 * that the sampler isn't for; `file` for a classifier whose file isn't there
 */
export async function checkSamples(
  { metrics, images, features }: SamplesPlan,
  dataset: ImageDataset,
  data: string,
  runs: readonly ComparedRun[],
): Promise<void> {
  for (const metric of metrics) {
    const fewest = fewestPictures(metric);
    for (const [count, what] of [
      [images, `--images ${images}`],
      [dataset.count, `${data} has ${dataset.count} images`],
    ] as const) {
      if (count >= fewest) continue;
      throw new EvenkeelError("value", `compare: ${what}: ${metric} takes ${fewest} or more.`);
    }
  }
  if (features === dataClassifier) requireClasses("compare", features, data, dataset);
  else requireFeatures(features, dataset);
  const [, file] = /^[^:]+:(.+)$/.exec(features) ?? [];
  if (file !== undefined && !(await exists(file)))
    throw new EvenkeelError("file", `compare: --features ${features}: there is no file ${file}.`);
  const tuned = runs.find(({ settings }) => settings.tune !== undefined);
  if (tuned === undefined) return;
  throw new EvenkeelError(
    "value",
    `compare: --metrics: ${tuned.side.name} is tuned to be sampled in few steps (tune=${tuned.settings.tune ?? ""}), and the sampler of ` +
      "--metrics isn't for that. Leave one of the two out.",
  );
}

/** What measuring needs, made when the first run needs it. */
type Tools = { readonly extractor: FeatureExtractor; readonly meter: MetricMeter; readonly space: SamplesSpace };

export type SampledRunsOptions = {
  readonly outdir: string;
  readonly plan: SamplesPlan;
  readonly dataset: ImageDataset;
  /** Where the images lie. */
  readonly data: string;
  /** Length of the average that is sampled, sigma_rel. */
  readonly length: number;
  readonly deviceFor: (run: ComparedRun) => Promise<Device>;
  readonly print: (line: string) => void;
};

/** Images that go through the network at once, at most, and through the features. */
const batch = 32;

/** Vectors of the data that are kept, for the metrics that take vectors. */
const keptReferences = 10_000;

/**
 * Samples runs that have been trained and measures their images, each run and metric once; what is there from before is taken, and
 * another process's run is left to it, as in `Runs`.
 */
export class SampledRuns {
  readonly #options: SampledRunsOptions;
  #tools: Tools | undefined;

  constructor(options: SampledRunsOptions) {
    this.#options = options;
  }

  /** @param where what messages call it. @throws EvenkeelError `file` and `value` for what was measured otherwise, or can't be. */
  async measured(run: ComparedRun, where: string): Promise<Outcome<MeasuredSamples>> {
    const { print, plan } = this.#options;
    const say = (text: string): void => print(`${where} ${run.name}: ${text}`);
    const before = await this.#stored(run);
    if (before !== null && this.#missing(before).length === 0) return { measured: before };
    const measured = await unlessTaken(this.#pathOf(run), print, () => this.#make(run, say));
    if (measured === null) return "elsewhere";
    const values = plan.metrics.map((metric) => `${metric} ${measured.values[metric]?.toPrecision(5) ?? "not finite"}`);
    say(`${values.join(", ")} of ${plan.images} images`);
    return { measured };
  }

  dispose(): void {
    this.#tools?.extractor.dispose();
  }

  #pathOf({ name }: ComparedRun): string {
    return join(this.#options.outdir, "measures", `${name}.metrics.json`);
  }

  async #stored(run: ComparedRun): Promise<MeasuredSamples | null> {
    const path = this.#pathOf(run);
    const stored = await readStored<MeasuredSamples>(path, ["settings", "space", "values"]);
    if (stored !== null) requireSame(path, stored, run);
    return stored;
  }

  #missing(stored: MeasuredSamples | null): readonly MetricName[] {
    return this.#options.plan.metrics.filter((metric) => stored?.values[metric] === undefined);
  }

  async #make(run: ComparedRun, say: (text: string) => void): Promise<MeasuredSamples> {
    const { plan, dataset, length, deviceFor } = this.#options;
    const { images, steps } = plan;
    const { settings, side, name } = run;
    // Another process may have finished it just now; other metrics may be there.
    const before = await this.#stored(run);
    const missing = this.#missing(before);
    if (before !== null && missing.length === 0) return before;
    if (!(await exists(settings.outdir))) {
      throw new EvenkeelError(
        "file",
        `compare: ${settings.outdir} isn't there any more, and ${missing.join(", ")} of its images wasn't measured. ` +
          `Remove measures/${name}.json, and it is trained anew.`,
      );
    }
    say(`sampling ${images} images`);
    const device = await deviceFor(run);
    const { extractor, meter, space } = (this.#tools ??= await this.#prepare(device));
    if (before !== null) requireSameSamples([before, { space }], this.#pathOf(run));
    const { training } = splitForRun(dataset, settings);
    const { network } = trainingOptions(settings, training);
    const stored = await StoredAverages.of(settings.outdir, network, "compare");
    const [weights] = await stored.at(stored.times.at(-1) ?? 0, [length]);
    if (weights === undefined) throw new RangeError("one length gives one average");
    const denoiser = await DenoiserProgram.create(network, weights, device);
    try {
      const labels = network.unet.labelDim === 0 ? null : seenLabels(training);
      const pictures = networkSource(
        { config: network, denoiser, seenLabels: labels },
        { net: name, steps, networkBatch: Math.min(batch, images) },
        firstImage(settings.seed, images),
        images,
      );
      const set = await featuresOf(extractor, pictures, { kept: images, batch, onImages: imageProgress() });
      const { values } = await meter.measure(set, missing, { kid: { seed: settings.seed % 2 ** 32 } });
      const own = Object.fromEntries(missing.map((metric) => [metric, finite(values[metric] ?? NaN)]));
      const all = { ...before?.values, ...own };
      const kept = { side: side.name, seed: settings.seed, settings: settingsKept(settings) };
      const measured: MeasuredSamples = { ...kept, space, values: all };
      await writeText(this.#pathOf(run), `${JSON.stringify(measured)}\n`);
      return measured;
    } finally {
      denoiser.dispose();
    }
  }

  async #prepare(device: Device): Promise<Tools> {
    const { plan, dataset, data, outdir, print } = this.#options;
    const features = await dataFeatures(plan.features, { data, outdir }, device, print);
    const extractor = await featureExtractor(features, dataset, { device, print });
    const order = chooseIndices(dataset.count, dataset.count, 0);
    const collecting = { kept: keptReferences, batch, onImages: imageProgress() };
    const reference = await featuresOf(extractor, imageSource(dataset, order), collecting);
    const space = { ...reference.space, description: extractor.describe(), references: dataset.count };
    return { extractor, meter: new MetricMeter(reference), space };
  }
}

/** The seed of a run's first image: both runs of a pair have the same, and no other pair has one of them. */
function firstImage(seed: number, images: number): number {
  return (seed % 2 ** 32) * images;
}

/**
 * Checks that images were measured in one space: a file of features may have been changed.
 * @param remedy what to remove, so that it is measured anew
 * @throws EvenkeelError `value`
 */
export function requireSameSamples(measured: readonly Pick<MeasuredSamples, "space">[], remedy: string): void {
  const [first, ...others] = measured;
  const text = ({ space }: Pick<MeasuredSamples, "space">): string =>
    `${space.name} (fingerprint ${space.fingerprint}, against ${space.references} images)`;
  const other = others.find((each) => first !== undefined && text(each) !== text(first));
  if (first === undefined || other === undefined) return;
  throw new EvenkeelError(
    "value",
    `compare: images were measured in ${text(first)}, and others in ${text(other)}: these can't be compared. Remove ${remedy}, ` +
      "and they are measured anew.",
  );
}
