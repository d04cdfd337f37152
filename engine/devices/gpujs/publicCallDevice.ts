/** A device that runs kernels by gpu.js's public calls; what differs between modes is its backend. */
import { allocateData, type DType, type TensorData } from "../../graph/dtype.ts";
import type { Plan } from "../../kernel/plan.ts";
import type { DeviceBuffer, DeviceLimits, DeviceName, DeviceTraits, Executable, KernelDevice } from "../device.ts";
import { TaskQueue } from "../taskQueue.ts";
import type { PublicBackend } from "./publicBackend.ts";
import { PublicExecutable } from "./publicExecutable.ts";
import { PublicKernelCache } from "./publicKernelCache.ts";
import { type Cell, PublicMemory } from "./publicMemory.ts";
import { fromWords, toWords, wordsOf } from "./words.ts";

export class PublicCallDevice<M> implements KernelDevice {
  readonly runs = "kernels";
  readonly name: DeviceName;
  readonly description: string;
  readonly traits: DeviceTraits;
  readonly limits: DeviceLimits;
  readonly queue = new TaskQueue();
  readonly #backend: PublicBackend<M>;
  readonly #memory: PublicMemory<M>;
  readonly #cache: PublicKernelCache<M>;
  readonly #executables = new Set<PublicExecutable<M>>();
  #disposed = false;

  constructor(backend: PublicBackend<M>) {
    this.name = backend.mode;
    this.description = backend.description;
    this.traits = backend.traits;
    this.limits = backend.limits;
    this.#backend = backend;
    this.#memory = new PublicMemory(backend);
    this.#cache = new PublicKernelCache(this.#memory);
  }

  get usable(): boolean {
    return !this.#disposed && !this.#backend.lost;
  }

  allocate(dtype: DType, length: number): DeviceBuffer {
    this.#memory.requireUsable();
    return this.#memory.buffers.allocate(dtype, length, (what) => this.#memory.acquire(wordsOf(dtype, length), what));
  }

  upload(buffer: DeviceBuffer, data: TensorData): void {
    this.#memory.requireUsable();
    const cell = this.#memory.buffers.target(buffer, data);
    const words = toWords(data, buffer.dtype);
    if (words.length > 0) cell.store(words);
  }

  async download(buffers: readonly DeviceBuffer[]): Promise<TensorData[]> {
    const requireUsable = (): void => this.#memory.requireUsable();
    const read = (cell: Cell<M>, { dtype, length }: DeviceBuffer): TensorData => {
      if (length === 0) return allocateData(dtype, 0);
      return fromWords(this.#backend.load(cell.read(), wordsOf(dtype, length)), dtype, length);
    };
    requireUsable();
    return this.#memory.buffers.download(buffers, read, requireUsable);
  }

  move(from: readonly DeviceBuffer[], to: readonly DeviceBuffer[]): void {
    this.#memory.requireUsable();
    this.#memory.buffers.exchange(from, to);
  }

  free(buffer: DeviceBuffer): void {
    // The buffers of a disposed device are freed already.
    if (!this.#disposed) this.#memory.release(this.#memory.buffers.release(buffer));
  }

  async compile(plan: Plan): Promise<Executable> {
    this.#memory.requireUsable();
    const executable = await PublicExecutable.compile(this.#memory, this.#cache, plan, (disposed) =>
      this.#executables.delete(disposed),
    );
    this.#executables.add(executable);
    return executable;
  }

  memory(): { readonly bytes: number; readonly buffers: number } {
    return this.#memory.inUse;
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    for (const executable of this.#executables) executable.dispose();
    this.#memory.dispose();
    this.#backend.dispose();
  }
}
