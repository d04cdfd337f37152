/** The device `webgpu`: kernels compiled by gpu.js, run over the engine's own buffers. */
import { EvenkeelError } from "../../errors.ts";
import type { DType, TensorData } from "../../graph/dtype.ts";
import { at } from "../../graph/shape.ts";
import { placesTogether } from "../../kernel/arenas.ts";
import type { Plan } from "../../kernel/plan.ts";
import type { DeviceBuffer, DeviceLimits, DeviceTraits, Executable, KernelDevice } from "../device.ts";
import type { ContextLease, GpujsContext } from "./adapter.ts";
import { TaskQueue } from "../taskQueue.ts";
import { OwnBuffers } from "../ownBuffers.ts";
import { type KernelMaker, WebgpuExecutable } from "./webgpuExecutor.ts";
import { webgpuLimits } from "./webgpuLimits.ts";
import { type GpuRange, type QueueCounts, WebgpuMemory } from "./webgpuMemory.ts";
import {
  checkOptions,
  kernelsOf,
  submitLimitOf,
  type TuningTable,
  type WebgpuKernels,
  type WebgpuOptions,
} from "./webgpuOptions.ts";
import { emitKernelSource } from "./source/index.ts";
import { emitKernel, type EmitOptions, schedulesFor } from "./wgsl/index.ts";
import { tuneProducts } from "./tuneProducts.ts";
import { tunedTilesOf, tuningTableOf } from "./tuningTable.ts";
import type { Tile } from "./wgsl/product/index.ts";
import { halvedIntegers, wholeIntegers } from "./words.ts";

export { probeWebgpu, type WebgpuProbe } from "./adapterSelection.ts";

/**
 * A device on the WebGPU adapter of the page, or in Node on that of the package `webgpu`. All devices of the process
 * share gpu.js's one GPUDevice; disposing of the last of them destroys it (and lets Node end). After a loss of the
 * GPUDevice every call of its devices fails, and new devices work on a new GPUDevice.
 * @param schedules how kernels are run, where that isn't left to the engine: for proofs that it doesn't matter
 * @throws EvenkeelError `device` if there is no WebGPU, no adapter, or not the gpu.js this is written for; `value` for options that are
 * none
 */
export async function createWebgpuDevice(options: WebgpuOptions = {}, schedules?: EmitOptions): Promise<WebgpuDevice> {
  checkOptions(options);
  // Loaded here, for gpu.js takes a while and `probeWebgpu` doesn't need it.
  const { acquireContext } = await import("./adapter.ts");
  const lease = await acquireContext();
  try {
    return new WebgpuDevice(lease, options, schedules);
  } catch (error) {
    lease.release();
    throw error;
  }
}

/** What a device has asked of the GPU since it was made; pipelines are those that all devices of the process made. */
export type WorkCounts = Readonly<QueueCounts> & { readonly pipelines: number };

class WebgpuDevice implements KernelDevice {
  readonly runs = "kernels";
  readonly name = "webgpu";
  readonly description: string;
  readonly traits: DeviceTraits;
  readonly limits: DeviceLimits;
  readonly queue = new TaskQueue();
  /** How its kernels of our own are run. */
  readonly schedules: EmitOptions;
  readonly #lease: ContextLease;
  readonly #memory: WebgpuMemory;
  readonly #buffers: OwnBuffers<GpuRange>;
  readonly #debug: boolean;
  readonly #kernels: WebgpuKernels;
  readonly #autotune: boolean;
  /** Products' fastest tiles as far as they are known. */
  readonly #tuned: Map<string, Tile>;
  readonly #submitLimit: number;
  readonly #maker: KernelMaker;
  readonly #executables = new Set<WebgpuExecutable>();
  #disposed = false;

  constructor(lease: ContextLease, options: WebgpuOptions, schedules: EmitOptions | undefined) {
    const { context } = lease;
    this.#lease = lease;
    this.#memory = new WebgpuMemory(context);
    this.#debug = options.debug ?? false;
    this.#submitLimit = submitLimitOf(options, context.adapter.isSoftware);
    const kernels = kernelsOf(options);
    this.#kernels = kernels;
    this.#autotune = options.autotune === true && kernels === "own";
    this.#tuned = tunedBefore(options, context.description);
    this.schedules = { ...(schedules ?? schedulesFor(context.adapter)), tuned: this.#tuned };
    this.#maker = makerOf(context, kernels, this.schedules);
    this.description = `WebGPU through gpu.js on ${context.description}${kernels === "own" ? "" : ", generated kernels"}`;
    this.traits = { adapter: context.adapter, threads: 1, fusedMultiplyAdd: null };
    const limits = webgpuLimits(context, kernels);
    this.limits = {
      ...limits,
      batches: limits.batches && options.batches !== false,
      chains: limits.chains && (options.chains ?? !context.adapter.isSoftware),
      writtenInFours: options.halves === false ? null : limits.writtenInFours,
    };
    this.#buffers = new OwnBuffers(this.name, this.limits.elements);
  }

  /** As of now; what a piece of work asks for is the difference of two. */
  get counts(): WorkCounts {
    return { ...this.#memory.counts, pipelines: this.#lease.context.pipelines };
  }

  get usable(): boolean {
    return !this.#disposed && !this.#lease.context.health.lost;
  }

  allocate(dtype: DType, length: number): DeviceBuffer {
    this.#memory.requireUsable();
    return this.#buffers.allocate(dtype, length, (what) => ({
      buffer: this.#memory.acquire(4 * this.#maker.words.wordsOf(dtype, length), what),
      offset: 0,
    }));
  }

  allocateTogether(wanted: readonly { readonly dtype: DType; readonly length: number }[]): DeviceBuffer[] {
    if (!this.limits.batches) return wanted.map(({ dtype, length }) => this.allocate(dtype, length));
    this.#memory.requireUsable();
    const { places, arenas } = placesTogether(wanted, 4 * this.limits.elements);
    const holders = arenas.map((_, arena) => places.filter((place) => place?.arena === arena).length);
    const buffers: DeviceBuffer[] = [];
    const shared: GPUBuffer[] = [];
    try {
      arenas.forEach((bytes, arena) => {
        shared.push(this.#memory.acquireFor(at(holders, arena), bytes, `memory of ${at(holders, arena)} arrays`));
      });
      wanted.forEach(({ dtype, length }, i) => {
        const place = at(places, i);
        buffers.push(
          place === null
            ? this.allocate(dtype, length)
            : this.#buffers.allocate(dtype, length, () => ({ buffer: at(shared, place.arena), offset: place.offset })),
        );
      });
      return buffers;
    } catch (reason) {
      // Of the arenas that which have no buffers yet would release.
      shared.forEach((buffer, arena) => {
        const taken = places.filter((place, i) => place?.arena === arena && i < buffers.length).length;
        for (let holder = taken; holder < at(holders, arena); holder++) this.#memory.release(buffer);
      });
      for (const buffer of buffers) this.free(buffer);
      throw reason;
    }
  }

  upload(buffer: DeviceBuffer, data: TensorData): void {
    this.#memory.requireUsable();
    this.#memory.write(this.#buffers.target(buffer, data), this.#maker.words.toWords(data, buffer.dtype));
  }

  async download(buffers: readonly DeviceBuffer[]): Promise<TensorData[]> {
    this.#memory.requireUsable();
    const { fromWords, wordsOf } = this.#maker.words;
    const parts = buffers.map((buffer) => {
      return { from: this.#buffers.memoryOf("download", buffer), count: wordsOf(buffer.dtype, buffer.length) };
    });
    const words = await this.#memory.read(parts);
    return buffers.map(({ dtype, length }, i) => fromWords(at(words, i), dtype, length));
  }

  move(from: readonly DeviceBuffer[], to: readonly DeviceBuffer[]): void {
    this.#memory.requireUsable();
    // Copied rather than exchanged: bind groups are made for the GPU's buffers.
    this.#buffers.pairs(from, to).forEach(([source, target], i) => {
      const { dtype, length } = at(from, i);
      this.#memory.copy(source, target, this.#maker.words.wordsOf(dtype, length));
    });
  }

  free(buffer: DeviceBuffer): void {
    // The buffers of a disposed device are freed already.
    if (!this.#disposed) this.#memory.release(this.#buffers.release(buffer).buffer);
  }

  async compile(plan: Plan): Promise<Executable> {
    this.#memory.requireUsable();
    if (this.#autotune) {
      await this.#lease.context.health.settle(
        tuneProducts(this.#lease.context, plan, this.schedules, this.#tuned),
        "timing the products of a program",
      );
    }
    const executable = await WebgpuExecutable.compile(this.#memory, plan, {
      maker: this.#maker,
      buffers: this.#buffers,
      debug: this.#debug,
      submitLimit: this.#submitLimit,
      onDispose: (disposed) => this.#executables.delete(disposed),
    });
    this.#executables.add(executable);
    return executable;
  }

  tuning(): TuningTable {
    if (this.#kernels === "generated") {
      throw new EvenkeelError(
        "value",
        'webgpu: the kernels of this device are generated, and have no tiles: there is nothing to tune. Make it with kernels "own", the default ' +
          "unless EVENKEEL_WEBGPU says otherwise.",
      );
    }
    return tuningTableOf(this.#lease.context.description, this.#tuned);
  }

  memory(): { readonly bytes: number; readonly buffers: number } {
    return this.#memory.inUse;
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    for (const executable of this.#executables) executable.dispose();
    this.#memory.dispose();
    this.#lease.release();
  }
}

/** @throws EvenkeelError `value` for a table that is none */
function tunedBefore({ tuning }: WebgpuOptions, adapter: string): Map<string, Tile> {
  if (tuning === undefined) return new Map();
  const { tiles, ignored } = tunedTilesOf(tuning, adapter);
  if (ignored !== null) console.warn(`evenkeel: ${ignored}`);
  return tiles;
}

/** How the kernels of a device are made. */
function makerOf(context: GpujsContext, kernels: WebgpuKernels, schedules: EmitOptions): KernelMaker {
  if (kernels === "own") {
    return {
      words: wholeIntegers,
      compile: (kernel, aliases) => context.ownKernelOf(emitKernel(kernel, aliases, schedules)),
      compileWhole: (kernel) => context.ownKernelOf(kernel),
      schedules,
    };
  }
  return {
    words: halvedIntegers,
    compile: (kernel, aliases) => {
      if (aliases.operands.some((result) => result !== null)) {
        throw new EvenkeelError("graph", `webgpu: the plan has kernel ${kernel.name} write the buffer it reads.`);
      }
      return context.kernelOf(emitKernelSource(kernel, "webgpu"));
    },
    compileWhole: () => {
      throw new EvenkeelError(
        "graph",
        "webgpu: the plan has steps of several members, which generated kernels can't be.",
      );
    },
  };
}
