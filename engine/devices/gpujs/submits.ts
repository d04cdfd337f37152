/**
 * How a run is cut into submits. An operating system resets a GPU that one submit keeps busy for too long (Windows after two seconds), and
 * a page can't be drawn meanwhile. What is cut is the list of dispatches, in their order: results are the same, bit for bit.
 */
import type { PlanStep } from "../../kernel/plan.ts";
import { millisecondsOf, type Rates } from "../../kernel/planCost.ts";

/** What a GPU does at least, before anything is known of it: a small part of what those within processors can. */
const leastRates: Rates = { flops: 250e6, bytes: 10e6, step: 0.01 };

/**
 * Where to cut work whose pieces take so long: the end of each submit. As few as can be of which none takes longer than the limit, but
 * for a piece that does so by itself. At least one, which carries what waits to be uploaded.
 */
export function submitEnds(milliseconds: readonly number[], limit: number): number[] {
  const ends: number[] = [];
  let taken = 0;
  milliseconds.forEach((piece, i) => {
    if (i > 0 && taken + piece > limit) {
      ends.push(i);
      taken = 0;
    }
    taken += piece;
  });
  return [...ends, milliseconds.length];
}

/** How long dispatches would take on a slow GPU. @param steps of each the step that it belongs to, whose dispatches share its time */
export function leastPace(steps: readonly PlanStep[]): number[] {
  const counts = new Map<PlanStep, number>();
  for (const step of steps) counts.set(step, (counts.get(step) ?? 0) + 1);
  return steps.map((step) => millisecondsOf(step, leastRates) / (counts.get(step) ?? 1));
}

/** The submits of one program's runs: estimated for the first, then by how long runs took. */
export class RunPace {
  readonly #limit: number;
  readonly #milliseconds: readonly number[];
  readonly #estimate: number;
  /** Of a run; null before one is over. */
  #measured: number | null = null;

  /**
   * @param milliseconds of each dispatch, as it is estimated
   * @param limit milliseconds of a submit
   */
  constructor(milliseconds: readonly number[], limit: number) {
    this.#milliseconds = milliseconds;
    this.#limit = limit;
    this.#estimate = milliseconds.reduce((sum, each) => sum + each, 0);
  }

  /** The end of each of the next run's submits. */
  get ends(): number[] {
    const factor = this.#measured === null ? 1 : this.#measured / this.#estimate;
    return submitEnds(this.#milliseconds, this.#limit / factor);
  }

  /** Learns that a run took so long. What it believes is halfway there: the host sees now one run too late, now the next one too short. */
  took(milliseconds: number): void {
    this.#measured = this.#measured === null ? milliseconds : (this.#measured + milliseconds) / 2;
  }
}

/** How long a GPU is busy with what it is given, as the host sees it. */
export class WorkClock {
  readonly #queue: Pick<GPUQueue, "onSubmittedWorkDone">;
  #lastDone = 0;

  constructor(queue: Pick<GPUQueue, "onSubmittedWorkDone">) {
    this.#queue = queue;
  }

  /** Milliseconds of the submit before this call: since it was made, or since those before it were over. Never rejects. */
  async time(): Promise<number> {
    const given = performance.now();
    // A loss is told by `DeviceHealth.check`.
    await this.#queue.onSubmittedWorkDone().catch(() => undefined);
    const done = performance.now();
    const milliseconds = done - Math.max(given, this.#lastDone);
    this.#lastDone = done;
    return milliseconds;
  }
}
