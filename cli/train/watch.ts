import { join } from "node:path";
import { countNetwork } from "../../diffusion/network/index.ts";
import type { TrainingDataset } from "../../diffusion/data/index.ts";
import type { TrainingOptions } from "../../diffusion/training/index.ts";
import {
  gridLayout,
  gridSteps,
  readStats,
  type RunListener,
  type RunObserver,
  RunWatch,
  type StatsEntry,
  statsFileName,
} from "../../diffusion/run/index.ts";
import { EventFile, type FinishedRun, type SummaryValue } from "../../diffusion/run/node.ts";
import type { Device } from "../../engine/index.ts";
import { diskFile, diskFolder } from "../../engine/io/node.ts";
import { describeCost } from "./grids.ts";
import type { Progress } from "./progress.ts";
import { reportOf } from "./reportOf.ts";
import { reportPage } from "./report.ts";
import type { TrainSettings } from "../../diffusion/settings/index.ts";
import { writeText } from "./writeText.ts";

export type Watched = {
  readonly settings: TrainSettings;
  readonly training: TrainingOptions;
  readonly dataset: TrainingDataset;
  readonly validation: TrainingDataset | null;
  readonly device: Device;
  readonly progress: Progress;
};

/** A run as the command shows it: lines, TensorBoard's events and, at the end, the report. */
export class CommandWatch {
  readonly #watched: Watched;
  readonly #watch: RunWatch;
  #events: EventFile | undefined;

  constructor(watched: Watched) {
    this.#watched = watched;
    const { settings, training, dataset: images, validation, device } = watched;
    this.#watch = new RunWatch({
      ...{ settings, training, images, validation, device },
      folder: diskFolder(settings.outdir),
      memory: () => process.memoryUsage().rss / 2 ** 30,
      listener: this.#listener(),
    });
  }

  /** For `runTraining`. */
  get observer(): RunObserver {
    return this.#watch.observer;
  }

  #listener(): RunListener {
    const { settings, progress } = this.#watched;
    return {
      started: async (nimg, next) => {
        this.#events = await EventFile.create(settings.outdir, new Date(), next);
        const seen = nimg.toLocaleString("en");
        if (nimg >= settings.duration + settings.batch) {
          const wanted = settings.duration.toLocaleString("en");
          progress.line(
            `Note               the run has seen ${seen} images, more than the ${wanted} of --duration: it stays as it is`,
          );
        } else if (nimg > 0) progress.line(`Going on after ${seen} images.`);
      },
      stepped: (_, standing) => progress.step(standing),
      status: async (standing, entry, time) => {
        await this.#events?.write(time, standing.nimg, scalarsOf(entry));
        progress.status(standing);
      },
      sampling: ({ path }, layout, seconds) => progress.begin(`sampling ${path}: ${describeCost(layout)}`, seconds),
      samples: async (nimg, { width, height }, png) => {
        await this.#events?.write(new Date(), nimg, [{ kind: "image", tag: "samples", png, width, height }]);
      },
      magnitudes: () => progress.end(),
      validation: (_, errors) => {
        const text = errors.map(({ sigma, error }) => `${sigma.toPrecision(2)}: ${error.toFixed(3)}`).join("  ");
        progress.line(`held-out error by sigma  ${text}`);
      },
      wrote: (what, { path }) => {
        if (what === "checkpoint") progress.line(`checkpoint  ${path}`);
      },
      warned: (message) => progress.line(message),
      work: (what, done, total) => progress.work(what, done, total),
    };
  }

  /** Writes the report of a finished run and gives its path. */
  async finished(run: FinishedRun): Promise<string> {
    const { settings, training, dataset, device } = this.#watched;
    const path = join(settings.outdir, "report.html");
    const stats = await readStats(diskFile(join(settings.outdir, statsFileName)));
    const count = countNetwork(training.network);
    const layout = gridLayout(training, dataset, gridSteps.final);
    await writeText(path, reportPage(await reportOf({ settings, dataset, device, stats, run, layout, count })));
    return path;
  }

  dispose(): void {
    this.#watched.progress.end();
    this.#watch.dispose();
  }
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
