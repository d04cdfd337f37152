/** The page's workers: one for what is asked beside training, and one for each run that goes on. */
import * as Comlink from "comlink";
import { signal } from "@preact/signals";
import type { LabWorker } from "../worker/labWorker.ts";

/** A worker, and the way to end it. */
export type LabThread = { readonly lab: Comlink.Remote<LabWorker>; readonly end: () => void };

/** Starts a worker. @param failed told if its script can't be loaded or ends by an error that nobody caught. */
export function startWorker(failed: (message: string) => void = () => undefined): LabThread {
  const worker = new Worker(new URL("../worker/labWorker.ts", import.meta.url), { type: "module" });
  worker.addEventListener("error", (event) => failed(event.message || "the worker can't be started"));
  const lab = Comlink.wrap<LabWorker>(worker);
  return {
    lab,
    end: () => {
      lab[Comlink.releaseProxy]();
      worker.terminate();
    },
  };
}

let own: LabThread | undefined;

/** Why the worker for everything but training can't be had; null as long as nothing is known against it. */
export const studyFailure = signal<string | null>(null);

/** The worker for everything but training. */
export function study(): Comlink.Remote<LabWorker> {
  own ??= startWorker((message) => void (studyFailure.value = message));
  return own.lab;
}
