/** gpu.js by its public calls: a kernel is a function of arrays or textures. For the modes `cpu` and `webgl2`. */
import { EvenkeelError } from "../../errors.ts";
import { javascriptOf } from "./kernelSource.ts";
import { reasonOf } from "./adapterSelection.ts";
import type { KernelSource } from "./kernelSource.ts";
import { gpujsLibrary } from "./library.ts";

export type PublicMode = "cpu" | "webgl2";

/** What a kernel gives: nested rows, or with `pipeline` on webgl2 a texture. */
export type PublicKernel = {
  (...args: readonly unknown[]): unknown;
  /** Translates and compiles; the arguments only tell their types. */
  build(...args: readonly unknown[]): void;
  destroy(): void;
  setOutput(output: readonly number[]): void;
  /** The kernel behind the call, which gpu.js exchanges when it falls back to another mode. */
  readonly kernel: { readonly constructor: { readonly mode?: unknown }; readonly fallbackReason?: string | null };
};

export type PublicGpu = {
  createKernel(source: string, settings: object): PublicKernel;
  destroy(): Promise<void>;
  /** The rendering context that the kernels share, after the first of them was built. */
  readonly context: unknown;
};

const { GPU } = gpujsLibrary as {
  readonly GPU: { new (settings: { readonly mode: PublicMode }): PublicGpu; readonly isWebGL2Supported: boolean };
};

/** @throws EvenkeelError `device` with gpu.js's reason if it has no such mode here. */
export function createGpu(mode: PublicMode): PublicGpu {
  if (mode === "webgl2" && !GPU.isWebGL2Supported) {
    throw new EvenkeelError(
      "device",
      "webgl2: gpu.js finds no WebGL2 here (it needs a page with canvas and WebGL2). Use device wasm, or webgpu.",
    );
  }
  try {
    return new GPU({ mode });
  } catch (cause) {
    throw new EvenkeelError("device", `${mode}: gpu.js can't start: ${reasonOf(cause)}`, { cause });
  }
}

/** The name that gpu.js gives a mode in its kernels. */
const internalModes = { cpu: "cpu", webgl2: "gpu" } as const;

/**
 * A kernel that is ready to run.
 * @param samples arguments of the types that it will be called with
 * @throws EvenkeelError `kernel` with the kernel's source and gpu.js's reason if it refuses, or falls back to another mode.
 */
export function buildKernel(
  gpu: PublicGpu,
  mode: PublicMode,
  source: KernelSource,
  settings: object,
  samples: readonly unknown[],
): PublicKernel {
  const kernel = (() => {
    try {
      const created = gpu.createKernel(source.source, {
        output: [...source.output],
        functions: source.functions.map((helper) => ({ ...helper, argumentTypes: [...helper.argumentTypes] })),
        precision: "single",
        // gpu.js stops loops of unknown length here without a word.
        loopMaxIterations: 2 ** 31 - 1,
        ...settings,
      });
      created.build(...samples);
      return created;
    } catch (cause) {
      throw new EvenkeelError(
        "kernel",
        `${mode}: gpu.js refuses kernel ${source.name}: ${reasonOf(cause)}\n--- JavaScript of ${source.name} ---\n${javascriptOf(source)}`,
        { cause },
      );
    }
  })();
  requireMode(kernel, mode, source.name);
  return kernel;
}

/** @throws EvenkeelError `kernel` if gpu.js runs a kernel in another mode than was asked for. */
export function requireMode({ kernel }: PublicKernel, mode: PublicMode, name: string): void {
  const { mode: got } = kernel.constructor;
  const reason = kernel.fallbackReason ?? null;
  if (got === internalModes[mode] && reason === null) return;
  throw new EvenkeelError(
    "kernel",
    `${mode}: gpu.js runs kernel ${name} in mode ${String(got)}, not ${mode}: ${reason ?? "no reason given"}.`,
  );
}

/** Rows within rows of `result` one after the other, into the start of `target`. */
export function flattenInto(result: unknown, target: Float32Array): void {
  let next = 0;
  const copy = (rows: unknown): void => {
    if (rows instanceof Float32Array) {
      target.set(rows, next);
      next += rows.length;
    } else if (Array.isArray(rows)) {
      for (const row of rows) copy(row);
    } else {
      throw new EvenkeelError("kernel", `gpu.js gave ${typeof rows} where rows of numbers were expected.`);
    }
  };
  copy(result);
}
