import { judge, type Pair, pairedInterval } from "../../diffusion/comparison/index.ts";
import type { MetricName } from "../../diffusion/metrics/index.ts";
import type { MeasuredRun } from "./measure.ts";
import { scaleOf } from "./metricTable.ts";
import type { ComparedChange, ComparedMetric } from "./results.ts";
import { type MeasuredSamples, requireSameSamples } from "./samples.ts";
import { baseName, type Side } from "./sides.ts";

/** What is judged, and when a difference counts. */
export type Judging = {
  /** Names of the changes. */
  readonly changes: readonly string[];
  readonly margin: number;
  readonly level: number;
  /** Metrics of generated images that stand beside the errors. */
  readonly metrics: readonly MetricName[];
};

/** The runs that are measured, and what they say so far. */
export class Comparison {
  readonly #judging: Judging;
  readonly #runs: MeasuredRun[] = [];
  readonly #samples: MeasuredSamples[] = [];

  constructor(judging: Judging) {
    this.#judging = judging;
  }

  /** Pair by pair: the base's run, then those of the changes. */
  get runs(): readonly MeasuredRun[] {
    return [...this.#runs];
  }

  /** In the order of the runs; of those that diverged there are none. */
  get samples(): readonly MeasuredSamples[] {
    return [...this.#samples];
  }

  /** @throws EvenkeelError `value` for images that were measured in another space than those before */
  add(run: MeasuredRun, samples: MeasuredSamples | null = null): void {
    this.#runs.push(run);
    if (samples === null) return;
    this.#samples.push(samples);
    requireSameSamples(this.#samples.slice(-2), "the files RUN.metrics.json of the folder's measures");
  }

  /** The base, and the changes that aren't decided. */
  open(sides: readonly Side[]): readonly Side[] {
    const compared = this.#runs.length === 0 ? [] : this.compared();
    const decided = new Set(compared.flatMap(({ change, verdict }) => (verdict === "undecided" ? [] : [change])));
    return sides.filter(({ name }) => !decided.has(name));
  }

  compared(): ComparedChange[] {
    const { changes, margin, level, metrics } = this.#judging;
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
      return {
        change: name,
        ...judged,
        seeds: own.map(({ seed }) => seed),
        levels,
        metrics: metrics.map((metric) => this.#metric(metric, name)),
      };
    });
  }

  #metric(metric: MetricName, change: string): ComparedMetric {
    const valueOf = (side: string, seed: number): number =>
      this.#samples.find((each) => each.side === side && each.seed === seed)?.values[metric] ?? NaN;
    const pairs = this.#runs
      .filter(({ side }) => side === change)
      .map(({ seed }): Pair => ({ changed: valueOf(change, seed), base: valueOf(baseName, seed) }))
      .filter(({ changed, base }) => Number.isFinite(changed) && Number.isFinite(base));
    const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
    const scale = scaleOf(metric, pairs);
    return {
      metric,
      scale,
      base: mean(pairs.map(({ base }) => base)),
      changed: mean(pairs.map(({ changed }) => changed)),
      ...pairedInterval(pairs, scale, this.#judging.level),
      pairs: pairs.length,
    };
  }
}
