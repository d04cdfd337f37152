/**
 * The only file that knows the insides of gpu.js. gpu.js translates a kernel's JavaScript to WGSL and makes its compute
 * pipeline; the engine keeps the pipeline and dispatches it over its own buffers on gpu.js's device. gpu.js has no public
 * way to this, so its version is pinned and `selfTest` checks at start-up that what is used here is as it was.
 */
import gpujs from "gpu.js";
import { EvenkeelError } from "../../errors.ts";
import type { DeviceTraits } from "../device.ts";
import { adapterOf, describeAdapter, isNode, reasonOf, requestAdapter, type WebgpuEntry } from "./adapterSelection.ts";
import { DeviceHealth } from "./deviceHealth.ts";
import { KernelCache } from "./kernelCache.ts";
import type { CompiledKernel, KernelSource } from "./kernelSource.ts";
import { selfTest } from "./selfTest.ts";

/** The version whose internals are described here. */
export const gpujsVersion = "2.24.1";

/** gpu.js's `WebGPUKernel` as far as it is used. */
type InternalKernel = {
  readonly constructor: { readonly mode?: unknown };
  readonly fallbackReason: string | null;
  readonly compiledSource: unknown;
  readonly computePipeline: unknown;
  readonly bindGroupLayout: unknown;
  readonly paramsLayout: unknown;
  readonly componentCount: unknown;
  readonly _computeDispatch: unknown;
  build(...args: readonly unknown[]): Promise<void>;
  destroy(): void;
};

type InternalContext = { readonly device: GPUDevice };

type InternalGpu = {
  Kernel: unknown;
  createKernel(source: string, settings: object): { readonly kernel: InternalKernel };
};

type Internals = {
  readonly GPU: new (settings: { readonly mode: string }) => InternalGpu;
  readonly WebGPUContext: { acquire(): Promise<InternalContext>; destroy(): Promise<void> };
  readonly WebGPUKernel: new (source: string, settings: object) => InternalKernel;
};

// gpu.js's declarations leave these out. In Node the default import is its module object, in its page bundle the class GPU with the same properties.
const internals = gpujs as unknown as Partial<Internals>;

function changed(what: string): EvenkeelError {
  return new EvenkeelError(
    "device",
    `webgpu: gpu.js has other internals than version ${gpujsVersion}, for which Evenkeel is written: ${what}. ` +
      `Install gpu.js@${gpujsVersion} exactly.`,
  );
}

/** @throws EvenkeelError `device` naming the internal that isn't as expected. */
function expectInternal(condition: boolean, what: string): asserts condition {
  if (!condition) throw changed(what);
}

function internal<K extends keyof Internals>(name: K): Internals[K] {
  const value: Internals[K] | undefined = internals[name];
  if (typeof value !== "function") throw changed(`its export ${name} is ${typeof value}, expected a class`);
  return value;
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

/** gpu.js's device with its compiler. One for the whole process, as gpu.js has one device only. */
export class GpujsContext {
  readonly device: GPUDevice;
  readonly health: DeviceHealth;
  /** The adapter in a line. */
  readonly description: string;
  readonly adapter: NonNullable<DeviceTraits["adapter"]>;
  readonly kernels = new KernelCache((source) => this.compile(source));
  readonly #gpu: InternalGpu;

  constructor(device: GPUDevice, adapter: GPUAdapter) {
    this.device = device;
    this.health = new DeviceHealth(device);
    this.adapter = adapterOf(adapter);
    this.description = describeAdapter(this.adapter);
    // gpu.js would print these and hand out zeros.
    device.onuncapturederror = ({ error }) => {
      this.health.report(
        new EvenkeelError("device", `webgpu: the GPU refused work that was given to it before: ${error.message}`),
      );
    };
    const Gpu = internal("GPU");
    this.#gpu = withNavigatorGpu(absentEntry, () => new Gpu({ mode: "webgpu" }));
    this.#gpu.Kernel = engineKernelClass();
  }

  /** Arrays that one kernel may read. */
  get operandLimit(): number {
    return this.device.limits.maxStorageBuffersPerShaderStage - 1;
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
    if (source.operandWords.length > this.operandLimit) {
      throw new EvenkeelError(
        "kernel",
        `webgpu: kernel ${source.name} reads ${source.operandWords.length} arrays, this adapter allows ${this.operandLimit}.`,
      );
    }
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
}

/** The JavaScript of a kernel and the functions it calls. */
export function javascriptOf(source: KernelSource): string {
  return [...source.functions.map((helper) => helper.source), source.source].join("\n\n");
}

/** gpu.js's kernel without a result buffer of its own. */
function engineKernelClass(): Internals["WebGPUKernel"] {
  const Base = internal("WebGPUKernel");
  const prototype = record(Base.prototype);
  expectInternal(
    typeof prototype["_ensureOutputBuffer"] === "function",
    "WebGPUKernel has no method _ensureOutputBuffer",
  );
  return class EngineKernel extends Base {
    _ensureOutputBuffer(): void {}
  };
}

/** Takes what the engine needs out of a built kernel, and checks all of it. */
function readKernel(kernel: InternalKernel, source: KernelSource): CompiledKernel {
  const mode = kernel.constructor.mode;
  if (mode !== "webgpu" || kernel.fallbackReason !== null) {
    throw new EvenkeelError(
      "kernel",
      `webgpu: gpu.js compiled kernel ${source.name} for mode ${String(mode)}, not webgpu: ${kernel.fallbackReason ?? "no reason given"}.`,
    );
  }
  const { computePipeline, bindGroupLayout, compiledSource } = kernel;
  expectInternal(typeof compiledSource === "string", "kernel.compiledSource is no string");
  expectInternal(
    typeof record(computePipeline)["getBindGroupLayout"] === "function",
    "kernel.computePipeline is no GPUComputePipeline",
  );
  expectInternal(
    typeof bindGroupLayout === "object" && bindGroupLayout !== null,
    "kernel.bindGroupLayout is no GPUBindGroupLayout",
  );
  if (kernel.componentCount !== 1) {
    throw new EvenkeelError(
      "kernel",
      `webgpu: kernel ${source.name} returns ${String(kernel.componentCount)} words a thread, expected 1.`,
    );
  }
  const [x = 1, y = 1, z = 1] = source.output;
  const { groups, dispatchWidth } = dispatchOf(kernel, [x, y, z]);
  const params = paramsOf(kernel, source);
  params.set([x, y, z, dispatchWidth]);
  return {
    source,
    wgsl: compiledSource,
    pipeline: computePipeline as GPUComputePipeline,
    layout: bindGroupLayout as GPUBindGroupLayout,
    params,
    groups,
  };
}

type Dispatch = { readonly groups: readonly [number, number, number]; readonly dispatchWidth: number };

function dispatchOf(kernel: InternalKernel, dimensions: readonly number[]): Dispatch {
  expectInternal(typeof kernel._computeDispatch === "function", "kernel._computeDispatch is no function");
  const compute = kernel._computeDispatch as (dimensions: readonly number[]) => unknown;
  // Called as a method: it reads the kernel's device.
  const { groups, dispatchWidth } = record(compute.call(kernel, dimensions));
  expectInternal(Array.isArray(groups) && groups.length === 3, "kernel._computeDispatch gives no three groups");
  expectInternal(typeof dispatchWidth === "number", "kernel._computeDispatch gives no dispatchWidth");
  const [x, y, z] = groups.map(Number);
  expectInternal(
    x !== undefined && y !== undefined && z !== undefined,
    "kernel._computeDispatch gives no three groups",
  );
  return { groups: [x, y, z], dispatchWidth };
}

/** The uniform buffer's words with the operands' dimensions filled in; the first four are the caller's. */
function paramsOf(kernel: InternalKernel, source: KernelSource): Uint32Array<ArrayBuffer> {
  const { arrayArgs, scalarArgs, bufferConstants, randomSeedOffset, byteLength } = record(kernel.paramsLayout);
  expectInternal(
    Array.isArray(arrayArgs) && arrayArgs.length === source.operandWords.length,
    "paramsLayout.arrayArgs isn't one per argument",
  );
  expectInternal(Array.isArray(scalarArgs) && scalarArgs.length === 0, "paramsLayout.scalarArgs isn't empty");
  expectInternal(
    Array.isArray(bufferConstants) && bufferConstants.length === 0,
    "paramsLayout.bufferConstants isn't empty",
  );
  expectInternal(randomSeedOffset === null, "paramsLayout.randomSeedOffset isn't null");
  expectInternal(
    typeof byteLength === "number" && byteLength % 16 === 0,
    "paramsLayout.byteLength is no multiple of 16",
  );
  const params = new Uint32Array(byteLength / 4);
  source.operandWords.forEach((words, i) => {
    const offset = record(arrayArgs[i])["dimsOffset"];
    expectInternal(typeof offset === "number" && offset + 16 <= byteLength, "paramsLayout.arrayArgs has no dimsOffset");
    params.set([words, 1, 1, words], offset / 4);
  });
  return params;
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

/** Has gpu.js take a device of our adapter with everything the adapter allows; gpu.js alone asks for larger buffers only. */
async function acquireDevice(adapter: GPUAdapter): Promise<GPUDevice> {
  const { maxStorageBuffersPerShaderStage, maxBufferSize, maxStorageBufferBindingSize } = adapter.limits;
  const request = { made: false };
  const standIn = {
    limits: adapter.limits,
    requestDevice: () =>
      adapter.requestDevice({
        requiredFeatures: adapter.features.has("timestamp-query") ? ["timestamp-query"] : [],
        requiredLimits: { maxStorageBuffersPerShaderStage, maxBufferSize, maxStorageBufferBindingSize },
      }),
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

/** @throws EvenkeelError `device` if another gpu.js is installed. Pages can't tell; the self-test speaks for them. */
async function checkVersion(): Promise<void> {
  if (!isNode) return;
  // The name in a variable keeps bundlers for pages from looking for the module.
  const moduleName = "node:module";
  const { createRequire } = (await import(
    /* @vite-ignore */ /* webpackIgnore: true */ moduleName
  )) as typeof import("node:module");
  const { version } = createRequire(import.meta.url)("gpu.js/package.json") as { readonly version: string };
  if (version !== gpujsVersion) throw changed(`version ${version} is installed`);
}

let current: { readonly context: Promise<GpujsContext>; users: number } | undefined;

/** A share of the context; `release` gives it back (once; again does nothing). The last one back destroys gpu.js's device, so that Node can end. */
export type ContextLease = { readonly context: GpujsContext; readonly release: () => void };

/**
 * The context, made (and tested) if there is none or the last one was lost.
 * @throws EvenkeelError `device` if there is no WebGPU, no adapter or another gpu.js.
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
  await checkVersion();
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
