/**
 * How often `compare` says "better" or "worse" of changes that change nothing but roundings: other numbers of threads, other orders of
 * summation, no fused multiply-add. `node --import tsx bench/nullComparisons.ts FOLDER [sets] [first]`, three comparisons a set;
 * runs of `smoke` are half as long as it says.
 */
import { readChange } from "../cli/compare/changes.ts";
import { compare } from "../cli/compare/compare.ts";

const [outdir, sets = "20", first = "0"] = process.argv.slice(2);
if (outdir === undefined) throw new Error("nullComparisons: give a folder");
const changes = await Promise.all(
  ["threads=2", "batch-device=4", "deterministic=true"].map((text) => readChange(text)),
);

/** So many seeds lie between the pairs of two sets: no run is in two of them. */
const seedsApart = 100;

for (let set = Number(first); set < Number(first) + Number(sets); set++) {
  const results = await compare(
    {
      outdir: `${outdir}/set${set}`,
      plan: {
        data: "emoji16",
        base: { preset: "smoke", duration: 1024, threads: 1 },
        holdout: 256,
        holdoutSeed: 0,
        dynamics: 0,
        length: 0.1,
        sweep: null,
      },
      changes,
      pairs: 4,
      firstSeed: set * seedsApart,
      margin: 0.01,
      level: 0.95,
      device: undefined,
      command: process.argv.slice(1).join(" "),
      toStderr: true,
    },
    () => undefined,
  );
  if (typeof results === "string") break;
  for (const { change, verdict, ratio, low, high, pairedDeviation, unpairedDeviation, seeds } of results.changes) {
    const interval = { ratio, low, high, pairedDeviation, unpairedDeviation };
    console.log(JSON.stringify({ set, change, verdict, ...interval, pairs: seeds.length }));
  }
}
