/** Tiles found by timing: kept as JSON, used again on the same adapter alone, and never seen in a result. */
import assert from "node:assert/strict";
import { describe, it, mock } from "node:test";
import fc from "fast-check";
import { acquireContext } from "../../../../engine/devices/gpujs/adapter.ts";
import { tuneProducts } from "../../../../engine/devices/gpujs/tuneProducts.ts";
import { tunedTilesOf, tuningTableOf } from "../../../../engine/devices/gpujs/tuningTable.ts";
import { createWebgpuDevice } from "../../../../engine/devices/gpujs/webgpuDevice.ts";
import type { TuningTable } from "../../../../engine/devices/gpujs/webgpuOptions.ts";
import {
  allTiles,
  keyOfProduct,
  nameOfTile,
  productOf,
  registerTile,
  sharedTiles,
  schedulesVersion,
  type Tile,
  tilesByName,
} from "../../../../engine/devices/gpujs/wgsl/product/index.ts";
import type { DeviceBuffer } from "../../../../engine/devices/device.ts";
import type { TensorData } from "../../../../engine/graph/dtype.ts";
import { at } from "../../../../engine/graph/shape.ts";
import { conv2d, EvenkeelError, grad, matmul, maximum, reduceSum, type Tensor } from "../../../../engine/index.ts";
import { normalizeKernel } from "../../../../engine/kernel/normalize.ts";
import type { Plan } from "../../../../engine/kernel/plan.ts";
import { webgpuLimits, promisedLimits } from "../../../../engine/devices/gpujs/webgpuLimits.ts";
import { webgpuSkip } from "../../../support/webgpuSkip.ts";
import { input, planOf } from "../../passes/plannedFor.ts";

const seed = Number(process.env["EVENKEEL_SEED"] ?? 20261131);

/** A layer with borders, a product behind it, and the gradient of its filters. */
function program(): { readonly plan: Plan; readonly data: readonly TensorData[] } {
  const inputs = [input(2, 8, 8, 8), input(16, 8, 3, 3), input(64, 48)] as const;
  const [x, filter, matrix] = inputs;
  const hidden = (filters: Tensor): Tensor => maximum(conv2d(x, filters, { padding: 1 }), 0.1);
  const out = matmul(hidden(filter).reshape([32, 64]), matrix);
  const [gradient] = grad(([filters]: readonly [Tensor]): Tensor => reduceSum(hidden(filters)))([filter]);
  const limits = { ...webgpuLimits(promisedLimits, "own"), batches: false };
  const data = inputs.map(({ size }, number) =>
    Float32Array.from({ length: size }, (_, i) => Math.sin(1.3 * i + number)),
  );
  return { plan: planOf([out, gradient], [], limits), data };
}

const { plan, data } = program();

const keys = plan.steps.flatMap(({ kernel }) => {
  const product = productOf(normalizeKernel(kernel));
  return product === null ? [] : [keyOfProduct(product)];
});

/** A table of this adapter. */
async function tableOf(tiles: TuningTable["tiles"]): Promise<TuningTable> {
  const { context, release } = await acquireContext();
  const adapter = context.description;
  release();
  return { adapter, schedules: schedulesVersion, tiles };
}

type Run = {
  readonly results: readonly TensorData[];
  readonly schedules: readonly string[];
  readonly table: TuningTable;
};

async function run(...options: Parameters<typeof createWebgpuDevice>): Promise<Run> {
  const device = await createWebgpuDevice(...options);
  try {
    const executable = await device.compile(plan);
    const given = data.map(({ length }) => device.allocate("f32", length));
    given.forEach((buffer, i) => device.upload(buffer, at(data, i)));
    const got: DeviceBuffer[] = [];
    for (const { role, dtype, length } of plan.buffers) {
      if (role.kind === "output") got[role.index] = device.allocate(dtype, length);
    }
    await executable.run(given, got);
    const schedules = executable.sources().map(({ text }) => text.split("\n", 1)[0] ?? "");
    return { results: await device.download(got), schedules, table: device.tuning() };
  } finally {
    device.dispose();
  }
}

describe("tuned tiles", { skip: webgpuSkip }, () => {
  if (webgpuSkip !== false) return;

  it("are found once for each product that is worth tiles, and used by the next device as by this", async () => {
    const plain = await run({});
    assert.deepEqual(plain.table.tiles, {});
    assert.ok(keys.length >= 3);
    // All but one are known, and few are tried, for the tiles take long where the CPU acts for a GPU.
    const tried = { product: "registers", teams: "loops", tried: [registerTile, at(sharedTiles, 0)] } as const;
    const [first, ...known] = [...new Set(keys)].sort((a, b) => b.length - a.length).reverse();
    const table = await tableOf(Object.fromEntries(known.map((key) => [key, nameOfTile(registerTile)])));
    const tuned = await run({ autotune: true, tuning: table }, tried);
    assert.deepEqual(Object.keys(tuned.table.tiles).sort(), [...new Set(keys)].sort());
    assert.ok(tilesByName.has(tuned.table.tiles[first ?? ""] ?? ""));
    for (const key of known) assert.equal(tuned.table.tiles[key], nameOfTile(registerTile));
    const again = await run({ tuning: JSON.parse(JSON.stringify(tuned.table)) as TuningTable });
    assert.deepEqual(again.table, tuned.table);
    assert.deepEqual(again.schedules, tuned.schedules);
    assert.deepEqual(tuned.results, plain.results);
    assert.deepEqual(again.results, plain.results);
  });

  it("change no bit, whichever a table names", async () => {
    const { results, schedules } = await run({});
    const seen = new Set<string>(schedules);
    const before = seen.size;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom(registerTile, ...allTiles.slice(0, 3)), { minLength: 8, maxLength: 8 }),
        async (tiles) => {
          const table = await tableOf(Object.fromEntries(keys.map((key, i) => [key, nameOfTile(at(tiles, i))])));
          const other = await run({ tuning: table });
          for (const schedule of other.schedules) seen.add(schedule);
          assert.deepEqual(other.results, results);
        },
      ),
      { numRuns: 3, seed },
    );
    assert.ok(seen.size > before, "no table was used");
  });

  it("are not looked for again where they are known", async () => {
    const { context, release } = await acquireContext();
    const known = new Map<string, Tile>(keys.map((key) => [key, at(allTiles, 0)]));
    const before = context.pipelines;
    await tuneProducts(context, plan, {}, known);
    assert.equal(context.pipelines, before);
    release();
  });

  it("of another adapter or version are ignored, and a line says so", async () => {
    const warn = mock.method(console, "warn", () => undefined);
    try {
      const table = await tableOf(Object.fromEntries(keys.map((key) => [key, nameOfTile(at(allTiles, 1))])));
      const plain = await run({});
      for (const [other, line] of [
        [{ ...table, adapter: "another GPU" }, /ignored: it is of "another GPU", this is "/],
        [{ ...table, schedules: schedulesVersion + 1 }, /ignored: it is of version \d+ of the schedules, this is \d+/],
      ] as const) {
        const { schedules, table: kept } = await run({ tuning: other });
        assert.deepEqual(schedules, plain.schedules);
        assert.deepEqual(kept.tiles, {});
        assert.match(String(warn.mock.calls.at(-1)?.arguments[0]), line);
      }
      assert.equal(warn.mock.callCount(), 2);
    } finally {
      warn.mock.restore();
    }
  });

  it("of generated kernels there are none, and who asks for them is told so", async () => {
    const device = await createWebgpuDevice({ kernels: "generated" });
    try {
      assert.throws(() => device.tuning(), isRefused(/generated.*nothing to tune.*kernels "own"/));
    } finally {
      device.dispose();
    }
  });

  it("in a table that is none are refused when the device is made", async () => {
    await assert.rejects(createWebgpuDevice({ tuning: [] as unknown as TuningTable }), isRefused(/tuning is \[\]/));
  });
});

const isRefused =
  (message: RegExp) =>
  (error: unknown): boolean =>
    error instanceof EvenkeelError && error.code === "value" && message.test(error.message);

describe("tables of tuned tiles", () => {
  it("say all that was found", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.string(), fc.constantFrom(...allTiles))), (entries) => {
        const tuned = new Map(entries);
        const table: unknown = JSON.parse(JSON.stringify(tuningTableOf("GPU", tuned)));
        const { tiles, ignored } = tunedTilesOf(table, "GPU");
        assert.equal(ignored, null);
        assert.deepEqual(new Map([...tiles].sort()), new Map([...tuned].sort()));
      }),
      { seed },
    );
  });

  it("are refused with where, what and what was expected", () => {
    const good = { adapter: "GPU", schedules: schedulesVersion, tiles: {} };
    const refused: readonly (readonly [table: unknown, message: RegExp])[] = [
      [null, /tuning is null\. Expected an object with adapter, schedules and tiles\./],
      ["{}", /tuning is "{}"\. Expected an object/],
      [{ ...good, adapter: 3 }, /tuning\.adapter is 3\. Expected the name of an adapter\./],
      [{ ...good, schedules: "1" }, /tuning\.schedules is "1"\. Expected a whole number\./],
      [{ adapter: "GPU", schedules: 1 }, /tuning\.tiles is undefined\. Expected an object/],
      [{ ...good, tiles: { a: 3 } }, /tuning\.tiles\["a"\] is 3\. Expected the name of a tile\./],
      [{ ...good, tiles: { a: "huge" } }, /tuning\.tiles\["a"\] is "huge"\. Expected one of "32x32 by 4x4, step 16", /],
    ];
    for (const [table, message] of refused) assert.throws(() => tunedTilesOf(table, "GPU"), isRefused(message));
  });
});
