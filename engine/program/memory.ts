/** What a program takes of a device's memory, known from its plan: before anything is allocated. */
import type { DeviceLimits } from "../devices/device.ts";
import type { NodeOf } from "../graph/node.ts";
import { at } from "../graph/shape.ts";
import type { Plan } from "../kernel/plan.ts";
import { storedBytes } from "../kernel/storage.ts";
import { livesOf } from "../passes/planMemory.ts";
import { planFor } from "./planFor.ts";

/** Arrays of one kind that are there when a program takes most. */
export type MemoryShare = { readonly what: string; readonly count: number; readonly bytes: number };

/** Bytes by what they are for. The device's own needs (code, scratch memory of products) come on top. */
export type ProgramMemory = {
  /** Arguments, states among them. */
  readonly inputs: number;
  /** Results, and the second buffers of states that can't be replaced in place. */
  readonly outputs: number;
  readonly constants: number;
  /** What lives within a run: places are shared by what doesn't live at the same time. */
  readonly temporaries: number;
  readonly total: number;
  /** The kernel at which temporaries take most; null if there are none. */
  readonly peakKernel: string | null;
  /** Everything that is there then, largest first. */
  readonly shares: readonly MemoryShare[];
};

/** @param inputs the program's inputs, whose names tell what they are. */
export function memoryOfPlan(plan: Plan, inputs: readonly NodeOf<"input">[]): ProgramMemory {
  const { first, last } = livesOf(plan.steps);
  const bytesOf = (buffer: number): number => storedBytes(at(plan.buffers, buffer));
  const change = new Float64Array(plan.steps.length + 1);
  plan.buffers.forEach(({ role }, buffer) => {
    const [from, to] = [first.get(buffer), last.get(buffer)];
    if (role.kind !== "temporary" || from === undefined || to === undefined) return;
    change[from] = (change[from] ?? 0) + bytesOf(buffer);
    change[to + 1] = (change[to + 1] ?? 0) - bytesOf(buffer);
  });
  let [live, most, peak] = [0, 0, -1];
  change.forEach((amount, step) => {
    live += amount;
    if (live > most) [most, peak] = [live, step];
  });

  const shares = new Map<string, { count: number; bytes: number }>();
  const sums = { input: 0, output: 0, constant: 0 };
  plan.buffers.forEach(({ role }, buffer) => {
    const share = (what: string): void => {
      const known = shares.get(what) ?? { count: 0, bytes: 0 };
      shares.set(what, { count: known.count + 1, bytes: known.bytes + bytesOf(buffer) });
    };
    if (role.kind === "temporary") {
      const made = first.get(buffer);
      if (made === undefined || made > peak || (last.get(buffer) ?? -1) < peak) return;
      share(`temporaries of ${at(plan.steps, made).kernel.name.replace(/_\d+$/, "")}`);
      return;
    }
    if (role.kind === "output" && typeof plan.aliases[role.index] === "number") return;
    sums[role.kind] += bytesOf(buffer);
    if (role.kind === "input") share(`argument ${groupOf(inputs[role.index]?.attributes.name ?? "")}`);
    else share(role.kind === "output" ? "results and second buffers of states" : "constants");
  });
  const temporaries = plan.slots.reduce((sum, bytes) => sum + bytes, 0);
  return {
    inputs: sums.input,
    outputs: sums.output,
    constants: sums.constant,
    temporaries,
    total: sums.input + sums.output + sums.constant + temporaries,
    peakKernel: plan.steps[peak]?.kernel.name ?? null,
    shares: [...shares]
      .map(([what, sum]) => ({ what, ...sum }))
      .filter(({ bytes }) => bytes > 0)
      .sort((a, b) => b.bytes - a.bytes),
  };
}

/** Leaves of a large tree by what its first levels say: `argument0.training.weights.unet.enc...` is `0.training.weights`. */
function groupOf(name: string): string {
  return name
    .replace(/^argument/, "")
    .split(".")
    .slice(0, 3)
    .join(".");
}

/**
 * What a function, as `compile` takes it, would take on a device with these limits. Nothing is computed or allocated: arguments that
 * are lazy, such as `zeros(shape)`, cost nothing. Of a large network's training step this takes some seconds.
 * @param isStep it is a step as `compileStep` takes it: a function of a state that gives { state, result }.
 * @example
 * ```ts
 * const device = await createDevice("wasm");
 * const memory = await memoryOf((x: Tensor) => x.matmul(x).sum(), [zeros([256, 256])], device.limits);
 * console.log(describeBytes(memory.temporaries)); // 256.4 KiB
 * device.dispose();
 * ```
 */
export async function memoryOf<Args extends readonly unknown[]>(
  fn: (...args: Args) => unknown,
  args: Args,
  limits: DeviceLimits,
  isStep = false,
): Promise<ProgramMemory> {
  const { graph, plan } = await planFor(fn, args, limits, isStep);
  return memoryOfPlan(plan, graph.inputs);
}
