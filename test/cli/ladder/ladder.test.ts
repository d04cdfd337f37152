/** `evenkeel ladder` from end to end, with the smallest networks. */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { LadderResults } from "../../../cli/ladder/results.ts";
import { parseRates, parseRungs } from "../../../cli/ladder/rungs.ts";
import { fileNameOf } from "../../../cli/runs/runs.ts";
import { presetOf } from "../../../diffusion/presets/index.ts";
import { evenkeel, everything, writePictures } from "../train/tinyRun.ts";

let root = "";
let data = "";

before(async () => {
  root = await mkdtemp(join(tmpdir(), "evenkeel-ladder-"));
  data = join(root, "waves.zip");
  await writePictures(data, true);
});
after(() => rm(root, { recursive: true }));

const tiny = [
  ...[
    "--preset",
    "smoke",
    "--duration",
    "2000",
    "--channels",
    "4",
    "--channels-per-head",
    "4",
    "--dynamics",
    "10",
    "--holdout",
    "8",
  ],
  ...["--lengths", "0.05,0.1,0.2", "--samples", "8", "--steps", "2", "--features", "pixels", "--distance-lengths", "2"],
  ...["--device", "wasm", "--threads", "1"],
];
const ladder = (outdir: string, ...more: string[]): string[] => [
  "ladder",
  "--outdir",
  outdir,
  "--data",
  data,
  ...tiny,
  ...more,
];
const resultsOf = async (outdir: string): Promise<LadderResults> =>
  JSON.parse(await readFile(join(outdir, "results.json"), "utf8")) as LadderResults;

test("trains and measures rungs, adds one later, and does nothing twice", async () => {
  const outdir = join(root, "ladder");
  const first = await evenkeel(ladder(outdir, "--rungs", "B"));
  assert.equal(first.code, 0, first.err);
  const begun = await resultsOf(outdir);
  const files = await everything(join(outdir, "runs", "B-seed0"));
  const second = await evenkeel(ladder(outdir, "--rungs", "B,G:pixelNorm=false", "--seeds", "0"));
  assert.equal(second.code, 0, second.err);
  assert.match(second.out, /^1 of 2 runs are missing and made now: G-pixelNorm=false-seed0$/m);
  const results = await resultsOf(outdir);
  assert.deepEqual(results.entries.slice(0, 1), begun.entries);
  assert.deepEqual(await everything(join(outdir, "runs", "B-seed0")), files);
  assert.deepEqual(
    results.entries.map(({ name, config, switches, seed }) => [name, config, switches, seed]),
    [
      ["B", "B", "", 0],
      ["G:pixelNorm=false", "G", "pixelNorm=false", 0],
    ],
  );
  for (const { sweeps, best, groups, activations, finalUpdates, validation, learningRate, name } of results.entries) {
    assert.deepEqual(
      sweeps.map(({ nimg }) => nimg),
      [1008, 2000],
    );
    const points = sweeps.at(-1)?.points ?? [];
    assert.deepEqual(
      points.map(({ sigmaRel }) => sigmaRel),
      [0.05, 0.1, 0.2],
    );
    assert.equal(best.error, Math.min(...points.map(({ error }) => error)));
    assert.equal(points.filter(({ distance }) => distance !== null).length, 2);
    assert.ok(best.distance !== null && best.distance > 0);
    // At the length that all have, a group's average is the whole's.
    for (const { points: own } of groups) {
      const same = own.find(({ sigmaRel }) => sigmaRel === best.sigmaRel);
      assert.equal(same?.error, best.error);
    }
    assert.ok(groups.length >= 3, "embedding, encoder and decoder");
    assert.ok(activations.mean.length > 0 && activations.mean.every(({ nimg }) => (nimg.at(-1) ?? 0) > 1800));
    assert.ok(finalUpdates.every(({ value }) => value !== null && value > 0));
    assert.ok(validation.values.every((value) => value !== null && value > 0));
    assert.equal(learningRate, name === "B" ? presetOf("smoke").lrOf?.B : presetOf("smoke").lr);
  }
  assert.notEqual(results.entries[0]?.best.error, results.entries[1]?.best.error);
  assert.match(first.out, /rung +parameters/);
  assert.match(await readFile(join(outdir, "ladder.html"), "utf8"), /^<!doctype html>/);

  const other = await evenkeel(ladder(outdir, "--rungs", "B", "--samples", "9"));
  assert.equal(other.code, 2);
  assert.match(other.err, /begun with samples 8, and now it is 9.*another folder/);

  await writeFile(join(outdir, "measures", "B-seed0.json"), "{}");
  const damaged = await evenkeel(ladder(outdir, "--rungs", "B"));
  assert.equal(damaged.code, 1);
  assert.match(damaged.err, /B-seed0\.json is damaged\. Remove it/);
});

test("rungs and rates are letters, with switches and numbers", () => {
  assert.deepEqual(
    parseRungs("all").map(({ name }) => name),
    ["A", "B", "C", "D", "E", "F", "G"],
  );
  assert.deepEqual(parseRungs("G:pixelNorm=false+gains=false,A")[0], {
    name: "G:pixelNorm=false+gains=false",
    config: "G",
    switches: "pixelNorm=false,gains=false",
  });
  const folders = parseRungs("G,G:pixelNorm=false,G:pixelNorm=false+gains=false").map(({ name }) =>
    fileNameOf([name], 0),
  );
  assert.deepEqual(folders, ["G-seed0", "G-pixelNorm=false-seed0", "G-pixelNorm=false+gains=false-seed0"]);
  assert.throws(() => parseRungs("H"), /A, B, C, D, E, F, G/);
  assert.throws(() => parseRungs("G:sauce=true"), /sauce/);
  assert.throws(() => parseRungs("G,A,G"), /the rung G is listed twice/);
  assert.deepEqual(parseRates("A=0.001,G=2e-2"), { A: 0.001, G: 0.02 });
  assert.throws(() => parseRates("A=0.001,A=2e-2"), { code: "value", message: /two learning rates/ });
  for (const wrong of ["A", "A=", "A=-1", "A=fast", "X=1"]) assert.throws(() => parseRates(wrong));
});

test("what can't be is refused before anything is made", async () => {
  const outdir = join(root, "refused");
  const unlabelled = join(root, "unlabelled.zip");
  await writePictures(unlabelled, false);
  const cases: [string[], number, RegExp][] = [
    [["--rungs", "G,Z"], 2, /Z/],
    [["--rungs", "A:forcedNorm=true"], 2, /forced/],
    [["--times", "0"], 2, /numbers up to 1/],
    [["--samples", "1"], 2, /at least two images/],
    [["--data", unlabelled, "--features", "classifier"], 2, /no classes.*--features/],
    [["--holdout", "48"], 2, /48/],
  ];
  for (const [more, code, message] of cases) {
    const ending = await evenkeel(ladder(outdir, ...more));
    assert.match(ending.err, message);
    assert.equal(ending.code, code, ending.err);
    await assert.rejects(readFile(join(outdir, "ladder.json")));
  }
});
