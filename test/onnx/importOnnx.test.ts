/** Models become functions: trained further, compiled for other sizes, with shapes worked out while they are built. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import {
  add,
  compile,
  createDevice,
  EvenkeelError,
  grad,
  matmul,
  mean,
  multiply,
  relu,
  square,
  subtract,
  type Tensor,
  tensor,
} from "../../engine/index.ts";
import { type ImportedModel, importOnnx, type ModelInput } from "../../onnx/index.ts";
import { readOnnx } from "../../onnx/node.ts";
import type { AttributeSpec, GraphSpec, NodeSpec } from "../../onnx/format/writeModel.ts";
import { floatTensor, integerTensor, modelFile, stored } from "./writeModel.ts";

const wave = (length: number, phase: number): number[] =>
  Array.from({ length }, (_, i) => Math.fround(Math.sin(i + phase)));

/** relu(x W1 + b1) W2, as PyTorch writes a perceptron: weights of Gemm are transposed. */
const perceptron: GraphSpec = {
  nodes: [
    {
      operator: "Gemm",
      name: "/fc1/Gemm",
      inputs: ["x", "fc1.weight", "fc1.bias"],
      outputs: ["h"],
      attributes: { alpha: { float: 1 }, beta: { float: 1 }, transB: { int: 1 } },
    },
    { operator: "Relu", inputs: ["h"], outputs: ["r"] },
    { operator: "Gemm", inputs: ["r", "fc2.weight"], outputs: ["y"], attributes: { transB: { int: 1 } } },
  ],
  initializers: [
    floatTensor("fc1.weight", [5, 3], wave(15, 1)),
    floatTensor("fc1.bias", [5], wave(5, 2)),
    floatTensor("fc2.weight", [2, 5], wave(10, 3)),
  ],
  inputs: [{ name: "x", type: "f32", shape: ["batch", 3] }],
  outputs: [{ name: "y", type: "f32", shape: ["batch", 2] }],
};

const single = (node: NodeSpec, more: Partial<GraphSpec> = {}, opset?: number): ImportedModel =>
  importOnnx(
    modelFile(
      {
        nodes: [node],
        inputs: [{ name: "x", type: "f32", shape: [2, 3] }],
        outputs: [{ name: "y", type: "f32", shape: [] }],
        ...more,
      },
      opset,
    ),
  );

async function valuesOf(model: ImportedModel, inputs: Readonly<Record<string, ModelInput>>): Promise<number[]> {
  const device = await createDevice("oracle");
  try {
    const { y } = await compile(model.apply, { device })(model.parameters, inputs);
    return Array.from(await (y as Tensor).data());
  } finally {
    device.dispose();
  }
}

const x = tensor(wave(6, 0), { shape: [2, 3] });
const isCode =
  (code: string, pattern: RegExp) =>
  (error: unknown): boolean =>
    error instanceof EvenkeelError &&
    error.code === code &&
    pattern.test(error.message) &&
    !error.message.includes("\n");

describe("an imported model", () => {
  it("has its weights as parameters, and learns as a network written by hand does", async () => {
    const model = importOnnx(modelFile(perceptron));
    assert.deepEqual(Object.keys(model.parameters), ["fc1.weight", "fc1.bias", "fc2.weight"]);
    assert.deepEqual([model.statistics, model.notices], [[], []]);
    const target = tensor(wave(4, 5), { shape: [2, 2] });
    type Parameters = typeof model.parameters;
    const descend = (loss: (parameters: Parameters) => Tensor, parameters: Parameters): Parameters => {
      const gradients = grad(loss)(parameters);
      return Object.fromEntries(
        Object.entries(parameters).map(([name, value]) => [
          name,
          subtract(value, multiply(gradients[name] ?? value, 0.1)),
        ]),
      );
    };
    const byHand = (p: Parameters): Tensor => {
      const [w1, b1, w2] = ["fc1.weight", "fc1.bias", "fc2.weight"].map((name) => p[name] as Tensor) as [
        Tensor,
        Tensor,
        Tensor,
      ];
      return matmul(relu(add(matmul(x, w1.transpose()), b1)), w2.transpose());
    };
    const imported = (p: Parameters): Tensor => model.apply(p, { x })["y"] as Tensor;
    const step = (network: (p: Parameters) => Tensor) => (p: Parameters) =>
      descend((own) => mean(square(subtract(network(own), target))), p);
    const device = await createDevice("wasm");
    try {
      const stepped = await compile(step(imported), { device })(model.parameters);
      const expected = await compile(step(byHand), { device })(model.parameters);
      for (const [name, value] of Object.entries(expected)) {
        assert.deepEqual(await (stepped[name] as Tensor).data(), await value.data(), name);
        assert.notDeepEqual(await value.data(), await (model.parameters[name] as Tensor).data(), name);
      }
    } finally {
      device.dispose();
    }
  });

  it("takes any size where the file has a name, the same one everywhere", async () => {
    const model = importOnnx(modelFile(perceptron));
    assert.equal((await valuesOf(model, { x })).length, 4);
    assert.equal((await valuesOf(model, { x: tensor(wave(12, 0), { shape: [4, 3] }) })).length, 8);
    assert.throws(() => model.apply(model.parameters, { x: tensor([1, 2]) }), isCode("shape", /input "x" is \[2\]/));
    assert.throws(() => model.apply(model.parameters, {}), isCode("value", /input "x" is missing/));
    assert.throws(() => model.apply(model.parameters, { x, z: x }), isCode("value", /"z" is no input/));
    assert.throws(() => model.apply({}, { x }), isCode("value", /parameter "fc1.weight" is missing/));
  });

  it("works out shapes as PyTorch's exports compute them", async () => {
    // x.view(x.size(0), -1)[:, 1:] with the end that such exports have.
    const nodes: NodeSpec[] = [
      { operator: "Shape", inputs: ["x"], outputs: ["shape"] },
      { operator: "Gather", inputs: ["shape", "zero"], outputs: ["batch"], attributes: { axis: { int: 0 } } },
      { operator: "Mul", inputs: ["batch", "one"], outputs: ["same"] },
      { operator: "Unsqueeze", inputs: ["same", "axes"], outputs: ["row"] },
      { operator: "Concat", inputs: ["row", "rest"], outputs: ["view"], attributes: { axis: { int: 0 } } },
      { operator: "Reshape", inputs: ["x", "view"], outputs: ["flat"] },
      { operator: "Unsqueeze", inputs: ["far", "axes"], outputs: ["ends"] },
      { operator: "Slice", inputs: ["flat", "starts", "ends", "places"], outputs: ["y"] },
    ];
    const model = importOnnx(
      modelFile({
        nodes,
        initializers: [
          integerTensor("zero", [], [0]),
          integerTensor("one", [], [1]),
          integerTensor("axes", [1], [0]),
          integerTensor("rest", [1], [-1]),
          integerTensor("far", [], [2n ** 63n - 1n]),
          integerTensor("starts", [1], [1]),
          integerTensor("places", [1], [1]),
        ],
        inputs: [{ name: "x", type: "f32", shape: ["n", "a", "b"] }],
        outputs: [{ name: "y", type: "f32", shape: ["n", "c"] }],
      }),
    );
    assert.deepEqual(model.parameters, {});
    const given = tensor(wave(8, 0), { shape: [2, 2, 2] });
    assert.deepEqual(
      await valuesOf(model, { x: given }),
      [1, 2, 3, 5, 6, 7].map((i) => wave(8, 0)[i]),
    );
  });

  it("takes inputs that decide about shapes as numbers, and says which", async () => {
    const model = single(
      { operator: "Reshape", name: "view", inputs: ["x", "to"], outputs: ["y"] },
      {
        inputs: [
          { name: "x", type: "f32", shape: [2, 3] },
          { name: "to", type: "i64", shape: ["rank"] },
        ],
      },
    );
    assert.deepEqual(
      model.inputs.map(({ name, decidesShapes }) => [name, decidesShapes]),
      [
        ["x", false],
        ["to", true],
      ],
    );
    assert.deepEqual(model.notices, ["64-bit integers are computed as 32-bit ones; constants are checked to fit."]);
    assert.deepEqual(await valuesOf(model, { x, to: [3, -1] }), wave(6, 0));
    const asTensor = compile(model.apply)(model.parameters, { x, to: tensor(Int32Array.of(3, 2)) });
    await assert.rejects(asTensor, isCode("trace", /Reshape "view": "to" decides.*plain numbers/));
  });

  it("tells running statistics from what is trained", () => {
    const statistics = ["mean", "variance"];
    const model = single(
      { operator: "BatchNormalization", inputs: ["x", "scale", "bias", ...statistics], outputs: ["y"] },
      { initializers: ["scale", "bias", ...statistics].map((name) => floatTensor(name, [3], [1, 2, 3])) },
    );
    assert.deepEqual(model.statistics, statistics);
  });

  it("chooses a branch by a known condition, and between both by any other", async () => {
    const branch = (operator: string): AttributeSpec => ({
      graph: {
        nodes: [{ operator, inputs: ["x"], outputs: [`of${operator}`] }],
        inputs: [],
        outputs: [{ name: `of${operator}`, type: "f32", shape: [2, 3] }],
      },
    });
    const model = single(
      {
        operator: "If",
        inputs: ["is"],
        outputs: ["y"],
        attributes: { then_branch: branch("Neg"), else_branch: branch("Abs") },
      },
      {
        inputs: [
          { name: "x", type: "f32", shape: [2, 3] },
          { name: "is", type: "bool", shape: [] },
        ],
      },
    );
    const [negated, absolute] = [wave(6, 0).map((value) => -value), wave(6, 0).map(Math.abs)];
    assert.deepEqual(await valuesOf(model, { x, is: true }), negated);
    assert.deepEqual(await valuesOf(model, { x, is: tensor(true) }), negated);
    assert.deepEqual(await valuesOf(model, { x, is: tensor(false) }), absolute);
  });

  it("is read from a folder with the files beside it", async () => {
    const folder = mkdtempSync(join(tmpdir(), "evenkeel-onnx-"));
    try {
      const external = (location: string): Uint8Array =>
        modelFile({
          ...perceptron,
          initializers: (perceptron.initializers ?? []).map((spec) =>
            spec.name === "fc2.weight" ? { ...spec, elements: stored({ external: { location, offset: "8" } }) } : spec,
          ),
        });
      writeFileSync(join(folder, "weights"), Buffer.from(Float32Array.from([9, 9, ...wave(10, 3)]).buffer));
      writeFileSync(join(folder, "model.onnx"), external("weights"));
      const model = await readOnnx(join(folder, "model.onnx"));
      assert.deepEqual(await valuesOf(model, { x }), await valuesOf(importOnnx(modelFile(perceptron)), { x }));
      writeFileSync(join(folder, "elsewhere.onnx"), external("../weights"));
      await assert.rejects(readOnnx(join(folder, "elsewhere.onnx")), isCode("file", /not beside the model/));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe("what can't be imported", () => {
  const refused = (node: Partial<NodeSpec>, pattern: RegExp, opset?: number): void => {
    const spec: NodeSpec = { operator: "Relu", name: "here", inputs: ["x"], outputs: ["y"], ...node };
    assert.throws(() => single(spec, {}, opset), isCode("value", pattern));
  };

  it("is named: operators, attributes, their kinds and values", () => {
    refused({ operator: "Rolu" }, /operators that are not known in version 17: "Rolu"/);
    refused({ operator: "NonMaxSuppression" }, /"NonMaxSuppression" \(has a result whose shape depends on data\)/);
    refused({ operator: "HardSwish" }, /not known in version 13: "HardSwish"/, 13);
    refused({ attributes: { slope: { float: 1 } } }, /Relu "here": attribute "slope" is not known/);
    refused({ operator: "Elu", attributes: { alpha: { int: 1 } } }, /Elu "here": attribute alpha is of kind integer/);
    refused({ operator: "Concat" }, /Concat "here": attribute axis is missing/);
    refused(
      { operator: "DepthToSpace", attributes: { blocksize: { int: 1 }, mode: { text: "A" } } },
      /expected DCR, CRD/,
    );
  });

  it("is said of files of newer versions, and of values that nothing makes", () => {
    const node: NodeSpec = { operator: "Relu", name: "here", inputs: ["z"], outputs: ["y"] };
    assert.throws(() => single(node, {}, 99), isCode("file", /version 99/));
    const model = single(node);
    assert.throws(() => model.apply({}, { x }), isCode("file", /Relu "here": "z" is made by no node/));
  });

  it("is said of shapes that depend on data, and of integers beyond 32 bits", async () => {
    const sum: NodeSpec[] = [
      { operator: "Cast", inputs: ["x"], outputs: ["i"], attributes: { to: { int: 7 } } },
      { operator: "ConstantOfShape", name: "make", inputs: ["i"], outputs: ["y"] },
    ];
    const bySize = importOnnx(
      modelFile({
        nodes: sum,
        inputs: [{ name: "x", type: "f32", shape: [1] }],
        outputs: [{ name: "y", type: "f32", shape: ["n"] }],
      }),
    );
    await assert.rejects(
      compile(bySize.apply)({}, { x: tensor([2]) }),
      isCode("trace", /ConstantOfShape "make": "i" decides/),
    );
    const large = single(
      { operator: "Add", name: "plus", inputs: ["k", "large"], outputs: ["y"] },
      {
        inputs: [{ name: "k", type: "i64", shape: [] }],
        outputs: [{ name: "y", type: "i64", shape: [] }],
        initializers: [integerTensor("large", [], [2n ** 40n])],
      },
    );
    assert.throws(
      () => large.apply({}, { k: tensor(Int32Array.of(1), { shape: [] }) }),
      isCode("value", /1099511627776 is beyond/),
    );
  });
});
