/** A plan as a sequence of gpu.js's public kernel calls. */
import { EvenkeelError } from "../../errors.ts";
import { at } from "../../graph/shape.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import type { Plan, PlanStep } from "../../kernel/plan.ts";
import { type Signature, signatureOfPlan } from "../bindings.ts";
import type { DeviceBuffer, Executable, KernelSource as SourceText, KernelTime, RunOptions } from "../device.ts";
import { eventLoopTurn, throwIfAborted } from "../eventLoop.ts";
import type { PublicKernelCache, SharedKernel } from "./publicKernelCache.ts";
import type { Cell, PublicMemory } from "./publicMemory.ts";
import { emitKernelSource } from "./source/index.ts";
import { toWords, wordsOf } from "./words.ts";

type Call<M> = { readonly step: PlanStep; readonly kernel: SharedKernel<M> };

export class PublicExecutable<M> implements Executable {
  readonly bytes: number;
  readonly #memory: PublicMemory<M>;
  readonly #cache: PublicKernelCache<M>;
  readonly #plan: Plan;
  readonly #signature: Signature;
  readonly #calls: readonly Call<M>[];
  /** Constants by number of the plan's buffer, temporaries by slot. */
  readonly #constants = new Map<number, Cell<M>>();
  readonly #slots = new Map<number, Cell<M>>();
  readonly #onDispose: (executable: PublicExecutable<M>) => void;
  #disposed = false;

  /** @throws EvenkeelError `kernel` if gpu.js refuses a kernel, `memory` if constants or temporaries find no memory. */
  static async compile<M>(
    memory: PublicMemory<M>,
    cache: PublicKernelCache<M>,
    plan: Plan,
    onDispose: (executable: PublicExecutable<M>) => void,
  ): Promise<PublicExecutable<M>> {
    const calls: Call<M>[] = [];
    try {
      const kernels = new Map<Kernel, KernelSourceOf>();
      for (const step of plan.steps) {
        if (step.kernel.stores[0].length === 0) continue;
        const source = kernels.get(step.kernel) ?? emitKernelSource(step.kernel, memory.backend.mode);
        kernels.set(step.kernel, source);
        calls.push({ step, kernel: cache.acquire(source) });
        const turn = eventLoopTurn();
        if (turn === undefined) continue;
        await turn;
        memory.requireUsable();
      }
    } catch (error) {
      for (const { kernel } of calls) cache.release(kernel);
      throw error;
    }
    return new PublicExecutable(memory, cache, plan, calls, onDispose);
  }

  private constructor(
    memory: PublicMemory<M>,
    cache: PublicKernelCache<M>,
    plan: Plan,
    calls: readonly Call<M>[],
    onDispose: (executable: PublicExecutable<M>) => void,
  ) {
    this.#memory = memory;
    this.#cache = cache;
    this.#plan = plan;
    this.#signature = signatureOfPlan(plan);
    this.#calls = calls;
    this.#onDispose = onDispose;
    try {
      this.#allocate();
    } catch (error) {
      this.#release();
      throw error;
    }
    const kernelBytes = [...new Set(calls.map(({ kernel }) => kernel))].map(({ compiled }) => compiled.bytes);
    const cellBytes = [...this.#constants.values(), ...this.#slots.values()].map(({ bytes }) => bytes);
    this.bytes = [...kernelBytes, ...cellBytes].reduce((sum, bytes) => sum + bytes, 0);
  }

  #allocate(): void {
    const slotWords = new Map<number, number>();
    this.#plan.buffers.forEach(({ role, dtype, length }, buffer) => {
      const words = wordsOf(dtype, length);
      if (role.kind === "constant") {
        const cell = this.#memory.acquire(words, `a constant of ${length} ${dtype}`);
        this.#constants.set(buffer, cell);
        if (length > 0) cell.store(toWords(role.data, dtype));
      } else if (role.kind === "temporary") {
        slotWords.set(role.slot, Math.max(words, slotWords.get(role.slot) ?? 0));
      }
    });
    for (const [slot, words] of slotWords) {
      this.#slots.set(slot, this.#memory.acquire(words, `a program's temporary of ${words} words`));
    }
  }

  async run(
    inputs: readonly DeviceBuffer[],
    outputs: readonly DeviceBuffer[],
    options?: RunOptions,
  ): Promise<readonly KernelTime[]> {
    const { backend } = this.#memory;
    this.#requireAlive();
    const cells = this.#bind(inputs, outputs);
    throwIfAborted(options?.signal);
    const times: KernelTime[] = [];
    for (const { step, kernel } of this.#calls) {
      const turn = eventLoopTurn();
      if (turn !== undefined) {
        await turn;
        this.#requireAlive();
        // These devices write no output over an input, so that every kernel may be the last.
        throwIfAborted(options?.signal);
      }
      const [target] = step.results;
      const result = cells[target];
      if (result === undefined) throw new RangeError(`the plan has no buffer ${target}`);
      const operands = step.operands.map((operand) => {
        const cell = cells[operand];
        if (cell === undefined || cell === result) {
          throw new EvenkeelError(
            "graph",
            `${backend.mode}: the plan has kernel ${step.kernel.name} write the buffer it reads.`,
          );
        }
        return cell.read();
      });
      const start = performance.now();
      result.replace((previous) => kernel.compiled.run(operands, previous));
      if (options?.profile === true) {
        backend.finish();
        times.push({ name: step.kernel.name, milliseconds: performance.now() - start });
      }
    }
    await eventLoopTurn();
    return times;
  }

  #requireAlive(): void {
    if (this.#disposed) {
      const { mode } = this.#memory.backend;
      throw new EvenkeelError("disposed", `${mode}: run: this program has been disposed of; compile it again.`);
    }
    this.#memory.requireUsable();
  }

  /** The cell of each of the plan's buffers; checks the caller's. */
  #bind(inputs: readonly DeviceBuffer[], outputs: readonly DeviceBuffer[]): Cell<M>[] {
    const bound = this.#memory.buffers.bind(this.#signature, inputs, outputs);
    return this.#plan.buffers.map(({ role }, buffer) => {
      switch (role.kind) {
        case "input":
        case "output":
          return at(bound[role.kind], role.index);
        case "constant":
          return cellAt(this.#constants, buffer);
        case "temporary":
          return cellAt(this.#slots, role.slot);
      }
    });
  }

  sources(): readonly SourceText[] {
    const byName = new Map(this.#calls.map(({ step, kernel }) => [step.kernel.name, kernel.compiled]));
    return [...byName].flatMap(([kernel, compiled]) => compiled.texts().map((text) => ({ kernel, ...text })));
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#release();
    this.#onDispose(this);
  }

  #release(): void {
    for (const cell of [...this.#constants.values(), ...this.#slots.values()]) this.#memory.release(cell);
    for (const { kernel } of this.#calls) this.#cache.release(kernel);
  }
}

type KernelSourceOf = ReturnType<typeof emitKernelSource>;

function cellAt<M>(cells: ReadonlyMap<number, Cell<M>>, key: number): Cell<M> {
  const cell = cells.get(key);
  if (cell === undefined) throw new RangeError(`the plan's buffer ${key} has no memory`);
  return cell;
}
