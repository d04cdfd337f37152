/** What is measured and drawn while a run goes, wherever its folder lies. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { decode } from "fast-png";
import { createDataset, splitData } from "../../../diffusion/data/index.ts";
import { readDynamicsFile } from "../../../diffusion/dynamics/index.ts";
import {
  gridLayout,
  type GridLayout,
  readStats,
  type RunListener,
  runTraining,
  RunWatch,
} from "../../../diffusion/run/index.ts";
import { encodePng, type Picture } from "../../../diffusion/sample/index.ts";
import { completeSettings, formatSettings, runOptions, trainingOptions } from "../../../diffusion/settings/index.ts";
import { createDevice, type Device } from "../../../engine/index.ts";
import { type Folder, memoryFolder, readTextIfAny, readWhole } from "../../../engine/io/index.ts";
import { scheduledDevice } from "../../support/scheduledDevice.ts";

let inner: Device;
let device: ReturnType<typeof scheduledDevice>;
before(async () => {
  inner = await createDevice("wasm", { wasm: { threads: 1 } });
  device = scheduledDevice(inner, () => Promise.resolve());
});
after(() => {
  assert.deepEqual([device.held, device.violations], [0, []], "watches and runs free what they had");
  inner.dispose();
});

const count = 40;
const dataset = createDataset({
  name: "waves",
  channels: 3,
  resolution: 8,
  pixels: Uint8Array.from({ length: count * 192 }, (_, i) =>
    Math.round(127 + 100 * Math.sin(Math.floor(i / 192) + (i % 8) + Math.floor(i / 64))),
  ),
  labels: Array.from({ length: count }, (_, i) => i % 3),
  classNames: ["a", "b", "c"],
});
const settings = completeSettings([
  {
    from: "the page",
    values: {
      ...{ outdir: "runs/page", data: "waves", preset: "smoke" },
      ...{ channels: 4, "channel-mult": [1], blocks: 1, "attn-resolutions": [], "channels-per-head": 4 },
      ...{ batch: 8, duration: 96, holdout: 8, status: 16, checkpoint: 40, samples: 48, validation: 48, dynamics: 4 },
    },
  },
]);
const { training: images, validation } = splitData(dataset, settings.holdout, settings.seed);
const training = trainingOptions(settings, images);

type Given = { readonly layout?: GridLayout; readonly memory?: () => number; readonly stopAt?: number };

/** A watched run, on or from its beginning. */
async function watched(folder: Folder, listener: RunListener, given: Given = {}): Promise<void> {
  const { stopAt, ...rest } = given;
  const watch = new RunWatch({ settings, training, images, validation, device, folder, listener, ...rest });
  const stop = new AbortController();
  try {
    const options = runOptions(settings, { dataset, images }, training, { folder, device });
    const { observer } = watch;
    await runTraining(
      { ...options, signal: stop.signal },
      {
        ...observer,
        stepped: (step) => {
          observer.stepped?.(step);
          if (step.nimg === stopAt) stop.abort();
        },
      },
    );
  } finally {
    watch.dispose();
  }
}

/** The lines of a log without what differs from run to run: times. */
async function statsOf(folder: Folder): Promise<unknown[]> {
  const entries = await readStats(folder.file("stats.jsonl"));
  return entries.map((entry) =>
    Object.fromEntries(Object.entries(entry).filter(([name]) => !/^(Timing\/|timestamp$)/.test(name))),
  );
}

/** The files of a folder that say what was trained. */
async function trainedIn(folder: Folder): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for (const name of await folder.list()) {
    if (!name.startsWith("network-snapshot")) continue;
    files[name] = Buffer.from(await readWhole(folder.file(name))).toString("hex");
  }
  return files;
}

test("a watch writes settings, log and grids into any folder, and tells a listener what it wrote", async () => {
  const folder = memoryFolder("page");
  const told: string[] = [];
  const entries: unknown[] = [];
  const dynamics: unknown[] = [];
  const pictures: { readonly nimg: number; readonly picture: Picture; readonly png: Uint8Array }[] = [];
  let headers: unknown[] = [];
  await watched(folder, {
    started: (nimg, next) => void told.push(`started ${nimg} ${next}`),
    stepped: ({ nimg, loss }, standing) => {
      assert.deepEqual([standing.nimg, standing.loss], [nimg, loss]);
      assert.ok(standing.error > 0 && standing.speed > 0, "the error and the speed are known after a step");
    },
    status: (standing, entry) => {
      told.push(`status ${standing.nimg}`);
      entries.push(JSON.parse(JSON.stringify(entry)));
    },
    sampling: ({ name }, layout) => void told.push(`sampling ${name}, ${layout.rows.length} rows`),
    samples: (nimg, picture, png) => {
      told.push(`samples ${nimg}`);
      pictures.push({ nimg, picture, png });
    },
    magnitudes: (nimg, layers) => {
      told.push(`magnitudes ${nimg}`);
      assert.ok(
        layers.length > 5 && layers.every(({ activation, weight }) => activation > 0 && weight > 0),
        "every layer has magnitudes",
      );
    },
    validation: (nimg, errors) => {
      told.push(`validation ${nimg}`);
      assert.equal(errors.length, 8);
    },
    dynamics: (sample, header) => {
      dynamics.push(sample);
      headers = [...headers, header];
    },
    wrote: (what, { name }) => {
      if (what === "checkpoint") told.push(name);
    },
  });
  const checkpoint = (nimg: number): string => `training-state-${String(nimg).padStart(10, "0")}.safetensors`;
  assert.deepEqual(told, [
    ...["started 0 0", "status 16", "status 32", checkpoint(40)],
    ...["magnitudes 48", "validation 48", "sampling samples-0000000048.png, 3 rows", "samples 48", "status 48"],
    ...["status 64", "status 80", checkpoint(80)],
    ...["magnitudes 96", "validation 96", "sampling samples-0000000096.png, 3 rows", "samples 96", "status 96"],
    checkpoint(96),
  ]);
  assert.equal(await readTextIfAny(folder.file("settings.toml")), formatSettings(settings));
  assert.deepEqual(entries, await readStats(folder.file("stats.jsonl")));
  assert.ok(
    (await readStats(folder.file("stats.jsonl"))).every((entry) => !("Resources/cpu_mem_gb" in entry)),
    "where nobody can tell of memory, nothing is told of it",
  );
  // What was told of the dynamics is what reading its file gives.
  const read = await readDynamicsFile(folder.file("dynamics.jsonl"));
  assert.deepEqual(dynamics, read?.samples);
  for (const header of headers) assert.deepEqual(header, read?.header);
  assert.deepEqual(
    pictures.map(({ nimg }) => nimg),
    [48, 96],
  );
  for (const { nimg, picture, png } of pictures) {
    const file = await readWhole(folder.file(`samples-${String(nimg).padStart(10, "0")}.png`));
    assert.deepEqual(new Uint8Array(png), new Uint8Array(file));
    const { width, height, channels, data } = decode(png);
    assert.deepEqual({ width, height, channels, data: new Uint8Array(data) }, { ...picture });
  }
});

test("grids of another layout, memory that is told and pauses change nothing that is trained", async () => {
  const [plain, other] = [memoryFolder("plain"), memoryFolder("other")];
  await watched(plain, {});
  const layout = { ...gridLayout(training, images, 2), columns: 2, scale: 1 };
  const sizes: number[] = [];
  await watched(other, { samples: (_, { width }) => void sizes.push(width) }, { layout, memory: () => 0.5 });
  // Two images of 8 pixels, and 2 between and around them.
  assert.deepEqual(sizes, [22, 22]);
  assert.deepEqual(await trainedIn(other), await trainedIn(plain));
  const [told, wanted] = [await statsOf(other), await statsOf(plain)];
  assert.deepEqual(
    told,
    wanted.map((entry) => ({ ...(entry as object), "Resources/cpu_mem_gb": 0.5 })),
  );
});

test("stopped between status lines, a run goes on with the lines and samples it would have written", async () => {
  const [straight, broken] = [memoryFolder("straight"), memoryFolder("broken")];
  await watched(straight, {});
  const samples: number[] = [];
  const listener: RunListener = { dynamics: ({ nimg }) => void samples.push(nimg) };
  await watched(broken, listener, { stopAt: 24 });
  await watched(broken, listener, { stopAt: 72 });
  await watched(broken, listener);
  assert.deepEqual(samples, [8, 32, 64, 96]);
  assert.deepEqual(await statsOf(broken), await statsOf(straight));
  assert.deepEqual(await trainedIn(broken), await trainedIn(straight));
  const text = await readTextIfAny(straight.file("dynamics.jsonl"));
  assert.equal(await readTextIfAny(broken.file("dynamics.jsonl")), text);
});

test("the time that a run waits at its gate isn't the run's", () => {
  const folder = memoryFolder("paused");
  const watch = new RunWatch({ settings, training, images, validation, device, folder, listener: {} });
  const seconds = (): number => Number(watch.observer.progress?.()["seconds"]);
  const before = seconds();
  // As if an hour had gone by.
  watch.observer.resumed?.(0, 3_600_000);
  const now = seconds();
  watch.dispose();
  assert.ok(now < before - 3000, `${now} seconds after ${before}`);
});

test("pictures become PNG files of their pixels", () => {
  for (const channels of [1, 3] as const) {
    const data = Uint8Array.from({ length: 6 * channels }, (_, i) => (i * 37) % 256);
    const decoded = decode(encodePng({ width: 2, height: 3, channels, data }));
    assert.deepEqual([decoded.width, decoded.height, decoded.channels, decoded.depth], [2, 3, channels, 8]);
    assert.deepEqual(new Uint8Array(decoded.data), data);
  }
});
