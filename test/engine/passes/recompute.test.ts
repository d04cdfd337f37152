import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { DeviceLimits } from "../../../engine/devices/device.ts";
import { makeNode } from "../../../engine/graph/graph.ts";
import type { NodeOf } from "../../../engine/graph/node.ts";
import { Tensor } from "../../../engine/graph/tensor.ts";
import { divide, matmul, multiply, reduceSum, sqrt, square, tanh, valueAndGrad } from "../../../engine/index.ts";
import type { Plan } from "../../../engine/kernel/plan.ts";
import { makePlan } from "../../../engine/passes/makePlan.ts";
import { optimize } from "../../../engine/passes/optimize.ts";

const limits: DeviceLimits = {
  operands: 64,
  results: 1,
  arrays: Infinity,
  joins: "rows",
  elements: 2 ** 24,
  temporaries: "arena",
  overlap: false,
  batches: false,
  chains: false,
  inPlace: true,
  concurrency: 1,
  writtenInFours: null,
  factors: "stored",
  arithmetic: "scarce",
  layouts: "inOrder",
  scalars: 200,
  memory: Infinity,
};

const [size, layers] = [128, 12];
const matrixBytes = 4 * size * size;

/** One step of gradient descent of a chain of layers whose weights are normalized row by row; `memory` as of the device. */
function planOfTraining(memory: number): Plan {
  const input = (shape: readonly number[]): NodeOf<"input"> =>
    makeNode("input", [], { dtype: "f32", shape, name: "x" });
  const inputs = [...Array.from({ length: layers }, () => input([size, size])), input([1, size])];
  const [x, ...weights] = inputs.map((node) => new Tensor(node)).reverse();
  assert.ok(x !== undefined);
  weights.reverse();
  const loss = (trained: readonly Tensor[]): Tensor => {
    const output = trained.reduce((y, w) => {
      const norm = sqrt(reduceSum(square(w), { axes: 1, keepAxes: true }));
      return tanh(matmul(y, divide(w, norm)));
    }, x);
    return reduceSum(square(output));
  };
  const { value, gradient } = valueAndGrad(loss)(weights);
  const norm = gradient.reduce((sum, g) => sum.add(reduceSum(square(g))), value);
  const updated = weights.map((w, i) => w.subtract(multiply(gradient[i] as Tensor, 0.1)));
  const graph = { inputs, outputs: [...updated, norm].map(({ node }) => node) };
  const given = { ...limits, memory };
  return makePlan(
    optimize(graph, given),
    given,
    weights.map((_, i) => ({ input: i, output: i })),
  );
}

describe("a plan for little memory", () => {
  const bytes = ({ slots }: Plan): number => slots[0] ?? 0;
  const plenty = planOfTraining(Infinity);

  it("keeps neither normalized weights nor gradients of all layers", () => {
    assert.ok(bytes(plenty) > layers * matrixBytes, `${bytes(plenty)} bytes`);
    const little = planOfTraining(0);
    // A layer's normalized weights, its gradient's stages and the vectors of all layers, not a matrix for each layer.
    assert.ok(bytes(little) < 5 * matrixBytes, `${bytes(little)} bytes, ${bytes(plenty)} of the plan that keeps all`);
    assert.ok(little.steps.length > plenty.steps.length);
    assert.deepEqual(little.aliases, plenty.aliases);
  });

  it("is the ordinary one while a program takes less than half of the device's memory, and saves only what is needed", () => {
    const state = (layers * size * size + size) * 4;
    const enough = planOfTraining(2 * (state + bytes(plenty)));
    assert.deepEqual(enough, plenty);
    const target = 6 * matrixBytes;
    const between = planOfTraining(2 * (state + target));
    assert.ok(between.steps.length < planOfTraining(0).steps.length && between.steps.length > plenty.steps.length);
    // What lives at once; places in the arena may leave a gap.
    assert.ok(bytes(between) < 1.25 * target, `${bytes(between)} bytes for ${target}`);
  });

  it("reads nothing before it is made, and no input after it is overwritten", () => {
    const { steps, buffers, aliases } = planOfTraining(0);
    const made = new Set<number>();
    const overwritten = new Set<number>();
    for (const {
      operands,
      results: [result],
    } of steps) {
      for (const operand of operands) {
        const role = buffers[operand]?.role;
        if (role?.kind === "temporary" || role?.kind === "output") assert.ok(made.has(operand));
        if (role?.kind === "input") assert.ok(!overwritten.has(role.index));
      }
      made.add(result);
      const role = buffers[result]?.role;
      const replaced = role?.kind === "output" ? aliases[role.index] : null;
      if (typeof replaced === "number") overwritten.add(replaced);
    }
    assert.equal(overwritten.size, layers);
  });
});
