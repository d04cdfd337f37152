/** What training steps ask of a WebGPU device, planned: counts that changes may make smaller and must not make larger. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { halved, planOfStep } from "../../bench/works/gpu.ts";
import { type Net, netA, netB } from "../../bench/works/networks.ts";
import { type ProductReads, productReads } from "../../bench/works/productReads.ts";
import { draftsOf } from "../../engine/devices/gpujs/drafts.ts";
import { aliasesOf, expectedHomes } from "../../engine/devices/gpujs/homes.ts";
import { promisedLimits, webgpuLimits } from "../../engine/devices/gpujs/webgpuLimits.ts";
import { emitKernel } from "../../engine/devices/gpujs/wgsl/index.ts";
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
  readonly drafts: number;
  readonly texts: number;
  /** Of products, for each multiply-add, and the share of numbers that are read one by one. */
  readonly reads: Omit<ProductReads, "inFours"> & { readonly singles: number };
  readonly half: HalfBounds;
}[] = [
  {
    net: netA,
    most: {
      dispatches: 179,
      kernels: 139,
      levels: 116,
      levelsInMemory: 128,
      barriers: 170,
      bindings: 2472,
      bytes: 564_619_088,
    },
    slots: 116_898_304,
    drafts: 185,
    texts: 143,
    reads: { stored: 0.0424, loads: 0.0107, staged: 0.339, singles: 0.003 },
    half: { dispatches: 183, bytes: 381_773_648, slots: 82_642_688 },
  },
  {
    net: netB,
    most: {
      dispatches: 340,
      kernels: 193,
      levels: 260,
      levelsInMemory: 271,
      barriers: 332,
      bindings: 5245,
      bytes: 3_835_319_064,
    },
    slots: 935_560_256,
    drafts: 351,
    texts: 199,
    reads: { stored: 0.0297, loads: 0.0076, staged: 0.26, singles: 0.0061 },
    half: { dispatches: 351, bytes: 2_767_475_480, slots: 716_097_984 },
  },
];

describe("a training step on WebGPU", () => {
  const limits = webgpuLimits(promisedLimits, "own");
  for (const { net, most, slots, drafts: mostDrafts, texts, reads, half } of bounds) {
    it(`of net (${net.name}) is no more than it was`, async () => {
      const plan = await planOfStep(net, limits);
      const counts = dispatchCounts(plan);
      for (const [name, bound] of Object.entries(most) as [keyof Bounds, number][]) {
        assert.ok(counts[name] <= bound, `${counts[name]} ${name}, were ${bound}`);
      }
      const temporaries = plan.slots.reduce((sum, bytes) => sum + bytes, 0);
      assert.ok(temporaries <= slots, `${temporaries} bytes of temporaries, were ${slots}`);
      // A step of several members is a dispatch for each way in which they are run.
      const homes = expectedHomes(plan);
      const drafts = draftsOf(plan, homes);
      assert.ok(drafts.length <= mostDrafts, `${drafts.length} dispatches, were ${mostDrafts}`);
      const different = new Set(
        drafts.map(({ step, whole }) => (whole ?? emitKernel(step.kernel, aliasesOf(step, homes))).text),
      );
      assert.ok(different.size <= texts, `${different.size} texts, were ${texts}`);
      for (const { step, whole } of drafts) {
        const arrays = whole?.bindings.length ?? step.operands.length + step.results.length;
        assert.ok(arrays <= limits.arrays, `${step.kernel.name} is given ${arrays} arrays`);
      }
    });

    it(`of net (${net.name}) reads what it multiplies in fours`, async () => {
      const { inFours, ...counted } = productReads(await planOfStep(net, limits));
      const found = { ...counted, singles: 1 - inFours };
      for (const [name, bound] of Object.entries(reads) as [keyof typeof found, number][]) {
        assert.ok(found[name] <= bound, `${found[name]} ${name}, were ${bound}`);
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
