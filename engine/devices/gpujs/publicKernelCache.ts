/** Compiled kernels by their source, shared by the programs of a device. */
import type { KernelSource } from "./kernelSource.ts";
import type { PublicCompiled } from "./publicBackend.ts";
import type { PublicMemory } from "./publicMemory.ts";

/** Kernels kept without a program that uses them, and the bytes they may hold. */
const idleLimit = 256;
const idleBytes = 64 * 2 ** 20;

/** One kernel and how many programs use it. */
export type SharedKernel<M> = { readonly key: string; readonly compiled: PublicCompiled<M>; users: number };

export class PublicKernelCache<M> {
  readonly #memory: PublicMemory<M>;
  readonly #kernels = new Map<string, SharedKernel<M>>();

  constructor(memory: PublicMemory<M>) {
    this.#memory = memory;
  }

  /** The kernel, compiled if it isn't known; give it back with `release`. @throws EvenkeelError `kernel` if gpu.js refuses it. */
  acquire(source: KernelSource): SharedKernel<M> {
    const key = JSON.stringify([source.source, source.functions, source.output, source.operandWords]);
    const shared = this.#kernels.get(key) ?? { key, compiled: this.#memory.backend.compile(source), users: 0 };
    this.#kernels.set(key, shared);
    if (shared.users === 0) this.#memory.claim(shared.compiled.bytes);
    shared.users++;
    return shared;
  }

  release(shared: SharedKernel<M>): void {
    shared.users--;
    if (shared.users > 0) return;
    this.#memory.unclaim(shared.compiled.bytes);
    // Last in the map: the order of a Map is that of insertion, so the one idle for longest comes first.
    this.#kernels.delete(shared.key);
    this.#kernels.set(shared.key, shared);
    const idle = [...this.#kernels.values()].filter(({ users }) => users === 0);
    let bytes = idle.reduce((sum, { compiled }) => sum + compiled.bytes, 0);
    for (const [i, { key, compiled }] of idle.entries()) {
      if (idle.length - i <= idleLimit && bytes <= idleBytes) break;
      bytes -= compiled.bytes;
      this.#kernels.delete(key);
      compiled.dispose();
    }
  }
}
