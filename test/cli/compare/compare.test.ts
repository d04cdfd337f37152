/** `evenkeel compare` from end to end, with the smallest networks. */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { readChange } from "../../../cli/compare/changes.ts";
import type { ComparisonResults } from "../../../cli/compare/results.ts";
import { RunLock } from "../../../diffusion/run/node.ts";
import { EvenkeelError } from "../../../engine/index.ts";
import { type Ending, evenkeel, writePictures } from "../train/tinyRun.ts";

let root = "";
let data = "";
before(async () => {
  root = await mkdtemp(join(tmpdir(), "evenkeel-compare-"));
  data = join(root, "waves.zip");
  await writePictures(data, true);
});
after(() => rm(root, { recursive: true }));

const tiny = "channels=4,channel-mult=[1],blocks=1,attn-resolutions=[],channels-per-head=4,batch=8";
const comparing = (outdir: string, ...more: string[]): string[] => [
  ...["compare", "--outdir", outdir, "--data", data, "--preset", "smoke", "--base", tiny, "--duration", "1200"],
  ...["--holdout", "16", "--dynamics", "40", "--device", "wasm", ...more],
];
const resultsOf = async (outdir: string): Promise<ComparisonResults> =>
  JSON.parse(await readFile(join(outdir, "results.json"), "utf8")) as ComparisonResults;

describe("evenkeel compare", () => {
  it("decides a rate that is far too small, finds no difference where there is none, and does nothing twice", async () => {
    const outdir = join(root, "rates");
    const args = comparing(outdir, "--change", "lr=1e-7", "--change", "status=400", "--pairs", "6");
    const first = await evenkeel(args);
    assert.equal(first.code, 0, first.err);
    assert.match(first.out, /lr=1e-7 is worse: error \+/);
    assert.match(first.out, /status=400 makes no difference above 1 %/);
    const results = await resultsOf(outdir);
    const [rate, status] = results.changes;
    assert.equal(rate?.verdict, "worse");
    assert.equal(rate.levels.length, 8);
    assert.ok(rate.seeds.length < 6, "it is decided by fewer pairs");
    assert.deepEqual([status?.verdict, status?.ratio, status?.pairedDeviation], ["same", 1, 0]);
    const page = await readFile(join(outdir, "comparison.html"), "utf8");
    assert.match(page, /lr=1e-7 is worse/);
    assert.doesNotMatch(page, /NaN|undefined|https?:\/\/(?!www\.w3\.org)/);

    const again = await evenkeel(args);
    assert.equal(again.code, 0, again.err);
    assert.doesNotMatch(again.out, /: training/);
    assert.deepEqual({ ...(await resultsOf(outdir)), date: "" }, { ...results, date: "" });

    const decided = await evenkeel([...args, "--shard", "1/1"]);
    assert.doesNotMatch(decided.out, /: training/);
    assert.match(decided.out, /lr=1e-7-seed5: not needed, as what there is decides/);

    const lock = await RunLock.tryTake(join(outdir, "measures"), "base-seed0.json.lock");
    assert.ok(lock instanceof RunLock);
    await rm(join(outdir, "measures", "base-seed0.json"));
    const busy = await evenkeel(args);
    assert.equal(busy.code, 1);
    assert.match(busy.out, /base-seed0\.json: left to process \d+, which is at it/);
    assert.match(busy.err, /other processes are at base-seed0, which the result needs/);
    lock.release();

    const other = await evenkeel(comparing(outdir, "--change", "lr=1e-7", "--length", "0.05"));
    assert.equal(other.code, 2);
    assert.match(other.err, /was begun with length 0\.1, and now it is 0\.05/);
  });

  it("says that a change diverges where the base doesn't, and prints nothing but JSON if it is asked to", async () => {
    const outdir = join(root, "diverging");
    const { code, out, err } = await evenkeel(comparing(outdir, "--change", "lr=1e38", "--pairs", "3", "--json"));
    assert.equal(code, 0, err);
    assert.match(err, /the loss is (NaN|Infinity)/);
    assert.match(err, /lr=1e38 diverges/);
    const { changes, runs } = JSON.parse(out) as ComparisonResults;
    assert.deepEqual([changes[0]?.verdict, runs.length], ["diverges", 2]);
    assert.doesNotMatch(await readFile(join(outdir, "comparison.html"), "utf8"), /NaN|undefined/);
  });

  it("doesn't take what was measured with other settings of the same name", async () => {
    const [outdir, path] = [join(root, "renamed"), join(root, "mine.toml")];
    await writeFile(path, "lr = 1e38\n");
    const args = comparing(outdir, "--change", path, "--pairs", "3", "--dynamics", "0");
    const first = await evenkeel(args);
    assert.equal(first.code, 0, first.err);
    await writeFile(path, "lr = 2e38\n");
    const second = await evenkeel(args);
    assert.equal(second.code, 2);
    assert.match(second.err, /mine-seed0\.json is of a run with lr 1e\+38, and now it is 2e\+38/);
  });

  it("compares each side at its best rate, which shards look for side by side", async () => {
    const outdir = join(root, "swept");
    const args = comparing(outdir, "--change", "config=F", "--sweep", "lr", "--pairs", "3", "--dynamics", "0");
    const share = (shard: string): Promise<Ending> => evenkeel([...args, "--shard", shard]);
    const early = await share("1/2");
    assert.equal(early.code, 0, early.err);
    assert.match(early.out, /^Shard 1 of 2\n/);
    assert.match(
      early.out,
      /Pairs begin when the best lr of config=F is found: start the shards again then\.\nThis share is done/,
    );
    assert.doesNotMatch(early.out, /config=F-lr/);
    // The second shard finds what was missing and goes on with its pairs; the first then has its own to make.
    for (const shard of ["2/2", "1/2"]) assert.match((await share(shard)).out, /\[shard \d of 2\] .*-seed\d: error/);
    await assert.rejects(resultsOf(outdir), { code: "ENOENT" });
    const { code, out, err } = await evenkeel(args);
    assert.equal(code, 0, err);
    assert.doesNotMatch(out, /: training/);
    const results = await resultsOf(outdir);
    assert.deepEqual(
      results.sweeps.map(({ side }) => side),
      ["base", "config=F"],
    );
    for (const { side, best, error, tried } of results.sweeps) {
      assert.match(out, new RegExp(`Best lr of ${side}: ${best}, of ${tried.length} from`));
      assert.equal(error, Math.min(...tried.map((each) => each.error)));
    }
    // What was chosen by a sweep's runs is judged by others.
    assert.deepEqual([...new Set(results.runs.map(({ seed }) => seed))], [0, 1, 2].slice(0, results.runs.length / 2));
    assert.match(await readFile(join(outdir, "comparison.html"), "utf8"), /Best lr of each side/);
  });

  it("refuses what can't be compared, before any training", async () => {
    const outdir = join(root, "refused");
    const refusals: readonly (readonly [args: string[], words: RegExp])[] = [
      [["--change", "lrr=0.1"], /lrr is no option; did you mean lr\?/],
      [["--change", "learningrate=0.1"], /learningrate is no option\. All that there are: npx evenkeel train --help/],
      [["--change", "lr=fast"], /lr is "fast"/],
      [
        ["--change", "duration=100"],
        /sets duration: runs of a pair see as many images\. Leave it out, or set it for both/,
      ],
      [["--change", "sigma-data=2"], /sets sigma-data: held-out errors are weighted by it/],
      [["--change", "noise-df=5"], /sets noise-df: .* another task\. Leave it out, or set it for both/],
      [["--change", "config=F", "--sweep", "batch"], /no positive number of this name that needn't be whole/],
      [["--change", "config=F", "--sweep", "sigma-data"], /that is the same for all runs/],
      [["--change", "data=other.zip"], /sets data: errors on other data can't be compared/],
      [["--change", "seed=3"], /runs of a pair share their seed/],
      [["--change", "channels=4"], /gives the settings of the base/],
      [["--change", "lr=0.1", "--change", "lr=0.10"], /gives the settings of lr=0\.1/],
      [["--change", "nothing"], /isn't of the form setting=value/],
      [["--change", join(root, "none.toml")], /none\.toml/],
      [["--change", "lr=0.1", "--pairs", "2"], /fewer than three say nothing about chance/],
      [["--change", "lr=0.1", "--sweep", "lr"], /"lr=0\.1" sets lr, which --sweep looks for/],
      [
        ["--change", "config=F", "--sweep", "rate"],
        /base has no positive number of this name that needn't be whole\. What can be swept: (?!.*\b(channels|batch)\b).*\blr\b/,
      ],
      [["--change", "config=F", "--sweep", "duration"], /duration: that is the same for all runs/],
    ];
    for (const [args, words] of refusals) {
      const { code, out, err } = await evenkeel(comparing(outdir, ...args));
      assert.match(err, words);
      // A file that isn't there is no misuse of the command line.
      assert.equal(code, /ENOENT/.test(err) ? 1 : 2, err);
      assert.doesNotMatch(out, /training/);
    }
  });
});

describe("a change", () => {
  it("is settings with commas between, and switches with their own", async () => {
    assert.deepEqual((await readChange("config=G,switches=pixelNorm=false,gains=false,lr=0.02")).values, {
      config: "G",
      switches: "pixelNorm=false,gains=false",
      lr: 0.02,
    });
    assert.deepEqual((await readChange("channel-mult=[1, 2]")).values, { "channel-mult": [1, 2] });
    assert.deepEqual((await readChange("duration=30k,xflip=true", "--base")).values, { duration: 30_000, xflip: true });
  });

  it("may be a file", async () => {
    const path = join(root, "slow.toml");
    await writeFile(path, "lr = 0.001\n");
    const { name, values } = await readChange(path);
    assert.deepEqual([name, Object.entries(values)], ["slow", [["lr", 0.001]]]);
  });

  it("sets nothing twice", async () => {
    await assert.rejects(
      readChange("lr=1,lr=2"),
      (error) => error instanceof EvenkeelError && /lr twice/.test(error.message),
    );
  });
});
