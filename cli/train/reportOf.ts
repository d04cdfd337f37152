import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { isLatent, type TrainingDataset } from "../../diffusion/data/index.ts";
import type { NetworkCount } from "../../diffusion/network/index.ts";
import { gridCost, type GridLayout, type StatsEntry } from "../../diffusion/run/index.ts";
import type { FinishedRun } from "../../diffusion/run/node.ts";
import type { Device } from "../../engine/index.ts";
import { commandLine } from "./commandLine.ts";
import { describeRows } from "./grids.ts";
import { formatTime } from "../formatTime.ts";
import type { ReportPicture, RunReport } from "./report.ts";
import type { Curve, CurvePoint } from "./reportCharts.ts";
import { formatSettings, type TrainSettings } from "../../diffusion/settings/index.ts";

/** What a report is made of. */
export type ReportSources = {
  readonly settings: TrainSettings;
  readonly dataset: TrainingDataset;
  readonly device: Device;
  readonly stats: readonly StatsEntry[];
  readonly run: FinishedRun;
  /** Of the pictures at the end. */
  readonly layout: GridLayout;
  readonly count: NetworkCount;
};

/** Gathers a run's logs and pictures into its report. */
export async function reportOf(sources: ReportSources): Promise<RunReport> {
  const { settings, dataset, device, stats, run, layout, count } = sources;
  const { outdir } = settings;
  const curve = (name: string): CurvePoint[] =>
    stats.map((entry) => ({ nimg: entry.nimg, value: meanOf(entry[name]) }));
  const error = curve("Loss/error");
  const tail = error.slice(-Math.max(1, Math.round(error.length / 20)));
  const seconds = stats.reduce((sum, entry, i) => {
    const images = entry.nimg - (stats[i - 1]?.nimg ?? 0);
    return sum + images / Math.max(meanOf(entry["Timing/images_per_sec"]), 1e-9);
  }, 0);
  const picture = async (path: string, caption: string): Promise<ReportPicture> => ({
    caption,
    png: await readFile(path),
  });
  const grids = (await readdir(outdir)).filter((name) => /^samples-\d+\.png$/.test(name)).sort();
  const averages = ["--indir", outdir, "--inprefix", "network-snapshot"];
  const config = join(outdir, "settings.toml");
  return {
    title: `${settings.preset}: ${dataset.count.toLocaleString("en")} images, ${count.parameters.toLocaleString("en")} parameters`,
    facts: [
      ["Images seen", settings.duration.toLocaleString("en")],
      ["Weighted error at the end", (tail.reduce((sum, { value }) => sum + value, 0) / tail.length).toFixed(4)],
      ["Time in steps", formatTime(seconds)],
      ["Speed of training", `${(settings.duration / seconds).toFixed(0)} images/s`],
      ...(run.plain === null ? [] : [samplingSpeed(layout, run.plain.seconds)]),
      [
        "Data",
        `${dataset.resolution}x${dataset.resolution}, ${isLatent(dataset) ? "latents" : dataset.channels === 3 ? "colour" : "grey"}`,
      ],
      ["Multiply-adds an image", `${(count.macs / 1e6).toFixed(1)} million`],
      ["Device", device.description],
      ["Average sampled from", `sigma_rel ${settings["sample-ema"]}`],
    ],
    pictures: await picturesOf(sources, picture),
    progress: await Promise.all(
      grids.map((name) => picture(join(outdir, name), `${Number(/\d+/.exec(name)?.[0]).toLocaleString("en")} images`)),
    ),
    error,
    loss: curve("Loss/loss"),
    learningRate: curve("Loss/learning_rate"),
    gradientNorm: curve("Loss/gradient_norm"),
    speed: curve("Timing/images_per_sec"),
    validation: familyOf(stats, "Validation/error", (key) => `σ ${key}`),
    activations: familyOf(stats, "Magnitude/activation", (key) => key),
    weights: familyOf(stats, "Magnitude/weight", (key) => key),
    settings: formatSettings(settings),
    commands: [
      [
        "More images of the network",
        commandLine("sample", "--net", run.network, "--seeds", "0-63", "--outdir", join(outdir, "images")),
      ],
      ["An average of another length", commandLine("phema", ...averages, "--outdir", outdir, "--outstd", 0.05)],
      [
        "Train longer",
        commandLine("train", "--config", config, "--outdir", outdir, "--duration", 2 * settings.duration),
      ],
    ],
  };
}

function samplingSpeed(layout: GridLayout, seconds: number): readonly [string, string] {
  const { images } = gridCost(layout);
  return ["Speed of sampling", `${(images / seconds).toFixed(2)} images/s, ${layout.steps} steps`];
}

/** The pictures that were made at the end. */
async function picturesOf(
  { run: { plain, guided }, settings, layout, dataset }: ReportSources,
  picture: (path: string, caption: string) => Promise<ReportPicture>,
): Promise<readonly ReportPicture[]> {
  const rows = describeRows(layout, dataset);
  if (plain === null) return [];
  if ("missing" in guided) return [await picture(plain.path, `Without guidance; ${rows}`)];
  const guide = `the run's own average after ${guided.guideNimg.toLocaleString("en")} images`;
  return [
    await picture(guided.path, `Guided by ${guide}, weight ${settings.guidance}; ${rows}`),
    await picture(plain.path, `The same seeds without guidance; ${rows}`),
  ];
}

function meanOf(value: StatsEntry[string] | undefined): number {
  if (typeof value === "number") return value;
  return value?.["mean"] ?? Number.NaN;
}

/** One curve for each key of a group that some entries have. */
function familyOf(stats: readonly StatsEntry[], name: string, label: (key: string) => string): Curve[] {
  const curves = new Map<string, CurvePoint[]>();
  for (const entry of stats) {
    const group = entry[name];
    if (typeof group !== "object" || group === null) continue;
    for (const [key, value] of Object.entries(group)) {
      const points = curves.get(key) ?? [];
      points.push({ nimg: entry.nimg, value: value ?? Number.NaN });
      curves.set(key, points);
    }
  }
  return [...curves].map(([key, points]) => ({ name: label(key), points }));
}
