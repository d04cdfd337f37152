/**
 * A device whose operations wait for a scheduler, may fail when told to, and which watches over its buffers: what is used after it
 * was freed, freed twice or not at all is noted.
 */
import type {
  Device,
  DeviceBuffer,
  DeviceName,
  Executable,
  GraphDevice,
  KernelDevice,
} from "../../engine/devices/device.ts";
import type { Graph } from "../../engine/graph/graph.ts";
import type { Plan } from "../../engine/kernel/plan.ts";
import { EvenkeelError } from "../../engine/errors.ts";
import type { DType, TensorData } from "../../engine/graph/dtype.ts";

/** `half`: the run fails when it has written its results. */
export type Operation = "allocate" | "upload" | "move" | "download" | "compile" | "run" | "half";

/** The call of that number (from 0) of an operation fails. */
export type Fault = { readonly operation: Operation; readonly call: number };

const codes = {
  allocate: "memory",
  upload: "device",
  move: "device",
  download: "device",
  compile: "kernel",
  run: "kernel",
  half: "kernel",
} as const;

class Scheduled {
  readonly name: DeviceName;
  readonly description = "waits for a scheduler";
  readonly traits: Device["traits"];
  readonly limits: Device["limits"];
  readonly queue: Device["queue"];
  /** What has been done to buffers and executables that mustn't be done. */
  readonly violations: string[] = [];
  /** The operations that were made to fail. */
  readonly fired = new Set<Operation | "lost">();
  /** Bytes of each download. */
  readonly downloads: number[] = [];
  /** Executables made, and how often they were run. */
  compiled = 0;
  started = 0;
  readonly #inner: Device;
  readonly #pause: (what: string) => Promise<void>;
  readonly #calls = new Map<Operation, number>();
  readonly #live = new Set<DeviceBuffer>();
  readonly #executables = new Set<Executable>();
  #faults: readonly Fault[];
  #lost = false;
  #disposed = false;

  constructor(inner: Device, pause: (what: string) => Promise<void>, faults: readonly Fault[] = []) {
    this.name = inner.name;
    this.traits = inner.traits;
    this.limits = inner.limits;
    this.queue = inner.queue;
    this.#inner = inner;
    this.#pause = pause;
    this.#faults = faults;
  }

  get usable(): boolean {
    return !this.#lost && !this.#disposed;
  }

  /** Lets a call fail, counted from now. */
  fail(fault: Fault): void {
    this.#calls.clear();
    this.#faults = [fault];
  }

  /** Fails no more, unless it is lost. */
  calm(): void {
    this.#faults = [];
  }

  lose(): void {
    this.#lost = true;
    this.fired.add("lost");
  }

  /** Buffers and executables that were made and not given back. */
  get held(): number {
    return this.#live.size + this.#executables.size;
  }

  allocate(dtype: DType, length: number): DeviceBuffer {
    this.#attempt("allocate");
    const buffer = this.#inner.allocate(dtype, length);
    this.#live.add(buffer);
    return buffer;
  }

  upload(buffer: DeviceBuffer, data: TensorData): void {
    this.#attempt("upload");
    this.#requireLive("upload", buffer);
    this.#inner.upload(buffer, data);
  }

  async download(buffers: readonly DeviceBuffer[]): Promise<TensorData[]> {
    await this.#pause("download");
    this.#attempt("download");
    for (const buffer of buffers) this.#requireLive("download", buffer);
    this.downloads.push(buffers.reduce((bytes, { length }) => bytes + 4 * length, 0));
    return this.#inner.download(buffers);
  }

  move(from: readonly DeviceBuffer[], to: readonly DeviceBuffer[]): void {
    this.#attempt("move");
    for (const buffer of [...from, ...to]) this.#requireLive("move", buffer);
    this.#inner.move(from, to);
  }

  free(buffer: DeviceBuffer): void {
    this.#requireLive("free", buffer);
    this.#live.delete(buffer);
    this.#inner.free(buffer);
  }

  /** What is made of a plan or a graph. */
  protected async scheduled(make: () => Promise<Executable>): Promise<Executable> {
    await this.#pause("compile");
    this.#attempt("compile");
    const inner = await make();
    await this.#pause("compiled");
    this.compiled++;
    const executable: Executable = {
      bytes: inner.bytes,
      sources: () => inner.sources(),
      run: async (inputs, outputs, options) => {
        this.started++;
        await this.#pause("run");
        this.#attempt("run");
        if (!this.#executables.has(executable)) this.violations.push("run of an executable that was disposed of");
        for (const buffer of [...inputs, ...outputs]) this.#requireLive("run", buffer);
        const times = await inner.run(inputs, outputs, options);
        await this.#pause("ran");
        for (const buffer of [...inputs, ...outputs]) this.#requireLive("a run that is not over", buffer);
        this.#attempt("half");
        return times;
      },
      dispose: () => {
        if (!this.#executables.delete(executable)) this.violations.push("an executable was disposed of twice");
        inner.dispose();
      },
    };
    this.#executables.add(executable);
    return executable;
  }

  memory(): ReturnType<Device["memory"]> {
    return this.#inner.memory();
  }

  /** Leaves the inner device to its owner. */
  dispose(): void {
    this.#disposed = true;
  }

  #attempt(operation: Operation): void {
    if (this.#lost) throw new EvenkeelError("device", `${operation}: the device was lost.`);
    if (this.#disposed) throw new EvenkeelError("disposed", `${operation}: the device was disposed of.`);
    const call = this.#calls.get(operation) ?? 0;
    this.#calls.set(operation, call + 1);
    if (!this.#faults.some((fault) => fault.operation === operation && fault.call === call)) return;
    this.fired.add(operation);
    throw new EvenkeelError(codes[operation], `${operation} ${call} fails, as it was told to.`);
  }

  #requireLive(what: string, buffer: DeviceBuffer): void {
    if (!this.#live.has(buffer)) this.violations.push(`${what} of a buffer that was freed`);
  }
}

class ScheduledKernels extends Scheduled implements KernelDevice {
  readonly runs = "kernels";
  readonly #device: KernelDevice;

  constructor(device: KernelDevice, ...schedule: Schedule) {
    super(device, ...schedule);
    this.#device = device;
  }

  compile(plan: Plan): Promise<Executable> {
    return this.scheduled(() => this.#device.compile(plan));
  }
}

class ScheduledGraphs extends Scheduled implements GraphDevice {
  readonly runs = "graphs";
  readonly #device: GraphDevice;

  constructor(device: GraphDevice, ...schedule: Schedule) {
    super(device, ...schedule);
    this.#device = device;
  }

  interpret(graph: Graph): Promise<Executable> {
    return this.scheduled(() => this.#device.interpret(graph));
  }
}

export type ScheduledDevice = ScheduledKernels | ScheduledGraphs;

type Schedule = readonly [pause: (what: string) => Promise<void>, faults?: readonly Fault[]];

export function scheduledDevice(device: Device, ...schedule: Schedule): ScheduledDevice {
  return device.runs === "kernels"
    ? new ScheduledKernels(device, ...schedule)
    : new ScheduledGraphs(device, ...schedule);
}
