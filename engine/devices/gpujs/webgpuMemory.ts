/** The buffers of one engine device on gpu.js's GPUDevice: allocation, counting, copies to and from the host. */
import { EvenkeelError } from "../../errors.ts";
import type { GpujsContext } from "./adapter.ts";
import { BufferPool } from "./bufferPool.ts";
import { mapMode, usage } from "./bufferUsage.ts";

/** Words as they are uploaded. */
export type Words = Float32Array | Int32Array | Uint32Array;

/** Memory of one of the engine's buffers: a GPU's buffer from some byte on. */
export type GpuRange = { readonly buffer: GPUBuffer; readonly offset: number };

/** A copy that the next submit begins with, of so many words; a number: from that word on of those that wait to be uploaded. */
type Copy = { readonly from: GpuRange | number; readonly to: GpuRange; readonly count: number };

/** The first `count` words of a range. */
type Part = { readonly from: GpuRange; readonly count: number };

type Group = { readonly bytes: number; readonly parts: readonly (Part & { readonly offset: number })[] };

/** Bytes read back at once, unless one buffer is larger: what the host copies without a turn of the event loop in some milliseconds. */
const stagingBytes = 16 * 2 ** 20;

/** What was asked of the GPU's queue; the self-test and the measuring of single kernels are left out. */
export type QueueCounts = {
  submits: number;
  dispatches: number;
  /** Writes of host memory to a buffer. */
  uploads: number;
  /** Times that the host waited for memory to be mapped. */
  readbacks: number;
};

/** Words that are uploaded together at most; more are written by themselves. */
const togetherWords = stagingBytes / 4;

export class WebgpuMemory {
  readonly context: GpujsContext;
  /** Of this device, whoever works with its memory. */
  readonly counts: QueueCounts = { submits: 0, dispatches: 0, uploads: 0, readbacks: 0 };
  readonly #storage: BufferPool;
  readonly #staging: BufferPool;
  readonly #live = new Set<GPUBuffer>();
  /** Of buffers that several hold how many still do. */
  readonly #holders = new Map<GPUBuffer, number>();
  /** What was asked for since the last submit, in order: a training step has a dozen arguments, and each write costs the host as much. */
  #copies: Copy[] = [];
  /** Words that wait to be uploaded: the first `#waitingWords` of them. */
  #waiting = new Uint32Array(2 ** 10);
  #waitingWords = 0;
  #bytes = 0;
  #disposed = false;

  constructor(context: GpujsContext) {
    this.context = context;
    this.#storage = new BufferPool((size) =>
      this.#create(size, usage.storage | usage.copySource | usage.copyDestination),
    );
    this.#staging = new BufferPool((size) => this.#create(size, usage.mapRead | usage.copyDestination));
  }

  /** @throws EvenkeelError `disposed` after `dispose`, `device` after a loss, and late errors of earlier work. */
  requireUsable(): void {
    if (this.#disposed) throw disposedError();
    this.context.health.check();
  }

  /**
   * Memory for kernels, of undefined content.
   * @throws EvenkeelError `memory` if one buffer can't be as big. Memory that runs out is told by the next call.
   */
  acquire(bytes: number, what: string): GPUBuffer {
    this.requireUsable();
    if (bytes > this.context.byteLimit) {
      throw new EvenkeelError(
        "memory",
        `webgpu: ${what} needs ${bytes} bytes, one buffer of ${this.context.description} holds ${this.context.byteLimit}. ` +
          `${this.#bytes} bytes are in use. Use smaller tensors or device wasm.`,
      );
    }
    return this.#count(this.#storage.acquire(bytes));
  }

  /** The same for so many holders, of whom each has to release it. */
  acquireFor(holders: number, bytes: number, what: string): GPUBuffer {
    const buffer = this.acquire(bytes, what);
    this.#holders.set(buffer, holders);
    return buffer;
  }

  /** Takes back what `acquire` gave. */
  release(buffer: GPUBuffer): void {
    const others = (this.#holders.get(buffer) ?? 1) - 1;
    if (others > 0) {
      this.#holders.set(buffer, others);
      return;
    }
    this.#holders.delete(buffer);
    if (!this.#live.delete(buffer)) return;
    // The pool may destroy buffers, which what waits may name.
    this.flush();
    this.#bytes -= buffer.size;
    this.#storage.release(buffer);
  }

  /** A buffer for uniforms, never used again for anything else. */
  createUniform(content: Uint32Array<ArrayBuffer>): GPUBuffer {
    this.requireUsable();
    const buffer = this.#count(this.#create(Math.max(16, content.byteLength), usage.uniform | usage.copyDestination));
    this.counts.uploads++;
    this.context.device.queue.writeBuffer(buffer, 0, content);
    return buffer;
  }

  destroyUniform(buffer: GPUBuffer): void {
    if (!this.#live.delete(buffer)) return;
    this.#bytes -= buffer.size;
    buffer.destroy();
  }

  /** Copies `words` to the start of a range, after what was asked for before. The words are the caller's again at once. */
  write(to: GpuRange, words: Words): void {
    const count = words.length;
    if (count === 0) return;
    if (this.#waitingWords + count > togetherWords) this.flush();
    if (count > togetherWords) {
      this.counts.uploads++;
      this.context.device.queue.writeBuffer(to.buffer, to.offset, words.buffer, words.byteOffset, words.byteLength);
      return;
    }
    const from = this.#waitingWords;
    this.#waitingWords += count;
    if (this.#waitingWords > this.#waiting.length) {
      const larger = new Uint32Array(2 ** Math.ceil(Math.log2(this.#waitingWords)));
      larger.set(this.#waiting);
      this.#waiting = larger;
    }
    this.#waiting.set(new Uint32Array(words.buffer, words.byteOffset, count), from);
    this.#copies.push({ from, to, count });
  }

  /** Copies the first `count` words of a range to another one, after what was asked for before. */
  copy(from: GpuRange, to: GpuRange, count: number): void {
    if (count > 0) this.#copies.push({ from, to, count });
  }

  /** Gives the GPU what was asked for before, and then what `record` adds, as one submit with one upload. */
  submit(record: (encoder: GPUCommandEncoder) => void): void {
    const { device } = this.context;
    const encoder = device.createCommandEncoder();
    const borrowed: GPUBuffer[] = [];
    const borrow = (words: number): GPUBuffer => {
      const buffer = this.#storage.acquire(4 * words);
      borrowed.push(buffer);
      return buffer;
    };
    const words = this.#waitingWords;
    const uploaded = words === 0 ? undefined : borrow(words);
    if (uploaded !== undefined) {
      this.counts.uploads++;
      device.queue.writeBuffer(uploaded, 0, this.#waiting, 0, words);
    }
    const copy = (from: GpuRange, to: GpuRange, count: number): void =>
      encoder.copyBufferToBuffer(from.buffer, from.offset, to.buffer, to.offset, 4 * count);
    for (const { from, to, count } of this.#copies) {
      if (typeof from === "number") {
        if (uploaded !== undefined) copy({ buffer: uploaded, offset: 4 * from }, to, count);
      } else if (from.buffer === to.buffer) {
        // Not within a buffer, which WebGPU refuses.
        const between = { buffer: borrow(count), offset: 0 };
        copy(from, between, count);
        copy(between, to, count);
      } else copy(from, to, count);
    }
    this.#copies = [];
    this.#waitingWords = 0;
    record(encoder);
    this.counts.submits++;
    device.queue.submit([encoder.finish()]);
    for (const buffer of borrowed) this.#storage.release(buffer);
  }

  /** Gives the GPU what was asked for before, if there is anything. */
  flush(): void {
    if (this.#copies.length > 0) this.submit(() => undefined);
  }

  /** What is asked for, after all work submitted before: in one readback unless it is more than some megabytes. */
  async read(parts: readonly Part[]): Promise<Float32Array[]> {
    this.requireUsable();
    const words: Float32Array[] = [];
    for (const group of inGroups(parts)) words.push(...(await this.#readTogether(group)));
    return words;
  }

  async #readTogether({ bytes, parts }: Group): Promise<Float32Array[]> {
    const { health } = this.context;
    if (bytes === 0) return parts.map(() => new Float32Array(0));
    const staging = this.#staging.acquire(bytes);
    try {
      this.submit((encoder) => {
        // Words are four bytes, which is all the alignment that copies ask for.
        for (const { from, count, offset } of parts) {
          if (count > 0) encoder.copyBufferToBuffer(from.buffer, from.offset, staging, offset, 4 * count);
        }
      });
      this.counts.readbacks++;
      await health.settle(staging.mapAsync(mapMode.read, 0, bytes), `reading ${bytes} bytes`);
      if (this.#disposed) throw disposedError();
      const mapped = staging.getMappedRange(0, bytes);
      const words = parts.map(({ count, offset }) => new Float32Array(mapped, offset, count).slice());
      staging.unmap();
      this.#staging.release(staging);
      return words;
    } catch (error) {
      staging.destroy();
      throw this.#disposed ? disposedError() : error;
    }
  }

  /** Buffers that were acquired and not released; idle ones of the pools aren't counted. */
  get inUse(): { readonly bytes: number; readonly buffers: number } {
    return { bytes: this.#bytes, buffers: this.#live.size };
  }

  dispose(): void {
    this.#disposed = true;
    this.#copies = [];
    for (const buffer of this.#live) buffer.destroy();
    this.#live.clear();
    this.#holders.clear();
    this.#bytes = 0;
    this.#storage.dispose();
    this.#staging.dispose();
  }

  #count(buffer: GPUBuffer): GPUBuffer {
    this.#live.add(buffer);
    this.#bytes += buffer.size;
    return buffer;
  }

  #create(size: number, purpose: number): GPUBuffer {
    const { device, health } = this.context;
    const { result, error } = health.watch("out-of-memory", () => device.createBuffer({ size, usage: purpose }));
    void error.then((found) => {
      if (found === null) return;
      health.report(
        new EvenkeelError(
          "memory",
          `webgpu: no memory for a buffer of ${size} bytes (${this.#bytes} bytes in ${this.#live.size} buffers are in use): ${found.message}`,
        ),
      );
    });
    return result;
  }
}

/** Parts that are read back together, each with its place among them. */
function inGroups(parts: readonly Part[]): readonly Group[] {
  const groups: { bytes: number; readonly parts: (Part & { readonly offset: number })[] }[] = [];
  for (const part of parts) {
    const size = 4 * part.count;
    let group = groups.at(-1);
    if (group === undefined || (group.bytes > 0 && group.bytes + size > stagingBytes)) {
      group = { bytes: 0, parts: [] };
      groups.push(group);
    }
    group.parts.push({ ...part, offset: group.bytes });
    group.bytes += size;
  }
  return groups;
}

function disposedError(): EvenkeelError {
  return new EvenkeelError("disposed", "webgpu: this device has been disposed of; make a new one with createDevice.");
}
