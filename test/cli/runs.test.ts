import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { Runs } from "../../cli/runs/runs.ts";
import { writeCheckpoint } from "../../diffusion/checkpoint/index.ts";
import { completeSettings } from "../../diffusion/settings/index.ts";
import { tensor } from "../../engine/index.ts";
import { diskFolder } from "../../engine/io/node.ts";

const outdir = await mkdtemp(join(tmpdir(), "evenkeel-runs-"));
after(() => rm(outdir, { recursive: true }));

test("a run that somebody trained for longer isn't measured as the one that is wanted", async () => {
  const folder = join(outdir, "runs", "one");
  const values = { preset: "smoke", data: join(outdir, "absent.zip"), outdir: folder, duration: 32, batch: 16 };
  const run = { name: "one", settings: completeSettings([{ from: "here", values }]) };
  const runs = await Runs.in<typeof run, { readonly error: number }>({
    outdir,
    fields: ["error"],
    measure: () => assert.fail("measured"),
    describe: () => "",
    output: process.stdout,
    print: () => undefined,
  });
  const store = async (nimg: number): Promise<void> => {
    await diskFolder(folder).prepare();
    await writeCheckpoint(diskFolder(folder), { nimg, fixed: {}, progress: {} }, new Map([["w", tensor([1])]]), 1);
  };
  // One of the wanted length is gone on from, for which its data are read.
  await store(32);
  await assert.rejects(runs.measured(run, "here"), { code: "file", message: /absent\.zip/ });
  await store(48);
  await assert.rejects(runs.measured(run, "here"), {
    code: "value",
    message: /run of 48 images, and one of 32 is wanted/,
  });
});
