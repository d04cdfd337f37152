/** Metrics of generated images beside the verdicts of `evenkeel compare`, with the smallest networks. */
import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { ComparisonResults } from "../../../cli/compare/results.ts";
import type { MeasuredSamples } from "../../../cli/compare/samples.ts";
import { StoredAverages } from "../../../cli/runs/averages.ts";
import { defaultSettings, splitForRun, trainingOptions } from "../../../diffusion/settings/index.ts";
import { DenoiserProgram } from "../../../diffusion/network/index.ts";
import { readData } from "../../../cli/readData.ts";
import { RunLock } from "../../../diffusion/run/node.ts";
import { FeatureCollector, type FeatureSet, MetricMeter, pixelFeatures } from "../../../diffusion/metrics/index.ts";
import { generateImages, toPixels } from "../../../diffusion/sample/index.ts";
import { getDevice } from "../../../engine/index.ts";
import { evenkeel, writePictures } from "../train/tinyRun.ts";

let root = "";
let data = "";
let unlabelled = "";
before(async () => {
  root = await mkdtemp(join(tmpdir(), "evenkeel-compare-metrics-"));
  [data, unlabelled] = [join(root, "waves.zip"), join(root, "unlabelled.zip")];
  await writePictures(data, true);
  await writePictures(unlabelled, false);
});
after(() => rm(root, { recursive: true }));

const tiny = "channels=4,channel-mult=[1],blocks=1,attn-resolutions=[],channels-per-head=4,batch=8";
const comparing = (outdir: string, ...more: string[]): string[] => [
  ...["compare", "--outdir", outdir, "--data", data, "--preset", "smoke", "--base", tiny, "--duration", "320"],
  ...["--holdout", "16", "--dynamics", "0", "--device", "wasm", "--pairs", "3", ...more],
];
const images = 12;
const measuring = (metrics: string): string[] => [
  ...["--metrics", metrics, "--images", String(images), "--steps", "2", "--features", "pixels"],
];
/** One that makes another network, and one that changes nothing. */
const changes = ["--change", "lr=0.05", "--change", "status=400"];

const resultsOf = async (outdir: string): Promise<ComparisonResults> =>
  JSON.parse(await readFile(join(outdir, "results.json"), "utf8")) as ComparisonResults;

/** Without what differs from call to call. */
const lasting = (results: ComparisonResults): string =>
  JSON.stringify(results, (name, value: unknown) =>
    ["date", "command", "trainingSeconds"].includes(name) ? null : value,
  );

/** The files of what was measured of images. */
async function samplesIn(outdir: string): Promise<Map<string, string>> {
  const names = (await readdir(join(outdir, "measures"))).filter((name) => name.endsWith(".metrics.json")).sort();
  return new Map(
    await Promise.all(
      names.map(async (name) => [name, await readFile(join(outdir, "measures", name), "utf8")] as const),
    ),
  );
}

async function measured(args: readonly string[]): Promise<string> {
  const { code, out, err } = await evenkeel(args);
  assert.equal(code, 0, err);
  return out;
}

const count = (text: string, pattern: RegExp): number => text.match(pattern)?.length ?? 0;

describe("evenkeel compare --metrics", () => {
  const outdir = (): string => join(root, "plain");
  const args = (metrics: string): string[] => comparing(outdir(), ...changes, ...measuring(metrics));

  it("adds to a folder what is asked for, once, and leaves the verdicts as they are", async () => {
    const without = await measured(comparing(outdir(), ...changes));
    assert.doesNotMatch(without, /sampling|generated images/);
    const plain = await resultsOf(outdir());
    assert.equal(plain.samples, null);

    const added = await measured(args("frechet,kid"));
    assert.doesNotMatch(added, /: training/);
    assert.equal(count(added, /: sampling 12 images/g), plain.runs.length);
    assert.match(added, /base-seed0: frechet [\d.]+, kid -?[\d.e-]+ of 12 images/);
    assert.match(
      added,
      /Metrics of 12 generated images of each run, in 2 steps; both runs of a pair begin with the same noise/,
    );
    assert.match(added, /frechet depends on the number of images: 12 on both sides/);
    assert.match(added, /The verdict is by the held-out error alone; .* they are not corrected for being several\./);
    assert.match(added, /\nlr=0\.05 +FD-pixels +lower +[\d.]+ +[\d.]+ +[-+][\d.]+ % +/);
    const results = await resultsOf(outdir());
    const verdicts = ({ changes: all }: ComparisonResults) => all.map(({ metrics: _, ...rest }) => rest);
    assert.deepEqual(verdicts(results), verdicts(plain));
    assert.deepEqual([results.samples?.images, results.samples?.space?.references], [12, 48]);
    const page = await readFile(join(outdir(), "comparison.html"), "utf8");
    assert.match(page, /Generated images.*not corrected for being several/s);
    assert.doesNotMatch(page, /NaN|undefined|Infinity/);

    const earlier = await samplesIn(outdir());
    const more = await measured(args("recall,kid"));
    assert.equal(count(more, /: sampling/g), plain.runs.length);
    for (const [name, text] of await samplesIn(outdir())) {
      const [was, is] = [earlier.get(name) ?? "", text].map((each) => (JSON.parse(each) as MeasuredSamples).values);
      assert.deepEqual({ ...is, recall: undefined }, { ...was, recall: undefined });
      assert.ok((is?.recall ?? -1) >= 0, name);
    }
    // Each is there now, whichever are asked for.
    assert.doesNotMatch(await measured(args("frechet,kid,recall")), /: sampling|: training/);
  });

  it("has intervals of the pairs: nothing for a change of nothing, as both begin with the same noise", async () => {
    const [rate, status] = (await resultsOf(outdir())).changes;
    const { samples } = await resultsOf(outdir());
    assert.ok(rate !== undefined && status !== undefined && samples !== null);
    assert.deepEqual(
      status.metrics.map(({ metric, scale, value, low, high }) => [metric, scale, value, low, high]),
      [
        ["frechet", "ratio", 1, 1, 1],
        ["kid", "difference", 0, 0, 0],
        ["recall", "difference", 0, 0, 0],
      ],
    );
    const valueOf = (side: string, seed: number, metric: "frechet" | "kid"): number =>
      samples.runs.find((run) => run.side === side && run.seed === seed)?.values[metric] ?? NaN;
    const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
    const [frechet, kid] = rate.metrics;
    const ratio = Math.exp(
      mean(rate.seeds.map((seed) => Math.log(valueOf("lr=0.05", seed, "frechet") / valueOf("base", seed, "frechet")))),
    );
    const difference = mean(rate.seeds.map((seed) => valueOf("lr=0.05", seed, "kid") - valueOf("base", seed, "kid")));
    assert.ok(Math.abs((frechet?.value ?? 0) / ratio - 1) < 1e-12);
    assert.ok(Math.abs((kid?.value ?? 0) - difference) < 1e-12);
    assert.equal(frechet?.pairs, rate.seeds.length);
    assert.notEqual(frechet.value, 1);
    // Three pairs are the fewest that say anything.
    assert.ok(frechet.low > 0 && frechet.low < ratio && ratio < frechet.high);
  });

  it("measures what the average makes of the pair's own noise", async () => {
    const seed = 1;
    const text = (await samplesIn(outdir())).get(`base-seed${seed}.metrics.json`) ?? "{}";
    const { settings, values } = JSON.parse(text) as MeasuredSamples;
    const dataset = await readData(data);
    const folder = join(outdir(), "runs", `base-seed${seed}`);
    const whole = { ...defaultSettings(settings.duration, settings.batch), ...settings, data, outdir: folder };
    const { network } = trainingOptions(whole, splitForRun(dataset, whole).training);
    const stored = await StoredAverages.of(folder, network, "test");
    const [weights = {}] = await stored.at(320, [0.1]);
    const denoiser = await DenoiserProgram.create(network, weights, await getDevice("wasm"));
    const extractor = pixelFeatures(3, 8);
    const setOf = async (pixels: Uint8Array): Promise<FeatureSet> => {
      const collector = new FeatureCollector(extractor, pixels.length / 192);
      await collector.add(pixels, [pixels.length / 192, 3, 8, 8]);
      return collector.finish("pictures");
    };
    const sampled: number[] = [];
    const seeds = Array.from({ length: images }, (_, i) => seed * images + i);
    const request = { denoiser, imageShape: [3, 8, 8], labelDim: 3, seeds, steps: 2, networkBatch: images };
    for await (const batch of generateImages(request)) sampled.push(...toPixels(batch.images));
    denoiser.dispose();
    const meter = new MetricMeter(await setOf(dataset.pixels));
    const own = await meter.measure(await setOf(Uint8Array.from(sampled)), ["frechet", "recall"]);
    // The order of the data's pictures changes sums' roundings alone, and no neighbours.
    assert.ok(Math.abs((own.values.frechet ?? NaN) / (values.frechet ?? NaN) - 1) < 1e-9);
    assert.equal(own.values.recall, values.recall);
  });

  it("is shared by shards, and goes on where it was stopped, to the same bytes", async () => {
    const shared = join(root, "shared");
    const all = comparing(shared, ...changes, ...measuring("frechet,kid,recall"));
    for (const shard of ["2/2", "1/2"]) await measured([...all, "--shard", shard]);
    // What the verdicts need was there before, or is made by the call that decides.
    await measured(all);
    assert.doesNotMatch(await measured(all), /: sampling|: training/);
    const [there, here] = [await samplesIn(outdir()), await samplesIn(shared)];
    for (const [name, text] of there) assert.equal(here.get(name), text);

    const name = "lr=0.05-seed1.metrics.json";
    const path = join(shared, "measures", name);
    const results = lasting(await resultsOf(shared));
    await rm(path);
    const lock = await RunLock.tryTake(join(shared, "measures"), `${name}.lock`);
    assert.ok(lock instanceof RunLock);
    const busy = await evenkeel(all);
    assert.equal(busy.code, 1);
    assert.match(busy.out, /lr=0\.05-seed1\.metrics\.json: left to process \d+, which is at it/);
    assert.match(busy.err, /other processes are at lr=0\.05-seed1, which the result needs/);
    lock.release();
    // A shard makes what the decision lacks, though all is decided.
    const resumed: string[] = [];
    for (const shard of ["1/2", "2/2"]) resumed.push(await measured([...all, "--shard", shard]));
    assert.equal(count(resumed.join(""), /: sampling/g), 1);
    assert.equal(await readFile(path, "utf8"), here.get(name));
    await measured(all);
    assert.equal(lasting(await resultsOf(shared)), results);
  });

  it("refuses images of another number, space or run, and a run that is lost", async () => {
    const other = await evenkeel([...args("kid"), "--images", "13"]);
    assert.equal(other.code, 2);
    assert.match(other.err, /metrics\.json was begun with images 12, and now it is 13/);
    const path = join(outdir(), "measures", "base-seed0.metrics.json");
    const text = await readFile(path, "utf8");
    for (const [was, is, words] of [
      [
        '"fingerprint":"3x8x8"',
        '"fingerprint":"other"',
        /fingerprint other, against 48 .*can't be compared\. Remove the files RUN\.metrics/,
      ],
      ['"lr":0.', '"lr":1.', /base-seed0\.metrics\.json is of a run with lr 1\.\d+, and now it is 0\.\d+/],
    ] as const) {
      assert.ok(text.includes(was));
      await writeFile(path, text.replace(was, is));
      const { code, err } = await evenkeel(args("kid"));
      assert.equal(code, 2);
      assert.match(err, words);
    }
    await writeFile(path, text);
    const lost = join(outdir(), "runs", "base-seed0");
    await rm(lost, { recursive: true });
    const { err } = await evenkeel(args("coverage"));
    assert.match(
      err,
      /base-seed0 isn't there any more, and coverage of its images wasn't measured\. Remove measures\/base-seed0\.json/,
    );
  });

  it("has nothing to say of a change that diverges", async () => {
    const folder = join(root, "diverging");
    const { code, out, err } = await evenkeel(
      comparing(folder, "--change", "lr=1e38", ...measuring("frechet,kid"), "--json"),
    );
    assert.equal(code, 0, err);
    const { changes: compared, samples } = JSON.parse(out) as ComparisonResults;
    assert.deepEqual(
      compared[0]?.metrics.map(({ pairs, value }) => [pairs, value]),
      [
        [0, null],
        [0, null],
      ],
    );
    assert.equal(samples?.runs.length, 1);
    assert.match(err, /no pair has images on both sides/);
    assert.doesNotMatch(await readFile(join(folder, "comparison.html"), "utf8"), /NaN|undefined/);
  });

  it("says which options change nothing, and refuses what can't be measured, before any training", async () => {
    const folder = join(root, "refused");
    const refusals: readonly (readonly [args: string[], words: RegExp])[] = [
      [["--metrics", "precision", "--images", "3"], /--images 3: precision takes 4 or more/],
      [["--metrics", "kid", "--images", "1"], /--images 1: kid takes 2 or more/],
      [["--metrics", "kid", "--features", "pixel"], /features pixel: there are none .*; did you mean pixels\?/],
      [["--metrics", "kid", "--features", "classifier:none.safetensors"], /there is no file none\.safetensors/],
      [["--metrics", "kid", "--data", unlabelled], /has no classes from which a classifier could learn features/],
      [["--metrics", "kid", "--change", "tune=consistency"], /tune=consistency is tuned to be sampled in few steps/],
    ];
    for (const [more, words] of refusals) {
      const { code, out, err } = await evenkeel(comparing(folder, "--change", "lr=0.05", ...more));
      assert.match(err, words);
      assert.equal(code, err.includes("no file") ? 1 : 2, err);
      assert.doesNotMatch(out, /training/);
    }
    // What isn't understood at all has the code of every command line of that kind.
    for (const [metrics, words] of [
      ["frechett", /frechett is none of frechet, kid, .*; did you mean frechet\?/],
      ["kid,fid", /fid is none of frechet, kid, .*; did you mean frechet\?/],
    ] as const) {
      const { code, err } = await evenkeel(comparing(folder, "--change", "lr=0.05", "--metrics", metrics));
      assert.match(err, words);
      assert.equal(code, 2);
    }
    const idle = await evenkeel(comparing(folder, "--change", "channels=4", "--images", "64"));
    assert.match(idle.out, /--images changes nothing: no metrics of generated images are measured \(--metrics\)/);
  });
});
