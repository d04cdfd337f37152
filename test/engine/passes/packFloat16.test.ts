/** Which temporaries are kept in 16 bits. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { promisedLimits, webgpuLimits } from "../../../engine/devices/gpujs/webgpuLimits.ts";
import { at } from "../../../engine/graph/shape.ts";
import { flip, gather, iota, multiply, reduceMax, roundToFloat16, type Tensor, tensor } from "../../../engine/index.ts";
import type { Plan, PlanStep } from "../../../engine/kernel/plan.ts";
import { packFloat16 } from "../../../engine/passes/packFloat16.ts";
import { planFor } from "../../../engine/program/planFor.ts";

const limits = webgpuLimits(promisedLimits, "own");

const planOf = async (fn: (x: Tensor) => readonly Tensor[], shape: readonly number[], own = limits): Promise<Plan> =>
  (await planFor(fn, [tensor(new Float32Array(shape.reduce((a, b) => a * b, 1)), { shape })], own, false)).plan;

/** Lengths of temporaries, and of those in 16 bits. */
const lengths = ({ buffers }: Plan): readonly [number[], number[]] => {
  const temporary = buffers.filter(({ role, length }) => role.kind === "temporary" && length > 0);
  const packed = temporary.filter(({ storage }) => storage !== undefined);
  return [temporary.map(({ length }) => length), packed.map(({ length }) => length)];
};

/** Has memory, as it is read at other places. */
const readAnywhere = (x: Tensor): Tensor => flip(gather(x, iota([at(x.shape, 0)], 0, "i32"), 0), [0]);

describe("packFloat16", () => {
  it("keeps what is rounded in 16 bits, in half of the memory", async () => {
    const fn = (x: Tensor): Tensor[] => [readAnywhere(roundToFloat16(x))];
    const plan = await planOf(fn, [64, 64]);
    assert.deepEqual(lengths(plan), [[4096], [4096]]);
    const apart = await planOf(fn, [64, 64], { ...limits, writtenInFours: null });
    assert.deepEqual(lengths(apart), [[4096], []]);
    const bytes = ({ slots }: Plan): number => slots.reduce((sum, slot) => sum + slot, 0);
    assert.ok(bytes(plan) < 0.6 * bytes(apart), `${bytes(plan)} of ${bytes(apart)} bytes`);
  });

  it("leaves what isn't rounded, what isn't written in fours, and what the caller sees", async () => {
    assert.deepEqual(lengths(await planOf((x) => [readAnywhere(multiply(roundToFloat16(x), 3))], [64, 64]))[1], []);
    assert.deepEqual(lengths(await planOf((x) => [readAnywhere(roundToFloat16(x))], [63, 63]))[1], []);
    const seen = await planOf(
      (x) => {
        const rounded = roundToFloat16(x);
        return [rounded, readAnywhere(rounded)];
      },
      [64, 64],
    );
    assert.deepEqual(lengths(seen)[1], []);
    // One element a row, by a team of threads.
    const folded = await planOf((x) => [readAnywhere(roundToFloat16(reduceMax(x, { axes: 1 })))], [64, 4096]);
    assert.deepEqual(lengths(folded)[1], []);
  });

  it("tells every kernel that touches them", async () => {
    const { steps, buffers } = await planOf((x) => [readAnywhere(roundToFloat16(x))], [64, 64]);
    for (const { kernel, operands, results } of steps) {
      const told = [...kernel.operands, ...kernel.stores].map(({ storage }) => storage);
      assert.deepEqual(
        told,
        [...operands, ...results].map((buffer) => at(buffers, buffer).storage),
      );
    }
  });

  it("keeps what lies side by side in one way", () => {
    const store = { dtype: "f32", length: 8, at: { offset: 0, coefficients: [1] } } as const;
    const x = { kind: "load", dtype: "f32", operand: 0, at: store.at } as const;
    const rounded = { kind: "unary", dtype: "f32", op: "roundToFloat16", x } as const;
    const step = (result: number, value: typeof x | typeof rounded): PlanStep => ({
      kernel: {
        ...{ name: `step${result}`, axes: [{ role: "parallel", size: 8 }], reduction: null, flops: 0, bytes: 0 },
        operands: [{ dtype: "f32", length: 8 }],
        stores: [{ ...store, value }],
      },
      operands: [0],
      results: [result],
    });
    const steps = [step(1, rounded), step(2, rounded), step(3, rounded), step(4, x)];
    const packed = (bundles: readonly (readonly number[])[]): number[] => [
      ...packFloat16(steps, limits, (buffer) => buffer > 0, bundles).packed,
    ];
    assert.deepEqual(packed([]), [1, 2, 3]);
    assert.deepEqual(packed([[1, 2]]), [1, 2, 3]);
    assert.deepEqual(packed([[1, 4]]), [2, 3]);
    assert.deepEqual(packed([[1, 2, 4]]), [3]);
  });
});
