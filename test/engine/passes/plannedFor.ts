/** Small programs as plans, for specs of passes. */
import type { DeviceLimits } from "../../../engine/devices/device.ts";
import { makeNode, topologicalOrder } from "../../../engine/graph/graph.ts";
import type { NodeOf } from "../../../engine/graph/node.ts";
import type { Shape } from "../../../engine/graph/shape.ts";
import { Tensor } from "../../../engine/graph/tensor.ts";
import type { Plan } from "../../../engine/kernel/plan.ts";
import type { Donation } from "../../../engine/passes/aliasOutputs.ts";
import { makePlan } from "../../../engine/passes/makePlan.ts";
import { optimize } from "../../../engine/passes/optimize.ts";

export const limits: DeviceLimits = {
  operands: 64,
  results: 1,
  arrays: Infinity,
  joins: "rows",
  elements: 2 ** 20,
  temporaries: "arena",
  overlap: false,
  batches: false,
  chains: false,
  inPlace: true,
  concurrency: 1,
  writtenInFours: null,
  factors: "stored",
  arithmetic: "scarce",
  layouts: "inOrder",
  scalars: 200,
  memory: Infinity,
};

export const input = (...shape: Shape): Tensor => new Tensor(makeNode("input", [], { dtype: "f32", shape, name: "x" }));

export function planOf(outputs: readonly Tensor[], donations: readonly Donation[] = [], given = limits): Plan {
  const nodes = outputs.map(({ node }) => node);
  // In the order in which they were made.
  const inputs = topologicalOrder(nodes).filter((node): node is NodeOf<"input"> => node.kind === "input");
  inputs.sort((a, b) => a.id - b.id);
  return makePlan(optimize({ inputs, outputs: nodes }, given), given, donations);
}

/** How many kernels these take. */
export const kernels = (...outputs: readonly Tensor[]): number => planOf(outputs).steps.length;
