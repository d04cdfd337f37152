/** GPU buffers that are used again: making one costs an allocation and clearing it. */

/** Idle bytes kept at most; beyond that the buffers idle for longest are destroyed. */
const defaultIdleBytes = 256 * 2 ** 20;

export class BufferPool {
  readonly #create: (bytes: number) => GPUBuffer;
  readonly #maxIdleBytes: number;
  #idle: GPUBuffer[] = [];
  #idleBytes = 0;

  constructor(create: (bytes: number) => GPUBuffer, maxIdleBytes = defaultIdleBytes) {
    this.#create = create;
    this.#maxIdleBytes = maxIdleBytes;
  }

  /** The smallest idle buffer of at least `bytes` that isn't more than twice as big, or a new one. */
  acquire(bytes: number): GPUBuffer {
    // A binding is never empty and is whole words.
    const wanted = Math.max(4, Math.ceil(bytes / 4) * 4);
    let best = -1;
    for (const [i, { size }] of this.#idle.entries()) {
      if (size < wanted || size > 2 * wanted) continue;
      if (best < 0 || size < (this.#idle[best]?.size ?? 0)) best = i;
    }
    const [found] = best < 0 ? [] : this.#idle.splice(best, 1);
    if (found === undefined) return this.#create(wanted);
    this.#idleBytes -= found.size;
    return found;
  }

  /** Gives a buffer back. Work that was submitted before may still use it: the queue keeps the order. */
  release(buffer: GPUBuffer): void {
    this.#idle.push(buffer);
    this.#idleBytes += buffer.size;
    while (this.#idleBytes > this.#maxIdleBytes) {
      const oldest = this.#idle.shift();
      if (oldest === undefined) break;
      this.#idleBytes -= oldest.size;
      oldest.destroy();
    }
  }

  /** Destroys the idle buffers. */
  dispose(): void {
    for (const buffer of this.#idle) buffer.destroy();
    this.#idle = [];
    this.#idleBytes = 0;
  }
}
