/** Steps over the same rows on WebGPU: one dispatch for all of them, with the bits of one after the other. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Device, KernelDevice } from "../../../../engine/devices/device.ts";
import { createWebgpuDevice } from "../../../../engine/devices/gpujs/webgpuDevice.ts";
import { at, sizeOf } from "../../../../engine/graph/shape.ts";
import {
  add,
  compile,
  createDevice,
  divide,
  exp,
  explain,
  matmul,
  multiply,
  permute,
  reduceMax,
  reduceSum,
  reshape,
  slice,
  sqrt,
  square,
  subtract,
  type Tensor,
  tensor,
  vjp,
} from "../../../../engine/index.ts";
import { kindOfKernel } from "../../../../engine/kernel/kernelKind.ts";
import type { Plan, PlanStep } from "../../../../engine/kernel/plan.ts";
import { accuracies } from "../../../../testing/bounds/accuracies.ts";
import { checkPrograms } from "../../../../testing/laws/programLaw.ts";
import { webgpuSkip } from "../../../support/webgpuSkip.ts";
import { apart } from "./apart.ts";

type Given = { readonly shape: readonly number[]; readonly operations: readonly (readonly [number, number])[] };

/** Images, and what is done to them one after the other, each along some axis. */
const given: fc.Arbitrary<Given> = fc.record({
  shape: fc.tuple(...[4, 40, 9, 16].map((max) => fc.oneof(fc.integer({ min: 1, max }), fc.constant(max)))),
  operations: fc.array(fc.tuple(fc.nat(6), fc.nat(3)), { minLength: 2, maxLength: 5 }),
});

/** Everything that is made on the way: so that none of it can be left out. */
function made({ operations }: Given, image: Tensor): Tensor[] {
  const results: Tensor[] = [];
  let x = image;
  const keep = (value: Tensor): Tensor => {
    results.push(value);
    return value;
  };
  for (const [operation, axis] of operations) {
    const fold = { axes: axis, keepAxes: true };
    const changes: readonly (() => Tensor)[] = [
      () => {
        const raised = keep(exp(subtract(x, keep(reduceMax(x, fold)))));
        return divide(raised, keep(reduceSum(raised, fold)));
      },
      () => divide(x, add(keep(sqrt(reduceSum(square(x), fold))), 1e-3)),
      () => subtract(x, multiply(keep(reduceSum(x, fold)), 0.1)),
      () => permute(x, axis === 0 ? [0, 2, 3, 1] : [0, 3, 1, 2]),
      // Two axes as one, and one as two.
      () => reshape(reshape(x, [at(x.shape, 0), -1, at(x.shape, 3)]), x.shape),
      () => multiply(x, reduceSum(multiply(x, 0.5), { axes: [2, 3], keepAxes: true })),
      () => {
        const size = at(x.shape, axis);
        return size > 1
          ? slice(
              x,
              x.shape.map((all, i) => (i === axis ? [Math.floor(size / 3), size] : [0, all])),
            )
          : x;
      },
    ];
    x = keep(at(changes, operation)());
  }
  return results;
}

const valuesOf = (shape: readonly number[], seed = 0, scale = 1): Tensor =>
  tensor(
    Float32Array.from({ length: sizeOf(shape) }, (_, i) => scale * Math.sin(3.7 * i + seed)),
    { shape },
  );

const imageOf = ({ shape }: Given): Tensor => valuesOf(shape);

async function bitsOf(device: KernelDevice, spec: Given): Promise<readonly (readonly number[])[]> {
  const program = compile((image: Tensor) => made(spec, image), { device });
  try {
    return await Promise.all(
      (await program(imageOf(spec))).map(async (each) => {
        const { buffer, byteOffset, length } = await each.data();
        return [...new Uint32Array(buffer, byteOffset, length)];
      }),
    );
  } finally {
    program.dispose();
  }
}

/** The same device, which tells of what it is given to compile. */
function watched(device: KernelDevice, onPlan: (plan: Plan) => void): KernelDevice {
  return new Proxy(device, {
    get: (target, key) => {
      if (key === "compile") {
        return (plan: Plan) => {
          onPlan(plan);
          return target.compile(plan);
        };
      }
      const value: unknown = Reflect.get(target, key);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}

const hasProducts = ({ stages }: PlanStep): boolean =>
  stages?.some(({ kernel }) => kindOfKernel(kernel) === "product") === true;

describe("chains on WebGPU", { skip: webgpuSkip }, () => {
  it("give the bits of their stages one by one, and leave no memory behind", async () => {
    const device = await createWebgpuDevice({ debug: true, chains: true });
    let chains = 0;
    const counting = watched(device, ({ steps }) => {
      chains += steps.filter(({ stages }) => stages !== undefined).length;
    });
    try {
      await fc.assert(
        fc.asyncProperty(given, async (spec) => {
          assert.deepEqual(await bitsOf(counting, spec), await bitsOf(apart(device), spec));
          assert.deepEqual(device.memory(), { bytes: 0, buffers: 0 });
        }),
        { numRuns: 30, seed: Number(process.env["EVENKEEL_SEED"] ?? 20240612) },
      );
      assert.ok(chains >= 30, `${chains} chains`);
    } finally {
      device.dispose();
    }
  });

  it("go through attention and its gradient with the bits of their stages, in four steps", async () => {
    const device = await createWebgpuDevice({ debug: true, chains: true });
    const truth = await createDevice("wasm");
    const sizes = fc.record({
      batch: fc.integer({ min: 2, max: 3 }),
      heads: fc.integer({ min: 1, max: 2 }),
      tokens: fc.constantFrom(16, 32),
      width: fc.constantFrom(8, 12),
      isChannelFirst: fc.boolean(),
    });
    try {
      await fc.assert(
        fc.asyncProperty(sizes, async ({ batch, heads, tokens, width, isChannelFirst }) => {
          const shape = isChannelFirst ? [batch, heads, width, tokens] : [batch, heads, tokens, width];
          const transposed = (x: Tensor): Tensor => permute(x, [0, 1, 3, 2]);
          const asRows = (x: Tensor): Tensor => (isChannelFirst ? transposed(x) : x);
          const attended = (q: Tensor, k: Tensor, v: Tensor): Tensor => {
            const logits = matmul(asRows(q), transposed(asRows(k)));
            const raised = exp(subtract(logits, reduceMax(logits, { axes: 3, keepAxes: true })));
            return matmul(divide(raised, reduceSum(raised, { axes: 3, keepAxes: true })), asRows(v));
          };
          const both = (q: Tensor, k: Tensor, v: Tensor, cotangent: Tensor): Tensor[] => [
            attended(q, k, v),
            ...vjp(([x, y, z]: readonly [Tensor, Tensor, Tensor]) => attended(x, y, z), [q, k, v] as const).pullback(
              cotangent,
            ),
          ];
          const given = [0, 1, 2].map((seed) => valuesOf(shape, seed, 1 / Math.sqrt(width)));
          const cotangent = valuesOf([batch, heads, tokens, width], 3, 1);
          const run = async (on: Device): Promise<number[][]> => {
            const program = compile(both, { device: on });
            const [q = cotangent, k = cotangent, v = cotangent] = given;
            try {
              return await Promise.all(
                (await program(q, k, v, cotangent)).map(async (each) => [...(await each.data())]),
              );
            } finally {
              program.dispose();
            }
          };
          const plans: Plan[] = [];
          const [found, alone, wanted] = [
            await run(watched(device, (plan) => plans.push(plan))),
            await run(apart(device)),
            await run(truth),
          ];
          assert.deepEqual(found, alone);
          // One for each row of queries, and what sums over all of these.
          const counts = plans.map(
            ({ steps }) => `${steps.length} steps, ${steps.filter(hasProducts).length} with products`,
          );
          assert.ok(
            plans.some(({ steps }) => steps.some(hasProducts) && steps.length <= 4),
            counts.join("; "),
          );
          found.flat().forEach((value, i) => {
            assert.ok(Math.abs(value - at(wanted.flat(), i)) <= 1e-4, `${value}, expected ${at(wanted.flat(), i)}`);
          });
        }),
        { numRuns: 4, seed: Number(process.env["EVENKEEL_SEED"] ?? 20240614) },
      );
    } finally {
      device.dispose();
      truth.dispose();
    }
  });

  it("agree with the oracle in random programs", async () => {
    const device = await createWebgpuDevice({ debug: true, chains: true });
    try {
      await checkPrograms(device, { runs: 60, seed: 20240613, accuracy: accuracies.webgpu });
    } finally {
      device.dispose();
    }
  });

  it("are one dispatch for softmax", async () => {
    const device = await createWebgpuDevice({ debug: true, chains: true });
    const softmax = compile(
      (x: Tensor) => {
        const raised = exp(subtract(x, reduceMax(x, { axes: 1, keepAxes: true })));
        return divide(raised, reduceSum(raised, { axes: 1, keepAxes: true }));
      },
      { device },
    );
    try {
      const { dispatches, text } = await explain(softmax, [imageOf({ shape: [64, 64], operations: [] })]);
      assert.equal(dispatches?.dispatches, 1);
      assert.match(text, /rows a workgroup/);
    } finally {
      softmax.dispose();
      device.dispose();
    }
  });
});
