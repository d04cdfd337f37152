import assert from "node:assert/strict";
import { appendFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { readStats, RunningMean, type StatsEntry, StatsLog } from "../../../diffusion/run/statsLog.ts";
import { EvenkeelError } from "../../../engine/index.ts";
import { diskFile } from "../../../engine/io/node.ts";

let root = "";
before(async () => {
  root = await mkdtemp(join(tmpdir(), "evenkeel-stats-"));
});
after(() => rm(root, { recursive: true }));

const entry = (nimg: number): StatsEntry => ({
  nimg,
  "Progress/kimg": nimg / 1000,
  "Loss/loss": { mean: -0.25, num: 3 },
});
const isFileError = (pattern: RegExp) => (reason: unknown) =>
  reason instanceof EvenkeelError && reason.code === "file" && pattern.test(reason.message);

test("what is appended is read back; a missing file has no lines", async () => {
  const path = join(root, "plain.jsonl");
  assert.deepEqual(await readStats(diskFile(path)), []);
  const log = await StatsLog.open(diskFile(path), 0);
  for (const nimg of [100, 200, 300]) await log.append(entry(nimg));
  assert.deepEqual(await readStats(diskFile(path)), [100, 200, 300].map(entry));
});

test("numbers that JSON doesn't have are written as null, at any depth", async () => {
  const path = join(root, "nonFinite.jsonl");
  const log = await StatsLog.open(diskFile(path), 0);
  await log.append({ nimg: 1, "Loss/loss": Number.NaN, "Loss/error": { mean: Number.POSITIVE_INFINITY, num: 0 } });
  assert.equal(await readFile(path, "utf8"), '{"nimg":1,"Loss/loss":null,"Loss/error":{"mean":null,"num":0}}\n');
});

test("opening at the next images removes lines of them, so that a resumed log equals the uninterrupted one", async () => {
  const [straight, broken] = [join(root, "straight.jsonl"), join(root, "broken.jsonl")];
  const log = await StatsLog.open(diskFile(straight), 0);
  for (let nimg = 100; nimg <= 1000; nimg += 100) await log.append(entry(nimg));

  const first = await StatsLog.open(diskFile(broken), 0);
  for (let nimg = 100; nimg <= 700; nimg += 100) await first.append(entry(nimg));
  const second = await StatsLog.open(diskFile(broken), 500);
  assert.deepEqual(
    (await readStats(diskFile(broken))).map(({ nimg }) => nimg),
    [100, 200, 300, 400],
  );
  for (let nimg = 500; nimg <= 1000; nimg += 100) await second.append(entry(nimg));
  assert.equal(await readFile(broken, "utf8"), await readFile(straight, "utf8"));
});

test("cut at any byte, a log keeps its whole lines and can be gone on with", async () => {
  const whole = [100, 200, 300].map((nimg) => `${JSON.stringify(entry(nimg))}\n`);
  const bytes = new TextEncoder().encode(whole.join(""));
  const path = join(root, "torn.jsonl");
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: bytes.length }), async (cut) => {
      await writeFile(path, bytes.subarray(0, cut));
      // A line is there once its closing brace is, even if its newline is not.
      const ends = whole.map((_, i) => whole.slice(0, i + 1).join("").length - 1);
      const kept = ends.filter((end) => end <= cut).length;
      const log = await StatsLog.open(diskFile(path), 1000);
      await log.append(entry(400));
      assert.deepEqual(await readStats(diskFile(path)), [...[100, 200, 300].slice(0, kept), 400].map(entry));
    }),
    { numRuns: 60 },
  );
});

test("a damaged line in the middle is an error that names it", async () => {
  const path = join(root, "damaged.jsonl");
  for (const damage of ["{oops", "null", "[1]", '{"nimg":"1"}']) {
    await writeFile(path, `${JSON.stringify(entry(1))}\n${damage}\n`);
    await appendFile(path, `${JSON.stringify(entry(2))}\n`);
    await assert.rejects(readStats(diskFile(path)), isFileError(/damaged\.jsonl: line 2 /));
  }
});

test("a folder in place of the file, or no folder, is an error of kind file", async () => {
  await assert.rejects(readStats(diskFile(root)), isFileError(/is a folder/));
  await assert.rejects(StatsLog.open(diskFile(join(root, "absent", "stats.jsonl")), 0), EvenkeelError);
  const log = await StatsLog.open(diskFile(join(root, "removed.jsonl")), 0);
  await rm(join(root, "removed.jsonl"));
  await log.append(entry(1));
  assert.deepEqual(await readStats(diskFile(join(root, "removed.jsonl"))), [entry(1)], "a removed log begins anew");
});

test("a running mean counts what isn't finite, and goes on from its state with the same bits", () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: -1e6, max: 1e6 })), fc.nat(), (values, cutSeed) => {
      const cut = values.length === 0 ? 0 : cutSeed % values.length;
      const straight = new RunningMean();
      for (const value of values) straight.add(value);
      const before = new RunningMean();
      for (const value of values.slice(0, cut)) before.add(value);
      const resumed = new RunningMean(JSON.parse(JSON.stringify(before.state)) as typeof before.state);
      for (const value of values.slice(cut)) resumed.add(value);
      // JSON has no negative zero; a mean of zeros only may differ in sign.
      const sum = (mean: RunningMean): number => mean.state.sum + 0;
      assert.deepEqual({ ...resumed.state, sum: sum(resumed) }, { ...straight.state, sum: sum(straight) });
      assert.equal(straight.summary().num + straight.summary().nonFinite, values.length);
    }),
  );
});

test("mean and deviation are those of the finite values", () => {
  const mean = new RunningMean();
  assert.deepEqual(mean.summary(), { mean: null, std: null, num: 0, nonFinite: 0 });
  for (const value of [1, Number.NaN, 2, Number.NEGATIVE_INFINITY, 6]) mean.add(value);
  // (1 + 4 + 36) / 3 - 9 = 14/3
  assert.deepEqual(mean.summary(), { mean: 3, std: Math.sqrt(41 / 3 - 9), num: 3, nonFinite: 2 });
  const constant = new RunningMean();
  for (let i = 0; i < 10; i++) constant.add(0.1);
  assert.ok((constant.summary().std ?? 1) < 1e-8, "rounding gives no negative variance");
});
