/** Where in a program threads must meet: only before a step that touches what another thread may still be busy with. */
import { overlap, type Region } from "./regions.ts";

/** What a step, or a phase of one, does to memory. */
export type Touch = { readonly reads: readonly Region[]; readonly writes: readonly Region[] };

/** What has been touched since threads met, by whom. */
export class Barriers {
  #pending: { readonly touch: Touch; readonly isShared: boolean }[] = [];

  /**
   * The next step: must threads meet before it?
   * @param isShared whether all threads compute it; else the first one does, whose steps follow each other in any case.
   */
  before(touch: Touch, isShared: boolean): boolean {
    const meets = this.#pending.some(
      (earlier) =>
        (isShared || earlier.isShared) &&
        (someOverlap(earlier.touch.writes, touch.writes) ||
          someOverlap(earlier.touch.writes, touch.reads) ||
          someOverlap(earlier.touch.reads, touch.writes)),
    );
    if (meets) this.#pending = [];
    this.#pending.push({ touch, isShared });
    return meets;
  }
}

function someOverlap(some: readonly Region[], others: readonly Region[]): boolean {
  return some.some((one) => others.some((other) => overlap(one, other)));
}

/** What a step does to memory, all of its phases together. Scratch is one region for all steps: each overwrites what it needs of it. */
export function touchOf(
  { operands, results }: { readonly operands: readonly number[]; readonly results: readonly number[] },
  regions: readonly (Region | null)[],
  usesScratch: boolean,
): Touch {
  const of = (buffers: readonly number[]): Region[] => buffers.flatMap((buffer) => regions[buffer] ?? []);
  return { reads: of(operands), writes: [...of(results), ...(usesScratch ? [scratch] : [])] };
}

const scratch: Region = { space: "scratch", begin: 0, end: 1 };
