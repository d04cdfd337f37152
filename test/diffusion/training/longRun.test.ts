/** What holds over many steps: memory, and the path of float32 beside float64's. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";
import { Trainer, type TrainingOptions } from "../../../diffusion/training/index.ts";
import { createDevice, type DeviceName } from "../../../engine/index.ts";
import { bundledProgram } from "../../support/bundledProgram.ts";
import { assertNotInEveryRun } from "../../support/inEveryRun.ts";
import { smallBatch, smallOptions } from "./smallRun.ts";

test("1,000 steps leave memory where it was", async () => {
  const program = await bundledProgram("test/support/soakTraining.ts");
  // V8 enlarges its young generation once as it likes: a fixed size leaves only what training keeps.
  const heap = ["--expose-gc", "--min-semi-space-size=4", "--max-semi-space-size=4"];
  await assertNotInEveryRun(async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [...heap, program]);
    const { samples, first, last } = JSON.parse(stdout) as {
      samples: Record<"resident" | "heap" | "external" | "device" | "buffers", number>[];
      first: number;
      last: number;
    };
    const growth = (of: keyof (typeof samples)[number]): number => {
      const values = samples.map((sample) => sample[of]);
      return Math.min(...values.slice(-8)) / Math.min(...values.slice(0, 8)) - 1;
    };
    // What the program holds is counted exactly. Pages that V8 and the allocator keep in reserve come and go: windows of runs that keep
    // nothing differ by up to 2.5%, so that resident memory can only show what grows by more than twice that.
    assert.equal(growth("device"), 0);
    assert.equal(growth("buffers"), 0);
    assert.ok(last < 0.7 * first, `the error went from ${first} to ${last}`);
    const limits = { heap: 0.02, external: 0.02, resident: 0.05 } as const;
    const grown = (["heap", "external", "resident"] as const).filter((of) => growth(of) > limits[of]);
    return grown.length === 0
      ? undefined
      : grown.map((of) => `${of} memory grew by ${100 * growth(of)}% in 1,000 steps`).join(", ");
  });
});

test("wasm's losses are the oracle's, within float32 rounding", async () => {
  const options: TrainingOptions = { ...smallOptions, batch: 2, batchDevice: 2 };
  const losses = async (name: DeviceName): Promise<number[]> => {
    const device = await createDevice(name);
    const trainer = await Trainer.create(options, device);
    const values: number[] = [];
    for (let i = 0; i < 10; i++) values.push((await trainer.step(smallBatch(trainer.nimg, 2))).loss);
    trainer.dispose();
    device.dispose();
    return values;
  };
  const [truth, float32] = [await losses("oracle"), await losses("wasm")];
  // A loss of about 1 passes through some hundred roundings of 6e-8, which add up like a random walk; and each step starts
  // from weights that are as far off.
  for (const [i, value] of truth.entries()) {
    assert.ok(Math.abs((float32[i] ?? NaN) - value) < 5e-6 * (1 + i), `step ${i}: ${float32[i]} beside ${value}`);
  }
});
