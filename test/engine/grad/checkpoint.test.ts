import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Device, DeviceLimits, DeviceName } from "../../../engine/devices/device.ts";
import { promisedLimits, webgpuLimits } from "../../../engine/devices/gpujs/webgpuLimits.ts";
import { EvenkeelError } from "../../../engine/errors.ts";
import { at } from "../../../engine/graph/shape.ts";
import { makeNode } from "../../../engine/graph/graph.ts";
import { evaluateGraph } from "../../../engine/devices/oracle/evaluate.ts";
import {
  checkpoint,
  compile,
  createDevice,
  exp,
  grad,
  matmul,
  memoryOf,
  multiply,
  reduceSum,
  rootMeanSquare,
  scalar,
  sin,
  square,
  Tensor,
  type TensorData,
  tensor,
  treeLeaves,
  valueAndGrad,
  vjp,
  zeros,
} from "../../../engine/index.ts";
import { planFor } from "../../../engine/program/planFor.ts";
import { buildProgram, inputData, printProgram, programSpecs } from "../../../testing/arbitraries/programs.ts";
import { randomNumbers } from "../../../testing/laws/derivatives.ts";
import { webgpuSkip } from "../../support/webgpuSkip.ts";
import { limits } from "../passes/plannedFor.ts";
import { gradientOf, layersOf, type Layer, loss, plain, wave, width, type Wrap } from "./checkpointed.ts";

const devices: readonly DeviceName[] = ["oracle", "wasm", "cpu", "webgpu"];
const gpu = webgpuLimits(promisedLimits, "own");

/** All results of a compiled function, as numbers or as their bits. */
async function results(
  fn: (...args: never[]) => unknown,
  args: readonly unknown[],
  device: Device,
): Promise<readonly TensorData[]> {
  const program = compile(fn as (...args: readonly unknown[]) => unknown, { device });
  const values = await Promise.all(treeLeaves(await program(...args)).map((leaf) => leaf.tensor.data()));
  program.dispose();
  return values;
}

const bitsOf = (values: readonly TensorData[]): Uint8Array[] =>
  values.map(({ buffer, byteOffset, byteLength }) => new Uint8Array(buffer.slice(byteOffset, byteOffset + byteLength)));

/** Equal bits; on a device that rounds only what it stores, what is stored differs, and with it the last bits. */
function same(got: readonly TensorData[], wanted: readonly TensorData[], device: DeviceName, what = ""): void {
  if (device !== "cpu") {
    assert.deepEqual(bitsOf(got), bitsOf(wanted), what);
    return;
  }
  got.forEach((values, i) => {
    const scale = Math.max(...at(wanted, i).map(Math.abs));
    values.forEach((value, j) => {
      assert.ok(Math.abs(value - (at(wanted, i)[j] ?? NaN)) <= 1e-5 * scale);
    });
  });
}

/** All of it within one checkpoint, each block within its own. */
const wholeGradient = (layers: Layer[], x: Tensor, scale: Tensor): unknown =>
  valueAndGrad((p: { layers: Layer[]; x: Tensor; scale: Tensor }) =>
    checkpoint(() => loss(p.layers, p.x, p.scale, checkpoint))(),
  )({ layers, x, scale });

describe("checkpoint", () => {
  for (const name of devices) {
    it(`gives the bits of what it wraps on ${name}`, { skip: name === "webgpu" && webgpuSkip }, async () => {
      const device = await createDevice(name);
      const args = [layersOf(4), wave([64, width], 20), scalar(0.5)];
      const wanted = await results(gradientOf(plain), args, device);
      const nested: Wrap = (fn) => checkpoint((...given) => checkpoint(fn)(...given));
      // Also around the whole, whose blocks then are within it.
      const whole: Wrap = (fn) => checkpoint(fn);
      for (const wrap of [checkpoint, nested, whole]) {
        const got = wrap === whole ? wholeGradient : gradientOf(wrap);
        same(await results(got, args, device), wanted, name);
      }
    });
  }

  it("gives the bits of random programs' derivatives", async () => {
    const device = await createDevice("wasm");
    let compared = 0;
    await fc.assert(
      fc.asyncProperty(programSpecs, async (spec) => {
        const given = spec.inputs.map((input) => tensor(inputData(input), { shape: input.shape, dtype: input.dtype }));
        const first = given.findIndex(({ dtype }) => dtype === "f32");
        if (first < 0) return;
        const gradients = (wrap: Wrap) => (all: readonly Tensor[]) => {
          const own = wrap((x: Tensor) =>
            buildProgram(
              spec,
              all.map((value, i) => (i === first ? x : value)),
            ).filter(({ dtype }) => dtype === "f32"),
          );
          const { value, pullback } = vjp(own, at(all, first));
          return [value, pullback(value.map((result) => sin(result)))];
        };
        const [got, wanted] = [
          await results(gradients(checkpoint), [given], device),
          await results(gradients(plain), [given], device),
        ];
        same(got, wanted, "wasm", printProgram(spec));
        compared++;
      }),
      { numRuns: 40, seed: 12 },
    );
    assert.ok(compared > 25, `${compared} programs`);
    device.dispose();
  });

  it("has second derivatives, in which what is computed again counts apart: the same but for the order of sums", () => {
    const random = randomNumbers(3);
    const x = makeNode("input", [], { dtype: "f32", shape: [3, 4], name: "x" });
    const f = (y: Tensor): Tensor => multiply(exp(sin(y)), rootMeanSquare(y, { axes: 1, keepAxes: true }));
    const second = (wrap: Wrap): Tensor => {
      const first = grad((y: Tensor) => reduceSum(square(wrap(f)(wrap(f)(y)))));
      return grad((y: Tensor) => reduceSum(sin(first(y))))(new Tensor(x));
    };
    const outputs = [second(plain).node, second(checkpoint).node];
    const [wanted = [], got = []] = evaluateGraph({ inputs: [x], outputs }, [
      Float64Array.from({ length: 12 }, random),
    ]);
    got.forEach((value, i) => {
      assert.ok(Math.abs(value - (wanted[i] ?? NaN)) <= 1e-12 * Math.abs(value));
    });
  });

  // One array goes from block to block; on a GPU what steps that may overlap need lies apart.
  for (const [name, given, most] of [
    ["one address space", { ...limits, results: 8 }, 1.3],
    ["a GPU", gpu, 3],
  ] as const satisfies readonly (readonly [string, DeviceLimits, number])[]) {
    it(`keeps what goes from block to block and the inside of one, on ${name}`, async () => {
      const temporariesOf = async (wrap: Wrap, count: number): Promise<number> => {
        const args = [layersOf(count), wave([512, width], 20), scalar(0.5)];
        return (await memoryOf(gradientOf(wrap) as never, args as never, given)).temporaries;
      };
      const between = 4 * 512 * width;
      const perBlock = async (wrap: Wrap): Promise<number> =>
        ((await temporariesOf(wrap, 12)) - (await temporariesOf(wrap, 4))) / 8 / between;
      const [all, few] = [await perBlock(plain), await perBlock(checkpoint)];
      assert.ok(all > 9 && few < most, `a block takes ${few} times what goes through it, ${all} times without`);
    });
  }

  it("computes nothing again where there is no derivative, and of what is within only what a derivative needs", async () => {
    const inside = (x: Tensor): Tensor => exp(sin(matmul(x, x)));
    const planned = async (fn: (x: Tensor) => unknown): Promise<{ steps: number; flops: number }> => {
      const { steps } = (await planFor(fn, [zeros([64, 64])], limits)).plan;
      return { steps: steps.length, flops: steps.reduce((sum, { kernel }) => sum + kernel.flops, 0) };
    };
    assert.deepEqual(await planned((x) => checkpoint(inside)(x)), await planned(inside));
    const of =
      (wrap: Wrap, f: (x: Tensor) => Tensor) =>
      (x: Tensor): unknown =>
        valueAndGrad((y: Tensor) => reduceSum(wrap(f)(y)))(x);
    const [without, again] = [await planned(of(plain, inside)), await planned(of(checkpoint, inside))];
    const product = 2 * 64 ** 3;
    const more = again.flops - without.flops;
    assert.ok(more >= product && more < 1.2 * product, `${more} operations more`);
    // The derivative of a product with a constant asks for nothing within.
    const linear = (x: Tensor): Tensor => multiply(matmul(x, wave([64, 64], 1)), 3);
    assert.deepEqual(await planned(of(checkpoint, linear)), await planned(of(plain, linear)));
  });

  it("refuses what is asynchronous", () => {
    assert.throws(
      () => checkpoint((x: Tensor) => Promise.resolve(x))(scalar(1)),
      (error: unknown) =>
        error instanceof EvenkeelError && /^checkpoint: the function is asynchronous/.test(error.message),
    );
  });
});
