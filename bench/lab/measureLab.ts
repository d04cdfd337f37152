/** The lab in headless Chromium, measured as somebody sees it. */
import type { Page } from "playwright-core";
import { presetOf } from "../../diffusion/presets/index.ts";
import { labFiles, type LabFiles } from "../../test/browser/lab/buildLab.ts";
import { type Lab, openLab } from "../../test/browser/lab/openLab.ts";
import { serveLab } from "../../test/browser/lab/serveLab.ts";
import { hashOf, settingsOf, trainInNode } from "../../test/browser/lab/tinyExperiment.ts";
import { sumOf, weightOf } from "../../test/browser/lab/weight.ts";
import { growthAMinute, type LabMeasurement, medianOf } from "./labTable.ts";
import { rendererMemory } from "./rendererMemory.ts";

export type LabBench = {
  /** Chromium. */
  readonly executablePath: string;
  /** Minutes of training over which memory and frames are watched. */
  readonly minutes: number;
  /** Whether the run is watched until it has seen all images of the preset, too. */
  readonly isWhole: boolean;
  /** Times that page and Node train in turns, and steps of each. */
  readonly rounds: number;
  readonly steps: number;
  readonly say: (text: string) => void;
};

type Chosen = Parameters<typeof hashOf>[0];

const emoji16: Chosen = { preset: "emoji16", config: "G", data: "emoji16", seed: 0 };

/** Images of its step. */
const batch = 32;

/** Images of the whole preset, and of a run that doesn't end while one looks. */
const presetImages = presetOf("emoji16").duration;
const endless = 100_000_000;
const wholeNote = `from Start to its image ${presetImages.toLocaleString("en")}, with samples, averages and looks inside`;

/** Images after which the page keeps its first averages. */
const firstAverages = 4000;

/** Steps between two lines of the log, as a run of the lab has them: each line is drawn, and without a GPU drawing takes the cores' time. */
const told = 10;

/** Settings of a run that does nothing but steps. */
const bare = (steps: number): Chosen => ({
  ...emoji16,
  batch,
  duration: batch * steps,
  status: told * batch,
  samples: 0,
  checkpoint: 0,
  snapshot: 0,
  dynamics: 0,
  holdout: 128,
});

/** Steps that compile and warm up: the first line of the log. */
const warm = told;

/** Everything that is measured, as it comes. */
export async function measureLab(bench: LabBench): Promise<readonly LabMeasurement[]> {
  const { say } = bench;
  say("Building the page ...");
  const files = await labFiles();
  const measurements: LabMeasurement[] = [];
  const parts = [measureSpeed, measureOpening, measureTraining];
  for (const part of parts) {
    for (const measurement of await part(bench, files)) {
      measurements.push(measurement);
      say(`${measurement.name}: ${measurement.value.toPrecision(3)} ${measurement.unit}`);
    }
  }
  return measurements;
}

/** Images a second of a log's lines but the first. */
const speedsOf = (log: string): readonly number[] =>
  log
    .trimEnd()
    .split("\n")
    .slice(warm / told)
    .map((line) => (JSON.parse(line) as { readonly "Timing/images_per_sec": number })["Timing/images_per_sec"]);

/** Steps in the page and in Node in turns, each time of a new run. */
async function measureSpeed({ executablePath, rounds, steps, say }: LabBench): Promise<readonly LabMeasurement[]> {
  const speeds: Record<"page" | "node", number[]> = { page: [], node: [] };
  for (let round = 0; round < rounds; round++) {
    say(`Steps in the page and in Node, round ${round + 1} of ${rounds} ...`);
    const { lab, close } = await openLab(executablePath, { hash: hashOf(bare(steps + warm)) });
    try {
      await lab.start();
      await lab.reach("Finished");
      speeds.page.push(...speedsOf(await logOf(lab)));
    } finally {
      await close();
    }
    const log = (await trainInNode(settingsOf(bare(steps + warm)))).get("stats.jsonl");
    speeds.node.push(...speedsOf(Buffer.from(log ?? []).toString()));
  }
  const [page, node] = [medianOf(speeds.page), medianOf(speeds.node)];
  const note = `median of ${speeds.page.length} times ${told} steps of ${batch} images`;
  return [
    { name: "emoji16 in the page", unit: "images/s", value: page, isMoreBetter: true, note },
    { name: "emoji16 in Node, in turns", unit: "images/s", value: node, isMoreBetter: true, note },
    { name: "page / Node", unit: "x", value: page / node, must: 0.85, aim: 0.97, isMoreBetter: true },
  ];
}

/** A file of a run of the page. A text: this file knows nothing of the types of a page. */
const logOf = (lab: Lab): Promise<string> =>
  lab.page.evaluate<string>(
    `navigator.storage.getDirectory().then((root) => root.getDirectoryHandle("runs")).then((runs) => runs.getDirectoryHandle("emoji16-G"))` +
      `.then((folder) => folder.getFileHandle("stats.jsonl")).then((file) => file.getFile()).then((file) => file.text())`,
  );

/** What is loaded, and how soon somebody sees the page and can begin, the second time that it is opened. */
async function measureOpening(
  { executablePath, rounds }: LabBench,
  files: LabFiles,
): Promise<readonly LabMeasurement[]> {
  const server = await serveLab(files, { isCached: true });
  const { lab, close } = await openLab(executablePath, { server, hash: hashOf(bare(1)) });
  try {
    await lab.start();
    await lab.reach("Finished");
    const { program, data } = weightOf(files, server.asked);
    const note = program.map(([address, bytes]) => `${address.replace("assets/", "")} ${(bytes / 1000).toFixed(1)}`);
    const [paints, readies]: [number[], number[]] = [[], []];
    for (let round = 0; round < rounds; round++) {
      await lab.page.reload();
      await lab.page.locator("button.primary:enabled").waitFor();
      readies.push((await lab.page.evaluate<number>("performance.now()")) / 1000);
      const paint = `performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? NaN`;
      paints.push((await lab.page.evaluate<number>(paint)) / 1000);
    }
    return [
      {
        name: "program until it trains on wasm, gzip",
        unit: "kB",
        value: sumOf(program) / 1000,
        must: 300,
        aim: 200,
        note: note.join(", "),
      },
      { name: "data that come with it", unit: "MB", value: sumOf(data) / 1e6, must: 1.5, aim: 1 },
      {
        name: "first paint, cached",
        unit: "s",
        value: medianOf(paints),
        must: 1,
        aim: 0.5,
        note: `median of ${rounds}`,
      },
      {
        name: "ready to train, cached",
        unit: "s",
        value: medianOf(readies),
        must: 3,
        aim: 1.5,
        note: `median of ${rounds}`,
      },
    ];
  } finally {
    await close();
    await server.close();
  }
}

/** Keeps the longest time between two frames of the page in `longestGap`. */
const watchFrames = `(() => {
  let last = performance.now();
  self.longestGap = 0;
  const frame = (now) => { self.longestGap = Math.max(self.longestGap, now - last); last = now; requestAnimationFrame(frame); };
  requestAnimationFrame(frame);
})()`;

const wait = (page: Page, seconds: number): Promise<void> => page.waitForTimeout(1000 * seconds);

/** Seconds between two looks at memory. */
const pace = 5;

/**
 * A run as the page makes it: its first grid, frames and memory while it goes on, and then its averages. It has more images than can be
 * seen meanwhile, which changes nothing of those before: a run that has ended says nothing of memory.
 */
async function measureTraining({
  executablePath,
  minutes,
  isWhole,
  say,
}: LabBench): Promise<readonly LabMeasurement[]> {
  say(`A run, watched for ${minutes} minutes${isWhole ? ", or as long as the preset takes" : ""} ...`);
  const { lab, close } = await openLab(executablePath, { hash: hashOf({ ...emoji16, duration: endless }) });
  const { page } = lab;
  try {
    page.setDefaultTimeout(0);
    await page.locator("button.primary:enabled").waitFor();
    const begun = performance.now();
    await lab.start();
    await page.locator("img.grid").waitFor();
    const firstGrid = (performance.now() - begun) / 1000;
    await page.evaluate(watchFrames);
    const memory: number[] = [];
    let whole: number | undefined;
    for (let second = 0; second < 60 * minutes || (isWhole && whole === undefined); second += pace) {
      await wait(page, Math.min(pace, 60 * minutes));
      const bytes = rendererMemory();
      if (bytes !== undefined) memory.push(bytes / 1e6);
      if (whole === undefined && (await lab.nimg()) >= presetImages) whole = (performance.now() - begun) / 1000;
    }
    const gap = await page.evaluate<number>("self.longestGap");
    await lab.reachImages(firstAverages + batch);
    await lab.button("Stop").click();
    await lab.reach("Stopped");
    const drawn = await measureSlider(lab);
    const settled = memory.slice(Math.floor(memory.length / 3));
    return [
      { name: "first grid of samples after Start", unit: "s", value: firstGrid, must: 60, aim: 20 },
      ...(whole === undefined
        ? []
        : [{ name: "emoji16, whole", unit: "s", value: whole, must: 780, aim: 600, note: wholeNote } as const]),
      {
        name: "longest time between frames",
        unit: "ms",
        value: gap,
        must: 100,
        aim: 34,
        note: `in ${minutes} minutes of training`,
      },
      {
        name: "memory of the page, at the end",
        unit: "MB",
        value: memory.at(-1) ?? NaN,
        note: "resident, all its threads",
      },
      {
        name: "memory of the page, growth in 15 minutes",
        unit: "%",
        value: (100 * 15 * growthAMinute(settled, pace)) / medianOf(settled),
        must: 3,
        note: `over the last two thirds of ${minutes} minutes`,
      },
      {
        name: "slider to 16 new samples",
        unit: "ms",
        value: medianOf(drawn),
        must: 2000,
        aim: 700,
        note: `median of ${drawn.length}`,
      },
    ];
  } finally {
    await close();
  }
}

/** Milliseconds from a move of the slider of averages until its samples are seen, of several. */
async function measureSlider(lab: Lab): Promise<readonly number[]> {
  await lab.tab("Averages");
  const samples = lab.page.getByRole("img", { name: /samples of the average of sigma_rel/ });
  await samples.waitFor();
  const slider = lab.page.getByRole("slider", { name: "Length (sigma_rel)" });
  const milliseconds: number[] = [];
  for (const place of [20, 60, 100, 140, 180, 40, 80, 120]) {
    const begun = performance.now();
    const before = (await slider.getAttribute("aria-valuetext")) ?? "";
    await slider.fill(String(place));
    let after = before;
    while (after === before) after = (await slider.getAttribute("aria-valuetext")) ?? "";
    const length = /[\d.]+/.exec(after)?.[0] ?? "none";
    await lab.page.getByRole("img", { name: new RegExp(`samples of the average of sigma_rel ${length} `) }).waitFor();
    milliseconds.push(performance.now() - begun);
  }
  return milliseconds;
}
