/** What training steps ask of a WebGPU device, planned: counts that changes may make smaller and must not make larger. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { planOfStep } from "../../bench/works/gpu.ts";
import { type Net, netA, netB } from "../../bench/works/networks.ts";
import { draftsOf } from "../../engine/devices/gpujs/drafts.ts";
import { expectedHomes } from "../../engine/devices/gpujs/homes.ts";
import { promisedLimits, webgpuLimits } from "../../engine/devices/gpujs/webgpuLimits.ts";
import { type DispatchCounts, dispatchCounts } from "../../engine/kernel/dispatchCounts.ts";

type Bounds = Pick<
  DispatchCounts,
  "dispatches" | "kernels" | "levels" | "levelsInMemory" | "barriers" | "bindings" | "bytes"
>;

/** As they were counted. */
const bounds: readonly { readonly net: Net; readonly most: Bounds; readonly slots: number; readonly texts: number }[] =
  [
    {
      net: netA,
      most: {
        dispatches: 268,
        kernels: 184,
        levels: 184,
        levelsInMemory: 193,
        barriers: 261,
        bindings: 3897,
        bytes: 735_185_404,
      },
      slots: 136_953_664,
      texts: 279,
    },
    {
      net: netB,
      most: {
        dispatches: 532,
        kernels: 248,
        levels: 426,
        levelsInMemory: 436,
        barriers: 525,
        bindings: 8258,
        bytes: 5_399_699_968,
      },
      slots: 902_380_672,
      texts: 542,
    },
  ];

describe("a training step on WebGPU", () => {
  const limits = webgpuLimits(promisedLimits, "own");
  for (const { net, most, slots, texts } of bounds) {
    it(`of net (${net.name}) is no more than it was`, async () => {
      const plan = await planOfStep(net, limits);
      const counts = dispatchCounts(plan);
      for (const [name, bound] of Object.entries(most) as [keyof Bounds, number][]) {
        assert.ok(counts[name] <= bound, `${counts[name]} ${name}, were ${bound}`);
      }
      const temporaries = plan.slots.reduce((sum, bytes) => sum + bytes, 0);
      assert.ok(temporaries <= slots, `${temporaries} bytes of temporaries, were ${slots}`);
      // A step of several members is a dispatch for each way in which they are run.
      const dispatches = draftsOf(plan, expectedHomes(plan)).length;
      assert.ok(dispatches <= texts, `${dispatches} dispatches, were ${texts}`);
      assert.ok(
        plan.steps.every(
          ({ operands, results, members }) =>
            operands.length + results.length <= limits.arrays || members !== undefined,
        ),
      );
    });

    it(`of net (${net.name}) without batches waits once between two levels`, async () => {
      const counts = dispatchCounts(await planOfStep(net, { ...limits, batches: false }));
      assert.equal(counts.levelsInMemory, counts.levels);
      assert.equal(counts.fewestBarriers, counts.levels - 1);
    });
  }
});
