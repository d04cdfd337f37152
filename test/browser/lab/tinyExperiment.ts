/** The smallest experiment worth the name: a network of some ten thousand weights, and the same run in Node. */
import { splitData } from "../../../diffusion/data/index.ts";
import { emojiVendors, loadEmoji } from "../../../diffusion/data/node.ts";
import { gridLayout, runTraining, RunWatch } from "../../../diffusion/run/index.ts";
import {
  completeSettings,
  createRunDevice,
  formatSettings,
  parseSettings,
  runOptions,
  settingsFileName,
  trainingOptions,
} from "../../../diffusion/settings/index.ts";
import { type Folder, memoryFolder, readWhole } from "../../../engine/io/index.ts";

/** A run's files by name. */
export type RunFiles = ReadonlyMap<string, Uint8Array>;

/** Settings by name, as a link has them. */
type Chosen = Readonly<Record<string, string | number | boolean | readonly number[]>>;

const batch = 8;

/** As a link has them: a run of `steps` steps that tells of each, looks inside thrice, draws a grid and keeps a checkpoint in the middle. */
export function tinyExperiment(steps: number, changed: Chosen = {}): Chosen {
  const half = batch * Math.ceil(steps / 2);
  return {
    preset: "emoji16",
    config: "G",
    data: "emoji16",
    seed: 3,
    channels: 8,
    "channels-per-head": 8,
    // One level: most of the time goes into kernels, which each start makes anew.
    "channel-mult": [1],
    "attn-resolutions": [16],
    batch,
    duration: batch * steps,
    status: batch,
    samples: half,
    checkpoint: half,
    snapshot: 1000,
    dynamics: Math.ceil(steps / 3),
    holdout: 16,
    ...changed,
  };
}

/** The page's address of an experiment. */
export function hashOf(chosen: Chosen): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(chosen)) {
    parameters.set(name, typeof value === "string" ? value : JSON.stringify(value));
  }
  return `#${parameters.toString()}`;
}

/** The `settings.toml` of an experiment. */
export function settingsOf(chosen: Chosen): RunFiles {
  const settings = completeSettings([{ from: "the test", values: { outdir: "runs/x", validation: 0, ...chosen } }]);
  return new Map([[settingsFileName, Buffer.from(formatSettings(settings))]]);
}

let emoji: ReturnType<typeof loadEmoji> | undefined;

type NodeRun = {
  /** Whether it begins anew, with the settings of these files alone. */
  readonly isNew?: boolean;
  /** Images after which it is stopped. */
  readonly until?: number;
};

/** Goes on in Node with a run, by its `settings.toml`, until it is finished or stopped: its files then. */
export async function trainInNode(
  files: RunFiles,
  { isNew = false, until = Infinity }: NodeRun = {},
): Promise<RunFiles> {
  const folder = memoryFolder();
  await folder.prepare();
  for (const [name, bytes] of isNew ? [] : files) await folder.file(name).write((sink) => sink.write(bytes));
  const text = textOf(files, settingsFileName);
  const settings = completeSettings([
    { from: settingsFileName, values: { outdir: "runs/x", ...parseSettings(text, settingsFileName) } },
  ]);
  emoji ??= loadEmoji(emojiVendors, 16);
  const dataset = await emoji;
  const { training: images, validation } = splitData(dataset, settings.holdout, settings.seed);
  const training = trainingOptions(settings, images);
  const device = await createRunDevice(
    settings.device === undefined || settings.device === "auto" ? "wasm" : settings.device,
    settings,
  );
  const stop = new AbortController();
  const watch = new RunWatch({
    settings,
    training,
    images,
    validation,
    device,
    folder,
    layout: gridLayout(training, images, 2),
    listener: {
      stepped: ({ nimg }) => {
        if (nimg >= until) stop.abort();
      },
    },
  });
  try {
    await runTraining(
      { ...runOptions(settings, { dataset, images }, training, { folder, device }), signal: stop.signal },
      watch.observer,
    );
  } finally {
    watch.dispose();
    device.dispose();
  }
  return filesOf(folder);
}

async function filesOf(folder: Folder): Promise<RunFiles> {
  const files = new Map<string, Uint8Array>();
  for (const name of await folder.list()) files.set(name, await readWhole(folder.file(name)));
  return files;
}

export function textOf(files: RunFiles, name: string): string {
  return Buffer.from(files.get(name) ?? []).toString();
}

/** What a line of `stats.jsonl` says of training: times are left out. */
export function learningOf(files: RunFiles): readonly Readonly<Record<string, unknown>>[] {
  const lines = textOf(files, "stats.jsonl").trimEnd().split("\n");
  return lines.map((line) => {
    const entries = Object.entries(JSON.parse(line) as Record<string, unknown>);
    return Object.fromEntries(entries.filter(([name]) => !/^(Timing\/|Resources\/|timestamp$)/.test(name)));
  });
}

/** The mean of a measurement in each line of `stats.jsonl`. */
export function meansOf(files: RunFiles, name: string): readonly number[] {
  return learningOf(files).map((line) => (line[name] as { readonly mean: number }).mean);
}

/** The newest checkpoint: its name, and its arrays' names, places and bytes; what it says of times is left out. */
export function newestState(files: RunFiles): {
  readonly name: string;
  readonly arrays: unknown;
  readonly bytes: Uint8Array;
} {
  const name =
    [...files.keys()]
      .filter((each) => each.startsWith("training-state-"))
      .sort()
      .at(-1) ?? "";
  const bytes = Buffer.from(files.get(name) ?? []);
  const start = 8 + Number(bytes.readBigUInt64LE());
  const { __metadata__: _, ...arrays } = JSON.parse(bytes.toString("utf8", 8, start)) as Record<string, unknown>;
  return { name, arrays, bytes: bytes.subarray(start) };
}
