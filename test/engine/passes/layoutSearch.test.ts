/** Choosing layouts ends, and soon: training steps have many arrays that are computed together, and kernels that touch several of them. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { netA, tinyNet, trainingOptions } from "../../../bench/works/networks.ts";
import { describeDenoiser } from "../../../diffusion/network/index.ts";
import { stepFunctions } from "../../../diffusion/training/stepFunctions.ts";
import { stepTemplate } from "../../../diffusion/training/stepTemplate.ts";
import { promisedLimits, webgpuLimits } from "../../../engine/devices/gpujs/webgpuLimits.ts";
import { fusing } from "../../../engine/passes/fuse.ts";
import { choosingLayouts } from "../../../engine/passes/chooseLayouts.ts";
import { optimize } from "../../../engine/passes/optimize.ts";
import { trace } from "../../../engine/program/trace.ts";
import { flattenParameters, type ParameterSpec } from "../../../nn/index.ts";

const limits = webgpuLimits(promisedLimits, "own");

describe("the search for layouts", () => {
  for (const net of [tinyNet, netA]) {
    it(`tries each array of a training step of net (${net.name}) some few times`, () => {
      const options = trainingOptions(net);
      const functions = stepFunctions(options, flattenParameters<ParameterSpec>(describeDenoiser(options.network)));
      assert.equal(functions.kind, "whole", "trained in parts");
      const { state, batch, schedule, yes } = stepTemplate(options);
      const graph = optimize(trace(functions.step, [state, batch, schedule, yes]).graph, limits);
      const fusion = fusing(graph, limits, new Set());
      let fused = fusion.next();
      while (fused.done !== true) fused = fusion.next();
      const kernels = fused.value;
      const search = choosingLayouts(kernels, graph, limits);
      // A turn for each kernel before and after, and one for each array that is tried.
      const most = 8 * kernels.length;
      let turns = 0;
      while (search.next().done !== true && turns < most) turns++;
      assert.ok(turns < most, `no end after ${turns} turns over ${kernels.length} kernels`);
    });
  }
});
