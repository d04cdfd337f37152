/** The scripts of examples/scale do what docs/scale.md says: GNU parallel itself, Slurm by a stand-in for `sbatch`, Kubernetes' file by what its pods would run. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, describe, it } from "node:test";
import { parseAllDocuments } from "yaml";
import * as z from "zod";
import { createProgram } from "../cli/program.ts";
import { readShard } from "../cli/shards/readShard.ts";
import { bundledCli } from "./support/bundledProgram.ts";
import { writePictures } from "./cli/train/tinyRun.ts";

const scripts = resolve(import.meta.dirname, "../examples/scale");
let root = "";
before(async () => {
  root = await mkdtemp(join(tmpdir(), "evenkeel-scale-"));
  await writePictures(join(root, "waves.zip"), true);
  // What is installed there is this program.
  await program(
    "npx",
    `shift; exec ${JSON.stringify(process.execPath)} --no-opt ${JSON.stringify(await bundledCli())} "$@"`,
  );
});
after(() => rm(root, { recursive: true }));

/** Puts a shell program where the scripts find it. */
async function program(name: string, text: string): Promise<void> {
  await writeFile(join(root, name), `#!/bin/bash\n${text}\n`);
  await chmod(join(root, name), 0o755);
}

/** Statistics in 48 pieces: words with spaces must arrive as they are. */
const work = (name: string): string[] => [
  ...["metrics", "ref", "--data", join(root, "waves.zip"), "--dest", join(root, `${name} ref.safetensors`)],
  ...["--features", "pixels", "--batch", "1", "--parts", join(root, `${name} parts`), "--device", "wasm"],
];

function run(words: readonly string[], environment: Readonly<Record<string, string>> = {}): string {
  const [command = "", ...args] = words;
  const env = { ...process.env, PATH: `${root}:${process.env["PATH"] ?? ""}`, ...environment };
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: root, encoding: "utf8", env });
  assert.equal(status, 0, stdout + stderr);
  return stdout + stderr;
}

/** The result is that of one process, and every shard made a part. */
async function check(name: string): Promise<void> {
  run(["npx", "evenkeel", ...work("alone").filter((word) => word !== "--parts" && !word.endsWith("parts"))]);
  const [made, alone] = [name, "alone"].map((each) => readFile(join(root, `${each} ref.safetensors`)));
  assert.deepEqual(await made, await alone);
  assert.equal(
    (await readdir(join(root, `${name} parts`))).filter((file) => /^set0.*\.safetensors$/.test(file)).length,
    6,
  );
}

const hasParallel = spawnSync("parallel", ["--version"], { encoding: "utf8" }).status === 0;

describe("examples/scale", () => {
  it("parallel.sh shares work among processes of GNU parallel", {
    skip: hasParallel ? false : "this system has no GNU parallel",
  }, async () => {
    const output = run(["bash", join(scripts, "parallel.sh"), "3", ...work("parallel")]);
    for (const shard of [1, 2, 3]) {
      assert.match(output, new RegExp(`shard ${shard}\tShard ${shard} of 3: PARALLEL_SEQ=${shard}, EVENKEEL_SHARDS=3`));
    }
    assert.doesNotMatch(output, /missing/);
    await check("parallel");
  });

  it("slurm.sh submits an array of shards and the whole behind it", async () => {
    // Runs at once what it is given, with the variables that Slurm 22.05 was seen to set; says what it was asked for.
    await program(
      "sbatch",
      `printf '%s\\n' "$*" >> submitted
for option in "$@"; do
  case "$option" in --array=*) range="\${option#--array=}";; esac
done
job="\${@: -1}"
export SLURM_JOB_ID=7 SLURM_PROCID=0 SLURM_NTASKS=1
if [ -z "\${range:-}" ]; then sh -c "$job" > whole.log 2>&1; exit; fi
first="\${range%-*}"; last="\${range#*-}"
for id in $(seq "$first" "$last"); do
  SLURM_ARRAY_TASK_ID=$id SLURM_ARRAY_TASK_MIN=$first SLURM_ARRAY_TASK_STEP=1 SLURM_ARRAY_TASK_MAX=$last \\
    SLURM_ARRAY_TASK_COUNT=$((last - first + 1)) sh -c "$job" > "shard-$id.log" 2>&1
done
echo 7`,
    );
    run(["bash", join(scripts, "slurm.sh"), "4", ...work("slurm")], { SBATCH_OPTIONS: "--partition=main --time=1:00" });
    const [array = "", whole = ""] = (await readFile(join(root, "submitted"), "utf8")).split("\n");
    assert.match(array, /^--parsable --partition=main --time=1:00 --requeue --array=0-3 /);
    assert.match(whole, /--dependency=afterany:7 /);
    const log = await readFile(join(root, "shard-2.log"), "utf8");
    assert.match(log, /^Shard 3 of 4: SLURM_ARRAY_TASK_ID=2, SLURM_ARRAY_TASK_COUNT=4, SLURM_ARRAY_TASK_MIN=0$/m);
    assert.doesNotMatch(await readFile(join(root, "whole.log"), "utf8"), /missing/);
    await check("slurm");
  });

  it("kubernetes.yaml has as many shards as pods, and commands that there are", async () => {
    const container = z.object({
      command: z.array(z.string()),
      env: z.array(z.object({ name: z.string(), value: z.string() })).default([]),
      volumeMounts: z.array(z.object({ name: z.string() })).min(1),
    });
    const template = z.object({
      spec: z.object({
        restartPolicy: z.enum(["OnFailure", "Never"]),
        containers: z.tuple([container]),
        volumes: z.array(z.object({ name: z.string() })),
      }),
    });
    const job = z.object({
      apiVersion: z.literal("batch/v1"),
      kind: z.literal("Job"),
      spec: z.object({ completions: z.int().optional(), completionMode: z.literal("Indexed").optional(), template }),
    });
    const text = await readFile(join(scripts, "kubernetes.yaml"), "utf8");
    const [shards, whole] = z.tuple([job, job]).parse(
      parseAllDocuments(text).map((document) => {
        assert.deepEqual(document.errors, []);
        return document.toJS() as unknown;
      }),
    );
    const [{ command, env }] = shards.spec.template.spec.containers;
    const { completions = 0 } = shards.spec;
    const indices = Array.from({ length: completions }, (_, i) => {
      const variables = Object.fromEntries(env.map(({ name, value }) => [name, value]));
      return readShard({ ...variables, JOB_COMPLETION_INDEX: String(i) }).shard;
    });
    assert.deepEqual(
      indices,
      indices.map((_, i) => ({ index: i + 1, count: completions })),
    );
    assert.ok(completions > 1);
    assert.deepEqual(command.slice(-2), ["--shard", "auto"]);
    assert.deepEqual(whole.spec.template.spec.containers[0].command, command.slice(0, -2));
    const known = createProgram()
      .commands.find((each) => each.name() === command[2])
      ?.options.map(({ long }) => long);
    for (const word of command.filter((each) => each.startsWith("--"))) assert.ok(known?.includes(word), word);
    for (const { spec } of [shards.spec.template, whole.spec.template]) {
      assert.deepEqual(
        spec.containers[0].volumeMounts.map(({ name }) => name),
        spec.volumes.map(({ name }) => name),
      );
    }
  });
});
