/** Runs that end at any instant and are started again: what they tell is told once. */
import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { networkConfig } from "../../../diffusion/network/index.ts";
import { EventFile } from "../../../diffusion/run/eventFile.ts";
import { StatsLog } from "../../../diffusion/run/statsLog.ts";
import { type RunObserver, type RunOptions, runTraining } from "../../../diffusion/run/trainingRun.ts";
import { createDevice, type Device } from "../../../engine/index.ts";
import { smallBatch, smallOptions } from "../training/smallRun.ts";
import { message, only, readFields, readRecords, text } from "./readEvents.ts";
import { diskFile, diskFolder } from "../../../engine/io/node.ts";

let root = "";
let device: Device;
before(async () => {
  root = await mkdtemp(join(tmpdir(), "evenkeel-logs-"));
  device = await createDevice("wasm", { wasm: { threads: 1 } });
});
after(async () => {
  device.dispose();
  await rm(root, { recursive: true });
});

const unet = { ...smallOptions.network.unet, channelMult: [1], labelDim: 0 };

function optionsOf(outdir: string, signal?: AbortSignal): RunOptions {
  return {
    folder: diskFolder(outdir),
    training: { ...smallOptions, network: networkConfig({ unet, logvarChannels: 8 }), emaSigmaRels: [0.1] },
    duration: 64,
    intervals: { status: 8, snapshot: 0, checkpoint: 24, samples: 16, validation: 0 },
    snapshotDtype: "F16",
    classNames: null,
    device,
    fixed: {},
    nextBatch: (nimg, count) => ({ ...smallBatch(nimg, count), labels: null }),
    ...(signal === undefined ? {} : { signal }),
  };
}

/** How a process ends: as if it were killed before its n-th write, or as a signal asks for at its n-th occasion; and what its clock says. */
type Ending = { readonly how: "killed" | "signal"; readonly at: number; readonly clock: number };

class Killed extends Error {}

/** One process of the run, which writes events and lines as training does. */
async function process(outdir: string, clock: number, ending?: Ending): Promise<void> {
  const stop = new AbortController();
  let occasions = 0;
  const occasion = (): void => {
    if (ending === undefined || occasions++ !== ending.at) return;
    if (ending.how === "killed") throw new Killed();
    stop.abort();
  };
  let [events, log]: [EventFile?, StatsLog?] = [];
  const observer: RunObserver = {
    started: async (_, _nimg, _progress, next) => {
      occasion();
      log = await StatsLog.open(diskFile(join(outdir, "stats.jsonl")), next);
      occasion();
      events = await EventFile.create(outdir, new Date(1000 * clock), next);
    },
    stepped: occasion,
    samples: async ({ nimg }) => {
      // A signal ends what can be done again, but what is under way may still be written.
      occasion();
      await events?.write(new Date(), nimg, [{ kind: "scalar", tag: "picture", value: nimg }]);
      occasion();
    },
    status: async (nimg) => {
      occasion();
      await log?.append({ nimg });
      occasion();
      await events?.write(new Date(), nimg, [{ kind: "scalar", tag: "loss", value: nimg }]);
      occasion();
    },
    wrote: occasion,
  };
  await runTraining(optionsOf(outdir, stop.signal), observer).catch((reason: unknown) => {
    if (!(reason instanceof Killed)) throw reason;
  });
}

/** Steps and tags as TensorBoard reads a folder: file after file, where a start voids what came before of its step and later ones. */
async function eventsOf(outdir: string): Promise<string[]> {
  let events: { readonly step: number; readonly tag: string }[] = [];
  for (const name of (await readdir(outdir)).filter((each) => each.startsWith("events.out")).sort()) {
    for (const fields of readRecords(await readFile(join(outdir, name))).map(readFields)) {
      const has = (field: number): boolean => fields.some((each) => each.field === field);
      if (has(7)) events = events.filter(({ step }) => step < Number(only(fields, 2)));
      if (!has(5)) continue;
      const [value] = message(only(fields, 5));
      assert.ok(value !== undefined);
      events.push({ step: Number(only(fields, 2)), tag: text(only(message(value.value), 1)) });
    }
  }
  return events.map(({ step, tag }) => `${step} ${tag}`);
}

const linesOf = async (outdir: string): Promise<string> => readFile(join(outdir, "stats.jsonl"), "utf8");

test("whatever ends the processes of a run, its events and lines are those of an undisturbed one, each once", async () => {
  const straight = join(root, "straight");
  await process(straight, 1_700_000_000);
  const [events, lines] = [await eventsOf(straight), await linesOf(straight)];
  assert.deepEqual(events.slice(0, 4), ["8 loss", "16 picture", "16 loss", "24 loss"]);
  let runs = 0;
  const ending = fc.record({
    how: fc.constantFrom<Ending["how"]>("killed", "signal"),
    at: fc.nat(40),
    clock: fc.integer({ min: 1_600_000_000, max: 1_800_000_000 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(ending, { minLength: 1, maxLength: 3 }), async (endings) => {
      const outdir = join(root, `broken ${runs++}`);
      for (const each of endings) await process(outdir, each.clock, each);
      await process(outdir, 1_700_000_000);
      assert.deepEqual(await eventsOf(outdir), events);
      assert.equal(await linesOf(outdir), lines);
    }),
    { numRuns: 12 },
  );
});
