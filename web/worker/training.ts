/** A run in a worker: from settings to what `runTraining` does, and what it tells the page. */
import { type GridLayout, gridRows, gridScale, runTraining, RunWatch, StepGate } from "../../diffusion/run/index.ts";
import { seenLabels, type TrainingDataset } from "../../diffusion/data/index.ts";
import { createRunDevice, runOptions, splitForRun, trainingOptions } from "../../diffusion/settings/index.ts";
import { checkTrainingOptions, type TrainingOptions } from "../../diffusion/training/index.ts";
import { messageOf, resolveDeviceName } from "../../engine/index.ts";
import { openDataset } from "./datasets.ts";
import type { RunListener, RunStart } from "./messages.ts";
import { runFolder, withRun } from "./storage.ts";
import { pointOf } from "./storedRuns.ts";

/** Milliseconds between two lines of progress. */
const pace = 1000;

/** Milliseconds without a step after which it is said what takes so long. */
const patience = 700;

/** A grid that is drawn while one looks: four of a class, by 8 steps. */
function gridOf({ network: { unet } }: TrainingOptions, images: TrainingDataset): GridLayout {
  const columns = 4;
  const rows = gridRows(unet.labelDim, seenLabels(images), columns);
  return { rows, columns, steps: 8, scale: gridScale(unet.imageResolution) };
}

export class Training {
  readonly gate: StepGate;
  readonly #start: RunStart;
  readonly #tell: RunListener;
  readonly #stop = new AbortController();

  constructor(start: RunStart, tell: RunListener) {
    this.#start = start;
    this.gate = new StepGate(start.isPaused);
    this.#tell = tell;
  }

  stop(): void {
    this.#stop.abort();
  }

  /** Trains, unless another tab does so. Whatever happens is told. */
  async run(): Promise<void> {
    const { name } = this.#start;
    const failed = (reason: unknown): void => this.#tell({ kind: "failed", message: messageOf(reason) });
    // What is thrown beside is that somebody else has it.
    await withRun(name, () => this.#train().catch(failed)).catch(() => this.#tell({ kind: "elsewhere" }));
  }

  async #train(): Promise<void> {
    const { name, settings } = this.#start;
    const tell = this.#tell;
    tell({ kind: "preparing", what: "reading the images" });
    const dataset = await openDataset(settings.data);
    const { training: images, validation } = splitForRun(dataset, settings);
    const training = trainingOptions(settings, images);
    checkTrainingOptions(training);
    tell({ kind: "preparing", what: "compiling the network" });
    const device = await createRunDevice(await resolveDeviceName(settings.device ?? "wasm"), settings);
    const folder = await runFolder(name);
    let told = 0;
    const watch = new RunWatch({
      settings: { ...settings, outdir: `runs/${name}` },
      training,
      images,
      validation,
      device,
      folder,
      layout: gridOf(training, images),
      listener: {
        started: (nimg) => tell({ kind: "started", nimg, device: `${device.name}: ${device.description}` }),
        stepped: (_, { nimg, speed }) => {
          const now = performance.now();
          if (now - told < pace && !this.gate.isPaused) return;
          told = now;
          tell({ kind: "progress", nimg, imagesPerSecond: Number.isFinite(speed) ? speed : null });
        },
        status: (_, entry) => tell({ kind: "status", point: pointOf(entry) }),
        samples: (nimg) => tell({ kind: "grid", nimg }),
        dynamics: (sample, header) => tell({ kind: "dynamics", header, sample }),
        wrote: (what, { name: file }) => tell({ kind: "wrote", what, file }),
        warned: (text) => tell({ kind: "note", text }),
        work: (what, done, total) => {
          if (performance.now() - told > patience) tell({ kind: "working", what, done, total });
        },
        paused: (nimg) => tell({ kind: "paused", nimg }),
        resumed: () => tell({ kind: "resumed" }),
      },
    });
    try {
      const options = runOptions(settings, { dataset, images }, training, { folder, device });
      const { nimg, finished } = await runTraining(
        { ...options, gate: this.gate, signal: this.#stop.signal },
        watch.observer,
      );
      tell({ kind: "ended", nimg, finished });
    } finally {
      watch.dispose();
      device.dispose();
    }
  }
}
