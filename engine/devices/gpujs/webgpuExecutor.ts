/** A plan on WebGPU: gpu.js's pipelines over the engine's buffers, all dispatches of a run in one compute pass. */
import { EvenkeelError } from "../../errors.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import type { Plan, PlanStep } from "../../kernel/plan.ts";
import type { DeviceBuffer, Executable, KernelSource as SourceText, KernelTime, RunOptions } from "../device.ts";
import { eventLoopTurn, throwIfAborted } from "../eventLoop.ts";
import { type CompiledKernel, javascriptOf } from "./adapter.ts";
import { BindGroups, type BoundSet, type Dispatch } from "./bindGroups.ts";
import type { KernelCache } from "./kernelCache.ts";
import { timeDispatches } from "./kernelTimer.ts";
import { emitKernelSource } from "./source/index.ts";
import { WebgpuBuffer, type WebgpuMemory } from "./webgpuMemory.ts";
import { toWords, wordsOf } from "./words.ts";

/** Runs given to the GPU and not finished; more wait, so that a loop without reads can't fill the queue. */
const maxRunsInFlight = 16;

/** Memory of an executable. */
type OwnMemory = {
  /** By number of the plan's buffer: the memory of constants and temporaries. */
  readonly byBuffer: readonly (GPUBuffer | undefined)[];
  readonly buffers: readonly GPUBuffer[];
  readonly params: GPUBuffer;
};

export class WebgpuExecutable implements Executable {
  readonly bytes: number;
  readonly #memory: WebgpuMemory;
  readonly #plan: Plan;
  readonly #dispatches: readonly Dispatch[];
  readonly #own: OwnMemory;
  readonly #bindGroups: BindGroups;
  readonly #debug: boolean;
  readonly #onDispose: (executable: WebgpuExecutable) => void;
  readonly #bound: GPUBuffer[] = [];
  readonly #inFlight: Promise<unknown>[] = [];
  #disposed = false;

  private constructor(
    memory: WebgpuMemory,
    plan: Plan,
    dispatches: readonly Dispatch[],
    own: OwnMemory,
    debug: boolean,
    onDispose: (executable: WebgpuExecutable) => void,
  ) {
    this.#memory = memory;
    this.#plan = plan;
    this.#dispatches = dispatches;
    this.#own = own;
    this.#bindGroups = new BindGroups(memory.context.device, plan, dispatches, own.params, own.byBuffer);
    this.#debug = debug;
    this.#onDispose = onDispose;
    this.bytes = [own.params, ...own.buffers].reduce((sum, { size }) => sum + size, 0);
  }

  /** Compiles the plan's distinct kernels, all at once, and allocates its temporaries and constants. */
  static async compile(
    memory: WebgpuMemory,
    cache: KernelCache,
    plan: Plan,
    options: { readonly debug: boolean; readonly onDispose: (executable: WebgpuExecutable) => void },
  ): Promise<WebgpuExecutable> {
    memory.requireUsable();
    const steps = plan.steps.filter(({ kernel }) => kernel.result.length > 0);
    steps.forEach((step) => requireNoAlias(plan, step));
    const started = new Map<Kernel, Promise<CompiledKernel>>();
    for (const { kernel } of steps) {
      if (!started.has(kernel)) started.set(kernel, cache.compile(emitKernelSource(kernel, "webgpu")));
    }
    const compiled = new Map<Kernel, CompiledKernel>();
    // All are awaited even if one fails: none may be left to reject unheard.
    const settled = await Promise.allSettled(
      [...started].map(async ([kernel, promise]) => compiled.set(kernel, await promise)),
    );
    for (const outcome of settled) if (outcome.status === "rejected") throw outcome.reason;
    memory.requireUsable();

    const { dispatches, params } = placeParams(
      steps,
      compiled,
      memory.context.device.limits.minUniformBufferOffsetAlignment,
    );
    const own = allocate(memory, plan, params);
    return new WebgpuExecutable(memory, plan, dispatches, own, options.debug, options.onDispose);
  }

  async run(
    inputs: readonly DeviceBuffer[],
    outputs: readonly DeviceBuffer[],
    options?: RunOptions,
  ): Promise<readonly KernelTime[]> {
    if (this.#disposed)
      throw new EvenkeelError("disposed", "webgpu: this program has been disposed of; compile it again.");
    this.#memory.requireUsable();
    throwIfAborted(options?.signal);
    this.#bind(inputs, outputs);
    const { device, health } = this.#memory.context;
    const known = this.#bindGroups.find(this.#bound);
    if (options?.profile === true) {
      const times = await health.settle(
        timeDispatches(device, this.#dispatches, known ?? this.#bindGroups.create(this.#bound)),
        "measuring the kernels",
      );
      const timeOf = new Map(this.#dispatches.map(({ step }, i) => [step, times[i] ?? 0]));
      // A step without elements isn't dispatched and takes no time.
      return this.#plan.steps.map((step) => ({ name: step.kernel.name, milliseconds: timeOf.get(step) ?? 0 }));
    }
    if (known !== undefined && !this.#debug) {
      this.#submit(known);
    } else {
      // What WebGPU has against a set of buffers it says the first time.
      const { error } = health.watch("validation", () => this.#submit(known ?? this.#bindGroups.create(this.#bound)));
      const found = await error;
      health.check();
      if (found !== null) throw new EvenkeelError("kernel", `webgpu: the GPU refuses this program: ${found.message}`);
    }
    await this.#throttle();
    await eventLoopTurn();
    return [];
  }

  sources(): readonly SourceText[] {
    const byName = new Map(this.#dispatches.map(({ step, kernel }) => [step.kernel.name, kernel]));
    return [...byName].flatMap(([name, { source, wgsl }]) => [
      { kernel: name, language: "javascript", text: javascriptOf(source) },
      { kernel: name, language: "wgsl", text: wgsl },
    ]);
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    for (const buffer of this.#own.buffers) this.#memory.release(buffer);
    this.#memory.destroyUniform(this.#own.params);
    this.#onDispose(this);
  }

  /** Checks the caller's buffers and notes their GPU buffers: inputs first, then outputs. */
  #bind(inputs: readonly DeviceBuffer[], outputs: readonly DeviceBuffer[]): void {
    const { buffers, inputs: inputCount, outputs: outputCount, aliases } = this.#plan;
    if (inputs.length !== inputCount || outputs.length !== outputCount) {
      throw new EvenkeelError(
        "value",
        `webgpu: run got ${inputs.length} inputs and ${outputs.length} outputs, the program has ${inputCount} and ${outputCount}.`,
      );
    }
    inputs.forEach((buffer, i) => (this.#bound[i] = gpuBufferOf(buffer, this.#memory, `input ${i}`)));
    outputs.forEach((buffer, i) => {
      const gpuBuffer = gpuBufferOf(buffer, this.#memory, `output ${i}`);
      const same = this.#bound.indexOf(gpuBuffer);
      if (same >= 0 && same < inputCount + i && aliases[i] !== same) {
        const other = same < inputCount ? `input ${same}` : `output ${same - inputCount}`;
        throw new EvenkeelError(
          "value",
          `webgpu: output ${i} is bound to the buffer of ${other}. Give it a buffer of its own.`,
        );
      }
      this.#bound[inputCount + i] = gpuBuffer;
    });
    for (const { role, dtype, length } of buffers) {
      if (role.kind !== "input" && role.kind !== "output") continue;
      const got = role.kind === "input" ? inputs[role.index] : outputs[role.index];
      if (got?.dtype === dtype && got.length === length) continue;
      throw new EvenkeelError(
        "value",
        `webgpu: ${role.kind} ${role.index} is a buffer of ${got?.length} ${got?.dtype}, the program has ${length} ${dtype}.`,
      );
    }
  }

  #submit({ groups }: BoundSet): void {
    const { device } = this.#memory.context;
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    let pipeline: GPUComputePipeline | undefined;
    for (const [i, { kernel }] of this.#dispatches.entries()) {
      if (kernel.pipeline !== pipeline) pass.setPipeline(kernel.pipeline);
      pipeline = kernel.pipeline;
      pass.setBindGroup(0, groups[i] ?? null);
      pass.dispatchWorkgroups(...kernel.groups);
    }
    pass.end();
    device.queue.submit([encoder.finish()]);
  }

  async #throttle(): Promise<void> {
    const { device, health } = this.#memory.context;
    // Never rejects: a loss is told by `check`, here or in the next call.
    this.#inFlight.push(device.queue.onSubmittedWorkDone().catch(() => undefined));
    if (this.#inFlight.length <= maxRunsInFlight) return;
    await this.#inFlight.shift();
    health.check();
  }
}

/** @throws EvenkeelError `graph` if a step writes memory that it reads: WebGPU doesn't bind a buffer both ways. */
function requireNoAlias(plan: Plan, { kernel, operands, result }: PlanStep): void {
  const slotOf = (buffer: number): number => {
    const role = plan.buffers[buffer]?.role;
    return role?.kind === "temporary" ? role.slot : -1;
  };
  const slot = slotOf(result);
  if (operands.some((operand) => operand === result || (slot >= 0 && slotOf(operand) === slot))) {
    throw new EvenkeelError("graph", `webgpu: the plan has kernel ${kernel.name} write the buffer it reads.`);
  }
}

/** Lays the params of the distinct kernels out in one uniform buffer. */
function placeParams(
  steps: readonly PlanStep[],
  compiled: ReadonlyMap<Kernel, CompiledKernel>,
  alignment: number,
): { readonly dispatches: Dispatch[]; readonly params: Uint32Array<ArrayBuffer> } {
  const offsets = new Map<CompiledKernel, number>();
  let bytes = 0;
  for (const kernel of compiled.values()) {
    if (offsets.has(kernel)) continue;
    offsets.set(kernel, bytes);
    bytes += Math.ceil(kernel.params.byteLength / alignment) * alignment;
  }
  const params = new Uint32Array(bytes / 4);
  for (const [kernel, offset] of offsets) params.set(kernel.params, offset / 4);
  const dispatches = steps.map((step): Dispatch => {
    const kernel = compiled.get(step.kernel);
    const paramsOffset = kernel === undefined ? undefined : offsets.get(kernel);
    if (kernel === undefined || paramsOffset === undefined)
      throw new Error(`kernel ${step.kernel.name} wasn't compiled`);
    return { step, kernel, paramsOffset };
  });
  return { dispatches, params };
}

/** One buffer per temporary slot, as big as the largest of its temporaries, and one per constant, with its content. */
function allocate(memory: WebgpuMemory, plan: Plan, params: Uint32Array<ArrayBuffer>): OwnMemory {
  const slotBytes: number[] = [];
  for (const { role, dtype, length } of plan.buffers) {
    if (role.kind !== "temporary") continue;
    if (role.offset !== 0)
      throw new EvenkeelError("graph", "webgpu: the plan is for an arena; this device wants slots.");
    slotBytes[role.slot] = Math.max(slotBytes[role.slot] ?? 0, 4 * wordsOf(dtype, length));
  }
  const buffers: GPUBuffer[] = [];
  let uniform: GPUBuffer | undefined;
  const acquire = (bytes: number, what: string): GPUBuffer => {
    const buffer = memory.acquire(bytes, what);
    buffers.push(buffer);
    return buffer;
  };
  try {
    const slots = Array.from(slotBytes, (bytes: number | undefined, slot) =>
      bytes === undefined ? undefined : acquire(bytes, `temporary slot ${slot}`),
    );
    const byBuffer = plan.buffers.map(({ role, dtype, length }, i) => {
      if (role.kind === "temporary") return slots[role.slot];
      if (role.kind !== "constant") return undefined;
      const buffer = acquire(4 * wordsOf(dtype, length), `constant ${i}`);
      memory.write(buffer, toWords(role.data, dtype));
      return buffer;
    });
    uniform = memory.createUniform(params);
    return { byBuffer, buffers, params: uniform };
  } catch (error) {
    for (const buffer of buffers) memory.release(buffer);
    throw error;
  }
}

/** @throws EvenkeelError `device` for a buffer of another device, `disposed` for one that was freed. */
export function gpuBufferOf(buffer: DeviceBuffer | undefined, memory: WebgpuMemory, what: string): GPUBuffer {
  if (!(buffer instanceof WebgpuBuffer) || buffer.owner !== memory) {
    throw new EvenkeelError("device", `webgpu: ${what} is a buffer of another device. Upload it to this one.`);
  }
  if (buffer.gpuBuffer === null) throw new EvenkeelError("disposed", `webgpu: ${what} is a buffer that was freed.`);
  return buffer.gpuBuffer;
}
