import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { vjpRules } from "../../../engine/grad/vjpRules.ts";
import { makeNode, topologicalOrder } from "../../../engine/graph/graph.ts";
import type { ConvRole, Node, NodeOf, PrimitiveKind } from "../../../engine/graph/node.ts";
import { binaryOps, unaryOps } from "../../../engine/graph/node.ts";
import { operationName } from "../../../engine/graph/print.ts";
import { tensor, Tensor } from "../../../engine/index.ts";
import * as ops from "../../../engine/ops/index.ts";
import { convOfRole } from "../../../engine/ops/conv.ts";
import { operationCases } from "../../arbitraries/operationCases.ts";
import { between, checkDerivative, type Differentiable, gradientOf, on } from "../../../testing/laws/derivatives.ts";
import { composedSubjects } from "./composedSubjects.ts";

const index = (values: readonly number[]): Tensor => tensor(Int32Array.from(values));
const index1 = ops.scalar(1, "i32");
/** Of [2, 4, 2] along axis 1, some several times. */
const perPlace = tensor(Int32Array.of(3, 1, 0, 1, 3, 1, 2, 0, 2, 3, 2, 2), { shape: [2, 3, 2] });
/** Of [2, 3, ..], one twice. */
const coordinates = tensor(Int32Array.of(1, 2, 0, 0, 1, 2, 0, 1), { shape: [4, 2] });
/** What makes values differ, so that maxima keep their place. */
const apart = tensor(Float32Array.of(10, 20, -10, -20, 30, -30), { shape: [1, 3, 2] });

function convolution(role: ConvRole, options: ops.Conv2dOptions): Differentiable {
  const [x, w] = [
    [2, 4, 5, 6],
    [4, options.groups === 2 ? 2 : 4, 3, 2],
  ] as const;
  const { node } = ops.conv2d(ops.zeros(x), ops.zeros(w), options);
  if (node.kind !== "conv") throw new Error("conv2d makes a conv node");
  const { geometry } = node.attributes;
  const shapes = { forward: [x, w], inputGradient: [node.shape, w], filterGradient: [x, node.shape] }[role];
  return on((a, b) => convOfRole(role, geometry, a, b), ...shapes);
}

const convolutions = (["forward", "inputGradient", "filterGradient"] as const).flatMap((role) =>
  [
    {},
    { stride: 2, padding: 1 },
    { dilation: [1, 2] as const, padding: "same" as const },
    { groups: 2, stride: [1, 3] as const },
    {
      padding: [
        [0, 3],
        [2, 0],
      ] as const,
      stride: [3, 2] as const,
      dilation: 2,
    },
  ].map((options): readonly [string, Differentiable] => [
    `${role} ${JSON.stringify(options)}`,
    convolution(role, options),
  ]),
);

/** One or more differentiable uses of each operation; several names may end in different suffixes after a space. */
const subjects: readonly (readonly [string, Differentiable])[] = [
  // Each element-wise operation on a range where it is smooth.
  ["negate", on((x) => ops.negate(x), [2, 3])],
  [
    "absolute",
    between(
      0.2,
      2,
      on((x) => ops.absolute(x), [2, 3]),
    ),
  ],
  [
    "absolute of negatives",
    between(
      -2,
      -0.2,
      on((x) => ops.absolute(x), [2, 3]),
    ),
  ],
  [
    "sign",
    between(
      0.2,
      2,
      on((x) => ops.sign(x), [2, 3]),
    ),
  ],
  [
    "floor",
    between(
      0.2,
      0.8,
      on((x) => ops.floor(x), [2, 3]),
    ),
  ],
  ["exp", on((x) => ops.exp(x), [2, 3])],
  ["expm1", on((x) => ops.expm1(x), [2, 3])],
  [
    "log",
    between(
      0.3,
      3,
      on((x) => ops.log(x), [2, 3]),
    ),
  ],
  [
    "log1p",
    between(
      -0.5,
      3,
      on((x) => ops.log1p(x), [2, 3]),
    ),
  ],
  [
    "sqrt",
    between(
      0.3,
      3,
      on((x) => ops.sqrt(x), [2, 3]),
    ),
  ],
  ["sin", on((x) => ops.sin(x), [2, 3])],
  ["cos", on((x) => ops.cos(x), [2, 3])],
  ["tanh", on((x) => ops.tanh(x), [2, 3])],
  ["sigmoid", on((x) => ops.sigmoid(x), [2, 3])],
  ["silu", on((x) => ops.silu(x), [2, 3])],
  [
    "relu",
    between(
      0.2,
      2,
      on((x) => ops.relu(x), [2, 3]),
    ),
  ],
  ["square", on((x) => ops.square(x), [2, 3])],
  ...composedSubjects,
  [
    "reciprocal",
    between(
      0.5,
      2,
      on((x) => ops.reciprocal(x), [2, 3]),
    ),
  ],
  [
    "rsqrt",
    between(
      0.5,
      2,
      on((x) => ops.rsqrt(x), [2, 3]),
    ),
  ],
  ["add", on((x, y) => ops.add(x, y), [2, 3], [3])],
  ["subtract", on((x, y) => ops.subtract(x, y), [2, 1], [1, 3])],
  ["multiply", on((x, y) => ops.multiply(x, y), [2, 3], [2, 1])],
  [
    "divide",
    between(
      0.5,
      2,
      on((x, y) => ops.divide(x, y), [2, 3], [3]),
    ),
  ],
  [
    "power",
    between(
      0.5,
      2,
      on((x, y) => ops.power(x, y), [2, 3], [3]),
    ),
  ],
  [
    "power of a negative to 3",
    between(
      -2,
      -0.5,
      on((x) => ops.power(x, 3), [2, 3]),
    ),
  ],
  ["maximum", on((x, y) => ops.maximum(x, ops.add(y, tensor([-4, 4, -4]))), [2, 3], [3])],
  ["minimum", on((x, y) => ops.minimum(x, ops.add(y, tensor([-4, 4, -4]))), [2, 3], [3])],
  [
    "clamp",
    between(
      0.2,
      0.8,
      on((x) => ops.clamp(ops.multiply(x, tensor([1, 3, -1])), 0, 2), [2, 3]),
    ),
  ],
  ["where", on((x, y) => ops.where(tensor([true, false, true]), x, y), [2, 3], [3])],
  // Movement.
  ["reshape", on((x) => ops.reshape(x, [3, -1]), [2, 3])],
  ["permute", on((x) => ops.permute(x, [2, 0, 1]), [2, 3, 4])],
  ["transpose", on((x) => ops.transpose(x), [2, 3])],
  ["broadcastTo", on((x) => ops.broadcastTo(x, [4, 2, 3]), [2, 1])],
  ["expandDims", on((x) => ops.expandDims(x, 1), [2, 3])],
  ["squeeze", on((x) => ops.squeeze(x), [2, 1, 3])],
  [
    "slice",
    on(
      (x) =>
        ops.slice(x, [
          [1, 4],
          [0, 7, 3],
        ]),
      [5, 8],
    ),
  ],
  [
    "slice backwards",
    on(
      (x) =>
        ops.slice(x, [
          [4, 0, -2],
          [undefined, undefined, -3],
        ]),
      [5, 8],
    ),
  ],
  ["slice of nothing", on((x) => ops.slice(x, [[2, 2]]), [3, 2])],
  ["slice of nothing in steps", on((x) => ops.slice(x, [[2, 2, 2]]), [3, 2])],
  ["slice of nothing backwards", on((x) => ops.slice(x, [null, [1, 1, -2]]), [3, 2])],
  ["flip", on((x) => ops.flip(x, 1), [2, 3])],
  [
    "pad",
    on(
      (x) =>
        ops.pad(
          x,
          [
            [1, 0],
            [2, 3],
          ],
          5,
        ),
      [2, 3],
    ),
  ],
  ["concat", on((x, y) => ops.concat([x, y, x], 1), [2, 3], [2, 1])],
  ["stack", on((x, y) => ops.stack([x, y], 1), [2, 3], [2, 3])],
  ["split", on((x) => ops.multiply(...(ops.split(x, [2, 2], 1) as [Tensor, Tensor])), [3, 4])],
  ["gather", on((x) => ops.gather(x, index([2, 0, 2, 1]), 1), [2, 3, 2])],
  ["scatterAdd", on((x) => ops.scatterAdd(x, index([2, 0, 2, 1]), 5, 1), [2, 4, 2])],
  ["gatherNd", on((x) => ops.gatherNd(x, coordinates), [2, 3, 2])],
  ["takeAlongAxis", on((x) => ops.takeAlongAxis(x, perPlace, 1), [2, 4, 2])],
  ...(["set", "add", "multiply"] as const).flatMap((mode): readonly (readonly [string, Differentiable])[] => [
    [`scatterAlongAxis ${mode}`, on((x, y) => ops.scatterAlongAxis(x, perPlace, y, 1, mode), [2, 4, 2], [2, 3, 2])],
    [`scatterNd ${mode}`, on((x, y) => ops.scatterNd(x, coordinates, y, mode), [2, 3, 2], [4, 2])],
  ]),
  ...(["max", "min"] as const).map((mode): readonly [string, Differentiable] => [
    `scatterAlongAxis ${mode}`,
    on((x, y) => ops.scatterAlongAxis(x, perPlace, ops.add(y, apart), 1, mode), [2, 4, 2], [2, 3, 1]),
  ]),
  ["dynamicSlice", on((x) => ops.dynamicSlice(x, [1, index1, 0], [1, 2, 2]), [2, 3, 2])],
  ["dynamicSlice of two axes", on((x) => ops.dynamicSlice(x, [index1, 0, index1], [1, 3, 1]), [2, 3, 2])],
  ["dynamicUpdateSlice", on((x, y) => ops.dynamicUpdateSlice(x, y, [1, index1, 0]), [2, 3, 2], [1, 2, 2])],
  // Order.
  ["sort", on((x) => ops.sort(ops.multiply(x, tensor([1, 9, -30]))), [2, 3])],
  ["topK", on((x) => ops.topK(ops.multiply(x, tensor([1, 9, -30])), 2).values, [2, 3])],
  // Accumulation.
  ["cumulativeSum", on((x) => ops.cumulativeSum(x, 0, { exclusive: true }), [40, 2])],
  ["cumulativeProduct", on((x) => ops.cumulativeProduct(x, 1, { reverse: true }), [2, 5])],
  ["product", on((x) => ops.product(x, { axes: 1 }), [2, 5])],
  // Movement along axes and diagonals.
  ["tile", on((x) => ops.tile(x, [2, 1, 3]), [2, 2])],
  ["roll", on((x) => ops.roll(x, [1, -2], [0, 1]), [2, 5])],
  ["diag", on((x) => ops.diag(x, 1), [3])],
  ["diag of a matrix", on((x) => ops.diag(x, -1), [3, 4])],
  ["keepLowerTriangle", on((x) => ops.keepLowerTriangle(x, 1), [2, 3, 4])],
  ["keepUpperTriangle", on((x) => ops.keepUpperTriangle(x), [3, 4])],
  // Reductions.
  ["reduceSum", on((x) => ops.reduceSum(x, { axes: [0, 2] }), [2, 3, 4])],
  ["reduceMax", on((x) => ops.reduceMax(ops.multiply(x, tensor([1, 9, 30])), { axes: 1 }), [2, 3])],
  ["reduceMin", on((x) => ops.reduceMin(ops.multiply(x, tensor([1, 9, 30])), { axes: 1 }), [2, 3])],
  ["mean", on((x) => ops.mean(x, { axes: -1, keepAxes: true }), [2, 3])],
  ["variance", on((x) => ops.variance(x, { axes: 0, correction: 1 }), [4, 3])],
  ["standardDeviation", on((x) => ops.standardDeviation(x, { axes: 0 }), [4, 3])],
  ["norm", on((x) => ops.norm(x, { axes: 1 }), [2, 3])],
  ["rootMeanSquare", on((x) => ops.rootMeanSquare(x), [2, 3])],
  ["logSumExp", on((x) => ops.logSumExp(x, { axes: 1 }), [2, 3])],
  ["softmax", on((x) => ops.softmax(x), [2, 3])],
  ["logSoftmax", on((x) => ops.logSoftmax(x, 0), [2, 3])],
  ["sumOfAll", on((x, y, z) => ops.sumOfAll([x, ops.square(y), z]), [2, 3], [4], [])],
  ["sumOfSquares", on((x, y) => ops.sumOfSquares([x, y]), [2, 3], [4])],
  // Contractions.
  ["matmul", on((x, y) => ops.matmul(x, y), [2, 3, 4], [4, 2])],
  ["matmul of vectors", on((x, y) => ops.matmul(x, y), [4], [4])],
  ["einsum", on((x, y) => ops.einsum("bqd,bkd->qbk", x, y), [2, 3, 4], [2, 2, 4])],
  ["einsum of an outer product", on((x, y) => ops.einsum("i,jk->kij", x, y), [2], [3, 2])],
  ["conv2d", on((x, w) => ops.conv2d(x, w, { padding: 1 }), [1, 2, 4, 4], [3, 2, 3, 3])],
  ...convolutions,
  ["inverse", on((x) => ops.inverse(ops.add(x, ops.multiply(ops.eye(3), 4))), [2, 3, 3])],
  [
    "maxPoolWithIndices",
    on(
      (x) => ops.maxPoolWithIndices(ops.add(x, ops.iota([1, 1, 6], 2, "f32").multiply(5)), { size: 3 }).values,
      [1, 1, 6],
    ),
  ],
  ["withDerivativeOf", on((x) => ops.withDerivativeOf(ops.exp(x), ops.exp(x)), [2, 3])],
];

/** Exported operations that have no derivative, and why. */
const without: { readonly [name: string]: string } = {
  ...Object.fromEntries(
    ["and", "or", "xor", "not", "shiftLeft", "shiftRight"].map((name) => [name, "computes with integers and bools"]),
  ),
  ...Object.fromEntries(
    [
      "less",
      "lessEqual",
      "greater",
      "greaterEqual",
      "equal",
      "notEqual",
      "isFinite",
      "isNaN",
      "any",
      "all",
      "allFinite",
      "argmax",
      "argmin",
      "argsort",
    ].map((name) => [name, "gives integers or bools"]),
  ),
  ...Object.fromEntries(
    [
      "scalar",
      "full",
      "zeros",
      "ones",
      "zerosLike",
      "onesLike",
      "iota",
      "arange",
      "linspace",
      "oneHot",
      "eye",
      "lowerTriangle",
    ].map((name) => [name, "has no differentiable input"]),
  ),
  cast: "f32 to f32 is nothing, everything else is not differentiable",
  stopGradient: "stops it; tested by itself",
  roundToFloat16: "passes it on, rounded; tested by itself",
};

/** Kinds, or the ops and roles of those that have several. */
const everyPrimitive: readonly string[] = [
  ...Object.keys(vjpRules).filter((kind) => !["unary", "binary", "reduce", "scatter", "conv"].includes(kind)),
  ...unaryOps,
  ...binaryOps,
  ...["sum", "max", "scatterAdd", "scatterMax", "conv", "inputGradient", "filterGradient"],
];

/** Primitives that give no derivative to any input, and why. */
const primitivesWithout: { readonly [name: string]: string } = {
  ...Object.fromEntries(["constant", "literal", "input", "iota"].map((name) => [name, "has no inputs"])),
  ...Object.fromEntries(["compare", "isFinite", "isNaN"].map((name) => [name, "gives bools"])),
  ...Object.fromEntries(
    ["shift", "threefry", "truncateDivide", "and", "or", "xor", "not"].map((name) => [
      name,
      "computes with integers and bools",
    ]),
  ),
  cast: "is constant between jumps, or computes with integers and bools",
  stopGradient: "stops it",
  loop: "has a loop for it; tested with scan, which makes it",
  barrier: "passes it on; tested with checkpoint, which makes it",
  ruled: "passes it on or to a rule; tested with checkpoint and customVjp, which make it",
  roundToFloat16: "passes it on, rounded",
};

function primitivesOf({ fn, shapes }: Differentiable): string[] {
  const inputs = shapes.map((shape) => new Tensor(makeNode("input", [], { dtype: "f32", shape, name: "x" })));
  return topologicalOrder([fn(...inputs).node]).map(operationName);
}

function derivativesOf<K extends PrimitiveKind>(node: NodeOf<K>): readonly (Tensor | null)[] {
  return vjpRules[node.kind]({
    inputs: node.inputs.map((input) => new Tensor(input)),
    attributes: node.attributes,
    output: new Tensor(node as Node),
    cotangent: ops.ones(node.shape),
  });
}

describe("derivatives against central differences", () => {
  for (const [name, subject] of subjects) {
    it(`${name}, first`, () => {
      for (const seed of [1, 2, 3]) checkDerivative(subject, seed);
    });
    it(`${name}, second`, () => {
      for (const seed of [4, 5]) checkDerivative(gradientOf(subject), seed);
    });
  }

  it("every exported operation is here, among the composed operations, or has a reason not to be", () => {
    const here = new Set(subjects.map(([name]) => name.split(" ")[0] ?? ""));
    for (const name of Object.keys(operationCases)) here.add(/^\w+/.exec(name)?.[0] ?? name);
    const missing = Object.keys(ops).filter((name) => !here.has(name) && !(name in without));
    assert.deepEqual(missing, []);
    assert.deepEqual(
      Object.keys(without).filter((name) => !(name in ops)),
      [],
    );
  });

  it("every primitive, and every op and role of one, is differentiated here or has no derivative", () => {
    const met = new Set(subjects.flatMap(([, subject]) => primitivesOf(subject)));
    const missing = everyPrimitive.filter((name) => !met.has(name) && !(name in primitivesWithout));
    assert.deepEqual(missing, []);
    assert.deepEqual(
      Object.keys(primitivesWithout).filter((name) => !everyPrimitive.includes(name)),
      [],
    );
  });

  it("what has no derivative gives none", () => {
    const [f32, i32, bool] = [ops.ones([2]), ops.ones([2], "i32"), ops.ones([2], "bool")];
    const results = [
      ops.isFinite(f32),
      ops.isNaN(f32),
      ops.not(bool),
      ops.and(i32, i32),
      ops.or(i32, i32),
      ops.xor(i32, i32),
      ops.less(f32, f32),
      ops.shiftLeft(i32, 1),
      ops.truncateDivide(i32, i32),
      ops.cast(f32, "i32"),
      ops.cast(i32, "f32"),
      ops.sign(f32),
      ops.floor(f32),
      ops.stopGradient(f32),
    ];
    for (const { node } of results) {
      assert.deepEqual(
        derivativesOf(node),
        node.inputs.map(() => null),
        node.kind,
      );
    }
  });

  it("a slice without steps is padded back at once", () => {
    const [derivative] = derivativesOf(ops.slice(ops.iota([5, 4], 0, "f32"), [[1, 3]]).node);
    assert.ok(derivative !== undefined && derivative !== null);
    assert.deepEqual(topologicalOrder([derivative.node]).map(operationName), ["literal", "reshape", "expand", "pad"]);
  });

  it("casting f32 to f32 is the identity", () => {
    const { node } = ops.ones([2]);
    const [derivative] = derivativesOf(makeNode("cast", [node], { dtype: "f32" }));
    assert.deepEqual(derivative?.shape, [2]);
  });
});
