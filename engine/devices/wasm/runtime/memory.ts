/** The memory of a wasm device: one growing WebAssembly.Memory, shared between threads where the host allows it. */
import { describeBytes } from "../../../describeBytes.ts";
import { EvenkeelError } from "../../../errors.ts";
import { Allocator } from "./memoryAllocator.ts";
import { controlBytes } from "./threadsControl.ts";
import { webAssembly } from "./webAssembly.ts";

const pageBytes = 65_536;
/** What a 32-bit address reaches. */
const addressablePages = 65_536;
/** Bytes after every allocation: the last vector of a kernel may read (not write) beyond the end. */
const slackBytes = 16;

/** A WebAssembly.Memory of either kind. */
export type HostMemory = { readonly buffer: ArrayBufferLike; grow(pages: number): number };
type HostMemoryConstructor = new (limits: {
  readonly initial: number;
  readonly maximum: number;
  readonly shared: boolean;
}) => HostMemory;

export type MemoryOptions = {
  readonly shared: boolean;
  readonly initialBytes: number;
  readonly maximumBytes: number;
};

export class LinearMemory {
  readonly host: HostMemory;
  readonly shared: boolean;
  readonly maximumPages: number;
  readonly #allocator: Allocator;
  #allocations = 0;

  constructor({ shared, initialBytes, maximumBytes }: MemoryOptions) {
    this.shared = shared;
    const maximum = Math.min(addressablePages, Math.max(1, Math.ceil(maximumBytes / pageBytes)));
    const initial = Math.min(maximum, Math.max(1, Math.ceil(initialBytes / pageBytes)));
    [this.host, this.maximumPages] = reserve(initial, maximum, shared);
    this.#allocator = new Allocator(controlBytes, initial * pageBytes);
  }

  /** Bytes allocated and not released, rounded up as the allocator does. */
  get bytes(): number {
    return this.#allocator.takenBytes;
  }

  /** Number of allocations not released. */
  get allocations(): number {
    return this.#allocations;
  }

  /** An address for `bytes` bytes and the slack. @throws EvenkeelError `memory` */
  allocate(bytes: number, purpose: string): number {
    const wanted = bytes + slackBytes;
    const address = this.#allocator.allocate(wanted) ?? (this.#grow(wanted) ? this.#allocator.allocate(wanted) : null);
    if (address === null) {
      throw new EvenkeelError(
        "memory",
        `wasm: no memory for ${purpose} (${describeBytes(bytes)}): ${describeBytes(this.bytes)} in ${this.#allocations} ` +
          `allocations are in use and the memory may grow to ${describeBytes(this.maximumPages * pageBytes)}. ` +
          "Free buffers, dispose of programs that are not needed, or make the batch smaller.",
      );
    }
    this.#allocations++;
    return address;
  }

  /** Takes back what `allocate` gave. */
  release(address: number): void {
    if (this.#allocator.release(address)) this.#allocations--;
  }

  /** Makes room for `bytes`; false if the host has no more. */
  #grow(bytes: number): boolean {
    const current = this.host.buffer.byteLength / pageBytes;
    const needed = Math.ceil(this.#allocator.missing(bytes) / pageBytes);
    const room = this.maximumPages - current;
    if (needed > room) return false;
    // Growing by a quarter keeps the number of steps small.
    const generous = Math.min(room, Math.max(needed, Math.ceil(current / 4)));
    if (!this.#growBy(generous) && (generous === needed || !this.#growBy(needed))) return false;
    this.#allocator.extend(this.host.buffer.byteLength);
    return true;
  }

  #growBy(pages: number): boolean {
    try {
      this.host.grow(pages);
      return true;
    } catch (error) {
      if (error instanceof RangeError) return false;
      throw error;
    }
  }

  int32(address: number, length: number): Int32Array {
    return new Int32Array(this.host.buffer, address, length);
  }

  uint32(address: number, length: number): Uint32Array {
    return new Uint32Array(this.host.buffer, address, length);
  }

  float32(address: number, length: number): Float32Array {
    return new Float32Array(this.host.buffer, address, length);
  }
}

/** A memory with the largest maximum up to `maximum` pages for which the host gives addresses. */
function reserve(initial: number, maximum: number, shared: boolean): [HostMemory, number] {
  const Memory = webAssembly.Memory as unknown as HostMemoryConstructor;
  for (let pages = maximum; ; pages = Math.max(initial, pages >> 1)) {
    try {
      return [new Memory({ initial, maximum: pages, shared }), pages];
    } catch (error) {
      if (!(error instanceof RangeError) || pages <= initial) {
        throw new EvenkeelError(
          "memory",
          `wasm: the host gives no memory of ${describeBytes(initial * pageBytes)}: ${String(error)}. ` +
            "Dispose of other wasm devices.",
          { cause: error },
        );
      }
    }
  }
}
