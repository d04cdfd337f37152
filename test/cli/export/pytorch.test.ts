/** Runs that go on in PyTorch, in one process or two, and come back: the losses are those of the run that stayed here. */
import assert from "node:assert/strict";
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { readStats } from "../../../diffusion/run/index.ts";
import { readCheckpoint } from "../../../diffusion/checkpoint/checkpoint.ts";
import { findStartWeights } from "../../../diffusion/run/node.ts";
import { readSnapshot } from "../../../diffusion/snapshot/node.ts";
import { diskFile, diskFolder } from "../../../engine/io/node.ts";
import { runPython, skip, stopPython } from "../../torch/pytorch.ts";
import { evenkeel, writePictures } from "../train/tinyRun.ts";

let root = "";
let data = "";

before(async () => {
  root = await mkdtemp(join(tmpdir(), "evenkeel-export-"));
  data = join(root, "waves.zip");
  await writePictures(data, true);
});
after(() => rm(root, { recursive: true }));

const [batch, steps, more] = [8, 20, 5];
const place = (...names: readonly string[]): string => join(root, ...names);

/** Two resolutions, attention, labels that are dropped, images that are mirrored, two averages. */
const tiny = [
  ...["--preset", "smoke", "--channels", "8", "--channel-mult", "1,2", "--blocks", "1", "--attn-resolutions", "4"],
  ...["--channels-per-head", "8", "--label-dropout", "0.25", "--xflip", "--holdout", "8", "--seed", "5"],
  ...["--batch", String(batch), "--duration", String(batch * (steps + more)), "--status", String(batch)],
  ...["--checkpoint", "0", "--samples", "0", "--validation", "0", "--snapshot", "0", "--threads", "1"],
];

async function succeed(...args: readonly string[]): Promise<string> {
  const { code, out, err } = await evenkeel(args);
  assert.equal(code, 0, err);
  return out;
}

/** Settings of a run that hasn't begun, and the same in a folder for PyTorch. */
async function exported(name: string, ...options: readonly string[]): Promise<{ file: string; folder: string }> {
  const file = place(`${name}.toml`);
  await writeFile(file, await succeed("train", ...tiny, "--data", data, ...options, "--dry-run"));
  await succeed("export", "--to", "pytorch", file);
  return { file, folder: place(`${name}-pytorch`) };
}

/** Loss of each step. */
async function lossesOf(folder: string): Promise<number[]> {
  const entries = await readStats(diskFile(join(folder, "stats.jsonl")));
  return entries.map(({ "Loss/loss": loss }) => {
    assert.ok(typeof loss === "object" && loss !== null && typeof loss["mean"] === "number");
    return loss["mean"];
  });
}

function assertSame(found: readonly number[], wanted: readonly number[], tolerance = 1e-4): void {
  assert.equal(found.length, wanted.length);
  for (const [step, loss] of wanted.entries()) {
    const error = Math.abs((found[step] ?? NaN) - loss) / Math.max(1, Math.abs(loss));
    assert.ok(error <= tolerance, `step ${step}: ${found[step]} instead of ${loss}`);
  }
}

describe("a run that is exported to PyTorch", { skip }, () => {
  for (const [config, ...options] of [["A", "--dropout", "0.125"], ["D"], ["G", "--dropout", "0.125"]] as const) {
    it(`goes on there and comes back as it would have gone on here: ${config}`, async () => {
      const { file, folder } = await exported(config, "--config", config, ...options);
      const [here, two] = [place(config), place(`${config}-two`)];
      await cp(folder, two, { recursive: true });
      await succeed("train", "--config", file, "--outdir", here);
      const wanted = await lossesOf(here);
      assert.equal(wanted.length, steps + more);
      assert.ok(Math.abs((wanted[0] ?? 0) - (wanted[steps] ?? 0)) > 0.01, "the run does nothing");

      await runPython(folder, ["train.py", "--steps", String(steps)]);
      assertSame(await lossesOf(folder), wanted.slice(0, steps));
      await succeed("train", "--config", join(folder, "settings.toml"), "--outdir", folder);
      assertSame(await lossesOf(folder), wanted);
      const ofRun = (names: readonly string[]): string[] =>
        names.filter((name) => /^(network|phema)/.test(name)).sort();
      assert.deepEqual(ofRun(await readdir(folder)), ofRun(await readdir(here)));

      if (config !== "G") return;
      // Each has four images of a batch, which go through the network three and one at a time.
      // Debian 12's PyTorch can't read the defaults of -r and -t with its Python: they name a process that isn't there.
      const shared = ["-m", "torch.distributed.run", "--standalone", "-r", "9:1", "-t", "9:1", "--nproc_per_node", "2"];
      await runPython(two, [...shared, "train.py", "--images", "3", "--steps", String(steps)]);
      assertSame(await lossesOf(two), wanted.slice(0, steps));
    });
  }

  it("goes on from the middle of a run, in a copy, to another end", async () => {
    const here = place("middle");
    await succeed("train", ...tiny, "--data", data, "--duration", String(3 * batch), "--outdir", here);
    const duration = ["--duration", String(6 * batch)];
    await succeed("export", "--to", "pytorch", here, ...duration, "--outdir", place("moved"));
    // Asked to stop, as the end of a job's time asks, it finishes the step and writes a checkpoint.
    await stopPython(place("moved"), ["train.py", "--losses"], /^loss after 32:/m);
    const stopped = (await lossesOf(place("moved"))).length;
    assert.ok(stopped >= 4 && stopped <= 6, `${stopped} steps`);
    await runPython(place("moved"), ["train.py"]);
    await succeed("train", "--config", join(here, "settings.toml"), "--outdir", here, ...duration);
    const wanted = await lossesOf(here);
    assert.equal(wanted.length, 6);
    assertSame(await lossesOf(place("moved")), wanted);
  });

  it("multiplies in 16 bits if it is asked to", async () => {
    const { folder } = await exported("half");
    const exact = place("exact");
    await cp(folder, exact, { recursive: true });
    await runPython(exact, ["train.py", "--steps", "3"]);
    await runPython(folder, ["train.py", "--steps", "3", "--precision", "bfloat16"]);
    const [found, wanted] = [await lossesOf(folder), await lossesOf(exact)];
    assertSame(found, wanted, 0.02);
    assert.notDeepEqual(found, wanted);
  });

  it("is refused with what is wrong", async () => {
    const { folder } = await exported("wrong");
    const file = join(folder, "run.json");
    const text = await readFile(file, "utf8");
    for (const [change, told] of [
      [text.replace('"version": 1,', '"version": 9,'), /run\.json: has version 9; this program knows 1/],
      [
        text
          .replace('"xflip": true,\n "labelDim"', '"xflip": false,\n "labelDim"')
          .replace(/"holdout": 8/, '"holdout": 4'),
        /holdout was 8, here it is 4/,
      ],
      [
        text.replace(/"weights\.unet\.out_gain": \[\]/, '"weights.unet.out_gain": [3]'),
        /weights\.unet\.out_gain has the shape \[\], expected \[3\]/,
      ],
    ] as const) {
      assert.notEqual(change, text);
      await writeFile(file, change);
      await assert.rejects(runPython(folder, ["train.py"]), told);
    }
    await writeFile(file, text);
    await assert.rejects(runPython(folder, ["train.py", "--images", "-1"]), /--images -1: expected 1 or more/);
    const [, checkpoint = ""] = /(training-state-\d+\.safetensors)/.exec((await readdir(folder)).join(" ")) ?? [];
    await writeFile(join(folder, checkpoint), (await readFile(join(folder, checkpoint))).subarray(0, -4));
    await assert.rejects(runPython(folder, ["train.py"]), /no checkpoint can be read.*is damaged/s);
  });
});

describe("export", () => {
  const refused = async (args: readonly string[], told: RegExp): Promise<void> => {
    const { code, err } = await evenkeel(["export", "--to", "pytorch", ...args]);
    assert.equal(code, 1);
    assert.match(err, told);
  };

  it("begins a run with the weights of another network, if its settings say so", async () => {
    const teacher = place("teacher");
    await succeed("train", ...tiny, "--data", data, "--duration", String(2 * batch), "--outdir", teacher);
    const file = place("begun.toml");
    await writeFile(file, await succeed("train", ...tiny, "--data", data, "--from", teacher, "--dry-run"));
    await succeed("export", "--to", "pytorch", file);
    const name = "unet.enc.8x8_conv.weight";
    const { arrays } = await readCheckpoint(
      diskFolder(place("begun-pytorch")).file("training-state-0000000000.safetensors"),
    );
    const { network } = await readSnapshot(join(teacher, "phema-0000000-0.100.safetensors"));
    const start = await findStartWeights(teacher);
    const wanted = await (await start.read(network))[name]?.data();
    const found = await arrays.get(`weights.${name}`)?.data();
    assert.ok(wanted !== undefined && found !== undefined);
    // Stored in 16 bits, and normalized when a run begins.
    for (const [i, value] of wanted.entries()) assert.ok(Math.abs(value - (found[i] ?? NaN)) < 0.01, `${i}`);
    await rm(teacher, { recursive: true });
    await rm(place("begun-pytorch"), { recursive: true });
    // Without them nothing is begun.
    await refused([file], /teacher.*no such file or folder/);
    await assert.rejects(readdir(place("begun-pytorch")), { code: "ENOENT" });
  });

  it("refuses what is no run, and a folder that isn't empty", async () => {
    await refused([place("nowhere")], /nowhere.*settings\.toml/);
    const file = place("full.toml");
    await writeFile(file, await succeed("train", ...tiny, "--data", data, "--dry-run"));
    await refused([file, "--outdir", root], /holds files already.*wanted an empty folder/);
    await succeed("export", "--to", "pytorch", file, "--outdir", place("full"));
    await rm(place("full", "training-state-0000000000.safetensors"));
    await refused([place("full"), "--outdir", place("again")], /holds no checkpoint/);
  });
});
