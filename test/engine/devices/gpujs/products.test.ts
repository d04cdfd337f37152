/** Products in tiles: every tile gives what the definition says, and the same bits as any other. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import type { DeviceBuffer, KernelDevice } from "../../../../engine/devices/device.ts";
import { createWebgpuDevice } from "../../../../engine/devices/gpujs/webgpuDevice.ts";
import { emitKernel, noAliases } from "../../../../engine/devices/gpujs/wgsl/index.ts";
import {
  allTiles,
  productOf,
  registerTile,
  sharedTiles,
  type Tile,
  tiledProduct,
  tileOf,
} from "../../../../engine/devices/gpujs/wgsl/product/index.ts";
import type { TensorData } from "../../../../engine/graph/dtype.ts";
import {
  compile,
  concat,
  conv2d,
  createDevice,
  explain,
  grad,
  maximum,
  messageOf,
  multiply,
  square,
  reduceSum,
  type Tensor,
  tensor,
} from "../../../../engine/index.ts";
import { at } from "../../../../engine/graph/shape.ts";
import type { Kernel, Scalar } from "../../../../engine/kernel/kernel.ts";
import type { Plan } from "../../../../engine/kernel/plan.ts";
import { normalizeKernel } from "../../../../engine/kernel/normalize.ts";
import { checkTiling } from "../../../../engine/kernel/tiling.ts";
import { buildCase, contractionCases } from "../../../../testing/arbitraries/kernels.ts";
import { accuracies } from "../../../../testing/bounds/accuracies.ts";
import { checkContractions } from "../../../../testing/laws/kernelLaws.ts";
import { downloaded } from "../../../../testing/devices/downloaded.ts";
import { input, planOf } from "../../passes/plannedFor.ts";
import { interpretPlan } from "../../../../testing/bounds/interpretKernel.ts";
import { webgpuSkip } from "../../../support/webgpuSkip.ts";

/** Some of those that leave some of a workgroup's memory for tables. */
const tilesWithTables = sharedTiles.filter(
  ({ rows, columns, threadColumns }) => rows === columns && threadColumns !== 4,
);

const seed = Number(process.env["EVENKEEL_SEED"] ?? 20261129);

const nameOf = ({ rows, columns, threadRows, threadColumns, shared }: Tile): string =>
  `${rows}x${columns} in ${threadRows}x${threadColumns}${shared ? "" : " without workgroup memory"}`;

describe("products in tiles", { skip: webgpuSkip }, () => {
  if (webgpuSkip !== false) return;
  const devices = new Map<Tile, KernelDevice>();
  before(async () => {
    for (const tile of allTiles) devices.set(tile, await createWebgpuDevice({}, { product: tile }));
  });
  after(() => devices.forEach((device) => device.dispose()));

  const deviceOf = (tile: Tile): KernelDevice => {
    const device = devices.get(tile);
    assert.ok(device !== undefined);
    return device;
  };

  it("every tile gives what the definition says, and most elements have a bound", async () => {
    const all = { compared: 0, uncertain: 0 };
    for (const [i, tile] of allTiles.entries()) {
      const options = { runs: 2, seed: seed + i, accuracy: accuracies.webgpu };
      const { compared, uncertain } = await checkContractions(deviceOf(tile), options).catch((cause: unknown) => {
        throw new Error(`${nameOf(tile)}: ${messageOf(cause)}`, { cause });
      });
      assert.ok(compared > 0, nameOf(tile));
      all.compared += compared;
      all.uncertain += uncertain;
    }
    assert.ok(all.compared > 3 * all.uncertain, `${all.uncertain} of ${all.compared + all.uncertain} were uncertain`);
  });

  it("all tiles give the same bits", async () => {
    await fc.assert(
      fc.asyncProperty(contractionCases, async (kernelCase) => {
        const { kernel, data } = buildCase(kernelCase);
        const results: TensorData[] = [];
        for (const tile of allTiles) results.push(...(await run(deviceOf(tile), kernel, data)));
        for (const result of results) assert.deepEqual(result, results[0]);
      }),
      { numRuns: 1, seed },
    );
  });

  it("sums of more products than a chain takes have the same bits, too, and are as near as promised", async () => {
    // Parts of 288: whole taps of a filter and whole steps of every tile.
    const [channels, depth] = [64, 576];
    const [left, right] = [
      [depth, 0, 9, 3, 1],
      [0, depth, 9, 3, 1],
    ];
    const kernel = product([8, 12], [channels, 3, 3], left, right, [8 * depth, 12 * depth]);
    const data = kernel.operands.map(({ length }) => Float32Array.from({ length }, () => 0.1));
    const steps = [16, 8].map((step) => sharedTiles.find((tile) => tile.depth === step));
    const results: TensorData[] = [];
    for (const tile of [...steps, registerTile]) {
      assert.ok(tile !== undefined);
      results.push(...(await run(deviceOf(tile), kernel, data)));
    }
    for (const result of results) assert.deepEqual(result, results[0]);
    const exact = depth * Math.fround(0.1) ** 2;
    for (const value of results[0] ?? []) assert.ok(Math.abs(value - exact) <= exact * 2 ** -24 * (288 + 2));
  });

  it("several results take the sum each in its own way, of the operands, too", async () => {
    const [rows, columns, depth] = [20, 36, 16];
    const plain = product([rows, columns], [depth], [depth, 0, 1], [0, 1, columns], [rows * depth, depth * columns]);
    const to = { offset: 0, coefficients: [columns, 1, 0] };
    const sum: Scalar = { kind: "accumulator", dtype: "f32" };
    const column: Scalar = { kind: "load", dtype: "f32", operand: 1, at: { offset: 0, coefficients: [0, 1, 0] } };
    const isLarge: Scalar = { kind: "compare", dtype: "bool", op: "lessEqual", x: column, y: sum };
    const whole: Scalar = { kind: "cast", dtype: "i32", x: sum };
    const length = rows * columns;
    const kernel: Kernel = {
      ...plain,
      stores: [
        { value: sum, dtype: "f32", length, at: to },
        { value: isLarge, dtype: "bool", length, at: to },
        { value: whole, dtype: "i32", length, at: to },
      ],
    };
    const data = kernel.operands.map(({ length: size }, operand) =>
      Float32Array.from({ length: size }, (_, i) => ((i * 7 + operand * 3) % 11) - 5),
    );
    const [a, b] = [at(data, 0), at(data, 1)];
    const wanted = Array.from({ length }, (_, i) => {
      const [row, place] = [Math.floor(i / columns), i % columns];
      let total = 0;
      for (let k = 0; k < depth; k++) total += at([...a], row * depth + k) * at([...b], k * columns + place);
      return total;
    });
    for (const tile of [at(allTiles, 0), at(allTiles, 5), at(allTiles, allTiles.length - 1)]) {
      const [sums, larger, integers] = await run(deviceOf(tile), kernel, data);
      assert.deepEqual([...(sums ?? [])], wanted);
      assert.deepEqual([...(integers ?? [])], wanted);
      assert.deepEqual(
        [...(larger ?? [])],
        wanted.map((value, i) => Number(at([...b], i % columns) <= value)),
      );
    }
  });
});

describe("convolutions and their gradients in tiles", { skip: webgpuSkip }, () => {
  if (webgpuSkip !== false) return;

  for (const product of ["best", "registers"] as const) {
    it(`are those of the oracle: forward, of images, and of filters in slices (${product})`, async () => {
      const [webgpu, oracle] = [await createWebgpuDevice({}, { product }), await createDevice("oracle")];
      const loss = ([x, filter]: readonly [Tensor, Tensor]): Tensor =>
        reduceSum(square(conv2d(concat([multiply(x, 2), x], 1), filter, { padding: 1 })));
      const whole = (...shape: readonly number[]): Tensor => {
        const length = shape.reduce((product, size) => product * size, 1);
        const data = Float32Array.from({ length }, (_, i) => ((i * 5 + ((i * i) % 7)) % 3) - 1);
        return tensor(data, { shape });
      };
      const arrays = [whole(4, 4, 16, 16), whole(8, 8, 3, 3)] as const;
      const results: TensorData[][] = [];
      for (const device of [webgpu, oracle]) {
        const gradients = compile((x: Tensor, filter: Tensor) => grad(loss)([x, filter] as const), { device });
        const [ofImages, ofFilters] = await gradients(...arrays);
        results.push([await ofImages.data(), await ofFilters.data()]);
        if (device !== webgpu) continue;
        const { kernels } = await explain(gradients, arrays);
        const schedule = product === "best" ? /tiled product/ : /product in registers/;
        const tiled = kernels.filter(({ sources }) => schedule.test(sources[0]?.text ?? ""));
        assert.deepEqual(
          tiled.map(({ name }) => /_slices$/.test(name)),
          [false, false, true],
        );
      }
      assert.deepEqual(results[0], results[1]);
      webgpu.dispose();
      oracle.dispose();
    });
  }
});

describe("products of values with borders", { skip: webgpuSkip }, () => {
  if (webgpuSkip !== false) return;

  const scheduleOf = ({ shared }: Tile): string => `// schedule: ${shared ? "tiled product" : "product in registers"}`;

  /** What a plan gives by a tile; it has at least so many products of factors with borders. */
  async function outputsOf(
    tile: Tile,
    planFor: (device: KernelDevice) => Plan,
    data: readonly TensorData[],
    bordered: number,
  ): Promise<TensorData[]> {
    const device = await createWebgpuDevice({}, { product: tile });
    const plan = planFor(device);
    const executable = await device.compile(plan);
    const texts = executable.sources().map(({ text }) => text);
    const made = texts.filter((text) => text.startsWith(scheduleOf(tile)) && text.includes("select(0u"));
    assert.ok(made.length >= bordered, `${made.length} products with borders`);
    if (!tile.shared) assert.ok(made.every((text) => !/workgroupBarrier|var<workgroup>/.test(text)));
    const given = data.map(({ length }) => device.allocate("f32", length));
    given.forEach((buffer, i) => device.upload(buffer, at(data, i)));
    const got: DeviceBuffer[] = [];
    for (const { role, dtype, length } of plan.buffers) {
      if (role.kind === "output") got[role.index] = device.allocate(dtype, length);
    }
    await executable.run(given, got);
    const results = await device.download(got);
    device.dispose();
    return results;
  }

  it("make these where a tile is filled: tiles of each step give what the plan says", async () => {
    const inputs = [input(2, 5, 11, 11), input(2, 4, 11, 11), input(10, 9, 3, 3)] as const;
    const gradients = grad(([x, y, filter]: typeof inputs): Tensor => {
      const out = conv2d(concat([x, y], 1), filter, { padding: 1, stride: 2 });
      return reduceSum(square(out));
    })(inputs);
    const planFor = ({ limits }: KernelDevice): Plan =>
      planOf(gradients, [], { ...limits, results: 1, batches: false });
    const data = inputs.map(({ size }, number) =>
      Float32Array.from({ length: size }, (_, i) => ((i * 7 + number * 5 + ((i * i) % 11)) % 5) - 2),
    );
    for (const tile of [...tilesWithTables, registerTile]) {
      let wanted: ReturnType<typeof interpretPlan> = [];
      let plan: Plan | undefined;
      const results = await outputsOf(
        tile,
        (device) => {
          plan = planFor(device);
          wanted = interpretPlan(plan, data, accuracies.oracle);
          return plan;
        },
        data,
        1,
      );
      plan?.buffers.forEach(({ role }, buffer) => {
        if (role.kind === "output") assert.deepEqual([...at(results, role.index)], [...at(wanted, buffer).values]);
      });
    }
  });

  it("have the same bits by all tiles: made of sums, with several results, in parts and in slices", async () => {
    const inputs = [input(3, 35, 9, 7), input(3, 35, 1, 1), input(20, 70, 3, 3)] as const;
    const [x, scale, filter] = inputs;
    const out = (filters: Tensor): Tensor => {
      const sum = conv2d(concat([multiply(x, scale), x], 1), filters, { padding: 1 });
      return multiply(sum, 0.25);
    };
    const hidden = maximum(out(filter), -0.125);
    const outputs = [
      hidden,
      square(hidden),
      ...grad(([filters]: readonly [Tensor]): Tensor => reduceSum(square(out(filters))))([filter]),
    ];
    const data = inputs.map(({ size }, number) =>
      Float32Array.from({ length: size }, (_, i) => Math.sin(i * 1.7 + number)),
    );
    const planFor = ({ limits }: KernelDevice): Plan => planOf(outputs, [], { ...limits, batches: false });
    const results: TensorData[][] = [];
    for (const tile of [registerTile, ...tilesWithTables]) results.push(await outputsOf(tile, planFor, data, 2));
    for (const result of results) assert.deepEqual(result, results[0]);
  });
});

describe("how kernels that multiply are run", () => {
  const scheduleOf = (kernel: Kernel): string => emitKernel(kernel, noAliases(kernel)).schedule;
  const square = (rows: number, columns: number, depth: number): Kernel =>
    product([rows, columns], [depth], [depth, 0, 1], [0, 1, columns], [rows * depth, depth * columns]);

  it("says its tiling first, which is whole", () => {
    fc.assert(
      fc.property(contractionCases, fc.constantFrom(...allTiles), (kernelCase, tile) => {
        const { kernel } = buildCase(kernelCase);
        const described = productOf(normalizeKernel(kernel));
        if (described === null) return;
        const tiled = tiledProduct(described, tile);
        checkTiling(tiled.kernel, tiled.tiling);
        const { part, ...read } = tileOf(tiled);
        assert.deepEqual(read, tile.shared ? tile : { ...tile, depth: read.depth });
        assert.ok(part <= 512 || part === described.sizes.depth);
        const { schedule, text } = emitKernel(kernel, noAliases(kernel), { product: tile });
        assert.ok(text.startsWith(`// schedule: ${schedule}\n`));
        assert.match(schedule, tile.shared ? /^tiled product: .*grid .*copy operand 0/ : /^product in registers: /);
      }),
      { numRuns: 100, seed },
    );
  });

  it("takes larger tiles for larger products, and none for small ones", () => {
    assert.match(scheduleOf(square(2048, 2048, 64)), /^tiled product: grid row 16 by 128, column 16 by 128/);
    assert.match(scheduleOf(square(64, 2048, 576)), /^tiled product: grid row 1 by 64, column 64 by 32/);
    assert.match(scheduleOf(square(16, 65536, 64)), /^tiled product: grid row 1 by 16, column 512 by 128/);
    assert.match(scheduleOf(square(8, 8, 8)), /a thread|a team/);
    assert.match(scheduleOf(square(4, 4096, 4096)), /a thread|a team/);
  });

  it("keeps sums of whole numbers, and what is no product, from tiles", () => {
    const kernel = square(64, 64, 64);
    const { reduction } = kernel;
    assert.ok(reduction !== null);
    const whole: Kernel = {
      ...kernel,
      operands: kernel.operands.map(({ length }) => ({ dtype: "i32", length })),
      reduction: { op: "sum", body: { ...reduction.body, dtype: "i32" } as Scalar },
    };
    assert.equal(productOf(whole), null);
    assert.equal(productOf({ ...kernel, reduction: { ...reduction, op: "max" } }), null);
  });

  it("looks up one row at a time where the sum says which", () => {
    for (const size of [8, 64]) {
      const kernel = square(size, size, size);
      const [store] = kernel.stores;
      const index: Scalar = { kind: "cast", dtype: "i32", x: store.value };
      const at = { offset: 0, coefficients: [0, 0, 0] };
      const value: Scalar = { kind: "gather", dtype: "f32", operand: 1, at, index, stride: 1, size };
      const { text } = emitKernel({ ...kernel, stores: [{ ...store, value }] }, noAliases(kernel));
      assert.match(text, /clamp\(/);
    }
  });

  it("keeps to 16 KiB of memory of a workgroup and to 256 threads", () => {
    fc.assert(
      fc.property(contractionCases, fc.constantFrom(...sharedTiles), (kernelCase, tile) => {
        const { kernel } = buildCase(kernelCase);
        const { text } = emitKernel(kernel, noAliases(kernel), { product: tile });
        const arrays = [...text.matchAll(/var<workgroup> \w+: array<(\w+), (\d+)>/g)];
        const bytes = arrays.reduce((sum, [, type, count]) => sum + (type === "vec4f" ? 16 : 4) * Number(count), 0);
        assert.ok(bytes <= 16 * 1024, `${bytes} bytes`);
        assert.ok(Number(/@workgroup_size\((\d+)\)/.exec(text)?.[1]) <= 256);
      }),
      { numRuns: 100, seed },
    );
  });

  it("refuses to write over what other threads read", () => {
    const kernel = square(64, 64, 64);
    assert.throws(() => emitKernel(kernel, { ...noAliases(kernel), operands: [0, null] }), /write the buffer it reads/);
  });
});

/** A kernel that stores the sums of products of two arrays. */
function product(
  parallel: readonly number[],
  reduce: readonly number[],
  left: readonly number[],
  right: readonly number[],
  lengths: readonly [number, number],
): Kernel {
  const load = (operand: number, coefficients: readonly number[]): Scalar => ({
    kind: "load",
    dtype: "f32",
    operand,
    at: { offset: 0, coefficients },
  });
  const strides = parallel.map((_, axis) => parallel.slice(axis + 1).reduce((size, extent) => size * extent, 1));
  const length = parallel.reduce((size, extent) => size * extent, 1);
  return {
    name: "product",
    axes: [
      ...parallel.map((size) => ({ role: "parallel", size }) as const),
      ...reduce.map((size) => ({ role: "reduce", size }) as const),
    ],
    operands: lengths.map((size) => ({ dtype: "f32", length: size })),
    reduction: {
      op: "sum",
      body: { kind: "binary", dtype: "f32", op: "multiply", x: load(0, left), y: load(1, right) },
    },
    stores: [
      {
        value: { kind: "accumulator", dtype: "f32" },
        dtype: "f32",
        length,
        at: { offset: 0, coefficients: [...strides, ...reduce.map(() => 0)] },
      },
    ],
    flops: 0,
    bytes: 0,
  };
}

/** Runs one kernel; gives all its results. */
async function run(device: KernelDevice, kernel: Kernel, data: readonly TensorData[]): Promise<TensorData[]> {
  const { operands, stores } = kernel;
  const executable = await device.compile({
    buffers: [
      ...operands.map(({ dtype, length }, index) => ({ dtype, length, role: { kind: "input", index } as const })),
      ...stores.map(({ dtype, length }, index) => ({ dtype, length, role: { kind: "output", index } as const })),
    ],
    steps: [
      {
        kernel,
        operands: [...operands.keys()],
        results: [operands.length, ...stores.slice(1).map((_, index) => operands.length + 1 + index)],
      },
    ],
    slots: [],
    inputs: operands.length,
    outputs: stores.length,
    aliases: stores.map(() => null),
  });
  const [inputs, outputs] = [operands, stores].map((arrays) =>
    arrays.map(({ dtype, length }) => device.allocate(dtype, length)),
  ) as [ReturnType<KernelDevice["allocate"]>[], ReturnType<KernelDevice["allocate"]>[]];
  try {
    inputs.forEach((input, index) => device.upload(input, at(data, index)));
    await executable.run(inputs, outputs);
    return await Promise.all(outputs.map((output) => downloaded(device, output)));
  } finally {
    executable.dispose();
    for (const buffer of [...inputs, ...outputs]) device.free(buffer);
  }
}
