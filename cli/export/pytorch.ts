import { join } from "node:path";
import { newestCheckpoint, readNewestCheckpoint, writeCheckpoint } from "../../diffusion/checkpoint/index.ts";
import { checkSameRun, copyRun } from "../../diffusion/run/index.ts";
import { RunLock, type StartWeights } from "../../diffusion/run/node.ts";
import {
  formatSettings,
  runOptions,
  settingsFileName,
  splitForRun,
  trainingOptions,
  type TrainSettings,
} from "../../diffusion/settings/index.ts";
import { checkTrainingOptions, sharedStep, Trainer, type TrainingOptions } from "../../diffusion/training/index.ts";
import { type Device, describeBytes, EvenkeelError, treeLeaves } from "../../engine/index.ts";
import { type Folder, writeText } from "../../engine/io/index.ts";
import { diskFolder } from "../../engine/io/node.ts";
import { exportTorch, exportTorchOfAnySize, torchPrimitives } from "../../torch/index.ts";
import { loadTrainingData } from "../train/data.ts";
import { startOf } from "../train/startOf.ts";
import { mergeSettings, type TrainFlags } from "../train/merge.ts";
import { withDevice } from "../withDevice.ts";
import { WorkProgress } from "../workProgress.ts";
import { arraysScript } from "./pytorch/arraysScript.ts";
import { dataScript } from "./pytorch/dataScript.ts";
import { describeForLoop, type ExportedRun, writeData, writeSchedule } from "./pytorch/describeRun.ts";
import { filesScript } from "./pytorch/filesScript.ts";
import { readmeText } from "./pytorch/readme.ts";
import { trainScript } from "./pytorch/trainScript.ts";
import { requireEmpty } from "./requireEmpty.ts";

/** What is exported, and where it goes. */
export type PytorchExport = {
  /** A run's folder, or a file of settings for a run that begins. */
  readonly source: string;
  /** Default: beside the source, `NAME-pytorch`. */
  readonly outdir?: string | undefined;
  /** Images until the run's end, if it isn't that of its settings. */
  readonly duration?: number | undefined;
};

/**
 * Writes a folder that PyTorch trains on in, and that stays a run folder of ours: the step as source, and all that its loop reads.
 * @throws EvenkeelError `file` for what is no run, is in use, or isn't empty; `value` for settings that don't fit.
 */
export async function exportToPytorch({ source, duration, outdir }: PytorchExport): Promise<void> {
  const isBeginning = source.endsWith(".toml");
  const folder = outdir ?? `${source.replace(/[\\/]+$|\.toml$/, "")}-pytorch`;
  const flags: TrainFlags = { outdir: folder, duration };
  const settings = await mergeSettings(flags, isBeginning ? source : join(source, settingsFileName));
  await requireEmpty(folder);
  // Of a run that goes on they are in its checkpoint.
  const start = isBeginning ? await startOf({ ...settings, outdir: folder }) : null;
  const dataset = await loadTrainingData(settings.data, isBeginning ? folder : source, { isKept: false }, console.log);
  const { training: images } = splitForRun(dataset, settings);
  const training = trainingOptions(settings, images);
  checkTrainingOptions(training);
  start?.requireFits(training.network);
  await withDevice(undefined, async (device) => {
    const to = diskFolder(folder);
    const options = runOptions(settings, { dataset, images }, training, { folder: to, device });
    const fixed = { ...options.fixed, training };
    // What can't be exported leaves nothing behind.
    const sources = stepSources(training);
    if (isBeginning) await begin(to, settings, training, start, fixed, device);
    else await bring(source, to, settings, fixed);
    const run: ExportedRun = {
      ...{ training, images, fixed },
      nimg: await newestCheckpoint(to),
      duration: settings.duration,
      seed: settings.seed,
      xflip: settings.xflip,
      intervals: options.intervals,
      snapshotDtype: options.snapshotDtype,
      classNames: options.classNames,
      seenLabels: options.seenLabels,
      arrays: new Map(treeLeaves(sharedStep(training).state()).map(({ path, tensor }) => [path, tensor.shape])),
    };
    await writeFiles(to, run, sources);
    const bytes = [...run.arrays.values()].reduce((sum, shape) => sum + 4 * shape.reduce((a, b) => a * b, 1), 0);
    console.log(
      `Wrote ${folder}: ${run.nimg.toLocaleString("en")} of ${run.duration.toLocaleString("en")} images are done.`,
    );
    console.log(
      `Each process keeps ${describeBytes(bytes)} of weights, averages and what the optimizer remembers, twice while it updates them.`,
    );
    console.log(`Go on there with: cd ${folder} && torchrun --nproc_per_node 2 train.py`);
  });
}

type Sources = { readonly gradient: string; readonly update: string };

function stepSources(training: TrainingOptions): Sources {
  const progress = new WorkProgress();
  progress.at("translating the step", 0, null);
  try {
    const { gradient, update, partOf, whole } = sharedStep(training);
    return {
      gradient: exportTorchOfAnySize("gradient", gradient, partOf, "images"),
      update: exportTorch("update", update, whole()),
    };
  } finally {
    progress.end();
  }
}

/** The state before the first step: of another network's weights, or drawn as a run that begins draws it. */
async function begin(
  to: Folder,
  settings: TrainSettings,
  training: TrainingOptions,
  start: StartWeights | null,
  fixed: Readonly<Record<string, unknown>>,
  device: Device,
): Promise<void> {
  const trainer = await Trainer.create(training, device, undefined, await start?.read(training.network));
  try {
    await to.prepare();
    await writeCheckpoint(to, { nimg: 0, fixed, progress: {} }, await trainer.readState());
  } finally {
    trainer.dispose();
  }
  await writeText(to.file(settingsFileName), formatSettings(settings));
}

/** The files of a run that nobody trains meanwhile. */
async function bring(
  source: string,
  to: Folder,
  settings: TrainSettings,
  fixed: Readonly<Record<string, unknown>>,
): Promise<void> {
  const from = diskFolder(source);
  const lock = await RunLock.take(source);
  try {
    const checkpoint = await readNewestCheckpoint(from, console.error);
    if (checkpoint === null) {
      throw new EvenkeelError(
        "file",
        `export: ${source} holds no checkpoint (training-state-*) to go on from. Give its ${settingsFileName} instead, to begin the run anew.`,
      );
    }
    checkSameRun(checkpoint, fixed, from);
    const { told } = await copyRun(from, to);
    // What is left out is the lock.
    for (const line of told) if (!line.startsWith("Left out")) console.error(line);
  } finally {
    lock.release();
  }
  await writeText(to.file(settingsFileName), formatSettings(settings));
}

async function writeFiles(to: Folder, run: ExportedRun, { gradient, update }: Sources): Promise<void> {
  const texts = {
    "gradient.py": gradient,
    "update.py": update,
    "primitives.py": torchPrimitives,
    "arrays.py": arraysScript,
    "data.py": dataScript,
    "files.py": filesScript,
    "train.py": trainScript,
    "README.md": readmeText({ ...run, batch: run.training.batch }),
    "run.json": describeForLoop(run),
  };
  await writeData(to, run.images, run.training.network.unet.labelDim);
  await writeSchedule(to, run);
  for (const [name, text] of Object.entries(texts)) await writeText(to.file(name), text);
}
