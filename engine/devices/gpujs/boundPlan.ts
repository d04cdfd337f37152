/** A plan with memory of its own, whose kernels can be run one by one or all together: for timing them. */
import type { GpujsContext } from "./adapter.ts";
import { BindGroups, type BoundSet, type Dispatch } from "./bindGroups.ts";
import { usage } from "./bufferUsage.ts";
import { timeDispatches, timePass } from "./kernelTimer.ts";
import { type Draft, draftsOf } from "./drafts.ts";
import { aliasesOf, expectedHomes, type Home } from "./homes.ts";
import type { GpuRange } from "./webgpuMemory.ts";
import { emitKernel, type EmitOptions } from "./wgsl/index.ts";
import { wholeIntegers } from "./words.ts";
import { at } from "../../graph/shape.ts";
import type { Plan } from "../../kernel/plan.ts";
import { storedBytes } from "../../kernel/storage.ts";

/** Milliseconds of runs that are timed together, if that takes no more than so many. */
const enough = 2;
const mostRepeats = 40;

/** A kernel of a plan, and how it is run. */
export type PlanKernel = {
  /** The first step that runs it, of so many. */
  readonly dispatch: Dispatch;
  readonly group: GPUBindGroup;
  readonly steps: number;
  readonly schedule: string;
};

/** Memory for a plan, and what is bound of it. */
type Memory = {
  /** Of its temporaries and constants, by buffer of the plan. */
  readonly inner: readonly (GpuRange | undefined)[];
  /** What a caller would bind: inputs, then outputs. */
  readonly bound: readonly GpuRange[];
  readonly all: readonly GPUBuffer[];
};

export class BoundPlan {
  /** Kernels with different code. */
  readonly kernels: readonly PlanKernel[];
  readonly #context: GpujsContext;
  readonly #plan: Plan;
  readonly #memory: Memory;
  readonly #dispatches: readonly Dispatch[];
  readonly #set: BoundSet;

  private constructor(context: GpujsContext, plan: Plan, memory: Memory, made: readonly Made[]) {
    this.#context = context;
    this.#plan = plan;
    this.#memory = memory;
    this.#dispatches = made.map(({ dispatch }) => dispatch);
    this.#set = this.#bind(this.#dispatches);
    const kernels = new Map<unknown, PlanKernel>();
    made.forEach(({ dispatch, schedule }, i) => {
      const known = kernels.get(dispatch.kernel);
      const first = known ?? { dispatch, schedule, group: at(this.#set.groups, i), steps: 0 };
      kernels.set(dispatch.kernel, { ...first, steps: first.steps + 1 });
    });
    this.kernels = [...kernels.values()];
  }

  /** Makes the kernels as the device would, and memory that holds small random numbers. */
  static async create(context: GpujsContext, plan: Plan, schedules: EmitOptions): Promise<BoundPlan> {
    const homes = expectedHomes(plan);
    const drafts = draftsOf(plan, homes, schedules);
    const made = await Promise.all(drafts.map((draft) => make(context, homes, draft, schedules)));
    return new BoundPlan(context, plan, memoryOf(context.device, plan, homes), made);
  }

  /** One of its kernels, run another way; of a batch its first member alone. */
  async variant({ dispatch: { step, part }, steps }: PlanKernel, schedules: EmitOptions): Promise<PlanKernel> {
    const draft = { step, part, whole: null, starts: new Map<number, number>() };
    const { dispatch, schedule } = await make(this.#context, expectedHomes(this.#plan), draft, schedules);
    return { dispatch, schedule, group: at(this.#bind([dispatch]).groups, 0), steps };
  }

  /** Milliseconds of one run of a kernel: the mean of `repeats` in one pass. */
  async timeKernel({ dispatch, group }: PlanKernel, repeats: number): Promise<number> {
    const set = { bound: [], groups: [group] };
    const [time = NaN] = await timeDispatches(this.#context.device, [dispatch], set, repeats);
    return time;
  }

  /** Milliseconds of one run of a kernel: the mean of as many as take long enough together. */
  async timeWell(kernel: PlanKernel): Promise<number> {
    // The first run finds nothing in the caches, and a pipeline that some drivers finish only now.
    await this.timeKernel(kernel, 1);
    const once = await this.timeKernel(kernel, 1);
    const repeats = Math.min(mostRepeats, Math.max(1, Math.ceil(enough / Math.max(once, 1e-3))));
    return repeats === 1 ? once : this.timeKernel(kernel, repeats);
  }

  /** Milliseconds of all dispatches in one pass, from the beginning of the first to the end of the last. */
  timeAll(): Promise<number> {
    return timePass(this.#context.device, this.#dispatches, this.#set);
  }

  dispose(): void {
    for (const buffer of this.#memory.all) buffer.destroy();
  }

  #bind(dispatches: readonly Dispatch[]): BoundSet {
    const { inner, bound } = this.#memory;
    return new BindGroups(this.#context.device, this.#plan, dispatches, null, inner, wholeIntegers).create(bound);
  }
}

type Made = { readonly dispatch: Dispatch; readonly schedule: string };

async function make(
  context: GpujsContext,
  homes: readonly Home[],
  { step, part, whole, starts }: Draft,
  schedules: EmitOptions,
): Promise<Made> {
  const own = whole ?? emitKernel(step.kernel, aliasesOf(step, homes), schedules);
  const kernel = await context.ownKernelOf(own);
  return { dispatch: { step, part, wholeFrom: whole && starts, kernel, paramsOffset: 0 }, schedule: own.schedule };
}

function memoryOf(device: GPUDevice, plan: Plan, homes: readonly Home[]): Memory {
  const bytes = new Map<string, number>();
  const floats = new Set<string>();
  plan.buffers.forEach((array, i) => {
    const { memory, offset } = at(homes, i);
    bytes.set(memory, Math.max(bytes.get(memory) ?? 4, offset + storedBytes(array)));
    if (array.dtype === "f32") floats.add(memory);
  });
  // Whole numbers are places in arrays here and there, and stay 0.
  plan.buffers.forEach(({ dtype }, i) => {
    if (dtype !== "f32") floats.delete(at(homes, i).memory);
  });
  const buffers = new Map<string, GPUBuffer>();
  for (const [memory, size] of bytes) {
    buffers.set(memory, device.createBuffer({ size, usage: usage.storage | usage.copyDestination }));
  }
  fillWithNumbers(
    device,
    [...buffers].flatMap(([memory, buffer]) => (floats.has(memory) ? [buffer] : [])),
  );
  // Inputs that no step reads and outputs that no step writes have no buffer in the plan.
  const spare = device.createBuffer({ size: 4, usage: usage.storage });
  const bound = Array.from({ length: plan.inputs + plan.outputs }, (): GpuRange => ({ buffer: spare, offset: 0 }));
  const inner = plan.buffers.map(({ role }, i): GpuRange | undefined => {
    const { memory, offset } = at(homes, i);
    const range = { buffer: buffers.get(memory) ?? spare, offset };
    if (role.kind === "input") bound[role.index] = range;
    else if (role.kind === "output") bound[plan.inputs + role.index] = range;
    else return range;
    return undefined;
  });
  return { inner, bound, all: [...buffers.values(), spare] };
}

const pieceLength = 2 ** 20;

/** Puts numbers into buffers that are not zeros: multiplying these takes less power than a real step does, and so less time. */
function fillWithNumbers(device: GPUDevice, buffers: readonly GPUBuffer[]): void {
  const piece = Float32Array.from({ length: pieceLength }, (_, i) => Math.sin(1.7 * i + 1e-3 * (i % 997) ** 2));
  const source = device.createBuffer({ size: piece.byteLength, usage: usage.copySource | usage.copyDestination });
  device.queue.writeBuffer(source, 0, piece);
  const encoder = device.createCommandEncoder();
  for (const buffer of buffers) {
    for (let first = 0; first < buffer.size; first += source.size) {
      encoder.copyBufferToBuffer(source, 0, buffer, first, Math.min(source.size, buffer.size - first));
    }
  }
  device.queue.submit([encoder.finish()]);
  source.destroy();
}
