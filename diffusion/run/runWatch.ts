import * as z from "zod";
import { type Device, randomKey, tensor } from "../../engine/index.ts";
import { type Folder, type StoredFile, writeText } from "../../engine/io/index.ts";
import { type TrainingDataset, wholeBatch } from "../data/index.ts";
import { type DynamicsHeader, type DynamicsSample, placeOfLayer } from "../dynamics/index.ts";
import { countNetwork } from "../network/index.ts";
import { encodePng, type Picture } from "../sample/index.ts";
import { formatSettings, settingsFileName, type TrainSettings } from "../settings/index.ts";
import {
  type LayerMagnitude,
  MagnitudeProbe,
  type StepStatistics,
  type Trainer,
  type TrainingOptions,
  type ValidationError,
  validationSigmas,
  Validator,
} from "../training/index.ts";
import { gridBatch, gridLayout, gridSeconds, gridSteps } from "./runGrids.ts";
import { type GridLayout, GridSampler } from "./sampleGrid.ts";
import { RunningMean, type StatsEntry, statsFileName, StatsLog } from "./statsLog.ts";
import type { RunObserver } from "./trainingRun.ts";

/** Where a run stands: images seen, means since the last status line, and images a second. */
export type Standing = { readonly nimg: number; readonly error: number; readonly loss: number; readonly speed: number };

/** What a watch tells of its run. Promises are awaited: the run goes on after them. */
export type RunListener = {
  /** The files are open. The run goes on from `nimg` images, and tells of `next` and more, as `RunObserver.started` says. */
  readonly started?: (nimg: number, next: number) => void | Promise<void>;
  /** After every step, when its report was read. */
  readonly stepped?: (step: StepStatistics, standing: Standing) => void;
  /** A line was added to `stats.jsonl`. */
  readonly status?: (standing: Standing, entry: StatsEntry, time: Date) => void | Promise<void>;
  /** A grid is going to be drawn, which takes about so many seconds; NaN = nobody knows. */
  readonly sampling?: (file: StoredFile, layout: GridLayout, seconds: number) => void;
  /** A grid was drawn, and written as this PNG. */
  readonly samples?: (nimg: number, picture: Picture, png: Uint8Array) => void | Promise<void>;
  readonly magnitudes?: (nimg: number, layers: readonly LayerMagnitude[]) => void;
  /** The error of held-out images at each noise level. */
  readonly validation?: (nimg: number, errors: readonly ValidationError[]) => void;
  readonly dynamics?: (sample: DynamicsSample, header: DynamicsHeader) => void;
  readonly wrote?: (what: "snapshot" | "checkpoint", file: StoredFile) => void | Promise<void>;
  readonly warned?: (message: string) => void;
  /** How far something is that may take long. @param total null: nobody knows. */
  readonly work?: (what: string, done: number, total: number | null) => void;
  /** The run waits at its gate: all steps before were told of. */
  readonly paused?: (nimg: number) => void;
  readonly resumed?: (nimg: number) => void;
};

/** What is watched, where its files go, and who is told. */
export type RunWatchOptions = {
  readonly settings: TrainSettings;
  readonly training: TrainingOptions;
  /** What is trained on. */
  readonly images: TrainingDataset;
  /** What is held out. */
  readonly validation: TrainingDataset | null;
  readonly device: Device;
  /** The run's. */
  readonly folder: Folder;
  /** What grids show. Changes nothing of the training. Default: `gridLayout` in 16 steps. */
  readonly layout?: GridLayout;
  /** GiB of memory that the process has; left out where nobody can tell. */
  readonly memory?: () => number;
  readonly listener: RunListener;
};

/** Bytes of weights from which a network is large. */
const largeWeights = 2 ** 26;

/**
 * Everything that is measured and drawn while a run goes: it writes the run's settings, `stats.jsonl` and `samples-N.png`, and tells a
 * listener. Changes nothing of the training. Dispose of it.
 */
export class RunWatch {
  /** For `runTraining`. */
  readonly observer: RunObserver;
  readonly #options: RunWatchOptions;
  readonly #layout: GridLayout;
  readonly #sampler: GridSampler;
  readonly #validator: Validator | null;
  readonly #probe: MagnitudeProbe;
  #means = newMeans();
  #log: StatsLog | undefined;
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
  /** Seconds of the whole run before this process, less those that it waited at its gate. */
  #secondsBefore = 0;
  readonly #started = performance.now();

  constructor(options: RunWatchOptions) {
    this.#options = options;
    const { training, images, device, validation, listener } = options;
    this.#layout = options.layout ?? gridLayout(training, images, gridSteps.training);
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
      dynamics: (sample, header) => listener.dynamics?.(sample, header),
      wrote: (what, file) => listener.wrote?.(what, file),
      warned: (message) => listener.warned?.(message),
      progress: () => this.#progress(),
      paused: (nimg) => listener.paused?.(nimg),
      resumed: (nimg, milliseconds) => {
        this.#secondsBefore -= milliseconds / 1000;
        listener.resumed?.(nimg);
      },
    };
  }

  async #begin(nimg: number, kept: Readonly<Record<string, unknown>>, next: number): Promise<void> {
    const { settings, folder, listener } = this.#options;
    if (nimg > 0) this.#restore(kept);
    // Not before: a folder whose run has other settings keeps its own.
    await writeText(folder.file(settingsFileName), formatSettings(settings));
    this.#log = await StatsLog.open(folder.file(statsFileName), next);
    await listener.started?.(nimg, next);
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
    const { settings, listener } = this.#options;
    // Most of a first step goes by before any image is through.
    if (!this.#isWarm && images === 0) {
      listener.work?.("first step, which compiles the network's kernels", 0, null);
    } else listener.work?.(`step after ${this.#nimg.toLocaleString("en")} images`, images, settings.batch);
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
    const { settings, listener } = this.#options;
    // The first step compiles, too.
    if (this.#isWarm) this.#speed = settings.batch / this.#secondsOfEach;
    this.#isWarm = true;
    listener.stepped?.(step, { ...this.#standing(step.nimg), loss: step.loss });
  }

  #standing(nimg: number): Standing {
    const speed = (this.#steps * this.#options.settings.batch) / this.#stepSeconds;
    return { nimg, error: this.#means.error.mean ?? NaN, loss: this.#means.loss.mean ?? NaN, speed };
  }

  async #status(nimg: number): Promise<void> {
    const { listener, memory } = this.#options;
    const { error, loss, gradientNorm } = this.#means;
    const standing = this.#standing(nimg);
    const { speed } = standing;
    const now = new Date();
    const entry: StatsEntry = {
      nimg,
      "Progress/kimg": nimg / 1000,
      "Timing/total_sec": this.#seconds(),
      "Timing/sec_per_kimg": 1000 / speed,
      "Timing/images_per_sec": speed,
      ...(memory === undefined ? {} : { "Resources/cpu_mem_gb": memory() }),
      "Loss/loss": loss.summary(),
      "Loss/error": error.summary(),
      "Loss/learning_rate": this.#last?.learningRate ?? 0,
      "Loss/gradient_norm": gradientNorm.summary(),
      "Loss/non_finite_gradients": this.#nonFinite,
      ...this.#extra,
      timestamp: now.getTime() / 1000,
    };
    await this.#log?.append(entry);
    await listener.status?.(standing, entry, now);
    this.#means = newMeans();
    this.#extra = {};
    this.#steps = 0;
    this.#stepSeconds = 0;
  }

  async #samples(trainer: Trainer): Promise<void> {
    const { folder, listener } = this.#options;
    const file = folder.file(samplesFileName(trainer.nimg));
    listener.sampling?.(file, this.#layout, gridSeconds(this.#layout, this.#speed));
    const weights = Object.fromEntries(await trainer.readNetwork(0));
    const tell = (done: number, total: number): void =>
      listener.work?.(`sampling ${file.path}, evaluations of the network`, done, total);
    const { picture } = await this.#sampler.draw(weights, { guides: [] }, tell);
    const png = encodePng(picture);
    await file.write((sink) => sink.write(png));
    await listener.samples?.(trainer.nimg, picture, png);
    if (this.#isLarge) this.#sampler.dispose();
  }

  async #measureMagnitudes(trainer: Trainer): Promise<void> {
    const { images: dataset, training, listener } = this.#options;
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
    listener.magnitudes?.(trainer.nimg, layers);
  }

  async #validate(trainer: Trainer): Promise<void> {
    const { validation, training, listener } = this.#options;
    listener.work?.("measuring magnitudes", 0, null);
    await this.#measureMagnitudes(trainer);
    if (this.#validator === null || validation === null) return;
    const weights = Object.fromEntries(await trainer.readNetwork(0));
    const sigmas = validationSigmas(training.noise);
    const tell = (done: number, total: number): void =>
      listener.work?.("validating, images at noise levels", done, total);
    tell(0, sigmas.length * validation.count);
    const errors = await this.#validator.measure(weights, wholeBatch(validation), sigmas, tell);
    if (this.#isLarge) this.#validator.dispose();
    this.#extra["Validation/error"] = Object.fromEntries(
      errors.map(({ sigma, error }) => [sigma.toPrecision(3), error]),
    );
    listener.validation?.(trainer.nimg, errors);
  }

  /** Frees what it has on the device. */
  dispose(): void {
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
function samplesFileName(nimg: number): string {
  return `samples-${String(nimg).padStart(10, "0")}.png`;
}

/** Means over the layers of encoder and decoder at each resolution: `enc 16x16`. */
function meanByPlace(layers: readonly LayerMagnitude[], of: (layer: LayerMagnitude) => number): Record<string, number> {
  const places = new Map<string, RunningMean>();
  for (const layer of layers) {
    const place = placeOfLayer(layer.layer);
    if (place === null) continue;
    const mean = places.get(place) ?? new RunningMean();
    mean.add(of(layer));
    places.set(place, mean);
  }
  return Object.fromEntries([...places].map(([place, mean]) => [place, mean.mean ?? NaN]));
}
