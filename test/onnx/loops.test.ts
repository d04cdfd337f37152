/** Recurrent networks and loops of models become loops of the engine: recorded once, however often they go around. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { topologicalOrder } from "../../engine/graph/graph.ts";
import { evaluate, grad, reduceSum, square, type Tensor, tensor } from "../../engine/index.ts";
import { importOnnx } from "../../onnx/index.ts";
import type { GraphSpec, NodeSpec, TensorSpec } from "../../onnx/format/writeModel.ts";
import { floatTensor, integerTensor, modelFile } from "./writeModel.ts";

const wave = (length: number, phase: number): number[] =>
  Array.from({ length }, (_, i) => Math.fround(Math.sin(1.7 * i + phase)));

function outputOf(graph: GraphSpec, x: Tensor): { readonly y: Tensor; readonly told: readonly string[] } {
  const told: string[] = [];
  const { apply, parameters } = importOnnx(modelFile(graph), { onRoundabout: (what) => told.push(what) });
  return { y: apply(parameters, { x })["y"] as Tensor, told };
}

const sizeOf = (y: Tensor): number => topologicalOrder([y.node]).length;

function assertNear(got: ArrayLike<number>, wanted: readonly number[]): void {
  assert.equal(got.length, wanted.length);
  wanted.forEach((value, i) => {
    assert.ok(Math.abs((got[i] ?? NaN) - value) <= 1e-5 * Math.max(1, Math.abs(value)), `${i}: ${got[i]}, ${value}`);
  });
}

/** A recurrent network of one input and one state, forwards. */
function network(operator: "RNN" | "GRU" | "LSTM", gates: number): GraphSpec {
  return {
    nodes: [{ operator, inputs: ["x", "w", "r", "b"], outputs: ["y"], attributes: { hidden_size: { int: 1 } } }],
    initializers: [
      floatTensor("w", [1, gates, 1], wave(gates, 1)),
      floatTensor("r", [1, gates, 1], wave(gates, 2)),
      floatTensor("b", [1, 2 * gates], wave(2 * gates, 3)),
    ],
    inputs: [{ name: "x", type: "f32", shape: ["time", 1, 1] }],
    outputs: [{ name: "y", type: "f32", shape: [] }],
  };
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

/** Their definitions, number by number: the states after one more input. */
const definitions = {
  RNN: {
    gates: 1,
    step: (x: number, [h = 0]: readonly number[], of: Gate) => [Math.tanh(of.input(0, x) + of.state(0, h))],
  },
  GRU: {
    gates: 3,
    step: (x: number, [h = 0]: readonly number[], of: Gate) => {
      const z = sigmoid(of.input(0, x) + of.state(0, h));
      const r = sigmoid(of.input(1, x) + of.state(1, h));
      const fresh = Math.tanh(of.input(2, x) + of.state(2, r * h));
      return [(1 - z) * fresh + z * h];
    },
  },
  LSTM: {
    gates: 4,
    step: (x: number, [h = 0, c = 0]: readonly number[], of: Gate) => {
      const [i, o, f] = [0, 1, 2].map((gate) => sigmoid(of.input(gate, x) + of.state(gate, h)));
      const next = (f ?? NaN) * c + (i ?? NaN) * Math.tanh(of.input(3, x) + of.state(3, h));
      return [(o ?? NaN) * Math.tanh(next), next];
    },
  },
} as const;

type Gate = {
  readonly input: (gate: number, x: number) => number;
  readonly state: (gate: number, h: number) => number;
};

function defined(operator: keyof typeof definitions, xs: readonly number[]): number[] {
  const { gates, step } = definitions[operator];
  const [w, r, b] = [wave(gates, 1), wave(gates, 2), wave(2 * gates, 3)];
  const of: Gate = {
    input: (gate, x) => (w[gate] ?? NaN) * x + (b[gate] ?? NaN),
    state: (gate, h) => (r[gate] ?? NaN) * h + (b[gates + gate] ?? NaN),
  };
  let states: readonly number[] = [];
  return xs.map((x) => {
    states = step(x, states, of);
    return states[0] ?? NaN;
  });
}

describe("recurrent networks", () => {
  for (const operator of ["RNN", "GRU", "LSTM"] as const) {
    it(`${operator}: a program that is as large for 300 steps as for 3, with the definition's values and derivatives`, async () => {
      const graph = network(operator, definitions[operator].gates);
      const long = wave(300, 0.5);
      const of = (xs: readonly number[]): Tensor => tensor([...xs], { shape: [xs.length, 1, 1] });
      const { y, told } = outputOf(graph, of(long));
      assertNear(await evaluate(y), defined(operator, long));
      assert.deepEqual(told, []);
      assert.equal(sizeOf(y), sizeOf(outputOf(graph, of(long.slice(0, 3))).y));

      const short = long.slice(0, 20);
      const total = (x: Tensor): Tensor => reduceSum(square(outputOf(graph, x).y));
      const wanted = short.map((_, i) => {
        const at = (h: number): number =>
          defined(
            operator,
            short.map((x, k) => (k === i ? x + h : x)),
          ).reduce((sum, value) => sum + value ** 2, 0);
        return (at(1e-5) - at(-1e-5)) / 2e-5;
      });
      assertNear(await evaluate(grad(total)(of(short))), wanted);
    });
  }
});

/** `y` is what a loop gathers: of each step what is carried on. The body's own nodes make `next` of `before`, `step` and what lies around. */
const loopOf = (steps: number, body: readonly NodeSpec[], initializers: readonly TensorSpec[] = []): GraphSpec => ({
  nodes: [
    {
      operator: "Loop",
      name: "l",
      inputs: ["steps", "", "x"],
      outputs: ["last", "y"],
      attributes: {
        body: {
          graph: {
            nodes: [...body, { operator: "Identity", inputs: ["next"], outputs: ["shown"] }],
            inputs: [
              { name: "step", type: "i64", shape: [] },
              { name: "goes", type: "bool", shape: [] },
              { name: "before", type: "f32", shape: [] },
            ],
            outputs: [
              { name: "goes", type: "bool", shape: [] },
              { name: "next", type: "f32", shape: [] },
              { name: "shown", type: "f32", shape: [] },
            ],
          },
        },
      },
    },
  ],
  initializers: [integerTensor("steps", [], [steps]), ...initializers],
  inputs: [{ name: "x", type: "f32", shape: [2] }],
  outputs: [{ name: "y", type: "f32", shape: [] }],
});

describe("Loop", () => {
  /** next = before / 2 + step */
  const counting: readonly NodeSpec[] = [
    { operator: "Mul", inputs: ["before", "rate"], outputs: ["less"] },
    { operator: "Cast", inputs: ["step"], outputs: ["number"], attributes: { to: { int: 1 } } },
    { operator: "Add", inputs: ["less", "number"], outputs: ["next"] },
  ];
  const rate = floatTensor("rate", [], [0.5]);
  const counted = (x: number, steps: number): number[] => {
    let value = x;
    return Array.from({ length: steps }, (_, step) => (value = 0.5 * value + step));
  };

  it("of a fixed number of steps is one body, however many there are, with its number and its derivative", async () => {
    const steps = 12_000;
    const { y, told } = outputOf(loopOf(steps, counting, [rate]), tensor([1, -2]));
    assert.deepEqual(y.shape, [steps, 2]);
    assert.deepEqual(told, []);
    const [first, second] = [counted(1, steps), counted(-2, steps)];
    assertNear(
      (await evaluate(y)).slice(-6),
      first.slice(-3).flatMap((value, i) => [value, second.slice(-3)[i] ?? NaN]),
    );
    assert.equal(sizeOf(y), sizeOf(outputOf(loopOf(2, counting, [rate]), tensor([1, -2])).y));
    const total = (x: Tensor): Tensor => reduceSum(outputOf(loopOf(50, counting, [rate]), x).y);
    const sum = Array.from({ length: 50 }, (_, step) => 0.5 ** (step + 1)).reduce((a, b) => a + b, 0);
    assertNear(await evaluate(grad(total)(tensor([3, 4]))), [sum, sum]);
  });

  it("within a loop is one, too", async () => {
    const inner: NodeSpec = {
      operator: "Loop",
      inputs: ["inner steps", "", "before"],
      outputs: ["next"],
      attributes: {
        body: {
          graph: {
            nodes: counting.map((node) => renamed(node)),
            inputs: [
              { name: "inner step", type: "i64", shape: [] },
              { name: "inner goes", type: "bool", shape: [] },
              { name: "inner before", type: "f32", shape: [] },
            ],
            outputs: [
              { name: "inner goes", type: "bool", shape: [] },
              { name: "inner next", type: "f32", shape: [] },
            ],
          },
        },
      },
    };
    const outer = loopOf(4, [inner], [rate, integerTensor("inner steps", [], [3])]);
    const { y, told } = outputOf(outer, tensor([1, -2]));
    assert.deepEqual(told, []);
    const wanted = [1, -2].map((x) => {
      let value = x;
      return Array.from({ length: 4 }, () => (value = counted(value, 3).at(-1) ?? NaN));
    });
    assertNear(
      await evaluate(y),
      upTo(4).flatMap((i) => wanted.map((values) => values[i] ?? NaN)),
    );
  });

  it("whose shapes depend on the step is written out, and says so", async () => {
    const body: readonly NodeSpec[] = [
      { operator: "Add", inputs: ["step", "one"], outputs: ["count"] },
      { operator: "Reshape", inputs: ["count", "list"], outputs: ["counts"] },
      { operator: "Expand", inputs: ["ones", "counts"], outputs: ["many"] },
      { operator: "ReduceSum", inputs: ["many"], outputs: ["sum"], attributes: { keepdims: { int: 0 } } },
      { operator: "Add", inputs: ["before", "sum"], outputs: ["next"] },
    ];
    const more = [integerTensor("one", [], [1]), integerTensor("list", [1], [1]), floatTensor("ones", [1], [1])];
    const { y, told } = outputOf(loopOf(3, body, more), tensor([1, -2]));
    assert.match(told[0] ?? "", /^Loop "l": steps that are written out/);
    assertNear(await evaluate(y), [2, -1, 4, 1, 7, 4]);
  });
});

const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

/** The same node under other names, save for what lies around both. */
function renamed(node: NodeSpec): NodeSpec {
  const own = (name: string): string => (name === "rate" ? name : `inner ${name}`);
  return { ...node, inputs: node.inputs.map(own), outputs: node.outputs.map(own) };
}
