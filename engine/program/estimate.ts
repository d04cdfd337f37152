/** How long a program would take a device, known from its plan: before anything is compiled. */
import type { DeviceLimits } from "../devices/device.ts";
import { millisecondsOf, type Rates } from "../kernel/planCost.ts";
import { planFor } from "./planFor.ts";

/**
 * Milliseconds of a function, as `compile` takes it, on a device with these limits and rates. Nothing is computed or allocated. Of a large
 * network's training step this takes some seconds.
 * @param isStep it is a step as `compileStep` takes it: a function of a state that gives { state, result }.
 * @example
 * ```ts
 * const device = await createDevice("wasm");
 * // Milliseconds, were a step 0.01 and each operation and each byte a millionth.
 * const rates = { flops: 1e6, bytes: 1e6, step: 0.01 };
 * console.log(await estimateOf((x: Tensor) => x.add(1), [zeros([1000])], device.limits, rates)); // 0.019
 * device.dispose();
 * ```
 */
export async function estimateOf<Args extends readonly unknown[]>(
  fn: (...args: Args) => unknown,
  args: Args,
  limits: DeviceLimits,
  rates: Rates,
  isStep = false,
): Promise<number> {
  const { plan } = await planFor(fn, args, limits, isStep);
  return plan.steps.reduce((sum, step) => sum + (step.repeats ?? 1) * millisecondsOf(step, rates), 0);
}
