import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test, type TestContext } from "node:test";
import { Command } from "@commander-js/extra-typings";
import { addDoctorCommand } from "../../cli/commands/doctor.ts";
import type { DynamicsSample } from "../../diffusion/dynamics/index.ts";
import { DynamicsLog } from "../../diffusion/dynamics/dynamicsFile.ts";
import { readDynamics } from "../../diffusion/dynamics/node.ts";
import { runTraining, StatsLog } from "../../diffusion/run/index.ts";
import { createDevice } from "../../engine/index.ts";
import { smallBatch, smallOptions } from "../diffusion/training/smallRun.ts";
import { evenkeel, evenkeelProcess, run as tinyRun, writePictures } from "./train/tinyRun.ts";
import { diskFile, diskFolder } from "../../engine/io/node.ts";

let root = "";
let healthy = "";
before(async () => {
  root = await mkdtemp(join(tmpdir(), "evenkeel-doctor-"));
  healthy = join(root, "healthy");
  const device = await createDevice("wasm");
  const { network, batch } = smallOptions;
  const [steps, every] = [60, 5];
  const errors: { nimg: number; error: number; loss: number }[] = [];
  try {
    await runTraining(
      {
        folder: diskFolder(healthy),
        training: {
          ...smallOptions,
          network: { ...network, unet: { ...network.unet, modelChannels: 8, channelsPerHead: 8, channelMult: [1, 2] } },
        },
        duration: steps * batch,
        intervals: { status: 0, snapshot: 0, checkpoint: 0, samples: 0, validation: 0 },
        dynamicsEvery: every,
        snapshotDtype: "F32",
        classNames: null,
        device,
        fixed: {},
        nextBatch: smallBatch,
      },
      { stepped: (step) => void errors.push(step) },
    );
  } finally {
    device.dispose();
  }
  const log = await StatsLog.open(diskFile(join(healthy, "stats.jsonl")), 0);
  for (const { nimg, error, loss } of errors) {
    await log.append({ nimg, "Loss/error": { mean: error, nonFinite: 0 }, "Loss/loss": { mean: loss, nonFinite: 0 } });
  }
});
after(() => rm(root, { recursive: true }));

type Outcome = {
  readonly output: string;
  readonly failure: Error | undefined;
  readonly exitCode: typeof process.exitCode;
};

/** Runs `evenkeel doctor` in this process. */
async function doctor(t: TestContext, ...args: readonly string[]): Promise<Outcome> {
  const output: string[] = [];
  const log = t.mock.method(console, "log", (text: string) => void output.push(text));
  const program = new Command("evenkeel").exitOverride().configureOutput({ writeErr: () => undefined });
  addDoctorCommand(program);
  const before = process.exitCode;
  process.exitCode = undefined;
  let failure: Error | undefined;
  try {
    await program.parseAsync(["doctor", ...args], { from: "user" });
  } catch (reason) {
    assert.ok(reason instanceof Error);
    failure = reason;
  } finally {
    log.mock.restore();
  }
  const { exitCode } = process;
  process.exitCode = before;
  return { output: output.join("\n"), failure, exitCode };
}

/** The healthy run's dynamics with every sample changed, in a folder of its own. */
async function brokenRun(name: string, change: (sample: DynamicsSample) => DynamicsSample): Promise<string> {
  const folder = await mkdtemp(join(root, `${name}-`));
  const dynamics = await readDynamics(join(healthy, "dynamics.jsonl"));
  assert.ok(dynamics !== null);
  const log = await DynamicsLog.open(diskFile(join(folder, "dynamics.jsonl")), dynamics.header, 0);
  for (const sample of dynamics.samples) await log.append(change(sample));
  return folder;
}

test("a healthy run has nothing wrong, and the exit code is 0", async (t) => {
  const { output, failure, exitCode } = await doctor(t, healthy);
  assert.equal(failure, undefined);
  assert.equal(exitCode, undefined);
  assert.match(output, /healthy: 480 of 480 images, 13 samples of its dynamics/);
  assert.match(output, /Nothing looks wrong\.$/);
});

test("a broken run is told in words: what, where, what it means, what to try; the exit code is 1", async (t) => {
  const folder = await brokenRun("weights", (sample) => ({
    ...sample,
    readings: { ...sample.readings, weight: sample.readings.weight.map(() => 1 + sample.nimg / 400) },
  }));
  const { output, exitCode } = await doctor(t, folder);
  assert.equal(exitCode, 1);
  assert.match(
    output,
    /^ERROR {2}weights: (\d+) of \1 weights are not of unit magnitude when a step begins, and \1 of them grow\.$/m,
  );
  assert.match(output, /^ {2}where {3}.*\(2\.2\).* and \d+ more$/m);
  assert.match(output, /^ {2}means {3}Forced normalization does not take place/m);
  assert.match(output, /^ {2}try {5}Set stored weights to unit magnitude/m);
  assert.match(output, /1 error, 0 warnings\.$/);
});

test("--json gives all findings as data", async (t) => {
  const folder = await brokenRun("attention", (sample) => ({
    ...sample,
    readings: { ...sample.readings, entropyMin: sample.readings.entropyMin.map(() => 0.001) },
  }));
  const { output, exitCode } = await doctor(t, folder, "--json");
  assert.equal(exitCode, 1);
  const report = JSON.parse(output) as {
    healthy: boolean;
    nimg: number;
    findings: { check: string; severity: string }[];
  };
  assert.equal(report.healthy, false);
  assert.equal(report.nimg, 480);
  assert.deepEqual(
    report.findings.map(({ check, severity }) => [check, severity]),
    [["attention", "error"]],
  );
});

test("a run without dynamics is looked over by its losses and its checkpoint", async (t) => {
  const folder = await mkdtemp(join(root, "losses-"));
  await writeFile(join(folder, "stats.jsonl"), await readFile(join(healthy, "stats.jsonl")));
  const sound = await doctor(t, folder);
  assert.equal(sound.exitCode, undefined);
  assert.match(sound.output, /NOTE {2}run: the run has no record of its dynamics\./);
  const log = await StatsLog.open(diskFile(join(folder, "stats.jsonl")), 10_000);
  await log.append({ nimg: 488, "Loss/error": { mean: 0.5, nonFinite: 2 }, "Loss/loss": { mean: 0.5, nonFinite: 2 } });
  const broken = await doctor(t, folder);
  assert.equal(broken.exitCode, 1);
  assert.match(broken.output, /ERROR {2}loss: the loss was not finite around 488 images\./);
});

test("settings that were changed after the run are told with what it was trained with", async (t) => {
  const outdir = join(root, "changed");
  const data = join(root, "waves.zip");
  await writePictures(data, true);
  const ending = await evenkeel(["train", ...tinyRun, "--duration", "16", "--data", data, "--outdir", outdir]);
  assert.equal(ending.code, 0, ending.err);
  assert.doesNotMatch((await doctor(t, outdir)).output, /other settings/);
  const file = join(outdir, "settings.toml");
  const text = await readFile(file, "utf8");
  assert.match(text, /^lr = 0\.02$/m);
  await writeFile(file, text.replace(/^lr = 0\.02$/m, "lr = 0.5"));
  const { output } = await doctor(t, outdir);
  assert.match(output, /WARNING {2}run: settings\.toml has other settings .*: .*reference was 0\.02, now 0\.5\./);
  // Settings that no run can have are told, too, and the rest of the run is looked at all the same.
  const unequalHeads = { channels: "10", "channels-per-head": "3", "attn-resolutions": "[8]" };
  const changed = Object.entries(unequalHeads).reduce((now, [name, value]) => {
    const line = new RegExp(`^${name} = .*$`, "m");
    assert.match(now, line);
    return now.replace(line, `${name} = ${value}`);
  }, text);
  await writeFile(file, changed);
  const impossible = await doctor(t, outdir);
  assert.match(
    impossible.output,
    /WARNING {2}run: settings\.toml has other settings .*: unetConfig: channelsPerHead is 3/,
  );
  assert.match(impossible.output, /16 of 16 images/);
  // A shorter end changes nothing of what has been seen, and is told.
  await writeFile(file, text.replace(/^duration = 16$/m, "duration = 8"));
  const shorter = await evenkeelProcess(["train", "--outdir", outdir]);
  assert.match(shorter.out, /the run has seen 16 images, more than the 8 of --duration: it stays as it is/);
});

test("a folder without a run, a file, and nothing at all are refused", async (t) => {
  const folder = await mkdtemp(join(root, "empty-"));
  assert.match(
    (await doctor(t, folder)).failure?.message ?? "",
    /holds no training run: neither stats\.jsonl nor dynamics\.jsonl/,
  );
  const file = join(folder, "file");
  await writeFile(file, "");
  assert.match((await doctor(t, file)).failure?.message ?? "", /this is no folder/);
  assert.match((await doctor(t, join(folder, "absent"))).failure?.message ?? "", /there is nothing/);
});
