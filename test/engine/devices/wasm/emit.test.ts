import assert from "node:assert/strict";
import { after, test } from "node:test";
import fc from "fast-check";
import type { KernelDevice } from "../../../../engine/devices/device.ts";
import { methodOf } from "../../../../engine/devices/wasm/algorithms/index.ts";
import { createWasmDevice } from "../../../../engine/devices/wasm/device.ts";
import type { TensorData } from "../../../../engine/graph/dtype.ts";
import { scheduleKernel } from "../../../../engine/devices/wasm/loops/schedule.ts";
import type { Axis, Kernel, Scalar } from "../../../../engine/kernel/kernel.ts";
import { normalizeKernel } from "../../../../engine/kernel/normalize.ts";
import { checkTiling } from "../../../../engine/kernel/tiling.ts";
import type { Plan } from "../../../../engine/kernel/plan.ts";
import { exactCase, interpretExact } from "./exactKernels.ts";
import { runKernel } from "./runKernel.ts";
import { downloaded } from "../../../../testing/devices/downloaded.ts";

/** Every kernel is shared among the threads, however small. */
const devices = new Map<number, KernelDevice>();
for (const threads of [1, 2, 3]) devices.set(threads, await createWasmDevice({ threads, sharedCost: 0 }));
after(() => devices.forEach((device) => device.dispose()));

test("random kernels give the interpreter's bits, on one thread and on several", async () => {
  const schedules = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(fc.nat(2 ** 31), fc.constantFrom(1, 2, 3), async (seed, threads) => {
      const { kernel, data } = exactCase(seed);
      const device = devices.get(threads);
      assert.ok(device !== undefined);
      const { result, schedule } = await runKernel(device, kernel, data);
      assert.deepEqual([...result], interpretExact(kernel, data));
      const { tiled } = methodOf(normalizeKernel(kernel));
      checkTiling(tiled.kernel, tiled.tiling);
      const kind = schedule.split(" ")[0] ?? "";
      schedules.set(kind, (schedules.get(kind) ?? 0) + 1);
    }),
    { numRuns: 1000 },
  );
  for (const kind of [
    "elementwise-simd",
    "elementwise-scalar",
    "reduce-outer-simd",
    "reduce-inner-simd",
    "reduce-scalar",
  ]) {
    assert.ok((schedules.get(kind) ?? 0) >= 10, `${kind} ran ${schedules.get(kind) ?? 0} times`);
  }
  for (const device of devices.values()) assert.deepEqual(device.memory(), { bytes: 0, buffers: 0 });
});

const load = (operand: number, coefficients: readonly number[], offset = 0): Scalar => ({
  kind: "load",
  dtype: "f32",
  operand,
  at: { offset, coefficients },
});
const multiply = (x: Scalar, y: Scalar): Scalar => ({ kind: "binary", dtype: "f32", op: "multiply", x, y });
const accumulator: Scalar = { kind: "accumulator", dtype: "f32" };

/** A kernel over float32 whose result is row-major over `parallel`. */
function makeKernel(
  parallel: readonly number[],
  reduce: readonly number[],
  body: Scalar,
  operandLengths: readonly number[],
): Kernel {
  const strides = parallel.map((_, axis) => parallel.slice(axis + 1).reduce((product, size) => product * size, 1));
  const axes: readonly Axis[] = [
    ...parallel.map((size) => ({ role: "parallel" as const, size })),
    ...reduce.map((size) => ({ role: "reduce" as const, size })),
  ];
  return {
    name: "made",
    axes,
    operands: operandLengths.map((length) => ({ dtype: "f32", length })),
    reduction: reduce.length === 0 ? null : { op: "sum", body },
    stores: [
      {
        value: reduce.length === 0 ? body : accumulator,
        dtype: "f32",
        length: parallel.reduce((product, size) => product * size, 1),
        at: { offset: 0, coefficients: [...strides, ...reduce.map(() => 0)] },
      },
    ],
    flops: 0,
    bytes: 0,
  };
}

const numbers = (length: number, seed: number): Float32Array =>
  Float32Array.from({ length }, (_, index) => ((index * 7 + seed * 3) % 11) - 5);

function matmul(m: number, n: number, k: number, transposed: boolean): Kernel {
  const right = transposed ? [0, k, 1] : [0, 1, n];
  return makeKernel([m, n], [k], multiply(load(0, [k, 0, 1]), load(1, right)), [m * k, k * n]);
}

const fastPaths: readonly { readonly what: string; readonly schedule: RegExp; readonly kernel: Kernel }[] = [
  { what: "matmul", schedule: /^reduce-outer-simd tile 2x4$/, kernel: matmul(24, 33, 20, false) },
  { what: "matmul by a transposed matrix", schedule: /^reduce-inner-simd tile/, kernel: matmul(24, 33, 69, true) },
  {
    what: "3x3 convolution",
    schedule: /^reduce-outer-simd tile/,
    kernel: makeKernel(
      [2, 6, 8, 6],
      [4, 3, 3],
      multiply(load(0, [320, 0, 8, 1, 80, 8, 1]), load(1, [0, 36, 0, 0, 9, 3, 1])),
      [640, 216],
    ),
  },
  {
    what: "filter gradient of it",
    schedule: /^reduce-inner-simd tile/,
    kernel: makeKernel(
      [6, 4, 3, 3],
      [2, 8, 8],
      multiply(load(0, [0, 100, 10, 1, 400, 10, 1]), load(1, [64, 0, 0, 0, 384, 8, 1])),
      [800, 768],
    ),
  },
  { what: "sum of rows", schedule: /^reduce-inner-simd/, kernel: makeKernel([5], [203], load(0, [203, 1]), [1015]) },
  { what: "sum of columns", schedule: /^reduce-outer-simd/, kernel: makeKernel([203], [5], load(0, [1, 203]), [1015]) },
  {
    what: "transposition",
    schedule: /^elementwise-simd tile/,
    kernel: makeKernel([37, 41], [], load(0, [1, 37]), [37 * 41]),
  },
  {
    what: "product",
    schedule: /^elementwise-simd$/,
    kernel: makeKernel([7, 11], [], multiply(load(0, [11, 1]), load(1, [11, 1])), [77, 77]),
  },
];

for (const { what, schedule: wanted, kernel } of fastPaths) {
  test(`${what} runs on the schedule meant for it, with the interpreter's bits`, async () => {
    const data = kernel.operands.map(({ length }, index) => numbers(length, index));
    const device = devices.get(2);
    assert.ok(device !== undefined);
    const { result, schedule } = await runKernel(device, kernel, data);
    assert.match(schedule, wanted);
    assert.deepEqual([...result], interpretExact(kernel, data));
  });
}

test("results are the same bits for any number of threads where sums do round", async () => {
  const kernel = matmul(37, 45, 129, false);
  const dots = matmul(37, 45, 129, true);
  const data = kernel.operands.map(({ length }, index) => numbers(length, index).map((x, i) => Math.sin(x + i)));
  for (const one of [kernel, dots]) {
    const results: TensorData[] = [];
    for (const device of devices.values()) results.push((await runKernel(device, one, data)).result);
    assert.notDeepEqual([...(results[0] ?? [])], interpretExact(one, data), "the sums round, else this proves nothing");
    assert.deepEqual(results[1], results[0]);
    assert.deepEqual(results[2], results[0]);
  }
});

test("axes whose segments would make too much code branch instead", async () => {
  // Three axes of 12 alternating ranges each: 12^3 combinations.
  const size = 24;
  const nest = (axis: number): Scalar => {
    if (axis === 3) return load(0, [size * size, size, 1]);
    let body = nest(axis + 1);
    for (let start = 1; start < size - 1; start += 4) {
      const outside: Scalar = { kind: "binary", dtype: "f32", op: "add", x: body, y: load(0, [1, 1, 1], start) };
      body = { kind: "region", dtype: "f32", axis, start, stop: start + 2, inside: body, outside };
    }
    return body;
  };
  const kernel = makeKernel([size, size, size], [], nest(0), [size ** 3]);
  assert.ok(scheduleKernel(normalizeKernel(kernel)).branching.size > 0);
  const data = [numbers(size ** 3, 1)];
  const device = devices.get(2);
  assert.ok(device !== undefined);
  assert.deepEqual([...(await runKernel(device, kernel, data)).result], interpretExact(kernel, data));
});

test("a kernel writes nothing beyond its result", async () => {
  const device = devices.get(2);
  assert.ok(device !== undefined);
  for (let length = 1; length <= 40; length++) {
    // In the arena the kernel's result (length elements) lies between two guards, without a gap.
    const guard = 8;
    const copy = (count: number): Kernel => makeKernel([count], [], load(0, [1]), [count]);
    const input = (index: number, count: number): Plan["buffers"][number] => ({
      dtype: "f32",
      length: count,
      role: { kind: "input", index },
    });
    const temporary = (offset: number, count: number): Plan["buffers"][number] => ({
      dtype: "f32",
      length: count,
      role: { kind: "temporary", slot: 0, offset },
    });
    const whole = guard + length + guard;
    const plan: Plan = {
      buffers: [
        input(0, whole),
        input(1, length),
        temporary(0, whole),
        temporary(4 * guard, length),
        { dtype: "f32", length: whole, role: { kind: "output", index: 0 } },
      ],
      steps: [
        { kernel: copy(whole), operands: [0], results: [2] },
        { kernel: copy(length), operands: [1], results: [3] },
        { kernel: copy(whole), operands: [2], results: [4] },
      ],
      slots: [4 * whole + 64],
      inputs: 2,
      outputs: 1,
      aliases: [null],
    };
    const executable = await device.compile(plan);
    const background = device.allocate("f32", whole);
    const values = device.allocate("f32", length);
    const output = device.allocate("f32", whole);
    device.upload(background, new Float32Array(whole).fill(-1));
    device.upload(values, new Float32Array(length).fill(7));
    await executable.run([background, values], [output]);
    const expected = Array.from({ length: whole }, (_, index) => (index < guard || index >= guard + length ? -1 : 7));
    assert.deepEqual([...(await downloaded(device, output))], expected);
    for (const buffer of [background, values, output]) device.free(buffer);
    executable.dispose();
  }
});

test("equal kernels share one function, whatever their names and their operands' lengths", async () => {
  const device = devices.get(1);
  assert.ok(device !== undefined);
  // Sums, as neighbours that are element-wise would be joined.
  const sum = (parallel: readonly number[], strides: readonly number[], offset: number, length: number): Kernel =>
    makeKernel(parallel, [2], multiply(load(0, [...strides, 1]), load(0, [...strides, 1], offset)), [length]);
  const first = { ...sum([4, 8], [8, 1], 0, 33), name: "first" };
  const second = { ...sum([32], [1], 0, 50), name: "second" };
  const third = { ...sum([32], [1], 1, 50), name: "third" };
  const plan: Plan = {
    buffers: [
      { dtype: "f32", length: 50, role: { kind: "input", index: 0 } },
      ...[0, 1, 2].map((index) => ({ dtype: "f32" as const, length: 32, role: { kind: "output" as const, index } })),
    ],
    steps: [first, second, third].map((kernel, index) => ({ kernel, operands: [0], results: [index + 1] })),
    slots: [],
    inputs: 1,
    outputs: 3,
    aliases: [null, null, null],
  };
  const executable = await device.compile(plan);
  const [a, b, c] = executable.sources();
  assert.deepEqual([a?.kernel, b?.kernel, c?.kernel], ["first", "second", "third"]);
  assert.equal(a?.text, b?.text);
  assert.notEqual(a?.text, c?.text);
  assert.match(a?.text ?? "", /v128\.load/);
  executable.dispose();
});
