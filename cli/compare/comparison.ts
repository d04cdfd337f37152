import { judge, type Pair } from "../../diffusion/comparison/index.ts";
import type { MeasuredRun } from "./measure.ts";
import type { ComparedChange } from "./results.ts";
import { baseName, type Side } from "./sides.ts";

/** What is judged, and when a difference counts. */
export type Judging = {
  /** Names of the changes. */
  readonly changes: readonly string[];
  readonly margin: number;
  readonly level: number;
};

/** The runs that are measured, and what they say so far. */
export class Comparison {
  readonly #judging: Judging;
  readonly #runs: MeasuredRun[] = [];

  constructor(judging: Judging) {
    this.#judging = judging;
  }

  /** Pair by pair: the base's run, then those of the changes. */
  get runs(): readonly MeasuredRun[] {
    return [...this.#runs];
  }

  add(run: MeasuredRun): void {
    this.#runs.push(run);
  }

  /** The base, and the changes that aren't decided. */
  open(sides: readonly Side[]): readonly Side[] {
    const compared = this.#runs.length === 0 ? [] : this.compared();
    const decided = new Set(compared.flatMap(({ change, verdict }) => (verdict === "undecided" ? [] : [change])));
    return sides.filter(({ name }) => !decided.has(name));
  }

  compared(): ComparedChange[] {
    const { changes, margin, level } = this.#judging;
    const bases = new Map(this.#runs.filter(({ side }) => side === baseName).map((run) => [run.seed, run]));
    return changes.map((name) => {
      const own = this.#runs.filter(({ side }) => side === name);
      const pairsOf = (errorOf: (run: MeasuredRun) => number | null): Pair[] =>
        own.flatMap((run) => {
          const base = bases.get(run.seed);
          return base === undefined ? [] : [{ changed: errorOf(run) ?? NaN, base: errorOf(base) ?? NaN }];
        });
      const levels = (own[0]?.levels ?? []).flatMap(({ sigma }, i) => {
        const pairs = pairsOf((run) => run.levels[i]?.error ?? null);
        return pairs.some(({ base }) => !Number.isFinite(base)) ? [] : [{ sigma, ...judge(pairs, { level, margin }) }];
      });
      const judged = judge(
        pairsOf(({ error }) => error),
        { level, margin, changes: changes.length },
      );
      return { change: name, ...judged, seeds: own.map(({ seed }) => seed), levels };
    });
  }
}
