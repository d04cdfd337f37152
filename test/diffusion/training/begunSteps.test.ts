/** Steps that are begun and whose reports are read later: what they do, report and leave is that of steps that are waited for. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import { type BegunStep, type StepStatistics, Trainer } from "../../../diffusion/training/index.ts";
import { createDevice, type Device, EvenkeelError, type Tensor } from "../../../engine/index.ts";
import { networkConfig } from "../../../diffusion/network/index.ts";
import { scheduledDevice } from "../../support/scheduledDevice.ts";
import { smallBatch, smallOptions } from "./smallRun.ts";

const unet = { ...smallOptions.network.unet, channelMult: [1], attnResolutions: [] };
const options = { ...smallOptions, network: networkConfig({ unet, logvarChannels: 8 }), emaSigmaRels: [0.1] };

async function bits(arrays: ReadonlyMap<string, Tensor>): Promise<Record<string, string>> {
  const result: Record<string, string> = {};
  for (const [name, tensor] of arrays) {
    const data = await tensor.data();
    result[name] = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("hex");
  }
  return result;
}

/** The batch that begins with image `nimg`, one pixel of which is infinite in the batches listed. */
function batchAt(nimg: number, bad: readonly number[]) {
  const batch = smallBatch(nimg, 8);
  if (bad.includes(nimg / 8)) batch.images[3 * 192 + 5] = Infinity;
  return batch;
}

type Told = StepStatistics | string;

const toldBy = (report: Promise<StepStatistics>): Promise<Told> =>
  report.catch((reason: unknown) => {
    assert.ok(reason instanceof EvenkeelError && reason.code === "diverged", String(reason));
    return reason.message;
  });

/** Steps until one fails or all are made, of which each is waited for. */
async function oneByOne(trainer: Trainer, until: number, bad: readonly number[]): Promise<Told[]> {
  const told: Told[] = [];
  while (trainer.nimg < until) {
    told.push(await toldBy(trainer.step(batchAt(trainer.nimg, bad))));
    if (typeof told.at(-1) === "string") break;
  }
  return told;
}

/** The same in blocks of so many steps, over and over. Those after a failure tell of it too, and are left out. */
async function inBlocks(
  trainer: Trainer,
  until: number,
  bad: readonly number[],
  sizes: readonly number[],
): Promise<Told[]> {
  const told: Told[] = [];
  for (let block = 0; trainer.nimg < until; block++) {
    const begun: BegunStep[] = [];
    for (let i = 0; i < (sizes[block % sizes.length] ?? 1) && trainer.nimg < until; i++) {
      begun.push(await trainer.begin(batchAt(trainer.nimg, bad)));
    }
    for (const step of begun) told.push(await toldBy(step.report()));
    const failed = told.findIndex((each) => typeof each === "string");
    if (failed < 0) continue;
    for (const each of told.slice(failed)) assert.equal(each, told[failed], "those behind say why they did nothing");
    return told.slice(0, failed + 1);
  }
  return told;
}

describe("steps that are begun", () => {
  let inner: Device;
  let device: ReturnType<typeof scheduledDevice>;
  before(async () => {
    inner = await createDevice("wasm", { wasm: { threads: 1 } });
    device = scheduledDevice(inner, () => Promise.resolve());
  });
  after(() => {
    assert.deepEqual([device.held, device.violations], [0, []]);
    inner.dispose();
  });

  for (const batchDevice of [8, 4]) {
    describe(`in parts of ${batchDevice}`, () => {
      let trainer: Trainer;
      let start: ReadonlyMap<string, Tensor>;
      const made = async (signal?: AbortSignal): Promise<Trainer> =>
        Trainer.create({ ...options, batchDevice }, device, signal);
      before(async () => {
        trainer = await made();
        start = await trainer.readState();
      });
      after(() => trainer.dispose());

      it("do what steps that are waited for do, bit for bit, also where a loss isn't finite and they go on", async () => {
        const cases = fc.record({
          steps: fc.integer({ min: 1, max: 10 }),
          bad: fc.uniqueArray(fc.nat(9), { maxLength: 2 }),
          sizes: fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 3 }),
        });
        await fc.assert(
          fc.asyncProperty(cases, async ({ steps, bad, sizes }) => {
            const outcome = async (run: (bad: readonly number[]) => Promise<Told[]>): Promise<unknown> => {
              await trainer.writeState(0, start);
              const first = await run(bad);
              const stopped = [trainer.nimg, await bits(await trainer.readState())];
              // Whoever goes on with other images goes on with the same bits.
              return [first, stopped, await run([]), trainer.nimg, await bits(await trainer.readState())];
            };
            const until = 8 * steps;
            assert.deepEqual(
              await outcome((at) => inBlocks(trainer, until, at, sizes)),
              await outcome((at) => oneByOne(trainer, until, at)),
            );
          }),
          { numRuns: 12, examples: [[{ steps: 6, bad: [2, 3], sizes: [6] }], [{ steps: 4, bad: [0], sizes: [3] }]] },
        );
      });

      it("wait on the device for their readers, who wait for it once", async () => {
        await trainer.writeState(0, start);
        device.downloads.length = 0;
        const begun: BegunStep[] = [];
        for (let i = 0; i < 5; i++) begun.push(await trainer.begin(smallBatch(trainer.nimg, 8)));
        assert.deepEqual([device.downloads.length, trainer.nimg], [0, 40]);
        const last = await begun[4]?.report();
        assert.equal(last?.nimg, 40);
        for (const [i, step] of begun.entries()) assert.equal((await step.report()).nimg, 8 * (i + 1));
        assert.equal(device.downloads.length, 1);
      });

      it("are read by the trainer itself where many wait, and before the state is; a failure nobody asked for is told by the next", async () => {
        await trainer.writeState(0, start);
        device.downloads.length = 0;
        for (let i = 0; i < 70; i++) await trainer.begin(smallBatch(trainer.nimg, 8));
        assert.equal(device.downloads.length, batchDevice === 8 ? 1 : 2);
        assert.equal(trainer.nimg, 560);
        await trainer.writeState(0, start);
        const bad = [1];
        for (let i = 0; i < 3; i++) await trainer.begin(batchAt(trainer.nimg, bad));
        assert.equal(trainer.nimg, 24);
        const state = await bits(await trainer.readState());
        assert.equal(trainer.nimg, 8);
        await assert.rejects(trainer.begin(smallBatch(8, 8)), /the loss is NaN in step 1 \(images 8 to 15\)/);
        assert.deepEqual(await bits(await trainer.readState()), state);
        assert.equal((await (await trainer.begin(smallBatch(8, 8))).report()).nimg, 16);
      });

      it("are refused, if nobody read them, when the trainer is gone", async () => {
        const other = await made();
        const step = await other.begin(smallBatch(0, 8));
        other.dispose();
        await assert.rejects(step.report(), { code: "disposed" });
      });

      it("keep those before them when they are given up", async () => {
        const stop = new AbortController();
        const other = await made(stop.signal);
        const first = await other.begin(smallBatch(0, 8));
        stop.abort();
        await assert.rejects(other.begin(smallBatch(8, 8)), { code: "aborted" });
        assert.deepEqual([other.nimg, (await first.report()).nimg], [8, 8]);
        await trainer.writeState(0, start);
        await trainer.step(smallBatch(0, 8));
        assert.deepEqual(await bits(await other.readState()), await bits(await trainer.readState()));
        other.dispose();
      });
    });
  }
});
