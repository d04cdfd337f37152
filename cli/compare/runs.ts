import { join } from "node:path";
import type { ImageDataset } from "../../diffusion/data/index.ts";
import { defaultSettings, splitForRun, trainingOptions, type TrainSettings } from "../../diffusion/settings/index.ts";
import { validationSigmas } from "../../diffusion/training/index.ts";
import { type Device, EvenkeelError } from "../../engine/index.ts";
import { readStored } from "../storedJson.ts";
import { deviceOf, train } from "../train/train.ts";
import { writeText } from "../train/writeText.ts";
import type { ProgressStream } from "../workProgress.ts";
import { divergedRun, measureRun, type MeasuredRun, type MeasuredSettings, settingsKept } from "./measure.ts";
import { type Run, runName } from "./sides.ts";

export type RunsOptions = {
  readonly outdir: string;
  readonly dataset: ImageDataset;
  /** The base's, for the noise levels at which all sides are measured. */
  readonly baseSettings: TrainSettings;
  /** Length of the average that is measured, sigma_rel. */
  readonly length: number;
  readonly output: ProgressStream;
  readonly print: (line: string) => void;
};

/** Trains and measures the runs of a comparison, each once: what is there from before is taken. */
export class Runs {
  readonly #options: RunsOptions;
  #device: Device | undefined;

  constructor(options: RunsOptions) {
    this.#options = options;
  }

  /** @param where what messages call it. @returns null if it was asked to stop. @throws EvenkeelError `file`. */
  async measured({ side, seed, settings }: Run, where: string): Promise<MeasuredRun | null> {
    const { outdir, dataset, baseSettings, length, output, print } = this.#options;
    const name = runName(side, seed);
    const path = join(outdir, "measures", `${name}.json`);
    let measured = await readStored<MeasuredRun>(path, ["error", "levels", "settings"]);
    // A file of settings may have been changed, and the run still has its name.
    if (measured !== null) requireSame(path, measured.settings, settingsKept(settings));
    if (measured === null) {
      print(`${where} ${name}: training`);
      const { P_mean: mean, P_std: standardDeviation } = baseSettings;
      const sigmas = validationSigmas({ mean, standardDeviation });
      const training = trainingOptions(settings, splitForRun(dataset, settings).training);
      const of = { side: side.name, settings, network: training.network, dataset, sigmas, length };
      try {
        if (!(await train(settings, { withReport: false, output }))) return null;
        this.#device ??= (await deviceOf(settings, training)).device;
        measured = await measureRun(of, this.#device);
      } catch (reason) {
        if (!(reason instanceof EvenkeelError) || reason.code !== "diverged") throw reason;
        print(`${where} ${name}: ${reason.message}`);
        measured = await divergedRun(of);
      }
      await writeText(path, `${JSON.stringify(measured)}\n`);
    }
    print(`${where} ${name}: error ${measured.error === null ? "not finite" : measured.error.toPrecision(5)}`);
    return measured;
  }

  dispose(): void {
    this.#device?.dispose();
  }
}

function requireSame(path: string, kept: MeasuredSettings, wanted: MeasuredSettings): void {
  const [before, now] = [
    // What an older program didn't know was as it is by default.
    new Map<string, unknown>(Object.entries({ ...defaultSettings(wanted.duration, wanted.batch), ...kept })),
    new Map<string, unknown>(Object.entries(wanted)),
  ];
  for (const name of new Set([...before.keys(), ...now.keys()])) {
    const [was, is] = [before, now].map((settings) =>
      settings.has(name) ? JSON.stringify(settings.get(name)) : "absent",
    );
    if (was === is) continue;
    throw new EvenkeelError(
      "value",
      `compare: ${path} is of a run with ${name} ${was}, and now it is ${is}. Give the change another name, or take another folder.`,
    );
  }
}
