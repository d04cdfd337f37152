/** What can't be trained: one message, an exit code, and a folder as it was. */
import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { describeDenoiser } from "../../../diffusion/network/index.ts";
import { configurationNetwork } from "../../../diffusion/presets/index.ts";
import { writeSnapshot } from "../../../diffusion/snapshot/node.ts";
import { randomKey } from "../../../engine/index.ts";
import { flattenParameters, initializeParameters, type ParameterSpec } from "../../../nn/index.ts";
import { type Ending, evenkeel, evenkeelProcess, everything, run, statsOf, trained, writePictures } from "./tinyRun.ts";

let root = "";
let data = "";
let unlabelled = "";

before(async () => {
  root = await mkdtemp(join(tmpdir(), "evenkeel-refuse-"));
  [data, unlabelled] = [join(root, "waves.zip"), join(root, "unlabelled.zip")];
  await writePictures(data, true);
  await writePictures(unlabelled, false);
});
after(() => rm(root, { recursive: true }));

const train = (outdir: string, ...more: string[]): string[] => {
  return ["train", ...run, "--data", data, "--outdir", outdir, ...more];
};

/** One line on standard error, none of a stack, and this exit code. */
function assertRefused({ code, err }: Ending, exit: number, message: RegExp): void {
  assert.match(err, message);
  assert.match(err, /^[^\n]+\n$/);
  assert.equal(code, exit);
}

test("settings and data that don't fit are refused before anything is made", async () => {
  const garbage = join(root, "garbage.zip");
  await writeFile(garbage, "no zip at all");
  const config = join(root, "wrong.toml");
  await writeFile(config, "learning-rate = 3\n");
  const wider = join(root, "wider.safetensors");
  const unet = { imageResolution: 8, imageChannels: 3, labelDim: 3, modelChannels: 8, channelMult: [1], numBlocks: 1 };
  const network = configurationNetwork("G", { ...unet, attnResolutions: [], channelsPerHead: 4 });
  const weights = initializeParameters(flattenParameters<ParameterSpec>(describeDenoiser(network)), randomKey(0));
  const info = { network, nimg: 8000, sigmaRel: 0.1, classNames: null };
  await writeSnapshot(wider, info, new Map(Object.entries(weights)), "F16");
  const cases: [string[], 1 | 2, RegExp][] = [
    [["--data", join(root, "absent.zip")], 1, /^evenkeel: .*absent\.zip.*ENOENT/],
    [["--data", garbage], 1, /^evenkeel: .*garbage\.zip/],
    [["--data", join(root, "wrong.toml")], 1, /^evenkeel: .*wrong\.toml/],
    [["--data", "emoji16-nobody"], 2, /^evenkeel: --data emoji16-nobody: there are emoji of/],
    [
      ["--data", unlabelled, "--cond", "true"],
      2,
      /^evenkeel: train: cond is true, but .*unlabelled\.zip has no labels\. /,
    ],
    [["--batch-device", "5"], 2, /^evenkeel: training: batchDevice is 5, expected a divisor of the batch of 8\.$/m],
    [
      ["--noise-df", "1.5"],
      2,
      /^evenkeel: train: --noise-df is 1\.5; expected a number above 2, or 0 \(inf\) for Gaussian noise/,
    ],
    [
      ["--schedule", "cosine", "--rampup", "1"],
      2,
      /^evenkeel: learningRate: the rate rises over 1000000 images, and with/,
    ],
    [["--holdout", "48"], 2, /^evenkeel: .*48/],
    [["--channels", "5", "--channels-per-head", "2"], 2, /^evenkeel: .*channelsPerHead is 2, expected .* 5 channels/],
    [["--channel-mult", "1,2,2,2,2"], 2, /^evenkeel: .*imageResolution is 8, expected a multiple of 16/],
    [["--snapshot", "999"], 2, /^evenkeel: train: --snapshot is 999; expected 0, or at least 1000/],
    [["--config", config], 2, /^evenkeel: .*wrong\.toml: learning-rate is no option/],
    [["--config", join(root, "absent.toml")], 1, /^evenkeel: .*absent\.toml: .*ENOENT/],
    // Before data are read, let alone converted into the folder.
    [["--data", "emoji16", "--from", join(root, "absent.safetensors")], 1, /^evenkeel: .*absent\.safetensors.*ENOENT/],
    [
      ["--data", "emoji16", "--from", garbage],
      1,
      /^evenkeel: .*garbage\.zip: is a text.*Expected a network as \.safetensors/,
    ],
    [["--data", "emoji16", "--from", root], 1, /^evenkeel: train: .* has no post-hoc average/],
    [
      ["--from", wider],
      2,
      /wider\.safetensors can't be begun with: modelChannels of its network is 8, of this run's 4/,
    ],
  ];
  const before = (await readdir(root)).sort();
  const outdir = join(root, "new", "run");
  for (const [options, exit, message] of cases) {
    for (const more of [[], ["--dry-run"]]) {
      const ending = await evenkeel(train(outdir, ...options, ...more));
      assertRefused(ending, exit, message);
      assert.equal(ending.out, "", options.join(" "));
    }
  }
  assert.deepEqual((await readdir(root)).sort(), before);
});

test("a command line that isn't understood ends with 2", async () => {
  const outdir = join(root, "unknown");
  const cases: [string[], RegExp][] = [
    [["--nesterov", "0.9"], /^error: unknown option '--nesterov'/],
    [
      ["--preset", "smoky"],
      /^error: option '--preset <name>' argument 'smoky' is invalid\. Allowed choices are .*emoji16/,
    ],
    [["--batch", "many"], /^error: option '--batch <images>' argument 'many' is invalid\./],
    [["--lr", "fast"], /^error: option '--lr <rate>' argument 'fast' is invalid\. wanted a number\./],
    [["--cond", "maybe"], /^error: option '--cond <bool>' argument 'maybe' is invalid\. wanted true or false\./],
    [["--ema", "0.05,0.3"], /^error: option '--ema <list>' argument '0\.05,0\.3' is invalid\. "0\.3" is no sigma_rel/],
    [["--device", "tpu"], /^error: option '--device <name>' argument 'tpu' is invalid\./],
  ];
  for (const [options, message] of cases) assertRefused(await evenkeel(train(outdir, ...options)), 2, message);
  assertRefused(await evenkeel(["train", ...run]), 2, /^error: required option '--outdir <folder>' not specified/);
  await assert.rejects(readdir(outdir), { code: "ENOENT" });
});

test("images without labels are trained on without, unless labels are asked for", async () => {
  const outdir = join(root, "without");
  const { code, out } = await evenkeel(["train", ...run, "--data", unlabelled, "--outdir", outdir, "--dry-run"]);
  assert.equal(code, 0);
  assert.doesNotMatch(out, /^cond/m);
});

test("a file in place of the folder, or above it, is an error that names it", async () => {
  const file = join(root, "file");
  await writeFile(file, "precious");
  const before = (await readdir(root)).sort();
  assertRefused(await evenkeel(train(file)), 1, /^evenkeel: .*file: making the folder failed: .*EEXIST/);
  assertRefused(await evenkeel(train(join(file, "run"))), 1, /^evenkeel: .*run: making the folder failed: .*ENOTDIR/);
  assert.deepEqual((await readdir(root)).sort(), before);
});

test("a folder in which nothing may be written is an error that names it", async (t) => {
  const folder = join(root, "readOnly");
  await mkdir(folder);
  await chmod(folder, 0o500);
  // Root may write there all the same; the kernel's own file system refuses even root.
  const isRoot = await writeFile(join(folder, "try"), "").then(
    () => true,
    () => false,
  );
  const refused = isRoot ? "/sys/kernel" : folder;
  if (isRoot && process.platform !== "linux") return t.skip("root may write everywhere");
  assertRefused(await evenkeel(train(refused)), 1, /^evenkeel: .*: writing into it failed: .*E(ACCES|PERM|ROFS)/);
  await chmod(folder, 0o700);
  return undefined;
});

const noLimits = process.platform === "win32" ? "no limit on the size of files" : false;

test("a disk that takes no more ends the run with a message; what was written stays whole", {
  skip: noLimits,
}, async () => {
  const outdir = join(root, "full");
  // A snapshot has some 30 kB and fits, a checkpoint of weights, moments and averages doesn't.
  const started = await evenkeelProcess(train(outdir), { fileLimit: 40 });
  assertRefused(started, 1, /^evenkeel: .*training-state-0000000400\.safetensors.*EFBIG/);
  const left = [...(await everything(outdir)).keys()].map((name) => name.replace(/tfevents\..*/, "tfevents"));
  assert.deepEqual(left, [
    "events.out.tfevents",
    "network-snapshot-0000000-0.050.safetensors",
    "network-snapshot-0000000-0.100.safetensors",
    "settings.toml",
    "stats.jsonl",
  ]);
  assert.deepEqual(
    (await statsOf(outdir)).map(({ nimg }) => nimg),
    [200, 400],
  );
});

test("a loss that isn't finite ends the run with step, sigma and layer; the last checkpoint stays", async () => {
  const outdir = join(root, "diverged");
  // The rate is 0 in the first step, 8e24 in the second, and the third overflows.
  const wild = train(outdir, "--lr", "1e30", "--rampup", "1", "--checkpoint", "16");
  const place =
    /in step 2 \(images 16 to 23\), image \d+ at sigma \d+\.\d+: it began at loss, where \d+ of 1536 values/;
  const first = await evenkeelProcess(wild);
  assertRefused(first, 1, /^evenkeel: training: the loss is (Infinity|NaN) /);
  assert.match(first.err, place);
  const left = await trained(outdir);
  assert.ok(left.has("training-state-0000000016.safetensors"));
  // Gone on from there, it comes to the same end.
  const second = await evenkeelProcess(wild);
  assert.equal(second.err, first.err);
  assert.match(second.out, /^Going on after 16 images\.$/m);
  assert.deepEqual(await trained(outdir), left);
  const tamer = await evenkeel(train(outdir, "--lr", "0.02", "--rampup", "1"));
  assertRefused(tamer, 2, /reference was 1e\+30, now 0\.02\. Go on with the settings it began with, or choose another/);
});
