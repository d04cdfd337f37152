/** What differs between the devices that run kernels by gpu.js's public calls. */
import type { DeviceLimits, DeviceTraits, KernelSource as SourceText } from "../device.ts";
import type { KernelSource } from "./kernelSource.ts";
import type { PublicMode } from "./publicCalls.ts";

/** Memory of a mode holding some words: what `M` is. A backend's methods throw `device` once its context is lost. */
export interface PublicBackend<M> {
  readonly mode: PublicMode;
  readonly description: string;
  readonly traits: DeviceTraits;
  readonly limits: DeviceLimits;
  /** Whether its context is lost. */
  readonly lost: boolean;
  /** Memory with these words. `previous` (of the same number of words) is overwritten or freed. */
  store(words: Float32Array, previous: M | null): M;
  /** The first `count` words, in an array of the caller's own. */
  load(memory: M, count: number): Float32Array;
  free(memory: M): void;
  /** @throws EvenkeelError `kernel` if gpu.js refuses it. */
  compile(source: KernelSource): PublicCompiled<M>;
  /** Waits until everything that was run is done. */
  finish(): void;
  dispose(): void;
}

export interface PublicCompiled<M> {
  /** Memory it holds: gpu.js keeps the last result of every kernel. */
  readonly bytes: number;
  /** Runs over the operands. `previous`, of no fewer words than the result and no operand, is overwritten or freed. */
  run(operands: readonly M[], previous: M | null): M;
  /** The kernel's text in each language. */
  texts(): readonly Omit<SourceText, "kernel">[];
  dispose(): void;
}
