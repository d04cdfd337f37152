/** How long a program would take a device, known from its plan: before anything is compiled. */
import type { DeviceLimits } from "../devices/device.ts";
import { millisecondsOf, type Rates } from "../kernel/planCost.ts";
import { planFor } from "./planFor.ts";

/**
 * Milliseconds of a function, as `compile` takes it, on a device with these limits and rates. Nothing is computed or allocated. Of a large
 * network's training step this takes some seconds.
 * @param isStep it is a step as `compileStep` takes it: a function of a state that gives { state, result }.
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
