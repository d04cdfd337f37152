/** Runs whose steps are reported in blocks: whatever they tell and write is what they tell and write step by step. */
import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, mock, test } from "node:test";
import fc from "fast-check";
import { readNewestCheckpoint } from "../../../diffusion/checkpoint/checkpoint.ts";
import { networkConfig } from "../../../diffusion/network/index.ts";
import { ReportPace } from "../../../diffusion/run/reportPace.ts";
import { type RunObserver, type RunOptions, runTraining } from "../../../diffusion/run/trainingRun.ts";
import { createDevice, type Device } from "../../../engine/index.ts";
import { smallBatch, smallOptions } from "../training/smallRun.ts";
import { diskFolder } from "../../../engine/io/node.ts";

let root = "";
let device: Device;
before(async () => {
  root = await mkdtemp(join(tmpdir(), "evenkeel-reports-"));
  device = await createDevice("wasm", { wasm: { threads: 1 } });
});
after(async () => {
  device.dispose();
  await rm(root, { recursive: true });
});

const unet = { ...smallOptions.network.unet, channelMult: [1], attnResolutions: [], labelDim: 0 };
const training = { ...smallOptions, network: networkConfig({ unet, logvarChannels: 8 }), emaSigmaRels: [0.1] };

type Case = {
  readonly batchDevice: number;
  readonly status: number;
  readonly checkpoint: number;
  readonly dynamics: number;
  /** The step whose images aren't finite. */
  readonly bad: number | null;
};

let folders = 0;

/** What a run told, in order, and what it left in its folder. */
async function outcome(of: Case, reportEvery: number, stopAt?: number): Promise<readonly unknown[]> {
  const outdir = join(root, `run ${folders++}`);
  const stop = new AbortController();
  const options: RunOptions = {
    folder: diskFolder(outdir),
    training: { ...training, batchDevice: of.batchDevice },
    duration: 8 * 14,
    intervals: { status: 8 * of.status, snapshot: 0, checkpoint: 8 * of.checkpoint, samples: 8 * 5, validation: 8 * 7 },
    dynamicsEvery: of.dynamics,
    snapshotDtype: "F16",
    classNames: null,
    device,
    fixed: {},
    nextBatch: (nimg, count) => {
      const batch = { ...smallBatch(nimg, count), labels: null };
      if (nimg === 8 * (of.bad ?? -1)) batch.images[77] = NaN;
      return batch;
    },
    reportEvery,
    signal: stop.signal,
  };
  const told: unknown[] = [];
  const observer: RunObserver = {
    stepped: (step) => void told.push(step),
    status: (nimg) => void told.push(`status ${nimg}`),
    samples: async ({ nimg }) => void told.push(`samples ${nimg}`),
    validation: async ({ nimg }) => void told.push(`validation ${nimg}`),
    wrote: (what, { path }) => void told.push(`${what} ${path.slice(-25)}`),
  };
  const run = (given: RunObserver): Promise<unknown> =>
    runTraining(options, given).catch((reason: unknown) => String(reason));
  if (stopAt === undefined) told.push(await run(observer));
  else {
    let began = 0;
    const stepping = (): void => {
      if (++began === stopAt) stop.abort();
    };
    const stopping: RunObserver = { ...observer, stepping };
    assert.deepEqual(await run(stopping), { nimg: 8 * (stopAt - 1), finished: false });
    told.push(await runTraining({ ...options, signal: new AbortController().signal }, observer));
  }
  const newest = await readNewestCheckpoint(diskFolder(outdir), () => undefined);
  const arrays: unknown[] = [];
  for (const [name, tensor] of newest?.arrays ?? []) arrays.push(name, await tensor.data());
  // A run that fails at its first step has none.
  const dynamics = await readFile(join(outdir, "dynamics.jsonl"), "utf8").catch(() => null);
  return [told, (await readdir(outdir)).sort(), newest?.nimg, arrays, dynamics];
}

const cases: fc.Arbitrary<Case> = fc.record({
  batchDevice: fc.constantFrom(8, 4),
  status: fc.integer({ min: 1, max: 15 }),
  checkpoint: fc.integer({ min: 1, max: 15 }),
  // Most of a run's time is compiling what looks into its steps.
  dynamics: fc.constantFrom(0, 0, 0, 1, 2, 3),
  bad: fc.option(fc.nat(13), { freq: 2 }),
});

test("what runs tell, write and leave is the same, however many steps are reported together", async () => {
  await fc.assert(
    fc.asyncProperty(cases, fc.integer({ min: 2, max: 20 }), async (of, every) => {
      assert.deepEqual(await outcome(of, every), await outcome(of, 1));
    }),
    { numRuns: 6 },
  );
});

test("asked to stop, a run finishes the steps that it has begun, tells of them, and goes on with the bits it would have had", async () => {
  const of: Case = { batchDevice: 8, status: 6, checkpoint: 9, dynamics: 3, bad: null };
  const [, , nimg, arrays, dynamics] = await outcome(of, 1);
  for (const stopAt of [2, 8]) {
    const [told, , ...left] = await outcome(of, 4, stopAt);
    assert.deepEqual(left, [nimg, arrays, dynamics]);
    const steps = (told as readonly unknown[]).flatMap((each) =>
      typeof each === "object" && each !== null && "losses" in each && "nimg" in each ? [each.nimg] : [],
    );
    assert.deepEqual(
      steps,
      Array.from({ length: 14 }, (_, i) => 8 * (i + 1)),
    );
  }
});

test("by default steps are reported one by one on the CPU, and on adapters as many as take a quarter of a second", () => {
  const traits = (adapter: Device["traits"]["adapter"]): Device =>
    ({ traits: { adapter, threads: 1, fusedMultiplyAdd: null } }) as Device;
  const adapter = { name: "card", isSoftware: false, limits: {}, features: [] };
  const clock = { now: 0 };
  const { mock: counter } = mock.method(performance, "now", () => clock.now);
  /** Milliseconds a step, and how many are reported together after it. */
  const paces = (pace: ReportPace, milliseconds: readonly number[]): number[] =>
    milliseconds.map((each) => {
      pace.begin();
      clock.now += each * pace.steps;
      pace.read(pace.steps);
      return pace.steps;
    });
  const times = [3000, 100, 30, 1, 0, 20, 400];
  assert.equal(new ReportPace(traits(adapter)).steps, 1);
  assert.deepEqual(paces(new ReportPace(traits(adapter)), times), [1, 2, 8, 64, 64, 12, 1]);
  assert.deepEqual(new Set(paces(new ReportPace(traits(null)), times)), new Set([1]));
  assert.deepEqual(new Set(paces(new ReportPace(traits(adapter), 7), times)), new Set([7]));
  counter.restore();
  for (const every of [0, 1.5, NaN, -1]) {
    assert.throws(() => new ReportPace(device, every), { code: "value", message: /reportEvery is/ });
  }
});
