/** The buffers of one device. What it refuses of them is the same on every device, with the same error codes. */
import { EvenkeelError } from "../errors.ts";
import { type DType, dtypeOfData, dtypes, type TensorData } from "../graph/dtype.ts";
import { at } from "../graph/shape.ts";
import { checkBindings, type Signature } from "./bindings.ts";
import type { DeviceBuffer, DeviceName } from "./device.ts";
import { eventLoopTurn } from "./eventLoop.ts";

/** `M` is what the device knows its memory by. */
class OwnBuffer<M> implements DeviceBuffer {
  readonly dtype: DType;
  readonly length: number;
  readonly owner: OwnBuffers<M>;
  /** Null once freed. */
  memory: M | null;

  constructor(dtype: DType, length: number, owner: OwnBuffers<M>, memory: M) {
    this.dtype = dtype;
    this.length = length;
    this.owner = owner;
    this.memory = memory;
  }
}

/** A buffer that isn't freed, and its memory. */
type Live<M> = { readonly own: OwnBuffer<M>; readonly memory: M };

/** The memory of what is bound to a program. */
export type Bound<M> = { readonly input: readonly M[]; readonly output: readonly M[] };

export class OwnBuffers<M> {
  readonly #device: DeviceName;
  /** Elements one buffer may have. */
  readonly #elements: number;

  constructor(device: DeviceName, elements: number) {
    this.#device = device;
    this.#elements = elements;
  }

  /**
   * @throws EvenkeelError `dtype`; `range` unless the length is a whole number from 0; `memory` if it is above what one buffer holds, and
   * what `acquire` throws
   */
  allocate(dtype: DType, length: number, acquire: (what: string) => M): DeviceBuffer {
    if (!dtypes.includes(dtype)) {
      throw new EvenkeelError(
        "dtype",
        `${this.#device}: allocate got the dtype ${dtype}. There are ${dtypes.join(", ")}.`,
      );
    }
    if (!Number.isInteger(length) || length < 0) {
      throw new EvenkeelError(
        "range",
        `${this.#device}: allocate was asked for a buffer of ${length} ${dtype}. Give a whole number of elements, 0 or more.`,
      );
    }
    const what = `a buffer of ${length} ${dtype} elements`;
    if (length > this.#elements) {
      throw new EvenkeelError(
        "memory",
        `${this.#device}: no memory for ${what} (${4 * length} bytes): one buffer holds ${this.#elements} elements. ` +
          "Use smaller tensors or another device.",
      );
    }
    return new OwnBuffer(dtype, length, this, acquire(what));
  }

  /** @throws EvenkeelError `device` for a buffer of another device, `disposed` for one that was freed */
  memoryOf(operation: string, buffer: DeviceBuffer): M {
    return this.#live(operation, buffer).memory;
  }

  /** @throws EvenkeelError as {@link memoryOf}; `dtype`, `shape` unless `data` fills the buffer */
  target(buffer: DeviceBuffer, data: TensorData): M {
    const memory = this.memoryOf("upload", buffer);
    // Anything that isn't known counts as bool.
    if (dtypeOfData(data) !== buffer.dtype || (buffer.dtype === "bool" && !(data instanceof Uint8Array))) {
      throw new EvenkeelError(
        "dtype",
        `${this.#device}: upload got ${data.constructor.name} for a buffer of ${buffer.length} ${buffer.dtype}. Convert it first.`,
      );
    }
    if (data.length !== buffer.length) {
      throw new EvenkeelError(
        "shape",
        `${this.#device}: upload got ${data.length} elements for a buffer of ${buffer.length} ${buffer.dtype}. Give exactly as many.`,
      );
    }
    return memory;
  }

  /**
   * Reads buffers one after the other, with turns of the event loop every so many milliseconds.
   * @param requireUsable throws if the device isn't any more
   * @throws EvenkeelError as {@link memoryOf}, before anything is read
   */
  async download(
    buffers: readonly DeviceBuffer[],
    read: (memory: M, buffer: DeviceBuffer) => TensorData,
    requireUsable: () => void,
    turnMilliseconds?: number,
  ): Promise<TensorData[]> {
    const all: TensorData[] = [];
    for (const buffer of buffers) this.memoryOf("download", buffer);
    for (const buffer of buffers) {
      const turn = eventLoopTurn(turnMilliseconds);
      if (turn !== undefined) {
        await turn;
        requireUsable();
      }
      all.push(read(this.memoryOf("download", buffer), buffer));
    }
    return all;
  }

  /** The memory of each pair that a caller moves, from and to. @throws EvenkeelError as {@link memoryOf} and `Device.move` */
  pairs(from: readonly DeviceBuffer[], to: readonly DeviceBuffer[]): readonly (readonly [from: M, to: M])[] {
    return this.#ownPairs(from, to).map(([source, target]) => [source.memory, target.memory]);
  }

  /** Moves by exchanging the memory of each pair. @throws EvenkeelError as {@link pairs} */
  exchange(from: readonly DeviceBuffer[], to: readonly DeviceBuffer[]): void {
    for (const [source, target] of this.#ownPairs(from, to)) {
      [source.own.memory, target.own.memory] = [target.memory, source.memory];
    }
  }

  /** Marks a buffer as freed and gives its memory. @throws EvenkeelError as {@link memoryOf} */
  release(buffer: DeviceBuffer): M {
    const { own, memory } = this.#live("free", buffer);
    own.memory = null;
    return memory;
  }

  /** The memory of what a caller binds to a program. @throws EvenkeelError as {@link memoryOf} and {@link checkBindings} */
  bind(signature: Signature, inputs: readonly DeviceBuffer[], outputs: readonly DeviceBuffer[]): Bound<M> {
    const input = inputs.map((buffer, i) => this.memoryOf(`run, input ${i}`, buffer));
    const output = outputs.map((buffer, i) => this.memoryOf(`run, output ${i}`, buffer));
    checkBindings(this.#device, signature, inputs, outputs);
    return { input, output };
  }

  #ownPairs(from: readonly DeviceBuffer[], to: readonly DeviceBuffer[]): (readonly [from: Live<M>, to: Live<M>])[] {
    if (from.length !== to.length || new Set([...from, ...to]).size !== from.length + to.length) {
      throw new EvenkeelError(
        "value",
        `${this.#device}: move got ${from.length} buffers to move to ${to.length}. Give one for each, and none of them twice.`,
      );
    }
    const pairs = from.map((buffer, i) => [this.#live("move", buffer), this.#live("move", at(to, i))] as const);
    for (const [{ own: source }, { own: target }] of pairs) {
      if (source.dtype === target.dtype && source.length === target.length) continue;
      throw new EvenkeelError(
        source.dtype === target.dtype ? "shape" : "dtype",
        `${this.#device}: move from ${source.length} ${source.dtype} to a buffer of ${target.length} ${target.dtype}. Give one of its kind.`,
      );
    }
    return pairs;
  }

  #live(operation: string, buffer: DeviceBuffer): Live<M> {
    if (!(buffer instanceof OwnBuffer) || buffer.owner !== this) {
      throw new EvenkeelError(
        "device",
        `${this.#device}: ${operation}: the buffer belongs to another device. Download it there and upload it here.`,
      );
    }
    const own = buffer as OwnBuffer<M>;
    const { memory } = own;
    if (memory === null) {
      throw new EvenkeelError(
        "disposed",
        `${this.#device}: ${operation}: the buffer (${own.length} ${own.dtype}) was freed. Allocate a new one.`,
      );
    }
    return { own, memory };
  }
}
