/** What shards make together is what one process makes, byte for byte, also if they are killed at any instant. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { killRepeatedly, runUntil } from "../../support/killRepeatedly.ts";
import { network, trained, writePictures } from "../train/tinyRun.ts";

let root = "";
let data = "";
before(async () => {
  root = await mkdtemp(join(tmpdir(), "evenkeel-killed-"));
  data = join(root, "waves.zip");
  await writePictures(data, true);
});
after(() => rm(root, { recursive: true }));

const kills = 10;

/** Results without what differs from call to call: times, and the command, which names its folder. */
async function resultsIn(folder: string): Promise<string> {
  const results = JSON.parse(await readFile(join(folder, "results.json"), "utf8")) as unknown;
  return JSON.stringify(results, (name, value: unknown) =>
    ["date", "command", "trainingSeconds"].includes(name) ? null : value,
  );
}

/** Hashes of the files of all runs, and of pictures beside them. */
async function runsIn(folder: string): Promise<Map<string, Map<string, string>>> {
  const names = (await readdir(join(folder, "runs"))).sort();
  return new Map(
    await Promise.all(names.map(async (name) => [name, await trained(join(folder, "runs", name))] as const)),
  );
}

/** Hashes of a folder's files but for those that the work is described in. */
async function filesIn(folder: string): Promise<Map<string, string>> {
  const names = (await readdir(folder)).filter((name) => !name.endsWith(".json")).sort();
  const hash = async (name: string): Promise<string> =>
    createHash("sha256")
      .update(await readFile(join(folder, name)))
      .digest("hex");
  return new Map(await Promise.all(names.map(async (name) => [name, await hash(name)] as const)));
}

/** Unfinished files and locks are all that a killed process may leave behind. */
const leftBehind = /\.partial$|\.lock$/;

type Study = {
  readonly name: string;
  readonly args: (outdir: string) => string[];
  /** How often one process is killed that has all of it, and one of two that share it: what all studies stand on is the same. */
  readonly kills: { readonly alone: number; readonly shared: number };
};

const tiny = "channels=4,channel-mult=[1],blocks=1,attn-resolutions=[],channels-per-head=4,batch=8";
const comparing = (outdir: string): string[] => [
  ...["compare", "--outdir", outdir, "--data", data, "--preset", "smoke", "--base", tiny, "--duration", "320"],
  ...["--holdout", "16", "--dynamics", "20", "--device", "wasm", "--change", "lr=1e-7", "--pairs", "3"],
];
const studies: readonly Study[] = [
  { name: "compare", kills: { alone: 4, shared: kills }, args: comparing },
  {
    name: "compare --metrics",
    kills: { alone: 0, shared: 3 },
    args: (outdir) => [
      ...[...comparing(outdir), "--metrics", "frechet,kid,recall", "--images", "12", "--steps", "2"],
      ...["--features", "pixels"],
    ],
  },
  {
    name: "ladder",
    kills: { alone: 0, shared: 3 },
    args: (outdir) => [
      ...["ladder", "--outdir", outdir, "--data", data, "--preset", "smoke", "--duration", "320", "--rungs", "G"],
      ...["--channels", "4", "--channels-per-head", "4", "--dynamics", "20", "--holdout", "8", "--lengths", "0.05,0.1"],
      ...["--samples", "8", "--steps", "2", "--features", "pixels", "--device", "wasm", "--threads", "1"],
      ...["--seeds", "0,1"],
    ],
  },
];

for (const { name, args, kills: times } of studies) {
  describe(`evenkeel ${name}`, () => {
    const alone = (): string => join(root, `${name}-alone`);
    let within = 0;
    before(async () => {
      // As long as it takes to start and make a run or two.
      within = (await runUntil(args(alone()))).milliseconds / 3;
    });

    if (times.alone > 0) {
      it(`killed at ${times.alone} random instants and started again, it ends as if nothing had happened`, async () => {
        const outdir = join(root, `${name}-killed`);
        const restart = (): Promise<void> => rm(outdir, { recursive: true });
        await killRepeatedly(args(outdir), { times: times.alone, seed: 7, within, restart });
        assert.equal(await resultsIn(outdir), await resultsIn(alone()));
        assert.deepEqual(await runsIn(outdir), await runsIn(alone()));
      });
    }

    it(`shared by two processes, one killed ${times.shared} times, it gives what one process gives`, async () => {
      const outdir = join(root, `${name}-shared`);
      const share = (shard: string): string[] => [...args(outdir), "--shard", shard];
      const restart = (): Promise<void> => rm(outdir, { recursive: true });
      await killRepeatedly(share("1/2"), { times: times.shared, seed: 11, within, restart });
      await assert.rejects(readFile(join(outdir, "results.json")), { code: "ENOENT" });
      // The other share, by two processes at once.
      await Promise.all([runUntil(share("2/2")), runUntil(share("2/2"))]);
      const { output } = await runUntil(args(outdir));
      assert.doesNotMatch(output, /: training/);
      assert.equal(await resultsIn(outdir), await resultsIn(alone()));
      assert.deepEqual(await runsIn(outdir), await runsIn(alone()));
    });
  });
}

describe("evenkeel sample, phema and metrics", () => {
  const run = (): string => join(root, "run");
  before(async () => {
    const settings = ["--preset", "smoke", ...network, "--batch", "8", "--duration", "320", "--samples", "0"];
    await runUntil(["train", "--data", data, "--outdir", run(), ...settings, "--device", "wasm"]);
  });

  /** What each makes into a folder, of one run; `shared`: options of a shard. */
  const makers = (run: string): Readonly<Record<string, (outdir: string, shared: string[]) => string[]>> => {
    const net = join(run, "network-snapshot-0000000-0.050.safetensors");
    return {
      sample: (outdir, shared) => [
        ...["sample", "--net", net, "--outdir", outdir, "--seeds", "0-39", "--steps", "4", "--device", "wasm"],
        ...shared,
      ],
      phema: (outdir, shared) => [
        ...["phema", "--indir", run, "--outdir", outdir, "--outstd", "0.05,0.06,...,0.20", ...shared],
      ],
      metrics: (outdir, shared) => [
        ...["metrics", "ref", "--data", data, "--dest", join(outdir, "ref.safetensors"), "--features", "pixels"],
        ...["--batch", "1", "--parts", join(outdir, "parts.json"), "--device", "wasm", ...shared],
      ],
    };
  };

  for (const name of ["sample", "phema", "metrics"]) {
    it(`${name}: shards killed ${kills} times make the bytes of one process`, async () => {
      const args = makers(run())[name] ?? (() => []);
      const [alone, shared] = [join(root, `${name}-alone`), join(root, `${name}-shared`)];
      for (const folder of [alone, shared]) await mkdir(folder);
      const { milliseconds } = await runUntil(args(alone, []));
      const restart = async (): Promise<void> => {
        await rm(shared, { recursive: true });
        await mkdir(shared);
      };
      const options = { times: kills, seed: 5, within: milliseconds, restart };
      await killRepeatedly(args(shared, ["--shard", "2/2"]), options);
      await Promise.all([runUntil(args(shared, ["--shard", "1/2"])), runUntil(args(shared, ["--shard", "1/2"]))]);
      await runUntil(args(shared, name === "phema" ? ["--skip"] : []));
      const made = await filesIn(shared);
      for (const file of made.keys()) if (leftBehind.test(file)) made.delete(file);
      assert.deepEqual(made, await filesIn(alone));
    });
  }
});
