/** The buffers of one device that runs gpu.js by its public calls: who owns what, and how much of it there is. */
import { EvenkeelError } from "../../errors.ts";
import { OwnBuffers } from "../ownBuffers.ts";
import type { PublicBackend } from "./publicBackend.ts";

/** Place for some words, which gets memory when it is first written or read. */
export class Cell<M> {
  readonly words: number;
  readonly #backend: PublicBackend<M>;
  #memory: M | null = null;

  constructor(backend: PublicBackend<M>, words: number) {
    this.#backend = backend;
    // gpu.js takes no empty arrays.
    this.words = Math.max(1, words);
  }

  get bytes(): number {
    return 4 * this.words;
  }

  /** Its memory, zeros if it was never written. */
  read(): M {
    this.#memory ??= this.#backend.store(new Float32Array(this.words), null);
    return this.#memory;
  }

  store(words: Float32Array): void {
    this.replace((previous) => this.#backend.store(words, previous));
  }

  /** Lets `make` overwrite or replace the memory; if it throws, there is none. */
  replace(make: (previous: M | null) => M): void {
    const previous = this.#memory;
    this.#memory = null;
    this.#memory = make(previous);
  }

  free(): void {
    if (this.#memory !== null) this.#backend.free(this.#memory);
    this.#memory = null;
  }
}

export class PublicMemory<M> {
  readonly backend: PublicBackend<M>;
  /** The tensors' memory. */
  readonly buffers: OwnBuffers<Cell<M>>;
  readonly #live = new Set<Cell<M>>();
  #bytes = 0;
  #claims = 0;
  #disposed = false;

  constructor(backend: PublicBackend<M>) {
    this.backend = backend;
    this.buffers = new OwnBuffers(backend.mode, backend.limits.elements);
  }

  /** Counts memory that a kernel in use holds. */
  claim(bytes: number): void {
    this.#bytes += bytes;
    this.#claims++;
  }

  unclaim(bytes: number): void {
    this.#bytes -= bytes;
    this.#claims--;
  }

  /** @throws EvenkeelError `disposed` after `dispose`. */
  requireUsable(): void {
    if (!this.#disposed) return;
    const { mode } = this.backend;
    throw new EvenkeelError("disposed", `${mode}: this device has been disposed of; make a new one with createDevice.`);
  }

  /** @throws EvenkeelError `memory` if that many words can't be had, naming them. */
  acquire(words: number, what: string): Cell<M> {
    this.requireUsable();
    const { mode, limits } = this.backend;
    const cell = new Cell<M>(this.backend, words);
    const most = 2 * limits.elements;
    if (words > most) {
      throw new EvenkeelError(
        "memory",
        `${mode}: ${what} takes ${words} words (${cell.bytes} bytes), one buffer holds ${most}. Use smaller tensors or device wasm.`,
      );
    }
    try {
      // What is lacking is told here and not by a kernel.
      cell.read();
    } catch (cause) {
      if (cause instanceof EvenkeelError) throw cause;
      throw new EvenkeelError(
        "memory",
        `${mode}: no memory for ${what}, ${cell.bytes} bytes (${this.#bytes} bytes in ${this.inUse.buffers} buffers are in use).`,
        { cause },
      );
    }
    this.#live.add(cell);
    this.#bytes += cell.bytes;
    return cell;
  }

  release(cell: Cell<M>): void {
    if (!this.#live.delete(cell)) return;
    this.#bytes -= cell.bytes;
    cell.free();
  }

  get inUse(): { readonly bytes: number; readonly buffers: number } {
    return { bytes: this.#bytes, buffers: this.#live.size + this.#claims };
  }

  dispose(): void {
    this.#disposed = true;
    for (const cell of this.#live) this.release(cell);
  }
}
