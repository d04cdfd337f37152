import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { countNetwork } from "../../diffusion/network/index.ts";
import { type TrainingDataset, wholeBatch } from "../../diffusion/data/index.ts";
import {
  type LayerMagnitude,
  MagnitudeProbe,
  type StepStatistics,
  type Trainer,
  type TrainingOptions,
  validationSigmas,
  Validator,
} from "../../diffusion/training/index.ts";
import {
  type GridLayout,
  GridSampler,
  readStats,
  RunningMean,
  type RunObserver,
  type StatsEntry,
  statsFileName,
  StatsLog,
} from "../../diffusion/run/index.ts";
import { EventFile, type FinishedRun, type SummaryValue } from "../../diffusion/run/node.ts";
import { writePng } from "../../diffusion/sample/node.ts";
import { type Device, randomKey, tensor } from "../../engine/index.ts";
import { diskFile } from "../../engine/io/node.ts";
import { describeCost, estimatedSeconds, finalSteps, gridBatch, gridLayout, trainingSteps } from "./grids.ts";
import type { Progress } from "./progress.ts";
import { reportOf } from "./reportOf.ts";
import { reportPage } from "./report.ts";
import { formatSettings, settingsFileName, type TrainSettings } from "../../diffusion/settings/index.ts";
import { writeText } from "./writeText.ts";

export type Watched = {
  readonly settings: TrainSettings;
  readonly training: TrainingOptions;
  readonly dataset: TrainingDataset;
  readonly validation: TrainingDataset | null;
  readonly device: Device;
  readonly progress: Progress;
};

/** Bytes of weights from which a network is large. */
const largeWeights = 2 ** 26;

/** Everything that is measured, logged and drawn while a run goes. */
export class RunWatch {
  readonly observer: RunObserver;
  readonly #watched: Watched;
  readonly #layout: GridLayout;
  readonly #sampler: GridSampler;
  readonly #validator: Validator | null;
  readonly #probe: MagnitudeProbe;
  #means = newMeans();
  #log: StatsLog | undefined;
  #events: EventFile | undefined;
  #last: StepStatistics | undefined;
  /** Measurements for the next status line. */
  #extra: Record<string, Record<string, number | null>> = {};
  #nonFinite = 0;
  /** Of a large network nothing is kept on the device beside the training state: it is made anew when it is needed. */
  readonly #isLarge: boolean;
  /** Seconds that steps took since the last status line, and how many. */
  #stepSeconds = 0;
  #steps = 0;
  /** Images seen before the step under way. */
  #nimg = 0;
  /** Steps that have begun since the last one was told of, when the first of them did, and the seconds of each. */
  #begun = 0;
  #begunAt = 0;
  #secondsOfEach = 0;
  #isWarm = false;
  /** Images a second of the last step but the first. */
  #speed = Number.NaN;
  /** Seconds of the whole run before this process. */
  #secondsBefore = 0;
  readonly #started = performance.now();

  constructor(watched: Watched) {
    this.#watched = watched;
    const { training, dataset, device, validation, progress } = watched;
    this.#layout = gridLayout(training.network, dataset, trainingSteps);
    this.#sampler = new GridSampler(training.network, device, this.#layout, gridBatch(training));
    this.#isLarge = 4 * countNetwork(training.network).parameters > largeWeights;
    this.#validator = validation === null ? null : new Validator(training.network, device, training.batchDevice);
    this.#probe = new MagnitudeProbe(training, device, randomKey(training.seed));
    this.observer = {
      started: (_, nimg, progress, next) => this.#begin(nimg, progress, next),
      stepping: (nimg) => this.#stepping(nimg),
      part: (images) => this.#part(images),
      stepped: (step) => this.#stepped(step),
      status: (nimg) => this.#status(nimg),
      samples: (trainer) => this.#samples(trainer),
      validation: (trainer) => this.#validate(trainer),
      wrote: (what, { path }) => {
        if (what === "checkpoint") progress.line(`checkpoint  ${path}`);
      },
      warned: (message) => progress.line(message),
      progress: () => this.#progress(),
    };
  }

  async #begin(nimg: number, kept: Readonly<Record<string, unknown>>, next: number): Promise<void> {
    const { settings, progress } = this.#watched;
    if (nimg > 0) this.#restore(kept);
    // Not before: a folder whose run has other settings keeps its own.
    await writeText(join(settings.outdir, settingsFileName), formatSettings(settings));
    this.#log = await StatsLog.open(diskFile(join(settings.outdir, statsFileName)), next);
    this.#events = await EventFile.create(settings.outdir, new Date(), next);
    if (nimg > 0) progress.line(`Going on after ${nimg.toLocaleString("en")} images.`);
  }

  /** What the next status line says of steps before the checkpoint, so that a resumed run writes the line it would have. */
  #progress(): WatchProgress {
    const { error, loss, gradientNorm } = this.#means;
    return {
      means: { error: error.state, loss: loss.state, gradientNorm: gradientNorm.state },
      extra: this.#extra,
      nonFiniteGradients: this.#nonFinite,
      seconds: this.#seconds(),
    };
  }

  #restore(kept: Readonly<Record<string, unknown>>): void {
    const checked = watchProgress.safeParse(kept);
    // Checkpoints of a run that was not watched, or by an older program, have none.
    if (!checked.success) return;
    const { means, extra, nonFiniteGradients, seconds } = checked.data;
    this.#means = {
      error: new RunningMean(means.error),
      loss: new RunningMean(means.loss),
      gradientNorm: new RunningMean(means.gradientNorm),
    };
    this.#extra = extra;
    this.#nonFinite = nonFiniteGradients;
    this.#secondsBefore = seconds;
  }

  #seconds(): number {
    return this.#secondsBefore + (performance.now() - this.#started) / 1000;
  }

  #stepping(nimg: number): void {
    if (this.#begun === 0) this.#begunAt = performance.now();
    this.#begun += 1;
    this.#nimg = nimg;
    this.#part(0);
  }

  #part(images: number): void {
    const { settings, progress } = this.#watched;
    // Most of a first step goes by before any image is through.
    if (!this.#isWarm && images === 0) progress.work("first step, which compiles the network's kernels", 0, null);
    else progress.work(`step after ${this.#nimg.toLocaleString("en")} images`, images, settings.batch);
  }

  #stepped(step: StepStatistics): void {
    // Steps whose reports were read together took their time together.
    if (this.#begun > 0) this.#secondsOfEach = (performance.now() - this.#begunAt) / 1000 / this.#begun;
    this.#begun = 0;
    this.#stepSeconds += this.#secondsOfEach;
    this.#steps += 1;
    this.#last = step;
    this.#nonFinite += step.nonFiniteGradients;
    for (const name of ["error", "loss", "gradientNorm"] as const) this.#means[name].add(step[name]);
    const { settings, progress } = this.#watched;
    const speed = (this.#steps * settings.batch) / this.#stepSeconds;
    // The first step compiles, too.
    if (this.#isWarm) this.#speed = settings.batch / this.#secondsOfEach;
    this.#isWarm = true;
    progress.step({ nimg: step.nimg, error: this.#means.error.mean ?? NaN, loss: step.loss, speed });
  }

  async #status(nimg: number): Promise<void> {
    const { settings, progress } = this.#watched;
    const { error, loss, gradientNorm } = this.#means;
    const speed = (this.#steps * settings.batch) / this.#stepSeconds;
    const now = new Date();
    const entry: StatsEntry = {
      nimg,
      "Progress/kimg": nimg / 1000,
      "Timing/total_sec": this.#seconds(),
      "Timing/sec_per_kimg": 1000 / speed,
      "Timing/images_per_sec": speed,
      "Resources/cpu_mem_gb": process.memoryUsage().rss / 2 ** 30,
      "Loss/loss": loss.summary(),
      "Loss/error": error.summary(),
      "Loss/learning_rate": this.#last?.learningRate ?? 0,
      "Loss/gradient_norm": gradientNorm.summary(),
      "Loss/non_finite_gradients": this.#nonFinite,
      ...this.#extra,
      timestamp: now.getTime() / 1000,
    };
    await this.#log?.append(entry);
    await this.#events?.write(now, nimg, scalarsOf(entry));
    progress.status({ nimg, error: error.mean ?? NaN, loss: loss.mean ?? NaN, speed });
    this.#means = newMeans();
    this.#extra = {};
    this.#steps = 0;
    this.#stepSeconds = 0;
  }

  async #samples(trainer: Trainer): Promise<void> {
    const { settings, progress } = this.#watched;
    const path = join(settings.outdir, samplesName(trainer.nimg));
    const seconds = estimatedSeconds(this.#layout, this.#speed);
    progress.begin(`sampling ${path}: ${describeCost(this.#layout)}`, seconds);
    const weights = Object.fromEntries(await trainer.readNetwork(0));
    const tell = (done: number, total: number): void =>
      progress.work(`sampling ${path}, evaluations of the network`, done, total);
    const { picture } = await this.#sampler.draw(weights, { guides: [] }, tell);
    await writePng(path, picture);
    const [png, { width, height }] = [await readFile(path), picture];
    await this.#events?.write(new Date(), trainer.nimg, [{ kind: "image", tag: "samples", png, width, height }]);
    if (this.#isLarge) this.#sampler.dispose();
  }

  async #measureMagnitudes(trainer: Trainer): Promise<void> {
    const { dataset, training } = this.#watched;
    const { network, batchDevice } = training;
    const { imageChannels, imageResolution, labelDim } = network.unet;
    const count = Math.min(batchDevice, 32, dataset.count);
    const { images, labels } = wholeBatch(dataset, count);
    const batch = {
      images: tensor(images, { shape: [count, imageChannels, imageResolution, imageResolution] }),
      labels: labels === null || labelDim === 0 ? null : tensor(labels, { shape: [count, labelDim] }),
      positions: tensor(Uint32Array.from({ length: count }, (_, i) => i)),
    };
    const layers = await this.#probe.measure(Object.fromEntries(await trainer.readNetwork("raw")), batch);
    this.#extra["Magnitude/activation"] = meanByPlace(layers, ({ activation }) => activation);
    this.#extra["Magnitude/weight"] = meanByPlace(layers, ({ weight }) => weight);
    if (this.#isLarge) this.#probe.dispose();
  }

  async #validate(trainer: Trainer): Promise<void> {
    const { validation, training, progress } = this.#watched;
    progress.work("measuring magnitudes", 0, null);
    await this.#measureMagnitudes(trainer);
    progress.end();
    if (this.#validator === null || validation === null) return;
    const weights = Object.fromEntries(await trainer.readNetwork(0));
    const sigmas = validationSigmas(training.noise);
    const tell = (done: number, total: number): void =>
      progress.work("validating, images at noise levels", done, total);
    tell(0, sigmas.length * validation.count);
    const errors = await this.#validator.measure(weights, wholeBatch(validation), sigmas, tell);
    if (this.#isLarge) this.#validator.dispose();
    this.#extra["Validation/error"] = Object.fromEntries(
      errors.map(({ sigma, error }) => [sigma.toPrecision(3), error]),
    );
    const text = errors.map(({ sigma, error }) => `${sigma.toPrecision(2)}: ${error.toFixed(3)}`).join("  ");
    progress.line(`held-out error by sigma  ${text}`);
  }

  /** Writes the report of a finished run and gives its path. */
  async finished(run: FinishedRun): Promise<string> {
    const { settings, training, dataset, device } = this.#watched;
    const path = join(settings.outdir, "report.html");
    const stats = await readStats(diskFile(join(settings.outdir, statsFileName)));
    const count = countNetwork(training.network);
    const layout = gridLayout(training.network, dataset, finalSteps);
    await writeText(path, reportPage(await reportOf({ settings, dataset, device, stats, run, layout, count })));
    return path;
  }

  dispose(): void {
    this.#watched.progress.end();
    this.#sampler.dispose();
    this.#validator?.dispose();
    this.#probe.dispose();
  }
}

const newMeans = (): Record<"error" | "loss" | "gradientNorm", RunningMean> => ({
  error: new RunningMean(),
  loss: new RunningMean(),
  gradientNorm: new RunningMean(),
});

const meanState = z.object({ num: z.number(), sum: z.number(), squares: z.number(), nonFinite: z.number() });

/** What a checkpoint keeps for the watch of the run that goes on from it. */
const watchProgress = z.object({
  means: z.object({ error: meanState, loss: meanState, gradientNorm: meanState }),
  extra: z.record(z.string(), z.record(z.string(), z.number().nullable())),
  nonFiniteGradients: z.number(),
  seconds: z.number(),
});

type WatchProgress = z.infer<typeof watchProgress>;

/** The grid drawn after so many images, exactly: a short run draws several within a thousand. */
function samplesName(nimg: number): string {
  return `samples-${String(nimg).padStart(10, "0")}.png`;
}

/** Every number of an entry with its name; numbers of a group are joined to it. */
function scalarsOf(entry: StatsEntry): SummaryValue[] {
  return Object.entries(entry).flatMap(([name, value]): SummaryValue[] => {
    if (typeof value === "number") return name.includes("/") ? [{ kind: "scalar", tag: name, value }] : [];
    if (value === null || !("mean" in value)) {
      return Object.entries(value ?? {}).map(([key, each]) => ({
        kind: "scalar",
        tag: `${name}/${key}`,
        value: each ?? NaN,
      }));
    }
    return [{ kind: "scalar", tag: name, value: value["mean"] ?? NaN }];
  });
}

/** Means over the layers of encoder and decoder at each resolution: `enc 16x16`. */
function meanByPlace(layers: readonly LayerMagnitude[], of: (layer: LayerMagnitude) => number): Record<string, number> {
  const places = new Map<string, RunningMean>();
  for (const layer of layers) {
    const match = /^(enc|dec)\.(\d+x\d+)_/.exec(layer.layer);
    if (match === null) continue;
    const place = `${match[1] ?? ""} ${match[2] ?? ""}`;
    const mean = places.get(place) ?? new RunningMean();
    mean.add(of(layer));
    places.set(place, mean);
  }
  return Object.fromEntries([...places].map(([place, mean]) => [place, mean.mean ?? NaN]));
}
