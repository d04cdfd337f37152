import { type Signature, signatureOfGraph } from "../devices/bindings.ts";
import type { Device, DeviceBuffer, Executable, KernelTime, RunOptions } from "../devices/device.ts";
import { inTurns, throwIfAborted } from "../devices/eventLoop.ts";
import { EvenkeelError } from "../errors.ts";
import type { TensorData } from "../graph/dtype.ts";
import type { Graph } from "../graph/graph.ts";
import { at } from "../graph/shape.ts";
import { overwritesInput, type Plan } from "../kernel/plan.ts";
import type { Donation } from "../passes/aliasOutputs.ts";
import type { OutputPlaces } from "../passes/makePlan.ts";
import { runtimeChecks } from "../passes/runtimeChecks.ts";
import { mergedPlan } from "./mergedPlan.ts";
import { compilePlanned, signatureOfPlanned } from "./partsExecutable.ts";
import { planningGraph } from "./planGraph.ts";
import { ResultBuffers } from "./resultBuffers.ts";

/** An argument of a run: host memory to upload, or a buffer that is on the device already. */
export type Binding =
  | { readonly kind: "host"; readonly data: TensorData }
  | { readonly kind: "device"; readonly buffer: DeviceBuffer };

/** Sees what becomes of a graph: what each pass gives, and the plan on devices that run kernels. */
export type Observer = {
  readonly pass: (name: string, after: Graph) => void;
  readonly plan: (plan: Plan) => void;
};

/**
 * A graph compiled for one device, with its own buffers for host arguments and results. Owns device memory: dispose of it.
 */
export class Program {
  readonly device: Device;
  readonly executable: Executable;
  readonly #signature: Signature;
  /** The outputs that a run writes over the input whose buffer they are bound to. */
  readonly #overwriting: ReadonlySet<number>;
  /** What each check says if it fails. Their outputs come after the results. */
  readonly #checks: readonly string[];
  /** Buffers of this program's own, by input and by output; made when first needed. */
  readonly #inputs: (DeviceBuffer | undefined)[] = [];
  readonly #outputs: (DeviceBuffer | undefined)[] = [];
  /** Where results wait that are read later; made when first needed. */
  #unread: ResultBuffers | undefined;
  #disposed = false;

  // Neither graph nor plan is kept: programs live as long as they are used, and those are large.
  private constructor(
    device: Device,
    executable: Executable,
    signature: Signature,
    overwriting: ReadonlySet<number>,
    checks: readonly string[],
  ) {
    this.device = device;
    this.executable = executable;
    this.#signature = signature;
    this.#overwriting = overwriting;
    this.#checks = checks;
  }

  static async compile(
    graph: Graph,
    device: Device,
    donations: readonly Donation[] = [],
    observer?: Observer,
    signal?: AbortSignal,
    places: OutputPlaces = [],
  ): Promise<Program> {
    const checks = runtimeChecks(graph);
    const messages = checks.map(({ message }) => message);
    const checked: Graph = { inputs: graph.inputs, outputs: [...graph.outputs, ...checks.map(({ failed }) => failed)] };
    throwIfAborted(signal);
    if (device.runs === "graphs") {
      const executable = await device.interpret(checked);
      return new Program(device, executable, signatureOfGraph(checked), new Set(), messages);
    }
    const planned = await inTurns(planningGraph(checked, device.limits, donations, places, observer?.pass), signal);
    observer?.plan(mergedPlan(planned));
    const executable = await compilePlanned(device, planned);
    const last = planned.kind === "whole" ? planned.plan : planned.last.plan;
    return new Program(device, executable, signatureOfPlanned(planned), overwritingOutputs(last), messages);
  }

  /** The input whose buffer output `index` must be bound to, if there is one. */
  aliasOf(index: number): number | undefined {
    return this.#signature.aliases[index] ?? undefined;
  }

  /** Whether a run writes output `index` over the input whose buffer it is bound to. */
  overwrites(index: number): boolean {
    return this.#overwriting.has(index);
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
      const buffer = (this.#inputs[i] ??= this.#allocate(at(this.#signature.input, i)));
      this.device.upload(buffer, binding.data);
      return buffer;
    });
    const boundOutputs = this.#signature.output.map(
      (kind, i) => outputs[i] ?? (this.#outputs[i] ??= this.#allocate(kind)),
    );
    return (options) => this.executable.run(boundInputs, boundOutputs, options);
  }

  /**
   * The results from number `first` on of the last run, which the program's own buffers took. They and what its checks found come in
   * one readback.
   * @throws EvenkeelError `value` if the run met a NaN on its way into an integer or an index out of range.
   */
  async read(first = 0): Promise<TensorData[]> {
    this.#requireAlive();
    const outputs = this.#signature.output.length;
    const wanted = Array.from({ length: outputs - first }, (_, i) => this.#ownOutput(first + i));
    return this.checked(await this.device.download(wanted));
  }

  /** The results among what was downloaded, at the end of which is what checks found. @throws EvenkeelError `value`, as `read` */
  checked(data: readonly TensorData[]): TensorData[] {
    const results = data.slice(0, data.length - this.#checks.length);
    for (const [i, message] of this.#checks.entries()) {
      if (at(data, results.length + i)[0] !== 0) throw new EvenkeelError("value", message);
    }
    return results;
  }

  /**
   * Buffers where the results of a run from number `first` on, the same for all runs, are going to wait while others follow it.
   * @throws EvenkeelError `value` if too many wait; `memory`
   */
  reserve(first: number): readonly DeviceBuffer[] {
    this.#requireAlive();
    this.#unread ??= new ResultBuffers(this.device, this.#signature.output.slice(first));
    return this.#unread.acquire();
  }

  /** Moves the results of the last run, which the program's own buffers took, into buffers that were reserved for them. */
  keep(reserved: readonly DeviceBuffer[]): void {
    const first = this.#signature.output.length - reserved.length;
    this.device.move(
      reserved.map((_, i) => this.#ownOutput(first + i)),
      reserved,
    );
  }

  /** Takes back what was reserved, also after `dispose`. In a task of the device's queue. */
  release(reserved: readonly DeviceBuffer[]): void {
    this.#unread?.release(reserved);
  }

  /** Idempotent. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.executable.dispose();
    for (const buffer of [...this.#inputs, ...this.#outputs]) if (buffer !== undefined) this.device.free(buffer);
    this.#unread?.dispose();
  }

  #ownOutput(index: number): DeviceBuffer {
    const buffer = this.#outputs[index];
    if (buffer === undefined) throw new Error(`result ${index} of the program is not in a buffer of its own`);
    return buffer;
  }

  #allocate({ dtype, length }: Signature["input"][number]): DeviceBuffer {
    return this.device.allocate(dtype, length);
  }

  #requireAlive(): void {
    if (this.#disposed)
      throw new EvenkeelError("disposed", "this compiled function has been disposed of; compile it again.");
  }
}

/** The outputs that a step writes and that are bound to the buffer of an input. */
function overwritingOutputs(plan: Plan): ReadonlySet<number> {
  const written = new Set(plan.steps.flatMap(({ results }) => results));
  return new Set(
    plan.buffers.flatMap(({ role }, buffer) =>
      role.kind === "output" && written.has(buffer) && overwritesInput(plan, buffer) ? [role.index] : [],
    ),
  );
}
