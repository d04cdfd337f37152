import { splitForRun, type TrainSettings } from "../../diffusion/settings/index.ts";
import { type ImageDataset, wholeBatch } from "../../diffusion/data/index.ts";
import { curvesByPlace, dynamicsFileName, readDynamicsFile, type ReadingKind } from "../../diffusion/dynamics/index.ts";
import { powerProfile, reconstruct, snapshotsIn } from "../../diffusion/ema/index.ts";
import { type NetworkConfig, tensorsOfWeights } from "../../diffusion/network/index.ts";
import { readStats, statsFileName } from "../../diffusion/run/index.ts";
import { Validator } from "../../diffusion/training/index.ts";
import { type Device, EvenkeelError } from "../../engine/index.ts";
import { diskFolder } from "../../engine/io/node.ts";
import type { LadderCurve, PlaceCurves } from "../ladder/results.ts";
import { validationCurve } from "../ladder/measure.ts";

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
  readonly validation: LadderCurve;
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

export type Measuring = {
  readonly side: string;
  readonly settings: TrainSettings;
  readonly network: NetworkConfig;
  readonly dataset: ImageDataset;
  /** Noise levels, the same for all sides. */
  readonly sigmas: readonly number[];
  /** Length of the average, sigma_rel. */
  readonly length: number;
};

/** What is known of a run whose loss became infinite or NaN. */
export async function divergedRun({ side, settings }: Pick<Measuring, "side" | "settings">): Promise<MeasuredRun> {
  const stats = await readStats(diskFolder(settings.outdir).file(statsFileName));
  const none = { error: null, levels: [], activations: [], updates: [], trainingSeconds: 0 };
  return { side, seed: settings.seed, settings: settingsKept(settings), validation: validationCurve(stats), ...none };
}

/** Images that go through the network at once. */
const batch = 32;

/** Measures a run that has finished. */
export async function measureRun(of: Measuring, device: Device): Promise<MeasuredRun> {
  const { side, settings, network, dataset, sigmas, length } = of;
  const folder = diskFolder(settings.outdir);
  const { validation } = splitForRun(dataset, settings);
  if (validation === null) throw new RangeError("a comparison holds images out");
  const stats = await readStats(folder.file(statsFileName));
  const dynamics = await readDynamicsFile(folder.file(dynamicsFileName));
  const stored = await snapshotsIn(folder, { prefix: "network-snapshot" });
  const last = Math.max(...stored.map(({ profile }) => profile.nimg));
  const [average] = await reconstruct(stored, [powerProfile(last, length)], { dtype: "F32" });
  if (average === undefined) throw new EvenkeelError("file", `compare: ${settings.outdir} has no averages. Remove it.`);
  const validator = new Validator(network, device, Math.min(batch, validation.count));
  try {
    const weights = tensorsOfWeights(network, average.weights, settings.outdir);
    const levels = await validator.measure(weights, wholeBatch(validation), sigmas);
    const error = levels.reduce((sum, level) => sum + level.error, 0) / levels.length;
    const curves = (kind: ReadingKind): PlaceCurves =>
      dynamics === null
        ? []
        : curvesByPlace(dynamics, kind, "mean").map((curve) => ({ ...curve, values: curve.values.map(finite) }));
    const seconds = stats.at(-1)?.["Timing/total_sec"];
    return {
      side,
      seed: settings.seed,
      settings: settingsKept(settings),
      error: finite(error),
      levels: levels.map((level) => ({ sigma: level.sigma, error: finite(level.error) })),
      validation: validationCurve(stats),
      activations: curves("activation"),
      updates: curves("update"),
      trainingSeconds: typeof seconds === "number" ? seconds : 0,
    };
  } finally {
    validator.dispose();
  }
}

const finite = (value: number): number | null => (Number.isFinite(value) ? value : null);
