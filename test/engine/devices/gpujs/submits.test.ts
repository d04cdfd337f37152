/** Runs that are cut into submits: where, that it changes no bit, and what may happen in between. */
import assert from "node:assert/strict";
import { after, describe, it, mock } from "node:test";
import fc from "fast-check";
import { networkConfig } from "../../../../diffusion/network/index.ts";
import { Trainer } from "../../../../diffusion/training/index.ts";
import { acquireContext } from "../../../../engine/devices/gpujs/adapter.ts";
import { leastPace, RunPace, submitEnds, WorkClock } from "../../../../engine/devices/gpujs/submits.ts";
import { createWebgpuDevice } from "../../../../engine/devices/gpujs/webgpuDevice.ts";
import { checkOptions, submitLimitOf, type WebgpuOptions } from "../../../../engine/devices/gpujs/webgpuOptions.ts";
import { at } from "../../../../engine/graph/shape.ts";
import {
  compileStep,
  createState,
  EvenkeelError,
  matmul,
  type Tensor,
  tanh,
  tensor,
} from "../../../../engine/index.ts";
import type { PlanStep } from "../../../../engine/kernel/plan.ts";
import { smallBatch, smallOptions } from "../../../diffusion/training/smallRun.ts";
import { gpuQueue } from "../../../support/countGpuCalls.ts";
import { webgpuSkip } from "../../../support/webgpuSkip.ts";
import { incrementPlan } from "./samplePlans.ts";

const sum = (numbers: readonly number[]): number => numbers.reduce((all, each) => all + each, 0);

const unet = { ...smallOptions.network.unet, channelMult: [1], attnResolutions: [] };
const options = { ...smallOptions, network: networkConfig({ unet, logvarChannels: 8 }), emaSigmaRels: [0.1] };

/** Whole milliseconds, so that sums are exact. */
const work = fc.array(fc.nat(50), { maxLength: 40 });
const limits = fc.integer({ min: 1, max: 120 });

/** The pieces between cuts. */
const pieces = (milliseconds: readonly number[], ends: readonly number[]): number[][] =>
  ends.map((end, i) => milliseconds.slice(ends[i - 1] ?? 0, end));

describe("where a run is cut", () => {
  it("keeps all work in order, in pieces of which none is too long unless it can't be cut", () => {
    fc.assert(
      fc.property(work, limits, (milliseconds, limit) => {
        const cut = pieces(milliseconds, submitEnds(milliseconds, limit));
        assert.deepEqual(cut.flat(), milliseconds);
        for (const piece of cut) {
          assert.ok(piece.length > 0 || milliseconds.length === 0);
          assert.ok(sum(piece) <= limit || piece.length === 1);
        }
      }),
    );
  });

  it("takes no cut that isn't needed", () => {
    fc.assert(
      fc.property(work, limits, (milliseconds, limit) => {
        const cut = pieces(milliseconds, submitEnds(milliseconds, limit));
        // Each piece took what it could: with the first of the next one it would be too long.
        cut.slice(1).forEach((piece, i) => assert.ok(sum(at(cut, i)) + at(piece, 0) > limit));
        assert.deepEqual(submitEnds(milliseconds, Infinity), [milliseconds.length]);
      }),
    );
  });
});

describe("the pace of a program's runs", () => {
  it("ends with pieces within the limit, whatever was estimated, once runs take the same", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 40 }),
        limits,
        fc.double({ min: 1e-3, max: 1e3, noNaN: true }),
        (milliseconds, limit, factor) => {
          const pace = new RunPace(
            milliseconds.map((each) => each * factor),
            limit,
          );
          // Each run halves what is believed wrongly; the first one's time is believed at once.
          for (let run = 0; run < 3; run++) pace.took(sum(milliseconds));
          const cut = pieces(milliseconds, pace.ends);
          // Limit and estimates are scaled by a quotient: some roundings.
          assert.ok(cut.every((piece) => sum(piece) <= limit * (1 + 2 ** -45) || piece.length === 1));
          assert.equal(pace.ends.length, cut.length);
          if (sum(milliseconds) < limit) assert.deepEqual(pace.ends, [milliseconds.length]);
        },
      ),
    );
  });

  it("forgets by half a run that seemed long", () => {
    const pace = new RunPace([100, 100], 200);
    pace.took(100);
    pace.took(900);
    assert.deepEqual(pace.ends, [1, 2]);
    for (let run = 0; run < 2; run++) pace.took(100);
    assert.deepEqual(pace.ends, [2]);
  });

  it("is estimated from arithmetic, bytes and the number of steps, shared by the dispatches of a step", () => {
    const step = (flops: number, bytes: number): PlanStep => {
      const { steps } = incrementPlan(4);
      const [first] = steps;
      assert.ok(first !== undefined);
      return { ...first, kernel: { ...first.kernel, flops, bytes } };
    };
    const [plain, arithmetic, traffic] = [step(0, 0), step(250e6, 0), step(0, 10e6)];
    const [overhead, flops, bytes] = leastPace([plain, arithmetic, traffic]);
    assert.ok(overhead !== undefined && overhead > 0);
    assert.deepEqual([flops, bytes], [overhead + 1, overhead + 1]);
    assert.deepEqual(leastPace([arithmetic, plain, arithmetic]), [(overhead + 1) / 2, overhead, (overhead + 1) / 2]);
  });

  it("times what the GPU does, not what it waits for", async () => {
    let now = 0;
    const clock = mock.method(performance, "now", () => now);
    const waiting: (() => void)[] = [];
    const given = new WorkClock({
      onSubmittedWorkDone: () => new Promise((resolve) => waiting.push(() => resolve(undefined))),
    });
    const [first, second] = [given.time(), given.time()];
    now = 30;
    waiting.shift()?.();
    assert.equal(await first, 30);
    now = 50;
    waiting.shift()?.();
    assert.equal(await second, 20);
    now = 1000;
    const third = given.time();
    now = 1007;
    waiting.shift()?.();
    assert.equal(await third, 7);
    clock.mock.restore();
  });

  it("has a limit on GPUs, none by software unless one is given, and none that isn't above 0", () => {
    assert.deepEqual([submitLimitOf({}, false), submitLimitOf({}, true)], [200, Infinity]);
    assert.equal(submitLimitOf({ submitMilliseconds: 5 }, true), 5);
    // As callers without types may give it, too.
    for (const wrong of [0, -1, NaN, "5", true, [5]]) {
      assert.throws(
        () => submitLimitOf({ submitMilliseconds: wrong as number }, false),
        (error) => error instanceof EvenkeelError && error.code === "value" && /submitMilliseconds/.test(error.message),
      );
    }
  });

  it("takes the options that there are, and no words for true and false", () => {
    assert.doesNotThrow(() => checkOptions({ chains: false, debug: true, kernels: "own" }));
    for (const wrong of [{ chains: "no" }, { autotune: 1 }, { batches: null }, { autotuning: true }] as const) {
      const [name = ""] = Object.keys(wrong);
      assert.throws(
        () => checkOptions(wrong as WebgpuOptions),
        (error) => error instanceof EvenkeelError && error.code === "value" && error.message.includes(name),
      );
    }
  });
});

describe("a run of many submits", { skip: webgpuSkip }, async () => {
  if (webgpuSkip !== false) return;
  const [whole, cut] = [await createWebgpuDevice(), await createWebgpuDevice({ submitMilliseconds: 1e-9 })];
  after(() => [whole, cut].forEach((device) => device.dispose()));

  it("trains to the bits of one submit a run", async () => {
    const [one, other] = [await Trainer.create(options, whole), await Trainer.create(options, cut)];
    const before = [whole.counts, cut.counts];
    for (let step = 0; step < 3; step++) {
      const told = await one.step(smallBatch(one.nimg, 8));
      assert.deepEqual(await other.step(smallBatch(other.nimg, 8)), told);
    }
    const asked = [whole, cut].map((device, i) => {
      const { submits, dispatches } = device.counts;
      return { submits: submits - at(before, i).submits, dispatches: dispatches - at(before, i).dispatches };
    });
    const { dispatches } = at(asked, 0);
    // A step and its report.
    assert.deepEqual(asked, [
      { submits: 6, dispatches },
      { submits: 3 + dispatches, dispatches },
    ]);
    const [wanted, got] = [await one.readState(), await other.readState()];
    assert.deepEqual([...got.keys()], [...wanted.keys()]);
    for (const [name, array] of wanted) assert.deepEqual(await got.get(name)?.data(), await array.data(), name);
    one.dispose();
    other.dispose();
  });

  /** A chain of products whose result takes the place of what it is made of. */
  const layers = 8;
  const size = 24;
  const factor = tensor(
    Float32Array.from({ length: size * size }, (_, i) => Math.sin(i)),
    { shape: [size, size] },
  );
  const chain = (w: Tensor) => {
    let state = w;
    for (let layer = 0; layer < layers; layer++) state = tanh(matmul(state, factor));
    return { state, result: null };
  };
  const start = tensor(
    Float32Array.from({ length: size * size }, (_, i) => Math.cos(i)),
    { shape: [size, size] },
  );

  /** Calls back at a submit, counted from now on. */
  const atSubmit = async (number: number, act: () => void): Promise<{ readonly over: () => void }> => {
    const { mock: watched } = mock.method(await gpuQueue(), "submit");
    watched.mockImplementationOnce(function (this: GPUQueue, buffers: Iterable<GPUCommandBuffer>) {
      watched.restore();
      this.submit(buffers);
      act();
    }, number - 1);
    return { over: () => watched.restore() };
  };

  it("is aborted between two of them and leaves the state before it, or after it once it is written over", async () => {
    const plain = compileStep(chain, { device: cut });
    const state = await createState(start, cut);
    const before = await (await state.read()).data();
    await plain(state);
    const next = await (await state.read()).data();
    plain.dispose();
    const seen = new Set<string>();
    for (let number = 1; number <= layers; number++) {
      const controller = new AbortController();
      const step = compileStep(chain, { device: cut, signal: controller.signal });
      await step(state);
      await state.write(start);
      const { over } = await atSubmit(number, () => controller.abort());
      const outcome = await step(state).then(
        () => "finished",
        (error: unknown) => (error instanceof EvenkeelError ? error.code : String(error)),
      );
      over();
      seen.add(outcome);
      assert.deepEqual(await (await state.read()).data(), outcome === "finished" ? next : before, `submit ${number}`);
      step.dispose();
    }
    assert.deepEqual(seen, new Set(["aborted", "finished"]));
    state.dispose();
  });

  it("of a device that is lost in between ends with that, and all that is asked afterwards does too", async () => {
    const device = await createWebgpuDevice({ submitMilliseconds: 1e-9 });
    const step = compileStep(chain, { device });
    const state = await createState(start, device);
    await step(state);
    const { context, release } = await acquireContext();
    const { over } = await atSubmit(3, () => context.device.destroy());
    const isLoss = (error: unknown): boolean =>
      error instanceof EvenkeelError && error.code === "device" && /lost.*make a new device/.test(error.message);
    await assert.rejects(step(state), isLoss);
    over();
    await assert.rejects(step(state), isLoss);
    await assert.rejects(state.read(), isLoss);
    await assert.rejects(state.write(start), isLoss);
    await assert.rejects(createState(start, device), isLoss);
    assert.throws(() => device.allocate("f32", 4), isLoss);
    assert.equal(device.usable, false);
    step.dispose();
    state.dispose();
    device.dispose();
    release();
    assert.deepEqual(device.memory(), { bytes: 0, buffers: 0 });
  });
});
