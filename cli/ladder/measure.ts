import { join } from "node:path";
import { countNetwork, type NetworkConfig } from "../../diffusion/network/index.ts";
import {
  type Dynamics,
  dynamicsFileName,
  layerCurve,
  placeOfLayer,
  readDynamicsFile,
} from "../../diffusion/dynamics/index.ts";
import { readStats, statsFileName } from "../../diffusion/run/index.ts";
import { type Device, EvenkeelError } from "../../engine/index.ts";
import { diskFolder } from "../../engine/io/node.ts";
import type { NamedParameters } from "../../nn/index.ts";
import { StoredAverages } from "../runs/averages.ts";
import { finite, lossCurve, placeCurves, trainingSeconds, validationCurve } from "../runs/curves.ts";
import type { LadderBudget } from "./budget.ts";
import { NetworkMeter, type Yardstick } from "./networkMeter.ts";
import type { LadderEntry, SweepPoint } from "./results.ts";
import type { LadderRun } from "./rungs.ts";

export type TrainedRun = LadderRun & {
  readonly network: NetworkConfig;
  readonly budget: LadderBudget;
  /** The ladder's folder. */
  readonly outdir: string;
};

/** Everything that a ladder keeps of a run that has finished. */
export async function measureRun(
  run: TrainedRun,
  device: Device,
  yardstick: Yardstick,
  print: (line: string) => void,
): Promise<LadderEntry> {
  const { rung, seed, name, settings, network, budget } = run;
  const folder = settings.outdir;
  const files = diskFolder(folder);
  const dynamics = await readDynamicsFile(files.file(dynamicsFileName));
  if (dynamics === null)
    throw new EvenkeelError("file", `ladder: ${folder} has no ${dynamicsFileName}. Remove the folder.`);
  const stats = await readStats(files.file(statsFileName));
  const count = countNetwork(network);
  const meter = new NetworkMeter(network, device, yardstick);
  try {
    const averages = await averagesOf(run);
    const sweeps: { nimg: number; points: SweepPoint[] }[] = [];
    for (const { nimg, weights } of averages) {
      const points: SweepPoint[] = [];
      for (const [sigmaRel, named] of weights)
        points.push({ sigmaRel, error: await meter.error(named), distance: null });
      print(
        `  after ${nimg} images: ${points.map(({ sigmaRel, error }) => `${sigmaRel}: ${error.toFixed(4)}`).join("  ")}`,
      );
      sweeps.push({ nimg, points });
    }
    const [end, last] = [averages.at(-1), sweeps.at(-1)];
    if (end === undefined || last === undefined) throw new RangeError("there is always a last time");
    const samples = join("samples", `${name}.png`);
    const nearest = nearestToBest(last.points, budget.distanceLengths);
    for (const [i, index] of nearest.entries()) {
      const point = last.points[index];
      const weights = point === undefined ? undefined : end.weights.get(point.sigmaRel);
      if (point === undefined || weights === undefined) continue;
      const distance = await meter.distance(weights);
      print(`  distance with sigma_rel ${point.sigmaRel}: ${distance.toPrecision(4)}`);
      last.points[index] = { ...point, distance };
      if (i === 0) await meter.picture(join(run.outdir, samples), weights);
    }
    const best = last.points[nearest[0] ?? 0];
    if (best === undefined) throw new RangeError("there is always a best length");
    if (!Number.isFinite(best.error)) {
      throw new EvenkeelError(
        "diverged",
        `ladder: no average of ${folder} gives a finite error. Take a lower rate by --lr.`,
      );
    }
    const groups = budget.groups.includes(rung.config) ? await sensitivity(meter, end.weights, best.sigmaRel) : [];
    return {
      ...rung,
      seed,
      parameters: count.parameters,
      macs: count.macs,
      batch: settings.batch,
      learningRate: settings.lr,
      trainingSeconds: trainingSeconds(stats),
      loss: lossCurve(stats),
      validation: validationCurve(stats),
      activations: magnitudes(dynamics, "activation"),
      weights: magnitudes(dynamics, "weight"),
      updates: placeCurves(dynamics, "update", "mean"),
      finalUpdates: finalUpdates(dynamics),
      sweeps,
      best,
      groups,
      samples,
    };
  } finally {
    meter.dispose();
  }
}

type Averages = { readonly nimg: number; readonly weights: ReadonlyMap<number, NamedParameters> };

/** Post-hoc averages of all lengths at all times. */
async function averagesOf({ settings, network, budget }: TrainedRun): Promise<readonly Averages[]> {
  const stored = await StoredAverages.of(settings.outdir, network, "ladder");
  const nearest = (wanted: number): number =>
    stored.times.reduce((best, nimg) => (Math.abs(nimg - wanted) < Math.abs(best - wanted) ? nimg : best));
  const last = stored.times.at(-1) ?? 0;
  const averages: Averages[] = [];
  for (const nimg of new Set(budget.times.map((share) => nearest(share * last)))) {
    const made = await stored.at(nimg, budget.lengths);
    averages.push({ nimg, weights: new Map(budget.lengths.map((sigmaRel, i) => [sigmaRel, made[i] ?? {}])) });
  }
  return averages;
}

/** The places of the best point and of `count - 1` points next to it, the best first. */
function nearestToBest(points: readonly SweepPoint[], count: number): number[] {
  const errors = points.map(({ error }) => (Number.isFinite(error) ? error : Infinity));
  const best = errors.indexOf(Math.min(...errors));
  return errors
    .map((_, i) => i)
    .sort((a, b) => Math.abs(a - best) - Math.abs(b - best) || a - b)
    .slice(0, count);
}

/** The group of an array: its place, `embedding`, or `output`; null if it is no weight of the network's layers. */
function groupOf(array: string): string | null {
  const layer = array.replace(/^unet\./, "");
  if (!array.startsWith("unet.") || !/\.weight$/.test(array)) return null;
  if (/^emb_/.test(layer)) return "embedding";
  return placeOfLayer(layer) ?? "output";
}

/** One group of weights after the other gets every length, while all others stay at the best one. */
async function sensitivity(
  meter: NetworkMeter,
  averages: ReadonlyMap<number, NamedParameters>,
  best: number,
): Promise<LadderEntry["groups"]> {
  const base = averages.get(best) ?? {};
  const groups = [...new Set(Object.keys(base).flatMap((array) => groupOf(array) ?? []))];
  const results: { group: string; points: { sigmaRel: number; error: number }[] }[] = [];
  for (const group of groups) {
    const points: { sigmaRel: number; error: number }[] = [];
    for (const [sigmaRel, weights] of averages) {
      const mixed = Object.entries(base).map(([array, own]) => [
        array,
        groupOf(array) === group ? (weights[array] ?? own) : own,
      ]);
      points.push({ sigmaRel, error: await meter.error(Object.fromEntries(mixed) as NamedParameters) });
    }
    results.push({ group, points });
  }
  return results;
}

function magnitudes(dynamics: Dynamics, kind: "activation" | "weight"): LadderEntry["activations"] {
  return { mean: placeCurves(dynamics, kind, "mean"), max: placeCurves(dynamics, `${kind}Max`, "max") };
}

/** The last quarter's mean of each layer of encoder and decoder: a single step's depends on its batch. */
function finalUpdates(dynamics: Dynamics): LadderEntry["finalUpdates"] {
  return dynamics.header.names.weights
    .filter((layer) => placeOfLayer(layer) !== null)
    .map((layer) => {
      const values = layerCurve(dynamics, "update", layer);
      const end = values.slice(-Math.ceil(values.length / 4));
      return { layer, value: finite(end.reduce((sum, value) => sum + value, 0) / end.length) };
    });
}
