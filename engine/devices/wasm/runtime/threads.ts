/**
 * The crew: this thread and persistent workers that run the same code over one memory. Where this thread may sleep (Node,
 * a worker of a page) it is thread 0 and a run is over when `run` returns; on the main thread of a page all threads are
 * workers and a message tells the end.
 */
import { EvenkeelError } from "../../../errors.ts";
import type { LinearMemory } from "./memory.ts";
import { commands, control, controlBytes } from "./threadsControl.ts";
import { type HostWorker, startWorker } from "./threadsHost.ts";
import type { WasmModule } from "./webAssembly.ts";

/** The function `run` of a module. */
export type RunFunction = (thread: number, threads: number, first: number, end: number) => number;

/**
 * How often threads look at a word before they sleep on it: ten microseconds at the end of a run, as nobody knows when the next one
 * comes, and some hundred after a slice of one, which the next follows after a turn of the event loop.
 */
const looksAfter = { run: 2_000, slice: 20_000 };

export type CrewOptions = {
  readonly threads: number;
  /** Whether this thread computes too; it must be allowed to sleep. */
  readonly participate: boolean;
};

/** After this time without a sign of life of a worker a run is given up, in milliseconds. */
const startTimeout = 30_000;

type Expected = { readonly kind: "ready" | "done"; left: number; resolve(): void; reject(error: Error): void };

export class Crew {
  readonly threads: number;
  readonly participate: boolean;
  readonly #memory: LinearMemory;
  readonly #words: Int32Array;
  #workers: readonly HostWorker[] | null = null;
  #starting: Promise<readonly HostWorker[]> | null = null;
  #expected: Expected | null = null;
  #broken: string | null = null;
  #disposed = false;
  #dropped: number[] = [];
  #runStarted = 0;

  constructor(memory: LinearMemory, { threads, participate }: CrewOptions) {
    this.threads = threads;
    this.participate = participate;
    this.#memory = memory;
    this.#words = memory.int32(0, controlBytes / 4);
  }

  /** Whether a worker is gone, so that no more work can be shared. */
  get broken(): boolean {
    return this.#broken !== null;
  }

  /** Workers besides this thread. */
  get #workerCount(): number {
    return this.threads - (this.participate ? 1 : 0);
  }

  /** Starts the workers, if nobody has: while they start, the module that they are going to be given can be made. */
  start(): void {
    if (this.#workerCount === 0 || this.#disposed || this.#broken !== null) return;
    // Whoever loads a module is told of what goes wrong.
    this.#started().catch(() => undefined);
  }

  /** Hands a module to every worker (the first time, starts them). Not during a run. */
  async load(id: number, module: WasmModule): Promise<void> {
    this.#check();
    const workers = await this.#started();
    this.#check();
    const drop = this.#dropped;
    this.#dropped = [];
    const ready = this.#expect("ready", workers);
    this.#command(commands.listen);
    for (const worker of workers) worker.post({ kind: "load", id, module, drop });
    await ready;
  }

  /** Lets the workers forget a module when they next listen. */
  drop(id: number): void {
    this.#dropped.push(id);
  }

  /**
   * Runs the records `first` to `end` of a loaded module on all threads. Gives a promise if this thread doesn't take part.
   * @param isLast whether nothing of the same run follows at once
   * @throws EvenkeelError `kernel` if a thread fails, `device` if a worker is gone
   */
  run(id: number, run: RunFunction, first: number, end: number, isLast: boolean): Promise<void> | undefined {
    this.#check();
    this.#requireIdle();
    const words = this.#words;
    for (const address of [control.done, control.begun, control.arrived, control.failed])
      Atomics.store(words, address / 4, 0);
    words[control.executable / 4] = id;
    words[control.first / 4] = first;
    words[control.end / 4] = end;
    words[control.looks / 4] = isLast ? looksAfter.run : looksAfter.slice;
    if (!this.participate) {
      const done = this.#expect("done", this.#workers ?? [], 1).then(() => this.#throwIfFailed());
      this.#command(commands.run);
      return done;
    }
    this.#runStarted = Date.now();
    this.#command(commands.run);
    try {
      run(0, this.threads, first, end);
    } catch (error) {
      this.#fail(error instanceof Error ? (error.stack ?? String(error)) : String(error));
    }
    this.#awaitWorkers();
    this.#throwIfFailed();
    return undefined;
  }

  /** The import `env.stalled` of modules on this thread: whether to leave a barrier at which nothing happens. */
  readonly stalled = (): number => {
    if (Atomics.load(this.#words, control.failed / 4) !== 0) return 1;
    const begun = Atomics.load(this.#words, control.begun / 4);
    if (begun >= this.#workerCount || Date.now() - this.#runStarted < startTimeout) return 0;
    this.#broken = `${this.#workerCount - begun} of ${this.#workerCount} workers did not begin within ${startTimeout / 1000} s`;
    this.#fail(this.#broken);
    return 1;
  };

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    for (const worker of this.#workers ?? []) worker.terminate();
    this.#workers = null;
    this.#settle(new EvenkeelError("disposed", "wasm: the device was disposed of while it was busy."));
  }

  #started(): Promise<readonly HostWorker[]> {
    return (this.#starting ??= this.#start().catch((reason: unknown) => {
      this.#starting = null;
      throw reason;
    }));
  }

  async #start(): Promise<readonly HostWorker[]> {
    const count = this.#workerCount;
    const first = this.threads - count;
    const workers = await Promise.all(
      Array.from({ length: count }, (_, index) =>
        startWorker(`evenkeel wasm ${first + index}`, {
          message: (message) =>
            this.#receive(message as { readonly kind: "ready" | "done"; readonly error?: string | null }),
          failure: (reason) => this.#lose(first + index, reason),
        }),
      ),
    );
    if (this.#disposed) {
      for (const worker of workers) worker.terminate();
      this.#check();
    }
    this.#workers = workers;
    const ready = this.#expect("ready", workers);
    workers.forEach((worker, index) => {
      worker.post({
        kind: "start",
        memory: this.#memory.host,
        thread: first + index,
        threads: this.threads,
        workers: count,
        reports: !this.participate,
      });
    });
    await ready;
    return workers;
  }

  #command(kind: number): void {
    this.#words[control.kind / 4] = kind;
    Atomics.add(this.#words, control.command / 4, 1);
    Atomics.notify(this.#words, control.command / 4);
  }

  /** A promise for messages of the workers. They keep the process alive until then. */
  async #expect(kind: Expected["kind"], workers: readonly HostWorker[], messages = workers.length): Promise<void> {
    this.#requireIdle();
    for (const worker of workers) worker.keepAlive(true);
    try {
      await new Promise<void>((resolve, reject) => {
        this.#expected = { kind, left: messages, resolve, reject };
      });
    } finally {
      for (const worker of workers) worker.keepAlive(false);
    }
  }

  #receive(message: { readonly kind: "ready" | "done"; readonly error?: string | null }): void {
    const expected = this.#expected;
    if (expected === null || expected.kind !== message.kind) return;
    if (typeof message.error === "string") {
      this.#settle(new EvenkeelError("device", `wasm: a worker could not load a module: ${message.error}.`));
      return;
    }
    expected.left--;
    if (expected.left === 0) this.#settle(null);
  }

  #settle(error: Error | null): void {
    const expected = this.#expected;
    this.#expected = null;
    if (error === null) expected?.resolve();
    else expected?.reject(error);
  }

  #lose(thread: number, reason: string): void {
    if (this.#disposed || this.#broken !== null) return;
    this.#broken = `worker ${thread} is gone: ${reason}`;
    this.#fail(this.#broken);
    this.#settle(this.#brokenError());
  }

  #fail(reason: string): void {
    const words = this.#words;
    if (Atomics.compareExchange(words, control.failed / 4, 0, 1) === 0) {
      const bytes = new TextEncoder().encode(reason).subarray(0, control.reasonEnd - control.reason);
      new Uint8Array(this.#memory.host.buffer).set(bytes, control.reason);
      Atomics.store(words, control.reasonLength / 4, bytes.length);
    }
    Atomics.store(words, control.failed / 4, 2);
    Atomics.add(words, control.barrier / 4, 1);
    Atomics.notify(words, control.barrier / 4);
  }

  /** Sleeps until all workers have finished the run. */
  #awaitWorkers(): void {
    const index = control.done / 4;
    const patience = this.#words[control.looks / 4] ?? 0;
    for (let looks = 0; looks < patience && Atomics.load(this.#words, index) < this.#workerCount; looks++);
    for (;;) {
      const done = Atomics.load(this.#words, index);
      if (done >= this.#workerCount) return;
      const outcome = Atomics.wait(this.#words, index, done, 1000);
      if (outcome === "timed-out") {
        this.stalled();
        if (this.#broken !== null) return;
      }
    }
  }

  #throwIfFailed(): void {
    if (Atomics.load(this.#words, control.failed / 4) === 0) return;
    if (this.#broken !== null) throw this.#brokenError();
    const length = Atomics.load(this.#words, control.reasonLength / 4);
    const bytes = new Uint8Array(this.#memory.host.buffer, control.reason, length).slice();
    throw new EvenkeelError("kernel", `wasm: a thread failed in a kernel: ${new TextDecoder().decode(bytes)}`);
  }

  #check(): void {
    if (this.#disposed) throw new EvenkeelError("disposed", "wasm: this device was disposed of. Create a new one.");
    if (this.#broken !== null) throw this.#brokenError();
  }

  /** Else a run would wait for threads that wait for a module, or the other way round. */
  #requireIdle(): void {
    if (this.#expected !== null) throw new Error("the threads are busy: runs must be tasks of the device's queue");
  }

  #brokenError(): EvenkeelError {
    return new EvenkeelError("device", `wasm: ${this.#broken}. Dispose of this device and create a new one.`);
  }
}
