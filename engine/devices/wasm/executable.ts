/** A compiled plan on a wasm device. */
import { EvenkeelError, messageOf } from "../../errors.ts";
import { at } from "../../graph/shape.ts";
import type { Plan } from "../../kernel/plan.ts";
import { printTiling } from "../../kernel/tiling.ts";
import type { DeviceBuffer, Executable, KernelSource, KernelTime, RunOptions } from "../device.ts";
import { type Signature, signatureOfPlan } from "../bindings.ts";
import { eventLoopTurn, inTurns, throwIfAborted } from "../eventLoop.ts";
import type { Bound, OwnBuffers } from "../ownBuffers.ts";
import type { TaskQueue } from "../taskQueue.ts";
import { ModuleBuilder, textWithCalled } from "./assembler/index.ts";
import { type Crew, type LinearMemory, OwnedMemory, type RunFunction, webAssembly } from "./runtime/index.ts";
import {
  addKernel,
  buildingModule,
  type DistinctKernels,
  findingDistinct,
  layOut,
  type Part,
  type Position,
  recordLayout,
  type Records,
  type Slice,
  Slicer,
} from "./program/index.ts";

/** What executables need of their device. */
export type Engine = {
  readonly memory: LinearMemory;
  /** By their addresses. */
  readonly buffers: OwnBuffers<number>;
  readonly crew: Crew;
  readonly queue: TaskQueue;
  readonly relaxed: boolean;
  /** Estimated instructions from which a kernel is shared among threads. */
  readonly sharedCost: number;
  /** Milliseconds of work after which the event loop has a turn. */
  readonly turnMilliseconds: number;
  /** @throws EvenkeelError `disposed` */
  readonly check: (operation: string) => void;
};

let executables = 0;

export class WasmExecutable implements Executable {
  readonly bytes: number;
  readonly #engine: Engine;
  readonly #signature: Signature;
  readonly #kernels: DistinctKernels;
  readonly #run: RunFunction;
  readonly #records: Records;
  readonly #slicer: Slicer;
  /** Whether any record is computed by all threads; then slices are run by all. */
  readonly #isShared: boolean;
  /** The first part that writes over an input; Infinity if none does. */
  readonly #firstOverwriting: number;
  readonly #memory: OwnedMemory;
  readonly #id: number;
  #disposed = false;

  /** @throws EvenkeelError `memory` if the plan's own buffers don't fit */
  static async compile(engine: Engine, plan: Plan): Promise<WasmExecutable> {
    const { memory, crew, relaxed } = engine;
    const kernels = await inTurns(findingDistinct(plan.steps.map(({ kernel }) => kernel)));
    if (kernels.distinct.some(({ method }) => method.phases.some(({ cost }) => cost >= engine.sharedCost)))
      crew.start();
    const limits = { module: "env", name: "memory", initial: 1, maximum: memory.maximumPages, shared: memory.shared };
    const builder = await inTurns(buildingModule(kernels.distinct, limits, { relaxed }));
    const bytes = builder.encode();
    await eventLoopTurn();
    const module = await webAssembly.compile(bytes).catch((cause: unknown) => {
      const problem = messageOf(cause);
      // Hosts tell functions by their numbers, which count imported ones, too.
      const number = Number(/function #(\d+)/.exec(problem)?.[1] ?? NaN) - builder.imports.length;
      const name = builder.functions[number]?.reference.name ?? "the module of a program";
      throw new EvenkeelError("kernel", `wasm: ${name} can't be compiled: ${problem}`, { cause });
    });
    const instance = new webAssembly.Instance(module, { env: { memory: memory.host, stalled: crew.stalled } });
    engine.check("compile");
    const id = executables++;
    const owned = new OwnedMemory(memory);
    try {
      const records = layOut(owned, plan, kernels, engine);
      // Threads listen between runs.
      if (records.runs.some(({ isShared }) => isShared)) await engine.queue.run(() => crew.load(id, module));
      engine.check("compile");
      const run = instance.exports["run"] as RunFunction;
      return new WasmExecutable({ engine, plan, kernels, run, records, owned, id });
    } catch (error) {
      owned.release();
      throw error;
    }
  }

  private constructor(parts: {
    engine: Engine;
    plan: Plan;
    kernels: DistinctKernels;
    run: RunFunction;
    records: Records;
    owned: OwnedMemory;
    id: number;
  }) {
    this.#engine = parts.engine;
    this.#signature = signatureOfPlan(parts.plan);
    this.#kernels = parts.kernels;
    this.#run = parts.run;
    this.#records = parts.records;
    const { crew, turnMilliseconds } = parts.engine;
    // Threads that a page's main thread waits for by messages leave it free; slices only let a run be abandoned there.
    this.#isShared = parts.records.parts.some(({ isShared }) => isShared);
    const overwriting = parts.records.parts.findIndex(({ overwritesInput }) => overwritesInput);
    this.#firstOverwriting = overwriting < 0 ? Infinity : overwriting;
    const slice = this.#isShared && !crew.participate ? 5 : 1.5;
    this.#slicer = new Slicer(parts.records.parts, crew.threads, slice * turnMilliseconds);
    this.#memory = parts.owned;
    this.#id = parts.id;
    this.bytes = parts.owned.bytes;
  }

  async run(
    inputs: readonly DeviceBuffer[],
    outputs: readonly DeviceBuffer[],
    options: RunOptions = {},
  ): Promise<readonly KernelTime[]> {
    this.#check();
    const addresses = this.#engine.buffers.bind(this.#signature, inputs, outputs);
    throwIfAborted(options.signal);
    this.#bind(addresses);
    if (options.profile === true) return this.#profile();
    const pending = this.#runSlices(options.signal);
    return pending === undefined ? [] : pending.then(() => []);
  }

  sources(): readonly KernelSource[] {
    // Written again on demand rather than kept: nobody reads most of them.
    const module = new ModuleBuilder();
    const { memory, relaxed } = this.#engine;
    module.importMemory({
      module: "env",
      name: "memory",
      initial: 1,
      maximum: memory.maximumPages,
      shared: memory.shared,
    });
    const { distinct, numbers } = this.#kernels;
    // What kernels share is told with each of them.
    const texts = distinct.map((compiled, number) =>
      textWithCalled(module, addKernel(module, compiled, number, { relaxed })),
    );
    const steps = this.#records.runs.flatMap(({ band, steps }) => steps.map(({ kernel }) => ({ band, kernel })));
    return steps.map(({ band, kernel }, step) => {
      const number = at(numbers, step);
      const bands = band === null ? "" : `, in bands of ${band.block} of ${band.rows} rows`;
      const { method } = at(distinct, number);
      const header = [`;; schedule: ${method.name}${bands}`, `;; tiling: ${printTiling(method.tiled)}`];
      const text = [...header, at(texts, number)].join("\n");
      return { kernel: kernel.name, language: "wat", text, step };
    });
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#engine.crew.drop(this.#id);
    this.#memory.release();
  }

  #check(): void {
    this.#engine.check("run");
    if (this.#disposed) {
      throw new EvenkeelError("disposed", "wasm: run: this program was disposed of. Compile it again.");
    }
  }

  /** Runs slice after slice. A short program is one, and over when this returns unless the event loop is to have a turn. */
  #runSlices(signal: AbortSignal | undefined): Promise<void> | undefined {
    const slice = this.#slicer.next({ part: 0, place: 0 });
    if (slice === null) return eventLoopTurn(this.#engine.turnMilliseconds);
    const pending = this.#runSlice(slice);
    const isLast = this.#slicer.next(this.#slicer.after(slice)) === null;
    if (pending === undefined && isLast) return eventLoopTurn(this.#engine.turnMilliseconds);
    return this.#goOn(pending, slice, signal);
  }

  async #goOn(pending: Promise<void> | undefined, first: Slice, signal: AbortSignal | undefined): Promise<void> {
    await pending;
    let position = this.#slicer.after(first);
    for (;;) {
      await eventLoopTurn(this.#engine.turnMilliseconds);
      const slice = this.#slicer.next(position);
      if (slice === null) return;
      this.#engine.check("run");
      if (!this.#hasOverwritten(position)) throwIfAborted(signal);
      await this.#runSlice(slice);
      position = this.#slicer.after(slice);
    }
  }

  /** Whether a run that stands there may have written over an input. */
  #hasOverwritten({ part, place }: Position): boolean {
    return part > this.#firstOverwriting || (part === this.#firstOverwriting && place > 0);
  }

  #runSlice(slice: Slice): Promise<void> | undefined {
    const { parts } = this.#records;
    const [first, last] = [at(parts, slice.first), at(parts, slice.last)];
    const before = performance.now();
    const isCut = slice.begin > 0 || slice.end < last.size;
    if (isCut) this.#cut(first, slice.begin, slice.end);
    const finish = (): void => {
      if (isCut) this.#cut(first, 0, first.size);
      this.#slicer.measured(slice, performance.now() - before);
    };
    const isLast = this.#slicer.next(this.#slicer.after(slice)) === null;
    const pending = this.#execute(first.start, last.end, this.#isShared, isLast);
    if (pending === undefined) finish();
    return pending?.then(finish);
  }

  /** Writes into a record which places of it are to be computed. */
  #cut({ start }: Part, begin: number, end: number): void {
    const words = this.#engine.memory.uint32(0, this.#records.end / 4);
    words[(start + recordLayout.begin) / 4] = begin;
    words[(start + recordLayout.size) / 4] = end;
  }

  /** Runs records on all threads if one of them is shared, else here. */
  #execute(first: number, end: number, shared: boolean, isLast = true): Promise<void> | undefined {
    if (shared) return this.#engine.crew.run(this.#id, this.#run, first, end, isLast);
    try {
      this.#run(0, 1, first, end);
    } catch (error) {
      throw new EvenkeelError("kernel", `wasm: a kernel failed: ${String(error)}`, { cause: error });
    }
    return undefined;
  }

  /** Steps that are computed together have a part of their time each, by the bytes they would touch alone. */
  async #profile(): Promise<readonly KernelTime[]> {
    const times: KernelTime[] = [];
    for (const { steps, start, end, isShared } of this.#records.runs) {
      const before = performance.now();
      await this.#execute(start, end, isShared);
      const milliseconds = performance.now() - before;
      const bytes = steps.reduce((sum, { kernel }) => sum + kernel.bytes, 0);
      for (const { kernel } of steps) {
        times.push({
          name: kernel.name,
          milliseconds: steps.length === 1 ? milliseconds : milliseconds * (kernel.bytes / bytes),
        });
      }
    }
    return times;
  }

  #bind(addresses: Bound<number>): void {
    const words = this.#engine.memory.uint32(0, this.#records.end / 4);
    for (const { address, kind, index } of this.#records.bindings) words[address / 4] = at(addresses[kind], index);
  }
}
