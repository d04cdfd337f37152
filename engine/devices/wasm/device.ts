/** The WebAssembly device: SIMD code of our own, several threads over one memory, no dependencies. */
import { describeBytes } from "../../describeBytes.ts";
import { EvenkeelError } from "../../errors.ts";
import type { DType, TensorData } from "../../graph/dtype.ts";
import type { Plan } from "../../kernel/plan.ts";
import type { DeviceBuffer, DeviceLimits, DeviceTraits, Executable, KernelDevice } from "../device.ts";
import { turnMilliseconds as defaultTurn } from "../eventLoop.ts";
import { canWait } from "../canWait.ts";
import { OwnBuffers } from "../ownBuffers.ts";
import { TaskQueue } from "../taskQueue.ts";
import {
  canShareMemory,
  Crew,
  enableRelaxedSimd,
  LinearMemory,
  readData,
  threadCount,
  writeData,
} from "./runtime/index.ts";
import { type Engine, WasmExecutable } from "./executable.ts";

export type WasmOptions = {
  /** Threads that compute, 1 to 64. Default: EVENKEEL_THREADS, else what the host runs at once, at most 16. */
  readonly threads?: number;
  /** Memory at the start, in bytes. Default 16 MiB. */
  readonly initialBytes?: number;
  /** What the memory may grow to, in bytes. Default and maximum 4 GiB. */
  readonly maximumBytes?: number;
  /**
   * Fused multiply-add (relaxed SIMD) in sums of products: faster, and one rounding instead of two, so results differ in
   * the last bits from those without and, by the specification, may differ between machines. Default false.
   */
  readonly relaxed?: boolean;
  /**
   * Estimated instructions of a kernel from which several threads compute it. Meeting each other costs them some
   * microseconds, so small kernels are faster on one. Default 40,000.
   */
  readonly sharedCost?: number;
  /** Whether the thread that calls computes too. Default: where it may sleep, that is not on a page's main thread. */
  readonly participate?: boolean;
  /**
   * Milliseconds of work after which the event loop has a turn (timers, signals, messages), also within a run: runs are cut into slices
   * that take about so long, which changes no bit of what they give. 0 cuts wherever that can be done. Default 10.
   */
  readonly turnMilliseconds?: number;
};

const limits = {
  operands: 64,
  results: 64,
  arrays: Infinity,
  joins: "rows",
  elements: 2 ** 29,
  temporaries: "arena",
  overlap: false,
  batches: false,
  chains: false,
  inPlace: true,
  concurrency: 1,
  writtenInFours: null,
  factors: "stored",
  arithmetic: "scarce",
  layouts: "inOrder",
  scalars: 200,
} as const;

/**
 * Makes a WebAssembly device. Workers start when the first program with work for several threads is compiled; they don't
 * keep the process alive.
 * @throws EvenkeelError `value` for a bad option, `device` if `relaxed` is asked for and not to be had, `memory`
 */
export async function createWasmDevice(options: WasmOptions = {}): Promise<KernelDevice> {
  const { relaxed = false, initialBytes = 16 * 2 ** 20, maximumBytes = 2 ** 32, sharedCost = 40_000 } = options;
  const turnMilliseconds = options.turnMilliseconds ?? defaultTurn;
  if (!(turnMilliseconds >= 0)) {
    throw new EvenkeelError("value", `wasm: the option turnMilliseconds is ${turnMilliseconds}. Give at least 0.`);
  }
  for (const [name, bytes] of Object.entries({ initialBytes, maximumBytes })) {
    if (!(bytes > 0 && bytes <= 2 ** 32)) {
      throw new EvenkeelError(
        "value",
        `wasm: the option ${name} is ${bytes}. Give a number of bytes above 0, at most 2^32.`,
      );
    }
  }
  if (relaxed) await enableRelaxedSimd();
  const wanted = await threadCount(options.threads);
  const shared = canShareMemory();
  const threads = shared ? wanted : 1;
  const participate = threads === 1 || (canWait() && (options.participate ?? true));
  const memory = new LinearMemory({ shared, initialBytes, maximumBytes });
  const why = wanted > threads ? " (the page is not cross-origin isolated)" : "";
  const description = [
    `WebAssembly SIMD${relaxed ? " with fused multiply-add" : ""}`,
    `${threads} ${threads === 1 ? "thread" : "threads"}${why}`,
    `up to ${describeBytes(memory.maximumPages * 65_536)}`,
  ].join(", ");
  const traits = { adapter: null, threads, fusedMultiplyAdd: relaxed };
  const crew = new Crew(memory, { threads, participate });
  return new WasmDevice(description, traits, { memory, crew, relaxed, sharedCost, turnMilliseconds });
}

class WasmDevice implements KernelDevice {
  readonly runs = "kernels";
  readonly name = "wasm";
  readonly description: string;
  readonly traits: DeviceTraits;
  readonly limits: DeviceLimits;
  readonly queue = new TaskQueue();
  readonly #engine: Engine;
  #disposed = false;

  constructor(description: string, traits: DeviceTraits, parts: Omit<Engine, "queue" | "check" | "buffers">) {
    this.description = description;
    this.traits = traits;
    this.limits = { ...limits, memory: parts.memory.maximumPages * 65_536 };
    this.#engine = {
      ...parts,
      buffers: new OwnBuffers(this.name, limits.elements),
      queue: this.queue,
      check: (operation) => this.#check(operation),
    };
  }

  get usable(): boolean {
    return !this.#disposed && !this.#engine.crew.broken;
  }

  allocate(dtype: DType, length: number): DeviceBuffer {
    this.#check("allocate");
    const { buffers, memory } = this.#engine;
    return buffers.allocate(dtype, length, (what) => memory.allocate(4 * length, what));
  }

  upload(buffer: DeviceBuffer, data: TensorData): void {
    this.#check("upload");
    const { buffers, memory } = this.#engine;
    writeData(memory, buffers.target(buffer, data), data);
  }

  async download(wanted: readonly DeviceBuffer[]): Promise<TensorData[]> {
    const { buffers, memory, turnMilliseconds } = this.#engine;
    const check = (): void => this.#check("download");
    const read = (address: number, { dtype, length }: DeviceBuffer): TensorData =>
      readData(memory, address, dtype, length);
    check();
    return buffers.download(wanted, read, check, turnMilliseconds);
  }

  move(from: readonly DeviceBuffer[], to: readonly DeviceBuffer[]): void {
    this.#check("move");
    this.#engine.buffers.exchange(from, to);
  }

  free(buffer: DeviceBuffer): void {
    if (!this.#disposed) this.#engine.memory.release(this.#engine.buffers.release(buffer));
  }

  async compile(plan: Plan): Promise<Executable> {
    this.#check("compile");
    return WasmExecutable.compile(this.#engine, plan);
  }

  memory(): { readonly bytes: number; readonly buffers: number } {
    const { memory } = this.#engine;
    return this.#disposed ? { bytes: 0, buffers: 0 } : { bytes: memory.bytes, buffers: memory.allocations };
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#engine.crew.dispose();
  }

  #check(operation: string): void {
    if (this.#disposed) {
      throw new EvenkeelError("disposed", `wasm: ${operation}: this device was disposed of. Create a new one.`);
    }
  }
}
