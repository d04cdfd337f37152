/** A compiled plan on a wasm device. */
import { EvenkeelError } from "../../errors.ts";
import type { Plan, PlanBuffer } from "../../kernel/plan.ts";
import type { DeviceBuffer, Executable, KernelSource, KernelTime, RunOptions } from "../device.ts";
import { ModuleBuilder } from "./assembler.ts";
import { Barriers, regionsOf, touchOf } from "./barriers.ts";
import { ownBuffer, writeData } from "./deviceBuffer.ts";
import type { Turns } from "./deviceTurns.ts";
import { type JoinedStep, joinSteps } from "./joinSteps.ts";
import type { LinearMemory } from "./memory.ts";
import { addKernel, buildModule, type CompiledKernel, distinctKernels } from "./module.ts";
import type { KernelMethod } from "./method.ts";
import { recordFlags, recordLayout } from "./moduleRun.ts";
import { functionText } from "./text.ts";
import type { Crew, RunFunction } from "./threads.ts";
import { webAssembly } from "./webAssembly.ts";

/** What executables need of their device. */
export type Engine = {
  readonly memory: LinearMemory;
  readonly crew: Crew;
  readonly turns: Turns;
  readonly relaxed: boolean;
  /** Estimated instructions from which a kernel is shared among threads. */
  readonly sharedCost: number;
  /** @throws EvenkeelError `disposed` */
  readonly check: (operation: string) => void;
};

/** A place in a record that holds the address of an input or output. */
type Binding = { readonly address: number; readonly kind: "input" | "output"; readonly index: number };

type BoundAddresses = { readonly input: readonly number[]; readonly output: readonly number[] };

/** The records of a plan's steps in memory. */
type Records = {
  readonly starts: readonly number[];
  readonly end: number;
  readonly bindings: readonly Binding[];
  readonly shared: readonly boolean[];
};

let executables = 0;

export class WasmExecutable implements Executable {
  readonly bytes: number;
  readonly #engine: Engine;
  readonly #plan: Plan;
  readonly #steps: readonly JoinedStep[];
  readonly #kernels: readonly CompiledKernel[];
  readonly #numbers: readonly number[];
  readonly #run: RunFunction;
  readonly #records: Records;
  readonly #memory: OwnedMemory;
  readonly #id: number;
  #disposed = false;

  /** @throws EvenkeelError `memory` if the plan's own buffers don't fit */
  static async compile(engine: Engine, plan: Plan): Promise<WasmExecutable> {
    const { memory, crew, relaxed } = engine;
    const steps = joinSteps(plan);
    const { distinct, numbers } = distinctKernels(steps.map(({ kernel }) => kernel));
    const limits = { module: "env", name: "memory", initial: 1, maximum: memory.maximumPages, shared: memory.shared };
    const bytes = buildModule(distinct, limits, { relaxed }).encode();
    const module = await webAssembly.compile(bytes);
    const instance = new webAssembly.Instance(module, { env: { memory: memory.host, stalled: crew.stalled } });
    engine.check("compile");
    const id = executables++;
    const owned = new OwnedMemory(memory);
    try {
      const records = layOut(owned, plan, steps, distinct, numbers, engine);
      if (records.shared.includes(true)) await crew.load(id, module);
      engine.check("compile");
      const run = instance.exports["run"] as RunFunction;
      return new WasmExecutable({ engine, plan, steps, distinct, numbers, run, records, owned, id });
    } catch (error) {
      owned.retire();
      owned.release();
      throw error;
    }
  }

  private constructor(parts: {
    engine: Engine;
    plan: Plan;
    steps: readonly JoinedStep[];
    distinct: readonly CompiledKernel[];
    numbers: readonly number[];
    run: RunFunction;
    records: Records;
    owned: OwnedMemory;
    id: number;
  }) {
    this.#engine = parts.engine;
    this.#plan = parts.plan;
    this.#steps = parts.steps;
    this.#kernels = parts.distinct;
    this.#numbers = parts.numbers;
    this.#run = parts.run;
    this.#records = parts.records;
    this.#memory = parts.owned;
    this.#id = parts.id;
    this.bytes = parts.owned.bytes;
  }

  async run(
    inputs: readonly DeviceBuffer[],
    outputs: readonly DeviceBuffer[],
    options: RunOptions = {},
  ): Promise<readonly KernelTime[]> {
    this.#check();
    const addresses = this.#addressesOf(inputs, outputs);
    return this.#engine.turns.take(() => {
      this.#engine.check("run");
      this.#bind(addresses);
      if (options.profile === true) return this.#profile();
      const { starts, end, shared } = this.#records;
      const pending = this.#execute(starts[0] ?? end, end, shared.includes(true));
      return pending === undefined ? [] : pending.then(() => []);
    });
  }

  sources(): readonly KernelSource[] {
    // Written again on demand rather than kept: nobody reads most of them.
    const module = new ModuleBuilder();
    const { memory, relaxed } = this.#engine;
    module.importMemory({
      module: "env",
      name: "memory",
      initial: 1,
      maximum: memory.maximumPages,
      shared: memory.shared,
    });
    const texts = this.#kernels.map((compiled, number) => {
      const before = new Set(module.functions);
      addKernel(module, compiled, number, { relaxed });
      const written = module.functions.filter((f) => !before.has(f) && f.reference.name.startsWith("kernel"));
      return [`;; schedule: ${compiled.method.name}`, ...written.map(functionText)].join("\n");
    });
    const textOf = (index: number): string => texts[this.#numbers[index] ?? -1] ?? "";
    const sources = this.#steps.flatMap(({ steps }, index) =>
      steps.map(({ kernel }) => ({ kernel: kernel.name, language: "wat", text: textOf(index) })),
    );
    return sources.map((source, step) => ({ ...source, step }));
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#engine.crew.drop(this.#id);
    this.#memory.retire();
    void this.#engine.turns.take(() => this.#memory.release());
  }

  #check(): void {
    this.#engine.check("run");
    if (this.#disposed) {
      throw new EvenkeelError("disposed", "run: this executable was disposed of. Compile the program again.");
    }
  }

  /** Runs records on all threads if one of them is shared, else here. */
  #execute(first: number, end: number, shared: boolean): Promise<void> | undefined {
    if (shared) return this.#engine.crew.run(this.#id, this.#run, first, end);
    try {
      this.#run(0, 1, first, end);
    } catch (error) {
      throw new EvenkeelError("kernel", `wasm: a kernel failed: ${String(error)}`, { cause: error });
    }
    return undefined;
  }

  /** Steps that are computed together have a part of their time each, by the bytes they would touch alone. */
  async #profile(): Promise<readonly KernelTime[]> {
    const { starts, end, shared } = this.#records;
    const times: KernelTime[] = [];
    for (const [index, { steps }] of this.#steps.entries()) {
      const start = performance.now();
      await this.#execute(starts[index] ?? end, starts[index + 1] ?? end, shared[index] ?? false);
      const milliseconds = performance.now() - start;
      const bytes = steps.reduce((sum, { kernel }) => sum + kernel.bytes, 0);
      for (const { kernel } of steps) {
        times.push({
          name: kernel.name,
          milliseconds: steps.length === 1 ? milliseconds : milliseconds * (kernel.bytes / bytes),
        });
      }
    }
    return times;
  }

  /** Checks what the caller binds. Buffers may be freed before it is this run's turn; their addresses stay taken. */
  #addressesOf(inputs: readonly DeviceBuffer[], outputs: readonly DeviceBuffer[]): BoundAddresses {
    const { memory } = this.#engine;
    const given = { input: inputs, output: outputs };
    const wanted = { input: this.#plan.inputs, output: this.#plan.outputs };
    for (const kind of ["input", "output"] as const) {
      if (given[kind].length !== wanted[kind]) {
        throw new EvenkeelError("value", `run: got ${given[kind].length} ${kind}s, the program has ${wanted[kind]}.`);
      }
    }
    for (const { role, dtype, length } of this.#plan.buffers) {
      if (role.kind !== "input" && role.kind !== "output") continue;
      const buffer = given[role.kind][role.index];
      if (buffer === undefined || buffer.dtype !== dtype || buffer.length !== length) {
        const got = buffer === undefined ? "none" : `${buffer.dtype} with ${buffer.length} elements`;
        throw new EvenkeelError(
          buffer?.dtype === dtype ? "shape" : "dtype",
          `run: ${role.kind} ${role.index} is ${dtype} with ${length} elements, got ${got}.`,
        );
      }
    }
    const addresses = {
      input: inputs.map((buffer) => ownBuffer("run", memory, buffer).address),
      output: outputs.map((buffer) => ownBuffer("run", memory, buffer).address),
    };
    addresses.output.forEach((address, output) => {
      const input = addresses.input.findIndex(
        (other, index) => other === address && this.#plan.aliases[output] !== index,
      );
      if (input < 0) return;
      throw new EvenkeelError(
        "value",
        `run: output ${output} is bound to the same buffer as input ${input}, which the program still reads. ` +
          "Give it a buffer of its own.",
      );
    });
    return addresses;
  }

  #bind(addresses: BoundAddresses): void {
    const words = this.#engine.memory.uint32(0, this.#records.end / 4);
    for (const { address, kind, index } of this.#records.bindings) words[address / 4] = addresses[kind][index] ?? 0;
  }
}

/** Allocations of one executable. */
class OwnedMemory {
  readonly memory: LinearMemory;
  readonly #addresses: number[] = [];
  #bytes = 0;

  constructor(memory: LinearMemory) {
    this.memory = memory;
  }

  get bytes(): number {
    return this.#bytes;
  }

  allocate(bytes: number, purpose: string): number {
    const before = this.memory.bytes;
    const address = this.memory.allocate(bytes, purpose);
    this.#bytes += this.memory.bytes - before;
    this.#addresses.push(address);
    return address;
  }

  retire(): void {
    for (const address of this.#addresses) this.memory.retire(address);
  }

  release(): void {
    for (const address of this.#addresses.splice(0)) this.memory.release(address);
  }
}

/** Allocates temporaries and constants and writes the records of all steps. */
function layOut(
  owned: OwnedMemory,
  plan: Plan,
  steps: readonly JoinedStep[],
  kernels: readonly CompiledKernel[],
  numbers: readonly number[],
  { memory, crew, sharedCost }: Engine,
): Records {
  if (plan.slots.length > 1) {
    throw new EvenkeelError(
      "kernel",
      `wasm: the plan has ${plan.slots.length} slots; this device has one arena. Plan for its limits.`,
    );
  }
  const arena = owned.allocate(plan.slots[0] ?? 0, "the temporaries of a program");
  const addresses = plan.buffers.map(({ role, length }: PlanBuffer): number | null => {
    if (role.kind === "temporary") return arena + role.offset;
    if (role.kind !== "constant") return null;
    const address = owned.allocate(4 * length, "a constant");
    writeData(memory, address, role.data);
    return address;
  });
  const functions = firstFunctions(kernels);
  const methodOfStep = (index: number): KernelMethod => {
    const compiled = kernels[numbers[index] ?? -1];
    if (compiled === undefined) throw new RangeError(`step ${index} has no kernel`);
    return compiled.method;
  };
  const scratch = allocateScratch(owned, kernels, crew.threads);
  const sizeOf = ({ operands, results }: JoinedStep, method: KernelMethod): number =>
    recordLayout.addresses + 4 * (operands.length + results.length + (method.scratch === null ? 0 : 2));
  const total = steps.reduce((sum, step, index) => {
    const method = methodOfStep(index);
    return sum + sizeOf(step, method) * method.phases.length;
  }, 0);
  const first = owned.allocate(total, "the steps of a program");
  const words = memory.uint32(0, (first + total) / 4);
  const starts: number[] = [];
  const bindings: Binding[] = [];
  const shared: boolean[] = [];
  let at = first;
  const barriers = new Barriers();
  const regions = regionsOf(plan);
  steps.forEach((step, index) => {
    const method = methodOfStep(index);
    starts.push(at);
    let someShared = false;
    const touch = touchOf(step, regions, method.scratch !== null);
    method.phases.forEach(({ size, block, cost }, phase) => {
      const isShared = crew.threads > 1 && size > block && cost >= sharedCost;
      someShared ||= isShared;
      const barrier = barriers.before(touch, isShared);
      const header = {
        kernel: (functions[numbers[index] ?? 0] ?? 0) + phase,
        flags: (isShared ? recordFlags.shared : 0) | (barrier ? recordFlags.barrier : 0),
        size,
        block,
        bytes: sizeOf(step, method),
      };
      for (const [field, value] of Object.entries(header)) {
        words[(at + recordLayout[field as keyof typeof header]) / 4] = value;
      }
      const tail = method.scratch === null ? [] : [...step.results, null];
      [...step.operands, ...step.results, ...tail].forEach((buffer, operand) => {
        const address = at + recordLayout.addresses + 4 * operand;
        const role = buffer === null ? undefined : plan.buffers[buffer]?.role;
        words[address / 4] = buffer === null ? scratch : (addresses[buffer] ?? 0);
        if (role?.kind === "input" || role?.kind === "output")
          bindings.push({ address, kind: role.kind, index: role.index });
      });
      at += sizeOf(step, method);
    });
    shared.push(someShared);
  });
  return { starts, end: at, bindings, shared };
}

/** For each kernel the number of its first function in the module. */
function firstFunctions(kernels: readonly CompiledKernel[]): readonly number[] {
  let count = 0;
  return kernels.map(({ method }) => (count += method.phases.length) - method.phases.length);
}

/** Memory that the kernels of a program use one after the other. */
function allocateScratch(owned: OwnedMemory, kernels: readonly CompiledKernel[], threads: number): number {
  const bytes = kernels.map(({ method: { scratch } }) =>
    scratch === null ? 0 : scratch.shared + threads * scratch.perThread,
  );
  const most = bytes.reduce((a, b) => Math.max(a, b), 0);
  return most === 0 ? 0 : owned.allocate(most, "the scratch memory of a program");
}
