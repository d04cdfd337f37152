/** Compiled kernels by their source: equal kernels, of any program and under any name, are compiled once. */
import type { CompiledKernel, GpujsContext } from "./adapter.ts";
import type { KernelSource } from "./kernelSource.ts";

/** Pipelines kept for programs to come. Programs hold theirs themselves. */
const limit = 1024;

export class KernelCache {
  readonly #context: GpujsContext;
  readonly #kernels = new Map<string, Promise<CompiledKernel>>();

  constructor(context: GpujsContext) {
    this.#context = context;
  }

  /** @throws EvenkeelError `kernel` as `GpujsContext.compile`; a failure isn't kept. */
  compile(source: KernelSource): Promise<CompiledKernel> {
    const key = JSON.stringify([source.source, source.functions, source.output, source.operandWords]);
    const known = this.#kernels.get(key);
    const compiled = known ?? this.#context.compile(source);
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
