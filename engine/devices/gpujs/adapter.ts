/** gpu.js's GPUDevice, made of an adapter of our choice and shared by all devices of the process, with its compiler of kernels. */
import { EvenkeelError } from "../../errors.ts";
import { canWait } from "../canWait.ts";
import type { DeviceTraits } from "../device.ts";
import { adapterOf, describeAdapter, isNode, reasonOf, requestAdapter, type WebgpuEntry } from "./adapterSelection.ts";
import { DeviceHealth } from "./deviceHealth.ts";
import {
  engineKernelClass,
  expectInternal,
  internal,
  type InternalGpu,
  type InternalKernel,
  pipelineOf,
  readKernel,
} from "./internals.ts";
import { deviceRequest, grantsOf } from "./deviceRequest.ts";
import { KernelCache } from "./kernelCache.ts";
import { type CompiledKernel, javascriptOf, type KernelSource } from "./kernelSource.ts";
import { selfTest } from "./selfTest.ts";
import { plainWaits, sparingWaits } from "./sparingWaits.ts";
import { WorkClock } from "./submits.ts";
import type { WgslKernel } from "./wgsl/index.ts";

/** gpu.js's device with its compiler. One for the whole process, as gpu.js has one device only. */
export class GpujsContext {
  readonly device: GPUDevice;
  readonly health: DeviceHealth;
  readonly clock: WorkClock;
  /** The adapter in a line. */
  readonly description: string;
  readonly adapter: NonNullable<DeviceTraits["adapter"]>;
  readonly #kernels = new KernelCache();
  readonly #gpu: InternalGpu;

  constructor(device: GPUDevice, adapter: GPUAdapter) {
    this.device = device;
    this.health = new DeviceHealth(device);
    this.adapter = { ...adapterOf(adapter), ...grantsOf(device) };
    this.description = describeAdapter(this.adapter);
    const waiting = isNode && this.adapter.isSoftware && canWait() ? sparingWaits() : plainWaits;
    this.clock = new WorkClock({ onSubmittedWorkDone: () => waiting(device.queue.onSubmittedWorkDone()) });
    // gpu.js would print these and hand out zeros.
    device.onuncapturederror = ({ error }) => {
      this.health.report(
        new EvenkeelError("device", `webgpu: the GPU refused work that was given to it before: ${error.message}`),
      );
    };
    const Gpu = internal("GPU");
    this.#gpu = withNavigatorGpu(absentEntry, () => new Gpu({ mode: "webgpu" }));
    this.#gpu.Kernel = engineKernelClass(device, waiting);
  }

  /** Pipelines made so far. */
  get pipelines(): number {
    return this.#kernels.misses;
  }

  /** The same for each source that was asked for before: compiled once. */
  kernelOf(source: KernelSource): Promise<CompiledKernel> {
    const key = JSON.stringify([source.source, source.functions, source.output, source.operandWords]);
    return this.#kernels.compile(key, () => this.compile(source));
  }

  /** The same for WGSL of our own. */
  async ownKernelOf(own: WgslKernel): Promise<CompiledKernel> {
    const compiled = await this.#kernels.compile(own.text, () => this.compileOwn(own));
    return { ...compiled, ...howBound(own) };
  }

  /** Arrays that one kernel may read and write. */
  get arrayLimit(): number {
    return this.device.limits.maxStorageBuffersPerShaderStage;
  }

  /** Bytes that one buffer may have. */
  get byteLimit(): number {
    return Math.min(this.device.limits.maxBufferSize, this.device.limits.maxStorageBufferBindingSize);
  }

  /**
   * Has gpu.js translate a kernel and make its pipeline.
   * @throws EvenkeelError `kernel` with the kernel's source and gpu.js's reason if it refuses.
   */
  async compile(source: KernelSource): Promise<CompiledKernel> {
    this.health.check();
    this.#checkArrays(source.name, source.operandWords.length + 1);
    let kernel: InternalKernel | undefined;
    try {
      const settings = {
        output: [...source.output],
        argumentTypes: source.operandWords.map(() => "Array"),
        functions: source.functions.map((helper) => ({ ...helper, argumentTypes: [...helper.argumentTypes] })),
        // gpu.js stops loops of unknown length here without a word.
        loopMaxIterations: 2 ** 31 - 1,
      };
      const shortcut = this.#gpu.createKernel(source.source, settings);
      kernel = shortcut.kernel;
      await kernel.build(...source.operandWords.map(() => new Float32Array(1)));
      return readKernel(kernel, source);
    } catch (cause) {
      if (cause instanceof EvenkeelError) throw cause;
      this.health.check();
      throw new EvenkeelError(
        "kernel",
        `webgpu: gpu.js refuses kernel ${source.name}: ${reasonOf(cause)}\n--- JavaScript of ${source.name} ---\n${javascriptOf(source)}`,
        { cause },
      );
    } finally {
      // Frees its uniform buffer; the pipeline lives on with whoever holds it.
      kernel?.destroy();
    }
  }

  /**
   * Has gpu.js make the pipeline of a kernel in WGSL of our own.
   * @throws EvenkeelError `kernel` with the WGSL and the reason if it is refused.
   */
  async compileOwn(own: WgslKernel): Promise<CompiledKernel> {
    this.health.check();
    this.#checkArrays(own.name, own.bindings.length);
    let kernel: InternalKernel | undefined;
    try {
      kernel = this.#gpu.createKernel("function kernel() { return 0; }", { output: [1] }).kernel;
      kernel.own = own;
      await kernel.build();
      return { ...pipelineOf(kernel), javascript: null, wgsl: own.text, ...howBound(own) };
    } catch (cause) {
      if (cause instanceof EvenkeelError) throw cause;
      this.health.check();
      throw new EvenkeelError(
        "kernel",
        `webgpu: kernel ${own.name} is refused: ${reasonOf(cause)}\n--- WGSL of ${own.name} ---\n${own.text}`,
        { cause },
      );
    } finally {
      kernel?.destroy();
    }
  }

  #checkArrays(name: string, arrays: number): void {
    if (arrays <= this.arrayLimit) return;
    throw new EvenkeelError(
      "kernel",
      `webgpu: kernel ${name} reads and writes ${arrays} arrays, this adapter allows ${this.arrayLimit}.`,
    );
  }
}

/**
 * Runs `work` with `navigator.gpu` being `entry`: gpu.js looks there, and nowhere else, for WebGPU. Put back afterwards,
 * for a `navigator` in Node makes other packages believe they are in a page.
 */
function withNavigatorGpu<T>(entry: WebgpuEntry, work: () => T): T {
  const ownNavigator = (globalThis as { readonly navigator?: object }).navigator;
  const holder = ownNavigator ?? globalThis;
  const key = ownNavigator === undefined ? "navigator" : "gpu";
  const before = Object.getOwnPropertyDescriptor(holder, key);
  Object.defineProperty(holder, key, { value: key === "gpu" ? entry : { gpu: entry }, configurable: true });
  try {
    return work();
  } finally {
    if (before === undefined) Reflect.deleteProperty(holder, key);
    else Object.defineProperty(holder, key, before);
  }
}

/** For code of gpu.js that only asks whether WebGPU exists. */
const absentEntry: WebgpuEntry = { requestAdapter: async () => null };

/** What kernels of one text may differ in. */
function howBound({ bindings, table, groups }: WgslKernel): Pick<CompiledKernel, "bindings" | "params" | "groups"> {
  return table === undefined
    ? { bindings, params: null, groups }
    : { bindings: [...bindings, { kind: "params" }], params: table, groups };
}

/** @throws EvenkeelError `device` if the adapter gives none, though it is asked for nothing that it says it doesn't have. */
async function requestDevice(adapter: GPUAdapter): Promise<GPUDevice> {
  try {
    return await adapter.requestDevice(deviceRequest(adapter));
  } catch (cause) {
    throw new EvenkeelError(
      "device",
      `webgpu: ${describeAdapter(adapterOf(adapter))} gives no device with the limits that it says it has (${reasonOf(cause)}). ` +
        "Update the graphics driver or the browser, try again if the GPU was just reset, or use device wasm.",
      { cause },
    );
  }
}

/** Has gpu.js take a device of our adapter with everything the adapter allows; gpu.js alone asks for larger buffers only. */
async function acquireDevice(adapter: GPUAdapter): Promise<GPUDevice> {
  const request = { made: false };
  const standIn = {
    limits: adapter.limits,
    requestDevice: () => requestDevice(adapter),
  };
  const entry: WebgpuEntry = {
    requestAdapter: async () => {
      request.made = true;
      // gpu.js uses these two properties of an adapter only; the self-test would notice otherwise.
      return standIn as GPUAdapter;
    },
  };
  const context = internal("WebGPUContext");
  expectInternal(
    typeof context.acquire === "function" && typeof context.destroy === "function",
    "WebGPUContext lacks acquire or destroy",
  );
  const { device } = await withNavigatorGpu(entry, () => context.acquire());
  if (!request.made) {
    throw new EvenkeelError(
      "device",
      "webgpu: gpu.js has made its device already, with smaller limits. Make Evenkeel's device before the first webgpu kernel of " +
        "your own, or free gpu.js's with WebGPUContext.destroy().",
    );
  }
  quietShaderModules(device);
  return device;
}

/** gpu.js asks each shader module for its errors; without a scope WebGPU would report them a second time, as nobody's. */
function quietShaderModules(device: GPUDevice): void {
  const create = device.createShaderModule.bind(device);
  device.createShaderModule = (descriptor) => {
    device.pushErrorScope("validation");
    const module = create(descriptor);
    device.popErrorScope().catch(() => null);
    return module;
  };
}

let current: { readonly context: Promise<GpujsContext>; users: number } | undefined;

/** A share of the context; `release` gives it back (once; again does nothing). The last one back destroys gpu.js's device, so that Node can end. */
export type ContextLease = { readonly context: GpujsContext; readonly release: () => void };

/**
 * The context, made (and tested) if there is none or the last one was lost.
 * @throws EvenkeelError `device` if there is no WebGPU, no adapter or another gpu.js, which the self-test tells.
 */
export async function acquireContext(): Promise<ContextLease> {
  if (current !== undefined) {
    const known = await current.context.catch(() => undefined);
    if (known === undefined || known.health.lost) current = undefined;
  }
  const entry = (current ??= { context: makeContext(), users: 0 });
  entry.users++;
  let released = false;
  const release = (): void => {
    if (released) return;
    released = true;
    entry.users--;
    if (entry.users > 0) return;
    if (current === entry) current = undefined;
    void entry.context.then(destroyContext).catch(() => undefined);
  };
  try {
    return { context: await entry.context, release };
  } catch (error) {
    release();
    throw error;
  }
}

/** gpu.js must forget its device too, at once, or the next context would be made on a dead one. */
function destroyContext({ device, health }: GpujsContext): void {
  // After a loss gpu.js has forgotten it already, and may hold a newer device.
  if (!health.lost) void internal("WebGPUContext").destroy();
  device.destroy();
}

async function makeContext(): Promise<GpujsContext> {
  const adapter = await requestAdapter();
  const context = new GpujsContext(await acquireDevice(adapter), adapter);
  try {
    await selfTest(context);
    return context;
  } catch (error) {
    destroyContext(context);
    throw error;
  }
}
