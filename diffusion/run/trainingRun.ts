import * as z from "zod";
import { EvenkeelError, type Device, eventLoopTurn, type Tensor } from "../../engine/index.ts";
import type { Folder, StoredFile } from "../../engine/io/index.ts";
import { type CheckpointInfo, checkSameSettings, readNewestCheckpoint, writeCheckpoint } from "../checkpoint/index.ts";
import type { HostBatch, SeenLabels } from "../data/index.ts";
import { dynamicsFileName, type DynamicsHeader, DynamicsRecorder, type DynamicsSample } from "../dynamics/index.ts";
import { snapshotPlace } from "../ema/index.ts";
import type { NamedParameters } from "../../nn/index.ts";
import { networkConfig } from "../network/index.ts";
import { type SnapshotDtype, storeSnapshot, trainedAs } from "../snapshot/index.ts";
import { type BegunStep, type StepStatistics, Trainer, type TrainingOptions } from "../training/index.ts";
import { arithmeticOf, changeOfArithmetic } from "./arithmetic.ts";
import { ReportPace } from "./reportPace.ts";
import type { RunGate } from "./stepGate.ts";

/** Images seen between two events of a kind; 0: only at the end of the run; samples, never. */
export type RunIntervals = {
  readonly status: number;
  readonly snapshot: number;
  readonly checkpoint: number;
  readonly samples: number;
  readonly validation: number;
};

/** A run: what is trained on what, for how long, and where its files go. */
export type RunOptions = {
  /** Where everything goes; made if it isn't there. A checkpoint in it is gone on from. */
  readonly folder: Folder;
  readonly training: TrainingOptions;
  /** Images to train on, counting repetitions and what a resumed run has done before. */
  readonly duration: number;
  readonly intervals: RunIntervals;
  /** Steps from one sample of the dynamics to the next, in `dynamics.jsonl`; 0 or absent = none. Changes nothing of the training. */
  readonly dynamicsEvery?: number;
  /**
   * Steps whose reports are read together; sooner if something is due that shows or keeps what they say. Changes nothing of what is
   * trained, told or written but when: a loss that isn't finite is noticed so many steps later, none of which has done anything. Default:
   * 1 on devices of the CPU, which have done a step when it was begun; on an adapter as many as take about a quarter of a second, 64 at
   * most.
   */
  readonly reportEvery?: number;
  readonly snapshotDtype: SnapshotDtype;
  readonly classNames: readonly string[] | null;
  /** What labels the images have, for those who sample from the snapshots. Default: all classes. */
  readonly seenLabels?: SeenLabels | null;
  readonly device: Device;
  /** What must not change between stop and resume beside `training`, e.g. the data's fingerprint. */
  readonly fixed: Readonly<Record<string, unknown>>;
  /** Gives the arrays of the network that a new run begins with, as `tensorsOfWeights` does. Default: they are drawn. */
  readonly start?: () => Promise<NamedParameters>;
  /** The images number `nimg` to `nimg + count - 1` of the run: a pure function. */
  readonly nextBatch: (nimg: number, count: number) => HostBatch;
  /**
   * Asks the run to stop: steps that the device has begun are finished, one that is still being given to it if that takes a second at most,
   * else it is abandoned, so that the state is that before it; validation and sample grids are put off until the run goes on. The run ends with a checkpoint of what isn't in one yet.
   */
  readonly signal?: AbortSignal;
  /**
   * Asked before every step, which waits until it lets it through. While the run waits, all steps that have begun were told of; a signal
   * ends it as between two steps. Changes nothing of what is trained or written but when.
   */
  readonly gate?: RunGate;
};

type CheckpointProgress = CheckpointInfo["progress"];

/** What a run tells while it goes. All are awaited; none may change the trainer. */
export type RunObserver = {
  /**
   * Before the first step; `nimg` is 0 for a new run, else `progress` is what the checkpoint kept of the observer. From `next` images on
   * everything is told, for the first time or again: 0 for a new run, `nimg` if what follows its last step was put off, else `nimg + 1`.
   */
  readonly started?: (
    trainer: Trainer,
    nimg: number,
    progress: CheckpointProgress,
    next: number,
  ) => void | Promise<void>;
  /** Before every step, with the images seen in those before it: several may begin before the first of them is told of. */
  readonly stepping?: (nimg: number) => void;
  /** After each part of a batch that goes through the network in parts: images of it that are done. */
  readonly part?: (images: number) => void;
  /** After every step, in order, when its report was read. */
  readonly stepped?: (statistics: StepStatistics) => void;
  /** Every `intervals.status` images and at the end, after validation and samples, whose numbers it may tell. */
  readonly status?: (nimg: number) => void | Promise<void>;
  readonly samples?: (trainer: Trainer) => Promise<void>;
  readonly validation?: (trainer: Trainer) => Promise<void>;
  /** For every sample of the dynamics when it was written, with the header of its file: as `readDynamicsFile` would give them. */
  readonly dynamics?: (sample: DynamicsSample, header: DynamicsHeader) => void;
  readonly wrote?: (what: "snapshot" | "checkpoint", file: StoredFile) => void | Promise<void>;
  /** The run waits at its gate, before the step after so many images; all steps before were told of. */
  readonly paused?: (nimg: number) => void;
  /** It has waited for so long, and goes on or, if it was asked to stop, ends. */
  readonly resumed?: (nimg: number, milliseconds: number) => void;
  readonly warned?: (message: string) => void;
  /** What the observer needs when the run goes on from a checkpoint, as JSON data. */
  readonly progress?: () => CheckpointProgress;
};

/** How a run ended: all images seen, or asked to stop with a checkpoint to go on from. */
export type RunResult = { readonly nimg: number; readonly finished: boolean };

/**
 * Trains from the newest checkpoint in the run folder, or from the start, until `duration` images are seen. Every file is written whole
 * or not at all; killed at any instant, a run loses no more than what came after its last checkpoint, and goes on with the bits it
 * would have had.
 * @throws EvenkeelError `value` if the folder's run has other settings, `diverged` if the loss isn't finite, `file` if something can't be read or kept.
 * @example
 * ```ts
 * import { createDataset, presetNetwork, presetOf, trainingBatches, trainingRecipe } from "evenkeel/diffusion";
 * import { getDevice } from "evenkeel/engine";
 * import { memoryFolder } from "evenkeel/engine/io";
 *
 * const dataset = createDataset({ name: "black", channels: 1, resolution: 8, pixels: new Uint8Array(64), labels: null, classNames: null });
 * const preset = presetOf("smoke");
 * const network = presetNetwork("G", preset, { imageResolution: 8, imageChannels: 1, labelDim: 0 });
 * const training = { ...trainingRecipe("G", preset), network, labelDropout: 0, seed: 1, batch: 8, batchDevice: 8, emaSigmaRels: [0.1] };
 * const folder = memoryFolder();
 * const intervals = { status: 0, snapshot: 0, checkpoint: 0, samples: 0, validation: 0 };
 * const result = await runTraining({
 *   folder, training, duration: 16, intervals, snapshotDtype: "F16", classNames: null, device: await getDevice("wasm"), fixed: {},
 *   nextBatch: trainingBatches(dataset, 1, false),
 * });
 * console.log(result, (await folder.list())[1]); // { nimg: 16, finished: true } training-state-0000000016.safetensors
 * ```
 */
export async function runTraining(options: RunOptions, observer: RunObserver = {}): Promise<RunResult> {
  const { folder, training, duration, intervals, device } = options;
  await folder.prepare();
  const fixed = { ...options.fixed, training };
  const checkpoint = await readNewestCheckpoint(folder, (message) => observer.warned?.(message));
  const start = checkpoint === null ? await options.start?.() : undefined;
  const stop = new Stop(options.signal);
  const trainer = await Trainer.create(training, device, stop.abandoned, start);
  let recorder: DynamicsRecorder | undefined;
  try {
    if (checkpoint !== null) {
      checkSameRun(checkpoint, fixed, folder);
      await trainer.writeState(checkpoint.nimg, checkpoint.arrays);
      const change = changeOfArithmetic(checkpoint.progress["arithmetic"], device);
      if (change !== null) observer.warned?.(change);
    }
    const putOff = postponed.safeParse(checkpoint?.progress["postponed"]);
    const next = checkpoint === null ? 0 : checkpoint.nimg + (putOff.success ? 0 : 1);
    await observer.started?.(trainer, trainer.nimg, checkpoint?.progress ?? {}, next);
    recorder = recorderOf(options, trainer.nimg, observer, checkpoint?.progress);
    const files = new RunFiles(options, fixed, trainer, observer, recorder);
    const pace = new ReportPace(device, options.reportEvery);
    let saved = trainer.nimg;
    /** Whether an interval ends with the step that began after `before` images. */
    const isDue = (interval: number, before: number): boolean =>
      trainer.nimg >= duration || (interval > 0 && Math.floor(trainer.nimg / interval) > Math.floor(before / interval));
    /** What the step that began after `before` images is followed by, from `first` on. False if it was put off, with a checkpoint. */
    const follow = async (before: number, first: RunEvent = "validation"): Promise<boolean> => {
      const nimg = trainer.nimg;
      for (const event of runEvents.slice(runEvents.indexOf(first))) {
        if (!isDue(intervals[event], before) || (event === "samples" && intervals.samples === 0)) continue;
        if (event === "status") await observer.status?.(nimg);
        else if (event === "snapshot") await files.writeSnapshots();
        else if (observer[event] !== undefined && !(await stop.unless(() => observer[event]?.(trainer)))) {
          await files.writeCheckpoint({ before, event });
          return false;
        }
      }
      if ((stop.requested && nimg < duration) || isDue(intervals.checkpoint, before)) {
        await files.writeCheckpoint();
        saved = nimg;
      }
      return true;
    };
    const unfinished = (): RunResult => ({ nimg: trainer.nimg, finished: false });
    // Of an untrained network there is nothing to see.
    if (trainer.nimg === 0) await files.writeSnapshots();
    else if (putOff.success && !(await follow(putOff.data.before, putOff.data.event))) return unfinished();
    const begun: BegunStep[] = [];
    /** Tells of the steps that weren't told of. */
    const tell = async (): Promise<void> => {
      const steps = begun.splice(0);
      for (const step of steps) {
        const statistics = await step.report();
        // All were read with the first.
        if (step === steps[0]) pace.read(steps.length);
        observer.stepped?.(statistics);
        await recorder?.stepped(statistics);
      }
    };
    /** Waits until the gate lets the next step through, or the run is asked to stop. */
    const passGate = async (): Promise<void> => {
      const opened = options.gate?.pass(trainer.nimg);
      if (opened === undefined) return;
      await tell();
      observer.paused?.(trainer.nimg);
      const start = performance.now();
      await stop.unless(() => opened);
      observer.resumed?.(trainer.nimg, performance.now() - start);
    };
    while (trainer.nimg < duration) {
      const before = trainer.nimg;
      await passGate();
      observer.stepping?.(before);
      if (begun.length === 0) pace.begin();
      const probe = recorder?.probe(before);
      const step = await stop.step(() =>
        trainer.begin(options.nextBatch(before, training.batch), probe, (images) => observer.part?.(images)),
      );
      if (step === null) {
        await tell();
        if (stop.hasAbandoned) observer.warned?.(`The step was abandoned: the state is that after ${before} images.`);
        // What was done is in a checkpoint already, unless steps came after it.
        if (saved < before) await files.writeCheckpoint();
        return unfinished();
      }
      begun.push(step);
      const isAnythingDue = Object.values(intervals).some((interval) => isDue(interval, before));
      if (begun.length < pace.steps && probe === undefined && !isAnythingDue && !stop.requested) continue;
      await tell();
      if (!(await follow(before)) || (stop.requested && trainer.nimg < duration)) return unfinished();
    }
    return { nimg: trainer.nimg, finished: true };
  } finally {
    stop.dispose();
    recorder?.dispose();
    trainer.dispose();
  }
}

/**
 * Refuses to go on from a checkpoint with other settings than its run began with, as `checkSameSettings` does; what an older version's left
 * to defaults is completed first.
 * @throws EvenkeelError `value` that lists what differs.
 * @example
 * ```ts
 * import { memoryFolder } from "evenkeel/engine/io";
 *
 * try {
 *   checkSameRun({ nimg: 1000, fixed: { xflip: true }, progress: {} }, { xflip: false }, memoryFolder("run"));
 * } catch (error) {
 *   console.log((error as Error).message.includes("xflip was true, now false")); // true
 * }
 * ```
 */
export function checkSameRun(checkpoint: CheckpointInfo, fixed: CheckpointInfo["fixed"], folder: Folder): void {
  checkSameSettings({ ...checkpoint, fixed: completed(checkpoint.fixed) }, fixed, folder);
}

/** What a checkpoint says must not change, with what the network of an older version's left to defaults. */
function completed(fixed: CheckpointInfo["fixed"]): CheckpointInfo["fixed"] {
  const training = fixed["training"] as Partial<TrainingOptions> | undefined;
  if (training?.network === undefined) return fixed;
  try {
    return { ...fixed, training: { ...training, network: networkConfig(training.network) } };
  } catch (reason) {
    // A newer program's network has options that aren't known here: they are told with what differs.
    if (!(reason instanceof EvenkeelError)) throw reason;
    return fixed;
  }
}

function recorderOf(
  { folder, training, device, dynamicsEvery = 0 }: RunOptions,
  nimg: number,
  { dynamics: tell }: RunObserver,
  progress: CheckpointProgress = {},
): DynamicsRecorder | undefined {
  if (dynamicsEvery === 0) return undefined;
  const file = folder.file(dynamicsFileName);
  const kept = progress["dynamics"];
  return new DynamicsRecorder({ file, training, device, every: dynamicsEvery, nimg, progress: kept, tell });
}

/** What may follow a step, in this order; then comes the checkpoint. */
const runEvents = ["validation", "samples", "status", "snapshot"] as const;
type RunEvent = (typeof runEvents)[number];

/** The event that a stopped run was at after the step that began after `before` images. */
const postponed = z.object({ before: z.number(), event: z.enum(runEvents) });
type Postponed = z.infer<typeof postponed>;

/** Milliseconds that a step under way may take when the run is asked to stop. */
const shortStep = 1000;

/** The end of a run as somebody asks for it. */
class Stop {
  /** Ends a step under way. */
  readonly abandoned: AbortSignal;
  hasAbandoned = false;
  readonly #signal: AbortSignal | undefined;
  readonly #controller = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #begin = (): void => void (this.#timer = setTimeout(() => this.#controller.abort(), shortStep));

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal;
    this.abandoned = this.#controller.signal;
    signal?.addEventListener("abort", this.#begin);
  }

  get requested(): boolean {
    return this.#signal?.aborted === true;
  }

  /** What the step gives; null if it was abandoned or not begun. */
  async step<T>(step: () => Promise<T>): Promise<T | null> {
    // A loop that only computes must hear of a signal before its next step.
    await eventLoopTurn();
    if (this.requested) return null;
    try {
      return await step();
    } catch (reason) {
      if (!(reason instanceof EvenkeelError && reason.code === "aborted")) throw reason;
      this.hasAbandoned = true;
      return null;
    }
  }

  /** Does something that can be done again later. False if the run was asked to stop before it was over: nobody waits for it then. */
  async unless(task: () => Promise<void> | undefined): Promise<boolean> {
    const signal = this.#signal;
    if (signal === undefined) {
      await task();
      return true;
    }
    if (signal.aborted) return false;
    const done = (async () => task())().then(() => true);
    const over = new AbortController();
    const stopped = new Promise<false>((resolve) => {
      signal.addEventListener("abort", () => resolve(false), { once: true, signal: over.signal });
    });
    const isDone = await Promise.race([done, stopped]).finally(() => over.abort());
    if (!isDone) done.catch(() => undefined);
    return isDone;
  }

  dispose(): void {
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener("abort", this.#begin);
  }
}

/** The files that a run writes from its trainer. */
class RunFiles {
  readonly #options: RunOptions;
  readonly #fixed: Readonly<Record<string, unknown>>;
  readonly #trainer: Trainer;
  readonly #observer: RunObserver;
  readonly #recorder: DynamicsRecorder | undefined;

  constructor(
    options: RunOptions,
    fixed: Readonly<Record<string, unknown>>,
    trainer: Trainer,
    observer: RunObserver,
    recorder: DynamicsRecorder | undefined,
  ) {
    this.#options = options;
    this.#fixed = fixed;
    this.#trainer = trainer;
    this.#observer = observer;
    this.#recorder = recorder;
  }

  /** One file for each average. */
  async writeSnapshots(): Promise<void> {
    const { folder, training, snapshotDtype, classNames, seenLabels = null } = this.#options;
    const { nimg } = this.#trainer;
    for (const [profile, sigmaRel] of training.emaSigmaRels.entries()) {
      const file = await snapshotPlace(folder, "network-snapshot", nimg, sigmaRel);
      const weights: ReadonlyMap<string, Tensor> = await this.#trainer.readNetwork(profile);
      const trained = trainedAs(training);
      const info = { network: training.network, nimg, sigmaRel, classNames, seenLabels, trained };
      await storeSnapshot(file, info, weights, snapshotDtype);
      await this.#observer.wrote?.("snapshot", file);
    }
  }

  /** @param postponed what a run that goes on from it does first. */
  async writeCheckpoint(postponed?: Postponed): Promise<void> {
    const { nimg } = this.#trainer;
    const { device } = this.#options;
    const own = {
      arithmetic: arithmeticOf(device),
      ...(this.#recorder === undefined ? {} : { dynamics: this.#recorder.progress }),
      ...(postponed === undefined ? {} : { postponed }),
    };
    const info = { nimg, fixed: this.#fixed, progress: { ...this.#observer.progress?.(), ...own } };
    const file = await writeCheckpoint(this.#options.folder, info, await this.#trainer.readState());
    await this.#observer.wrote?.("checkpoint", file);
  }
}
