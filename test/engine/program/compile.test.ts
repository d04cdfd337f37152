import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import {
  add,
  cast,
  compile,
  compileStep,
  createDevice,
  createState,
  disposeDevices,
  type Device,
  type DeviceName,
  EvenkeelError,
  evaluate,
  exp,
  full,
  gather,
  getDevice,
  matmul,
  multiply,
  reduceSum,
  reshape,
  scalar,
  State,
  subtract,
  Tensor,
  tensor,
  transpose,
  zeros,
} from "../../../engine/index.ts";
import { probeWebgpu } from "../../../engine/devices/gpujs/adapterSelection.ts";

const rejectsWith = (code: string, message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof EvenkeelError, String(error));
  assert.equal(error.code, code);
  assert.match(error.message, message);
  return true;
};

const devices = new Map<DeviceName, Promise<Device>>();
const deviceOf = (name: DeviceName): Promise<Device> => {
  const device = devices.get(name) ?? createDevice(name);
  devices.set(name, device);
  return device;
};
after(async () => {
  for (const device of devices.values()) (await device).dispose();
});

for (const name of ["oracle", "wasm", "cpu"] as const) {
  describe(`compile on ${name}`, () => {
    it("gives what the function gives outside of it, trees in and trees out", async () => {
      const device = await deviceOf(name);
      const fn = (p: { w: Tensor; list: readonly Tensor[] }, scale: number) => ({
        product: multiply(matmul(p.w, transpose(p.w)), scale),
        parts: p.list.map((x) => exp(x)),
        label: "kept",
      });
      const w = tensor([
        [1, 2, 3],
        [4, 5, 6],
      ]);
      const compiled = compile(fn, { device });
      const result = await compiled({ w, list: [scalar(0), tensor([1, 2])] }, 2);
      assert.deepEqual(await result.product.array(), [
        [28, 64],
        [64, 154],
      ]);
      assert.equal(result.label, "kept");
      assert.equal(await (result.parts[0] as Tensor).item(), 1);
      const eager = fn({ w, list: [] }, 2);
      assert.deepEqual(await evaluate(eager.product, device), await result.product.data());
      compiled.dispose();
    });

    it("traces once for each signature and keeps a bounded number of programs", async (t) => {
      const warn = t.mock.method(console, "warn", () => undefined);
      const device = await deviceOf(name);
      let traces = 0;
      const compiled = compile(
        (x: Tensor, k: number) => {
          traces++;
          return multiply(x, k);
        },
        { device, cacheSize: 2 },
      );
      for (const value of [1, 2, 3]) assert.equal(await (await compiled(scalar(value), 2)).item(), value * 2);
      assert.equal(traces, 1);
      await compiled(scalar(1), 3);
      await compiled(tensor([1, 2]), 3);
      assert.equal(traces, 3);
      assert.equal(compiled.programs, 2);
      assert.equal(warn.mock.callCount(), 1);
      await compiled(scalar(1), 2);
      assert.equal(traces, 4);
      compiled.dispose();
      assert.equal(compiled.programs, 0);
    });

    it("gives back its memory", async () => {
      const device = await deviceOf(name);
      const before = device.memory();
      const compiled = compile((x: Tensor) => reduceSum(exp(x)), { device });
      await compiled(zeros([100]));
      const state = await createState({ a: zeros([50]), b: add(zeros([7]), 1) }, device);
      assert.ok(device.memory().buffers > before.buffers || name === "oracle");
      compiled.dispose();
      state.dispose();
      (await createState(zeros([1]), device)).dispose();
      assert.deepEqual(device.memory(), before);
    });

    it("closes over tensors as constants, also lazy ones", async () => {
      const device = await deviceOf(name);
      const constant = tensor([1, 2, 3]);
      const lazy = multiply(constant, 10);
      const compiled = compile((x: Tensor) => add(add(x, constant), lazy), { device });
      assert.deepEqual(await (await compiled(tensor([0, 0, 1]))).array(), [11, 22, 34]);
      compiled.dispose();
    });

    it("gives an argument, a constant and one value twice as results", async () => {
      const device = await deviceOf(name);
      const compiled = compile(
        (x: Tensor) => {
          const y = exp(x);
          return [x, y, y, reshape(y, [2, 1]), full([2], 7), reshape(x, [1, 2])];
        },
        { device },
      );
      const results = await compiled(tensor([0, 0]));
      const arrays = await Promise.all(results.map((r) => r.array()));
      assert.deepEqual(arrays, [[0, 0], [1, 1], [1, 1], [[1], [1]], [7, 7], [[0, 0]]]);
      compiled.dispose();
    });

    it("reports NaN on its way into an integer and an index out of range", async () => {
      const device = await deviceOf(name);
      const toInteger = compile((x: Tensor) => cast(x, "i32"), { device });
      assert.deepEqual(await (await toInteger(tensor([1.9, -1.9, 3e9]))).array(), [1, -1, 2147483647]);
      await assert.rejects(
        toInteger(tensor([0, NaN, 0])),
        rejectsWith("value", /cast: NaN or infinity in \[3\] has no i32 value/),
      );
      const take = compile((x: Tensor, i: Tensor) => gather(x, i), { device });
      assert.deepEqual(await (await take(tensor([5, 6, 7]), tensor([2, 0], { dtype: "i32" }))).array(), [7, 5]);
      for (const wrong of [3, -1]) {
        await assert.rejects(
          take(tensor([5, 6, 7]), tensor([0, wrong], { dtype: "i32" })),
          rejectsWith("value", /gather: an index is out of range for axis 0 of \[3\] \(0 to 2\)/),
        );
      }
      toInteger.dispose();
      take.dispose();
    });

    it("steps a state on the device", async () => {
      const device = await deviceOf(name);
      type S = { w: Tensor; m: { v: Tensor }; fixed: Tensor; count: Tensor };
      const initial: S = { w: tensor([1, 2]), m: { v: zeros([2]) }, fixed: tensor([9]), count: scalar(0, "i32") };
      const state = await createState(initial, device);
      const step = compileStep(
        (s: S, g: Tensor) => {
          const v = add(multiply(s.m.v, 0.5), g);
          return {
            state: { w: subtract(s.w, v), m: { v }, fixed: s.fixed, count: add(s.count, 1) },
            result: { before: reduceSum(s.w), after: reduceSum(subtract(s.w, v)) },
          };
        },
        { device },
      );
      const g = tensor([1, -1]);
      const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
      let pairs = [
        { w: 1, v: 0, g: 1 },
        { w: 2, v: 0, g: -1 },
      ];
      let w = pairs.map((pair) => pair.w);
      for (let i = 0; i < 5; i++) {
        const before = sum(w);
        pairs = pairs.map((pair) => ({ ...pair, v: pair.v * 0.5 + pair.g, w: pair.w - (pair.v * 0.5 + pair.g) }));
        w = pairs.map((pair) => pair.w);
        if (i === 2) await step.advance(state, g);
        else {
          const result = await step(state, g);
          assert.equal(await result.before.item(), before);
          assert.equal(await result.after.item(), sum(w));
        }
      }
      const values = await state.read();
      assert.deepEqual(await values.w.array(), w);
      assert.deepEqual(
        await values.m.v.array(),
        pairs.map((pair) => pair.v),
      );
      assert.deepEqual(await values.fixed.array(), [9]);
      assert.equal(await values.count.item(), 5);
      // A state is an argument like its tree.
      const total = compile((s: S) => add(reduceSum(s.w), s.fixed), { device });
      assert.deepEqual(await (await total(state)).array(), [sum(w) + 9]);
      await state.write(initial);
      assert.deepEqual(await (await state.read()).w.array(), [1, 2]);
      await assert.rejects(
        state.write({ ...initial, fixed: zeros([2]) }),
        rejectsWith("shape", /fixed is .*\[2\]\), expected .*\[1\]/),
      );
      state.dispose();
      await assert.rejects(total(state), rejectsWith("disposed", /State has been disposed/));
      total.dispose();
      step.dispose();
    });

    it("exchanges leaves of a state without mixing them up", async () => {
      const device = await deviceOf(name);
      const state = await createState({ a: tensor([1, 2, 3]), b: tensor([4, 5, 6]) }, device);
      const swap = compileStep((s: { a: Tensor; b: Tensor }) => ({ state: { a: s.b, b: s.a }, result: null }), {
        device,
      });
      const mix = compileStep(
        (s: { a: Tensor; b: Tensor }) => ({ state: { a: add(s.a, s.b), b: subtract(s.a, s.b) }, result: null }),
        { device },
      );
      await swap(state);
      await mix(state);
      await swap(state);
      const { a, b } = await state.read();
      assert.deepEqual(
        [await a.array(), await b.array()],
        [
          [3, 3, 3],
          [5, 7, 9],
        ],
      );
      state.dispose();
      swap.dispose();
      mix.dispose();
    });
  });
}

describe("mistakes", () => {
  it("reading a value inside a compiled function", async () => {
    let inner: Promise<number> | undefined;
    const compiled = compile(
      (x: Tensor) => {
        inner = exp(x).item();
        inner.catch(() => undefined);
        return x;
      },
      { device: await deviceOf("oracle") },
    );
    await compiled(scalar(1));
    await assert.rejects(
      inner as Promise<number>,
      rejectsWith("trace", /inside a compiled function values don't exist yet/),
    );
  });

  it("a value that leaked out of another trace, an asynchronous function", async () => {
    const device = await deviceOf("oracle");
    let leaked: Tensor | undefined;
    await compile((x: Tensor) => (leaked = x), { device })(scalar(1));
    await assert.rejects(
      compile((x: Tensor) => add(x, leaked as Tensor), { device })(scalar(1)),
      rejectsWith("trace", /depends on argument0/),
    );
    const asynchronous = compile(async (x: Tensor) => x, { device }) as unknown as (x: Tensor) => Promise<unknown>;
    await assert.rejects(asynchronous(scalar(1)), rejectsWith("trace", /asynchronous/));
  });

  it("a state of another device, a state given twice, a new state of another shape", async () => {
    const [oracle, cpu] = [await deviceOf("oracle"), await deviceOf("cpu")];
    const state = await createState({ x: zeros([2]) }, cpu);
    type S = { x: Tensor };
    const read = compile((s: S) => s.x, { device: oracle });
    await assert.rejects(read(state), rejectsWith("device", /argument 0 is a state of another device \(cpu/));
    const twice = compileStep((s: S, other: S) => ({ state: { x: add(s.x, other.x) }, result: null }), { device: cpu });
    await assert.rejects(twice(state, state), rejectsWith("value", /also given as a further argument/));
    const grows = compileStep((s: S) => ({ state: { x: reshape(s.x, [2, 1]) }, result: null }), { device: cpu });
    await assert.rejects(grows(state), rejectsWith("shape", /the new state differs from the old one: x is/));
    assert.ok(state instanceof State);
    state.dispose();
  });

  it("an unknown device, by option and by environment", async () => {
    await assert.rejects(
      getDevice("gpu" as never),
      rejectsWith("value", /unknown device "gpu".*auto, oracle, wasm, webgpu, webgl2, cpu/),
    );
    const noDevice = rejectsWith("device", /expected a device \(.*\) or its name, got a value of type object/);
    await assert.rejects(createState({ x: tensor([1]) }, { device: "wasm" } as never), noDevice);
    await assert.rejects(compile(() => tensor([1]), { device: {} as never })(), noDevice);
    await assert.rejects(createDevice("gpu" as never), rejectsWith("value", /unknown device "gpu" \(createDevice\)/));
    process.env["EVENKEEL_DEVICE"] = "abacus";
    await assert.rejects(getDevice(), rejectsWith("value", /"abacus" \(EVENKEEL_DEVICE\)/));
    delete process.env["EVENKEEL_DEVICE"];
  });

  it("automatic choice: a real WebGPU adapter, else wasm; made once", async () => {
    const probe = await probeWebgpu();
    const expected = probe.available && !probe.software ? "webgpu" : "wasm";
    const device = await getDevice("auto");
    assert.equal(device.name, expected);
    assert.equal(await getDevice("auto"), device);
    assert.equal(await getDevice(expected), device);
    await disposeDevices();
    assert.throws(() => device.allocate("f32", 1), rejectsWith("disposed", /./));
    assert.notEqual(await getDevice("auto"), device);
    await disposeDevices();
  });

  it("a device that was disposed of, memory that isn't there", async () => {
    const device = await createDevice("wasm", { wasm: { threads: 1, maximumBytes: 2 ** 24 } });
    assert.throws(() => device.allocate("f32", 2 ** 26), rejectsWith("memory", /67108864 f32 elements/));
    const large = compile((x: Tensor) => matmul(x, transpose(x)), { device });
    await assert.rejects(large(zeros([4000, 1])), rejectsWith("memory", /./));
    device.dispose();
    await assert.rejects(large(zeros([2, 1])), rejectsWith("disposed", /./));
    await assert.rejects(createState(zeros([2]), device), rejectsWith("disposed", /./));
  });

  it("a bad cache size, a function or an instance in a tree", async () => {
    assert.throws(() => compile((x: Tensor) => x, { cacheSize: 0 }), rejectsWith("range", /cacheSize 0/));
    const device = await deviceOf("oracle");
    const any = compile((x: unknown) => x, { device });
    await assert.rejects(any({ a: [new Map()] }), rejectsWith("value", /a\[0\] is an instance of Map/));
    await assert.rejects(any({ f: () => 1 }), rejectsWith("value", /f is a function/));
  });
});
