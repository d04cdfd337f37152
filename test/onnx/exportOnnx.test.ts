/** Functions as models: onnxruntime gives what the oracle gives, within what float32 allows, and so do we when we read them back. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { evaluateGraph, evaluateNodes } from "../../engine/devices/oracle/evaluate.ts";
import type { TensorData } from "../../engine/graph/dtype.ts";
import type { Node } from "../../engine/graph/node.ts";
import { at } from "../../engine/graph/shape.ts";
import {
  add,
  cast,
  concat,
  cumulativeSum,
  flip,
  foldIn,
  full,
  gather,
  iota,
  less,
  matmul,
  maximum,
  mean,
  minimum,
  multiply,
  ones,
  randomBits,
  randomKey,
  reduceMax,
  reduceSum,
  scan,
  shiftLeft,
  shiftRight,
  slice,
  softmax,
  square,
  subtract,
  tanh,
  type Tensor,
  tensor,
  transpose,
  treeLeaves,
  truncateDivide,
  valueAndGrad,
  zeros,
} from "../../engine/index.ts";
import { adamW } from "../../nn/index.ts";
import { trace } from "../../engine/program/trace.ts";
import { exportOnnx, importOnnx } from "../../onnx/index.ts";
import { buildProgram, inputData, type ProgramSpec, programSpecs } from "../../testing/arbitraries/programs.ts";
import { firstViolation } from "../../testing/bounds/bounded.ts";
import { graphBounds } from "../../testing/bounds/graphBounds.ts";
import { buildImageNet, type ImageNet, imageNets } from "../arbitraries/imageNets.ts";
import {
  type Optimization,
  runOnnx,
  type RuntimeArray,
  runtimeAccuracy,
  withOnnxModel,
} from "../support/onnxRuntime.ts";

type Traceable = (...args: Tensor[]) => readonly Tensor[];

const arrayOf = async (x: Tensor): Promise<RuntimeArray> => ({ dtype: x.dtype, shape: x.shape, data: await x.data() });
const named = <T>(values: readonly T[], what: string): Record<string, T> =>
  Object.fromEntries(values.map((value, i) => [`${what}${i}`, value]));
const namesOf = (count: number): string[] => Array.from({ length: count }, (_, i) => `x${i}`);

/** Results against the oracle's; how many elements were compared. */
function compareWith(fn: Traceable, given: readonly RuntimeArray[], results: readonly RuntimeArray[]): number {
  const { graph } = trace(
    fn,
    given.map(({ shape, dtype }) => zeros(shape, dtype)),
  );
  const inputs = given.map(({ data }) => Float64Array.from(data));
  let compared = 0;
  graphBounds(graph, inputs, runtimeAccuracy).forEach((bounded, i) => {
    const { data, dtype, shape } = at(results, i);
    const { dtype: wantedType, shape: wantedShape } = at(graph.outputs, i);
    assert.deepEqual([dtype, shape], [wantedType, wantedShape]);
    const place = firstViolation(data, bounded);
    if (place !== undefined) {
      const { values, errors } = bounded;
      assert.fail(`result ${i}, element ${place}: got ${data[place]}, wanted ${values[place]} within ${errors[place]}`);
    }
    compared += bounded.errors.filter((error) => error !== Infinity).length;
  });
  return compared;
}

/** What reading the model back makes of the inputs, in float64. */
function readBack(file: Uint8Array, given: readonly RuntimeArray[]): RuntimeArray[] {
  const { apply, parameters, outputs } = importOnnx(file);
  const { graph } = trace(
    (...args: Tensor[]) => {
      const made = apply(parameters, named(args, "x"));
      return outputs.map(({ name }) => made[name] as Tensor);
    },
    given.map(({ shape, dtype }) => zeros(shape, dtype)),
  );
  const values = evaluateGraph(
    graph,
    given.map(({ data }) => Float64Array.from(data)),
  );
  // Bounds are of float64 values as they are: they are only carried in this form.
  return values.map((data, i) => ({ ...at(graph.outputs, i), data: data as unknown as TensorData }));
}

const giving = (spec: ProgramSpec): RuntimeArray[] =>
  spec.inputs.map((input) => ({ dtype: input.dtype, shape: input.shape, data: inputData(input) }));

const argumentsOf = (given: readonly RuntimeArray[]): Tensor[] => given.map(({ shape, dtype }) => zeros(shape, dtype));

const resultsInOrder = (results: Readonly<Record<string, RuntimeArray>>): RuntimeArray[] =>
  Object.keys(results).map((_, i) => results[`output${i}`] ?? assert.fail(`there is no output${i}`));

/** Values of all nodes, but for those within loops. */
function valuesOf(fn: Traceable, given: readonly RuntimeArray[]): (readonly [Node, Float64Array])[] {
  const { graph } = trace(fn, argumentsOf(given));
  const inputs = given.map(({ data }) => Float64Array.from(data));
  return [...evaluateNodes(graph, inputs)];
}

/**
 * Whether the runtime may change the order of arithmetic: its fusions multiply before they divide, which overflows or vanishes where numbers
 * are far from 1.
 */
function leavesRoom(values: readonly (readonly [Node, Float64Array])[]): boolean {
  const isMiddling = (value: number): boolean =>
    value === 0 || !Number.isFinite(value) || (Math.abs(value) < 1e9 && Math.abs(value) > 1e-9);
  return values.every(([node, all]) => node.kind !== "loop" && (node.dtype !== "f32" || all.every(isMiddling)));
}

/** Whether -0 is chosen somewhere, of which the runtime's `Where` makes 0. What loops choose isn't seen: there any -0 counts. */
function choosesNegativeZero(values: readonly (readonly [Node, Float64Array])[]): boolean {
  const hasLoop = values.some(([{ kind }]) => kind === "loop");
  const chooses = (node: Node): boolean =>
    node.kind === "select" ||
    (node.kind === "unary" && ["expm1", "log1p", "roundToFloat16"].includes(node.attributes.op)) ||
    ((node.kind === "reduce" || node.kind === "scatter") && node.attributes.op === "max");
  return values.some(([node, all]) => (hasLoop || chooses(node)) && all.some((value) => Object.is(value, -0)));
}

describe("exportOnnx", () => {
  it("of random programs: onnxruntime, optimizing or not, and importOnnx compute what they do", async () => {
    const counts = { compared: 0, left: 0, disabled: 0, basic: 0, all: 0 };
    await fc.assert(
      fc.asyncProperty(
        programSpecs,
        fc.constantFrom<Optimization>("disabled", "all", "all"),
        fc.constantFrom(18, 18, 20, 22),
        async (spec, drawn, opset) => {
          const given = giving(spec);
          const fn: Traceable = (...all) => buildProgram(spec, all);
          const file = exportOnnx(fn, argumentsOf(given), { inputs: namesOf(given.length), checks: "none", opset });
          compareWith(fn, given, readBack(file, given));
          const values = valuesOf(fn, given);
          if (choosesNegativeZero(values)) {
            counts.left += 1;
            return;
          }
          const optimization = drawn === "all" && !leavesRoom(values) ? "basic" : drawn;
          const results = resultsInOrder(await runOnnx(file, named(given, "x"), { optimization }));
          counts.compared += compareWith(fn, given, results);
          counts[optimization] += 1;
        },
      ),
      { numRuns: 620 },
    );
    // A law that compares nothing proves nothing.
    const least = Math.min(counts.disabled, counts.basic, counts.all);
    assert.ok(counts.compared > 20_000 && least > 50 && counts.left < 110, JSON.stringify(counts));
  });

  /** A net's arrays, and the function of them. */
  function imageNet(net: ImageNet): { readonly shapes: (batch: number) => number[][]; readonly fn: Traceable } {
    const shapes = (batch: number): number[][] => {
      const all: number[][] = [];
      buildImageNet({ ...net, batch, gradients: false }, (shape) => {
        all.push([...shape]);
        return zeros(shape);
      });
      return all.slice(0, all.length / 2);
    };
    const fn: Traceable = (...args) => {
      let next = 0;
      const batch = at(at(args, 0).shape, 0);
      return buildImageNet({ ...net, batch }, () => at(args, next++ % args.length));
    };
    return { shapes, fn };
  }

  const waves = (shapes: readonly (readonly number[])[]): RuntimeArray[] =>
    shapes.map((shape, k) => {
      const length = shape.reduce((product, size) => product * size, 1);
      const fan = shape.slice(1).reduce((product, size) => product * size, 1);
      const scale = k === 0 ? 1 : 1 / Math.sqrt(fan);
      return { dtype: "f32", shape, data: Float32Array.from({ length }, (_, i) => scale * Math.sin(1.7 * i + k)) };
    });

  it("of convolutional networks with their gradients, whose number of images is left open", async () => {
    await fc.assert(
      fc.asyncProperty(imageNets, async (net) => {
        const { shapes, fn } = imageNet(net);
        const first = shapes(net.batch);
        const names = namesOf(first.length);
        // The image, and the numbers for each image's channels.
        const free = names.filter((_, i) => i === 0 || at(first, i).length === 2);
        const args = first.map((shape) => zeros(shape));
        const file = exportOnnx(fn, args, { inputs: names, free: { name: "N", inputs: free } });
        await withOnnxModel(file, async (run) => {
          for (const batch of [1, 2, 4]) {
            const given = waves(shapes(batch));
            const results = resultsInOrder(await run(named(given, "x")));
            assert.ok(compareWith(fn, given, results) > 0);
          }
        });
      }),
      { numRuns: 12 },
    );
  });

  const openCases: { readonly [what: string]: Traceable } = {
    "elements counted and taken backwards": (x) => [add(flip(x, 0), iota([x.shape[0] ?? 0, 1], 0, "f32"))],
    "rows from the second on": (x) => [slice(x, [[1, undefined], null])],
    "twice as many rows, and a number more": (x) => [concat([x, x, ones([1, 3])], 0)],
    "running sums, and means over all axes": (x) => [cumulativeSum(x, 1), mean(x, { axes: 1 }), mean(x)],
    "attention among the rows": (x) => [matmul(softmax(matmul(x, transpose(x))), x)],
    "sums over the rows, of integers as well": (x) => [
      reduceSum(x, { axes: 0 }),
      reduceSum(iota([x.shape[0] ?? 0], 0)),
    ],
    "a loop whose states are rows": (x) => {
      const { carry, ys } = scan(
        (state: Tensor, row: Tensor) => ({ carry: tanh(add(state, row)), y: square(state) }),
        x,
        tensor([0.5, 1, -1]),
        { reverse: true },
      );
      return [carry, ys];
    },
    "picks of the rows, the last one among them": (x) => {
      const last = full([1], (x.shape[0] ?? 0) - 1, "i32");
      return [gather(x, concat([tensor([0, 1], { dtype: "i32" }), last]), 0)];
    },
  };
  for (const [what, fn] of Object.entries(openCases)) {
    it(`leaves a size open: ${what}`, async () => {
      const file = exportOnnx(fn, [zeros([2, 3])], {
        inputs: ["x0"],
        free: { name: "N", inputs: ["x0"] },
        checks: "none",
      });
      await withOnnxModel(file, async (run) => {
        for (const rows of [2, 3, 8]) {
          const given = waves([[rows, 3]]);
          assert.ok(compareWith(fn, given, resultsInOrder(await run(named(given, "x")))) > 0);
          compareWith(fn, given, readBack(file, given));
        }
      });
    });
  }

  it("has integers that wrap, divide and shift as the engine's do, and adds them up exactly", async () => {
    const edges = [0, 1, 2, 3, 7, 2 ** 15, 2 ** 16 - 1, 2 ** 30, 2 ** 31 - 1];
    const both = [...edges, ...edges.map((x) => -x), -(2 ** 31)];
    for (const dtype of ["i32", "u32"] as const) {
      const all = dtype === "i32" ? both : both.map((x) => x >>> 0);
      const pairs = all.flatMap((x) => all.map((y) => [x, y] as const));
      const given = [0, 1].map((side): RuntimeArray => {
        const numbers = pairs.map((pair) => pair[side] ?? 0);
        const data = dtype === "i32" ? Int32Array.from(numbers) : Uint32Array.from(numbers);
        return { dtype, shape: [pairs.length], data };
      });
      const fn: Traceable = (x, y) => {
        const [a, b] = [x, y] as [Tensor, Tensor];
        return [
          ...[add, subtract, multiply, truncateDivide, maximum, minimum, less].map((operation) => operation(a, b)),
          ...[0, 1, 13, 31].flatMap((amount) => [shiftLeft(a, amount), shiftRight(a, amount)]),
          ...[reduceSum(a), reduceMax(a), cast(a, "f32")],
        ];
      };
      const file = exportOnnx(fn, argumentsOf(given), { inputs: namesOf(2) });
      const results = resultsInOrder(await runOnnx(file, named(given, "x")));
      assert.equal(
        compareWith(fn, given, results),
        results.reduce((sum, { data }) => sum + data.length, 0),
      );
      compareWith(fn, given, readBack(file, given));
    }
  });

  it("draws the same random bits from a key that it is given", async () => {
    const fn = (key: Tensor): Tensor => randomBits(foldIn(key, 3), [5, 7]);
    const file = exportOnnx(fn, [randomKey(0)], { inputs: ["key"], outputs: ["bits"] });
    for (const seed of [0, 1, 2 ** 32 + 5]) {
      const key = randomKey(seed);
      const { bits } = await runOnnx(file, { key: await arrayOf(key) });
      assert.deepEqual([bits?.dtype, bits?.data], ["u32", await fn(key).data()]);
    }
  });

  it("writes a training step, whose weights and moments go in and come out", async () => {
    type Parameters = { readonly w: Tensor; readonly b: Tensor };
    const loss = ({ w, b }: Parameters, x: Tensor): Tensor => mean(square(tanh(add(matmul(x, w), b))));
    const step: Traceable = (...args) => {
      const [w, b, w1, b1, w2, b2, x, rate, first, second] = args as [...Tensor[]] & { readonly length: 10 };
      const tree = (one: Tensor | undefined, other: Tensor | undefined): Parameters => {
        return { w: one ?? assert.fail(), b: other ?? assert.fail() };
      };
      const scalarOf = (value: Tensor | undefined): Tensor => value ?? assert.fail();
      const { value, gradient } = valueAndGrad(loss)(tree(w, b), scalarOf(x));
      const moments = { first: tree(w1, b1), second: tree(w2, b2) };
      const corrections = { first: scalarOf(first), second: scalarOf(second) };
      const next = adamW(tree(w, b), gradient, moments, scalarOf(rate), corrections);
      return [value, ...treeLeaves(next).map((leaf) => leaf.tensor)];
    };
    const [matrix, row] = [[3, 2], [2]];
    const given = waves([matrix, row, matrix, row, matrix, row, [5, 3], [], [], []]).map((array, i): RuntimeArray => {
      // Second moments, rates and corrections are above 0.
      return i < 4 || i === 6 ? array : { ...array, data: array.data.map((value) => 0.1 + Math.abs(value)) };
    });
    const file = exportOnnx(step, argumentsOf(given), { inputs: namesOf(given.length) });
    const results = resultsInOrder(await runOnnx(file, named(given, "x")));
    assert.equal(results.length, 7);
    const elements = results.reduce((sum, { data }) => sum + data.length, 0);
    assert.equal(compareWith(step, given, results), elements);
  });
});
