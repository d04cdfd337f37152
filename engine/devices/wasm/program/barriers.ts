/** Where in a program threads must meet: only before a step that touches what another thread may still be busy with. */
import type { PlanStep } from "../../../kernel/plan.ts";
import { overlap, type Region } from "../../../kernel/access.ts";

/** What a step, or a phase of one, does to memory. */
export type Touch = { readonly reads: readonly Region[]; readonly writes: readonly Region[] };

/** What has been touched since threads met, by all of them or by the first one alone. */
export class Barriers {
  #pending: { readonly shared: Touch[]; readonly own: Touch[] } = { shared: [], own: [] };

  /**
   * The next step: must threads meet before it?
   * @param isShared whether all threads compute it; else the first one does, whose steps follow each other in any case.
   */
  before(touch: Touch, isShared: boolean): boolean {
    const { shared, own } = this.#pending;
    const inTheWay = (earlier: Touch): boolean =>
      someOverlap(earlier.writes, touch.writes) ||
      someOverlap(earlier.writes, touch.reads) ||
      someOverlap(earlier.reads, touch.writes);
    const meets = shared.some(inTheWay) || (isShared && own.some(inTheWay));
    if (meets) this.#pending = { shared: [], own: [] };
    this.#pending[isShared ? "shared" : "own"].push(touch);
    return meets;
  }
}

function someOverlap(some: readonly Region[], others: readonly Region[]): boolean {
  return some.some((one) => others.some((other) => overlap(one, other)));
}

/** What a step does to memory, all of its phases together. Scratch is one region for all steps: each overwrites what it needs of it. */
export function touchOf(
  { operands, results }: Pick<PlanStep, "operands" | "results">,
  regions: readonly (Region | null)[],
  usesScratch: boolean,
): Touch {
  const of = (buffers: readonly number[]): Region[] => buffers.flatMap((buffer) => regions[buffer] ?? []);
  return { reads: of(operands), writes: [...of(results), ...(usesScratch ? [scratch] : [])] };
}

const scratch: Region = { space: "scratch", begin: 0, end: 1 };
