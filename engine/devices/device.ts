/**
 * The door between the engine and what computes. A device receives buffers and programs; it never sees a tensor.
 * What differs between devices is data (`DeviceLimits`) which the passes read.
 */
import type { DType, TensorData } from "../graph/dtype.ts";
import type { Graph } from "../graph/graph.ts";
import type { Plan, PlanStep } from "../kernel/plan.ts";
import type { TuningTable } from "./gpujs/webgpuOptions.ts";
import type { TaskQueue } from "./taskQueue.ts";

/** Where programs can run. */
export type DeviceName = "oracle" | "wasm" | "webgpu" | "webgl2" | "cpu";

/** All devices, whether this machine has them or not. */
export const deviceNames: readonly DeviceName[] = ["oracle", "wasm", "webgpu", "webgl2", "cpu"];

export type DeviceLimits = {
  /** Arrays one kernel may read, its result not counted. */
  readonly operands: number;
  /** Arrays one kernel may write. */
  readonly results: number;
  /** Arrays one kernel may read and write together. */
  readonly arrays: number;
  /**
   * Which steps can be one kernel with several results. `rows`: element-wise ones that go along one axis, or along long rows. `points`: any
   * that are element-wise over the same points, behind one that may fold.
   */
  readonly joins: "rows" | "points";
  /** Elements one buffer may have. */
  readonly elements: number;
  /** `arena`: temporaries are ranges of one allocation. `slots`: temporaries are whole buffers. */
  readonly temporaries: "arena" | "slots";
  /** Whether kernels that don't wait for each other may run at the same time: such are put side by side, and share no memory. */
  readonly overlap: boolean;
  /**
   * Whether steps that do the same to different arrays are run as one, for which arrays share memory: buffers that are allocated together
   * and temporaries at several places of a slot.
   */
  readonly batches: boolean;
  /** Whether steps over the same rows are run as one, in which the threads that share some rows wait for each other between two steps. */
  readonly chains: boolean;
  /** Whether a kernel without a reduction may write the buffer it reads where every element is read at its own index only. */
  readonly inPlace: boolean;
  /** Bytes that programs and states can take together; Infinity if nobody knows. Plans of programs that take much of it compute twice rather than keep. */
  readonly memory: number;
  /** Scalar operations fused into one kernel at most. */
  readonly scalars: number;
  /**
   * Pieces of work that keep the device busy side by side. Long sums of products that have fewer are summed in slices (`splitProducts`).
   * 1: none are.
   */
  readonly concurrency: number;
  /**
   * Buffers that a step writes in aligned fours, each by one thread: temporaries of which all are written so may have two 16-bit floats in a
   * word (`packFloat16`). Null: none may.
   */
  readonly writtenInFours: ((step: PlanStep) => ReadonlySet<number>) | null;
  /** What products multiply: arrays in memory alone, or also what is made of a few where it is read (`inlineFactors`). */
  readonly factors: "stored" | "made";
  /**
   * What to do about values that several kernels read. `plenty`: they are made again where that reads no more memory. `scarce`: so are large
   * and cheap ones; others are kept (`computeInReaders`).
   */
  readonly arithmetic: "scarce" | "plenty";
  /** How temporaries lie in memory: in the order of their elements, or with channels last where that is better (`chooseLayouts`). */
  readonly layouts: "inOrder" | "chosen";
};

/** What is known of a device, as data; its `description` says it to people. */
export type DeviceTraits = {
  /** The GPU adapter that computes; null if the CPU does without one. */
  readonly adapter: {
    /** As its driver names it. */
    readonly name: string;
    /** Whether the CPU acts for it. */
    readonly isSoftware: boolean;
    /** The limits that it was asked for and grants, by WebGPU's names; none where kernels aren't dispatched by WebGPU. */
    readonly limits: Readonly<Record<string, number>>;
    /** The features of WebGPU that it was asked for and has. */
    readonly features: readonly string[];
  } | null;
  /** Threads of the CPU that compute, or feed the adapter. */
  readonly threads: number;
  /** Whether sums of products round once instead of twice a term; null where the adapter's driver decides. */
  readonly fusedMultiplyAdd: boolean | null;
};

/** Device memory of `length` elements. Owned by whoever allocated it. */
export interface DeviceBuffer {
  readonly dtype: DType;
  readonly length: number;
}

/** Time of one kernel of a run, in milliseconds. */
export type KernelTime = { readonly name: string; readonly milliseconds: number };

export type RunOptions = {
  /** Measure each kernel (runs them one by one; slower). Steps that a device computes together share their time by the bytes they touch. */
  readonly profile?: boolean;
  /**
   * When it aborts, the run ends between kernels with an error `aborted`, unless a kernel has begun to write an output that is bound to
   * the buffer of an input: from there on it is finished.
   */
  readonly signal?: AbortSignal;
};

export interface Executable {
  /**
   * Runs the program once. `inputs[i]` and `outputs[i]` are bound to the plan's inputs and outputs; an output buffer
   * is never also an input unless the plan says so. Resolves when the outputs may be downloaded. However short runs are, and
   * within a long one, the event loop has a turn every 20 ms of work (a single kernel may take longer on `oracle` and `cpu`).
   * @throws EvenkeelError `value` for a wrong number of buffers or one that is shared otherwise than the plan says, `dtype`, `shape` for
   * one that doesn't fit, all before anything is written; `aborted` if `options.signal` ended it
   */
  run(
    inputs: readonly DeviceBuffer[],
    outputs: readonly DeviceBuffer[],
    options?: RunOptions,
  ): Promise<readonly KernelTime[]>;
  /** Generated source of each distinct kernel, or of each step (JavaScript, WGSL, wasm text ...); several forms if there are several. */
  sources(): readonly KernelSource[];
  /** Bytes of device memory held by this executable (temporaries and constants). */
  readonly bytes: number;
  dispose(): void;
}

export type KernelSource = {
  readonly kernel: string;
  readonly language: string;
  readonly text: string;
  /** The step of the plan that it computes, on devices where steps of equal kernels may differ. */
  readonly step?: number;
};

/**
 * What a device refuses is the same on all of them (`ownBuffers.ts`, `bindings.ts`). Wherever it takes a buffer it throws EvenkeelError
 * `device` for one of another device, `disposed` for one that was freed; wherever it is called, `disposed` after `dispose`.
 */
interface DeviceBase {
  /** Its name, as `createDevice` takes it. */
  readonly name: DeviceName;
  /** One line, human-readable: adapter, threads, SIMD. */
  readonly description: string;
  /** The same as data. */
  readonly traits: DeviceTraits;
  /** What passes must keep to. */
  readonly limits: DeviceLimits;
  /**
   * The order of what happens on the device. What belongs together, such as an upload, a run and the download of its results, is one
   * task: states and programs share buffers. Uploads, runs, moves and downloads, and freeing what those before may still use, are done by tasks
   * alone; everything else may happen meanwhile.
   */
  readonly queue: TaskQueue;
  /** False once it is disposed of or lost: every call is refused from then on. */
  readonly usable: boolean;
  /**
   * Contents are undefined until uploaded.
   * @throws EvenkeelError `range` unless `length` is a whole number from 0, `memory` naming the size if it can't be had
   */
  allocate(dtype: DType, length: number): DeviceBuffer;
  /**
   * The same for buffers that programs touch together: on devices that batch steps they share memory, as `placesTogether` of
   * `kernel/arenas.ts` says, which goes when the last of them is freed. Absent where that would change nothing.
   */
  allocateTogether?(buffers: readonly { readonly dtype: DType; readonly length: number }[]): DeviceBuffer[];
  /** Writes nothing if it throws: `dtype`, `shape` unless `data` fills the buffer. */
  upload(buffer: DeviceBuffer, data: TensorData): void;
  /**
   * The contents of buffers after the runs before, in as few readbacks as the device can: what is wanted at the same time is
   * asked for in one call. Each is a typed array of its buffer's dtype, and the caller's own.
   */
  download(buffers: readonly DeviceBuffer[]): Promise<TensorData[]>;
  /**
   * Moves what is in `from[i]` into `to[i]`, in the order of runs, uploads and downloads; what it came from is undefined then. Waits for
   * nothing.
   * @throws EvenkeelError `value` unless there are as many, all of them different, `dtype`, `shape` unless each pair is alike; then nothing
   * is moved
   */
  move(from: readonly DeviceBuffer[], to: readonly DeviceBuffer[]): void;
  /** After `dispose` it does nothing: all is freed then. */
  free(buffer: DeviceBuffer): void;
  /** Bytes and number of the buffers that are allocated and not freed, executables' own memory included. */
  memory(): { readonly bytes: number; readonly buffers: number };
  /** Rejected calls afterwards say `disposed`. Idempotent. */
  dispose(): void;
}

/** A device that runs kernels. */
export interface KernelDevice extends DeviceBase {
  readonly runs: "kernels";
  /**
   * Makes a plan ready to run. Takes its turn in the queue if it must: not to be awaited by a task.
   * @param plan within the device's limits
   * @throws EvenkeelError `memory` if its temporaries can't be had, `kernel` if it can't be made
   */
  compile(plan: Plan): Promise<Executable>;
  /**
   * What timing found (`WebgpuOptions.autotune`, and the table that it was given). Absent where nothing can be timed.
   * @throws EvenkeelError `value` if that is because of how the device was made
   */
  tuning?(): TuningTable;
}

/** A device that computes graphs as they were traced, before any pass: the oracle. */
export interface GraphDevice extends DeviceBase {
  readonly runs: "graphs";
  /** Makes a graph ready to run. */
  interpret(graph: Graph): Promise<Executable>;
}

/** What computes: buffers are allocated on it, programs compiled for it. */
export type Device = KernelDevice | GraphDevice;
