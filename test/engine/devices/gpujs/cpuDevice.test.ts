import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { createCpuDevice } from "../../../../engine/devices/gpujs/cpuDevice.ts";
import { type ErrorCode, EvenkeelError } from "../../../../engine/errors.ts";
import type { TensorData } from "../../../../engine/graph/dtype.ts";
import type { BufferRole } from "../../../../engine/kernel/plan.ts";
import type { Plan } from "../../../../engine/kernel/plan.ts";
import { add, chainPlan, elementwise, incrementPlan, literal, load, plan } from "./samplePlans.ts";
import { downloaded } from "../../../../testing/devices/downloaded.ts";

function fails(code: ErrorCode, message: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof EvenkeelError, `not an EvenkeelError: ${String(error)}`);
    assert.equal(error.code, code);
    assert.match(error.message, message);
    return true;
  };
}

const ramp = (length: number): Float32Array => Float32Array.from({ length }, (_, i) => i % 1000);
const nothing = { bytes: 0, buffers: 0 };

describe("cpu device", async () => {
  const device = await createCpuDevice();

  test("what is uploaded is downloaded, bit for bit, in memory of the caller's own", async () => {
    const arrays = fc.oneof(
      fc.float32Array({ maxLength: 40 }).map((data) => ["f32", data as TensorData] as const),
      fc.int32Array({ maxLength: 40 }).map((data) => ["i32", data as TensorData] as const),
      fc.uint32Array({ maxLength: 40 }).map((data) => ["u32", data as TensorData] as const),
      fc.uint8Array({ maxLength: 40, max: 1 }).map((data) => ["bool", data as TensorData] as const),
    );
    await fc.assert(
      fc.asyncProperty(arrays, async ([dtype, data]) => {
        const buffer = device.allocate(dtype, data.length);
        device.upload(buffer, data);
        (await downloaded(device, buffer)).fill(1);
        assert.deepEqual(await downloaded(device, buffer), data);
        device.free(buffer);
      }),
    );
    assert.deepEqual(device.memory(), nothing);
  });

  test("a chain through temporaries and a constant", async () => {
    const constant = Float32Array.from({ length: 300 }, (_, i) => 0.5 * i);
    const executable = await device.compile(chainPlan(300, constant));
    const [x, y] = [device.allocate("f32", 300), device.allocate("f32", 300)];
    device.upload(x, ramp(300));
    for (let i = 0; i < 3; i++) assert.deepEqual(await executable.run([x], [y]), []);
    assert.deepEqual(
      await downloaded(device, y),
      ramp(300).map((value, i) => 2 * value + 0.5 * i),
    );
    // Two slots, the constant, and the rows that gpu.js keeps for each of three kernels.
    assert.equal(executable.bytes, 6 * 1200);
    assert.deepEqual(device.memory(), { bytes: 8 * 1200, buffers: 8 });
    const times = await executable.run([x], [y], { profile: true });
    assert.deepEqual(
      times.map(({ name }) => name),
      ["double", "sum", "copyBack"],
    );
    assert.ok(times.every(({ milliseconds }) => milliseconds >= 0));
    executable.dispose();
    executable.dispose();
    device.free(x);
    assert.throws(() => device.free(x), fails("disposed", /freed/));
    device.free(y);
    assert.deepEqual(device.memory(), nothing);
  });

  test("programs share equal kernels, and their memory is counted once", async () => {
    const first = await device.compile(incrementPlan(100));
    const alone = device.memory();
    const second = await device.compile(incrementPlan(100));
    assert.deepEqual(device.memory(), alone);
    first.dispose();
    assert.deepEqual(device.memory(), alone);
    second.dispose();
    assert.deepEqual(device.memory(), nothing);
  });

  test("shows each kernel's source under its name", async () => {
    const executable = await device.compile(chainPlan(10, new Float32Array(10)));
    const sources = executable.sources();
    assert.deepEqual(
      sources.map(({ kernel, language }) => [kernel, language]),
      [
        ["double", "javascript"],
        ["sum", "javascript"],
        ["copyBack", "javascript"],
      ],
    );
    assert.match(sources[1]?.text ?? "", /a0\[this\.thread\.x\] \+ a1\[this\.thread\.x\]/);
    executable.dispose();
  });

  test("programs without elements run", async () => {
    const executable = await device.compile(incrementPlan(0));
    const [x, y] = [device.allocate("f32", 0), device.allocate("f32", 0)];
    await executable.run([x], [y]);
    assert.deepEqual(await downloaded(device, y), new Float32Array(0));
    executable.dispose();
    device.free(x);
    device.free(y);
  });

  test("refuses buffers that don't fit", async () => {
    const executable = await device.compile(incrementPlan(4));
    const other = await createCpuDevice();
    const [x, y, short, foreign] = [
      device.allocate("f32", 4),
      device.allocate("f32", 4),
      device.allocate("f32", 3),
      other.allocate("f32", 4),
    ];
    const integer = device.allocate("i32", 4);
    const freed = device.allocate("f32", 4);
    device.free(freed);
    await assert.rejects(executable.run([], [y]), fails("value", /0 inputs and 1 outputs.*1 and 1/));
    await assert.rejects(executable.run([short], [y]), fails("shape", /3 f32 for input 0.*4 f32/));
    await assert.rejects(executable.run([x], [integer]), fails("dtype", /4 i32 for output 0.*4 f32/));
    await assert.rejects(executable.run([x], [x]), fails("value", /input 0 for output 0/));
    await assert.rejects(executable.run([foreign], [y]), fails("device", /input 0.*another device/));
    await assert.rejects(executable.run([freed], [y]), fails("disposed", /input 0.*freed/));
    assert.throws(() => device.upload(x, new Float32Array(5)), fails("shape", /5 elements.*4/));
    assert.throws(() => device.upload(x, new Int32Array(4)), fails("dtype", /Int32Array/));
    executable.dispose();
    await assert.rejects(executable.run([x], [y]), fails("disposed", /program/));
    for (const buffer of [x, y, short, integer]) device.free(buffer);
    other.dispose();
    assert.deepEqual(device.memory(), nothing);
  });

  test("refuses a plan that writes what it reads, and keeps nothing of it", async () => {
    const kernel = elementwise("inPlace", 4, 1, add(load(0), literal(1)));
    const roles: BufferRole[] = [
      { kind: "input", index: 0 },
      { kind: "temporary", slot: 0, offset: 0 },
    ];
    const executable = await device.compile(plan("f32", 4, roles, [{ kernel, operands: [1], results: [1] }]));
    const x = device.allocate("f32", 4);
    await assert.rejects(executable.run([x], []), fails("graph", /inPlace.*reads/));
    executable.dispose();
    device.free(x);
  });

  test("names the size it has no memory for", () => {
    assert.throws(() => device.allocate("f32", 2 ** 40), fails("memory", /1099511627776 f32.*bytes/));
    assert.throws(() => device.allocate("f32", -1), fails("range", /-1 f32/));
    assert.throws(() => device.allocate("f32", 1.5), fails("range", /1\.5 f32/));
    assert.deepEqual(device.memory(), nothing);
  });

  test("a failed compilation leaves nothing behind", async () => {
    const wrong = elementwise("wrong", 4, 1, { kind: "unary", dtype: "i32", op: "exp", x: load(0, "i32") });
    const { steps, ...rest } = incrementPlan(4);
    const of: Plan = { ...rest, steps: [...steps, { kernel: wrong, operands: [0], results: [1] }] };
    await assert.rejects(device.compile(of), fails("kernel", /wrong.*exp/));
    assert.deepEqual(device.memory(), nothing);
  });

  test("is deaf after dispose", async () => {
    const own = await createCpuDevice();
    const executable = await own.compile(incrementPlan(4));
    const x = own.allocate("f32", 4);
    own.dispose();
    own.dispose();
    assert.deepEqual(own.memory(), nothing);
    own.free(x);
    assert.throws(() => own.allocate("f32", 1), fails("disposed", /cpu/));
    assert.throws(() => own.upload(x, new Float32Array(4)), fails("disposed", /cpu/));
    await assert.rejects(downloaded(own, x), fails("disposed", /cpu/));
    await assert.rejects(executable.run([x], [x]), fails("disposed", /./));
    await assert.rejects(own.compile(incrementPlan(4)), fails("disposed", /cpu/));
  });
});
