/** Ctrl-C, SIGTERM, a lost terminal and a closed pipe, in processes of the command. What is waited for is told by files and lines. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { closeSync, existsSync, openSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { readCheckpoint } from "../../diffusion/checkpoint/checkpoint.ts";
import { formatSnapshotName } from "../../diffusion/ema/snapshotNames.ts";
import { readSafetensors, writeSafetensors } from "../../engine/io/node.ts";
import { bundledCli } from "../support/bundledProgram.ts";
import { network, writePictures } from "./train/tinyRun.ts";
import { diskFile } from "../../engine/io/node.ts";

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
async function evenkeel(
  args: readonly string[],
  act: (child: ReturnType<typeof spawn>, out: string) => boolean | Promise<boolean>,
  nodeArgs: readonly string[] = [],
): Promise<Ending> {
  const command = await bundledCli();
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...nodeArgs, command, ...args], { stdio: ["ignore", "pipe", "pipe"] });
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
    const nimg = Number(/Stopped after (\d+) images\. Go on with: npx evenkeel train /.exec(out)?.[1]);
    assert.ok(nimg >= 8 && nimg % 8 === 0, out);
    const states = await filesOf(outdir, /^training-state/);
    assert.deepEqual(states, [`training-state-${String(nimg).padStart(10, "0")}.safetensors`]);
    assert.equal((await readCheckpoint(diskFile(join(outdir, states[0] ?? "")))).nimg, nimg);
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

test("a second Ctrl-C ends training at once, and the last checkpoint is whole", async () => {
  const outdir = join(root, "twice");
  // The oracle takes seconds for a step: the first one's checkpoint tells that the second has begun.
  const slow = ["--batch", "256", "--checkpoint", "256", "--device", "oracle"];
  let [written, asked] = [Infinity, Infinity];
  const { code, out, err } = await evenkeel([...endless(outdir, 1), ...slow], async (child) => {
    const now = performance.now();
    // Signals within half a second are one.
    if (asked < Infinity) return now - asked > 600 && child.kill("SIGINT");
    const states = await filesOf(outdir, /^training-state/).catch(() => []);
    if (states.length > 0) written = Math.min(written, now);
    // A signal between the file and the step ends the run there.
    if (now - written > 200 && child.kill("SIGINT")) asked = now;
    return false;
  });
  assert.equal(code, 130, out + err);
  assert.match(err, /^SIGINT: stopped\. /m, out);
  const states = await filesOf(outdir, /^training-state/);
  assert.deepEqual(states, ["training-state-0000000256.safetensors"]);
  assert.equal((await readCheckpoint(diskFile(join(outdir, states[0] ?? "")))).nimg, 256);
  assert.deepEqual(await filesOf(outdir, /lock|partial/), []);
});

test("when nobody reads what training prints any more, it ends with a checkpoint and not with 0", async () => {
  const outdir = join(root, "pipe");
  const args = [...endless(outdir, 1), "--status", "64"];
  const { code, err } = await evenkeel(args, (child, text) => {
    if (!/ 64 images +error/.test(text)) return false;
    child.stdout?.destroy();
    return true;
  });
  assert.equal(code, 141);
  assert.match(err, /^Stopped after \d+ images\. Go on with: npx evenkeel train --config /m);
  assert.equal((await filesOf(outdir, /^training-state/)).length, 1);
  assert.deepEqual(await filesOf(outdir, /lock|partial/), []);
});

test("a full disk behind what is printed is told in words, and nothing is left", {
  skip: !existsSync("/dev/full"),
}, async () => {
  const outdir = join(root, "full");
  const command = await bundledCli();
  const full = openSync("/dev/full", "w");
  for (const args of [endless(outdir, 1), ["count", "--preset", "smoke"]]) {
    const { status, stderr } = spawnSync(process.execPath, [command, ...args], {
      encoding: "utf8",
      stdio: ["ignore", full, "pipe"],
    });
    assert.equal(status, 1, stderr);
    const [said = "", ...rest] = stderr.trimEnd().split("\n");
    assert.match(said, /^evenkeel: standard output: writing failed: the disk is full\. .*\(ENOSPC\)\.$/);
    // Training that has begun ends in order.
    assert.ok(
      rest.every((line) => line === "output error: stopped. The files that are there are whole."),
      stderr,
    );
  }
  closeSync(full);
  assert.deepEqual(await filesOf(outdir, /lock|partial/), []);
});

test("sampling ends at once with whole images, and says how many", async () => {
  const [snapshot = ""] = await filesOf(join(root, "SIGINT"), /^network-snapshot/);
  const [net, outdir] = [join(root, "SIGINT", snapshot), join(root, "images")];
  const args = ["sample", "--net", net, "--outdir", outdir, "--seeds", "0-9999", "--batch", "8", "--device", "wasm"];
  const { code, err } = await evenkeel(args, (child, text) => / of 10000 images/.test(text) && child.kill("SIGINT"));
  assert.equal(code, 130);
  const whole = Number(/^SIGINT: stopped\. (\d+) of 10000 images are whole/m.exec(err)?.[1]);
  const names = await readdir(outdir);
  // The batch at hand may have been written in part: images of it, but none of half.
  assert.ok(names.length >= whole && names.length < whole + 8 && whole < 10_000, `${names.length} files: ${err}`);
  for (const name of names) {
    const bytes = await readFile(join(outdir, name));
    assert.match(name, /^\d{6}\.png$/);
    assert.equal(bytes.subarray(-8, -4).toString("latin1"), "IEND");
  }
});

/** Makes a process print a line once it listens to SIGTERM. */
const tellsWhenItListens = `data:text/javascript,${encodeURIComponent(
  `const on = process.on;
  process.on = function (name, ...rest) {
    if (name === "SIGTERM") process.stdout.write("listens\\n");
    return on.call(this, name, ...rest);
  };`,
)}`;

/** Half a second after it listens. */
function listens(): Begun {
  let since = Infinity;
  return (_, out) => {
    if (out.startsWith("listens")) since = Math.min(since, performance.now());
    return performance.now() - since > 500;
  };
}

type Begun = (child: ReturnType<typeof spawn>, out: string) => boolean | Promise<boolean>;
const says =
  (pattern: RegExp): Begun =>
  (_, out) =>
    pattern.test(out);

/** Commands that would take minutes, when they are well under way, and what they say once they are stopped. */
const long: readonly {
  readonly name: string;
  readonly args: (folder: string) => readonly string[];
  readonly begun: () => Begun;
  readonly said: RegExp;
}[] = [
  {
    name: "phema",
    args: (folder) => {
      const averages = ["--outdir", folder, "--outstd", "0.010,0.011,...,0.250", "--batch", "1"];
      return ["phema", "--indir", join(root, "averages"), ...averages];
    },
    begun: () => says(/phema-\d+-0\.0/),
    said: /^SIGTERM: stopped\. \d+ of 241 averages are whole; --skip leaves these as they are\.$/m,
  },
  {
    name: "dataset convert",
    args: (folder) => {
      const size = ["--resolution", "64x64", "--transform", "contain"];
      return [
        "dataset",
        "convert",
        "--source",
        join(root, "noise-images-idx3-ubyte"),
        "--dest",
        join(folder, "a.zip"),
        ...size,
      ];
    },
    begun: listens,
    said: /^SIGTERM: stopped\. .*a\.zip was not written\.$/m,
  },
  {
    name: "metrics",
    args: () => {
      const noise = join(root, "noise-images-idx3-ubyte");
      const wanted = ["--metrics", "frechet,kid,precision", "--kid-subsets", "600", "--device", "oracle"];
      return ["metrics", "calc", "--images", noise, "--ref", noise, "--features", "pixels", ...wanted];
    },
    begun: listens,
    said: /^SIGTERM: stopped\. The files that are there are whole\.$/m,
  },
  {
    name: "ladder",
    args: (folder) => {
      const size = ["--channels", "4", "--channels-per-head", "4", "--duration", "8000000", "--holdout", "8"];
      return [
        "ladder",
        "--preset",
        "smoke",
        "--features",
        "pixels",
        "--data",
        data,
        "--outdir",
        folder,
        "--rungs",
        "G",
        ...size,
      ];
    },
    begun: () => says(/\[1 of 1\] .*: training[^]* images/),
    said: /^SIGTERM: (stopped|finishing)[^]*Go on with: npx evenkeel ladder /m,
  },
];

test("commands under way end at SIGTERM with 143, whole files and a line that says so", async (t) => {
  // 20,000 pictures of 16x16.
  const header = Uint8Array.of(0, 0, 8, 3, 0, 0, 78, 32, 0, 0, 0, 16, 0, 0, 0, 16);
  const bytes = new Uint8Array(16 + 20_000 * 256).map((_, i) => header[i] ?? (i * i) >> 7);
  await writeFile(join(root, "noise-images-idx3-ubyte"), bytes);
  await mkdir(join(root, "averages"));
  for (const sigmaRel of [0.05, 0.1]) {
    const metadata = { evenkeel: JSON.stringify({ version: 1, kind: "snapshot", nimg: 1000, sigmaRel, network: {} }) };
    const name = `${formatSnapshotName("network-snapshot", 1000, sigmaRel)}.safetensors`;
    const arrays = { w: { dtype: "F32", shape: [500_000], data: new Float32Array(500_000) } } as const;
    await writeSafetensors(join(root, "averages", name), arrays, { metadata });
  }
  for (const { name, args, begun, said } of long) {
    await t.test(name, async () => {
      const folder = join(root, `stopped ${name}`);
      await mkdir(folder);
      const isUnderWay = begun();
      const stop: Begun = async (child, text) => (await isUnderWay(child, text)) && child.kill("SIGTERM");
      const { code, out, err } = await evenkeel(args(folder), stop, ["--import", tellsWhenItListens]);
      assert.equal(code, 143, out + err);
      assert.match(out + err, said);
      for (const file of await readdir(folder, { recursive: true })) {
        assert.doesNotMatch(file, /lock|partial/);
        if (file.endsWith(".safetensors")) await readSafetensors(join(folder, file));
      }
    });
  }
});
