/** Workers of Node and of pages behind one face, and what the host says of itself. */
import { EvenkeelError } from "../../../errors.ts";
import { workerSource } from "./workerSource.ts";

export type HostWorker = {
  post(message: unknown): void;
  /** Whether the worker keeps the process alive (Node). */
  keepAlive(yes: boolean): void;
  terminate(): void;
};

export type WorkerEvents = {
  readonly message: (message: unknown) => void;
  /** The worker is gone, or it failed outside of a run. */
  readonly failure: (reason: string) => void;
};

// Pages may have a stand-in for `process` with parts missing.
const { process: host } = globalThis as { readonly process?: { readonly versions?: { readonly node?: string } } };
export const isNode = typeof host?.versions?.node === "string";

// Computed specifiers, so that bundlers for pages don't look for Node's modules.
const nodeModule = (name: string): Promise<unknown> => import(`node:${name}`);

/** Starts a worker that runs `workerSource`. */
export async function startWorker(name: string, events: WorkerEvents): Promise<HostWorker> {
  return isNode ? startNodeWorker(name, events) : startPageWorker(name, events);
}

async function startNodeWorker(name: string, { message, failure }: WorkerEvents): Promise<HostWorker> {
  const { Worker } = (await nodeModule("worker_threads")) as typeof import("node:worker_threads");
  // Without the loaders of the main thread: the source is plain JavaScript.
  const worker = new Worker(workerSource, { eval: true, execArgv: [], name });
  worker.on("message", message);
  worker.on("error", (error: unknown) => failure(String(error)));
  worker.on("exit", (code) => failure(`it ended with code ${code}`));
  return {
    post: (content) => worker.postMessage(content),
    keepAlive: (yes) => (yes ? worker.ref() : worker.unref()),
    terminate: () => void worker.terminate(),
  };
}

/** The parts of a page's Worker that are used here; the compiler only knows Node. */
type PageWorker = {
  onmessage: (event: { readonly data: unknown }) => void;
  onerror: (event: { readonly message: string }) => void;
  postMessage(message: unknown): void;
  terminate(): void;
};

function startPageWorker(name: string, { message, failure }: WorkerEvents): HostWorker {
  const { Worker } = globalThis as unknown as { readonly Worker: new (url: string, options: object) => PageWorker };
  const url = URL.createObjectURL(new Blob([workerSource], { type: "text/javascript" }));
  const worker = new Worker(url, { name });
  worker.onmessage = (event) => message(event.data);
  worker.onerror = (event) => failure(event.message);
  return {
    post: (content) => worker.postMessage(content),
    keepAlive: () => undefined,
    terminate: () => {
      worker.terminate();
      URL.revokeObjectURL(url);
    },
  };
}

/** Whether memory can be shared with workers. Pages need to be cross-origin isolated for that. */
export function canShareMemory(): boolean {
  const isolated = (globalThis as { readonly crossOriginIsolated?: boolean }).crossOriginIsolated;
  return typeof SharedArrayBuffer !== "undefined" && isolated !== false;
}

/** Threads by default: as many as the host runs at once, at most 16. */
const maximumDefault = 16;
const maximumThreads = 64;

/**
 * The number of threads: the option, else the environment variable EVENKEEL_THREADS, else what the host has.
 * @throws EvenkeelError `value` if that isn't a whole number from 1 to 64.
 */
export async function threadCount(option: number | undefined): Promise<number> {
  const variable = isNode ? process.env["EVENKEEL_THREADS"] : undefined;
  if (option !== undefined) return checkThreads(option, "the option threads");
  if (variable !== undefined && variable !== "") return checkThreads(Number(variable), "EVENKEEL_THREADS");
  return Math.max(1, Math.min(maximumDefault, await hostParallelism()));
}

async function hostParallelism(): Promise<number> {
  if (isNode) return ((await nodeModule("os")) as typeof import("node:os")).availableParallelism();
  return (
    (globalThis as { readonly navigator?: { readonly hardwareConcurrency?: number } }).navigator?.hardwareConcurrency ??
    1
  );
}

function checkThreads(threads: number, from: string): number {
  if (Number.isInteger(threads) && threads >= 1 && threads <= maximumThreads) return threads;
  throw new EvenkeelError("value", `wasm: ${from} is ${threads}. Give a whole number from 1 to ${maximumThreads}.`);
}
