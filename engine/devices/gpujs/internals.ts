/**
 * The only file that knows the insides of gpu.js. gpu.js translates a kernel's JavaScript to WGSL, or takes ours, and makes its compute
 * pipeline; the engine keeps the pipeline and dispatches it over its own buffers on gpu.js's device. gpu.js has no public
 * way to this, so its version is pinned and `selfTest` checks at start-up that what is used here is as it was.
 */
import { EvenkeelError } from "../../errors.ts";
import { type CompiledKernel, javascriptOf, type KernelSource } from "./kernelSource.ts";
import { gpujsLibrary } from "./library.ts";
import type { Waiting } from "./sparingWaits.ts";
import type { WgslKernel } from "./wgsl/index.ts";

/** The version whose internals are described here. */
export const gpujsVersion = "2.24.1";

/** gpu.js's `WebGPUKernel` as far as it is used. */
export declare class InternalKernel {
  constructor(source: string, settings: object);
  static readonly mode: unknown;
  readonly fallbackReason: string | null;
  readonly compiledSource: unknown;
  computePipeline: unknown;
  bindGroupLayout: unknown;
  readonly paramsLayout: unknown;
  componentCount: unknown;
  translatedBody: unknown;
  translatedFunctions: unknown;
  returnType: unknown;
  built: boolean;
  readonly _computeDispatch: unknown;
  build(...args: readonly unknown[]): Promise<void>;
  translateSource(): void;
  assembleWGSL(): string;
  _buildAsync(): Promise<void>;
  destroy(): void;
  /** Ours: WGSL to take in place of a translation. */
  own?: WgslKernel | null;
}

type InternalContext = { readonly device: GPUDevice };

export type InternalGpu = {
  Kernel: unknown;
  createKernel(source: string, settings: object): { readonly kernel: InternalKernel };
};

type Internals = {
  readonly GPU: new (settings: { readonly mode: string }) => InternalGpu;
  readonly WebGPUContext: { acquire(): Promise<InternalContext>; destroy(): Promise<void> };
  readonly WebGPUKernel: typeof InternalKernel;
};

const internals = gpujsLibrary as Partial<Internals>;

function changed(what: string): EvenkeelError {
  return new EvenkeelError(
    "device",
    `webgpu: gpu.js has other internals than version ${gpujsVersion}, for which Evenkeel is written: ${what}. ` +
      `Install gpu.js@${gpujsVersion} exactly.`,
  );
}

/** @throws EvenkeelError `device` naming the internal that isn't as expected. */
export function expectInternal(condition: boolean, what: string): asserts condition {
  if (!condition) throw changed(what);
}

export function internal<K extends keyof Internals>(name: K): Internals[K] {
  const value: Internals[K] | undefined = internals[name];
  if (typeof value !== "function") throw changed(`its export ${name} is ${typeof value}, expected a class`);
  return value;
}

export function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

/** gpu.js's kernel without a result buffer of its own; where it is given WGSL it takes that in place of a translation. */
export function engineKernelClass(device: GPUDevice, waiting: Waiting): Internals["WebGPUKernel"] {
  const Base = internal("WebGPUKernel");
  const prototype = record(Base.prototype);
  for (const method of ["_ensureOutputBuffer", "translateSource", "assembleWGSL", "_buildAsync"]) {
    expectInternal(typeof prototype[method] === "function", `WebGPUKernel has no method ${method}`);
  }
  return class EngineKernel extends Base {
    override own: WgslKernel | null = null;

    _ensureOutputBuffer(): void {}

    override translateSource(): void {
      if (this.own === null) {
        super.translateSource();
        return;
      }
      // Nothing is translated: the parser, most of what a kernel costs to make, never runs.
      this.translatedBody = "";
      this.translatedFunctions = "";
      this.returnType = "Number";
      this.componentCount = 1;
    }

    override assembleWGSL(): string {
      return this.own === null ? super.assembleWGSL() : this.own.text;
    }

    override async _buildAsync(): Promise<void> {
      if (this.own === null) return super._buildAsync();
      const { text, bindings, table } = this.own;
      const module = device.createShaderModule({ code: text });
      const layout = device.createBindGroupLayout({
        entries: [
          ...bindings.map(({ access }) => (access === "read" ? "read-only-storage" : "storage")),
          ...(table === undefined ? [] : ["uniform" as const]),
        ].map((type, binding) => ({
          binding,
          // GPUShaderStage.COMPUTE
          visibility: 4,
          buffer: { type },
        })),
      });
      try {
        // Drivers make pipelines on threads of their own, while others are asked for.
        const made = device.createComputePipelineAsync({
          layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
          compute: { module, entryPoint: "main" },
        });
        this.computePipeline = await waiting(made);
      } catch (cause) {
        const { messages } = await module.getCompilationInfo();
        const errors = messages.filter(({ type }) => type === "error");
        if (errors.length === 0) throw cause;
        const lines = errors.map(({ lineNum, linePos, message }) => `line ${lineNum}:${linePos}: ${message}`);
        throw new Error(lines.join("; "), { cause });
      }
      this.bindGroupLayout = layout;
      this.built = true;
    }
  };
}

/** Takes what the engine needs out of a built kernel, and checks all of it. */
export function readKernel(kernel: InternalKernel, source: KernelSource): CompiledKernel {
  const { mode } = kernel.constructor as { readonly mode?: unknown };
  if (mode !== "webgpu" || kernel.fallbackReason !== null) {
    throw new EvenkeelError(
      "kernel",
      `webgpu: gpu.js compiled kernel ${source.name} for mode ${String(mode)}, not webgpu: ${kernel.fallbackReason ?? "no reason given"}.`,
    );
  }
  const { compiledSource } = kernel;
  expectInternal(typeof compiledSource === "string", "kernel.compiledSource is no string");
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
    ...pipelineOf(kernel),
    javascript: javascriptOf(source),
    wgsl: compiledSource,
    bindings: [
      { kind: "params" },
      ...source.operandWords.map((_, index) => ({ kind: "operand", index, access: "read" }) as const),
      { kind: "result", index: 0, access: "read_write" },
    ],
    params,
    groups,
  };
}

/** The pipeline of a built kernel and the layout of what it is bound to. */
export function pipelineOf({
  computePipeline,
  bindGroupLayout,
}: InternalKernel): Pick<CompiledKernel, "pipeline" | "layout"> {
  expectInternal(
    typeof record(computePipeline)["getBindGroupLayout"] === "function",
    "kernel.computePipeline is no GPUComputePipeline",
  );
  expectInternal(
    typeof bindGroupLayout === "object" && bindGroupLayout !== null,
    "kernel.bindGroupLayout is no GPUBindGroupLayout",
  );
  return { pipeline: computePipeline as GPUComputePipeline, layout: bindGroupLayout as GPUBindGroupLayout };
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
