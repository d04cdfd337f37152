/** What a plan would cost a device whose speed is known: an estimate from its kernels' arithmetic and traffic. */
import type { PlanStep } from "./plan.ts";

/** How fast a device is. */
export type Rates = {
  /** Arithmetic operations in a millisecond. */
  readonly flops: number;
  /** Bytes read or written in a millisecond. */
  readonly bytes: number;
  /** Milliseconds that a step costs however little it does. */
  readonly step: number;
};

/** Milliseconds of a step, if nothing of it overlaps; 0 for one without elements. */
export function millisecondsOf({ kernel }: PlanStep, rates: Rates): number {
  if (kernel.stores[0].length === 0) return 0;
  return rates.step + kernel.flops / rates.flops + kernel.bytes / rates.bytes;
}
