/** What a run folder holds at its ends, whatever ends the run. */
import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { mkdir, mkdtemp, readdir, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { readCheckpoint, readNewestCheckpoint, writeCheckpoint } from "../../../diffusion/checkpoint/checkpoint.ts";
import { networkConfig } from "../../../diffusion/network/index.ts";
import { finishRun } from "../../../diffusion/run/finishRun.ts";
import { type RunObserver, type RunOptions, type RunResult, runTraining } from "../../../diffusion/run/trainingRun.ts";
import type { TrainingOptions } from "../../../diffusion/training/index.ts";
import { readSnapshot } from "../../../diffusion/snapshot/node.ts";
import { createDevice, type Device, EvenkeelError, type Tensor } from "../../../engine/index.ts";
import { smallBatch, smallOptions } from "../training/smallRun.ts";
import { memoryFolder, writeText } from "../../../engine/io/index.ts";
import { diskFile, diskFolder } from "../../../engine/io/node.ts";

let root = "";
let device: Device;
before(async () => {
  root = await mkdtemp(join(tmpdir(), "evenkeel-run-"));
  device = await createDevice("wasm", { wasm: { threads: 1 } });
});
after(async () => {
  device.dispose();
  await rm(root, { recursive: true });
});

const unet = { ...smallOptions.network.unet, channelMult: [1], labelDim: 0 };

function optionsOf(folder: string): RunOptions {
  return {
    folder: diskFolder(join(root, folder)),
    training: { ...smallOptions, network: networkConfig({ unet, logvarChannels: 8 }) },
    duration: 160,
    intervals: { status: 40, snapshot: 0, checkpoint: 24, samples: 80, validation: 0 },
    snapshotDtype: "F32",
    classNames: null,
    device,
    fixed: { data: "waves" },
    nextBatch: (nimg, count) => ({ ...smallBatch(nimg, count), labels: null }),
  };
}

const state = (nimg: number): string => `training-state-${String(nimg).padStart(10, "0")}.safetensors`;
const statesOf = async (folder: string): Promise<string[]> =>
  (await readdir(join(root, folder))).filter((name) => name.startsWith("training-state")).sort();

async function bits(arrays: ReadonlyMap<string, Tensor>): Promise<Record<string, string>> {
  const result: Record<string, string> = {};
  for (const [name, tensor] of arrays) {
    const data = await tensor.data();
    result[name] = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("hex");
  }
  return result;
}

async function endOf(folder: string): Promise<Record<string, string>> {
  return bits((await readCheckpoint(diskFile(join(root, folder, state(160))))).arrays);
}

test("events come at their intervals, in order, and all at the end", async () => {
  const told: string[] = [];
  const observer: RunObserver = {
    started: (_, nimg) => void told.push(`started ${nimg}`),
    status: (nimg) => void told.push(`status ${nimg}`),
    samples: async (trainer) => void told.push(`samples ${trainer.nimg}`),
    validation: async (trainer) => void told.push(`validation ${trainer.nimg}`),
    wrote: (what, { path }) => void told.push(`${what} ${path.slice(-26)}`),
  };
  assert.deepEqual(await runTraining(optionsOf("straight"), observer), { nimg: 160, finished: true });
  const snapshots = ["snapshot -0000000-0.050.safetensors", "snapshot -0000000-0.100.safetensors"];
  const checkpoint = (nimg: number): string => `checkpoint ${String(nimg).padStart(14, "e-0000000000")}`;
  assert.deepEqual(
    told.map((line) =>
      line.replace(/^checkpoint .*-(\d+)\.safetensors$/, (_, nimg: string) => checkpoint(Number(nimg))),
    ),
    [
      "started 0",
      ...snapshots,
      ...[checkpoint(24), "status 40", checkpoint(48), checkpoint(72), "samples 80", "status 80"],
      ...[checkpoint(96), "status 120", checkpoint(120), checkpoint(144)],
      ...["validation 160", "samples 160", "status 160", ...snapshots, checkpoint(160)],
    ],
  );
  assert.deepEqual(await statesOf("straight"), [state(144), state(160)]);
});

test("a loss that isn't finite ends a run with the last good checkpoint, from which it can go on", async () => {
  const good = optionsOf("poisoned");
  const poisoned: RunOptions = {
    ...good,
    nextBatch: (nimg, count) => {
      const batch = good.nextBatch(nimg, count);
      if (nimg === 104) batch.images[5 * 192 + 7] = Number.NaN;
      return batch;
    },
  };
  await assert.rejects(runTraining(poisoned), (reason) => {
    assert.ok(reason instanceof EvenkeelError && reason.code === "diverged");
    assert.match(
      reason.message,
      /the loss is NaN in step 13 \(images 104 to 111\), image 109 at sigma \d\S*: it began at images, where 1 of 1536 values/,
    );
    return true;
  });
  assert.deepEqual(await statesOf("poisoned"), [state(72), state(96)]);
  let from = 0;
  await runTraining(good, { started: (_, nimg) => void (from = nimg) });
  assert.equal(from, 96);
  assert.deepEqual(await endOf("poisoned"), await endOf("straight"));
});

/** Runs until so many steps are made. */
async function stoppedAfter(folder: string, steps: number, observer: RunObserver = {}): Promise<RunResult> {
  const stop = new AbortController();
  let done = 0;
  return runTraining(
    { ...optionsOf(folder), signal: stop.signal },
    {
      ...observer,
      stepped: () => {
        if (++done === steps) stop.abort();
      },
    },
  );
}

test("what a stop puts off, also while it is under way, is done when the run goes on, once", async () => {
  const observed = (told: string[]): RunObserver => ({
    validation: async (trainer) => void told.push(`validation ${trainer.nimg}`),
    samples: async (trainer) => void told.push(`samples ${trainer.nimg}`),
    status: (nimg) => void told.push(`status ${nimg}`),
    wrote: (what, { path }) => {
      if (what === "snapshot") told.push(path.slice(-25));
    },
  });
  const expected: string[] = [];
  const never = new AbortController();
  await runTraining({ ...optionsOf("whole"), signal: never.signal }, observed(expected));
  assert.equal(getEventListeners(never.signal, "abort").length, 0, "a run leaves nothing behind at its signal");
  for (const at of ["step 10", "samples 80", "validation 160", "samples 160"]) {
    const told: string[] = [];
    const stop = new AbortController();
    const observer = observed(told);
    // Never over unless it is abandoned.
    const stuck = (name: string, otherwise: () => void | Promise<void>): Promise<void> | void => {
      if (name !== at) return otherwise();
      setImmediate(() => stop.abort());
      return new Promise(() => undefined);
    };
    const folder = `put off ${at}`;
    let steps = 0;
    const ending = await runTraining(
      { ...optionsOf(folder), signal: stop.signal },
      {
        ...observer,
        stepped: () => {
          if (`step ${++steps}` === at) stop.abort();
        },
        validation: async (trainer) => stuck(`validation ${trainer.nimg}`, () => observer.validation?.(trainer)),
        samples: async (trainer) => stuck(`samples ${trainer.nimg}`, () => observer.samples?.(trainer)),
      },
    );
    assert.equal(ending.finished, false, at);
    assert.deepEqual(await runTraining(optionsOf(folder), observer), { nimg: 160, finished: true });
    assert.deepEqual(told, expected, at);
    assert.deepEqual(await endOf(folder), await endOf("straight"));
  }
});

test("stopped after any step, a run goes on with the bits it would have had", async () => {
  for (const steps of [1, 7, 19]) {
    const folder = `stopped${steps}`;
    const stopped = await stoppedAfter(folder, steps);
    assert.deepEqual(stopped, { nimg: 8 * steps, finished: false });
    const kept = await readCheckpoint(diskFile(join(root, folder, state(8 * steps))));
    assert.equal(kept.nimg, 8 * steps);
    assert.deepEqual(await runTraining(optionsOf(folder)), { nimg: 160, finished: true });
    assert.deepEqual(await endOf(folder), await endOf("straight"));
  }
});

test("on another device a run goes on, and says what that does to its bits; with more threads it has nothing to say", async () => {
  const warned: string[] = [];
  const observer: RunObserver = { warned: (message) => warned.push(message) };
  await stoppedAfter("moved", 18);
  const two = await createDevice("wasm", { wasm: { threads: 2 } });
  const stop = new AbortController();
  await runTraining(
    { ...optionsOf("moved"), device: two, signal: stop.signal },
    { ...observer, stepped: () => stop.abort() },
  );
  two.dispose();
  assert.deepEqual(warned, []);
  const oracle = await createDevice("oracle");
  assert.deepEqual(await runTraining({ ...optionsOf("moved"), device: oracle }, observer), {
    nimg: 160,
    finished: true,
  });
  assert.equal(warned.length, 1);
  assert.match(warned.join("\n"), /^This run was on wasm before and goes on on oracle: its numbers differ by rounding/);
});

test("a folder without snapshots can't be finished, and is told to have none", async () => {
  const outdir = join(root, "nothing");
  await mkdir(outdir);
  await assert.rejects(finishRun({ outdir, sigmaRel: 0.1, layout: null, guidance: 1, device }), {
    code: "file",
    message: /nothing: has no snapshot .* taken after the start/,
  });
});

test("of a run without an earlier snapshot no guided picture is made, at guidance 1 neither, and none at all if none is wanted", async () => {
  await runTraining({ ...optionsOf("drawn"), seenLabels: { kind: "classes", values: [1] } });
  const outdir = join(root, "drawn");
  const layout = { rows: [null, null], columns: 2, steps: 1, scale: 1 };
  const finish = { outdir, sigmaRel: 0.1, layout, guidance: 2, device };
  const pictures = async (): Promise<string[]> => (await readdir(outdir)).filter((name) => name.endsWith(".png"));
  const drawn = await finishRun({ ...finish, layout: null });
  assert.deepEqual([drawn.plain, await pictures()], [null, []]);
  await writeFile(join(outdir, "samples-guided.png"), "of an earlier end");
  const run = await finishRun(finish);
  assert.deepEqual(run.guided, { missing: "there is no snapshot from before 160 images to guide by" });
  assert.deepEqual((await finishRun({ ...finish, guidance: 1 })).guided, { missing: "a guidance of 1 is none" });
  assert.deepEqual(await pictures(), ["samples-plain.png"]);
  // What the snapshots were told of labels and of their training is in the average made of them.
  const { seenLabels, trained } = await readSnapshot(run.network);
  assert.deepEqual(seenLabels, { kind: "classes", values: [1] });
  assert.deepEqual(trained, { labelDropout: smallOptions.labelDropout, isConsistent: false });
});

test("a step that takes longer than a second is given up, wherever it stands, and leaves the state before it", async (t) => {
  // The second is over at once; the device pauses as often as it can.
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const slow = await createDevice("wasm", { wasm: { threads: 1, turnMilliseconds: 0 } });
  for (const [steps, turns] of [
    [1, 3],
    [5, 2],
    [7, 20],
  ] as const) {
    const folder = `given up ${steps}`;
    const stop = new AbortController();
    const [options, told] = [{ ...optionsOf(folder), device: slow }, [] as string[]];
    let begun = 0;
    const abortIn = (left: number): void => {
      if (left > 0) setImmediate(() => abortIn(left - 1));
      else {
        stop.abort();
        t.mock.timers.tick(1000);
      }
    };
    const ending = await runTraining(
      { ...options, signal: stop.signal },
      {
        stepping: () => {
          if (begun++ === steps) abortIn(turns);
        },
        warned: (message) => told.push(message),
      },
    );
    assert.deepEqual(ending, { nimg: 8 * steps, finished: false });
    assert.deepEqual(told, [`The step was abandoned: the state is that after ${8 * steps} images.`]);
    const kept = await bits((await readCheckpoint(diskFile(join(root, folder, state(8 * steps))))).arrays);
    await stoppedAfter(`${folder}, in time`, steps);
    const wanted = await readCheckpoint(diskFile(join(root, `${folder}, in time`, state(8 * steps))));
    assert.deepEqual(kept, await bits(wanted.arrays));
    assert.deepEqual(await runTraining(options), { nimg: 160, finished: true });
    assert.deepEqual(await endOf(folder), await endOf("straight"));
  }
  slow.dispose();
});

test("a stop that is asked for in the last step is none", async () => {
  const stop = new AbortController();
  const late = { ...optionsOf("late"), duration: 8, signal: stop.signal };
  const ending = await runTraining(late, { stepped: () => stop.abort() });
  assert.deepEqual(ending, { nimg: 8, finished: true });
});

test("what can't be written ends the run, and the checkpoints that there were are kept", async () => {
  const folder = join(root, "refused");
  const options = optionsOf("refused");
  // A folder with a file in it can't be replaced by a checkpoint, as a full disk can't take one.
  const blocker = join(folder, state(72));
  const observer: RunObserver = {
    started: async () => {
      await mkdir(blocker);
    },
  };
  await assert.rejects(runTraining(options, observer), {
    name: "EvenkeelError",
    code: "file",
    message: /training-state-0000000072\.safetensors: is a folder/,
  });
  await rm(blocker, { recursive: true });
  assert.ok((await statesOf("refused")).includes(state(48)));
  assert.ok((await readdir(folder)).every((name) => !name.endsWith(".partial")));
  await runTraining(options);
  assert.deepEqual(await endOf("refused"), await endOf("straight"));
});

test("damaged checkpoints are passed over, the newest first; if none can be read, none is replaced", async () => {
  const folder = join(root, "straight");
  const warnings: string[] = [];
  const read = () => readNewestCheckpoint(diskFolder(folder), (message) => warnings.push(message));
  assert.equal((await read())?.nimg, 160);
  await truncate(join(folder, state(160)), 9);
  assert.equal((await read())?.nimg, 144);
  assert.match(warnings.join(), /^passing over a damaged checkpoint: .*training-state-0000000160/);
  await writeFile(join(folder, state(144)), "not a checkpoint");
  await assert.rejects(runTraining(optionsOf("straight")), {
    code: "file",
    message: /no checkpoint of .*straight can be read: .*0000000160.*; .*0000000144/,
  });
  assert.deepEqual(await statesOf("straight"), [state(144), state(160)]);
});

test("a run that began before a network had an option goes on with what it had then, and with nothing else", async () => {
  const folder = memoryFolder("older");
  const options = { ...optionsOf("older"), folder };
  const stop = new AbortController();
  await runTraining({ ...options, signal: stop.signal }, { stepped: ({ nimg }) => nimg === 80 && stop.abort() });
  const checkpoint = await readNewestCheckpoint(folder, () => undefined);
  assert.ok(checkpoint !== null, "there is a checkpoint");
  const training = checkpoint.fixed["training"] as TrainingOptions;
  const { activations: _, ...unet } = training.network.unet;
  const fixed = { ...checkpoint.fixed, training: { ...training, network: { ...training.network, unet } } };
  await writeCheckpoint(folder, { ...checkpoint, fixed }, checkpoint.arrays);
  const newer = { ...training.network, unet: { ...training.network.unet, spin: 3 } };
  const spinning = memoryFolder("newer");
  await writeCheckpoint(
    spinning,
    { ...checkpoint, fixed: { ...checkpoint.fixed, training: { ...training, network: newer } } },
    checkpoint.arrays,
  );
  await assert.rejects(runTraining({ ...options, folder: spinning }), {
    message: /^newer holds a run of 80 images with other settings: training\.network\.unet\.spin was 3, now unset/,
  });
  const halved = networkConfig({
    ...options.training.network,
    unet: { ...options.training.network.unet, activations: "float16" },
  });
  await assert.rejects(runTraining({ ...options, training: { ...options.training, network: halved } }), {
    message: /activations was "float32", now "float16"/,
  });
  assert.deepEqual(await runTraining(options), { nimg: 160, finished: true });
});

test("a checkpoint that is written is kept, whatever is damaged of those that tell of more images", async () => {
  const folder = memoryFolder("damaged");
  const write = (nimg: number) => writeCheckpoint(folder, { nimg, fixed: {}, progress: {} }, new Map());
  await write(80);
  for (const nimg of [144, 160]) await writeText(folder.file(state(nimg)), "damaged");
  for (const nimg of [88, 96]) await write(nimg);
  assert.deepEqual(await folder.list(), [state(88), state(96), state(144), state(160)]);
  assert.equal((await readNewestCheckpoint(folder, () => undefined))?.nimg, 96);
});
