import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  countUses,
  type Graph,
  makeNode,
  rewriteGraph,
  topologicalOrder,
  withInputs,
} from "../../../engine/graph/graph.ts";
import type { Node, NodeOf, PrimitiveKind, Primitives } from "../../../engine/graph/node.ts";
import { printGraph } from "../../../engine/graph/print.ts";
import { verifyGraph } from "../../../engine/graph/verify.ts";
import type { DType, ErrorCode } from "../../../engine/index.ts";
import { grad, multiply, reduceSum, sin, Tensor } from "../../../engine/index.ts";
import { refuses } from "../../support/plain.ts";

const input = (shape: readonly number[], dtype: DType = "f32"): NodeOf<"input"> =>
  makeNode("input", [], { dtype, shape, name: "x" });
const negate = (x: Node): Node => makeNode("unary", [x], { op: "negate" });
const add = (x: Node, y: Node): Node => makeNode("binary", [x, y], { op: "add" });

describe("graphs", () => {
  it("are ordered with inputs before users, each node once", () => {
    const x = input([2]);
    const shared = negate(x);
    const outputs = [add(shared, add(shared, x)), shared];
    const order = topologicalOrder(outputs);
    assert.equal(new Set(order).size, order.length);
    assert.equal(order.length, 4);
    for (const [place, node] of order.entries()) {
      assert.ok(node.inputs.every((before) => order.indexOf(before) < place));
    }
    const uses = countUses({ inputs: [x], outputs });
    assert.deepEqual([uses.get(x), uses.get(shared)], [2, 3]);
  });

  it("may be deeper than the call stack, derivatives included", () => {
    const f = (x: Tensor): Tensor => {
      let y = x;
      for (let i = 0; i < 30_000; i++) y = sin(y);
      return reduceSum(multiply(y, x));
    };
    const x = new Tensor(input([2]));
    assert.ok(topologicalOrder([grad(f)(x).node]).length > 90_000);
  });

  it("are rewritten from the inputs up, and stay themselves where nothing changes", () => {
    const x = input([2]);
    const y = add(negate(negate(x)), x);
    const graph: Graph = { inputs: [x], outputs: [y, x] };
    assert.deepEqual(rewriteGraph(graph, (node) => node).outputs, [y, x]);
    const rewritten = rewriteGraph(graph, (node) => (node.kind === "unary" ? node.inputs[0] : node));
    assert.equal(printGraph(rewritten), ["%0 f32 [2] = input x", "%1 f32 [2] = add %0 %0", "return %1 %0"].join("\n"));
    assert.equal(withInputs(y, y.inputs), y);
  });

  it("are verified: rules, inputs and outputs", () => {
    const x = input([2]);
    const before: Graph = { inputs: [x], outputs: [negate(x)] };
    verifyGraph("keep", before, before);
    const spoiled = { ...negate(x), shape: [3] } as Node;
    assert.throws(
      () => verifyGraph("spoil", before, { inputs: [x], outputs: [spoiled] }),
      /pass spoil: node \d+ \(unary f32 \[3\]\): the rule gives f32 \[2\]/,
    );
    assert.throws(
      () => verifyGraph("invent", before, { inputs: [x], outputs: [negate(input([2]))] }),
      /is not an input of the graph/,
    );
    assert.throws(() => verifyGraph("lose", before, { inputs: [x], outputs: [] }), /outputs were f32\[2\], are $/);
    assert.throws(() => verifyGraph("grow", before, { inputs: [x], outputs: [negate(negate(x)), x] }), /outputs were/);
  });
});

describe("a primitive refuses", () => {
  const [x, y, i, u, b] = [
    input([2, 3]),
    input([3, 2]),
    input([2, 3], "i32"),
    input([2, 3], "u32"),
    input([2, 3], "bool"),
  ];
  const image = input([1, 2, 4, 4]);
  const filter = input([2, 2, 3, 3]);
  const geometry = {
    inputSize: [4, 4],
    kernelSize: [3, 3],
    outputSize: [2, 2],
    stride: [1, 1],
    padding: [0, 0],
    dilation: [1, 1],
    groups: 1,
  } as const;
  const refusesNode = <K extends PrimitiveKind>(
    kind: K,
    inputs: Primitives[K]["inputs"],
    attributes: Primitives[K]["attributes"],
    code: ErrorCode,
    message: RegExp,
  ): void => {
    it(`${kind}: ${message.source}`, () => refuses(() => makeNode(kind, inputs, attributes), code, message));
  };

  refusesNode("constant", [], { dtype: "f32", shape: [3], data: new Float32Array(2) }, "shape", /2 elements for \[3\]/);
  refusesNode("iota", [], { dtype: "f32", shape: [3], axis: 1 }, "axis", /axis 1 of \[3\]/);
  refusesNode("iota", [], { dtype: "bool", shape: [3], axis: 0 }, "dtype", /bool is not supported/);
  refusesNode("binary", [x, y], { op: "add" }, "shape", /add: inputs of different shapes: \[2, 3\], \[3, 2\]/);
  refusesNode("binary", [x, i], { op: "add" }, "dtype", /add: inputs of different dtypes: f32, i32/);
  refusesNode("binary", [x, x], { op: "xor" }, "dtype", /xor: dtype f32/);
  refusesNode("unary", [b], { op: "floor" }, "dtype", /floor: dtype bool/);
  refusesNode("compare", [b, b], { op: "lessEqual" }, "dtype", /lessEqual: dtype bool/);
  refusesNode("compare", [x, i], { op: "equal" }, "dtype", /different dtypes/);
  refusesNode("select", [x, x, x], {}, "dtype", /select: dtype f32/);
  refusesNode("select", [b, x, i], {}, "dtype", /different dtypes: f32, i32/);
  refusesNode("select", [b, x, y], {}, "shape", /different shapes/);
  refusesNode("shift", [x], { direction: "left", amount: 1 }, "dtype", /shift: dtype f32/);
  refusesNode("shift", [u], { direction: "left", amount: 32 }, "range", /amount 32/);
  refusesNode("threefry", [u, u, u, i], { word: 0 }, "dtype", /threefry: dtype i32/);
  refusesNode("reduce", [b], { op: "sum", axes: [0] }, "dtype", /reduce \(sum\): dtype bool/);
  refusesNode("reduce", [x], { op: "max", axes: [1, 0] }, "axis", /not ascending and in range/);
  refusesNode("reduce", [x], { op: "max", axes: [2] }, "axis", /not ascending and in range/);
  refusesNode("reduce", [x], { op: "max", axes: [0, 0] }, "axis", /not ascending and in range/);
  refusesNode("reshape", [x], { shape: [5] }, "shape", /\[2, 3\] has 6 elements, \[5\] has 5/);
  refusesNode("permute", [x], { order: [0, 0] }, "axis", /is not an order of the axes/);
  refusesNode("permute", [x], { order: [0] }, "axis", /is not an order of the axes/);
  refusesNode("expand", [x], { shape: [2, 6] }, "shape", /\[2, 3\] can't become \[2, 6\]/);
  refusesNode("expand", [x], { shape: [1, 2, 3] }, "shape", /can't become/);
  refusesNode("slice", [x], { start: [0], size: [1], step: [1] }, "shape", /wrong rank/);
  refusesNode("slice", [x], { start: [0, 0], size: [1, 1], step: [1, 0] }, "range", /axis 1: size 1, step 0/);
  refusesNode(
    "slice",
    [x],
    { start: [0, 2], size: [1, 2], step: [1, 1] },
    "range",
    /axis 1 of size 3: elements 2 to 3/,
  );
  refusesNode("slice", [x], { start: [0, 0], size: [1, 2], step: [1, -1] }, "range", /elements 0 to -1/);
  refusesNode("pad", [x], { low: [0, -1], high: [0, 0], value: 0 }, "range", /low \[0, -1\]/);
  refusesNode("pad", [x], { low: [0], high: [0, 0], value: 0 }, "range", /low \[0\]/);
  refusesNode("pad", [i], { low: [0, 0], high: [0, 0], value: 0.5 }, "value", /value 0\.5 for dtype i32/);
  refusesNode("concat", [], { axis: 0 }, "shape", /nothing to concatenate/);
  refusesNode("concat", [x, y], { axis: 0 }, "shape", /differ outside of axis 0/);
  refusesNode("concat", [x, i], { axis: 0 }, "dtype", /different dtypes/);
  refusesNode("gather", [x, u], { axis: 0 }, "dtype", /gather: dtype u32/);
  refusesNode("gather", [x, input([2, 2], "i32")], { axis: 0 }, "shape", /index \[2, 2\] along axis 0/);
  refusesNode("gather", [input([0]), input([1], "i32")], { axis: 0 }, "range", /is empty, nothing to take/);
  for (const op of ["sum", "max"] as const) {
    refusesNode("scatter", [x, u], { op, axis: 0, size: 2 }, "dtype", /scatter \((sum|max)\): dtype u32/);
    refusesNode("scatter", [x, input([2], "i32")], { op, axis: 0, size: 2 }, "shape", /index \[2\] along axis 0/);
    refusesNode("scatter", [x, input([2, 2], "i32")], { op, axis: 1, size: 2 }, "shape", /index \[2, 2\] along axis 1/);
    refusesNode("scatter", [x, i], { op, axis: 0, size: 0 }, "range", /into axis 0 of size 0/);
    refusesNode("scatter", [x, i], { op, axis: 0, size: 1.5 }, "range", /of size 1\.5/);
  }
  refusesNode("check", [x, i], { message: "" }, "dtype", /check: dtype i32/);
  refusesNode("matmul", [x, y], {}, "shape", /matmul: \[2, 3\] @ \[3, 2\]/);
  refusesNode("matmul", [input([1, 2, 3]), input([2, 3, 2])], {}, "shape", /\[1, 2, 3\] @ \[2, 3, 2\]/);
  refusesNode("conv", [image, x], { role: "forward", geometry }, "shape", /needs rank 4/);
  refusesNode("conv", [input([1, 3, 4, 4]), filter], { role: "forward", geometry }, "shape", /don't fit with 1 groups/);
  refusesNode(
    "conv",
    [filter, filter],
    { role: "forward", geometry },
    "shape",
    /x \[2, 2, 3, 3\] should end in \[4, 4\]/,
  );
  refusesNode(
    "conv",
    [image, filter],
    { role: "inputGradient", geometry },
    "shape",
    /y \[1, 2, 4, 4\] should end in \[2, 2\]/,
  );
  refusesNode("conv", [image, input([2, 2, 2, 2])], { role: "filterGradient", geometry }, "shape", /don't fit/);
});
