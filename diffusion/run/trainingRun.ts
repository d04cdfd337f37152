import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { EvenkeelError, type Device, type Tensor } from "../../engine/index.ts";
import {
  type CheckpointInfo,
  checkSameSettings,
  readNewestCheckpoint,
  writeCheckpoint,
} from "../checkpoint/checkpoint.ts";
import { dynamicsFileName } from "../dynamics/node/dynamicsFile.ts";
import { DynamicsRecorder } from "../dynamics/node/recorder.ts";
import { formatSnapshotName } from "../ema/index.ts";
import type { SnapshotDtype } from "../snapshot/snapshot.ts";
import { writeSnapshot } from "../snapshot/writeSnapshot.ts";
import type { TrainingOptions } from "../training/options.ts";
import { type HostBatch, type StepStatistics, Trainer } from "../training/trainer.ts";

/** Images seen between two events of a kind; 0 = only at the end (or never, for what has no end). */
export type RunIntervals = {
  readonly status: number;
  readonly snapshot: number;
  readonly checkpoint: number;
  readonly samples: number;
  readonly validation: number;
};

export type RunOptions = {
  /** Where everything goes; made if it isn't there. A checkpoint in it is gone on from. */
  readonly outdir: string;
  readonly training: TrainingOptions;
  /** Images to train on, counting repetitions and what a resumed run has done before. */
  readonly duration: number;
  readonly intervals: RunIntervals;
  /** Steps from one sample of the dynamics to the next, in `dynamics.jsonl`; 0 or absent = none. Changes nothing of the training. */
  readonly dynamicsEvery?: number;
  readonly snapshotDtype: SnapshotDtype;
  readonly classNames: readonly string[] | null;
  readonly device: Device;
  /** What must not change between stop and resume beside `training`, e.g. the data's fingerprint. */
  readonly fixed: Readonly<Record<string, unknown>>;
  /** The images number `nimg` to `nimg + count - 1` of the run: a pure function. */
  readonly nextBatch: (nimg: number, count: number) => HostBatch;
};

type CheckpointProgress = CheckpointInfo["progress"];

/** What a run tells while it goes. All are awaited; none may change the trainer. */
export type RunObserver = {
  /** Before the first step; `nimg` is 0 for a new run, else `progress` is what the checkpoint kept of the observer. */
  readonly started?: (trainer: Trainer, nimg: number, progress: CheckpointProgress) => void | Promise<void>;
  /** Before every step. */
  readonly stepping?: () => void;
  readonly stepped?: (statistics: StepStatistics) => void;
  /** Every `intervals.status` images and at the end, after validation and samples, whose numbers it may tell. */
  readonly status?: (nimg: number) => void | Promise<void>;
  readonly samples?: (trainer: Trainer) => Promise<void>;
  readonly validation?: (trainer: Trainer) => Promise<void>;
  readonly wrote?: (what: "snapshot" | "checkpoint", path: string) => void | Promise<void>;
  readonly warned?: (message: string) => void;
  /** What the observer needs when the run goes on from a checkpoint, as JSON data. */
  readonly progress?: () => CheckpointProgress;
  /** Asked after every step: true ends the run with a checkpoint. */
  readonly shouldStop?: () => boolean;
};

/** How a run ended: all images seen, or asked to stop with a checkpoint to go on from. */
export type RunResult = { readonly nimg: number; readonly finished: boolean };

/**
 * Trains from the newest checkpoint in the run folder, or from the start, until `duration` images are seen. Every file is written whole
 * or not at all; killed at any instant, a run loses no more than what came after its last checkpoint, and goes on with the bits it
 * would have had.
 * @throws EvenkeelError `value` if the folder's run has other settings or the loss isn't finite, `file` if the file system refuses.
 */
export async function runTraining(options: RunOptions, observer: RunObserver = {}): Promise<RunResult> {
  const { outdir, training, duration, intervals, device } = options;
  await makeFolder(outdir);
  const fixed = { ...options.fixed, training };
  const trainer = await Trainer.create(training, device);
  let recorder: DynamicsRecorder | undefined;
  try {
    const checkpoint = await readNewestCheckpoint(outdir, (message) => observer.warned?.(message));
    if (checkpoint !== null) {
      checkSameSettings(checkpoint, fixed, outdir);
      await trainer.writeState(checkpoint.nimg, checkpoint.arrays);
    }
    await observer.started?.(trainer, trainer.nimg, checkpoint?.progress ?? {});
    recorder = recorderOf(options, trainer.nimg, checkpoint?.progress);
    const files = new RunFiles(options, fixed, trainer, observer, recorder);
    if (trainer.nimg === 0) {
      await files.writeSnapshots();
      await observer.samples?.(trainer);
    }
    let stopped = false;
    while (trainer.nimg < duration && !stopped) {
      const before = trainer.nimg;
      observer.stepping?.();
      const step = await trainer.step(options.nextBatch(before, training.batch), recorder?.probe(before));
      observer.stepped?.(step);
      await recorder?.stepped(step);
      const nimg = trainer.nimg;
      const isLast = nimg >= duration;
      stopped = !isLast && (observer.shouldStop?.() ?? false);
      const due = (interval: number): boolean =>
        isLast || (interval > 0 && Math.floor(nimg / interval) > Math.floor(before / interval));
      if (due(intervals.validation)) await observer.validation?.(trainer);
      if (due(intervals.samples)) await observer.samples?.(trainer);
      if (due(intervals.status)) await observer.status?.(nimg);
      if (due(intervals.snapshot)) await files.writeSnapshots();
      if (stopped || due(intervals.checkpoint)) await files.writeCheckpoint();
    }
    return { nimg: trainer.nimg, finished: !stopped };
  } finally {
    recorder?.dispose();
    trainer.dispose();
  }
}

function recorderOf(
  { outdir, training, device, dynamicsEvery = 0 }: RunOptions,
  nimg: number,
  progress: CheckpointProgress = {},
): DynamicsRecorder | undefined {
  if (dynamicsEvery === 0) return undefined;
  const path = join(outdir, dynamicsFileName);
  return new DynamicsRecorder({ path, training, device, every: dynamicsEvery, nimg, progress: progress["dynamics"] });
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
    const { outdir, training, snapshotDtype, classNames } = this.#options;
    const { nimg } = this.#trainer;
    for (const [profile, sigmaRel] of training.emaSigmaRels.entries()) {
      const path = join(outdir, `${formatSnapshotName("network-snapshot", nimg, sigmaRel)}.safetensors`);
      const weights: ReadonlyMap<string, Tensor> = await this.#trainer.readNetwork(profile);
      await writeSnapshot(path, { network: training.network, nimg, sigmaRel, classNames }, weights, snapshotDtype);
      await this.#observer.wrote?.("snapshot", path);
    }
  }

  async writeCheckpoint(): Promise<void> {
    const { nimg } = this.#trainer;
    const recorded = this.#recorder === undefined ? {} : { dynamics: this.#recorder.progress };
    const info = { nimg, fixed: this.#fixed, progress: { ...this.#observer.progress?.(), ...recorded } };
    const path = await writeCheckpoint(this.#options.outdir, info, await this.#trainer.readState());
    await this.#observer.wrote?.("checkpoint", path);
  }
}

/** Makes the folder; what a killed run left half-written in it goes. */
async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
    for (const name of await readdir(folder)) {
      if (/^\.evenkeel-[0-9a-f]+\.partial$/.test(name)) await rm(join(folder, name), { force: true });
    }
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new EvenkeelError("file", `can't make the run folder ${folder}: ${reason}`, { cause });
  }
}
