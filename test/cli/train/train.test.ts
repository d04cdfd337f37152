/** Whole runs of the command: what is in the run folder, and stopping and going on. */
import assert from "node:assert/strict";
import { appendFile, cp, mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { parse } from "smol-toml";
import { readCheckpoint } from "../../../diffusion/checkpoint/checkpoint.ts";
import { splitData, type TrainingDataset } from "../../../diffusion/data/index.ts";
import { loadEmoji, openDataset } from "../../../diffusion/data/node.ts";
import { type RunListener, runTraining, RunWatch } from "../../../diffusion/run/index.ts";
import {
  completeSettings,
  formatSettings,
  parseSettings,
  runOptions,
  trainingOptions,
  type TrainSettings,
} from "../../../diffusion/settings/index.ts";
import { readSnapshot } from "../../../diffusion/snapshot/node.ts";
import { createDevice } from "../../../engine/index.ts";
import { type Folder, memoryFolder, readWhole } from "../../../engine/io/index.ts";
import { message, only, readFields, readRecords, text } from "../../diffusion/run/readEvents.ts";
import { evenkeel, evenkeelProcess, everything, run, statsOf, trained, writePictures } from "./tinyRun.ts";
import { diskFile } from "../../../engine/io/node.ts";

let root = "";
let straight = "";
let data = "";

before(async () => {
  root = await mkdtemp(join(tmpdir(), "evenkeel-train-"));
  // A space, so that what is printed for a shell must be quoted.
  [straight, data] = [join(root, "straight run"), join(root, "waves.zip")];
  await writePictures(data, true);
  await writeFile(
    join(root, "run.toml"),
    `data = ${JSON.stringify(data)}\nlr = 0.5\nP_mean = -0.4\nduration = "2400"\n`,
  );
  const ending = await evenkeelProcess(["train", "--config", join(root, "run.toml"), ...run, ...flags(straight)]);
  assert.deepEqual([ending.code, ending.err], [0, ""], ending.err);
});
after(() => rm(root, { recursive: true }));

const flags = (outdir: string): string[] => ["--lr", "0.02", "--outdir", outdir];
/** A saved run's own settings, in a folder. */
const again = (outdir: string): string[] => ["train", "--config", join(outdir, "settings.toml"), "--outdir", outdir];
const pngSignature = "89504e470d0a1a0a";

test("a run folder holds settings, log, events, snapshots of both averages, checkpoints, grids and a report", async () => {
  const names = (await readdir(straight)).map((name) => name.replace(/tfevents\..*/, "tfevents"));
  assert.deepEqual(names.sort(), [
    "events.out.tfevents",
    // The end lies within the thousand of the snapshot before it.
    ...["0", "1", "2", "2.400"].flatMap((thousands) =>
      ["0.050", "0.100"].map((length) => `network-snapshot-000000${thousands}-${length}.safetensors`),
    ),
    "phema-0000002-0.100.safetensors",
    "phema-guide-0000001-0.150.safetensors",
    "report.html",
    "samples-0000001200.png",
    "samples-0000002400.png",
    "samples-guided.png",
    "samples-plain.png",
    "settings.toml",
    "stats.jsonl",
    "training-state-0000002000.safetensors",
    "training-state-0000002400.safetensors",
  ]);
  for (const name of names.filter((each) => each.endsWith(".png"))) {
    assert.equal((await readFile(join(straight, name))).toString("hex", 0, 8), pngSignature, name);
  }
  const first = await readSnapshot(join(straight, "network-snapshot-0000002.400-0.050.safetensors"));
  const second = await readSnapshot(join(straight, "network-snapshot-0000002.400-0.100.safetensors"));
  assert.deepEqual([first.nimg, first.sigmaRel, second.nimg, second.sigmaRel], [2400, 0.05, 2400, 0.1]);
  assert.deepEqual(first.network, second.network);
  assert.deepEqual([...first.weights.keys()], [...second.weights.keys()]);
  const checkpoint = await readCheckpoint(diskFile(join(straight, "training-state-0000002400.safetensors")));
  assert.equal(checkpoint.nimg, 2400);
});

test("the saved settings are those of the flags, then of the file, then of the preset", async () => {
  const settings = parse(await readFile(join(straight, "settings.toml"), "utf8"));
  const { lr, P_mean: mean, P_std: deviation, channels } = settings;
  assert.deepEqual({ lr, mean, deviation, channels }, { lr: 0.02, mean: -0.4, deviation: 1.6, channels: 4 });
});

test("--dry-run prints settings that are a config file, and makes nothing", async () => {
  const outdir = join(root, "dry");
  const { code, out, err } = await evenkeel(["train", ...run, "--data", data, "--outdir", outdir, "--dry-run"]);
  assert.deepEqual([code, err], [0, ""]);
  assert.match(out, /^# Device {13}WebAssembly SIMD.*, 1 thread,/m);
  await assert.rejects(readdir(outdir), { code: "ENOENT" });
  const config = join(root, "dry.toml");
  await writeFile(config, out);
  const second = await evenkeel(["train", "--config", config, "--dry-run", "--outdir", outdir]);
  assert.deepEqual(second, { code: 0, out, err: "" });
});

test("--dry-run makes the device, and says what is missing for it", async () => {
  const rehearsal = ["train", ...run, "--data", data, "--dry-run"];
  const tuned = await evenkeel([...rehearsal, "--autotune", join(root, "tiles.json")]);
  assert.equal(tuned.code, 2);
  assert.match(tuned.err, /^evenkeel: --autotune times tiles of the device webgpu; this is to run on wasm/);
  const environment = { VK_ICD_FILENAMES: "/nowhere/no_icd.json", VK_DRIVER_FILES: "/nowhere/no_icd.json" };
  const { code, err } = await evenkeelProcess([...rehearsal, "--device", "webgpu"], { environment });
  assert.equal(code, 1);
  assert.match(err, /^evenkeel: webgpu: .*has no adapter/m);
});

test("--activations is a setting of the run, which tells of it", async () => {
  const dry = ["train", ...run, "--data", data, "--outdir", join(root, "dry"), "--dry-run"];
  const [plain, half] = [await evenkeel(dry), await evenkeel([...dry, "--activations", "float16"])];
  assert.equal(parse(plain.out)["activations"], "float32");
  assert.equal(parse(half.out)["activations"], "float16");
  const { code, err } = await evenkeel([...dry, "--activations", "float8"]);
  assert.match(err, /--activations.*float8.*float32, float16/);
  assert.notEqual(code, 0);
});

test("stats.jsonl has a line each interval, whose error falls", async () => {
  const stats = await statsOf(straight);
  const at = Array.from({ length: 12 }, (_, i) => 200 * (i + 1));
  assert.deepEqual(
    stats.map(({ nimg }) => nimg),
    at,
  );
  const errors = stats.map((entry) => (entry["Loss/error"] as { mean: number }).mean);
  const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b) / values.length;
  assert.ok(mean(errors.slice(-4)) < 0.9 * mean(errors.slice(0, 4)), errors.join(" "));
  const validated = stats.filter((entry) => entry["Validation/error"] !== undefined);
  assert.deepEqual(
    validated.map(({ nimg }) => nimg),
    [1200, 2400],
  );
  assert.equal(Object.keys(validated[0]?.["Validation/error"] as object).length, 8);
});

test("TensorBoard's events say what stats.jsonl says, and have the grids", async () => {
  const name = (await readdir(straight)).find((each) => each.startsWith("events.out.tfevents.")) ?? "";
  const [version, start, ...events] = readRecords(await readFile(join(straight, name))).map(readFields);
  assert.ok(version !== undefined);
  assert.equal(text(only(version, 3)), "brain.Event:2");
  // Voids what a run that was killed before its first checkpoint wrote.
  assert.ok(start?.some(({ field }) => field === 7));
  const scalars = new Map<number, Map<string, number>>();
  const pictures = new Map<number, Uint8Array>();
  for (const event of events) {
    const step = event.some(({ field }) => field === 2) ? Number(only(event, 2)) : 0;
    for (const { value } of message(only(event, 5))) {
      const entry = message(value);
      const tag = text(only(entry, 1));
      if (entry.some(({ field }) => field === 4)) {
        assert.equal(tag, "samples");
        pictures.set(step, only(message(only(entry, 4)), 4) as Uint8Array);
      } else scalars.set(step, (scalars.get(step) ?? new Map<string, number>()).set(tag, Number(only(entry, 2))));
    }
  }
  for (const entry of await statsOf(straight)) {
    const logged = scalars.get(Number(entry["nimg"]));
    assert.equal(logged?.get("Loss/error"), Math.fround((entry["Loss/error"] as { mean: number }).mean));
    assert.equal(logged.get("Loss/learning_rate"), Math.fround(Number(entry["Loss/learning_rate"])));
    for (const [sigma, error] of Object.entries((entry["Validation/error"] ?? {}) as Record<string, number>))
      assert.equal(logged.get(`Validation/error/${sigma}`), Math.fround(error));
  }
  assert.equal(scalars.size, 12);
  assert.deepEqual([...pictures.keys()], [1200, 2400]);
  for (const [step, png] of pictures) {
    const file = await readFile(join(straight, `samples-${String(step).padStart(10, "0")}.png`));
    assert.deepEqual(Buffer.from(png), file);
  }
});

test("report.html needs nothing else and shows grids, curves, settings and how to go on", async () => {
  const page = await readFile(join(straight, "report.html"), "utf8");
  assert.doesNotMatch(page, /<(script|link|iframe|object|embed|base)\b|srcset|@import|\bon[a-z]+=/);
  for (const [, url = ""] of page.matchAll(/(?:src|href|url)\s*[=(]\s*["']?([^"')>\s]*)/g))
    assert.match(url, /^(data:|#)/);
  const shown = [...page.matchAll(/<img [^>]*src="data:image\/png;base64,([^"]*)"/g)].map(([, data = ""]) =>
    Buffer.from(data, "base64"),
  );
  assert.equal(shown.length, [...page.matchAll(/<img /g)].length);
  const names = ["guided", "plain", "0000001200", "0000002400"];
  const files = await Promise.all(names.map((name) => readFile(join(straight, `samples-${name}.png`))));
  assert.deepEqual(shown, files);
  const section = (title: string): string => page.split(`<h2>${title}</h2>`)[1]?.split("</section>")[0] ?? "";
  // Error, loss, rate, gradient, speed, held-out error, activations, weights.
  assert.equal([...section("Training").matchAll(/<figure[^>]*><svg/g)].length, 8);
  const facts = page.split("<header>")[1]?.split("</header>")[0] ?? "";
  for (const fact of ["smoke: 40 images", "2,400", "8x8, colour", "sigma_rel 0.1"])
    assert.ok(facts.includes(fact), fact);
  assert.ok(section("Settings").includes("<dt>P_mean</dt><dd>-0.4</dd>"));
  assert.match(section("The same seeds while it trained"), /<figcaption>1,200 images<\/figcaption>/);
  const commands = [...section("From here").matchAll(/<pre>([^<]*)<\/pre>/g)].map(([, command = ""]) => command);
  assert.equal(commands.length, 3);
  for (const each of commands) assert.ok(each.startsWith("npx evenkeel ") && each.includes(`'${straight}`), each);
});

test("stopped by SIGINT and by SIGTERM, with a torn checkpoint, a run ends with the bits of one that wasn't", async () => {
  const broken = join(root, "broken run");
  const stopAt = (images: string, signal: NodeJS.Signals) => ({
    stop: [new RegExp(`  ${images} images`), signal] as const,
  });
  const start = ["train", "--config", join(root, "run.toml"), ...run, ...flags(broken)];
  const first = await evenkeelProcess(start, stopAt("400", "SIGINT"));
  assert.deepEqual([first.code, first.err], [130, ""]);
  assert.match(first.out, /SIGINT: finishing the step and writing a checkpoint; once more to stop at once\./);
  const [, seen = "", way = ""] = /Stopped after (\d+) images\. Go on with: (.*)\n$/.exec(first.out) ?? [];
  assert.equal(way, `npx evenkeel train --config '${join(broken, "settings.toml")}' --outdir '${broken}'`);
  const state = (images: number): string =>
    join(broken, `training-state-${String(images).padStart(10, "0")}.safetensors`);
  const stopped = Number(seen);
  assert.ok(stopped >= 400 && stopped < 2400);
  assert.equal((await readCheckpoint(diskFile(state(stopped)))).nimg, stopped);

  // Work after the checkpoint that a crash lost: a line of the log beyond it, torn, and a file half-written.
  await appendFile(join(broken, "stats.jsonl"), '{"nimg":2400,"Loss/error":{"mean":0}}\n{"nimg":24');
  await writeFile(join(broken, ".evenkeel-0123456789ab.partial"), "half");
  const second = await evenkeelProcess(again(broken), stopAt("1,600", "SIGTERM"));
  assert.deepEqual([second.code, second.err], [143, ""]);
  assert.match(second.out, new RegExp(`^Going on after ${stopped.toLocaleString("en")} images\\.$`, "m"));
  const newest = Number(/Stopped after (\d+) images/.exec(second.out)?.[1]);
  assert.ok(newest >= 1600 && newest < 2400);
  const whole = (await readFile(state(newest))).length;
  await truncate(state(newest), whole - 1);

  const third = await evenkeelProcess(again(broken));
  assert.deepEqual([third.code, third.err], [0, ""]);
  assert.match(third.out, new RegExp(`passing over a damaged checkpoint: .*training-state-0*${newest}\\.safetensors`));
  assert.doesNotMatch(third.out, new RegExp(`Going on after ${newest.toLocaleString("en")} images`));
  const expected = await trained(straight);
  assert.deepEqual(await trained(broken), expected);
  assert.deepEqual(await statsOf(broken), await statsOf(straight));
  assert.deepEqual(
    (await readdir(broken)).filter((name) => name.endsWith(".partial") || name.endsWith(".lock")),
    [],
  );
});

test("other settings or data than a run began with are refused, and nothing is overwritten", async () => {
  const other = join(root, "other.zip");
  await writePictures(other, true, 1);
  const before = await everything(straight);
  const cases: [string[], RegExp][] = [
    [["--lr", "0.03"], /training\.learningRate\.reference was 0\.02, now 0\.03/],
    [["--data", other], /data.* was .*, now /],
    [["--holdout", "6"], /other settings: holdout was 8, now 6\. Go on/],
    [["--channels", "8"], /training\.network\.unet\.modelChannels was 4, now 8/],
    [["--batch-device", "4"], /training\.batchDevice was 8, now 4/],
    [["--xflip"], /xflip was false, now true/],
    [["--seed", "1"], /training\.seed was 0, now 1/],
    [["--ema", "0.05,0.15"], /training\.emaSigmaRels was \[0\.05,0\.1\], now \[0\.05,0\.15\]/],
  ];
  for (const [change, pattern] of cases) {
    const { code, err } = await evenkeel([...again(straight), ...change]);
    assert.equal(code, 2, change.join(" "));
    assert.match(err, /^evenkeel: .* holds a run of 2400 images with other settings: .* or choose another folder\.\n$/);
    assert.match(err, pattern);
  }
  assert.deepEqual(await everything(straight), before);
});

test("a run made longer goes on from its end; stopped while it draws, it ends at once and draws again", async () => {
  const longer = join(root, "longer");
  await cp(straight, longer, { recursive: true });
  const stop = [/Making the post-hoc average/, "SIGINT"] as const;
  // The same data may lie elsewhere, and threads change no bits.
  const moved = join(root, "moved.zip");
  await cp(data, moved);
  const changed = ["--duration", "2480", "--data", moved, "--threads", "2"];
  const first = await evenkeelProcess([...again(longer), ...changed], { stop });
  assert.equal(first.code, 130);
  assert.match(
    first.err,
    /^SIGINT: stopped\. The run is finished and its files are whole\. Go on .*: npx evenkeel train /,
  );
  assert.deepEqual(
    (await readdir(longer)).filter((name) => name.endsWith(".partial") || name.endsWith(".lock")),
    [],
  );
  assert.match(first.out, /^Going on after 2,400 images\.$/m);
  const report = await readFile(join(longer, "report.html"), "utf8");
  const { code, out, err } = await evenkeelProcess(again(longer));
  assert.deepEqual([code, err], [0, ""]);
  assert.match(out, /^Going on after 2,480 images\.$/m);
  assert.notEqual(await readFile(join(longer, "report.html"), "utf8"), report);
  const stats = await statsOf(longer);
  assert.deepEqual(stats.slice(0, -1), await statsOf(straight));
  assert.equal(stats.at(-1)?.["nimg"], 2480);
  assert.equal(parse(await readFile(join(longer, "settings.toml"), "utf8"))["duration"], 2480);
});

/** A run as a page makes it, in a folder in memory, until it has seen so many images. */
async function runInMemory(settings: TrainSettings, dataset: TrainingDataset, until: number): Promise<Folder> {
  const { training: images, validation } = splitData(dataset, settings.holdout, settings.seed);
  const training = trainingOptions(settings, images);
  const folder = memoryFolder("page");
  const device = await createDevice("wasm", { wasm: { threads: 1, relaxed: true } });
  const stop = new AbortController();
  const listener: RunListener = {
    stepped: ({ nimg }) => {
      if (nimg >= until) stop.abort();
    },
  };
  const watch = new RunWatch({ settings, training, images, validation, device, folder, listener });
  const options = runOptions(settings, { dataset, images }, training, { folder, device });
  try {
    await runTraining({ ...options, signal: stop.signal }, watch.observer);
  } finally {
    watch.dispose();
    device.dispose();
  }
  return folder;
}

/** Puts a folder's files on the disk. */
async function putOnDisk(folder: Folder, outdir: string): Promise<void> {
  await mkdir(outdir);
  for (const name of await folder.list()) await writeFile(join(outdir, name), await readWhole(folder.file(name)));
}

test("a run that began in memory, without the command, goes on by it and ends with the same bits and lines", async () => {
  const outdir = join(root, "from elsewhere");
  const given = parseSettings(await readFile(join(straight, "settings.toml"), "utf8"), "settings.toml");
  const settings = completeSettings([{ from: "the page", values: { ...given, outdir } }]);
  await putOnDisk(await runInMemory(settings, await openDataset(data), 1000), outdir);
  const { code, out, err } = await evenkeelProcess(again(outdir));
  assert.deepEqual([code, err], [0, ""], err);
  assert.match(out, /Going on after 1,000 images/);
  assert.deepEqual(await trained(outdir), await trained(straight));
  assert.deepEqual(await statsOf(outdir), await statsOf(straight));
});

test("a page's run on emoji, of another folder, goes on by `train --outdir` without a gap in any of its files", async () => {
  const outdir = join(root, "unpacked");
  const source = "emoji8-google";
  const settings = completeSettings([
    {
      from: "the page",
      values: {
        ...{ outdir: "/the page's own/runs/1", data: source, preset: "smoke", device: "wasm", threads: 1 },
        ...{ channels: 4, "channel-mult": [1], blocks: 1, "attn-resolutions": [], "channels-per-head": 4 },
        ...{ batch: 8, duration: 480, holdout: 8, status: 80, checkpoint: 160, samples: 240, validation: 240 },
        ...{ snapshot: 0, dynamics: 7 },
      },
    },
  ]);
  const dataset = await loadEmoji(["google"], 8);
  const whole = await runInMemory(settings, dataset, Infinity);
  const part = await runInMemory(settings, dataset, 200);
  assert.ok(!(await part.list()).includes(`${source}.zip`), "the data aren't in a page's folder");
  await putOnDisk(part, outdir);
  const { code, out, err } = await evenkeelProcess(["train", "--outdir", outdir]);
  assert.equal(code, 0, err);
  assert.match(out, /^Going on after 200 images\.$/m);
  const wanted = join(root, "whole");
  await putOnDisk(whole, wanted);
  const made = await trained(outdir);
  // What the command makes at the end beside the run's own files.
  for (const name of made.keys()) if (/^(phema|samples-(plain|guided))/.test(name)) made.delete(name);
  assert.deepEqual(made, await trained(wanted));
  assert.deepEqual(await statsOf(outdir), await statsOf(wanted));
  const dynamics = (folder: string): Promise<string> => readFile(join(folder, "dynamics.jsonl"), "utf8");
  assert.equal(await dynamics(outdir), await dynamics(wanted));
  assert.equal(await readFile(join(outdir, "settings.toml"), "utf8"), formatSettings({ ...settings, outdir }));
  assert.ok(
    (await readdir(outdir)).some((name) => name.startsWith("events.out.tfevents")),
    "TensorBoard's events begin where the command goes on",
  );
});
