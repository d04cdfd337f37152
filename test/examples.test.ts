import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createDevice } from "../engine/index.ts";
import { train } from "../examples/mlp.ts";
import { draw } from "../examples/rings.ts";
import { webgpuSkip } from "./support/webgpuSkip.ts";

/** The oracle is slow: a start has to do there. */
const steps = { oracle: 10, wasm: 200, cpu: 200, webgpu: 200 } as const;
let reference: Promise<number[]> | undefined;

async function lossesOn(name: keyof typeof steps): Promise<number[]> {
  const device = await createDevice(name);
  try {
    return await train(device, steps[name]);
  } finally {
    device.dispose();
  }
}

describe("examples/mlp.ts", () => {
  for (const name of ["oracle", "cpu", "webgpu"] as const) {
    it(`has the loss curve of wasm on ${name}, within 1e-4`, { skip: name === "webgpu" && webgpuSkip }, async () => {
      const wasm = await (reference ??= lossesOn("wasm"));
      const other = await lossesOn(name);
      assert.equal(other.length, steps[name]);
      const worst = Math.max(...other.map((loss, i) => Math.abs(loss - (wasm[i] ?? NaN))));
      assert.ok(worst <= 1e-4, `${name} is ${worst} away`);
      assert.ok((wasm.at(-1) ?? NaN) < 0.02 * (wasm[0] ?? NaN), "it does not fit");
    });
  }
});

describe("examples/rings.ts", () => {
  it("learns, and draws two rows of pictures", async () => {
    const device = await createDevice("wasm");
    try {
      const { picture, errors } = await draw(device, 60, 3);
      const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value / values.length, 0);
      assert.ok(mean(errors.slice(-10)) < 0.7 * mean(errors.slice(0, 10)), errors.join());
      // Pictures of 8 pixels with 2 between them and around.
      assert.deepEqual([picture.width, picture.height, picture.channels], [3 * 10 + 2, 2 * 10 + 2, 1]);
      assert.ok(picture.data.some((pixel) => pixel > 64));
    } finally {
      device.dispose();
    }
  });
});
