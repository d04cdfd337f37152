import type { Device, DeviceBuffer, Executable, KernelTime, RunOptions } from "../devices/device.ts";
import { inTurns, throwIfAborted } from "../devices/eventLoop.ts";
import { EvenkeelError } from "../errors.ts";
import type { TensorData } from "../graph/dtype.ts";
import type { Graph } from "../graph/graph.ts";
import type { Node } from "../graph/node.ts";
import { at, sizeOf } from "../graph/shape.ts";
import type { Plan } from "../kernel/plan.ts";
import type { Donation } from "../passes/aliasOutputs.ts";
import { planning } from "../passes/makePlan.ts";
import { optimizing } from "../passes/optimize.ts";
import { type RuntimeCheck, runtimeChecks } from "../passes/runtimeChecks.ts";

/** An argument of a run: host memory to upload, or a buffer that is on the device already. */
export type Binding =
  | { readonly kind: "host"; readonly data: TensorData }
  | { readonly kind: "device"; readonly buffer: DeviceBuffer };

/**
 * A graph compiled for one device, with its own buffers for host arguments and results. Owns device memory: dispose of it.
 */
export class Program {
  readonly device: Device;
  readonly graph: Graph;
  readonly executable: Executable;
  /** The kernels and buffers; none on a device that interprets the graph. */
  readonly plan: Plan | undefined;
  readonly #checks: readonly RuntimeCheck[];
  /** Buffers of this program's own, by input and by output; made when first needed. */
  readonly #inputs: (DeviceBuffer | undefined)[] = [];
  readonly #outputs: (DeviceBuffer | undefined)[] = [];
  #disposed = false;

  private constructor(
    device: Device,
    graph: Graph,
    checks: readonly RuntimeCheck[],
    executable: Executable,
    plan: Plan | undefined,
  ) {
    this.device = device;
    this.graph = graph;
    this.executable = executable;
    this.#checks = checks;
    this.plan = plan;
  }

  static async compile(
    graph: Graph,
    device: Device,
    donations: readonly Donation[] = [],
    observe?: (pass: string, after: Graph) => void,
    signal?: AbortSignal,
  ): Promise<Program> {
    const checks = runtimeChecks(graph);
    const checked: Graph = { inputs: graph.inputs, outputs: [...graph.outputs, ...checks.map(({ failed }) => failed)] };
    throwIfAborted(signal);
    if (device.runs === "graphs") {
      return new Program(device, graph, checks, await device.interpret(checked), undefined);
    }
    const optimized = await inTurns(optimizing(checked, device.limits, observe), signal);
    const plan = await inTurns(planning(optimized, device.limits, donations), signal);
    return new Program(device, graph, checks, await device.compile(plan), plan);
  }

  /** The input whose buffer output `index` must be bound to, if there is one. */
  aliasOf(index: number): number | undefined {
    return this.plan?.aliases[index] ?? undefined;
  }

  /** Whether a run writes output `index` over the input whose buffer it is bound to. */
  overwrites(index: number): boolean {
    if (this.plan === undefined || this.aliasOf(index) === undefined) return false;
    const { buffers, steps } = this.plan;
    const isWritten = (buffer: number): boolean => {
      const { role } = at(buffers, buffer);
      return role.kind === "output" && role.index === index;
    };
    return steps.some(({ results }) => results.some(isWritten));
  }

  /**
   * Uploads the arguments of a run and gives what runs it, once or again; until then no output is touched. `outputs[i]` is a
   * buffer to write result i to; without one the program uses its own and `read` can fetch it.
   */
  bind(
    inputs: readonly Binding[],
    outputs: readonly (DeviceBuffer | undefined)[],
  ): (options?: RunOptions) => Promise<readonly KernelTime[]> {
    this.#requireAlive();
    const boundInputs = inputs.map((binding, i) => {
      if (binding.kind === "device") return binding.buffer;
      const buffer = (this.#inputs[i] ??= this.#allocate(at(this.graph.inputs, i)));
      this.device.upload(buffer, binding.data);
      return buffer;
    });
    const results = [...this.graph.outputs, ...this.#checks.map(({ failed }) => failed)];
    const boundOutputs = results.map((node, i) => outputs[i] ?? (this.#outputs[i] ??= this.#allocate(node)));
    return (options) => this.executable.run(boundInputs, boundOutputs, options);
  }

  /**
   * The results from number `first` on of the last run, which the program's own buffers took. They and what its checks found come in
   * one readback.
   * @throws EvenkeelError `value` if the run met a NaN on its way into an integer or an index out of range.
   */
  async read(first = 0): Promise<TensorData[]> {
    this.#requireAlive();
    const results = this.graph.outputs.length;
    const wanted = Array.from({ length: results + this.#checks.length - first }, (_, i) => {
      const buffer = this.#outputs[first + i];
      if (buffer === undefined) throw new Error(`result ${first + i} of the program is not in a buffer of its own`);
      return buffer;
    });
    const data = await this.device.download(wanted);
    const found = data.splice(results - first);
    for (const [i, { message }] of this.#checks.entries()) {
      if (at(found, i)[0] !== 0) throw new EvenkeelError("value", message);
    }
    return data;
  }

  /** Idempotent. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.executable.dispose();
    for (const buffer of [...this.#inputs, ...this.#outputs]) if (buffer !== undefined) this.device.free(buffer);
  }

  #allocate(node: Node): DeviceBuffer {
    return this.device.allocate(node.dtype, sizeOf(node.shape));
  }

  #requireAlive(): void {
    if (this.#disposed)
      throw new EvenkeelError("disposed", "this compiled function has been disposed of; compile it again.");
  }
}
