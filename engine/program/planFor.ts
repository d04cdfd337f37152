/** The plan that a function would have on a device, made without the device. */
import type { DeviceLimits } from "../devices/device.ts";
import { inTurns } from "../devices/eventLoop.ts";
import type { Graph } from "../graph/graph.ts";
import type { Plan } from "../kernel/plan.ts";
import { runtimeChecks } from "../passes/runtimeChecks.ts";
import { treeLeaves } from "../tree.ts";
import { mergedPlan } from "./mergedPlan.ts";
import { planningGraph } from "./planGraph.ts";
import { trace } from "./trace.ts";

/**
 * Plans a function, as `compile` takes it, for a device with these limits. Nothing is computed or allocated: arguments that are lazy,
 * such as `zeros(shape)`, cost nothing. Of a large network's training step this takes some seconds.
 * @param isStep it is a step as `compileStep` takes it: a function of a state that gives { state, result }.
 * @returns the plan, and the graph as it was traced.
 */
export async function planFor<Args extends readonly unknown[]>(
  fn: (...args: Args) => unknown,
  args: Args,
  limits: DeviceLimits,
  isStep = false,
): Promise<{ readonly graph: Graph; readonly plan: Plan }> {
  const traced = (...given: Args): unknown => {
    if (!isStep) return fn(...given);
    const { state, result } = fn(...given) as { readonly state: unknown; readonly result: unknown };
    return [state, result];
  };
  const { graph } = trace(traced, args);
  const outputs = [...graph.outputs, ...runtimeChecks(graph).map(({ failed }) => failed)];
  const leaves = isStep ? treeLeaves(args[0]) : [];
  const donations = leaves.map((_, leaf) => ({ input: leaf, output: leaf }));
  const planned = await inTurns(planningGraph({ inputs: graph.inputs, outputs }, limits, donations));
  return { graph, plan: mergedPlan(planned) };
}
