/** Folds by teams: a thread for each member gives what the definition says, and one thread for all of them the same bits. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { KernelDevice } from "../../../../engine/devices/device.ts";
import { createWebgpuDevice } from "../../../../engine/devices/gpujs/webgpuDevice.ts";
import type { TensorData } from "../../../../engine/graph/dtype.ts";
import { at } from "../../../../engine/graph/shape.ts";
import { reduceMax, reduceSum, square, type Tensor } from "../../../../engine/index.ts";
import { accuracies } from "../../../../testing/bounds/accuracies.ts";
import { checkKernels, requireComparisons } from "../../../../testing/laws/kernelLaws.ts";
import { webgpuSkip } from "../../../support/webgpuSkip.ts";
import { input, planOf } from "../../passes/plannedFor.ts";

const seed = Number(process.env["EVENKEEL_SEED"] ?? 20261130);
const choices = ["threads", "loops"] as const;

describe("teams that fold", { skip: webgpuSkip }, () => {
  if (webgpuSkip !== false) return;
  const devices = new Map<(typeof choices)[number], KernelDevice>();
  before(async () => {
    for (const teams of choices) devices.set(teams, await createWebgpuDevice({}, { teams }));
  });
  after(() => devices.forEach((device) => device.dispose()));
  const deviceOf = (teams: (typeof choices)[number]): KernelDevice => {
    const device = devices.get(teams);
    assert.ok(device !== undefined);
    return device;
  };

  for (const teams of choices) {
    it(`${teams}: give what the definition says`, async () => {
      const runs = 30;
      const report = await checkKernels(deviceOf(teams), { runs, seed, accuracy: accuracies.webgpu });
      requireComparisons(report, runs, seed);
    });
  }

  /** Of each kind of team: neighbours or not, of few and of many, of points alone and in fours. */
  const folds: readonly (readonly [shape: readonly number[], fold: (x: Tensor) => Tensor])[] = [
    [[5, 700], (x) => reduceSum(square(x), { axes: [1] })],
    [[3, 40], (x) => reduceSum(x, { axes: [1] })],
    [[200, 8], (x) => reduceSum(square(x), { axes: [0] })],
    [[2000, 3], (x) => reduceMax(x, { axes: [0] })],
    [[7, 130, 11], (x) => reduceSum(x)],
  ];
  it("have the same bits by one thread", async () => {
    for (const [shape, fold] of folds) {
      const x = input(...shape);
      const results: TensorData[] = [];
      for (const teams of choices) {
        const device = deviceOf(teams);
        const executable = await device.compile(planOf([fold(x)], [], device.limits));
        const text = executable
          .sources()
          .map((source) => source.text)
          .join("\n");
        assert.match(text, teams === "threads" ? /points? a team of[^]*workgroupBarrier/ : /a thread for a team of/);
        assert.equal(/workgroupBarrier|var<workgroup>/.test(text), teams === "threads");
        const given = device.allocate("f32", x.size);
        const got = device.allocate("f32", fold(x).size);
        device.upload(
          given,
          Float32Array.from({ length: x.size }, (_, i) => Math.sin(i * 1.3) / (1 + (i % 5))),
        );
        await executable.run([given], [got]);
        results.push(at(await device.download([got]), 0));
        executable.dispose();
      }
      assert.deepEqual(results[0], results[1]);
    }
  });
});
