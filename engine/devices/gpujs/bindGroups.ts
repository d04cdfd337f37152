/** Bind groups of a plan's dispatches, kept by the buffers that the caller bound. */
import { at } from "../../graph/shape.ts";
import type { Plan, PlanStep } from "../../kernel/plan.ts";
import type { CompiledKernel } from "./kernelSource.ts";
import type { WordFormat } from "./words.ts";

/** One kernel run, ready but for its buffers. */
export type Dispatch = {
  readonly step: PlanStep;
  readonly kernel: CompiledKernel;
  /** Where the kernel's params lie in the uniform buffer, if it has some. */
  readonly paramsOffset: number;
};

/** Bind groups of all dispatches for one choice of inputs and outputs. */
export type BoundSet = { readonly bound: readonly GPUBuffer[]; readonly groups: readonly GPUBindGroup[] };

/** A state whose two sets of buffers take turns needs two; other data for the same program a few more. */
const maxSets = 8;

export class BindGroups {
  readonly #device: GPUDevice;
  readonly #plan: Plan;
  readonly #dispatches: readonly Dispatch[];
  readonly #params: GPUBuffer | null;
  /** The executable's own memory of temporaries and constants, by number of the plan's buffer. */
  readonly #own: readonly (GPUBuffer | undefined)[];
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
    own: readonly (GPUBuffer | undefined)[],
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
  find(bound: readonly GPUBuffer[]): BoundSet | undefined {
    const at = this.#sets.findIndex((set) => set.bound.every((buffer, i) => buffer === bound[i]));
    const found = this.#sets[at];
    if (found !== undefined && at > 0) {
      this.#sets.splice(at, 1);
      this.#sets.unshift(found);
    }
    return found;
  }

  /** A set for these buffers; forgets the set not used for longest if there are many. */
  create(bound: readonly GPUBuffer[]): BoundSet {
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

  #bind({ step, kernel, paramsOffset }: Dispatch, bound: readonly GPUBuffer[]): GPUBindGroup {
    const resources = kernel.bindings.map((binding): GPUBufferBinding => {
      if (binding.kind !== "params") {
        return this.#resource(at(binding.kind === "operand" ? step.operands : step.results, binding.index), bound);
      }
      if (this.#params === null || kernel.params === null) throw new Error(`${step.kernel.name} has no params`);
      return { buffer: this.#params, offset: paramsOffset, size: kernel.params.byteLength };
    });
    return this.#device.createBindGroup({
      layout: kernel.layout,
      entries: resources.map((resource, binding) => ({ binding, resource })),
    });
  }

  #resource(index: number, bound: readonly GPUBuffer[]): GPUBufferBinding {
    const planned = this.#plan.buffers[index];
    if (planned === undefined) throw new Error(`the plan has no buffer ${index}`);
    const { role, dtype, length } = planned;
    const external = role.kind === "input" ? role.index : role.kind === "output" ? this.#plan.inputs + role.index : -1;
    const buffer = this.#own[index] ?? bound[external];
    if (buffer === undefined) throw new Error(`buffer ${index} of the plan is bound to nothing`);
    // Only the words of the tensor: the memory may be larger.
    return { buffer, size: Math.max(4, 4 * this.#words.wordsOf(dtype, length)) };
  }
}
