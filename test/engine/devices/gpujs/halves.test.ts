/** Temporaries of 16-bit floats on WebGPU: the bits of float32 ones, and half of their bytes. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { KernelDevice } from "../../../../engine/devices/device.ts";
import { createWebgpuDevice } from "../../../../engine/devices/gpujs/webgpuDevice.ts";
import type { WebgpuOptions } from "../../../../engine/devices/gpujs/webgpuOptions.ts";
import { at, sizeOf } from "../../../../engine/graph/shape.ts";
import {
  add,
  clamp,
  compile,
  concat,
  conv2d,
  divide,
  flip,
  gather,
  matmul,
  maximum,
  multiply,
  negate,
  permute,
  reduceSum,
  reshape,
  roundToFloat16,
  silu,
  slice,
  softmax,
  sqrt,
  square,
  type Tensor,
  tensor,
  vjp,
} from "../../../../engine/index.ts";
import type { Plan } from "../../../../engine/kernel/plan.ts";
import { trace } from "../../../../engine/program/trace.ts";
import { accuracies } from "../../../../testing/bounds/accuracies.ts";
import { graphBounds } from "../../../../testing/bounds/graphBounds.ts";
import { float16Neighbours, nearestFloat16 } from "../../../support/nearestFloat16.ts";
import { firstViolation } from "../../../../testing/bounds/bounded.ts";
import { webgpuSkip } from "../../../support/webgpuSkip.ts";

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
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}

const packedIn = ({ buffers }: Plan): number => buffers.filter(({ storage }) => storage !== undefined).length;

type Given = { readonly shape: readonly [number, number, number, number]; readonly operations: readonly number[] };

/** Images, and what is done to them, each time rounded. Sizes are such as are taken in fours, and others. */
const given: fc.Arbitrary<Given> = fc.record({
  shape: fc.tuple(
    fc.integer({ min: 1, max: 3 }),
    fc.constantFrom(4, 8, 12),
    fc.constantFrom(4, 8, 6),
    fc.constantFrom(8, 8, 16, 6),
  ),
  operations: fc.array(fc.nat(9), { minLength: 2, maxLength: 6 }),
});

const valuesOf = (shape: readonly number[], seed = 0): Tensor =>
  tensor(
    Float32Array.from({ length: sizeOf(shape) }, (_, i) => Math.sin(3.7 * i + seed)),
    { shape },
  );

/** What is made of images by the operations, with weights as they need them. */
function made({ operations }: Given, image: Tensor, weights: readonly [Tensor, Tensor]): Tensor {
  const kept = roundToFloat16;
  let x = kept(image);
  for (const operation of operations) {
    const [count = 1, channels = 1, height = 1, width = 1] = x.shape;
    const changes: readonly (() => Tensor)[] = [
      () => conv2d(x, weights[0], { padding: 1 }),
      () => conv2d(x, weights[1]),
      () => silu(x),
      () => divide(x, sqrt(add(reduceSum(square(x), { axes: 1, keepAxes: true }), 1))),
      () => add(x, multiply(permute(flip(x, [2]), [0, 1, 2, 3]), 0.5)),
      () => clamp(kept(multiply(x, 1.5)), -1, 1),
      () => maximum(negate(x), kept(multiply(x, 0.25))),
      () => slice(concat([x, kept(multiply(x, 0.5))], 1), [null, [channels / 2, channels / 2 + channels]]),
      () => {
        const rows = reshape(x, [count, channels, height * width]);
        const weigh = kept(softmax(multiply(matmul(permute(rows, [0, 2, 1]), rows), 0.1)));
        return reshape(matmul(rows, permute(weigh, [0, 2, 1])), x.shape);
      },
      () => add(x, multiply(reduceSum(kept(multiply(x, 0.1)), { axes: [2, 3], keepAxes: true }), 0.1)),
    ];
    x = kept(at(changes, operation)());
  }
  return x;
}

/** The result, and what flows back to the images and weights. */
function withGradients(spec: Given, image: Tensor, three: Tensor, one: Tensor): Tensor[] {
  const { value, pullback } = vjp(
    (all: readonly [Tensor, Tensor, Tensor]) => made(spec, all[0], [all[1], all[2]]),
    [image, three, one],
  );
  return [value, ...pullback(multiply(value, 0.5))];
}

const inputsOf = ({ shape }: Given): [Tensor, Tensor, Tensor] => {
  const channels = shape[1];
  return [
    valuesOf(shape),
    multiply(valuesOf([channels, channels, 3, 3], 1), 0.3),
    multiply(valuesOf([channels, channels, 1, 1], 2), 0.5),
  ];
};

async function bitsOf(device: KernelDevice, spec: Given): Promise<readonly (readonly number[])[]> {
  const program = compile((...inputs: [Tensor, Tensor, Tensor]) => withGradients(spec, ...inputs), { device });
  try {
    const results = await program(...inputsOf(spec));
    return await Promise.all(
      results.map(async (each) => {
        const { buffer, byteOffset, length } = await each.data();
        return [...new Uint32Array(buffer, byteOffset, length)];
      }),
    );
  } finally {
    program.dispose();
  }
}

/** Ways of running steps that touch the arrays differently. */
const ways: readonly WebgpuOptions[] = [
  { batches: true, chains: true },
  { batches: false, chains: false },
  { batches: true, chains: false },
];

describe("temporaries of 16-bit floats on webgpu", { skip: webgpuSkip }, () => {
  it("have the bits of float32 ones, in all ways of running steps", async () => {
    const devices = await Promise.all(
      ways.map(async (way) => ({
        packed: await createWebgpuDevice(way),
        plain: await createWebgpuDevice({ ...way, halves: false }),
      })),
    );
    let [packed, programs] = [0, 0];
    await fc.assert(
      fc.asyncProperty(given, fc.nat(ways.length - 1), async (spec, way) => {
        const { packed: own, plain } = at(devices, way);
        const counted = watched(own, (plan) => (packed += packedIn(plan)));
        const unpacked = watched(plain, (plan) => assert.equal(packedIn(plan), 0));
        assert.deepEqual(await bitsOf(counted, spec), await bitsOf(unpacked, spec));
        programs++;
      }),
      { numRuns: 15, seed: 11, endOnFailure: true },
    );
    assert.ok(packed > 2 * programs, `only ${packed} arrays of ${programs} programs`);
    for (const { packed: one, plain } of devices) for (const device of [one, plain]) device.dispose();
  });

  it("are what the oracle computes, within the error that float32 and the roundings allow", async () => {
    const device = await createWebgpuDevice({ chains: true });
    let [compared, packed] = [0, 0];
    const counted = watched(device, (plan) => (packed += packedIn(plan)));
    await fc.assert(
      fc.asyncProperty(given, async (spec) => {
        const inputs = inputsOf(spec);
        const data = await Promise.all(inputs.map((input) => input.data()));
        const { graph } = trace((...arrays: [Tensor, Tensor, Tensor]) => withGradients(spec, ...arrays), inputs);
        const expected = graphBounds(
          graph,
          data.map((values) => Float64Array.from(values)),
          accuracies.webgpu,
        );
        const program = compile((...arrays: [Tensor, Tensor, Tensor]) => withGradients(spec, ...arrays), {
          device: counted,
        });
        const results = await program(...inputs);
        for (const [i, bounded] of expected.entries()) {
          const got = await at(results, i).data();
          const place = firstViolation(got, bounded);
          assert.equal(
            place,
            undefined,
            `result ${i} at ${place}: ${got[place ?? 0]}, not ${bounded.values[place ?? 0]}`,
          );
          compared += bounded.errors.filter((error) => error < Infinity).length;
        }
        program.dispose();
      }),
      { numRuns: 8, seed: 5, endOnFailure: true },
    );
    assert.ok(compared > 1000 && packed > 20, `${compared} elements, ${packed} arrays`);
    device.dispose();
  });

  it("hold every 16-bit float, infinities and NaN, read one by one and in fours", async () => {
    const all = float16Neighbours();
    const rows = Math.floor(all.length / 8);
    const x = all.slice(0, 8 * rows);
    const device = await createWebgpuDevice();
    let packed = 0;
    const program = compile(
      (value: Tensor, index: Tensor) => {
        const rounded = roundToFloat16(value);
        return [flip(rounded, [0]), gather(rounded, index, 1)];
      },
      { device: watched(device, (plan) => (packed += packedIn(plan))) },
    );
    const index = tensor(Int32Array.from([3, 2, 1, 0, 7, 6, 5, 4]));
    const [flipped, gathered] = await program(tensor(x, { shape: [rows, 8] }), index);
    assert.equal(packed, 1);
    const [one, other] = [await flipped?.data(), await gathered?.data()];
    const wrong = [...x].flatMap((value, i) => {
      const [row, column] = [Math.floor(i / 8), i % 8];
      const got = [one?.[8 * (rows - 1 - row) + column], other?.[8 * row + (column ^ 3)]];
      const wanted = nearestFloat16(value);
      return got.every((each) => Object.is(each, wanted)) ? [] : [`${value}: ${got.join(" and ")}, not ${wanted}`];
    });
    assert.deepEqual(wrong.slice(0, 9), []);
    device.dispose();
  });
});
