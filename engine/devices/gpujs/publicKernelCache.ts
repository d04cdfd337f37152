/** Compiled kernels by their source, shared by the programs of a device. */
import type { KernelSource } from "./kernelSource.ts";
import type { PublicBackend, PublicCompiled } from "./publicBackend.ts";

/** Kernels kept without a program that uses them. */
const idleLimit = 256;

/** One kernel and how many programs use it. */
export type SharedKernel<M> = { readonly key: string; readonly compiled: PublicCompiled<M>; users: number };

export class PublicKernelCache<M> {
  readonly #backend: PublicBackend<M>;
  readonly #kernels = new Map<string, SharedKernel<M>>();

  constructor(backend: PublicBackend<M>) {
    this.#backend = backend;
  }

  /** The kernel, compiled if it isn't known; give it back with `release`. @throws EvenkeelError `kernel` if gpu.js refuses it. */
  acquire(source: KernelSource): SharedKernel<M> {
    const key = JSON.stringify([source.source, source.functions, source.output, source.operandWords]);
    const shared = this.#kernels.get(key) ?? { key, compiled: this.#backend.compile(source), users: 0 };
    this.#kernels.set(key, shared);
    shared.users++;
    return shared;
  }

  release(shared: SharedKernel<M>): void {
    shared.users--;
    if (shared.users > 0) return;
    // Last in the map: the order of a Map is that of insertion, so the one idle for longest comes first.
    this.#kernels.delete(shared.key);
    this.#kernels.set(shared.key, shared);
    const idle = [...this.#kernels.values()].filter(({ users }) => users === 0);
    for (const { key, compiled } of idle.slice(0, Math.max(0, idle.length - idleLimit))) {
      this.#kernels.delete(key);
      compiled.dispose();
    }
  }
}
