/** Times the products of a plan by every tile on the adapter at hand. Tiles have the same bits, so that only time depends on what is found. */
import { at } from "../../graph/shape.ts";
import { type Plan, type PlanBuffer, type PlanStep, separated } from "../../kernel/plan.ts";
import { normalizeKernel } from "../../kernel/normalize.ts";
import type { GpujsContext } from "./adapter.ts";
import { BoundPlan } from "./boundPlan.ts";
import type { EmitOptions } from "./wgsl/index.ts";
import { chooseTile, keyOfProduct, productOf, type Tile, tilesFor } from "./wgsl/product/index.ts";

/**
 * Adds the fastest tile of each product of the plan that has none yet.
 * @param schedules how kernels are run otherwise
 */
export async function tuneProducts(
  context: GpujsContext,
  plan: Plan,
  schedules: EmitOptions,
  tuned: Map<string, Tile>,
): Promise<void> {
  for (const step of separated(plan).steps) {
    const product = step.kernel.stores[0].length === 0 ? null : productOf(normalizeKernel(step.kernel));
    if (product === null || chooseTile(product, schedules.product) === null) continue;
    const key = keyOfProduct(product);
    if (tuned.has(key)) continue;
    const tiles = tilesFor(product).filter((tile) => schedules.tried?.includes(tile) ?? true);
    const fastest = await fastestOf(context, planOfOne(plan, step), tiles);
    if (fastest !== null) tuned.set(key, fastest);
  }
}

async function fastestOf(context: GpujsContext, plan: Plan, tiles: readonly Tile[]): Promise<Tile | null> {
  const [first] = tiles;
  if (first === undefined) return null;
  let best: { readonly tile: Tile; readonly milliseconds: number } | null = null;
  const bound = await BoundPlan.create(context, plan, { product: first });
  try {
    const [kernel] = bound.kernels;
    if (kernel === undefined) return null;
    for (const tile of tiles) {
      const milliseconds = await bound.timeWell(await bound.variant(kernel, { product: tile }));
      // A time of 0 is unknown.
      if (milliseconds > 0 && (best === null || milliseconds < best.milliseconds)) best = { tile, milliseconds };
    }
  } finally {
    bound.dispose();
  }
  return best?.tile ?? null;
}

/** A step alone, all of whose arrays have memory of their own. */
function planOfOne(plan: Plan, { kernel, operands, results }: PlanStep): Plan {
  const buffers: PlanBuffer[] = [];
  const counts = { input: 0, output: 0 };
  const numbers = new Map<number, number>();
  const add = (buffer: number, kind: "input" | "output"): number => {
    const known = numbers.get(buffer);
    if (known !== undefined) return known;
    numbers.set(buffer, buffers.length);
    return buffers.push({ ...at(plan.buffers, buffer), role: { kind, index: counts[kind]++ } }) - 1;
  };
  const [first, ...rest] = results;
  const written: PlanStep["results"] = [add(first, "output"), ...rest.map((result) => add(result, "output"))];
  const read = operands.map((operand) => add(operand, "input"));
  return {
    buffers,
    steps: [{ kernel, operands: read, results: written }],
    slots: [],
    inputs: counts.input,
    outputs: counts.output,
    aliases: Array.from({ length: counts.output }, () => null),
  };
}
