import { join } from "node:path";
import {
  type ImageDataset,
  type StepStatistics,
  type Trainer,
  type TrainingOptions,
  validationSigmas,
  Validator,
  wholeBatch,
} from "../../diffusion/index.ts";
import { defaultScale, type FinishedRun, GridSampler, type RunObserver } from "../../diffusion/node.ts";
import type { Device } from "../../engine/index.ts";
import type { TrainSettings } from "./settings.ts";

type Watched = {
  readonly settings: TrainSettings;
  readonly training: TrainingOptions;
  readonly dataset: ImageDataset;
  readonly validation: ImageDataset | null;
  readonly device: Device;
  readonly print: (line: string) => void;
};

/** Everything that is measured, drawn and told while a run goes. */
export class RunWatch {
  readonly observer: RunObserver;
  readonly #watched: Watched;
  readonly #sampler: GridSampler;
  readonly #validator: Validator | null;
  #steps: StepStatistics[] = [];
  #since = performance.now();

  constructor(watched: Watched) {
    this.#watched = watched;
    const { training, device, validation } = watched;
    const { imageResolution } = training.network.unet;
    this.#sampler = new GridSampler(training.network, device, {
      columns: 8,
      steps: 16,
      scale: defaultScale(imageResolution),
    });
    this.#validator = validation === null ? null : new Validator(training.network, device, training.batchDevice);
    this.observer = {
      stepped: (step) => void this.#steps.push(step),
      status: (nimg) => this.#status(nimg),
      samples: (trainer) => this.#samples(trainer),
      validation: (trainer) => this.#validate(trainer),
      warned: watched.print,
    };
  }

  #status(nimg: number): void {
    const { settings, print } = this.#watched;
    const mean = (of: (step: StepStatistics) => number): number =>
      this.#steps.reduce((sum, step) => sum + of(step), 0) / this.#steps.length;
    const seconds = (performance.now() - this.#since) / 1000;
    const speed = (this.#steps.length * settings.batch) / seconds;
    const left = (settings.duration - nimg) / speed;
    print(
      `${String(nimg).padStart(8)} images  error ${mean(({ error }) => error).toFixed(4)}  loss ${mean(({ loss }) => loss).toFixed(3)}  ` +
        `${speed.toFixed(0)} img/s  ${Math.ceil(left / 60)} min left`,
    );
    this.#steps = [];
    this.#since = performance.now();
  }

  async #samples(trainer: Trainer): Promise<void> {
    const path = join(
      this.#watched.settings.outdir,
      `samples-${String(Math.floor(trainer.nimg / 1000)).padStart(7, "0")}.png`,
    );
    await this.#sampler.write(path, Object.fromEntries(await trainer.readNetwork(0)));
  }

  async #validate(trainer: Trainer): Promise<void> {
    const { validation, training, print } = this.#watched;
    if (this.#validator === null || validation === null) return;
    const weights = Object.fromEntries(await trainer.readNetwork(0));
    const errors = await this.#validator.measure(weights, wholeBatch(validation), validationSigmas(training.noise));
    print(`validation  ${errors.map(({ sigma, error }) => `${sigma.toPrecision(2)}: ${error.toFixed(3)}`).join("  ")}`);
  }

  async finished(_run: FinishedRun): Promise<void> {
    // The report is written here.
  }

  dispose(): void {
    this.#sampler.dispose();
    this.#validator?.dispose();
  }
}
