/** Programs that train for hours: memory must not grow with the number of steps. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { createDevice, scalar } from "../../../engine/index.ts";
import { bundledProgram } from "../../support/bundledProgram.ts";
import { assertNotInEveryRun } from "../../support/inEveryRun.ts";
import { makeStep, startState } from "../../support/trainingStep.ts";
import { webgpuSkip } from "../../support/webgpuSkip.ts";

type Soak = { losses: [number, number]; resident: number[]; live: [unknown, unknown]; programs: number };

describe("soak", () => {
  it("30,000 steps on wasm leave resident memory where it was after the first 10,000", async () => {
    const program = await bundledProgram("test/support/soakWasm.ts");
    // V8 enlarges its young generation once as it likes, by 8 MB: a fixed size leaves only what the program keeps. In the first
    // steps it still compiles, which takes 3%; after them runs differ by 2%. 3% of 100 MB are 200 bytes a step.
    const heap = ["--expose-gc", "--min-semi-space-size=4", "--max-semi-space-size=4"];
    await assertNotInEveryRun(async () => {
      const { stdout } = await promisify(execFile)(process.execPath, [...heap, program]);
      const { losses, resident, live, programs } = JSON.parse(stdout) as Soak;
      assert.equal(resident.length, 40);
      assert.deepEqual(live[1], live[0]);
      assert.equal(programs, 1);
      assert.ok(losses[1] < 0.6 * losses[0], `the loss went from ${losses[0]} to ${losses[1]}`);
      const [before, after] = [Math.min(...resident.slice(0, 10)), Math.min(...resident.slice(-10))];
      return after <= before * 1.03 ? undefined : `resident memory grew from ${before} to ${after} bytes`;
    });
  });

  it("2,000 steps on webgpu keep the number of live buffers", { skip: webgpuSkip }, async () => {
    const device = await createDevice("webgpu");
    const [step, state] = [makeStep(device), await startState(device)];
    const rate = scalar(0.01);
    const initial = await (await step(state, rate)).item();
    await step(state, rate);
    const live = device.memory();
    for (let i = 2; i < 1999; i++) await step.advance(state, rate);
    const final = await (await step(state, rate)).item();
    assert.deepEqual(device.memory(), live);
    assert.ok(final < initial, `the loss went from ${initial} to ${final}`);
    step.dispose();
    state.dispose();
    device.dispose();
  });
});
