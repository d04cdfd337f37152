/** Rounding to 16-bit floats: the same number on every device, for every such float and around the middle between neighbours. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  compile,
  createDevice,
  type DeviceName,
  type DeviceOptions,
  multiply,
  roundToFloat16,
  tensor,
  vjp,
} from "../../../engine/index.ts";
import { float16Neighbours, nearestFloat16 } from "../../support/nearestFloat16.ts";
import { webgpuSkip } from "../../support/webgpuSkip.ts";

const devices: readonly (readonly [name: DeviceName, options?: DeviceOptions])[] = [
  ["oracle"],
  ["wasm"],
  ["cpu"],
  ["webgpu"],
  ["webgpu", { webgpu: { kernels: "generated" } }],
];

function assertSame(got: ArrayLike<number>, wanted: Float32Array): void {
  const wrong = [...wanted].flatMap((value, i) => (Object.is(got[i], value) ? [] : [`${got[i]} instead of ${value}`]));
  assert.equal(wrong.length, 0, wrong.slice(0, 8).join(", "));
}

describe("roundToFloat16", () => {
  const x = float16Neighbours();
  const rounded = x.map(nearestFloat16);

  for (const [name, options] of devices) {
    const title = options === undefined ? name : `${name} as gpu.js translates it`;
    it(`gives the nearest on ${title}, and rounds what flows back alike`, {
      skip: name === "webgpu" && webgpuSkip,
    }, async () => {
      const device = await createDevice(name, options);
      const program = compile(
        (value: ReturnType<typeof tensor>, cotangent: ReturnType<typeof tensor>) => {
          const { value: y, pullback } = vjp(roundToFloat16, value);
          // The derivative of what flows back, by the cotangent, is rounded again.
          const again = vjp(pullback, cotangent);
          return { y, back: again.value, second: again.pullback(value) };
        },
        { device },
      );
      const { y, back, second } = await program(tensor(Float32Array.from(x).fill(1)), tensor(x));
      assertSame(await y.data(), Float32Array.from(x).fill(1));
      assertSame(await back.data(), rounded);
      assertSame(await second.data(), Float32Array.from(x).fill(1));
      const forward = compile((value: ReturnType<typeof tensor>) => roundToFloat16(value), { device });
      assertSame(await (await forward(tensor(x))).data(), rounded);
      // Within a kernel, where some devices compute in float64, an infinity is one, too.
      const scaled = compile((value: ReturnType<typeof tensor>) => multiply(roundToFloat16(value), 2 ** -100), {
        device,
      });
      assertSame(
        await (await scaled(tensor([1e5, -65520, 65504]))).data(),
        Float32Array.of(Infinity, -Infinity, 65504 * 2 ** -100),
      );
      device.dispose();
    });
  }

  it("passes back what is there as if nothing had been rounded", async () => {
    // A finite difference of the rounding itself is 0 or a jump: the derivative is the identity's.
    const { pullback } = vjp((value) => multiply(roundToFloat16(multiply(value, 3)), 0.5), tensor([0.3001, 100.07]));
    assert.deepEqual(await pullback(tensor([1, -2])).array(), [1.5, -3]);
  });
});
