import { EvenkeelError } from "../../errors.ts";
import { allocateData, type DType, type TensorData } from "../../graph/dtype.ts";
import { operationName } from "../../graph/print.ts";
import { at } from "../../graph/shape.ts";
import type { Device, DeviceBuffer, DeviceProgram, Executable, KernelTime, RunOptions } from "../device.ts";
import { eventLoopTurn, inTurns, throwIfAborted } from "../eventLoop.ts";
import { nodeByNode } from "./evaluate.ts";

class OracleBuffer implements DeviceBuffer {
  readonly dtype: DType;
  readonly length: number;
  /** Null once freed. */
  values: Float64Array | null;

  constructor(dtype: DType, length: number) {
    this.dtype = dtype;
    this.length = length;
    this.values = new Float64Array(length);
  }
}

/** The device that interprets the traced graph in float64, before any pass. Slow on purpose. */
export class OracleDevice implements Device {
  readonly name = "oracle";
  readonly description = "float64 interpreter of the graph";
  readonly limits = {
    operands: Infinity,
    elements: Infinity,
    temporaries: "slots",
    inPlace: false,
    scalars: Infinity,
  } as const;
  readonly #buffers = new Set<OracleBuffer>();
  #disposed = false;

  get usable(): boolean {
    return !this.#disposed;
  }

  allocate(dtype: DType, length: number): DeviceBuffer {
    this.#requireAlive();
    try {
      const buffer = new OracleBuffer(dtype, length);
      this.#buffers.add(buffer);
      return buffer;
    } catch (reason) {
      throw new EvenkeelError("memory", `oracle: no memory for ${length} elements (${length * 8} bytes).`, {
        cause: reason,
      });
    }
  }

  upload(buffer: DeviceBuffer, data: TensorData): void {
    this.#valuesOf(buffer).set(data);
  }

  async download(buffer: DeviceBuffer): Promise<TensorData> {
    const data = allocateData(buffer.dtype, buffer.length);
    data.set(this.#valuesOf(buffer));
    return data;
  }

  /** The values as they are, f32 not rounded. */
  downloadFloat64(buffer: DeviceBuffer): Float64Array {
    return this.#valuesOf(buffer).slice();
  }

  /** Sets values that f32 can't hold, e.g. for central differences. */
  uploadFloat64(buffer: DeviceBuffer, values: Float64Array): void {
    this.#valuesOf(buffer).set(values);
  }

  free(buffer: DeviceBuffer): void {
    if (!(buffer instanceof OracleBuffer)) return;
    buffer.values = null;
    this.#buffers.delete(buffer);
  }

  async compile({ graph }: DeviceProgram): Promise<Executable> {
    this.#requireAlive();
    let disposed = false;
    const run = async (
      inputs: readonly DeviceBuffer[],
      outputs: readonly DeviceBuffer[],
      options: RunOptions = {},
    ): Promise<readonly KernelTime[]> => {
      if (disposed) throw new EvenkeelError("disposed", "oracle: this program has been disposed of; compile it again.");
      throwIfAborted(options.signal);
      // There are no kernels: time is told by operation.
      const times = new Map<string, number>();
      const given = inputs.map((input) => this.#valuesOf(input).slice());
      const evaluation = nodeByNode(graph, given, (node, milliseconds) => {
        const name = operationName(node);
        times.set(name, (times.get(name) ?? 0) + milliseconds);
      });
      const values = await inTurns(evaluation, options.signal);
      outputs.forEach((output, i) => this.#valuesOf(output).set(values.get(at(graph.outputs, i)) as Float64Array));
      await eventLoopTurn();
      return options.profile === true ? [...times].map(([name, milliseconds]) => ({ name, milliseconds })) : [];
    };
    return { run, sources: () => [], bytes: 0, dispose: () => void (disposed = true) };
  }

  memory(): { readonly bytes: number; readonly buffers: number } {
    const bytes = [...this.#buffers].reduce((sum, { length }) => sum + 8 * length, 0);
    return { bytes, buffers: this.#buffers.size };
  }

  dispose(): void {
    this.#disposed = true;
    for (const buffer of this.#buffers) buffer.values = null;
    this.#buffers.clear();
  }

  #valuesOf(buffer: DeviceBuffer): Float64Array {
    this.#requireAlive();
    if (!(buffer instanceof OracleBuffer)) throw new EvenkeelError("device", "oracle: a buffer of another device.");
    if (buffer.values === null) throw new EvenkeelError("disposed", "oracle: this buffer has been freed.");
    return buffer.values;
  }

  #requireAlive(): void {
    if (this.#disposed)
      throw new EvenkeelError("disposed", "the oracle device has been disposed of; create a new one.");
  }
}

export function createOracleDevice(): OracleDevice {
  return new OracleDevice();
}
