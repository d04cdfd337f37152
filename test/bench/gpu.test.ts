/** What training steps ask of a WebGPU device, planned: counts that changes may make smaller and must not make larger. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { planOfStep } from "../../bench/works/gpu.ts";
import { type Net, netA, netB } from "../../bench/works/networks.ts";
import { promisedLimits, webgpuLimits } from "../../engine/devices/gpujs/webgpuLimits.ts";
import { type DispatchCounts, dispatchCounts } from "../../engine/kernel/dispatchCounts.ts";

type Bounds = Pick<DispatchCounts, "dispatches" | "kernels" | "levels" | "barriers" | "bindings" | "bytes">;

/** As they were counted. */
const bounds: readonly { readonly net: Net; readonly most: Bounds; readonly slots: number }[] = [
  {
    net: netA,
    most: { dispatches: 1011, kernels: 419, levels: 229, barriers: 910, bindings: 4425, bytes: 769_463_892 },
    slots: 115_888_000,
  },
  {
    net: netB,
    most: { dispatches: 2196, kernels: 491, levels: 523, barriers: 1993, bindings: 9437, bytes: 5_520_500_676 },
    slots: 795_863_360,
  },
];

describe("a training step on WebGPU", () => {
  for (const { net, most, slots } of bounds) {
    it(`of net (${net.name}) waits once between two levels, and is no more than it was`, async () => {
      const plan = await planOfStep(net, webgpuLimits(promisedLimits, "own"));
      const counts = dispatchCounts(plan);
      assert.equal(counts.levelsInMemory, counts.levels);
      assert.equal(counts.fewestBarriers, counts.levels - 1);
      for (const [name, bound] of Object.entries(most) as [keyof Bounds, number][]) {
        assert.ok(counts[name] <= bound, `${counts[name]} ${name}, were ${bound}`);
      }
      const temporaries = plan.slots.reduce((sum, bytes) => sum + bytes, 0);
      assert.ok(temporaries <= slots, `${temporaries} bytes of temporaries, were ${slots}`);
    });
  }
});
