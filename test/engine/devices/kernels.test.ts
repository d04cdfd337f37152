/** Every device that compiles kernels, held to the laws of random kernels and random plans. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { DeviceName, KernelDevice } from "../../../engine/devices/device.ts";
import { createWebgpuDevice } from "../../../engine/devices/gpujs/webgpuDevice.ts";
import { createWasmDevice } from "../../../engine/devices/wasm/device.ts";
import { createDevice } from "../../../engine/index.ts";
import { accuracies } from "../../../testing/bounds/accuracies.ts";
import { checkKernels, checkPlans } from "../../../testing/laws/kernelLaws.ts";
import { webgpuSkip } from "../../support/webgpuSkip.ts";

/** Another seed every time would find more over the years and fail on an unrelated day: the seed is fixed, overridable. */
const seed = Number(process.env["EVENKEEL_SEED"] ?? 20240612);

type Subject = {
  readonly what: string;
  readonly name: Exclude<DeviceName, "oracle">;
  readonly kernels: number;
  readonly plans: number;
  readonly make?: () => Promise<KernelDevice>;
};

const subjects: readonly Subject[] = [
  { what: "wasm", name: "wasm", kernels: 1000, plans: 200 },
  {
    what: "wasm with every kernel shared by three threads",
    name: "wasm",
    kernels: 400,
    plans: 100,
    make: () => createWasmDevice({ threads: 3, sharedCost: 0 }),
  },
  { what: "cpu", name: "cpu", kernels: 600, plans: 100 },
  { what: "webgpu", name: "webgpu", kernels: 800, plans: 120 },
  {
    what: "webgpu with generated kernels",
    name: "webgpu",
    kernels: 100,
    plans: 20,
    make: () => createWebgpuDevice({ kernels: "generated" }),
  },
];

describe("kernels and plans give what their definition says, within float32 error", () => {
  for (const { what, name, kernels, plans, make } of subjects) {
    it(`${kernels} kernels and ${plans} plans on ${what}`, { skip: name === "webgpu" && webgpuSkip }, async () => {
      const device = await (make ?? (() => createDevice(name)))();
      try {
        const accuracy = accuracies[name];
        const reports = [
          await checkKernels(device, { runs: kernels, seed, accuracy }),
          await checkPlans(device, { runs: plans, seed, accuracy }),
        ];
        for (const { compared, uncertain } of reports) {
          assert.ok(compared > 3 * uncertain, `${uncertain} of ${compared + uncertain} elements were uncertain`);
        }
      } finally {
        device.dispose();
      }
    });
  }
});
