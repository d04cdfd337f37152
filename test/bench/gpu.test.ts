/** What training steps ask of a WebGPU device, planned: counts that changes may make smaller and must not make larger. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { halved, planOfStep } from "../../bench/works/gpu.ts";
import { type Net, netA, netB } from "../../bench/works/networks.ts";
import { draftsOf } from "../../engine/devices/gpujs/drafts.ts";
import { expectedHomes } from "../../engine/devices/gpujs/homes.ts";
import { promisedLimits, webgpuLimits } from "../../engine/devices/gpujs/webgpuLimits.ts";
import { type DispatchCounts, dispatchCounts } from "../../engine/kernel/dispatchCounts.ts";

type Bounds = Pick<
  DispatchCounts,
  "dispatches" | "kernels" | "levels" | "levelsInMemory" | "barriers" | "bindings" | "bytes"
>;

/** With activations of 16 bits. */
type HalfBounds = { readonly dispatches: number; readonly bytes: number; readonly slots: number };

/** As they were counted. */
const bounds: readonly {
  readonly net: Net;
  readonly most: Bounds;
  readonly slots: number;
  readonly texts: number;
  readonly half: HalfBounds;
}[] = [
  {
    net: netA,
    most: {
      dispatches: 183,
      kernels: 143,
      levels: 116,
      levelsInMemory: 131,
      barriers: 176,
      bindings: 2712,
      bytes: 625_940_840,
    },
    slots: 136_261_760,
    texts: 195,
    half: { dispatches: 192, bytes: 466_100_000, slots: 116_200_000 },
  },
  {
    net: netB,
    most: {
      dispatches: 351,
      kernels: 198,
      levels: 261,
      levelsInMemory: 275,
      barriers: 344,
      bindings: 5796,
      bytes: 4_301_242_508,
    },
    slots: 1_073_477_440,
    texts: 367,
    half: { dispatches: 374, bytes: 3_433_000_000, slots: 903_600_000 },
  },
];

describe("a training step on WebGPU", () => {
  const limits = webgpuLimits(promisedLimits, "own");
  for (const { net, most, slots, texts, half } of bounds) {
    it(`of net (${net.name}) is no more than it was`, async () => {
      const plan = await planOfStep(net, limits);
      const counts = dispatchCounts(plan);
      for (const [name, bound] of Object.entries(most) as [keyof Bounds, number][]) {
        assert.ok(counts[name] <= bound, `${counts[name]} ${name}, were ${bound}`);
      }
      const temporaries = plan.slots.reduce((sum, bytes) => sum + bytes, 0);
      assert.ok(temporaries <= slots, `${temporaries} bytes of temporaries, were ${slots}`);
      // A step of several members is a dispatch for each way in which they are run.
      const drafts = draftsOf(plan, expectedHomes(plan));
      assert.ok(drafts.length <= texts, `${drafts.length} dispatches, were ${texts}`);
      for (const { step, whole } of drafts) {
        const arrays = whole?.bindings.length ?? step.operands.length + step.results.length;
        assert.ok(arrays <= limits.arrays, `${step.kernel.name} is given ${arrays} arrays`);
      }
    });

    it(`of net (${net.name}) with activations of 16 bits takes less memory`, async () => {
      const plan = await planOfStep(halved(net), limits);
      const counts = dispatchCounts(plan);
      assert.ok(counts.dispatches <= half.dispatches, `${counts.dispatches} dispatches, were ${half.dispatches}`);
      assert.ok(counts.bytes <= half.bytes, `${counts.bytes} bytes, were ${half.bytes}`);
      const temporaries = plan.slots.reduce((sum, bytes) => sum + bytes, 0);
      assert.ok(temporaries <= half.slots, `${temporaries} bytes of temporaries, were ${half.slots}`);
      // Each dispatch is written, which fails where one doesn't write its 16-bit floats in fours.
      const arrays = draftsOf(plan, expectedHomes(plan)).map(({ step, whole }) => {
        return whole?.bindings.length ?? step.operands.length + step.results.length;
      });
      assert.ok(Math.max(...arrays) <= limits.arrays, `${Math.max(...arrays)} arrays`);
      const apart = await planOfStep(halved(net), { ...limits, writtenInFours: null });
      assert.ok(
        apart.buffers.every(({ storage }) => storage === undefined),
        "packed by a device that can't",
      );
    });

    it(`of net (${net.name}) without batches waits once between two levels`, async () => {
      const counts = dispatchCounts(await planOfStep(net, { ...limits, batches: false }));
      assert.equal(counts.levelsInMemory, counts.levels);
      assert.equal(counts.fewestBarriers, counts.levels - 1);
    });
  }
});
