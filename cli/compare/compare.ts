import { join } from "node:path";
import { judge, type Pair } from "../../diffusion/comparison/index.ts";
import { isLatent } from "../../diffusion/data/index.ts";
import { splitForRun, trainingOptions, type TrainSettings } from "../../diffusion/settings/index.ts";
import { EvenkeelError } from "../../engine/index.ts";
import { makeFolder } from "../../engine/io/node.ts";
import { keepPlan } from "../keepPlan.ts";
import { machineText } from "../machineText.ts";
import { dataPath, loadTrainingData } from "../train/data.ts";
import { writeText } from "../train/writeText.ts";
import type { Change } from "./changes.ts";
import type { MeasuredRun } from "./measure.ts";
import { comparisonPage } from "./page.ts";
import type { ComparedChange, ComparisonResults, Sweep } from "./results.ts";
import { Runs } from "./runs.ts";
import { baseName, type ComparisonPlan, type Run, runName, type Side, sideSettings } from "./sides.ts";
import { checkSweep, sweepSide } from "./sweep.ts";
import { verdictText } from "./words.ts";

export type CompareOptions = {
  readonly outdir: string;
  readonly plan: ComparisonPlan;
  readonly changes: readonly Change[];
  /** Pairs at most. */
  readonly pairs: number;
  readonly firstSeed: number;
  readonly margin: number;
  readonly level: number;
  readonly device: string | undefined;
  /** The command line, for the report. */
  readonly command: string;
  /** Whether standard output is left to somebody else. */
  readonly toStderr: boolean;
};

/**
 * Trains the base and its changes in pairs that share every random number, until each change is decided or there are no more pairs to make.
 * What is there already, in this folder and by this plan, isn't done again. Writes `results.json` and `comparison.html`, after each pair.
 * @returns null if a run was asked to stop.
 * @throws EvenkeelError `value` for changes that can't be or that are the base, for a folder of another plan, for a base that diverges;
 * `file` for what can't be read or written.
 */
export async function compare(
  options: CompareOptions,
  print: (line: string) => void,
): Promise<ComparisonResults | null> {
  const { outdir, plan, changes, firstSeed } = options;
  const dataset = await loadTrainingData(plan.data, outdir, { isKept: true }, print);
  if (isLatent(dataset))
    throw new EvenkeelError("value", `compare: ${plan.data} holds latents; compare needs pictures.`);
  const data = dataPath(plan.data, outdir);
  const base: Side = { name: baseName, change: null };
  const sides = [base, ...changes.map((change): Side => ({ name: change.name, change }))];
  const runOf = (side: Side, seed: number): Run => {
    const place = { data, outdir: join(outdir, "runs", runName(side, seed)), device: options.device };
    return { side, seed, settings: sideSettings(side, seed, plan, place) };
  };
  // What can't be is told before hours of training.
  const first = sides.map((side) => runOf(side, firstSeed));
  for (const { settings } of first) trainingOptions(settings, splitForRun(dataset, settings).training);
  requireDifferent(first);
  const [{ settings: baseSettings } = runOf(base, firstSeed)] = first;
  const { sweep } = plan;
  if (sweep !== null) checkSweep(sweep, sides, (side) => runOf(side, firstSeed).settings);
  await makeFolder(outdir);
  await keepPlan("compare", join(outdir, "comparison.json"), plan);
  for (const folder of ["runs", "measures"]) await makeFolder(join(outdir, folder));

  const output = options.toStderr ? process.stderr : process.stdout;
  const runs = new Runs({ outdir, dataset, baseSettings, length: plan.length, output, print });
  try {
    const sweeps: Sweep[] = [];
    for (const side of sweep === null ? [] : sides) {
      const found = await sweepSide(side, sweep ?? "", firstSeed, runOf, runs, print);
      if (found === null) return null;
      sweeps.push(found);
    }
    const tuned = sides.map((side): Side => {
      const found = sweeps.find((each) => each.side === side.name);
      return found === undefined ? side : { ...side, tuned: { [found.setting]: found.best } };
    });
    const comparison = new Comparison(options, dataset.count, baseSettings, sweeps);
    for (let pair = 0; pair < options.pairs; pair++) {
      const seed = firstSeed + pair;
      for (const side of comparison.open(tuned)) {
        const measured = await runs.measured(runOf(side, seed), `[pair ${pair + 1} of at most ${options.pairs}]`);
        if (measured === null) return null;
        if (side.change === null && measured.error === null) {
          throw new EvenkeelError(
            "value",
            `compare: the base diverges with seed ${seed}. Take a lower rate: --base "lr=..."`,
          );
        }
        comparison.add(measured);
      }
      const results = comparison.results();
      await writeText(join(outdir, "results.json"), `${JSON.stringify(results)}\n`);
      await writeText(join(outdir, "comparison.html"), comparisonPage(results));
      for (const each of results.changes) print(verdictText(each, results));
      if (comparison.open(tuned).length === 1) break;
    }
    return comparison.results();
  } finally {
    runs.dispose();
  }
}

/** @throws EvenkeelError `value` if a change gives the settings of the base, or two changes the same. */
function requireDifferent(runs: readonly Run[]): void {
  const seen = new Map<string, string>();
  const folders = new Set<string>();
  for (const { side, settings } of runs) {
    const { outdir, ...rest } = settings;
    const text = JSON.stringify(Object.entries(rest).sort(([a], [b]) => (a < b ? -1 : 1)));
    const other = seen.get(text);
    if (other !== undefined) {
      throw new EvenkeelError(
        "value",
        `compare: ${side.name} gives the settings of ${other}: there is nothing to compare.`,
      );
    }
    if (folders.has(outdir)) throw new EvenkeelError("value", `compare: two changes would both write into ${outdir}.`);
    seen.set(text, side.change === null ? "the base" : side.name);
    folders.add(outdir);
  }
}

/** The runs that are measured, and what they say so far. */
class Comparison {
  readonly #options: CompareOptions;
  readonly #images: number;
  readonly #baseSettings: TrainSettings;
  readonly #sweeps: readonly Sweep[];
  readonly #runs: MeasuredRun[] = [];

  constructor(options: CompareOptions, images: number, baseSettings: TrainSettings, sweeps: readonly Sweep[]) {
    this.#options = options;
    this.#images = images;
    this.#baseSettings = baseSettings;
    this.#sweeps = sweeps;
  }

  add(run: MeasuredRun): void {
    this.#runs.push(run);
  }

  /** The base, and the changes that aren't decided. */
  open(sides: readonly Side[]): readonly Side[] {
    const compared = this.#runs.length === 0 ? [] : this.#compared();
    const decided = new Set(compared.flatMap(({ change, verdict }) => (verdict === "undecided" ? [] : [change])));
    return sides.filter(({ name }) => !decided.has(name));
  }

  #compared(): ComparedChange[] {
    const { changes, margin, level } = this.#options;
    const bases = new Map(this.#runs.filter(({ side }) => side === baseName).map((run) => [run.seed, run]));
    return changes.map(({ name }) => {
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

  results(): ComparisonResults {
    const { plan, margin, level, command } = this.#options;
    return {
      format: "evenkeel-comparison",
      version: 1,
      command,
      date: new Date().toISOString(),
      machine: machineText(),
      data: {
        name: plan.data,
        trainingImages: this.#images - plan.holdout,
        heldOutImages: plan.holdout,
      },
      base: Object.entries(plan.base)
        .map(([name, value]) => `${name}=${String(value)}`)
        .join(","),
      duration: this.#baseSettings.duration,
      length: plan.length,
      margin,
      level,
      changes: this.#compared(),
      sweeps: this.#sweeps,
      runs: [...this.#runs],
    };
  }
}
