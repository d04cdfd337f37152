/** Ctrl-C, SIGTERM, a lost terminal and a closed pipe, in processes of the command. What is waited for is told by files and lines. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { readCheckpoint } from "../../diffusion/checkpoint/checkpoint.ts";
import { network, writePictures } from "./train/tinyRun.ts";

const command = fileURLToPath(new URL("../../cli/evenkeel.js", import.meta.url));
let root = "";
let data = "";
before(async () => {
  root = await mkdtemp(join(tmpdir(), "evenkeel-stop-"));
  data = join(root, "waves.zip");
  await writePictures(data, false);
});
after(() => rm(root, { recursive: true }));

type Ending = { readonly code: number | null; readonly out: string; readonly err: string };

/** Runs a command; `act` is called again and again with what it has printed, until it gives true. */
function evenkeel(
  args: readonly string[],
  act: (child: ReturnType<typeof spawn>, out: string) => boolean | Promise<boolean>,
): Promise<Ending> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [command, ...args], { stdio: ["ignore", "pipe", "pipe"] });
    let [out, err, isOver] = ["", "", false];
    child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (err += chunk.toString()));
    child.on("error", reject);
    child.on("close", (code) => {
      isOver = true;
      resolve({ code, out, err });
    });
    const look = async (): Promise<void> => {
      if (isOver || (await act(child, out))) return;
      setTimeout(() => void look(), 20);
    };
    void look();
  });
}

/** A run that would take hours and tells of nothing on the way but, with `--dynamics`, of its first step in a file. */
const endless = (outdir: string, threads: number): string[] => [
  ...["train", "--preset", "smoke", ...network, "--data", data, "--outdir", outdir, "--batch", "8"],
  ...["--duration", "80000000", "--status", "80000000", "--checkpoint", "80000000", "--samples", "80000000"],
  ...["--snapshot", "80000000", "--validation", "80000000", "--dynamics", "1000000"],
  ...["--device", "wasm", "--threads", String(threads)],
];

const filesOf = async (folder: string, pattern: RegExp): Promise<string[]> =>
  (await readdir(folder)).filter((name) => pattern.test(name));

async function hasStepped(outdir: string): Promise<boolean> {
  const text = await readFile(join(outdir, "dynamics.jsonl"), "utf8").catch(() => "");
  return text.split("\n").length > 2;
}

const codes = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;

for (const [threads, signal] of [
  [1, "SIGINT"],
  [2, "SIGTERM"],
  [1, "SIGHUP"],
] as const) {
  test(`${signal} ends silent training with a checkpoint on ${threads} threads`, async () => {
    const outdir = join(root, signal);
    let done = false;
    const { code, out } = await evenkeel(endless(outdir, threads), async (child) => {
      done = await hasStepped(outdir);
      return done && child.kill(signal);
    });
    assert.ok(done);
    assert.equal(code, codes[signal], out);
    assert.ok(out.includes(`${signal}: finishing the step and writing a checkpoint`), out);
    const nimg = Number(/Stopped after (\d+) images\. Go on with: evenkeel train /.exec(out)?.[1]);
    assert.ok(nimg >= 8 && nimg % 8 === 0, out);
    const states = await filesOf(outdir, /^training-state/);
    assert.deepEqual(states, [`training-state-${String(nimg).padStart(10, "0")}.safetensors`]);
    assert.equal((await readCheckpoint(join(outdir, states[0] ?? ""))).nimg, nimg);
    assert.deepEqual(await filesOf(outdir, /lock|partial/), []);
  });
}

test("a signal at the start of a run ends it and frees the folder", async () => {
  const outdir = join(root, "start");
  const { code, out, err } = await evenkeel(endless(outdir, 1), (child, text) => {
    return text.includes("Training ") && child.kill("SIGINT");
  });
  assert.equal(code, 130, err);
  assert.match(out + err, /SIGINT: |Stopped after 0 images/);
  assert.deepEqual(await filesOf(outdir, /lock|partial|training-state/), []);
});

test("when nobody reads what training prints any more, it ends with a checkpoint and not with 0", async () => {
  const outdir = join(root, "pipe");
  const args = [...endless(outdir, 1), "--status", "64"];
  const { code } = await evenkeel(args, (child, text) => {
    if (!/ 64 images/.test(text)) return false;
    child.stdout?.destroy();
    return true;
  });
  assert.equal(code, 141);
  assert.equal((await filesOf(outdir, /^training-state/)).length, 1);
  assert.deepEqual(await filesOf(outdir, /lock|partial/), []);
});

test("sampling ends at once with whole images, and says how many", async () => {
  const [snapshot = ""] = await filesOf(join(root, "SIGINT"), /^network-snapshot/);
  const [net, outdir] = [join(root, "SIGINT", snapshot), join(root, "images")];
  const args = ["sample", "--net", net, "--outdir", outdir, "--seeds", "0-9999", "--batch", "8", "--device", "wasm"];
  const { code, err } = await evenkeel(args, (child, text) => / of 10000 images/.test(text) && child.kill("SIGINT"));
  assert.equal(code, 130);
  const whole = Number(/^SIGINT: stopped\. (\d+) of 10000 images are whole/.exec(err)?.[1]);
  const names = await readdir(outdir);
  // The batch at hand may have been written in part: images of it, but none of half.
  assert.ok(names.length >= whole && names.length < whole + 8 && whole < 10_000, `${names.length} files: ${err}`);
  for (const name of names) {
    const bytes = await readFile(join(outdir, name));
    assert.match(name, /^\d{6}\.png$/);
    assert.equal(bytes.subarray(-8, -4).toString("latin1"), "IEND");
  }
});
