/**
 * What the page asks its workers for. One worker serves what is asked beside training, and each run has one of its own: all run this
 * script, and each part of it is loaded by who asks for it.
 */
import * as Comlink from "comlink";
import type { DatasetFacts, DeviceState, GivenSettings, Plan, RunListener, RunStart, StoredRun } from "./messages.ts";
import type { Bringing } from "./bringing.ts";
import type { Explaining } from "./explaining.ts";
import type { Files } from "./files.ts";
import type { Training } from "./training.ts";

export class LabWorker {
  #training: Training | undefined;

  /** What can compute here. */
  async devices(): Promise<readonly DeviceState[]> {
    return (await import("./devices.ts")).probeDevices();
  }

  /** Every data set that the lab has, the bundled ones first. */
  async datasets(): Promise<readonly DatasetFacts[]> {
    return (await import("./datasets.ts")).listDatasets();
  }

  /** What settings make. */
  async plan(given: GivenSettings): Promise<Plan> {
    return (await import("./plan.ts")).planRun(given);
  }

  /** Every run that is kept in the browser. */
  async storedRuns(): Promise<readonly StoredRun[]> {
    return (await import("./storedRuns.ts")).storedRuns();
  }

  /** One of them. */
  async storedRun(name: string): Promise<StoredRun> {
    return (await import("./storedRuns.ts")).storedRun(name);
  }

  /** A file of a run. */
  async file(run: string, file: string): Promise<Blob> {
    return (await import("./storedRuns.ts")).runFile(run, file);
  }

  async removeRun(name: string): Promise<void> {
    await (await import("./storedRuns.ts")).removeRun(name);
  }

  /** Who explains a compiled step; each call makes one that knows nothing yet. */
  async explaining(): Promise<Explaining & Comlink.ProxyMarked> {
    return Comlink.proxy(new (await import("./explaining.ts")).Explaining());
  }

  /** Who moves files of runs and data sets. */
  async files(): Promise<Files & Comlink.ProxyMarked> {
    return Comlink.proxy(new (await import("./files.ts")).Files());
  }

  /** Who reads images that somebody brings. */
  async bringing(): Promise<Bringing & Comlink.ProxyMarked> {
    return Comlink.proxy(new (await import("./bringing.ts")).Bringing());
  }

  /** Trains until the run is finished or stopped; ends with an event that says which. */
  async train(start: RunStart, listener: RunListener): Promise<void> {
    const { Training } = await import("./training.ts");
    this.#training = new Training(start, listener);
    await this.#training.run();
  }

  pause(): void {
    this.#training?.gate.pause();
  }

  resume(): void {
    this.#training?.gate.resume();
  }

  step(): void {
    this.#training?.gate.step();
  }

  /** Ends the run with a checkpoint. */
  stop(): void {
    this.#training?.stop();
  }
}

Comlink.expose(new LabWorker());
