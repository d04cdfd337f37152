import { importOnnx } from "../../../onnx/index.ts";
import type { GraphSpec, NodeSpec } from "../../../onnx/format/writeModel.ts";
import { varint } from "../../../onnx/format/writeWire.ts";
import { floatTensor, integerTensor, modelFile, tensorSpec } from "../../onnx/writeModel.ts";
import type { Mutation, Target } from "../target.ts";
import { mutateBytes } from "../mutate.ts";

const nodes: readonly NodeSpec[] = [
  {
    operator: "Conv",
    inputs: ["x", "w"],
    outputs: ["c"],
    attributes: { pads: { ints: [1, 1, 1, 1] }, group: { int: 1 } },
  },
  { operator: "Shape", inputs: ["c"], outputs: ["s"] },
  { operator: "Gather", inputs: ["s", "first"], outputs: ["n"] },
  { operator: "Concat", inputs: ["n", "rest"], outputs: ["to"], attributes: { axis: { int: 0 } } },
  { operator: "Reshape", name: "view", inputs: ["c", "to"], outputs: ["y"] },
];

const network: GraphSpec = {
  nodes,
  initializers: [
    floatTensor(
      "w",
      [2, 1, 3, 3],
      Array.from({ length: 18 }, (_, i) => i),
    ),
    integerTensor("first", [1], [0]),
    tensorSpec("rest", "i64", [1], { field: 7, integers: [-1], isPacked: true }),
  ],
  inputs: [{ name: "x", type: "f32", shape: ["n", 1, 4, 4] }],
  outputs: [{ name: "y", type: "f32", shape: ["n", 32] }],
};

const branching: GraphSpec = {
  nodes: [
    {
      operator: "Loop",
      inputs: ["count", "", "x"],
      outputs: ["y"],
      attributes: {
        body: {
          graph: {
            nodes: [
              { operator: "Identity", inputs: ["on"], outputs: ["goesOn"] },
              { operator: "LeakyRelu", inputs: ["state"], outputs: ["next"], attributes: { alpha: { float: 0.5 } } },
            ],
            inputs: [
              { name: "step", type: "i64", shape: [] },
              { name: "on", type: "bool", shape: [] },
              { name: "state", type: "f32", shape: [2] },
            ],
            outputs: [
              { name: "goesOn", type: "bool", shape: [] },
              { name: "next", type: "f32", shape: [2] },
            ],
          },
        },
      },
    },
  ],
  initializers: [integerTensor("count", [], [3])],
  inputs: [{ name: "x", type: "f32", shape: [2] }],
  outputs: [{ name: "y", type: "f32", shape: [2] }],
};

/** A byte becomes a number of any length, as those of fields, lengths and integers are written. */
const changeVarint: Mutation = (file, draw) => {
  const at = draw(file.length);
  const value = 2n ** BigInt(draw(65)) - BigInt(draw(3));
  return new Uint8Array(Buffer.concat([file.subarray(0, at), varint(value), file.subarray(at + 1)]));
};

export const onnxTarget: Target = {
  name: "onnx",
  samples: () => [modelFile(network), modelFile(branching, 13)],
  mutations: [mutateBytes, changeVarint],
  read: (file) => {
    const { parameters } = importOnnx(file);
    return file.length + Object.values(parameters).reduce((bytes, { size }) => bytes + 4 * size, 0);
  },
};
