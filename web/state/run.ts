/** A run as the page knows it: what its folder tells, and what it tells while it goes. */
import * as Comlink from "comlink";
import { batch, computed, signal } from "@preact/signals";
import type { DynamicsHeader, DynamicsSample } from "../../diffusion/dynamics/index.ts";
import type { PlannedSettings } from "../../diffusion/settings/index.ts";
import type { RunEvent, StatusPoint, StoredRun } from "../worker/messages.ts";
import { keepGoing, stopGoing } from "./going.ts";
import { takeColor } from "./runColors.ts";
import { type LabThread, startWorker, study } from "./workers.ts";

/** What a run does. One that is `stopped` can go on from its checkpoint. */
export type RunPhase =
  | { readonly kind: "stopped" }
  | { readonly kind: "preparing"; readonly what: string }
  | { readonly kind: "training" }
  | { readonly kind: "paused" }
  | { readonly kind: "stopping" }
  | { readonly kind: "finished" }
  /** Another tab trains it, or its files are being moved. */
  | { readonly kind: "elsewhere" }
  | { readonly kind: "failed"; readonly message: string };

export type RunDynamics = { readonly header: DynamicsHeader; readonly samples: readonly DynamicsSample[] };

export class Run {
  readonly name: string;
  readonly settings: PlannedSettings;
  /** Which of the colours of runs it is drawn in. */
  readonly color: number;
  readonly phase = signal<RunPhase>({ kind: "stopped" });
  readonly nimg = signal(0);
  readonly imagesPerSecond = signal<number | null>(null);
  readonly device = signal<string | null>(null);
  readonly points = signal<readonly StatusPoint[]>([]);
  readonly dynamics = signal<RunDynamics | null>(null);
  /** Images seen at each grid of samples that there is. */
  readonly grids = signal<readonly number[]>([]);
  readonly notes = signal<readonly string[]>([]);
  /** Beside the steps: samples being drawn and the like. */
  readonly work = signal<string | null>(null);
  /** Files of stored averages that were written since the page was opened: who shows averages looks again. */
  readonly snapshots = signal(0);
  /** Whether its curve is in the chart. */
  readonly isShown = signal(true);
  readonly secondsLeft = computed(() => {
    const speed = this.imagesPerSecond.value;
    return speed === null ? null : (this.settings.duration - this.nimg.value) / speed;
  });
  #thread: LabThread | undefined;

  constructor(name: string, settings: PlannedSettings) {
    this.name = name;
    this.settings = settings;
    this.color = takeColor(name);
  }

  /** A run of the browser's storage. */
  static of(stored: StoredRun): Run {
    const run = new Run(stored.name, stored.settings);
    run.#restore(stored);
    return run;
  }

  #restore({ checkpoint, points, dynamics, grids, settings }: StoredRun): void {
    batch(() => {
      this.nimg.value = checkpoint;
      this.points.value = points;
      this.dynamics.value = dynamics;
      this.grids.value = grids;
      this.phase.value = checkpoint >= settings.duration ? { kind: "finished" } : { kind: "stopped" };
    });
  }

  /** Whether a worker has it. */
  get isGoing(): boolean {
    return this.#thread !== undefined;
  }

  /** Begins, or goes on from the checkpoint. @param isPaused whether it waits before its first step. */
  async start(isPaused = false): Promise<void> {
    if (this.#thread !== undefined) return;
    this.phase.value = { kind: "preparing", what: "starting" };
    const thread = startWorker((message) => this.#end({ kind: "failed", message }));
    this.#thread = thread;
    keepGoing(this.name);
    try {
      await thread.lab.train(
        { name: this.name, settings: this.settings, isPaused },
        Comlink.proxy((event) => this.#hear(event)),
      );
    } catch (reason) {
      this.#end({ kind: "failed", message: reason instanceof Error ? reason.message : String(reason) });
    }
  }

  async pause(): Promise<void> {
    await this.#thread?.lab.pause();
  }

  async resume(): Promise<void> {
    await this.#thread?.lab.resume();
  }

  /** One step, then a pause. */
  async step(): Promise<void> {
    if (this.#thread === undefined) return this.start(true);
    await this.#thread.lab.step();
  }

  /** Ends with a checkpoint. */
  async stop(): Promise<void> {
    if (this.#thread === undefined) return;
    stopGoing(this.name);
    this.phase.value = { kind: "stopping" };
    await this.#thread.lab.stop();
  }

  /** What a run that was asked to stop still does on its way isn't told. */
  #reach(phase: RunPhase): void {
    if (this.phase.value.kind !== "stopping") this.phase.value = phase;
  }

  #hear(event: RunEvent): void {
    switch (event.kind) {
      case "preparing":
        this.#reach({ kind: "preparing", what: event.what });
        break;
      case "started":
        batch(() => {
          this.device.value = event.device;
          this.nimg.value = event.nimg;
          // What came after the checkpoint is told again.
          this.points.value = this.points.value.filter(({ nimg }) => nimg <= event.nimg);
          this.grids.value = this.grids.value.filter((nimg) => nimg <= event.nimg);
          if (this.dynamics.value !== null) {
            const { header, samples } = this.dynamics.value;
            this.dynamics.value = { header, samples: samples.filter(({ nimg }) => nimg <= event.nimg) };
          }
          this.#reach({ kind: "training" });
        });
        break;
      case "progress":
        batch(() => {
          this.nimg.value = event.nimg;
          if (event.imagesPerSecond !== null) this.imagesPerSecond.value = event.imagesPerSecond;
          this.work.value = null;
        });
        break;
      case "working":
        this.work.value = event.total === null ? event.what : `${event.what}: ${event.done} of ${event.total}`;
        break;
      case "status":
        this.points.value = [...this.points.value.filter(({ nimg }) => nimg < event.point.nimg), event.point];
        break;
      case "grid":
        batch(() => {
          this.grids.value = [...this.grids.value.filter((nimg) => nimg < event.nimg), event.nimg];
          this.work.value = null;
        });
        break;
      case "dynamics": {
        const before = (this.dynamics.value?.samples ?? []).filter(({ nimg }) => nimg < event.sample.nimg);
        this.dynamics.value = { header: event.header, samples: [...before, event.sample] };
        break;
      }
      case "wrote":
        if (event.what === "snapshot") this.snapshots.value++;
        break;
      case "paused":
        // Loaded again, the page doesn't go on with what somebody has paused.
        stopGoing(this.name);
        batch(() => {
          this.nimg.value = event.nimg;
          this.#reach({ kind: "paused" });
        });
        break;
      case "resumed":
        keepGoing(this.name);
        this.#reach({ kind: "training" });
        break;
      case "note":
        this.notes.value = [...this.notes.value, event.text];
        break;
      case "ended":
        this.nimg.value = event.nimg;
        this.#end({ kind: event.finished ? "finished" : "stopped" });
        break;
      case "elsewhere":
        this.#end({ kind: "elsewhere" });
        // It is that tab's to say when it ends.
        keepGoing(this.name);
        break;
      case "failed":
        this.#end({ kind: "failed", message: event.message });
        break;
    }
  }

  #end(phase: RunPhase): void {
    stopGoing(this.name);
    batch(() => {
      this.phase.value = phase;
      this.work.value = null;
      this.imagesPerSecond.value = null;
    });
    const thread = this.#thread;
    this.#thread = undefined;
    // Not before the call that brought the last event has its answer.
    if (thread !== undefined) setTimeout(thread.end, 0);
  }

  /** The picture of a grid of samples. */
  async grid(nimg: number): Promise<Blob> {
    return study().file(this.name, `samples-${String(nimg).padStart(10, "0")}.png`);
  }
}
