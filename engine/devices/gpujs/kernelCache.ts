/** Compiled kernels by their source: equal kernels, of any program and under any name, are compiled once. */
import type { CompiledKernel, KernelSource } from "./kernelSource.ts";

/** Pipelines kept for programs to come. Programs hold theirs themselves. */
const limit = 1024;

export class KernelCache {
  readonly #compile: (source: KernelSource) => Promise<CompiledKernel>;
  readonly #kernels = new Map<string, Promise<CompiledKernel>>();

  constructor(compile: (source: KernelSource) => Promise<CompiledKernel>) {
    this.#compile = compile;
  }

  /** @throws EvenkeelError `kernel` as `GpujsContext.compile`; a failure isn't kept. */
  compile(source: KernelSource): Promise<CompiledKernel> {
    const key = JSON.stringify([source.source, source.functions, source.output, source.operandWords]);
    const known = this.#kernels.get(key);
    const compiled = known ?? this.#compile(source);
    // The order of a Map is that of insertion: what was used longest ago comes first.
    this.#kernels.delete(key);
    this.#kernels.set(key, compiled);
    if (known === undefined) compiled.catch(() => this.#kernels.delete(key));
    for (const oldest of this.#kernels.keys()) {
      if (this.#kernels.size <= limit) break;
      this.#kernels.delete(oldest);
    }
    return compiled;
  }
}
