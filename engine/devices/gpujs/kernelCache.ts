/** Compiled kernels by their source: equal kernels, of any program and under any name, are compiled once. */
import type { CompiledKernel } from "./kernelSource.ts";

/** Pipelines kept for programs to come. Programs hold theirs themselves. */
const limit = 1024;

export class KernelCache {
  readonly #kernels = new Map<string, Promise<CompiledKernel>>();
  #misses = 0;

  /** How often a kernel was asked for that wasn't here. */
  get misses(): number {
    return this.#misses;
  }

  /**
   * The kernel that was compiled under this key before, or what `compile` gives.
   * @throws EvenkeelError `kernel` as `compile`; a failure isn't kept.
   */
  compile(key: string, compile: () => Promise<CompiledKernel>): Promise<CompiledKernel> {
    const known = this.#kernels.get(key);
    if (known === undefined) this.#misses++;
    const compiled = known ?? compile();
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
