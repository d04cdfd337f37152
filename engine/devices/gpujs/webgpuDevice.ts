/** The device `webgpu`: kernels compiled by gpu.js, run over the engine's own buffers. */
import { EvenkeelError } from "../../errors.ts";
import { allocateData, type DType, type TensorData } from "../../graph/dtype.ts";
import type { Device, DeviceBuffer, DeviceLimits, DeviceProgram, Executable } from "../device.ts";
import type { ContextLease } from "./adapter.ts";
import { gpuBufferOf, WebgpuExecutable } from "./webgpuExecutor.ts";
import { WebgpuBuffer, WebgpuMemory } from "./webgpuMemory.ts";
import type { WebgpuOptions } from "./webgpuOptions.ts";
import { fromWords, toWords, wordsOf } from "./words.ts";

export { probeWebgpu, type WebgpuProbe } from "./adapterSelection.ts";

/** Scalar operations of one kernel: gpu.js's translation takes a few hundred microseconds each. */
const scalarLimit = 64;

/**
 * A device on the WebGPU adapter of the page, or in Node on that of the package `webgpu`. All devices of the process
 * share gpu.js's one GPUDevice; disposing of the last of them destroys it (and lets Node end). After a loss of the
 * GPUDevice every call of its devices fails, and new devices work on a new GPUDevice.
 * @throws EvenkeelError `device` if there is no WebGPU, no adapter, or not the gpu.js this is written for.
 */
export async function createWebgpuDevice(options: WebgpuOptions = {}): Promise<Device> {
  // Loaded here, for gpu.js takes a while and `probeWebgpu` doesn't need it.
  const { acquireContext } = await import("./adapter.ts");
  return new WebgpuDevice(await acquireContext(), options);
}

class WebgpuDevice implements Device {
  readonly name = "webgpu";
  readonly description: string;
  readonly limits: DeviceLimits;
  readonly #lease: ContextLease;
  readonly #memory: WebgpuMemory;
  readonly #debug: boolean;
  readonly #executables = new Set<WebgpuExecutable>();
  #disposed = false;

  constructor(lease: ContextLease, options: WebgpuOptions) {
    const { context } = lease;
    this.#lease = lease;
    this.#memory = new WebgpuMemory(context);
    this.#debug = options.debug ?? false;
    this.description = `WebGPU through gpu.js on ${context.description}`;
    this.limits = {
      operands: context.operandLimit,
      // An integer takes two words of four bytes.
      elements: Math.floor(context.byteLimit / 8),
      temporaries: "slots",
      inPlace: false,
      scalars: scalarLimit,
    };
  }

  get usable(): boolean {
    return !this.#disposed && !this.#lease.context.health.lost;
  }

  allocate(dtype: DType, length: number): DeviceBuffer {
    if (!Number.isInteger(length) || length < 0) {
      throw new EvenkeelError(
        "range",
        `webgpu: a buffer of ${length} ${dtype} was asked for; the length must be a whole number >= 0.`,
      );
    }
    const gpuBuffer = this.#memory.acquire(4 * wordsOf(dtype, length), `a buffer of ${length} ${dtype}`);
    return new WebgpuBuffer(dtype, length, this.#memory, gpuBuffer);
  }

  upload(buffer: DeviceBuffer, data: TensorData): void {
    this.#memory.requireUsable();
    const gpuBuffer = gpuBufferOf(buffer, this.#memory, "the upload's target");
    if (data.length !== buffer.length) {
      throw new EvenkeelError("shape", `webgpu: upload of ${data.length} elements to a buffer of ${buffer.length}.`);
    }
    this.#memory.write(gpuBuffer, toWords(data, buffer.dtype));
  }

  async download(buffer: DeviceBuffer): Promise<TensorData> {
    this.#memory.requireUsable();
    const gpuBuffer = gpuBufferOf(buffer, this.#memory, "the download's source");
    const { dtype, length } = buffer;
    if (length === 0) return allocateData(dtype, 0);
    return fromWords(await this.#memory.read(gpuBuffer, wordsOf(dtype, length)), dtype, length);
  }

  free(buffer: DeviceBuffer): void {
    // The buffers of a disposed device are freed already.
    if (this.#disposed || !(buffer instanceof WebgpuBuffer) || buffer.gpuBuffer === null) return;
    this.#memory.release(gpuBufferOf(buffer, this.#memory, "the buffer to free"));
    buffer.gpuBuffer = null;
  }

  async compile(program: DeviceProgram): Promise<Executable> {
    this.#memory.requireUsable();
    const executable = await WebgpuExecutable.compile(this.#memory, this.#lease.context.kernels, await program.plan(), {
      debug: this.#debug,
      onDispose: (disposed) => this.#executables.delete(disposed),
    });
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
    this.#lease.release();
  }
}
