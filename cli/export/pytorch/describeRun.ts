/** What `train.py` has to know of a run, as the files it reads. */
import { isLatent, type SeenLabels, type TrainingDataset } from "../../../diffusion/data/index.ts";
import { vaeWhitening } from "../../../diffusion/encoding/index.ts";
import { formatSigmaRel } from "../../../diffusion/ema/index.ts";
import { type SnapshotDtype, trainedAs } from "../../../diffusion/snapshot/index.ts";
import { describeDenoiser } from "../../../diffusion/network/index.ts";
import { stepSchedule, type TrainingOptions } from "../../../diffusion/training/index.ts";
import { EvenkeelError, treeLeaves } from "../../../engine/index.ts";
import { type Folder, type LazyTensor, writeTensors } from "../../../engine/io/index.ts";
import { flattenParameters, type ParameterSpec } from "../../../nn/index.ts";

/** What is exported of a run. */
export type ExportedRun = {
  readonly training: TrainingOptions;
  readonly images: TrainingDataset;
  /** Images seen. */
  readonly nimg: number;
  readonly duration: number;
  readonly seed: number;
  readonly xflip: boolean;
  readonly intervals: { readonly status: number; readonly snapshot: number; readonly checkpoint: number };
  readonly snapshotDtype: SnapshotDtype;
  readonly classNames: readonly string[] | null;
  readonly seenLabels: SeenLabels | null;
  /** What a checkpoint says that mustn't change. */
  readonly fixed: Readonly<Record<string, unknown>>;
  /** Shapes of the state's arrays. */
  readonly arrays: ReadonlyMap<string, readonly number[]>;
};

const version = 1;

/** `run.json`. */
export function describeForLoop(run: ExportedRun): string {
  const { training, images, classNames, seenLabels, fixed } = run;
  const { network, emaSigmaRels } = training;
  return JSON.stringify(
    {
      version,
      batch: training.batch,
      duration: run.duration,
      seed: run.seed,
      xflip: run.xflip,
      labelDim: network.unet.labelDim,
      whitening: isLatent(images) ? vaeWhitening() : null,
      intervals: run.intervals,
      snapshots: {
        dtype: run.snapshotDtype,
        arrays: Object.keys(flattenParameters<ParameterSpec>(describeDenoiser(network))),
        profiles: emaSigmaRels.map((sigmaRel) => ({
          name: formatSigmaRel(sigmaRel),
          info: { network, sigmaRel, classNames, seenLabels, trained: trainedAs(training) },
        })),
      },
      arrays: Object.fromEntries(run.arrays),
      fixed,
    },
    null,
    1,
  );
}

/** Writes `data.safetensors`: the images that are trained on, and their labels where the network takes some. */
export async function writeData(folder: Folder, images: TrainingDataset, labelDim: number): Promise<void> {
  const { count, channels, resolution, labels } = images;
  const lazy: [string, LazyTensor][] = isLatent(images)
    ? [
        [
          "meanAndDeviation",
          { dtype: "F32", shape: [count, 2 * channels, resolution, resolution], data: () => images.meanAndDeviation },
        ],
      ]
    : [["pixels", { dtype: "U8", shape: [count, channels, resolution, resolution], data: () => images.pixels }]];
  if (labels !== null && labelDim > 0) {
    lazy.push(
      labels.kind === "classes"
        ? ["classes", { dtype: "I32", shape: [count], data: () => labels.values }]
        : ["labels", { dtype: "F32", shape: [count, labels.labelDim], data: () => labels.values }],
    );
  }
  await writeTensors(folder.file("data.safetensors"), lazy);
}

/** Rows of the table of scalars at most: 2 GB a column. */
const mostSteps = 2 ** 29;

/**
 * Writes `schedule.safetensors`: the scalars of each step from now to the run's end, a row a step, whatever schedules are made of.
 * @throws EvenkeelError `range` for a run of too many steps.
 */
export async function writeSchedule(folder: Folder, run: ExportedRun): Promise<void> {
  const { training, nimg, duration } = run;
  const steps = Math.max(0, Math.ceil((duration - nimg) / training.batch));
  if (steps > mostSteps) {
    throw new EvenkeelError(
      "range",
      `export: ${steps} steps are left of the run; its schedule has ${mostSteps} rows at most. Export it with a shorter --duration.`,
    );
  }
  const columns = new Map<string, { readonly shape: readonly number[]; readonly data: Float32Array }>();
  for (const { path, tensor } of treeLeaves(stepSchedule(training, 0), "schedule")) {
    columns.set(path, { shape: [steps, ...tensor.shape], data: new Float32Array(steps * tensor.size) });
  }
  for (let step = 0; step < steps; step++) {
    for (const { path, tensor } of treeLeaves(stepSchedule(training, nimg + step * training.batch), "schedule")) {
      columns.get(path)?.data.set(await tensor.data("f32"), step * tensor.size);
    }
  }
  await writeTensors(
    folder.file("schedule.safetensors"),
    [...columns].map(([name, column]) => [name, { dtype: "F32", ...column }]),
    { metadata: { first: String(nimg) } },
  );
}
