/** Graphs with what goes into them, and what devices make of them. */
import { inTurns } from "../engine/devices/eventLoop.ts";
import type { Device, KernelDevice } from "../engine/devices/device.ts";
import type { TensorData } from "../engine/graph/dtype.ts";
import type { Graph } from "../engine/graph/graph.ts";
import type { Plan } from "../engine/kernel/plan.ts";
import { planning } from "../engine/passes/makePlan.ts";
import { optimizing } from "../engine/passes/optimize.ts";
import { Program } from "../engine/program/program.ts";
import { trace } from "../engine/program/trace.ts";
import { treeLeaves } from "../engine/tree.ts";

/** A graph, and the elements of each of its inputs. */
export type GraphCase = { readonly graph: Graph; readonly inputs: readonly TensorData[] };

/**
 * What a function computes of its arguments, as `compile` would record it.
 * @param args trees of tensors, which become the graph's inputs in order
 * @throws EvenkeelError `trace` if the function is asynchronous or uses tensors of another trace
 * @example
 * ```ts
 * import { tensor, type Tensor } from "evenkeel/engine";
 *
 * const { graph, inputs } = await graphCase((x: Tensor) => x.add(1), tensor([1, 2]));
 * console.log(graph.outputs.map(({ shape }) => shape), inputs); // [ [ 2 ] ] [ Float32Array(2) [ 1, 2 ] ]
 * ```
 */
export async function graphCase<Args extends readonly unknown[]>(
  fn: (...args: Args) => unknown,
  ...args: Args
): Promise<GraphCase> {
  const { graph } = trace(fn, args);
  return { graph, inputs: await Promise.all(treeLeaves(args).map(({ tensor }) => tensor.data())) };
}

/**
 * The graph's outputs on a device, compiled for it, run and forgotten.
 * @throws EvenkeelError as the device does; `value` for a NaN on its way into an integer or an index out of range
 * @example
 * ```ts
 * import { tensor, type Tensor } from "evenkeel/engine";
 *
 * const added = await graphCase((x: Tensor) => x.add(1), tensor([1, 2]));
 * console.log(await runGraph(new ReferenceDevice("arena"), added)); // [ Float32Array(2) [ 2, 3 ] ]
 * ```
 */
export async function runGraph(device: Device, { graph, inputs }: GraphCase): Promise<TensorData[]> {
  return withProgram(device, graph, async (program) => runProgram(program, inputs));
}

/** What a device is called in messages: those that interpret graphs differ by their descriptions alone. */
export function titleOf({ runs, name, description }: Device): string {
  return runs === "graphs" ? `${name} (${description})` : name;
}

/** The outputs of one run of a program. */
export async function runProgram(program: Program, inputs: readonly TensorData[]): Promise<TensorData[]> {
  const run = program.bind(
    inputs.map((data) => ({ kind: "host", data })),
    [],
  );
  await run();
  return program.read();
}

/** Compiles a graph, does something with it and disposes of it. */
export async function withProgram<T>(
  device: Device,
  graph: Graph,
  action: (program: Program) => Promise<T>,
): Promise<T> {
  const program = await Program.compile(graph, device);
  try {
    return await action(program);
  } finally {
    program.dispose();
  }
}

/**
 * The kernels and buffers that a device would be given for a graph, after all passes; nothing is compiled.
 * @example
 * ```ts
 * import { tensor, type Tensor } from "evenkeel/engine";
 *
 * const { graph } = await graphCase((x: Tensor) => x.exp().sum(), tensor([1, 2]));
 * const { steps } = await planGraph(graph, new ReferenceDevice("arena"));
 * console.log(steps.map(({ kernel }) => kernel.name)); // [ 'sum_exp_0' ]
 * ```
 */
export async function planGraph(graph: Graph, { limits }: Pick<KernelDevice, "limits">): Promise<Plan> {
  return inTurns(planning(await inTurns(optimizing(graph, limits)), limits));
}
