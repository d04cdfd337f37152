/** The WebAssembly module of a plan: one function for each distinct kernel, and `run`. */
import { kernelKey } from "../../../kernel/kernelKey.ts";
import { normalizeKernel } from "../../../kernel/normalize.ts";
import { type FunctionReference, type MemoryImport, ModuleBuilder } from "../assembler/index.ts";
import type { Kernel } from "../../../kernel/kernel.ts";
import { type KernelMethod, methodOf } from "../algorithms/index.ts";
import { emitRun } from "./moduleRun.ts";
import type { EmitOptions } from "../loops/index.ts";

/** A kernel as it is compiled: normalised, with its method. Plans' kernels of the same `key` share it. */
export type CompiledKernel = { readonly key: string; readonly kernel: Kernel; readonly method: KernelMethod };

/** Kernels without their repetitions, and the number among these of each as it was given. */
export type DistinctKernels = { readonly distinct: readonly CompiledKernel[]; readonly numbers: readonly number[] };

/** The distinct kernels among `kernels`, and for each of these its number among them. Pauses after each kernel. */
export function* findingDistinct(kernels: readonly Kernel[]): Generator<void, DistinctKernels> {
  const known = new Map<string, number>();
  const seen = new Map<Kernel, number>();
  const distinct: CompiledKernel[] = [];
  const numberOf = (kernel: Kernel): number => {
    const again = seen.get(kernel);
    if (again !== undefined) return again;
    const normal = normalizeKernel(kernel);
    const key = kernelKey(normal);
    const number = known.get(key) ?? distinct.push({ key, kernel: normal, method: methodOf(normal) }) - 1;
    known.set(key, number);
    seen.set(kernel, number);
    return number;
  };
  const numbers: number[] = [];
  for (const kernel of kernels) {
    numbers.push(numberOf(kernel));
    yield;
  }
  return { distinct, numbers };
}

/** Builds the module of these kernels. `run` is exported. Pauses after each kernel. */
export function* buildingModule(
  kernels: readonly CompiledKernel[],
  memory: MemoryImport,
  options: EmitOptions,
): Generator<void, ModuleBuilder> {
  const module = new ModuleBuilder({ keepsCode: false });
  module.importMemory(memory);
  const functions: FunctionReference[] = [];
  for (const [number, compiled] of kernels.entries()) {
    functions.push(...addKernel(module, compiled, number, options));
    yield;
  }
  module.export(emitRun(module, functions, memory.shared));
  return module;
}

/** Adds the functions of one kernel to a module, one for each of its phases. */
export function addKernel(
  module: ModuleBuilder,
  { kernel, method }: CompiledKernel,
  number: number,
  options: EmitOptions,
): readonly FunctionReference[] {
  const name = `kernel${number}_${kernel.name.replaceAll(/[^A-Za-z0-9_]/g, "_")}`;
  return method.phases.map(({ emit }) => emit(module, name, options));
}
