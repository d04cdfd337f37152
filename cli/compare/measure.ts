import { defaultSettings, splitForRun, trainingOptions, type TrainSettings } from "../../diffusion/settings/index.ts";
import type { ImageDataset } from "../../diffusion/data/index.ts";
import { dynamicsFileName, readDynamicsFile } from "../../diffusion/dynamics/index.ts";
import { readStats, statsFileName } from "../../diffusion/run/index.ts";
import { type Device, EvenkeelError } from "../../engine/index.ts";
import { diskFolder } from "../../engine/io/node.ts";
import { StoredAverages } from "../runs/averages.ts";
import {
  finite,
  placeCurves,
  type PlaceCurves,
  type RunCurve,
  trainingSeconds,
  validationCurve,
} from "../runs/curves.ts";
import { HeldOutMeter } from "../runs/heldOutMeter.ts";
import type { ComparedRun } from "./sides.ts";

/** Everything that a comparison keeps of a run that has finished. */
export type MeasuredRun = {
  readonly side: string;
  readonly seed: number;
  /** What it was trained with, but for places. */
  readonly settings: MeasuredSettings;
  /** Weighted error of the held-out images, mean over noise levels; null if it isn't finite. */
  readonly error: number | null;
  readonly levels: readonly { readonly sigma: number; readonly error: number | null }[];
  /** The same error while it trained, with the shortest stored average, at the run's own noise levels. */
  readonly validation: RunCurve;
  /** Root mean squares of activations and effective rates at each place, mean over layers. */
  readonly activations: PlaceCurves;
  readonly updates: PlaceCurves;
  readonly trainingSeconds: number;
};

export type MeasuredSettings = Omit<TrainSettings, "data" | "outdir">;

/** Settings as they are kept with what was measured. */
export function settingsKept({ data: _, outdir: __, ...settings }: TrainSettings): MeasuredSettings {
  return settings;
}

/** What all sides are measured by. */
export type Yardstick = {
  readonly dataset: ImageDataset;
  /** Noise levels, the same for all sides. */
  readonly sigmas: readonly number[];
  /** Length of the average, sigma_rel. */
  readonly length: number;
};

/** What is known of a run whose loss became infinite or NaN. */
export async function divergedRun({ side, settings }: ComparedRun): Promise<MeasuredRun> {
  const stats = await readStats(diskFolder(settings.outdir).file(statsFileName));
  const none = { error: null, levels: [], activations: [], updates: [], trainingSeconds: 0 };
  return {
    side: side.name,
    seed: settings.seed,
    settings: settingsKept(settings),
    validation: validationCurve(stats),
    ...none,
  };
}

/** Measures a run that has finished. */
export async function measureRun(run: ComparedRun, yardstick: Yardstick, device: Device): Promise<MeasuredRun> {
  const { side, settings } = run;
  const { dataset, sigmas, length } = yardstick;
  const { training, validation } = splitForRun(dataset, settings);
  if (validation === null) throw new RangeError("a comparison holds images out");
  const { network } = trainingOptions(settings, training);
  const folder = diskFolder(settings.outdir);
  const stats = await readStats(folder.file(statsFileName));
  const dynamics = await readDynamicsFile(folder.file(dynamicsFileName));
  const stored = await StoredAverages.of(settings.outdir, network, "compare");
  const [weights] = await stored.at(stored.times.at(-1) ?? 0, [length]);
  if (weights === undefined) throw new RangeError("one length gives one average");
  const meter = new HeldOutMeter(network, device, validation, sigmas);
  try {
    const { error, levels } = await meter.measure(weights);
    return {
      side: side.name,
      seed: settings.seed,
      settings: settingsKept(settings),
      error: finite(error),
      levels: levels.map((level) => ({ sigma: level.sigma, error: finite(level.error) })),
      validation: validationCurve(stats),
      activations: placeCurves(dynamics, "activation", "mean"),
      updates: placeCurves(dynamics, "update", "mean"),
      trainingSeconds: trainingSeconds(stats),
    };
  } finally {
    meter.dispose();
  }
}

/** @throws EvenkeelError `value` if what was measured is of a run with other settings: a file of settings may have been changed. */
export function requireSame(path: string, measured: Pick<MeasuredRun, "settings">, { settings }: ComparedRun): void {
  // What an older program didn't know was as it is by default.
  const kept = { ...defaultSettings(settings.duration, settings.batch), ...measured.settings };
  const before = new Map<string, unknown>(Object.entries(kept));
  const now = new Map<string, unknown>(Object.entries(settingsKept(settings)));
  for (const name of new Set([...before.keys(), ...now.keys()])) {
    const [was, is] = [before, now].map((each) => (each.has(name) ? JSON.stringify(each.get(name)) : "absent"));
    if (was === is) continue;
    throw new EvenkeelError(
      "value",
      `compare: ${path} is of a run with ${name} ${was}, and now it is ${is}. Give the change another name, or take another folder.`,
    );
  }
}
