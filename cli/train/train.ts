import { join } from "node:path";
import { checkTrainingOptions, chooseTrainingDevice, type TrainingOptions } from "../../diffusion/training/index.ts";
import { duplicateNote, isLatent, type TrainingDataset } from "../../diffusion/data/index.ts";
import { gridBatch, gridLayout, gridSteps, runTraining } from "../../diffusion/run/index.ts";
import { finishRun, RunLock, type StartWeights, type StopReason } from "../../diffusion/run/node.ts";
import { type AutomaticDevice, type Device, type DeviceName, resolveDeviceName } from "../../engine/index.ts";
import { tellingOf } from "../readData.ts";
import { keepTuning, tuningOptions } from "../autotune.ts";
import { choiceOf, describeDevice } from "../deviceOption.ts";
import { diskFolder, makeFolder } from "../../engine/io/node.ts";
import { tellTrainingMemory } from "../memoryReport.ts";
import { stopping } from "../stopping.ts";
import type { ProgressStream } from "../workProgress.ts";
import { commandLine } from "./commandLine.ts";
import { describeCost } from "./grids.ts";
import { describeRun, noteLine } from "./describeRun.ts";
import { loadTrainingData } from "./data.ts";
import {
  createRunDevice,
  formatSettings,
  type PlannedSettings,
  type RunData,
  runOptions,
  settingsFileName,
  splitForRun,
  trainingOptions,
  type TrainSettings,
} from "../../diffusion/settings/index.ts";
import { CommandWatch } from "./watch.ts";
import { Progress } from "./progress.ts";
import { startOf } from "./startOf.ts";

/** All data, those to train on, and those held out. */
type SplitData = RunData & { readonly validation: TrainingDataset | null };

function printTo(output: ProgressStream): (line: string) => void {
  return output === process.stdout ? console.log : (line) => void output.write(`${line}\n`);
}

export type TrainOptions = {
  /** Whether the post-hoc average, pictures and the report are made at the end. Default true. */
  readonly withReport?: boolean;
  /** Settings that were given for this run, rather than by a preset or a file. */
  readonly given?: ReadonlySet<string>;
  /** Where it tells what it does. Default: standard output. */
  readonly output?: ProgressStream;
};

/**
 * Trains as the settings say, then makes the post-hoc average, pictures and the report, unless `withReport` is false.
 * @returns whether the run is finished; false if it was asked to stop.
 */
export async function train(settings: TrainSettings, options: TrainOptions = {}): Promise<boolean> {
  const { outdir } = settings;
  const { withReport = true, output = process.stdout } = options;
  const print = printTo(output);
  const start = await startOf(settings);
  const dataset = await loadTrainingData(settings.data, outdir, { isKept: true }, print);
  const { data, training, lines } = prepare(settings, dataset, start, options.given);
  for (const line of lines) print(line);
  const { device, automatic } = await deviceOf(settings, training);
  print(`Device             ${await describeDevice(device, settings.device, automatic)}`);
  // A run that goes on later does so on the device that was chosen for it, whatever is faster then.
  const chosen = automatic === undefined ? settings : { ...settings, device: device.name };
  try {
    return await trainOn(device, chosen, training, data, start, { withReport, output });
  } finally {
    if (settings.autotune !== undefined) await keepTuning(settings.autotune, device, print);
    device.dispose();
  }
}

/**
 * What `train` would do with these settings, without doing it: the settings, as a config file whose comments say what the data are and
 * what looks wrong. Writes nothing. @throws EvenkeelError as `train` does before its first step.
 */
export async function rehearse(settings: PlannedSettings, given?: ReadonlySet<string>): Promise<string> {
  const start = await startOf(settings);
  const dataset = await loadTrainingData(settings.data, settings.outdir, { isKept: false }, () => undefined);
  const prepared = prepare(settings, dataset, start, given);
  const lines = [...prepared.lines, `Device             ${await rehearseDevice(settings, prepared.training)}`];
  const duplicates = isLatent(dataset)
    ? null
    : await tellingOf(({ onProgress }) =>
        duplicateNote(dataset, (done, total) => onProgress("comparing images", done, total)),
      );
  const notes = duplicates === null ? lines : [...lines, noteLine(duplicates)];
  return `${notes.map((line) => `# ${line}\n`).join("")}${formatSettings(settings)}`;
}

/** Where it would be trained; makes that device, so that what is missing for it is said. */
async function rehearseDevice(settings: PlannedSettings, training: TrainingOptions): Promise<string> {
  // What is faster is measured when it is needed: it takes some steps.
  if (choiceOf(settings.device) === "auto") return "auto: measured when training begins";
  const { device } = await deviceOf(settings, training);
  try {
    return await describeDevice(device, settings.device);
  } finally {
    device.dispose();
  }
}

function prepare(
  settings: PlannedSettings,
  dataset: TrainingDataset,
  start: StartWeights | null,
  given: ReadonlySet<string> = new Set(),
): { readonly data: SplitData; readonly training: TrainingOptions; readonly lines: readonly string[] } {
  const { training: images, validation } = splitForRun(dataset, settings);
  const training = trainingOptions(settings, images);
  checkTrainingOptions(training);
  start?.requireFits(training.network);
  const lines = describeRun(settings, images, validation, training, given);
  return { data: { dataset, images, validation }, training, lines };
}

async function trainOn(
  device: Device,
  settings: TrainSettings,
  training: TrainingOptions,
  data: SplitData,
  start: StartWeights | null,
  { withReport, output }: Required<Pick<TrainOptions, "withReport" | "output">>,
): Promise<boolean> {
  const { outdir } = settings;
  const print = printTo(output);
  const { images, validation } = data;
  print(
    `Training           ${settings.duration.toLocaleString("en")} images in batches of ${settings.batch}, into ${outdir}`,
  );
  await tellTrainingMemory(training, device, print);
  // Not before: settings or data that don't fit leave nothing behind.
  await makeFolder(outdir);
  const progress = new Progress(settings.duration, output);
  const again = commandLine("train", "--config", join(outdir, settingsFileName), "--outdir", outdir);
  const stop = new AbortController();
  const lock = await RunLock.take(outdir);
  const watch = new CommandWatch({ settings, training, dataset: images, validation, device, progress });
  try {
    const run = {
      ...runOptions(settings, data, training, { folder: diskFolder(outdir), device }),
      ...(start === null ? {} : { start: () => start.read(training.network) }),
    };
    let say = print;
    const tell = (reason: StopReason): void => {
      // Nobody reads standard output any more.
      if (reason === "SIGPIPE") say = console.error;
      progress.line(`${reason}: finishing the step and writing a checkpoint; once more to stop at once.`);
      stop.abort();
    };
    stopping.left = "The last checkpoint is whole. Go on with the same command.";
    const result = await stopping.during(tell, () => runTraining({ ...run, signal: stop.signal }, watch.observer));
    if (!result.finished) {
      progress.end();
      say(`Stopped after ${result.nimg} images. Go on with: ${again}`);
      return false;
    }
    progress.end();
    stopping.left = `The run is finished and its files are whole. Go on with what is made of it: ${again}`;
    if (stopping.exitCode !== undefined) return false;
    if (withReport) await finish(settings, training, images, device, watch, progress, print);
    return true;
  } finally {
    watch.dispose();
    lock.release();
  }
}

async function finish(
  settings: TrainSettings,
  training: TrainingOptions,
  images: TrainingDataset,
  device: Device,
  watch: CommandWatch,
  progress: Progress,
  print: (line: string) => void,
): Promise<void> {
  const { outdir } = settings;
  const sigmaRel = settings["sample-ema"];
  const layout = settings.samples === 0 ? null : gridLayout(training, images, gridSteps.final);
  const sampling = layout === null ? "" : ` and sampling from it (${describeCost(layout)}; guided, twice that)`;
  print(`Making the post-hoc average of length ${sigmaRel}${sampling} ...`);
  const finished = await finishRun({
    outdir,
    sigmaRel,
    layout,
    guidance: settings.guidance,
    device,
    networkBatch: gridBatch(training),
    onEvaluation: (path, done, total) => progress.work(`sampling ${path}, evaluations of the network`, done, total),
  });
  progress.end();
  const report = await watch.finished(finished);
  const { plain, guided } = finished;
  print(`Network            ${finished.network}`);
  print(`Samples            ${plain === null ? "none: --samples is 0" : plain.path}`);
  if (plain !== null) print(`Samples, guided    ${"missing" in guided ? `none: ${guided.missing}` : guided.path}`);
  print(`Report             ${report}`);
}

/** The device that settings ask for; for `auto` with what was chosen for this training, and why. */
export async function deviceOf(
  settings: PlannedSettings,
  training: TrainingOptions,
): Promise<{ readonly device: Device; readonly automatic?: AutomaticDevice }> {
  if (choiceOf(settings.device) !== "auto") {
    return { device: await makeDevice(await resolveDeviceName(settings.device), settings) };
  }
  const automatic = await chooseTrainingDevice(training);
  return { device: await makeDevice(automatic.name, settings), automatic };
}

async function makeDevice(name: DeviceName, settings: PlannedSettings): Promise<Device> {
  const tuning = await tuningOptions(settings.autotune, name, choiceOf(settings.device) !== "auto");
  return createRunDevice(name, settings, tuning);
}
