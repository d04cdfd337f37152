/** Every device refuses the same mistakes with the same error codes. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Device } from "../../../engine/devices/device.ts";
import { createWasmDevice } from "../../../engine/devices/wasm/device.ts";
import { EvenkeelError } from "../../../engine/errors.ts";
import {
  broadcastTo,
  cast,
  compile,
  createDevice,
  createState,
  gather,
  scalar,
  mean,
  type Tensor,
  tensor,
  grad,
} from "../../../engine/index.ts";
import { ReferenceDevice } from "../../../testing/devices/referenceDevice.ts";
import { findUnrefused, mistakeNames } from "../../../testing/laws/refusalLaw.ts";
import { webgpuSkip } from "../../support/webgpuSkip.ts";

const seed = Number(process.env["EVENKEEL_SEED"] ?? 20240612);

const subjects: readonly { readonly what: string; readonly make: () => Promise<Device>; readonly runs: number }[] = [
  { what: "oracle", make: () => createDevice("oracle"), runs: 20 },
  { what: "wasm", make: () => createDevice("wasm"), runs: 20 },
  { what: "wasm on three threads", make: () => createWasmDevice({ threads: 3, sharedCost: 0 }), runs: 5 },
  { what: "cpu", make: () => createDevice("cpu"), runs: 5 },
  { what: "webgpu", make: () => createDevice("webgpu"), runs: 1 },
];

describe("mistakes are refused with the same codes, and change nothing", () => {
  for (const { what, make, runs } of subjects) {
    it(what, { skip: what === "webgpu" && webgpuSkip }, async () => {
      const [device, other] = [await make(), await make()];
      try {
        assert.deepEqual(await findUnrefused(device, other, { runs, seed }), []);
      } finally {
        device.dispose();
        other.dispose();
      }
    });
  }

  it("the law notices each mistake that a device lets through", async () => {
    const found = await findUnrefused(new ReferenceDevice("arena"), new ReferenceDevice("arena"), { runs: 3, seed });
    const unnoticed = mistakeNames.filter((name) => !found.some((failure) => failure.startsWith(`${name}: `)));
    assert.deepEqual(unnoticed, []);
  });
});

/** Mistakes in programs, most of which only the numbers show; what each is refused with. */
const mistakes: readonly {
  readonly what: string;
  readonly code: string;
  readonly make: (device: Device) => Promise<unknown>;
}[] = [
  ...[NaN, Infinity, -Infinity].flatMap((value) =>
    (["i32", "u32"] as const).map((dtype) => ({
      what: `${value} to ${dtype}`,
      code: "value",
      make: (device: Device) => compile((x: Tensor) => cast(x, dtype), { device })(tensor([1, value, 2])),
    })),
  ),
  ...[-1, 3, 2 ** 31 - 1].flatMap((index) => [
    {
      what: `gather row ${index} of 3`,
      code: "value",
      make: (device: Device) =>
        compile((x: Tensor, rows: Tensor) => gather(x, rows), { device })(
          tensor([1, 2, 3]),
          tensor([0, index], { dtype: "i32" }),
        ),
    },
    {
      what: `the derivative of gathering row ${index} of 3`,
      code: "value",
      make: (device: Device) => {
        const slope = compile((x: Tensor, rows: Tensor) => grad((y: Tensor) => mean(gather(y, rows)))(x), { device });
        return slope(tensor([1, 2, 3]), tensor([0, index], { dtype: "i32" }));
      },
    },
  ]),
  {
    what: "a result above all memory",
    code: "memory",
    make: (device) => compile((x: Tensor) => broadcastTo(x, [2 ** 25, 2 ** 25]), { device })(scalar(1)),
  },
  {
    what: "a state of another device",
    code: "device",
    make: async (device) => {
      const other = await createDevice("oracle");
      try {
        const state = await createState(tensor([1]), other);
        return await compile((x: Tensor) => x, { device })(state);
      } finally {
        other.dispose();
      }
    },
  },
];

describe("mistakes in programs are refused with the same codes", () => {
  for (const name of ["oracle", "wasm", "cpu", "webgpu"] as const) {
    it(name, { skip: name === "webgpu" && webgpuSkip }, async () => {
      const device = await createDevice(name);
      try {
        for (const { what, code, make } of mistakes) {
          await assert.rejects(make(device), (error) => error instanceof EvenkeelError && error.code === code, what);
        }
        const memory = device.memory();
        assert.ok(memory.bytes < 2 ** 20, `${memory.bytes} bytes left`);
      } finally {
        device.dispose();
      }
      await assert.rejects(
        compile((x: Tensor) => x, { device })(tensor([1])),
        (error) => error instanceof EvenkeelError && error.code === "disposed",
      );
    });
  }
});
