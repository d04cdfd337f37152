import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { KernelDevice, DeviceBuffer } from "../../../../engine/devices/device.ts";
import { createWasmDevice, type WasmOptions } from "../../../../engine/devices/wasm/device.ts";
import { webAssembly } from "../../../../engine/devices/wasm/runtime/index.ts";
import { EvenkeelError, type ErrorCode } from "../../../../engine/errors.ts";
import type { DType, TensorData } from "../../../../engine/graph/dtype.ts";
import type { Kernel } from "../../../../engine/kernel/kernel.ts";
import type { Plan } from "../../../../engine/kernel/plan.ts";
import { assertNotInEveryRun } from "../../../support/inEveryRun.ts";
import { planOf } from "./exactKernels.ts";
import { downloaded } from "../../../../testing/devices/downloaded.ts";

const hasCode = (code: ErrorCode, text: RegExp) => (error: unknown) =>
  error instanceof EvenkeelError && error.code === code && text.test(error.message);

async function withDevice(options: WasmOptions, body: (device: KernelDevice) => Promise<void>): Promise<void> {
  const device = await createWasmDevice(options);
  try {
    await body(device);
  } finally {
    device.dispose();
  }
}

/** `result[i] = x[i] + addend`. */
function addKernel(length: number, addend: number): Kernel {
  const at = { offset: 0, coefficients: [1] };
  return {
    name: `add_${addend}`,
    axes: [{ role: "parallel", size: length }],
    operands: [{ dtype: "f32", length }],
    reduction: null,
    stores: [
      {
        value: {
          kind: "binary",
          dtype: "f32",
          op: "add",
          x: { kind: "load", dtype: "f32", operand: 0, at },
          y: { kind: "literal", dtype: "f32", value: addend },
        },
        dtype: "f32",
        length,
        at,
      },
    ],
    flops: length,
    bytes: 8 * length,
  };
}

/** input -> +1 -> temporary -> +10 -> output, and a constant + 100 -> output 1. */
function chainPlan(length: number): Plan {
  return {
    buffers: [
      { dtype: "f32", length, role: { kind: "input", index: 0 } },
      { dtype: "f32", length, role: { kind: "temporary", slot: 0, offset: 64 } },
      { dtype: "f32", length, role: { kind: "output", index: 0 } },
      { dtype: "f32", length, role: { kind: "constant", data: new Float32Array(length).fill(5) } },
      { dtype: "f32", length, role: { kind: "output", index: 1 } },
    ],
    steps: [
      { kernel: addKernel(length, 1), operands: [0], results: [1] },
      { kernel: addKernel(length, 10), operands: [1], results: [2] },
      { kernel: addKernel(length, 100), operands: [3], results: [4] },
    ],
    slots: [64 + 4 * length + 64],
    inputs: 1,
    outputs: 2,
    aliases: [null, null],
  };
}

test("what is uploaded is downloaded, for every dtype and length", async () => {
  await withDevice({ threads: 1 }, async (device) => {
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.array(fc.float(), { maxLength: 50 }).map((values) => Float32Array.from(values)),
          fc.array(fc.integer(), { maxLength: 50 }).map((values) => Int32Array.from(values)),
          fc.array(fc.integer(), { maxLength: 50 }).map((values) => Uint32Array.from(values)),
          fc.array(fc.nat(1), { maxLength: 50 }).map((values) => Uint8Array.from(values)),
        ),
        async (data: TensorData) => {
          const dtype: DType =
            data instanceof Float32Array
              ? "f32"
              : data instanceof Int32Array
                ? "i32"
                : data instanceof Uint32Array
                  ? "u32"
                  : "bool";
          const buffer = device.allocate(dtype, data.length);
          device.upload(buffer, data);
          assert.deepEqual(await downloaded(device, buffer), data);
          device.free(buffer);
        },
      ),
    );
    assert.deepEqual(device.memory(), { bytes: 0, buffers: 0 });
  });
});

for (const threads of [1, 2]) {
  test(`temporaries, constants and outputs, rebound at every run, on ${threads} threads`, async () => {
    await withDevice({ threads, sharedCost: 0 }, async (device) => {
      const length = 1001;
      const executable = await device.compile(chainPlan(length));
      const held = device.memory();
      assert.equal(held.bytes, executable.bytes);
      for (let round = 0; round < 3; round++) {
        const [input, first, second] = [0, 1, 2].map(() => device.allocate("f32", length)) as [
          DeviceBuffer,
          DeviceBuffer,
          DeviceBuffer,
        ];
        device.upload(input, new Float32Array(length).fill(round));
        const times = await executable.run([input], [first, second], { profile: round === 1 });
        assert.deepEqual(
          times.map(({ name }) => name),
          round === 1 ? ["add_1", "add_10", "add_100"] : [],
        );
        assert.ok(times.every(({ milliseconds }) => milliseconds > 0));
        assert.deepEqual(await downloaded(device, first), new Float32Array(length).fill(round + 11));
        assert.deepEqual(await downloaded(device, second), new Float32Array(length).fill(105));
        for (const buffer of [input, first, second]) device.free(buffer);
      }
      assert.deepEqual(device.memory(), held);
      executable.dispose();
      executable.dispose();
      assert.deepEqual(device.memory(), { bytes: 0, buffers: 0 });
    });
  });
}

test("tasks of the queue take effect in their order, also while a run is under way", async () => {
  // Without taking part the calling thread goes on while the workers run.
  await withDevice({ threads: 2, sharedCost: 0, participate: false }, async (device) => {
    const length = 100_000;
    const executable = await device.compile(planOf(addKernel(length, 1)));
    const [x, y, z] = [0, 1, 2].map(() => device.allocate("f32", length)) as [DeviceBuffer, DeviceBuffer, DeviceBuffer];
    const runWith = (value: number, output: DeviceBuffer) => async () => {
      device.upload(x, new Float32Array(length).fill(value));
      await executable.run([x], [output]);
    };
    const order: string[] = [];
    const done = (name: string) => () => void order.push(name);
    const compiling = device.compile(planOf(addKernel(length, 7))).then(async (other) => {
      order.push("compiled");
      return device.queue.run(() => other.run([y], [z]));
    });
    const first = device.queue.run(runWith(1, y)).then(done("first"));
    const second = device.queue.run(runWith(50, z)).then(done("second"));
    const both = device.queue.run(() => device.download([y, z]));
    void device.queue.run(() => device.free(x)).then(done("freed"));
    await Promise.all([first, second]);
    const [fromFirst, fromSecond] = await both;
    assert.deepEqual(fromFirst, new Float32Array(length).fill(2));
    assert.deepEqual(fromSecond, new Float32Array(length).fill(51));
    // What is compiled meanwhile gets the threads' ear between runs.
    await compiling;
    assert.deepEqual(await downloaded(device, z), new Float32Array(length).fill(9));
    assert.deepEqual(
      order.filter((name) => name !== "compiled"),
      ["first", "second", "freed"],
    );
  });
});

test("state may be updated in the buffer it is in", async () => {
  await withDevice({ threads: 2, sharedCost: 0 }, async (device) => {
    const plan: Plan = { ...planOf(addKernel(777, 1)), aliases: [0] };
    const executable = await device.compile(plan);
    const state = device.allocate("f32", 777);
    device.upload(state, new Float32Array(777));
    for (let step = 0; step < 20; step++) await executable.run([state], [state]);
    assert.deepEqual(await downloaded(device, state), new Float32Array(777).fill(20));
    const other = await device.compile(planOf(addKernel(777, 1)));
    await assert.rejects(other.run([state], [state]), hasCode("value", /buffer of input 0 for output 0/));
  });
});

test("bad calls say what is wrong", async () => {
  await withDevice({ threads: 1, initialBytes: 65_536, maximumBytes: 2 ** 20 }, async (device) => {
    const buffer = device.allocate("f32", 10);
    assert.throws(() => device.upload(buffer, new Int32Array(10)), hasCode("dtype", /Int32Array.*f32/));
    assert.throws(() => device.upload(buffer, new Float32Array(9)), hasCode("shape", /9 elements.*10 f32/));
    assert.throws(() => device.allocate("f32", -1), hasCode("range", /-1/));
    assert.throws(
      () => device.allocate("f32", 300_000),
      hasCode("memory", /300000 f32 elements \(1\.1 MiB\).*may grow to 1 MiB/),
    );
    assert.throws(() => device.allocate("f32", 2 ** 30), hasCode("memory", /1073741824 f32/));
    const executable = await device.compile(planOf(addKernel(10, 1)));
    const integers = device.allocate("i32", 10);
    const short = device.allocate("f32", 9);
    await assert.rejects(executable.run([], [buffer]), hasCode("value", /0 inputs.*has 1/));
    await assert.rejects(executable.run([integers], [buffer]), hasCode("dtype", /10 i32 for input 0.*10 f32/));
    await assert.rejects(executable.run([buffer], [short]), hasCode("shape", /9 f32 for output 0.*10 f32/));
    device.free(short);
    assert.throws(() => device.upload(short, new Float32Array(9)), hasCode("disposed", /was freed/));
    assert.throws(() => device.free(short), hasCode("disposed", /was freed/));
    await withDevice({ threads: 1 }, async (other) => {
      await assert.rejects(downloaded(other, buffer), hasCode("device", /belongs to another device/));
    });
    executable.dispose();
    await assert.rejects(executable.run([buffer], [buffer]), hasCode("disposed", /program was disposed/));
  });
  await assert.rejects(createWasmDevice({ threads: 0 }), hasCode("value", /threads is 0/));
  await assert.rejects(createWasmDevice({ threads: 1.5 }), hasCode("value", /threads is 1\.5/));
  await assert.rejects(createWasmDevice({ maximumBytes: 2 ** 33 }), hasCode("value", /maximumBytes/));
});

test("memory grows as it is needed and is used again", async () => {
  await withDevice({ threads: 2, sharedCost: 0, initialBytes: 65_536 }, async (device) => {
    const length = 200_000;
    const executable = await device.compile(planOf(addKernel(length, 3)));
    for (let round = 0; round < 5; round++) {
      const pairs = Array.from(
        { length: 4 },
        () => [device.allocate("f32", length), device.allocate("f32", length)] as const,
      );
      for (const [index, [input]] of pairs.entries()) device.upload(input, new Float32Array(length).fill(index));
      for (const [input, output] of pairs) await executable.run([input], [output]);
      for (const [index, [input, output]] of pairs.entries()) {
        assert.deepEqual(await downloaded(device, output), new Float32Array(length).fill(index + 3));
        device.free(input);
        device.free(output);
      }
    }
    assert.equal(device.memory().bytes, executable.bytes);
  });
});

test("a disposed device rejects calls", async () => {
  const device = await createWasmDevice({ threads: 2, sharedCost: 0 });
  const buffer = device.allocate("f32", 10);
  const executable = await device.compile(planOf(addKernel(10, 1)));
  device.dispose();
  device.dispose();
  assert.throws(() => device.allocate("f32", 1), hasCode("disposed", /allocate/));
  assert.throws(() => device.upload(buffer, new Float32Array(10)), hasCode("disposed", /upload/));
  await assert.rejects(downloaded(device, buffer), hasCode("disposed", /download/));
  await assert.rejects(executable.run([buffer], [buffer]), hasCode("disposed", /run/));
  await assert.rejects(device.compile(planOf(addKernel(10, 1))), hasCode("disposed", /compile/));
  assert.deepEqual(device.memory(), { bytes: 0, buffers: 0 });
  device.free(buffer);
  executable.dispose();
});

test("10,000 runs leave memory as it was", async () => {
  await withDevice({ threads: 2, sharedCost: 0 }, async (device) => {
    const length = 64;
    const plan: Plan = { ...planOf(addKernel(length, 1)), aliases: [0] };
    const state = device.allocate("f32", length);
    device.upload(state, new Float32Array(length));
    const executable = await device.compile(plan);
    const run = async (runs: number): Promise<number> => {
      for (let index = 0; index < runs; index++) await executable.run([state], [state]);
      return process.memoryUsage().rss;
    };
    const before = device.memory();
    let resident = await run(1000);
    let runs = 1000;
    await assertNotInEveryRun(async () => {
      const [earlier, later] = [resident, await run(9000)];
      runs += 9000;
      resident = later;
      // A leak of one small object of 100 bytes a run would be 0.9 MB; the collector's own breathing is larger than that.
      return later - earlier < 16 * 2 ** 20 ? undefined : `resident memory went from ${earlier} to ${later}`;
    });
    assert.deepEqual(device.memory(), before);
    assert.deepEqual(await downloaded(device, state), new Float32Array(length).fill(runs));
  });
});

test("compiling and disposing leaves memory as it was", async () => {
  await withDevice({ threads: 2, sharedCost: 0 }, async (device) => {
    for (let round = 0; round < 40; round++) {
      const executable = await device.compile(chainPlan(10 + round));
      executable.dispose();
      assert.deepEqual(device.memory(), { bytes: 0, buffers: 0 });
    }
  });
});

test("code that the host refuses is told with the kernel it was written for", async (t) => {
  await withDevice({ threads: 1 }, async (device) => {
    const plan = chainPlan(8);
    // The host's words, of the first function behind the imported one.
    const words = "WebAssembly.compile(): Compiling function #1 failed: expected 1 elements on the stack";
    t.mock.method(webAssembly, "compile", () => Promise.reject(new Error(words)));
    await assert.rejects(
      device.compile(plan),
      hasCode("kernel", /^wasm: kernel0_add_1 can't be compiled: .*function #1/),
    );
    t.mock.restoreAll();
    (await device.compile(plan)).dispose();
  });
});
