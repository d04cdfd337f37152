import { EvenkeelError } from "../../errors.ts";
import { allocateData, type DType, type TensorData } from "../../graph/dtype.ts";
import { operationName } from "../../graph/print.ts";
import { at } from "../../graph/shape.ts";
import type { Graph } from "../../graph/graph.ts";
import type { DeviceBuffer, Executable, GraphDevice, KernelTime, RunOptions } from "../device.ts";
import { signatureOfGraph } from "../bindings.ts";
import { eventLoopTurn, inTurns, throwIfAborted } from "../eventLoop.ts";
import { OwnBuffers } from "../ownBuffers.ts";
import { TaskQueue } from "../taskQueue.ts";
import { nodeByNode } from "./evaluate.ts";

/** The device that interprets the traced graph in float64, before any pass. Slow on purpose. */
export class OracleDevice implements GraphDevice {
  readonly runs = "graphs";
  readonly name = "oracle";
  readonly description = "float64 interpreter of the graph";
  readonly traits = { adapter: null, threads: 1, fusedMultiplyAdd: false };
  readonly limits = {
    operands: Infinity,
    results: 1,
    arrays: Infinity,
    joins: "rows",
    elements: Infinity,
    temporaries: "slots",
    overlap: false,
    batches: false,
    chains: false,
    inPlace: false,
    concurrency: 1,
    writtenInFours: null,
    factors: "stored",
    arithmetic: "scarce",
    layouts: "inOrder",
    scalars: Infinity,
    memory: Infinity,
  } as const;
  readonly #buffers = new OwnBuffers<Float64Array>(this.name, this.limits.elements);
  readonly queue = new TaskQueue();
  readonly #live = new Set<Float64Array>();
  #disposed = false;

  get usable(): boolean {
    return !this.#disposed;
  }

  allocate(dtype: DType, length: number): DeviceBuffer {
    this.#requireAlive("allocate");
    return this.#buffers.allocate(dtype, length, (what) => {
      try {
        const values = new Float64Array(length);
        this.#live.add(values);
        return values;
      } catch (reason) {
        throw new EvenkeelError("memory", `oracle: no memory for ${what} (${8 * length} bytes). Use smaller tensors.`, {
          cause: reason,
        });
      }
    });
  }

  upload(buffer: DeviceBuffer, data: TensorData): void {
    this.#requireAlive("upload");
    this.#buffers.target(buffer, data).set(data);
  }

  async download(buffers: readonly DeviceBuffer[]): Promise<TensorData[]> {
    const requireAlive = (): void => this.#requireAlive("download");
    const read = (values: Float64Array, { dtype, length }: DeviceBuffer): TensorData => {
      const data = allocateData(dtype, length);
      data.set(values);
      return data;
    };
    requireAlive();
    return this.#buffers.download(buffers, read, requireAlive);
  }

  move(from: readonly DeviceBuffer[], to: readonly DeviceBuffer[]): void {
    this.#requireAlive("move");
    this.#buffers.exchange(from, to);
  }

  /** The values as they are, f32 not rounded. */
  downloadFloat64(buffer: DeviceBuffer): Float64Array {
    this.#requireAlive("downloadFloat64");
    return this.#buffers.memoryOf("downloadFloat64", buffer).slice();
  }

  /** Sets values that f32 can't hold, e.g. for central differences. */
  uploadFloat64(buffer: DeviceBuffer, values: Float64Array): void {
    this.#requireAlive("uploadFloat64");
    this.#buffers.memoryOf("uploadFloat64", buffer).set(values);
  }

  free(buffer: DeviceBuffer): void {
    if (!this.#disposed) this.#live.delete(this.#buffers.release(buffer));
  }

  async interpret(graph: Graph): Promise<Executable> {
    this.#requireAlive("interpret");
    const signature = signatureOfGraph(graph);
    let disposed = false;
    const run = async (
      inputs: readonly DeviceBuffer[],
      outputs: readonly DeviceBuffer[],
      options: RunOptions = {},
    ): Promise<readonly KernelTime[]> => {
      if (disposed) throw new EvenkeelError("disposed", "oracle: this program has been disposed of; compile it again.");
      this.#requireAlive("run");
      const bound = this.#buffers.bind(signature, inputs, outputs);
      throwIfAborted(options.signal);
      // There are no kernels: time is told by operation.
      const times = new Map<string, number>();
      const given = bound.input.map((values) => values.slice());
      const evaluation = nodeByNode(graph, given, (node, milliseconds) => {
        const name = operationName(node);
        times.set(name, (times.get(name) ?? 0) + milliseconds);
      });
      const values = await inTurns(evaluation, options.signal);
      this.#requireAlive("run");
      bound.output.forEach((output, i) => output.set(values.get(at(graph.outputs, i)) as Float64Array));
      await eventLoopTurn();
      return options.profile === true ? [...times].map(([name, milliseconds]) => ({ name, milliseconds })) : [];
    };
    return { run, sources: () => [], bytes: 0, dispose: () => void (disposed = true) };
  }

  memory(): { readonly bytes: number; readonly buffers: number } {
    const bytes = [...this.#live].reduce((sum, { byteLength }) => sum + byteLength, 0);
    return { bytes, buffers: this.#live.size };
  }

  dispose(): void {
    this.#disposed = true;
    this.#live.clear();
  }

  #requireAlive(operation: string): void {
    if (!this.#disposed) return;
    throw new EvenkeelError("disposed", `oracle: ${operation}: this device has been disposed of; create a new one.`);
  }
}

export function createOracleDevice(): OracleDevice {
  return new OracleDevice();
}
