import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { Command } from "@commander-js/extra-typings";
import {
  dynamicsFileName,
  examineRun,
  type Finding,
  type LossPoint,
  readDynamicsFile,
  type RunRecord,
} from "../../diffusion/dynamics/index.ts";
import { networkConfig } from "../../diffusion/network/index.ts";
import type { TrainingOptions } from "../../diffusion/training/index.ts";
import { snapshotsIn } from "../../diffusion/ema/index.ts";
import { readNewestCheckpoint } from "../../diffusion/checkpoint/index.ts";
import { readStats, type StatsEntry, statsFileName } from "../../diffusion/run/index.ts";
import { EvenkeelError } from "../../engine/index.ts";
import type { Folder } from "../../engine/io/index.ts";
import { diskFolder } from "../../engine/io/node.ts";
import { changedSettings } from "../changedSettings.ts";
import { mergeSettings } from "../train/merge.ts";
import { settingsFileName, type TrainSettings } from "../../diffusion/settings/index.ts";

/** `evenkeel doctor`: looks over a run and says in words what is wrong. */
export function addDoctorCommand(program: Command): void {
  program
    .command("doctor")
    .description(
      "Look over a training run, also while it goes on: what looks wrong, where, what it means, what to try.",
    )
    .argument("<run>", "run folder of npx evenkeel train, best of one with --dynamics")
    .option("--json", "print the findings as JSON")
    .addHelpText(
      "after",
      `
Examples:
  $ npx evenkeel train --preset emoji16 --data emoji16 --outdir runs/emoji16 --dynamics
  $ npx evenkeel doctor runs/emoji16

It looks at magnitudes of activations and weights, gains, effective learning rates, attention, the loss at each noise level,
gradients, the learning rate's schedule and the stored averages. Exit code: 1 if something spoils the training, else 0; 2 for
a command line that isn't understood.`,
    )
    .action(async (folder, { json }) => {
      const { record, settings, warnings } = await readRun(folder);
      const findings = [...changedFinding(settings, record.training), ...examineRun(record)];
      const errors = findings.filter(({ severity }) => severity === "error").length;
      if (json === true) console.log(JSON.stringify(asJson(folder, record, findings, warnings), null, 2));
      else print(folder, record, findings, warnings);
      if (errors > 0) process.exitCode = 1;
    });
}

/** What a run folder tells. @throws EvenkeelError `file` if it holds no run. */
async function readRun(
  folder: string,
): Promise<{ record: RunRecord; settings: TrainSettings | null; warnings: string[] }> {
  await requireFolder(folder);
  const warnings: string[] = [];
  const files = diskFolder(folder);
  const stats = await readStats(files.file(statsFileName));
  const dynamics = await readDynamicsFile(files.file(dynamicsFileName));
  const settings = await readSettings(join(folder, settingsFileName));
  const training =
    dynamics?.header.training ?? (await trainingOfCheckpoint(files, (message) => warnings.push(message)));
  if (stats.length === 0 && dynamics === null && training === null) {
    throw new EvenkeelError(
      "file",
      `doctor: ${folder} holds no training run: neither ${statsFileName} nor ${dynamicsFileName} nor a checkpoint. ` +
        "Give the folder that npx evenkeel train was given as --outdir.",
    );
  }
  const nimg = Math.max(0, stats.at(-1)?.nimg ?? 0, dynamics?.samples.at(-1)?.nimg ?? 0);
  const snapshots = await snapshotsIn(files, { prefix: "network-snapshot" });
  return {
    record: {
      training,
      duration: settings?.duration ?? nimg,
      nimg,
      dynamics,
      losses: stats.length === 0 ? null : stats.map(lossPoint),
      stored: snapshots.map(({ profile }) => profile),
      sampleEma: settings?.["sample-ema"] ?? null,
    },
    settings,
    warnings,
  };
}

/** Settings that were written anew after the run was trained with others. */
function changedFinding(settings: TrainSettings | null, trained: TrainingOptions | null): readonly Finding[] {
  if (settings === null || trained === null) return [];
  let changed: readonly string[];
  try {
    changed = changedSettings(settings, trained);
  } catch (reason) {
    // What was written since may be no run at all; the one that was trained is.
    if (!(reason instanceof EvenkeelError)) throw reason;
    changed = [reason.message.replace(/\.$/, "")];
  }
  if (changed.length === 0) return [];
  return [
    {
      check: "run",
      severity: "warning",
      what: `${settingsFileName} has other settings than the run was trained with: ${changed.join("; ")}`,
      where: [settingsFileName],
      meaning: "What is said here is of the run as it was trained; with these settings it can't go on.",
      advice: "Put the settings back, or train with these in another folder.",
    },
  ];
}

async function requireFolder(folder: string): Promise<void> {
  const found = await stat(folder).catch(() => null);
  if (found?.isDirectory() !== true) {
    const problem = found === null ? "there is nothing" : "this is no folder";
    throw new EvenkeelError("file", `doctor: ${folder}: ${problem}. Give the folder of a training run.`);
  }
}

async function readSettings(path: string): Promise<TrainSettings | null> {
  // Runs of programs have none.
  if ((await stat(path).catch(() => null)) === null) return null;
  return mergeSettings({}, path);
}

async function trainingOfCheckpoint(folder: Folder, warn: (message: string) => void): Promise<TrainingOptions | null> {
  const checkpoint = await readNewestCheckpoint(folder, warn);
  // A run's own file: its options were checked when it began.
  const stored = checkpoint?.fixed["training"] as TrainingOptions | undefined;
  return stored === undefined ? null : { ...stored, network: networkConfig(stored.network) };
}

function lossPoint(entry: StatsEntry): LossPoint {
  const meanOf = (name: string): number | null => {
    const value = entry[name];
    if (typeof value !== "object" || value === null) return null;
    return (value["nonFinite"] ?? 0) > 0 ? null : (value["mean"] ?? null);
  };
  return { nimg: entry.nimg, loss: meanOf("Loss/loss"), error: meanOf("Loss/error") };
}

function asJson(
  folder: string,
  { nimg, duration, dynamics }: RunRecord,
  findings: readonly Finding[],
  warnings: readonly string[],
): unknown {
  const healthy = !findings.some(({ severity }) => severity === "error");
  return { run: folder, nimg, duration, samples: dynamics?.samples.length ?? 0, healthy, findings, warnings };
}

/** Layers that are named before the rest is counted. */
const shown = 6;

function print(folder: string, run: RunRecord, findings: readonly Finding[], warnings: readonly string[]): void {
  const { nimg, duration, dynamics } = run;
  const samples = dynamics === null ? "no dynamics" : `${dynamics.samples.length} samples of its dynamics`;
  console.log(`${folder}: ${nimg.toLocaleString("en")} of ${duration.toLocaleString("en")} images, ${samples}`);
  for (const warning of warnings) console.log(`(${warning})`);
  for (const { severity, check, what, where, meaning, advice } of findings) {
    const rest = where.length - shown;
    console.log(`\n${severity.toUpperCase()}  ${check}: ${what}.`);
    if (where.length > 0)
      console.log(`  where   ${where.slice(0, shown).join(", ")}${rest > 0 ? ` and ${rest} more` : ""}`);
    console.log(`  means   ${meaning}`);
    console.log(`  try     ${advice}`);
  }
  const count = (wanted: Finding["severity"]): number => findings.filter(({ severity }) => severity === wanted).length;
  const [errors, warned] = [count("error"), count("warning")];
  if (errors + warned === 0) console.log("\nNothing looks wrong.");
  else console.log(`\n${errors} error${errors === 1 ? "" : "s"}, ${warned} warning${warned === 1 ? "" : "s"}.`);
}
