/** What the engine made of a function, as data and as text: graphs after each pass, kernels, generated sources, memory, times. */
import type { KernelSource, KernelTime } from "../devices/device.ts";
import { describeBytes } from "../describeBytes.ts";
import type { DType } from "../graph/dtype.ts";
import { printGraph } from "../graph/print.ts";
import { type DispatchCounts, dispatchCounts } from "../kernel/dispatchCounts.ts";
import { type KernelKind, kindOfKernel } from "../kernel/kernelKind.ts";
import type { ChannelsLast } from "../kernel/layout.ts";
import { printKernel } from "../kernel/print.ts";
import type { Plan } from "../kernel/plan.ts";
import { storedBytes } from "../kernel/storage.ts";
import { at } from "../graph/shape.ts";
import type { Arguments, Compiled, CompiledStep } from "./compile.ts";
import { memoryOfPlan, type ProgramMemory } from "./memory.ts";
import type { Inspection } from "./programCache.ts";
import type { State } from "./state.ts";

/** One step of a program. */
export type ExplainedKernel = {
  readonly name: string;
  readonly kind: KernelKind;
  /** The loop nest in the kernel language. */
  readonly text: string;
  /** What the device made of it, in each form it has. */
  readonly sources: readonly KernelSource[];
  /** Numbers of the plan's buffers. */
  readonly operands: readonly number[];
  readonly results: readonly number[];
  /** Arithmetic operations of one run, a multiply-add counted as two. */
  readonly flops: number;
  /** Bytes of operands and result, each counted once. */
  readonly bytes: number;
  /** Time of this step in one run, if it was profiled. */
  readonly milliseconds: number | undefined;
};

/** An array that a program has in memory: `length` elements of `dtype`. */
export type ExplainedBuffer = {
  readonly dtype: DType;
  readonly length: number;
  /** What its elements take in memory. */
  readonly bytes: number;
  readonly role: "input" | "output" | "constant" | "temporary";
  /** Of temporaries: where they live. */
  readonly slot: number | undefined;
  readonly offset: number | undefined;
  /** Of temporaries: the channels, and pixels, of the images that it holds with channels last; undefined: elements lie in order. */
  readonly layout: ChannelsLast | undefined;
};

/** What the engine made of a function; see `explain`. */
export type Explanation = {
  readonly device: string;
  /** The graph as it was traced and after each pass. */
  readonly passes: readonly { readonly name: string; readonly nodes: number; readonly text: string }[];
  /** In order of execution. Empty on the oracle, which interprets the graph. */
  readonly kernels: readonly ExplainedKernel[];
  readonly buffers: readonly ExplainedBuffer[];
  /** Bytes of each slot of temporaries. */
  readonly slots: readonly number[];
  /** Bytes the executable holds on the device. */
  readonly bytes: number;
  /** What all that it needs is made of when it needs most; undefined on the oracle. */
  readonly memory: ProgramMemory | undefined;
  /** What a run asks of a device that dispatches its kernels, as GPUs do; undefined on the oracle. */
  readonly dispatches: DispatchCounts | undefined;
  /** Everything as readable text. */
  readonly text: string;
};

/** Options of `explain`. */
export type ExplainOptions = {
  /** Measure each kernel of one run. */
  readonly profile?: boolean;
};

/**
 * Compiles a function anew for the given arguments (a step: its state first), runs it once and tells what was made of it. What calls of
 * the function use is left alone, and keeps nothing for this.
 * @example
 * ```ts
 * const layer = compile((x: Tensor) => x.exp().sum(), { device: "wasm" });
 * const { kernels, device } = await explain(layer, [zeros([1000])]);
 * console.log(kernels.map(({ kind }) => kind), device.startsWith("wasm")); // [ 'reduction' ] true
 * layer.dispose();
 * ```
 */
export async function explain<Args extends readonly unknown[], Result>(
  compiled: Compiled<Args, Result>,
  args: Arguments<Args>,
  options?: ExplainOptions,
): Promise<Explanation>;
export async function explain<S, Args extends readonly unknown[], Result>(
  compiled: CompiledStep<S, Args, Result>,
  args: readonly [State<S>, ...Arguments<Args>],
  options?: ExplainOptions,
): Promise<Explanation>;
export async function explain(
  compiled: { inspect(args: never, options: { profile: boolean }): Promise<Inspection> },
  args: readonly unknown[],
  options: ExplainOptions = {},
): Promise<Explanation> {
  const inspected = await compiled.inspect(args as never, { profile: options.profile ?? false });
  const { device, passes, plan, sources, bytes, times } = inspected;
  const explained = plan === undefined ? { kernels: [], buffers: [], slots: [] } : explainPlan(plan, sources, times);
  const facts = {
    device: `${device.name}: ${device.description}`,
    passes: passes.map(({ name, graph }) => {
      const text = printGraph(graph);
      return { name, nodes: text.split("\n").length - 1, text };
    }),
    ...explained,
    bytes,
    memory: plan === undefined ? undefined : memoryOfPlan(plan, at(passes, 0).graph.inputs),
    dispatches: plan === undefined ? undefined : dispatchCounts(plan),
  };
  return { ...facts, text: printExplanation(facts) };
}

function explainPlan(
  plan: Plan,
  sources: readonly KernelSource[],
  times: readonly KernelTime[],
): Pick<Explanation, "kernels" | "buffers" | "slots"> {
  return {
    kernels: plan.steps.map(({ kernel, operands, results }, step) => ({
      name: kernel.name,
      kind: kindOfKernel(kernel),
      text: printKernel(kernel),
      sources: sources.filter((source) => source.kernel === kernel.name && (source.step ?? step) === step),
      operands,
      results,
      flops: kernel.flops,
      bytes: kernel.bytes,
      milliseconds: times[step]?.milliseconds,
    })),
    buffers: plan.buffers.map((buffer) => {
      const { dtype, length, role, layout } = buffer;
      const place = role.kind === "temporary" ? role : undefined;
      const bytes = storedBytes(buffer);
      return { dtype, length, bytes, role: role.kind, slot: place?.slot, offset: place?.offset, layout };
    }),
    slots: plan.slots,
  };
}

function describeBuffer(buffer: ExplainedBuffer, number: number): string {
  const place = buffer.role === "temporary" ? ` slot ${buffer.slot} offset ${buffer.offset}` : "";
  const { layout } = buffer;
  const order = layout === undefined ? "" : `, channels last: ${layout.channels} of each of ${layout.pixels} pixels`;
  return `b${number} ${buffer.dtype} x ${buffer.length} ${buffer.role}${place}${order}`;
}

/** Shares of the peak that are told; the others are summed up. */
const toldShares = 10;

/**
 * What a program's largest need is made of, a line for each of the largest shares.
 * @example
 * ```ts
 * const layer = compile((x: Tensor) => x.exp().sum(), { device: "wasm" });
 * const { memory } = await explain(layer, [zeros([1000])]);
 * if (memory !== undefined) console.log(describeMemory(memory)[1]); // 3.9 KiB in 1: argument 0
 * layer.dispose();
 * ```
 */
export function describeMemory(memory: ProgramMemory): string[] {
  const { inputs, outputs, constants, temporaries, total, peakKernel, shares } = memory;
  const rest = shares.slice(toldShares);
  const line = (bytes: number, count: number, what: string): string =>
    `${describeBytes(bytes).padStart(10)} in ${count}: ${what}`;
  const sum = (of: (share: (typeof rest)[number]) => number): number => rest.reduce((all, each) => all + of(each), 0);
  return [
    `== memory ${describeBytes(total)}: arguments ${describeBytes(inputs)}, results ${describeBytes(outputs)}, constants ` +
      `${describeBytes(constants)}, temporaries ${describeBytes(temporaries)}; most is in use ` +
      `${peakKernel === null ? "throughout" : `at ${peakKernel}`}, in arrays of these kinds:`,
    ...shares.slice(0, toldShares).map(({ bytes, count, what }) => line(bytes, count, what)),
    ...(rest.length === 0
      ? []
      : [
          line(
            sum((share) => share.bytes),
            sum((share) => share.count),
            "others",
          ),
        ]),
  ];
}

/**
 * What a run asks of a device that dispatches its kernels: a line on how they wait, one for each kind of them.
 * @example
 * ```ts
 * const layer = compile((x: Tensor) => x.exp().sum(), { device: "wasm" });
 * const { dispatches } = await explain(layer, [zeros([1000])]);
 * if (dispatches !== undefined) console.log(describeDispatches(dispatches)[1]); // 1 reduction: 2000 flops, 3.9 KiB
 * layer.dispose();
 * ```
 */
export function describeDispatches(counts: DispatchCounts): string[] {
  const { dispatches, kernels, levels, levelsInMemory, barriers, barriersAgain, fewestBarriers, bindings, bytes } =
    counts;
  return [
    `== ${dispatches} dispatches of ${kernels} kernels, which touch ${describeBytes(bytes)} in ${bindings} arrays; ${levels} wait for one ` +
      `another's values, ${levelsInMemory} for memory that is used again; ${barriers} barriers by buffers' last uses ` +
      `(${barriersAgain} where those of earlier runs count), ${fewestBarriers} are enough in this order`,
    ...counts.kinds.map(
      ({ kind, dispatches: own, flops, bytes: touched }) =>
        `${String(own).padStart(6)} ${kind}: ${flops} flops, ${describeBytes(touched)}`,
    ),
  ];
}

function printExplanation(facts: Omit<Explanation, "text">): string {
  const total = facts.kernels.reduce((sum, { flops }) => sum + flops, 0);
  return [
    `device ${facts.device}`,
    ...facts.passes.flatMap(({ name, nodes, text }) => [``, `== graph after ${name}: ${nodes} nodes`, text]),
    ``,
    `== ${facts.kernels.length} kernels, ${total} flops a run, ${facts.bytes} bytes on the device`,
    ...facts.kernels.flatMap((kernel) => [
      ``,
      `-- ${kernel.name}: reads ${kernel.operands.map((b) => `b${b}`).join(" ") || "nothing"}, writes ${kernel.results.map((b) => `b${b}`).join(" ")}; ` +
        `${kernel.flops} flops, ${kernel.bytes} bytes${kernel.milliseconds === undefined ? "" : `, ${kernel.milliseconds.toFixed(3)} ms`}`,
      kernel.text,
      ...kernel.sources.flatMap(({ language, text }) => [`[${language}]`, text]),
    ]),
    ``,
    ...(facts.dispatches === undefined ? [] : [...describeDispatches(facts.dispatches), ``]),
    ...(facts.memory === undefined ? [] : [...describeMemory(facts.memory), ``]),
    `== buffers`,
    ...facts.buffers.map(describeBuffer),
    `slots: ${facts.slots.map((bytes, slot) => `${slot}: ${bytes} bytes`).join(", ") || "none"}`,
  ].join("\n");
}
