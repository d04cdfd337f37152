/** Bind groups of a plan's dispatches, kept by the buffers that the caller bound. */
import { at } from "../../graph/shape.ts";
import type { Plan, PlanStep } from "../../kernel/plan.ts";
import { storedBytes } from "../../kernel/storage.ts";
import type { CompiledKernel } from "./kernelSource.ts";
import { externalIndex, type Starts } from "./homes.ts";
import type { GpuRange } from "./webgpuMemory.ts";
import type { WordFormat } from "./words.ts";

/** One kernel run, ready but for its buffers. */
export type Dispatch = {
  /** What it runs; the first of several, if whole memories are bound. */
  readonly step: PlanStep;
  /** The step of the plan that it belongs to. */
  readonly part: PlanStep;
  /** If it goes over several arrays, each a part of what is bound: from which byte on the memory of each buffer is. Null: each array is. */
  readonly wholeFrom: Starts | null;
  readonly kernel: CompiledKernel;
  /** Where the kernel's params lie in the uniform buffer, if it has some. */
  readonly paramsOffset: number;
};

/** Bind groups of all dispatches for one choice of inputs and outputs. */
export type BoundSet = { readonly bound: readonly GpuRange[]; readonly groups: readonly GPUBindGroup[] };

/** A state whose two sets of buffers take turns needs two; other data for the same program a few more. */
const maxSets = 8;

export class BindGroups {
  readonly #device: GPUDevice;
  readonly #plan: Plan;
  readonly #dispatches: readonly Dispatch[];
  readonly #params: GPUBuffer | null;
  /** The executable's own memory of temporaries and constants, by number of the plan's buffer. */
  readonly #own: readonly (GpuRange | undefined)[];
  readonly #words: WordFormat;
  /** Groups that touch no buffer of the caller's: the same in every set. */
  readonly #shared = new Map<Dispatch, GPUBindGroup>();
  /** Last used first. */
  readonly #sets: BoundSet[] = [];

  constructor(
    device: GPUDevice,
    plan: Plan,
    dispatches: readonly Dispatch[],
    params: GPUBuffer | null,
    own: readonly (GpuRange | undefined)[],
    words: WordFormat,
  ) {
    this.#words = words;
    this.#device = device;
    this.#plan = plan;
    this.#dispatches = dispatches;
    this.#params = params;
    this.#own = own;
  }

  /** The set made for these buffers before (inputs first, then outputs), if it is still kept. */
  find(bound: readonly GpuRange[]): BoundSet | undefined {
    const at = this.#sets.findIndex((set) =>
      set.bound.every(({ buffer, offset }, i) => buffer === bound[i]?.buffer && offset === bound[i].offset),
    );
    const found = this.#sets[at];
    if (found !== undefined && at > 0) {
      this.#sets.splice(at, 1);
      this.#sets.unshift(found);
    }
    return found;
  }

  /** A set for these buffers; forgets the set not used for longest if there are many. */
  create(bound: readonly GpuRange[]): BoundSet {
    const groups = this.#dispatches.map((dispatch) => {
      const shared = this.#shared.get(dispatch);
      if (shared !== undefined) return shared;
      const { step } = dispatch;
      const group = this.#bind(dispatch, bound);
      if ([...step.operands, ...step.results].every((buffer) => this.#own[buffer] !== undefined))
        this.#shared.set(dispatch, group);
      return group;
    });
    const set = { bound: [...bound], groups };
    this.#sets.unshift(set);
    this.#sets.length = Math.min(this.#sets.length, maxSets);
    return set;
  }

  /** Whether a dispatch would read a GPU buffer at one binding and write it at another, which WebGPU refuses. */
  collides(bound: readonly GpuRange[]): boolean {
    return this.#dispatches.some(({ step, kernel }) => {
      const arrays = kernel.bindings.flatMap((binding) => {
        if (binding.kind === "params") return [];
        const index = at(binding.kind === "operand" ? step.operands : step.results, binding.index);
        return [{ buffer: this.#range(index, bound).buffer, isWritten: binding.access === "read_write" }];
      });
      return arrays.some(
        (one) => !one.isWritten && arrays.some((other) => other.isWritten && other.buffer === one.buffer),
      );
    });
  }

  #bind(dispatch: Dispatch, bound: readonly GpuRange[]): GPUBindGroup {
    const { step, kernel, paramsOffset } = dispatch;
    const resources = kernel.bindings.map((binding): GPUBufferBinding => {
      if (binding.kind !== "params") {
        return this.#resource(
          at(binding.kind === "operand" ? step.operands : step.results, binding.index),
          bound,
          dispatch.wholeFrom,
        );
      }
      if (this.#params === null || kernel.params === null) throw new Error(`${step.kernel.name} has no params`);
      return { buffer: this.#params, offset: paramsOffset, size: kernel.params.byteLength };
    });
    return this.#device.createBindGroup({
      layout: kernel.layout,
      entries: resources.map((resource, binding) => ({ binding, resource })),
    });
  }

  #resource(index: number, bound: readonly GpuRange[], wholeFrom: Starts | null): GPUBufferBinding {
    const { buffer, offset } = this.#range(index, bound);
    const array = at(this.#plan.buffers, index);
    const { dtype, length, role } = array;
    // What a caller binds where the plan expects nothing but itself may still be a part of other memory.
    const isOnItsOwn = (role.kind === "input" || role.kind === "output") && role.place === undefined;
    if (wholeFrom !== null && !isOnItsOwn) return { buffer, offset: wholeFrom.get(index) ?? 0 };
    // Only the words of the tensor: the memory may be larger.
    const size = array.storage === undefined ? 4 * this.#words.wordsOf(dtype, length) : storedBytes(array);
    return { buffer, offset, size: Math.max(4, size) };
  }

  #range(index: number, bound: readonly GpuRange[]): GpuRange {
    const range = this.#own[index] ?? bound[externalIndex(this.#plan, index) ?? -1];
    if (range === undefined) throw new Error(`buffer ${index} of the plan is bound to nothing`);
    return range;
  }
}
