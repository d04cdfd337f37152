import type { LadderEntry, LadderResults } from "../../../cli/ladder/results.ts";
import type { PlaceCurves, RunCurve } from "../../../cli/runs/curves.ts";
import { type ConfigurationName, configurationNames } from "../../../nn/index.ts";

const duration = 100_000;
const places = ["enc 16x16", "enc 8x8", "dec 8x8", "dec 16x16"];
const lengths = [0.03, 0.05, 0.075, 0.1, 0.13, 0.17, 0.22];

/** What the numbers of a run are made from; the paper's findings hold with the defaults. */
export type RunShape = {
  readonly error: number;
  readonly distance: number | null;
  /** By what activations and weights grow from a fifth of the run to its end. */
  readonly activationGrowth: number;
  readonly weightGrowth: number;
  /** Mean activation at the end. */
  readonly activation: number;
  /** Standard deviation of the logarithm of final update sizes. */
  readonly updateSpread: number;
  /** Best length at the end, and at a fifth of the run. */
  readonly best: number;
  readonly earlyBest: number;
  /** Rise of the error per squared logarithm of the length, as a share of it. */
  readonly bend: number;
  /** Standard deviation of the logarithm of groups' best lengths; null for no groups. */
  readonly groupSpread: number | null;
  /** By what share of the validation error it ends above its lowest. */
  readonly overfit: number;
};

export function shapeOf(config: ConfigurationName): RunShape {
  const i = configurationNames.indexOf(config);
  return {
    error: [0.42, 0.405, 0.4, 0.36, 0.345, 0.335, 0.33][i] ?? 0,
    distance: [61, 55, 53, 36, 31, 29, 27.5][i] ?? 0,
    activationGrowth: [3, 5, 6, 1.05, 1, 1, 1][i] ?? 0,
    weightGrowth: [1.4, 1.5, 1.4, 3, 1, 1, 1][i] ?? 0,
    activation: i === 6 ? 1 : 4 - 0.4 * i,
    updateSpread: [0.9, 0.85, 0.8, 0.7, 0.1, 0.12, 0.1][i] ?? 0,
    best: [0.05, 0.09, 0.075, 0.2, 0.145, 0.1, 0.13][i] ?? 0,
    earlyBest: ([0.05, 0.09, 0.075, 0.2, 0.145, 0.1, 0.13][i] ?? 0) * 0.7,
    bend: [0.01, 0.01, 0.012, 0.015, 0.03, 0.04, 0.05][i] ?? 0,
    groupSpread: config === "B" ? 0.6 : config === "G" ? 0.08 : null,
    overfit: 0,
  };
}

/** A run of these numbers. */
export function entryOf(config: ConfigurationName, seed: number, changes: Partial<RunShape> = {}): LadderEntry {
  const shape = { ...shapeOf(config), ...changes };
  // Seeds differ by a hundredth, alternately up and down.
  const chance = seed % 2 === 0 ? 1 : 1.01;
  const sweep = (best: number, error: number) =>
    lengths.map((sigmaRel) => ({
      sigmaRel,
      error: error * (1 + shape.bend * Math.log(sigmaRel / best) ** 2),
      distance: null,
    }));
  const error = shape.error * chance;
  const end = sweep(shape.best * chance, error).map((point) => ({
    ...point,
    distance: shape.distance === null || point.error > 1.02 * error ? null : shape.distance * chance,
  }));
  const best = end.reduce((a, b) => (b.error < a.error ? b : a));
  const magnitude = (last: number, growth: number): PlaceCurves =>
    places.map((place, p) => ({
      place,
      ...curve(
        20,
        (share) => last * (1 + 0.3 * p) * Math.max(share / 0.2, 1e-3) ** (Math.log(growth * chance) / Math.log(5)),
      ),
    }));
  return {
    name: config,
    config,
    switches: "",
    seed,
    parameters: 723_627,
    macs: 77_600_000,
    batch: 128,
    learningRate: config < "D" ? 0.0002 : 0.02,
    trainingSeconds: 900,
    loss: curve(40, (share) => 0.3 + 1.2 * Math.exp(-6 * share) + ((share * 7919) % 0.05)),
    validation: curve(
      20,
      (share) => error * (1 + Math.exp(-5 * share) + shape.overfit * Math.max(0, 2 * share - 1) ** 2),
    ),
    activations: {
      mean: flat(shape.activation * chance),
      max: magnitude(2 + shape.activation * 3, shape.activationGrowth),
    },
    weights: { mean: magnitude(1, shape.weightGrowth), max: magnitude(1.6, shape.weightGrowth) },
    updates: places.map((place, p) => ({
      place,
      ...curve(20, (share) => 0.01 * Math.exp(shape.updateSpread * (p - 1.5) * share) * (1 - 0.5 * share)),
    })),
    finalUpdates: Array.from({ length: 12 }, (_, l) => ({
      layer: `enc.16x16_block${l}.conv_res0`,
      value: 0.005 * Math.exp(shape.updateSpread * Math.sin(7 * l + 1) * Math.SQRT2),
    })),
    sweeps: [
      { nimg: duration / 5, points: sweep(shape.earlyBest, 1.3 * error) },
      { nimg: duration / 2, points: sweep(Math.sqrt(shape.best * shape.earlyBest), 1.1 * error) },
      { nimg: duration, points: end },
    ],
    best,
    groups: groupsOf(shape, best.error, end),
    samples: `samples/${config}-seed${seed}.png`,
  };
}

function groupsOf(
  { best, bend, groupSpread }: RunShape,
  lowest: number,
  end: LadderEntry["best"][],
): LadderEntry["groups"] {
  if (groupSpread === null) return [];
  return ["embedding", ...places, "output"].map((group, g) => {
    const own = best * Math.exp(groupSpread * Math.sin(5 * g + 1) * Math.SQRT2);
    const at = (length: number): number => bend * 0.4 * Math.log(length / own) ** 2;
    return { group, points: end.map(({ sigmaRel }) => ({ sigmaRel, error: lowest * (1 + at(sigmaRel) - at(best)) })) };
  });
}

/** A quantity at `count` times, by the share of the run that has passed. */
function curve(count: number, of: (share: number) => number): RunCurve {
  const shares = Array.from({ length: count }, (_, i) => (i + 1) / count);
  return { nimg: shares.map((share) => share * duration), values: shares.map(of) };
}

function flat(value: number): PlaceCurves {
  return places.map((place, p) => ({ place, ...curve(20, () => value * (1 + 0.05 * (p - 1.5))) }));
}

export function resultsOf(entries: readonly LadderEntry[]): LadderResults {
  return {
    format: "evenkeel-ladder",
    version: 1,
    command: "npx evenkeel ladder --rungs all --seeds 2",
    date: "2026-01-02T03:04:05.000Z",
    machine: "a CPU, 2 cores, 8 GiB, Node v20",
    data: { name: "emoji16", trainingImages: 3500, heldOutImages: 312, resolution: 16, channels: 3, classes: 9 },
    preset: "emoji16",
    duration,
    seeds: [...new Set(entries.map(({ seed }) => seed))],
    metric: { features: "classifier: 64 features", samples: 1000, steps: 16, floor: 12.3 },
    entries,
  };
}

/** All rungs with this many seeds, changed as told. */
export function wholeLadder(
  seeds: number,
  changes: Partial<Record<ConfigurationName, Partial<RunShape>>> = {},
): LadderResults {
  return resultsOf(
    configurationNames.flatMap((config) =>
      Array.from({ length: seeds }, (_, seed) => entryOf(config, seed, changes[config])),
    ),
  );
}
