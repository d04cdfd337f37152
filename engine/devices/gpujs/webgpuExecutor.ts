/** A plan on WebGPU: pipelines made by gpu.js over the engine's buffers, the dispatches of a run in as few submits as may be. */
import { EvenkeelError } from "../../errors.ts";
import { at } from "../../graph/shape.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import { overwritesInput, partsOf, type Plan, type PlanStep, separated } from "../../kernel/plan.ts";
import { type Signature, signatureOfPlan } from "../bindings.ts";
import type { DeviceBuffer, Executable, KernelSource as SourceText, KernelTime, RunOptions } from "../device.ts";
import { eventLoopTurn, throwIfAborted } from "../eventLoop.ts";
import type { OwnBuffers } from "../ownBuffers.ts";
import type { CompiledKernel } from "./kernelSource.ts";
import { BindGroups, type BoundSet, type Dispatch } from "./bindGroups.ts";
import { draftsOf } from "./drafts.ts";
import { actualHomes, aliasesOf, expectedHomes, externalIndex, type Home } from "./homes.ts";
import { timeDispatches } from "./kernelTimer.ts";
import { allocateOwn, type OwnMemory, placeParams } from "./ownMemory.ts";
import { leastPace, RunPace } from "./submits.ts";
import type { GpuRange, WebgpuMemory } from "./webgpuMemory.ts";
import type { Aliases, EmitOptions, WgslKernel } from "./wgsl/index.ts";
import type { WordFormat } from "./words.ts";

/** Submits given to the GPU and not finished; more wait, so that a loop without reads can't fill the queue. */
const maxInFlight = 16;
/** The same of runs that are cut: each submit is long, and a run can be aborted before it is given the next. */
const maxLongInFlight = 2;

/** How kernels are made and what they take for an element: the device's. */
export type KernelMaker = {
  readonly words: WordFormat;
  /** Compiles a kernel of whose operands some lie in the memory of a result. */
  readonly compile: (kernel: Kernel, aliases: Aliases) => Promise<CompiledKernel>;
  /** Compiles a kernel over whole memories: of several members of a step, or of stages. */
  readonly compileWhole: (kernel: WgslKernel) => Promise<CompiledKernel>;
  /** How kernels of batches are run, where it isn't left to the engine. */
  readonly schedules?: EmitOptions;
};

type ExecutableOptions = {
  readonly maker: KernelMaker;
  /** The device's. */
  readonly buffers: OwnBuffers<GpuRange>;
  readonly debug: boolean;
  /** Milliseconds of a submit. */
  readonly submitLimit: number;
  readonly onDispose: (executable: WebgpuExecutable) => void;
};

export class WebgpuExecutable implements Executable {
  readonly bytes: number;
  readonly #memory: WebgpuMemory;
  readonly #buffers: OwnBuffers<GpuRange>;
  readonly #signature: Signature;
  readonly #plan: Plan;
  readonly #dispatches: readonly Dispatch[];
  readonly #own: OwnMemory;
  readonly #bindGroups: BindGroups;
  readonly #pace: RunPace;
  /** The first dispatch that writes over an input. */
  readonly #firstOverwriting: number;
  readonly #debug: boolean;
  readonly #onDispose: (executable: WebgpuExecutable) => void;
  readonly #options: ExecutableOptions;
  /** Whether it was made for the very buffers that it is run on. */
  readonly #isForOneBinding: boolean;
  /** For buffers that lie otherwise than the plan expects: by how they lie. */
  readonly #others = new Map<string, Promise<WebgpuExecutable>>();
  readonly #inFlight: Promise<unknown>[] = [];
  #disposed = false;

  private constructor(
    memory: WebgpuMemory,
    plan: Plan,
    dispatches: readonly Dispatch[],
    own: OwnMemory,
    options: ExecutableOptions,
    isForOneBinding: boolean,
  ) {
    this.#isForOneBinding = isForOneBinding;
    this.#memory = memory;
    this.#plan = plan;
    this.#dispatches = dispatches;
    this.#own = own;
    this.#bindGroups = new BindGroups(
      memory.context.device,
      plan,
      dispatches,
      own.params,
      own.byBuffer,
      options.maker.words,
    );
    this.#pace = new RunPace(leastPace(dispatches.map(({ part }) => part)), options.submitLimit);
    const overwriting = dispatches.findIndex(({ part }) =>
      part.results.some((buffer) => overwritesInput(plan, buffer)),
    );
    this.#firstOverwriting = overwriting < 0 ? Infinity : overwriting;
    this.#buffers = options.buffers;
    this.#signature = signatureOfPlan(plan);
    this.#debug = options.debug;
    this.#onDispose = options.onDispose;
    this.#options = options;
    this.bytes = [...(own.params === null ? [] : [own.params]), ...own.buffers].reduce(
      (sum, { size }) => sum + size,
      0,
    );
  }

  /**
   * Compiles the plan's distinct kernels, all at once, and allocates its temporaries and constants.
   * @param actual where its buffers lie in every run; null: where the plan expects them
   */
  static async compile(
    memory: WebgpuMemory,
    plan: Plan,
    options: ExecutableOptions,
    actual: readonly Home[] | null = null,
  ): Promise<WebgpuExecutable> {
    memory.requireUsable();
    const homes = actual ?? expectedHomes(plan);
    const drafts = draftsOf(plan, homes, options.maker.schedules);
    const compiling = new Kernels(options.maker);
    const started = drafts.map(({ step, whole }) =>
      whole === null ? compiling.kernel(step.kernel, aliasesOf(step, homes)) : options.maker.compileWhole(whole),
    );
    // All are awaited even if one fails: none may be left to reject unheard.
    const settled = await Promise.allSettled(started);
    const compiled = settled.map((outcome) => {
      if (outcome.status === "rejected") throw outcome.reason;
      return outcome.value;
    });
    memory.requireUsable();

    const { dispatches, params } = placeParams(
      drafts,
      compiled,
      memory.context.device.limits.minUniformBufferOffsetAlignment,
    );
    const own = allocateOwn(memory, plan, params, options.maker.words);
    return new WebgpuExecutable(memory, plan, dispatches, own, options, actual !== null);
  }

  async run(
    inputs: readonly DeviceBuffer[],
    outputs: readonly DeviceBuffer[],
    options?: RunOptions,
  ): Promise<readonly KernelTime[]> {
    this.#requireAlive();
    const { input, output } = this.#buffers.bind(this.#signature, inputs, outputs);
    throwIfAborted(options?.signal);
    const bound = [...input, ...output];
    const { health } = this.#memory.context;
    const known = this.#bindGroups.find(bound);
    if (known === undefined && !this.#takes(bound)) return this.#runOther(bound, inputs, outputs, options);
    if (options?.profile === true) {
      const times = await this.#profile(known ?? this.#bindGroups.create(bound));
      const timeOf = new Map<PlanStep, number>();
      this.#dispatches.forEach(({ part }, i) => timeOf.set(part, (timeOf.get(part) ?? 0) + (times[i] ?? 0)));
      // A step without elements isn't dispatched and takes no time.
      return this.#plan.steps.map((step) => ({ name: step.kernel.name, milliseconds: timeOf.get(step) ?? 0 }));
    }
    if (known !== undefined && !this.#debug) {
      await this.#submitAll(known, options?.signal);
    } else {
      // What WebGPU has against a set of buffers it says the first time.
      const errors: Promise<GPUError | null>[] = [];
      const watch: Watch = (work) => {
        const { result, error } = health.watch("validation", work);
        errors.push(error);
        return result;
      };
      const set = known ?? watch(() => this.#bindGroups.create(bound));
      await this.#submitAll(set, options?.signal, watch);
      const found = (await Promise.all(errors)).find((error) => error !== null);
      health.check();
      if (found !== undefined)
        throw new EvenkeelError("kernel", `webgpu: the GPU refuses this program: ${found.message}`);
    }
    await eventLoopTurn();
    return [];
  }

  sources(): readonly SourceText[] {
    const texts = new Map(
      this.#dispatches.map(({ part, kernel }) => [`${part.kernel.name}\n${kernel.wgsl}`, { part, kernel }]),
    );
    return [...texts.values()].flatMap(
      ({
        part: {
          kernel: { name },
        },
        kernel: { javascript, wgsl },
      }) => [
        ...(javascript === null ? [] : [{ kernel: name, language: "javascript", text: javascript }]),
        { kernel: name, language: "wgsl", text: wgsl },
      ],
    );
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    for (const other of this.#others.values())
      void other.then(
        (made) => made.dispose(),
        () => undefined,
      );
    for (const buffer of this.#own.buffers) this.#memory.release(buffer);
    if (this.#own.params !== null) this.#memory.destroyUniform(this.#own.params);
    this.#onDispose(this);
  }

  /** Whether a caller's buffers lie as the kernels expect it. */
  #takes(bound: readonly GpuRange[]): boolean {
    if (this.#isForOneBinding) return true;
    const arenas = new Map<number, GPUBuffer>();
    const fits = this.#plan.buffers.every(({ role }, index) => {
      if ((role.kind !== "input" && role.kind !== "output") || role.place === undefined) return true;
      const range = at(bound, externalIndex(this.#plan, index) ?? -1);
      const arena = arenas.get(role.place.arena) ?? range.buffer;
      arenas.set(role.place.arena, arena);
      return range.buffer === arena && range.offset === role.place.offset;
    });
    return fits && !this.#bindGroups.collides(bound);
  }

  /** The run with kernels for buffers that lie like these: step by step, as nothing is side by side. */
  async #runOther(
    bound: readonly GpuRange[],
    inputs: readonly DeviceBuffer[],
    outputs: readonly DeviceBuffer[],
    options: RunOptions | undefined,
  ): Promise<readonly KernelTime[]> {
    const plan = separated(this.#plan);
    const homes = actualHomes(plan, bound);
    const key = homes.map(({ memory, offset }) => `${memory} ${offset}`).join();
    const known = this.#others.get(key);
    const made =
      known ?? WebgpuExecutable.compile(this.#memory, plan, { ...this.#options, onDispose: () => undefined }, homes);
    this.#others.set(key, made);
    if (known === undefined) made.catch(() => this.#others.delete(key));
    const times = await (await made).run(inputs, outputs, options);
    if (times.length === 0) return times;
    let next = 0;
    return this.#plan.steps.map((step) => {
      const { name } = step.kernel;
      const parts = times.slice(next, (next += partsOf(step).length));
      return { name, milliseconds: parts.reduce((sum, { milliseconds }) => sum + milliseconds, 0) };
    });
  }

  #requireAlive(): void {
    if (this.#disposed)
      throw new EvenkeelError("disposed", "webgpu: run: this program has been disposed of; compile it again.");
    this.#memory.requireUsable();
  }

  /** Gives the GPU all dispatches. Between two submits of a long run it may end: aborted, disposed of, or with the device. */
  async #submitAll(set: BoundSet, signal: AbortSignal | undefined, watch: Watch = (work) => work()): Promise<void> {
    const { ends } = this.#pace;
    const most = ends.length > 1 ? maxLongInFlight : maxInFlight;
    const times: Promise<number>[] = [];
    let first = 0;
    for (const end of ends) {
      if (first > 0) {
        this.#requireAlive();
        if (first <= this.#firstOverwriting) throwIfAborted(signal);
      }
      watch(() => this.#submit(set, first, end));
      first = end;
      const time = this.#memory.context.clock.time();
      times.push(time);
      this.#inFlight.push(time);
      while (this.#inFlight.length > most) await this.#inFlight.shift();
    }
    void Promise.all(times).then((all) => this.#pace.took(all.reduce((sum, each) => sum + each, 0)));
    this.#memory.context.health.check();
  }

  #submit({ groups }: BoundSet, first: number, end: number): void {
    this.#memory.submit((encoder) => {
      const pass = encoder.beginComputePass();
      let bound: GPUComputePipeline | undefined;
      // Hundreds of times a step: no copies, no iterators.
      for (let i = first; i < end; i++) {
        const { pipeline, groups: workgroups } = at(this.#dispatches, i).kernel;
        if (pipeline !== bound) pass.setPipeline(pipeline);
        bound = pipeline;
        pass.setBindGroup(0, at(groups, i));
        pass.dispatchWorkgroups(workgroups[0], workgroups[1], workgroups[2]);
      }
      pass.end();
    });
    this.#memory.counts.dispatches += end - first;
  }

  /** Milliseconds of each dispatch. */
  async #profile({ bound, groups }: BoundSet): Promise<number[]> {
    const { device, health } = this.#memory.context;
    this.#memory.flush();
    const times: number[] = [];
    for (const end of this.#pace.ends) {
      const first = times.length;
      const part = timeDispatches(device, this.#dispatches.slice(first, end), {
        bound,
        groups: groups.slice(first, end),
      });
      times.push(...(await health.settle(part, "measuring the kernels")));
    }
    return times;
  }
}

/** Does work at once, and hears of what is wrong with it. */
type Watch = <T>(work: () => T) => T;

/** The kernels of a plan while they are made: one for equal kernels whose operands lie alike. */
class Kernels {
  readonly #maker: KernelMaker;
  readonly #started = new Map<Kernel, Map<string, Promise<CompiledKernel>>>();

  constructor(maker: KernelMaker) {
    this.#maker = maker;
  }

  kernel(kernel: Kernel, aliases: Aliases): Promise<CompiledKernel> {
    const known = this.#started.get(kernel) ?? new Map<string, Promise<CompiledKernel>>();
    this.#started.set(kernel, known);
    const key = `${aliases.operands.join()} ${aliases.beside.join()}`;
    const started = known.get(key) ?? this.#maker.compile(kernel, aliases);
    known.set(key, started);
    return started;
  }
}
