/** Runs that are held between steps: as many steps are made as are asked for, and nothing else is different. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { readNewestCheckpoint } from "../../../diffusion/checkpoint/index.ts";
import { networkConfig } from "../../../diffusion/network/index.ts";
import { StepGate } from "../../../diffusion/run/stepGate.ts";
import { type RunObserver, type RunOptions, runTraining } from "../../../diffusion/run/trainingRun.ts";
import { createDevice, type Device } from "../../../engine/index.ts";
import { type Folder, memoryFolder, readWhole } from "../../../engine/io/index.ts";
import { smallBatch, smallOptions } from "../training/smallRun.ts";

let device: Device;
before(async () => {
  device = await createDevice("wasm", { wasm: { threads: 1 } });
});
after(() => device.dispose());

type Command = "pause" | "resume" | "step" | "end of step";

test("a gate lets as many steps through as were asked for", async () => {
  const command = fc.constantFrom<Command>("pause", "resume", "step", "end of step", "end of step");
  await fc.assert(
    fc.asyncProperty(fc.boolean(), fc.array(command, { maxLength: 30 }), async (isPaused, commands) => {
      const gate = new StepGate(isPaused);
      // A run that makes each step when it is told to.
      const run = { isStepping: false, begun: 0, done: 0, end: (): void => undefined };
      const loop = async (): Promise<void> => {
        for (;;) {
          const opened = gate.pass();
          if (opened !== undefined) await opened;
          run.begun++;
          run.isStepping = true;
          await new Promise<void>((resolve) => (run.end = resolve));
          run.isStepping = false;
          run.done++;
        }
      };
      void loop();
      const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
      await settled();
      // The steps asked for that haven't begun; all of them, if none is held.
      let [due, begun, isHeld] = [0, isPaused ? 0 : 1, isPaused];
      let isStepping = !isPaused;
      const beginIfMay = (): void => {
        if (isStepping || (isHeld && due === 0)) return;
        if (isHeld) due--;
        begun++;
        isStepping = true;
      };
      for (const each of commands) {
        if (each === "end of step") {
          if (!isStepping) continue;
          isStepping = false;
          run.end();
        } else {
          gate[each]();
          if (each === "step") due++;
          else if (each === "resume") due = 0;
          isHeld = each !== "resume";
        }
        beginIfMay();
        await settled();
        assert.deepEqual([run.begun, run.isStepping, gate.isPaused], [begun, isStepping, isHeld]);
      }
    }),
  );
});

const unet = { ...smallOptions.network.unet, channelMult: [1], attnResolutions: [], labelDim: 0 };
const steps = 14;

function optionsOf(folder: Folder): RunOptions {
  return {
    folder,
    training: { ...smallOptions, network: networkConfig({ unet, logvarChannels: 8 }), emaSigmaRels: [0.1] },
    duration: 8 * steps,
    intervals: { status: 40, snapshot: 0, checkpoint: 0, samples: 0, validation: 0 },
    snapshotDtype: "F32",
    classNames: null,
    device,
    fixed: {},
    nextBatch: (nimg, count) => ({ ...smallBatch(nimg, count), labels: null }),
  };
}

/** What a run leaves, by name. */
async function left(folder: Folder): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for (const name of await folder.list()) files[name] = Buffer.from(await readWhole(folder.file(name))).toString("hex");
  return files;
}

/** What somebody does when a run has paused. */
type Deed =
  | { readonly kind: "step"; readonly times: number }
  /** Lets it go on, and pauses it again while so many steps later one is under way. */
  | { readonly kind: "go"; readonly steps: number }
  | { readonly kind: "abort" };

const deed: fc.Arbitrary<Deed> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("step" as const), times: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("go" as const), steps: fc.integer({ min: 1, max: 5 }) }) },
  { weight: 1, arbitrary: fc.constant({ kind: "abort" as const }) },
);

test("whatever is paused, stepped, resumed and aborted, a run makes the steps asked for, shows them, and leaves what it would have", async () => {
  const straight = memoryFolder("straight");
  await runTraining(optionsOf(straight));
  const expected = await left(straight);
  const deeds = fc.array(fc.record({ deed, isLate: fc.boolean() }), { minLength: 1, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(deeds, fc.integer({ min: 1, max: 5 }), async (all, reportEvery) => {
      const folder = memoryFolder("held");
      const gate = new StepGate(true);
      const stop = new AbortController();
      const rest = [...all];
      let [asked, told, pauses, waits] = [0, 0, 0, 0];
      /** Steps until somebody pauses the run. */
      let untilPause = Infinity;
      const act = (): void => {
        const next = rest.shift()?.deed;
        switch (next?.kind) {
          case "step":
            asked += next.times;
            for (let i = 0; i < next.times; i++) gate.step();
            break;
          case "go":
            asked += next.steps;
            untilPause = next.steps;
            gate.resume();
            break;
          case "abort":
            stop.abort();
            break;
          case undefined:
            asked = steps;
            gate.resume();
        }
      };
      const observer: RunObserver = {
        stepping: () => {
          if (--untilPause === 0) gate.pause();
        },
        stepped: ({ nimg }) => {
          assert.equal(nimg, 8 * ++told);
        },
        paused: (nimg) => {
          pauses++;
          assert.equal(gate.isPaused, true);
          assert.deepEqual([nimg, told], [8 * asked, asked], "all steps asked for were made and told of");
          if (rest[0]?.isLate === true) setImmediate(act);
          else act();
        },
        resumed: (nimg, milliseconds) => {
          waits++;
          assert.ok(nimg === 8 * told && milliseconds >= 0, `${nimg} images, ${milliseconds} ms`);
        },
      };
      const options = { ...optionsOf(folder), reportEvery };
      const ending = await runTraining({ ...options, gate, signal: stop.signal }, observer);
      assert.equal(pauses, waits);
      const made = Math.min(asked, steps);
      assert.deepEqual(ending, { nimg: 8 * made, finished: made === steps });
      if (!ending.finished) {
        // Of a run without a step there is nothing to keep.
        assert.equal(
          (await readNewestCheckpoint(folder, (message) => assert.fail(message)))?.nimg,
          made === 0 ? undefined : 8 * made,
        );
        assert.deepEqual(await runTraining(options), { nimg: 8 * steps, finished: true });
      }
      assert.deepEqual(await stateBits(folder), await stateBits(straight));
      if (!stop.signal.aborted) assert.deepEqual(await left(folder), expected);
    }),
    { numRuns: 12 },
  );
});

async function stateBits(folder: Folder): Promise<Record<string, string>> {
  const checkpoint = await readNewestCheckpoint(folder, (message) => assert.fail(message));
  assert.equal(checkpoint?.nimg, 8 * steps);
  const result: Record<string, string> = {};
  for (const [name, tensor] of checkpoint.arrays) {
    const data = await tensor.data();
    result[name] = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("hex");
  }
  return result;
}
