import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import fc from "fast-check";
import type { KernelDevice } from "../../../../engine/devices/device.ts";
import { createWebgpuDevice } from "../../../../engine/devices/gpujs/webgpuDevice.ts";
import { type ErrorCode, EvenkeelError } from "../../../../engine/errors.ts";
import type { DType, TensorData } from "../../../../engine/graph/dtype.ts";
import { at } from "../../../../engine/graph/shape.ts";
import type { BufferRole, PlanStep } from "../../../../engine/kernel/plan.ts";
import { countGpuCalls } from "../../../support/countGpuCalls.ts";
import { countMappings } from "../../../support/countMappings.ts";
import { webgpuSkip } from "../../../support/webgpuSkip.ts";
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

function ramp(length: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => i % 1000);
}

for (const kernels of ["own", "generated"] as const) {
  describe(`webgpu device with ${kernels} kernels`, { skip: webgpuSkip }, async () => {
    if (webgpuSkip !== false) return;
    const device = await createWebgpuDevice({ kernels });
    after(() => device.dispose());

    test("what is uploaded is downloaded, bit for bit", async () => {
      await fc.assert(
        fc.asyncProperty(arrays, async ([dtype, data]) => {
          const buffer = device.allocate(dtype, data.length);
          device.upload(buffer, data);
          const back = await downloaded(device, buffer);
          device.free(buffer);
          assert.deepEqual(back, data);
        }),
        { numRuns: 60 },
      );
      assert.deepEqual(device.memory(), { bytes: 0, buffers: 0 });
    });

    const arrays: fc.Arbitrary<[DType, TensorData]> = fc.oneof(
      fc.float32Array({ maxLength: 40 }).map((data): [DType, TensorData] => ["f32", data]),
      fc.int32Array({ maxLength: 40 }).map((data): [DType, TensorData] => ["i32", data]),
      fc.uint32Array({ maxLength: 40 }).map((data): [DType, TensorData] => ["u32", data]),
      fc.uint8Array({ maxLength: 40, max: 1 }).map((data): [DType, TensorData] => ["bool", data]),
    );

    test("many buffers are downloaded by one mapping, bit for bit, some of them twice", async () => {
      const mapped = await countMappings();
      await fc.assert(
        fc.asyncProperty(
          fc.array(arrays, { maxLength: 12 }),
          fc.array(fc.nat(99), { maxLength: 3 }),
          async (list, again) => {
            const buffers = list.map(([dtype, data]) => {
              const buffer = device.allocate(dtype, data.length);
              device.upload(buffer, data);
              return buffer;
            });
            const order = [...list.keys(), ...(list.length === 0 ? [] : again.map((place) => place % list.length))];
            const all = await device.download(order.map((i) => at(buffers, i)));
            assert.deepEqual(
              all,
              order.map((i) => at(list, i)[1]),
            );
            assert.equal(mapped(), list.some(([, data]) => data.length > 0) ? 1 : 0);
            // The caller's own, and nobody else's.
            assert.equal(new Set(all.map(({ buffer }) => buffer)).size, all.length);
            buffers.forEach((buffer) => device.free(buffer));
          },
        ),
        { numRuns: 60 },
      );
      assert.deepEqual(device.memory(), { bytes: 0, buffers: 0 });
    });

    test("a download of more than a staging buffer takes is mapped in parts", async () => {
      const mapped = await countMappings();
      const sizes = [3_000_000, 0, 1_194_304, 1, 5_000_000, 2];
      const buffers = sizes.map((size, i) => {
        const buffer = device.allocate("f32", size);
        device.upload(buffer, new Float32Array(size).fill(i));
        return buffer;
      });
      const all = await device.download(buffers);
      // 4,194,304 elements are 16 MiB; what is larger goes alone.
      assert.equal(mapped(), 4);
      for (const [i, size] of sizes.entries()) {
        const data = at(all, i);
        assert.equal(data.length, size);
        assert.ok(data.every((value) => value === i));
      }
      buffers.forEach((buffer) => device.free(buffer));
    });

    test("downloads at the same time don't mix", async () => {
      const buffers = Array.from({ length: 8 }, (_, i) => {
        const buffer = device.allocate("f32", 100 + i);
        device.upload(buffer, new Float32Array(100 + i).fill(i));
        return buffer;
      });
      const all = await Promise.all(buffers.map((buffer) => downloaded(device, buffer)));
      all.forEach((data, i) => assert.deepEqual(data, new Float32Array(100 + i).fill(i)));
      buffers.forEach((buffer) => device.free(buffer));
    });

    test("a chain through temporaries and a constant", async () => {
      const constant = Float32Array.from({ length: 300 }, (_, i) => 0.5 * i);
      const executable = await device.compile(chainPlan(300, constant));
      const [x, y] = [device.allocate("f32", 300), device.allocate("f32", 300)];
      device.upload(x, ramp(300));
      assert.deepEqual(await executable.run([x], [y]), []);
      assert.deepEqual(
        await downloaded(device, y),
        ramp(300).map((value, i) => 2 * value + 0.5 * i),
      );
      // Two slots and the constant of 1200 bytes; three kernels with params of 256 where gpu.js writes them.
      assert.equal(executable.bytes, 3 * 1200 + (kernels === "own" ? 0 : 3 * 256));
      assert.deepEqual(device.memory(), {
        bytes: executable.bytes + 2 * 1200,
        buffers: kernels === "own" ? 5 : 6,
      });
      executable.dispose();
      device.free(x);
      device.free(y);
      assert.deepEqual(device.memory(), { bytes: 0, buffers: 0 });
    });

    test("a run's arguments are one upload and one submit with it, in the order in which they were given", async () => {
      const executable = await device.compile(chainPlan(300, ramp(300)));
      const [x, y, z] = [device.allocate("f32", 300), device.allocate("f32", 300), device.allocate("i32", 5)];
      device.upload(x, ramp(300));
      await executable.run([x], [y]);
      const count = await countGpuCalls();
      // Given twice, in memory that is the caller's again at once.
      const data = ramp(300);
      device.upload(x, data);
      data.fill(7);
      device.upload(z, Int32Array.of(1, -2, 3, -4, 5));
      device.upload(x, data);
      data.fill(0);
      await executable.run([x], [y]);
      assert.deepEqual(count(), { submits: 1, uploads: 1, readbacks: 0, pipelines: 0 });
      const [after, whole] = await device.download([y, z]);
      assert.deepEqual([after, whole], [ramp(300).map((value) => 14 + value), Int32Array.of(1, -2, 3, -4, 5)]);
      assert.deepEqual(count(), { submits: 1, uploads: 0, readbacks: 1, pipelines: 0 });
      executable.dispose();
      for (const buffer of [x, y, z]) device.free(buffer);
      assert.deepEqual(device.memory(), { bytes: 0, buffers: 0 });
    });

    test("what is uploaded before a buffer is freed, or is too much to go together, goes in order", async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.record({ size: fc.constantFrom(3, 4_194_304, 4_194_305), value: fc.nat(99) }), {
            minLength: 1,
            maxLength: 5,
          }),
          fc.nat(4),
          async (writes, freed) => {
            const sizes = [3, 4_194_304, 4_194_305];
            const live = sizes.map((size) => device.allocate("f32", size));
            const last = sizes.map(() => 0);
            live.forEach((buffer, i) => device.upload(buffer, new Float32Array(at(sizes, i))));
            for (const [i, { size, value }] of writes.entries()) {
              const place = sizes.indexOf(size);
              const passing = device.allocate("f32", size);
              device.upload(passing, new Float32Array(size).fill(-1));
              device.upload(at(live, place), new Float32Array(size).fill(value));
              last[place] = value;
              if (i === freed) device.move([at(live, place)], [passing]);
              if (i === freed) device.free(at(live, place));
              else device.free(passing);
              if (i === freed) live[place] = passing;
            }
            const all = await device.download(live);
            all.forEach((data, i) => assert.ok(data.every((value) => value === last[i])));
            live.forEach((buffer) => device.free(buffer));
          },
        ),
        { numRuns: 8 },
      );
      assert.deepEqual(device.memory(), { bytes: 0, buffers: 0 });
    });

    test("counts what it asks of the GPU", async () => {
      const start = device.counts;
      // Of a length that no other test has.
      const executable = await device.compile(chainPlan(311, ramp(311)));
      const compiled = device.counts;
      assert.ok(compiled.pipelines > start.pipelines && compiled.pipelines <= start.pipelines + 3);
      assert.deepEqual([compiled.submits, compiled.readbacks], [start.submits, start.readbacks]);
      const [x, y] = [device.allocate("f32", 311), device.allocate("f32", 311)];
      for (let run = 1; run <= 2; run++) {
        device.upload(x, ramp(311));
        await executable.run([x], [y]);
        await device.download([x, y]);
        assert.deepEqual(device.counts, {
          submits: compiled.submits + 2 * run,
          dispatches: compiled.dispatches + 3 * run,
          uploads: compiled.uploads + run,
          readbacks: compiled.readbacks + run,
          pipelines: compiled.pipelines,
        });
      }
      executable.dispose();
      for (const buffer of [x, y]) device.free(buffer);
    });

    test("functions of literals are as IEEE 754 has them", async () => {
      for (const [op, value, expected] of [
        ["sqrt", -2, NaN],
        ["sqrt", 4, 2],
        ["negate", 0, -0],
        ["absolute", -2, 2],
        ["log", -2, NaN],
        ["sign", -2, -1],
      ] as const) {
        const kernel = elementwise(op, 2, 0, { kind: "unary", dtype: "f32", op, x: literal(value) });
        const executable = await device.compile(
          plan("f32", 2, [{ kind: "output", index: 0 }], [{ kernel, operands: [], results: [0] }]),
        );
        const y = device.allocate("f32", 2);
        await executable.run([], [y]);
        assert.deepEqual([...(await downloaded(device, y))], [expected, expected], `${op} of ${value}`);
        executable.dispose();
        device.free(y);
      }
    });

    test("integers are exact in their whole range", async () => {
      const data = Int32Array.of(2 ** 31 - 1, -(2 ** 31), -1, 0, 16_777_217, 65_535);
      const executable = await device.compile(incrementPlan(data.length, "i32"));
      const [x, y] = [device.allocate("i32", data.length), device.allocate("i32", data.length)];
      device.upload(x, data);
      await executable.run([x], [y]);
      assert.deepEqual(
        await downloaded(device, y),
        Int32Array.from(data, (value) => value + 1),
      );
      executable.dispose();
      device.free(x);
      device.free(y);
    });

    test("more threads than one row of workgroups holds", async () => {
      // 65535 groups of 64 are 4,194,240 threads.
      const length = 4_300_000;
      const executable = await device.compile(incrementPlan(length));
      const [x, y] = [device.allocate("f32", length), device.allocate("f32", length)];
      const data = Float32Array.from({ length }, (_, i) => i);
      device.upload(x, data);
      await executable.run([x], [y]);
      const got = await downloaded(device, y);
      let wrong = 0;
      for (let i = 0; i < length; i++) if (got[i] !== i + 1) wrong++;
      assert.equal(wrong, 0);
      executable.dispose();
      device.free(x);
      device.free(y);
    });

    test("nothing to compute is nothing to run", async () => {
      const executable = await device.compile(incrementPlan(0));
      const [x, y] = [device.allocate("f32", 0), device.allocate("f32", 0)];
      device.upload(x, new Float32Array(0));
      await executable.run([x], [y]);
      assert.deepEqual(await downloaded(device, y), new Float32Array(0));
      assert.deepEqual(await executable.run([x], [y], { profile: true }), [{ name: "increment", milliseconds: 0 }]);
      executable.dispose();
      device.free(x);
      device.free(y);
    });

    test("a profiled run computes the same and times every step by name", async () => {
      const executable = await device.compile(chainPlan(5000, ramp(5000)));
      const [x, y] = [device.allocate("f32", 5000), device.allocate("f32", 5000)];
      device.upload(x, ramp(5000));
      const times = await executable.run([x], [y], { profile: true });
      assert.deepEqual(
        times.map(({ name }) => name),
        ["double", "sum", "copyBack"],
      );
      assert.ok(times.every(({ milliseconds }) => milliseconds >= 0 && milliseconds < 10_000));
      assert.ok(times.some(({ milliseconds }) => milliseconds > 0));
      assert.deepEqual(
        await downloaded(device, y),
        ramp(5000).map((value) => 3 * value),
      );
      executable.dispose();
      device.free(x);
      device.free(y);
    });

    test("sources hold the WGSL of each kernel, and the JavaScript if there is one", async () => {
      const executable = await device.compile(chainPlan(7, ramp(7)));
      const sources = executable.sources();
      assert.deepEqual(
        sources.map(({ kernel, language }) => `${kernel} ${language}`),
        ["double", "sum", "copyBack"].flatMap((name) =>
          (kernels === "own" ? ["wgsl"] : ["javascript", "wgsl"]).map((language) => `${name} ${language}`),
        ),
      );
      for (const { language, text } of sources)
        assert.match(text, language === "wgsl" ? /@compute/ : /this\.thread\.x/);
      executable.dispose();
    });

    test("2,000 runs whose state takes turns in two buffers leave the live buffers as they were", async () => {
      const executable = await device.compile(incrementPlan(64));
      let [state, spare] = [device.allocate("f32", 64), device.allocate("f32", 64)];
      device.upload(state, new Float32Array(64));
      await executable.run([state], [spare]);
      [state, spare] = [spare, state];
      const before = device.memory();
      for (let i = 1; i < 2000; i++) {
        await executable.run([state], [spare]);
        [state, spare] = [spare, state];
        if (i % 100 === 0) assert.deepEqual(device.memory(), before);
      }
      assert.deepEqual(await downloaded(device, state), new Float32Array(64).fill(2000));
      assert.deepEqual(device.memory(), before);
      executable.dispose();
      device.free(state);
      device.free(spare);
    });

    test("runs on more sets of buffers than are kept stay right", async () => {
      const executable = await device.compile(incrementPlan(16));
      const inputs = Array.from({ length: 20 }, (_, i) => {
        const buffer = device.allocate("f32", 16);
        device.upload(buffer, new Float32Array(16).fill(i));
        return buffer;
      });
      const output = device.allocate("f32", 16);
      for (const round of [0, 1]) {
        for (const [i, input] of inputs.entries()) {
          await executable.run([input], [output]);
          assert.deepEqual(await downloaded(device, output), new Float32Array(16).fill(i + 1), `round ${round}`);
        }
      }
      executable.dispose();
      [...inputs, output].forEach((buffer) => device.free(buffer));
    });

    test("memory that was freed and taken again is bound anew", async () => {
      const executable = await device.compile(incrementPlan(16));
      for (let i = 0; i < 30; i++) {
        const [x, y] = [device.allocate("f32", 16), device.allocate("f32", 16)];
        device.upload(x, new Float32Array(16).fill(i));
        await executable.run([x], [y]);
        assert.deepEqual(await downloaded(device, y), new Float32Array(16).fill(i + 1));
        device.free(x);
        device.free(y);
      }
      executable.dispose();
    });

    test("wrong buffers are refused before anything runs", async () => {
      const executable = await device.compile(incrementPlan(4));
      const other = await createWebgpuDevice();
      const [x, y, short, whole] = [4, 4, 3].map((n) => device.allocate("f32", n)).concat(device.allocate("i32", 4));
      assert.ok(x !== undefined && y !== undefined && short !== undefined && whole !== undefined);
      const foreign = other.allocate("f32", 4);
      await assert.rejects(executable.run([x], []), fails("value", /1 inputs and 0 outputs/));
      await assert.rejects(executable.run([short], [y]), fails("shape", /3 f32 for input 0.*4 f32/));
      await assert.rejects(executable.run([whole], [y]), fails("dtype", /4 i32.*4 f32/));
      await assert.rejects(executable.run([x], [x]), fails("value", /buffer of input 0 for output 0/));
      await assert.rejects(executable.run([foreign], [y]), fails("device", /another device/));
      await assert.rejects(downloaded(device, foreign), fails("device", /another device/));
      assert.throws(() => device.upload(x, new Float32Array(5)), fails("shape", /5 elements.*of 4/));
      assert.throws(() => device.upload(x, new Int32Array(4)), fails("dtype", /Int32Array/));
      assert.throws(() => device.allocate("f32", -1), fails("range", /-1 f32/));
      assert.throws(() => device.allocate("f32", 1.5), fails("range", /1.5 f32/));
      device.free(short);
      assert.throws(() => device.upload(short, new Float32Array(3)), fails("disposed", /freed/));
      [x, y, whole].forEach((buffer) => device.free(buffer));
      executable.dispose();
      await assert.rejects(executable.run([x], [y]), fails("disposed", /disposed/));
      other.dispose();
    });

    test("a buffer beyond the adapter's limit is refused with both sizes", () => {
      const before = device.memory();
      assert.throws(() => device.allocate("f32", 2 ** 40), fails("memory", /4398046511104 bytes.*holds \d+/));
      assert.deepEqual(device.memory(), before);
    });

    test("a kernel of too many arrays is refused by name", async () => {
      const operands = device.limits.operands + 1;
      let body = load(0);
      for (let i = 1; i < operands; i++) body = add(body, load(i));
      const roles: BufferRole[] = [
        { kind: "input", index: 0 },
        { kind: "output", index: 0 },
      ];
      const step: PlanStep = {
        kernel: elementwise("crowd", 4, operands, body),
        operands: Array(operands).fill(0),
        results: [1],
      };
      await assert.rejects(
        device.compile(plan("f32", 4, roles, [step])),
        fails("kernel", /crowd reads and writes \d+ arrays/),
      );
    });

    test("as many arrays as the limits say do work", async () => {
      const { operands } = device.limits;
      let body = load(0);
      for (let i = 1; i < operands; i++) body = add(body, load(i));
      const roles: BufferRole[] = Array.from({ length: operands }, (_, index) => ({ kind: "input", index }));
      const step: PlanStep = {
        kernel: elementwise("all", 4, operands, body),
        operands: roles.map((_, i) => i),
        results: [operands],
      };
      const executable = await device.compile(plan("f32", 4, [...roles, { kind: "output", index: 0 }], [step]));
      const inputs = roles.map((_, i) => {
        const buffer = device.allocate("f32", 4);
        device.upload(buffer, new Float32Array(4).fill(2 ** i));
        return buffer;
      });
      const output = device.allocate("f32", 4);
      await executable.run(inputs, [output]);
      assert.deepEqual(await downloaded(device, output), new Float32Array(4).fill(2 ** operands - 1));
      executable.dispose();
      [...inputs, output].forEach((buffer) => device.free(buffer));
    });

    test("a plan that writes what it reads is refused", async () => {
      const shifted = { kind: "load", dtype: "f32", operand: 0, at: { offset: 3, coefficients: [-1] } } as const;
      // In place, where it is read before it is written, WGSL of our own can.
      const kernel = elementwise("loop", 4, 1, add(kernels === "own" ? shifted : load(0), literal(1)));
      const roles: BufferRole[] = [
        { kind: "temporary", slot: 0, offset: 0 },
        { kind: "temporary", slot: 0, offset: 0 },
      ];
      const bad = plan("f32", 4, roles, [{ kernel, operands: [0], results: [1] }]);
      await assert.rejects(device.compile(bad), fails("graph", /loop write the buffer it reads/));
      const arena = plan("f32", 4, [{ kind: "temporary", slot: 0, offset: 64 }], []);
      await assert.rejects(device.compile(arena), fails("graph", /arena/));
    });

    test("a disposed device says so; disposing again does nothing", async () => {
      const other = await createWebgpuDevice();
      const buffer = other.allocate("f32", 4);
      const executable = await other.compile(incrementPlan(4));
      const pending = downloaded(other, buffer);
      const outcome = assert.rejects(pending, fails("disposed", /disposed/));
      other.dispose();
      other.dispose();
      executable.dispose();
      other.free(buffer);
      await outcome;
      assert.deepEqual(other.memory(), { bytes: 0, buffers: 0 });
      assert.throws(() => other.allocate("f32", 4), fails("disposed", /disposed/));
      assert.throws(() => other.upload(buffer, new Float32Array(4)), fails("disposed", /disposed/));
      await assert.rejects(downloaded(other, buffer), fails("disposed", /disposed/));
      await assert.rejects(other.compile(incrementPlan(4)), fails("disposed", /disposed/));
      await assert.rejects(executable.run([buffer], [buffer]), fails("disposed", /disposed/));
      // The first device shares the GPUDevice and goes on.
      await roundTrip(device);
    });

    test("debug mode computes the same", async () => {
      const debug = await createWebgpuDevice({ debug: true });
      await roundTrip(debug);
      debug.dispose();
    });
  });

  /** Increments once and checks the numbers. */
  async function roundTrip(device: KernelDevice): Promise<void> {
    const executable = await device.compile(incrementPlan(10));
    const [x, y] = [device.allocate("f32", 10), device.allocate("f32", 10)];
    device.upload(x, ramp(10));
    for (let i = 0; i < 3; i++) await executable.run([x], [y]);
    assert.deepEqual(
      await downloaded(device, y),
      ramp(10).map((value) => value + 1),
    );
    executable.dispose();
    device.free(x);
    device.free(y);
  }
}
