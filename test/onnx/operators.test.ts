/** Operators and versions that the ONNX project's tests of version 1.12 don't have, against their definitions. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { compile, createDevice, type Device, grad, reduceSum, type Tensor, tensor } from "../../engine/index.ts";
import { importOnnx } from "../../onnx/index.ts";
import { TensorValue } from "../../onnx/build/value.ts";
import type { OnnxTensor } from "../../onnx/format/model.ts";
import type { ElementType } from "../../onnx/format/elementTypes.ts";
import type { AttributeSpec, TensorSpec } from "../../onnx/format/writeModel.ts";
import { floatTensor, integerTensor, modelFile, stored } from "./writeModel.ts";

type Case = {
  readonly what: string;
  readonly operator: string;
  readonly opset: number;
  readonly attributes?: Readonly<Record<string, AttributeSpec>>;
  /** The first input, of f32 unless said. */
  readonly x: { readonly shape: readonly number[]; readonly values: readonly number[]; readonly type?: ElementType };
  /** The others, which are initializers. */
  readonly more?: readonly TensorSpec[];
  readonly outputs?: number;
  readonly expected: readonly (readonly number[])[];
};

async function run(
  { operator, opset, attributes = {}, x, more = [], outputs = 1 }: Case,
  device: Device,
): Promise<number[][]> {
  const names = Array.from({ length: outputs }, (_, i) => `y${i}`);
  const type = x.type ?? "f32";
  const file = modelFile(
    {
      nodes: [{ operator, inputs: ["x", ...more.map(({ name }) => name)], outputs: names, attributes }],
      initializers: more,
      inputs: [{ name: "x", type, shape: x.shape }],
      outputs: names.map((name) => ({ name, type: "f32", shape: [] })),
    },
    opset,
  );
  const model = importOnnx(file);
  const data = type === "f32" ? Float32Array.from(x.values) : Float64Array.from(x.values);
  const given: OnnxTensor = { name: "x", type, shape: x.shape, data };
  const results = await compile(model.apply, { device })(model.parameters, { x: TensorValue.ofFile(given).tensor });
  return Promise.all(names.map(async (name) => Array.from(await (results[name] as Tensor).data())));
}

const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
const vector = (values: readonly number[]) => ({ shape: [values.length], values });
const byteTensor = (name: string, shape: readonly number[], values: readonly number[]): TensorSpec => ({
  name,
  type: "u8",
  shape,
  elements: stored({ raw: Uint8Array.from(values) }),
});

const grid = { shape: [1, 1, 2, 4], values: [1, 2, 3, 4, 5, 6, 7, 8] };
const root = Math.sqrt;

const cases: readonly Case[] = [
  {
    what: "axes of reductions as inputs",
    operator: "ReduceMean",
    opset: 18,
    attributes: { keepdims: { int: 0 } },
    x: { shape: [2, 3], values: [1, 2, 6, 4, 5, 0] },
    more: [integerTensor("axes", [1], [-1])],
    expected: [[3, 3]],
  },
  {
    what: "reductions over nothing that leave all as it is",
    operator: "ReduceMax",
    opset: 18,
    attributes: { noop_with_empty_axes: { int: 1 } },
    x: vector([3, 1]),
    expected: [[3, 1]],
  },
  {
    what: "a number of pieces",
    operator: "Split",
    opset: 18,
    attributes: { num_outputs: { int: 2 } },
    x: vector([1, 2, 3, 4, 5]),
    outputs: 2,
    expected: [
      [1, 2, 3],
      [4, 5],
    ],
  },
  {
    what: "padding of named axes, around the other end",
    operator: "Pad",
    opset: 19,
    attributes: { mode: { text: "wrap" } },
    x: { shape: [1, 3], values: [1, 2, 3] },
    more: [
      integerTensor("pads", [2], [1, 2]),
      { name: "", type: "f32", shape: [], elements: stored({ floats: [0] }) },
      integerTensor("axes", [1], [1]),
    ],
    expected: [[3, 1, 2, 3, 1, 2]],
  },
  {
    what: "padding that takes away",
    operator: "Pad",
    opset: 18,
    x: vector([1, 2, 3, 4]),
    more: [integerTensor("pads", [2], [-1, 1]), floatTensor("value", [], [9])],
    expected: [[2, 3, 4, 9]],
  },
  {
    what: "writing the largest",
    operator: "ScatterElements",
    opset: 18,
    attributes: { reduction: { text: "max" } },
    x: vector([1, 5, 3]),
    more: [integerTensor("places", [3], [0, 1, -3]), floatTensor("updates", [3], [2, 4, 7])],
    expected: [[7, 5, 3]],
  },
  {
    what: "picks from a part of the other axes",
    operator: "GatherElements",
    opset: 13,
    attributes: { axis: { int: 1 } },
    x: { shape: [2, 2], values: [1, 2, 3, 4] },
    more: [integerTensor("places", [1, 3], [1, 0, -1])],
    expected: [[2, 1, 2]],
  },
  {
    what: "writing into a part of the other axes",
    operator: "ScatterElements",
    opset: 16,
    attributes: { axis: { int: 1 } },
    x: { shape: [2, 2], values: [1, 2, 3, 4] },
    more: [integerTensor("places", [1, 1], [1]), floatTensor("updates", [1, 1], [9])],
    expected: [[1, 9, 3, 4]],
  },
  {
    what: "gelu",
    operator: "Gelu",
    opset: 20,
    attributes: { approximate: { text: "tanh" } },
    x: vector([1, -2]),
    expected: [[1, -2].map((x) => 0.5 * x * (1 + Math.tanh(root(2 / Math.PI) * (x + 0.044715 * x ** 3))))],
  },
  {
    what: "mish",
    operator: "Mish",
    opset: 18,
    x: vector([1, -2]),
    expected: [[1, -2].map((x) => x * Math.tanh(Math.log1p(Math.exp(x))))],
  },
  {
    what: "groups of channels with a scale each",
    operator: "GroupNormalization",
    opset: 18,
    attributes: { num_groups: { int: 2 }, epsilon: { float: 0 } },
    x: { shape: [1, 4, 1], values: [1, 3, 5, 9] },
    more: [floatTensor("scale", [2], [1, 2]), floatTensor("bias", [2], [0, 10])],
    expected: [[-1, 1, 8, 12]],
  },
  {
    what: "groups of channels, with a scale for each channel",
    operator: "GroupNormalization",
    opset: 21,
    attributes: { num_groups: { int: 2 }, epsilon: { float: 0 } },
    x: { shape: [1, 4, 1], values: [1, 3, 5, 9] },
    more: [floatTensor("scale", [4], [1, 2, 3, 4]), floatTensor("bias", [4], [0, 0, 0, 1])],
    expected: [[-1, 2, -3, 5]],
  },
  {
    what: "norms along an axis as units",
    operator: "LpNormalization",
    opset: 13,
    attributes: { p: { int: 1 } },
    x: { shape: [2, 2], values: [1, -3, 2, 2] },
    expected: [[0.25, -0.75, 0.5, 0.5]],
  },
  {
    what: "norms of windows",
    operator: "LpPool",
    opset: 11,
    attributes: { kernel_shape: { ints: [2, 2] }, strides: { ints: [2, 2] } },
    x: grid,
    expected: [[root(1 + 4 + 25 + 36), root(9 + 16 + 49 + 64)]],
  },
  {
    what: "norms of images",
    operator: "GlobalLpPool",
    opset: 13,
    attributes: { p: { int: 1 } },
    x: grid,
    expected: [[36]],
  },
  {
    what: "means of windows with gaps",
    operator: "AveragePool",
    opset: 19,
    attributes: { kernel_shape: { ints: [1, 2] }, dilations: { ints: [1, 2] } },
    x: grid,
    expected: [[2, 3, 6, 7]],
  },
  {
    what: "shrinking with wider weights",
    operator: "Resize",
    opset: 18,
    attributes: { mode: { text: "linear" }, antialias: { int: 1 }, axes: { ints: [3] } },
    x: grid,
    more: [floatTensor("roi", [0], []), floatTensor("scales", [1], [0.5])],
    // Weights (1, 3, 3, 1) / 8 by distances 3/2 and 1/2 of 2, where elements at the edges go on.
    expected: [[13 / 8, 27 / 8, 45 / 8, 59 / 8]],
  },
  {
    what: "sizes that keep proportions",
    operator: "Resize",
    opset: 18,
    attributes: { mode: { text: "nearest" }, axes: { ints: [2, 3] }, keep_aspect_ratio_policy: { text: "not_larger" } },
    x: grid,
    more: [floatTensor("roi", [0], []), floatTensor("scales", [0], []), integerTensor("sizes", [2], [2, 2])],
    expected: [[1, 3]],
  },
  {
    what: "a transform along an axis that is an input",
    operator: "DFT",
    opset: 20,
    x: { shape: [2, 1], values: [1, 3] },
    more: [integerTensor("length", [1], [2]), integerTensor("axis", [], [0])],
    expected: [[4, 0, -2, 0]],
  },
  {
    what: "bits",
    operator: "BitwiseXor",
    opset: 18,
    x: { ...vector([6, 7]), type: "i64" },
    more: [integerTensor("y", [2], [3, 7])],
    expected: [[5, 0]],
  },
  {
    what: "sums of 8-bit products that are exact beyond float32's integers",
    operator: "MatMulInteger",
    opset: 10,
    x: { shape: [1, 601], values: upTo(601).map(() => 255), type: "u8" },
    more: [
      byteTensor(
        "b",
        [601, 1],
        upTo(601).map((i) => (i === 0 ? 254 : 255)),
      ),
    ],
    expected: [[601 * 255 * 255 - 255]],
  },
  {
    what: "convolutions of 8-bit numbers that are exact beyond float32's integers",
    operator: "ConvInteger",
    opset: 10,
    x: { shape: [1, 301, 1, 2], values: upTo(602).map(() => 255), type: "u8" },
    more: [
      byteTensor(
        "w",
        [1, 301, 1, 2],
        upTo(602).map((i) => (i === 0 ? 254 : 255)),
      ),
    ],
    expected: [[602 * 255 * 255 - 255]],
  },
  {
    what: "integers of 8 bits that wrap",
    operator: "Add",
    opset: 14,
    x: { ...vector([250, 3]), type: "u8" },
    more: [byteTensor("y", [2], [10, 4])],
    expected: [[4, 7]],
  },
];

describe("operators", () => {
  for (const each of cases) {
    it(`${each.operator} of opset ${each.opset}: ${each.what}`, async () => {
      const device = await createDevice("oracle");
      try {
        const results = await run(each, device);
        assert.equal(results.length, each.expected.length);
        each.expected.forEach((wanted, i) => {
          const got = results[i] ?? [];
          assert.equal(got.length, wanted.length, `${got.join()} for ${wanted.join()}`);
          wanted.forEach((value, k) =>
            assert.ok(
              Math.abs((got[k] ?? NaN) - value) <= 1e-6 * (1 + Math.abs(value)),
              `${got.join()} for ${wanted.join()}`,
            ),
          );
        });
      } finally {
        device.dispose();
      }
    });
  }
});

describe("activations of models at their kinks", () => {
  it("have the derivatives of PyTorch", async () => {
    const cases = [
      { operator: "Celu", more: [], wanted: [Math.exp(-1 / 2), 1, 1] },
      { operator: "PRelu", more: [floatTensor("slope", [], [0.25])], wanted: [0.25, 0.25, 1] },
    ];
    for (const { operator, more, wanted } of cases) {
      const attributes: Readonly<Record<string, AttributeSpec>> = operator === "Celu" ? { alpha: { float: 2 } } : {};
      const { apply, parameters } = importOnnx(
        modelFile({
          nodes: [{ operator, inputs: ["x", ...more.map(({ name }) => name)], outputs: ["y"], attributes }],
          initializers: more,
          inputs: [{ name: "x", type: "f32", shape: [3] }],
          outputs: [{ name: "y", type: "f32", shape: [3] }],
        }),
      );
      const slope = grad((x: Tensor) => reduceSum(apply(parameters, { x })["y"] as Tensor))(tensor([-1, 0, 2]));
      const got = await slope.data();
      wanted.forEach((value, i) => assert.ok(Math.abs((got[i] ?? NaN) - value) < 1e-6, `${operator}: ${got.join()}`));
    }
  });
});
