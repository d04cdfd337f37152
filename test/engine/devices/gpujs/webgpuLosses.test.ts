/** What an adapter refuses, lacks or takes away is told as an error that says what to do; what it merely has less of is lived with. */
import assert from "node:assert/strict";
import { describe, it, mock } from "node:test";
import fc from "fast-check";
import { acquireContext } from "../../../../engine/devices/gpujs/adapter.ts";
import { createWebgpuDevice } from "../../../../engine/devices/gpujs/webgpuDevice.ts";
import { foldedGroups } from "../../../../engine/devices/gpujs/wgsl/wgslKernel.ts";
import {
  broadcastTo,
  compile,
  type ErrorCode,
  EvenkeelError,
  reduceSum,
  type Tensor,
  tensor,
} from "../../../../engine/index.ts";
import { gpuAdapter } from "../../../support/countGpuCalls.ts";
import { webgpuSkip } from "../../../support/webgpuSkip.ts";

const fails =
  (code: ErrorCode, message: RegExp) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof EvenkeelError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, message);
    return true;
  };

it("any number of workgroups is folded into dimensions that every adapter takes", () => {
  fc.assert(
    fc.property(fc.oneof(fc.integer({ min: 1, max: 200_000 }), fc.integer({ min: 1, max: 2 ** 31 })), (count) => {
      const [x, y, z] = foldedGroups(count);
      assert.ok(x >= 1 && x <= 65_535 && y >= 1 && y <= 65_535);
      assert.equal(z, 1);
      assert.ok(x * y >= count);
      // Of each row one at most is dispatched for nothing.
      assert.ok(x * y - count < y);
    }),
    { examples: [[65_535], [65_536], [65_535 ** 2]] },
  );
});

describe("an adapter", { skip: webgpuSkip }, async () => {
  if (webgpuSkip !== false) return;
  const adapters = await gpuAdapter();
  /** What asking an adapter for a device does meanwhile, once. */
  const asking = async <T>(
    request: (adapter: GPUAdapter, descriptor?: GPUDeviceDescriptor) => Promise<GPUDevice>,
    work: () => Promise<T>,
  ): Promise<T> => {
    const asked = mock.method(adapters, "requestDevice", function (this: GPUAdapter, descriptor?: GPUDeviceDescriptor) {
      asked.mock.restore();
      return request(this, descriptor);
    });
    try {
      return await work();
    } finally {
      asked.mock.restore();
    }
  };
  const computes = async (): Promise<void> => {
    const device = await createWebgpuDevice();
    const sum = compile((x: Tensor) => reduceSum(x), { device });
    assert.equal(await (await sum(tensor([1, 2, 3]))).item(), 6);
    sum.dispose();
    device.dispose();
  };

  it("that refuses what it says it has is told by name, and the next device works", async () => {
    await asking(
      () => Promise.reject(new Error("requiredLimits: maxBufferSize")),
      () =>
        assert.rejects(
          createWebgpuDevice(),
          fails("device", /gives no device with the limits.*maxBufferSize.*Update the graphics driver.*device wasm/),
        ),
    );
    await computes();
  });

  it("that gives less than it was asked for is planned for as it is", async () => {
    await asking(
      (adapter) => adapter.requestDevice(),
      async () => {
        const device = await createWebgpuDevice();
        assert.equal(device.traits.adapter?.limits["maxStorageBuffersPerShaderStage"], 8);
        assert.deepEqual([device.limits.arrays, device.limits.elements], [8, 2 ** 25]);
        device.dispose();
        await computes();
      },
    );
  });

  it("that is gone when a device is asked of it gives a lost one, which is told", async () => {
    await asking(
      async (adapter, descriptor) => {
        const device = await adapter.requestDevice(descriptor);
        device.destroy();
        await device.lost;
        return device;
      },
      () => assert.rejects(createWebgpuDevice(), fails("device", /lost/)),
    );
    await computes();
  });

  it("holds no larger array than one of its buffers: a program with one is refused before anything is made, and told what to do", async () => {
    const device = await createWebgpuDevice();
    const before = [device.memory(), device.counts];
    const stored = compile((x: Tensor) => broadcastTo(x, [2 ** 20, 2 ** 20]), { device });
    await assert.rejects(
      stored(tensor([[1]])),
      fails(
        "memory",
        /expand: f32 \[1048576, 1048576\] has 1099511627776 elements.*in one buffer.*smaller batch.*wasm/,
      ),
    );
    stored.dispose();
    assert.deepEqual([device.memory(), device.counts], before);
    device.dispose();
  });

  it("that refuses a shader names its kernel, the place and the reason, and goes on", async () => {
    const { context, release } = await acquireContext();
    const own = {
      name: "mistaken",
      text: "@compute @workgroup_size(1) fn main() {\n  let x: f32 = 1u;\n}",
      bindings: [],
      groups: [1, 1, 1],
      schedule: "",
    } as const;
    await assert.rejects(
      context.compileOwn(own),
      fails("kernel", /kernel mistaken is refused: line 2:.*--- WGSL of mistaken/s),
    );
    await context.device.queue.onSubmittedWorkDone();
    context.health.check();
    release();
  });
});
