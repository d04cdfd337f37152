import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";
import {
  compile,
  divide,
  exp,
  randomKey,
  randomNormal,
  reduceSum,
  type Tensor,
  tensor,
} from "../../../../engine/index.ts";
import type { KernelDevice } from "../../../../engine/devices/device.ts";
import { createWasmDevice } from "../../../../engine/devices/wasm/device.ts";
import { EvenkeelError } from "../../../../engine/errors.ts";
import type { Kernel } from "../../../../engine/kernel/kernel.ts";
import type { Plan } from "../../../../engine/kernel/plan.ts";
import { downloaded } from "../../../../testing/devices/downloaded.ts";

const length = 64;

/** Copies element stride * i; a large stride leaves the memory, which no kernel made by the engine does. */
function copyKernel(stride: number): Kernel {
  return {
    name: `copy_${stride}`,
    axes: [{ role: "parallel", size: length }],
    operands: [{ dtype: "f32", length }],
    reduction: null,
    stores: [
      {
        value: { kind: "load", dtype: "f32", operand: 0, at: { offset: 0, coefficients: [stride] } },
        dtype: "f32",
        length,
        at: { offset: 0, coefficients: [1] },
      },
    ],
    flops: 0,
    bytes: 0,
  };
}

/** Runs the kernels one after the other from the input, by way of temporaries, to the output. */
function chain(...kernels: readonly Kernel[]): Plan {
  const last = kernels.length;
  return {
    buffers: Array.from({ length: last + 1 }, (_, index) => ({
      dtype: "f32" as const,
      length,
      role:
        index === 0
          ? { kind: "input" as const, index: 0 }
          : index === last
            ? { kind: "output" as const, index: 0 }
            : { kind: "temporary" as const, slot: 0, offset: 512 * index },
    })),
    steps: kernels.map((kernel, index) => ({ kernel, operands: [index], results: [index + 1] })),
    slots: [512 * (last + 1)],
    inputs: 1,
    outputs: 1,
    aliases: [null],
  };
}

async function copies(device: KernelDevice, plan: Plan): Promise<void> {
  const executable = await device.compile(plan);
  const [input, output] = [device.allocate("f32", length), device.allocate("f32", length)];
  try {
    const data = Float32Array.from({ length }, (_, index) => index + ((index * 0.618) % 1));
    await device.queue.run(async () => {
      device.upload(input, data);
      await executable.run([input], [output]);
      assert.deepEqual(await downloaded(device, output), data);
    });
  } finally {
    device.free(input);
    device.free(output);
    executable.dispose();
  }
}

for (const participate of [true, false]) {
  const who = participate ? "this thread among them" : "all of them workers, as on the main thread of a page";

  test(`many steps and many barriers, ${who}`, async () => {
    const device = await createWasmDevice({ threads: 3, sharedCost: 0, participate });
    const many = chain(...Array.from({ length: 300 }, () => copyKernel(1)));
    for (let round = 0; round < 5; round++) await copies(device, many);
    device.dispose();
  });

  test(`a thread that fails rejects the run with its reason and the next run works, ${who}`, async () => {
    const device = await createWasmDevice({ threads: 3, sharedCost: 0, participate });
    // Thread 0 has elements 0 to 20 or so; with this stride only higher ones leave 4 GiB. Then the other way round.
    for (const stride of [30_000_000, -30_000_000]) {
      for (const before of [0, 1, 5]) {
        const healthy = Array.from({ length: before }, () => copyKernel(1));
        const failing = copies(device, chain(...healthy, copyKernel(stride), copyKernel(1), copyKernel(1)));
        await assert.rejects(failing, (error: unknown) => {
          return error instanceof EvenkeelError && error.code === "kernel" && /out of bounds/.test(error.message);
        });
        await copies(device, chain(copyKernel(1), copyKernel(1)));
      }
    }
    device.dispose();
  });

  test(`two runs and two compilations at the same time, ${who}`, async () => {
    const device = await createWasmDevice({ threads: 2, sharedCost: 0, participate });
    await Promise.all(
      Array.from({ length: 6 }, (_, index) =>
        copies(device, chain(...Array.from({ length: index + 1 }, () => copyKernel(1)))),
      ),
    );
    assert.deepEqual(device.memory(), { bytes: 0, buffers: 0 });
    device.dispose();
  });
}

test("a program has the same bits in every run, whichever threads compute it", async () => {
  const device = await createWasmDevice({ threads: 3, sharedCost: 0 });
  const normalize = compile((x: Tensor) => divide(exp(x), reduceSum(exp(x), { axes: -1, keepAxes: true })), { device });
  try {
    const x = await (await compile(() => randomNormal(randomKey(1), [65, 37]), { device })()).data();
    const given = tensor(x, { shape: [65, 37] });
    const first = await (await normalize(given)).data();
    // More than it takes to try both ways and to choose one.
    for (let run = 0; run < 60; run++) assert.deepEqual(await (await normalize(given)).data(), first, `run ${run}`);
  } finally {
    normalize.dispose();
    device.dispose();
  }
});

test("disposing of a device during a run rejects it", async () => {
  const device = await createWasmDevice({ threads: 2, sharedCost: 0, participate: false });
  const executable = await device.compile(chain(...Array.from({ length: 500 }, () => copyKernel(1))));
  const [input, output] = [device.allocate("f32", length), device.allocate("f32", length)];
  const running = executable.run([input], [output]);
  device.dispose();
  await assert.rejects(running, (error: unknown) => error instanceof EvenkeelError && error.code === "disposed");
});

test("EVENKEEL_THREADS sets the number of threads", async () => {
  const before = process.env["EVENKEEL_THREADS"];
  try {
    process.env["EVENKEEL_THREADS"] = "3";
    const three = await createWasmDevice();
    assert.equal(three.traits.threads, 3);
    const one = await createWasmDevice({ threads: 1 });
    assert.equal(one.traits.threads, 1);
    process.env["EVENKEEL_THREADS"] = "many";
    await assert.rejects(createWasmDevice(), /EVENKEEL_THREADS is NaN/);
    three.dispose();
    one.dispose();
  } finally {
    if (before === undefined) delete process.env["EVENKEEL_THREADS"];
    else process.env["EVENKEEL_THREADS"] = before;
  }
});

test("a program with sleeping workers ends by itself", async () => {
  const script = `
    import { createWasmDevice } from "./engine/devices/wasm/device.ts";
    const device = await createWasmDevice({ threads: 3, sharedCost: 0 });
    const plan = ${JSON.stringify(chain(copyKernel(1), copyKernel(1)))};
    const executable = await device.compile(plan);
    const [x, y] = [device.allocate("f32", ${length}), device.allocate("f32", ${length})];
    device.upload(x, new Float32Array(${length}).fill(4));
    await executable.run([x], [y]);
    console.log((await device.download([y]))[0][7]);
  `;
  const options = { timeout: 60_000, cwd: process.cwd() };
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ["--import", "tsx", "--input-type=module", "--eval", script],
    options,
  );
  assert.equal(stdout.trim(), "4");
});
