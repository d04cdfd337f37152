import type { Device, KernelSource, KernelTime } from "../devices/device.ts";
import { type DeviceChoice, getDevice } from "../devices/select.ts";
import { EvenkeelError } from "../errors.ts";
import type { Graph } from "../graph/graph.ts";
import type { Plan } from "../kernel/plan.ts";
import type { Donation } from "../passes/aliasOutputs.ts";
import { treeSignature } from "../tree.ts";
import { LeastRecentlyUsed } from "./cache.ts";
import { deviceNumber } from "./lifetimes.ts";
import { type Observer, Program } from "./program.ts";
import { State } from "./state.ts";
import { outlineOf, trace } from "./trace.ts";

/** Options of `compile` and `compileStep`. */
export type CompileOptions = {
  /** Where to run. Default: EVENKEEL_DEVICE, else `wasm`. */
  readonly device?: DeviceChoice;
  /** Programs kept, one per signature (shapes, dtypes, static values). Default 16; the one used longest ago goes first. */
  readonly cacheSize?: number;
  /**
   * When it aborts, a run that is under way ends between kernels, and it and every later call reject with an error `aborted`. States
   * are then as they were before the call; a step that has begun to update its state in place is finished instead. What is on the
   * device stays usable: `State.read` and other functions go on working.
   */
  readonly signal?: AbortSignal;
};

/** A program of a traced function. */
export type CompiledProgram = {
  readonly program: Program;
  /** What the function gives: a tree whose tensors are outlines of the program's outputs, in order. */
  readonly result: unknown;
};

/** @internal What `explain` tells of a program: how it was made, and one run of it. */
export type Inspection = {
  readonly device: Device;
  /** The graph as it was traced and after each pass. */
  readonly passes: readonly { readonly name: string; readonly graph: Graph }[];
  /** None on a device that interprets the graph. */
  readonly plan: Plan | undefined;
  readonly sources: readonly KernelSource[];
  /** Bytes that the executable holds on the device. */
  readonly bytes: number;
  readonly times: readonly KernelTime[];
};

/** A program that calls share; it is disposed of once it is neither kept nor used. */
class Entry {
  readonly device: Device;
  readonly #made: Promise<CompiledProgram>;
  #program: Program | undefined;
  #users = 0;
  #isKept: boolean;

  constructor(device: Device, made: Promise<CompiledProgram>, isKept: boolean) {
    this.device = device;
    this.#made = made;
    this.#isKept = isKept;
  }

  async use<T>(task: (made: CompiledProgram) => Promise<T>): Promise<T> {
    this.#users++;
    try {
      const made = await this.#made;
      this.#program = made.program;
      return await task(made);
    } finally {
      this.#users--;
      this.#disposeIfIdle();
    }
  }

  drop(): void {
    this.#isKept = false;
    this.#disposeIfIdle();
  }

  #disposeIfIdle(): void {
    if (!this.#isKept && this.#users === 0) this.#program?.dispose();
  }
}

/** Programs of one function, by device and signature. */
export class ProgramCache {
  readonly #fn: (...args: readonly unknown[]) => unknown;
  readonly #choice: DeviceChoice | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #donations: (templates: readonly unknown[]) => readonly Donation[];
  readonly #entries: LeastRecentlyUsed<Entry>;
  /** Counts the calls of `dispose`. */
  #disposals = 0;

  constructor(
    fn: (...args: readonly unknown[]) => unknown,
    options: CompileOptions,
    donations: (templates: readonly unknown[]) => readonly Donation[],
  ) {
    if (typeof fn !== "function") {
      throw new EvenkeelError("value", `compile: expected a function of tensors, got ${typeof fn}.`);
    }
    this.#fn = fn;
    this.#donations = donations;
    this.#choice = options.device;
    this.#signal = options.signal;
    const limit = options.cacheSize ?? 16;
    if (!Number.isInteger(limit) || limit < 1) {
      throw new EvenkeelError("range", `compile: cacheSize ${limit} is not a whole number of at least 1.`);
    }
    this.#entries = new LeastRecentlyUsed(limit, (entry, evictions) => {
      if (evictions === 1) {
        console.warn(
          `evenkeel: a compiled function has met more than ${limit} signatures and compiles again and again. ` +
            "Give it fewer shapes and static values (pass changing numbers as scalar tensors), or raise cacheSize.",
        );
      }
      entry.drop();
    });
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Runs `task` with the program for these arguments, which lives at least until the task is over. */
  async use<T>(args: readonly unknown[], task: (made: CompiledProgram) => Promise<T>): Promise<T> {
    const disposals = this.#disposals;
    const { device, templates } = await this.#place(args);
    const key = `${deviceNumber(device)} ${args.map(signatureOf).join(" | ")}`;
    const known = this.#entries.get(key);
    if (known !== undefined) return known.use(task);
    const made = this.#compile(templates, device);
    // What was called before `dispose` leaves nothing behind.
    const isKept = disposals === this.#disposals;
    const entry = new Entry(device, made, isKept);
    if (isKept) {
      // Programs of a device that is gone can't be used again.
      for (const useless of this.#entries.deleteWhere((other) => !other.device.usable)) useless.drop();
      this.#entries.set(key, entry);
      made.catch(() => this.#entries.deleteWhere((other) => other === entry));
    }
    return entry.use(task);
  }

  /** Makes a program for these arguments anew, which nobody keeps, and tells how it was made and what `run` says of it. */
  async inspect(
    args: readonly unknown[],
    run: (made: CompiledProgram) => Promise<readonly KernelTime[]>,
  ): Promise<Inspection> {
    const { device, templates } = await this.#place(args);
    const passes: { name: string; graph: Graph }[] = [];
    let plan: Plan | undefined;
    const made = await this.#compile(templates, device, {
      pass: (name, graph) => passes.push({ name, graph }),
      plan: (planned) => (plan = planned),
    });
    const { executable } = made.program;
    try {
      const times = await run(made);
      return { device, passes, plan, sources: executable.sources(), bytes: executable.bytes, times };
    } finally {
      made.program.dispose();
    }
  }

  /** Where arguments are computed with, and what is traced for them. */
  async #place(args: readonly unknown[]): Promise<{ readonly device: Device; readonly templates: readonly unknown[] }> {
    const device = await getDevice(this.#choice);
    return { device, templates: args.map((arg, i) => (arg instanceof State ? templateOf(arg, i, device) : arg)) };
  }

  /** Disposes of all programs: each when the last call that uses it is over. */
  dispose(): void {
    this.#disposals++;
    for (const entry of this.#entries.clear()) entry.drop();
  }

  async #compile(templates: readonly unknown[], device: Device, observer?: Observer): Promise<CompiledProgram> {
    const { graph, result } = trace(this.#fn, templates);
    observer?.pass("trace", graph);
    const program = await Program.compile(graph, device, this.#donations(templates), observer, this.#signal);
    return { program, result: outlineOf(result, "result") };
  }
}

/** A state knows its own: a call walks no tree of it. */
const signatureOf = (arg: unknown): string => (arg instanceof State ? arg.signature : treeSignature(arg));

function templateOf(state: State<unknown>, argument: number, device: Device): unknown {
  state.requireUsable();
  if (state.device !== device) {
    throw new EvenkeelError(
      "device",
      `argument ${argument} is a state of another device (${state.device.name}: ${state.device.description}` +
        `${state.device.usable ? "" : ", which was lost or disposed of"}); this function runs on ${device.name}. ` +
        "Create the state on the same device.",
    );
  }
  return state.template;
}
