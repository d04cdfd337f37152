/** Allocations of one executable, freed together. */
import type { LinearMemory } from "./memory.ts";

export class OwnedMemory {
  readonly memory: LinearMemory;
  readonly #addresses: number[] = [];
  #bytes = 0;

  constructor(memory: LinearMemory) {
    this.memory = memory;
  }

  get bytes(): number {
    return this.#bytes;
  }

  allocate(bytes: number, purpose: string): number {
    const before = this.memory.bytes;
    const address = this.memory.allocate(bytes, purpose);
    this.#bytes += this.memory.bytes - before;
    this.#addresses.push(address);
    return address;
  }

  release(): void {
    for (const address of this.#addresses.splice(0)) this.memory.release(address);
  }
}
