import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { DType } from "../../../engine/graph/dtype.ts";
import { makeNode, topologicalOrder } from "../../../engine/graph/graph.ts";
import type { Node, NodeOf } from "../../../engine/graph/node.ts";
import { printGraph } from "../../../engine/graph/print.ts";
import type { Shape } from "../../../engine/graph/shape.ts";
import { Tensor } from "../../../engine/graph/tensor.ts";
import {
  add,
  cast,
  concat,
  conv2d,
  divide,
  exp,
  full,
  matmul,
  maximum,
  minimum,
  multiply,
  negate,
  not,
  ones,
  or,
  and,
  pad,
  permute,
  power,
  reduceMax,
  reduceSum,
  reshape,
  roundToFloat16,
  scalar,
  scatterAdd,
  shiftLeft,
  slice,
  sqrt,
  stopGradient,
  withDerivativeOf,
  subtract,
  tensor,
  where,
  xor,
  less,
  broadcastTo,
  equal,
  threefry,
} from "../../../engine/index.ts";
import { uniformValue } from "../../../engine/graph/uniform.ts";
import { simplify } from "../../../engine/passes/simplify.ts";

function input(shape: Shape, dtype: DType = "f32"): { tensor: Tensor; node: NodeOf<"input"> } {
  const node = makeNode("input", [], { dtype, shape, name: "x" });
  return { tensor: new Tensor(node), node };
}

function simplified(output: Tensor | Node): Node {
  const node = output instanceof Tensor ? output.node : output;
  const inputs = topologicalOrder([node]).filter((n): n is NodeOf<"input"> => n.kind === "input");
  const [result] = simplify({ inputs, outputs: [node] }).outputs;
  assert.ok(result);
  return result;
}

/** The simplified graph as text, without the line that returns. */
const text = (output: Tensor): string => {
  const node = simplified(output);
  return printGraph({ inputs: [], outputs: [node] });
};

const becomes = (output: Tensor, expected: Node): void => assert.equal(simplified(output), expected);
const stays = (output: Tensor | Node): void => {
  const before = output instanceof Tensor ? output.node : output;
  const { kind, attributes } = simplified(before);
  assert.deepEqual([kind, attributes], [before.kind, before.attributes]);
};
/** All elements are `value`, and nothing is left to compute. */
const isUniform = (output: Tensor | Node, value: number, shape: Shape): void => {
  const node = simplified(output);
  assert.deepEqual([uniformValue(node), node.shape], [value, shape]);
};

const x = input([2, 3]);
const y = input([2, 3]);
const i = input([2, 3], "i32");
const u = input([2, 3], "u32");
const b = input([2, 3], "bool");

describe("simplify: element-wise rules", () => {
  it("removes stopGradient, what only derivatives are made of, casts to the same dtype and shifts by 0", () => {
    becomes(stopGradient(x.tensor), x.node);
    becomes(withDerivativeOf(x.tensor, exp(x.tensor)), x.node);
    assert.equal(simplified(makeNode("cast", [x.node], { dtype: "f32" })), x.node);
    becomes(shiftLeft(u.tensor, 0), u.node);
    stays(shiftLeft(u.tensor, 1));
    stays(cast(x.tensor, "bool"));
  });

  it("cancels double negation and double complement only", () => {
    becomes(negate(negate(x.tensor)), x.node);
    becomes(not(not(b.tensor)), b.node);
    assert.equal(simplified(exp(exp(x.tensor))).inputs[0]?.kind, "unary");
    assert.equal(simplified(not(negate(i.tensor))).inputs[0]?.kind, "unary");
  });

  it("rounds to 16 bits once", () => {
    const once = roundToFloat16(x.tensor);
    becomes(roundToFloat16(once), once.node);
    stays(roundToFloat16(negate(once)));
  });

  it("folds negation and square root of literals, rounding the operand to f32 first", () => {
    assert.match(text(negate(scalar(2.5))), /literal -2.5/);
    const root = simplified(sqrt(scalar(0.1)));
    assert.equal(root.kind === "literal" && root.attributes.value, Math.sqrt(Math.fround(0.1)));
    assert.equal(simplified(exp(scalar(1))).kind, "unary");
    assert.equal(simplified(negate(scalar(3, "i32"))).kind, "unary");
    assert.equal(simplified(sqrt(x.tensor)).kind, "unary");
  });

  it("folds f32 arithmetic of literals, not of integers", () => {
    const cases: [Tensor, number][] = [
      [add(scalar(2), 3), 5],
      [subtract(scalar(2), 3), -1],
      [multiply(scalar(2), 3), 6],
      [divide(scalar(3), 2), 1.5],
      [multiply(scalar(0.1), 3), Math.fround(0.1) * 3],
      [multiply(3, scalar(0.1)), 3 * Math.fround(0.1)],
    ];
    for (const [folded, value] of cases) {
      const node = simplified(folded);
      assert.equal(node.kind === "literal" && node.attributes.value, value);
    }
    assert.equal(simplified(power(scalar(2), 0.5)).kind, "binary");
    assert.equal(simplified(maximum(scalar(2), 3)).kind, "binary");
    assert.equal(simplified(add(scalar(2, "i32"), 3)).kind, "binary");
  });

  it("folds literals behind expand and reshape to one literal of the shape", () => {
    const node = simplified(add(full([2, 3], 1), reshape(full([6], 2), [2, 3])));
    assert.equal(node.kind, "expand");
    assert.deepEqual(node.shape, [2, 3]);
    assert.match(printGraph({ inputs: [], outputs: [node] }), /literal 3/);
    const flat = simplified(reshape(full([2, 3], 4), [6]));
    assert.deepEqual([flat.kind, flat.shape], ["expand", [6]]);
    assert.deepEqual(simplified(reshape(full([1], 4), [])).shape, []);
    assert.equal(simplified(multiply(full([1, 1], 3), 2)).kind, "reshape");
  });

  it("drops neutral operands where that keeps every bit", () => {
    becomes(multiply(x.tensor, 1), x.node);
    becomes(multiply(1, x.tensor), x.node);
    becomes(divide(x.tensor, 1), x.node);
    becomes(subtract(x.tensor, 0), x.node);
    becomes(power(x.tensor, 1), x.node);
    becomes(add(i.tensor, 0), i.node);
    becomes(add(0, i.tensor), i.node);
    becomes(subtract(i.tensor, 0), i.node);
    becomes(multiply(x.tensor, ones([2, 3])), x.node);
  });

  it("keeps what would change a bit: -0 + 0, x - -0, x * 0, 1 / x, 0 - x, x^6", () => {
    stays(add(x.tensor, 0));
    stays(add(0, x.tensor));
    assert.equal(simplified(subtract(x.tensor, -0)).kind, "binary");
    stays(multiply(x.tensor, 0));
    stays(multiply(0, x.tensor));
    stays(divide(1, x.tensor));
    stays(divide(x.tensor, 2));
    stays(subtract(0, x.tensor));
    stays(multiply(x.tensor, 2));
    stays(add(i.tensor, 1));
    stays(add(1, i.tensor));
    for (const exponent of [6, -3, 0.5, 2.5]) {
      const node = simplified(power(x.tensor, exponent));
      assert.equal(node.kind === "binary" && node.attributes.op, "power");
    }
  });

  it("turns small whole powers into products of what is there", () => {
    const square = simplified(power(x.tensor, 2));
    assert.equal(square.kind === "binary" && square.attributes.op, "multiply");
    assert.deepEqual(square.inputs, [x.node, x.node]);
    const operationsOf = (exponent: number): (string | undefined)[] =>
      topologicalOrder([simplified(power(x.tensor, exponent))]).flatMap(({ kind, attributes }) =>
        kind === "binary" ? [attributes.op] : [],
      );
    assert.deepEqual(operationsOf(3), ["multiply", "multiply"]);
    assert.deepEqual(operationsOf(4), ["multiply", "multiply"]);
    assert.deepEqual(operationsOf(5), ["multiply", "multiply", "multiply"]);
    assert.deepEqual(operationsOf(-1), ["divide"]);
    assert.deepEqual(operationsOf(-2), ["divide", "multiply"]);
  });

  it("keeps whole powers within four roundings, without overflow or underflow on the way", () => {
    const magnitudes = fc.tuple(fc.double({ min: 1, max: 2, noNaN: true }), fc.integer({ min: -149, max: 127 }));
    const bases = fc.oneof(
      { weight: 9, arbitrary: fc.tuple(magnitudes, fc.constantFrom(1, -1)).map(([[m, e], s]) => s * m * 2 ** e) },
      { weight: 1, arbitrary: fc.constantFrom(0, -0, Infinity, -Infinity, NaN) },
    );
    /** In float32, by the graph as it is. */
    const rounded = (node: Node, base: number): number => {
      if (node === x.node) return base;
      const value = uniformValue(node);
      if (value !== undefined) return value;
      assert.ok(node.kind === "binary");
      const [a, b] = node.inputs.map((operand) => rounded(operand, base)) as [number, number];
      return Math.fround(node.attributes.op === "divide" ? a / b : a * b);
    };
    const powers = [-2, -1, 1, 2, 3, 4, 5].map((n) => [n, simplified(power(x.tensor, n))] as const);
    fc.assert(
      fc.property(bases.map(Math.fround), (base) => {
        for (const [exponent, node] of powers) {
          const [got, wanted] = [rounded(node, base), Math.fround(base ** exponent)];
          const close = Math.abs(got - base ** exponent) <= 4 * 2 ** -24 * Math.abs(wanted) + 2 ** -149;
          const isLargest = Math.abs(base ** exponent) > 3.4028e38 && Math.abs(got) > 3.4028e38;
          assert.ok(Object.is(got, wanted) || close || isLargest, `${base}^${exponent} = ${got}, not ${wanted}`);
        }
      }),
      { numRuns: 500 },
    );
  });

  it("knows idempotent operations of equal operands", () => {
    becomes(maximum(x.tensor, x.tensor), x.node);
    becomes(minimum(x.tensor, x.tensor), x.node);
    becomes(and(b.tensor, b.tensor), b.node);
    becomes(or(b.tensor, b.tensor), b.node);
    stays(xor(b.tensor, b.tensor));
    stays(xor(i.tensor, 1));
    stays(maximum(x.tensor, y.tensor));
    stays(or(b.tensor, input([2, 3], "bool").tensor));
    stays(add(x.tensor, x.tensor));
  });

  it("decides selections with a known condition or equal sides", () => {
    becomes(where(full([2, 3], 1, "bool"), x.tensor, y.tensor), x.node);
    becomes(where(full([2, 3], 0, "bool"), x.tensor, y.tensor), y.node);
    becomes(where(b.tensor, x.tensor, x.tensor), x.node);
    stays(where(b.tensor, x.tensor, y.tensor));
  });
});

describe("simplify: computing before repeating", () => {
  const column = input([2, 1]);
  const other = input([2, 1]);
  const row = input([1, 3]);
  const wide = (t: Tensor): Tensor => broadcastTo(t, [2, 3]);

  it("moves expand behind unary, binary, compare, select, cast, shift, threefry", () => {
    const small = (node: Node): void => {
      assert.equal(node.kind, "expand");
      assert.deepEqual(node.shape, [2, 3]);
      assert.deepEqual(node.inputs[0].shape, [2, 1]);
    };
    small(simplified(exp(wide(column.tensor))));
    small(simplified(add(wide(column.tensor), wide(other.tensor))));
    small(simplified(less(wide(column.tensor), wide(other.tensor))));
    small(simplified(cast(wide(column.tensor), "i32")));
    const key = input([2, 1], "u32");
    small(simplified(shiftLeft(wide(key.tensor), 3)));
    small(simplified(threefry(0, [wide(key.tensor), wide(key.tensor)], [wide(key.tensor), wide(key.tensor)])));
    small(simplified(where(wide(input([2, 1], "bool").tensor), wide(column.tensor), wide(other.tensor))));
  });

  it("with a literal on either side", () => {
    for (const node of [multiply(wide(column.tensor), 2), multiply(2, wide(column.tensor))].map(simplified)) {
      assert.equal(node.kind, "expand");
      assert.equal(node.inputs[0].kind, "binary");
      assert.deepEqual(node.inputs[0].shape, [2, 1]);
    }
  });

  it("with literals only", () => {
    const node = simplified(equal(full([2, 3], 1), 1));
    assert.equal(node.kind, "expand");
    assert.deepEqual(node.inputs[0].shape, [1, 1]);
    stays(equal(scalar(1), 1));
    assert.equal(simplified(equal(full([1, 1], 1), 2)).kind, "compare");
  });

  it("not where operands repeat along different axes or one is whole", () => {
    assert.equal(simplified(add(wide(column.tensor), wide(row.tensor))).kind, "binary");
    assert.equal(simplified(add(wide(column.tensor), x.tensor)).kind, "binary");
    assert.equal(simplified(add(x.tensor, wide(column.tensor))).kind, "binary");
    assert.equal(simplified(add(x.tensor, 2)).kind, "binary");
    assert.equal(simplified(add(exp(x.tensor), 2)).kind, "binary");
  });
});

describe("simplify: movement rules", () => {
  it("drops movements that move nothing", () => {
    assert.equal(simplified(makeNode("reshape", [x.node], { shape: [2, 3] })), x.node);
    assert.equal(simplified(makeNode("permute", [x.node], { order: [0, 1] })), x.node);
    assert.equal(simplified(makeNode("expand", [x.node], { shape: [2, 3] })), x.node);
    assert.equal(simplified(makeNode("slice", [x.node], { start: [0, 0], size: [2, 3], step: [1, 1] })), x.node);
    assert.equal(simplified(makeNode("pad", [x.node], { low: [0, 0], high: [0, 0], value: 1 })), x.node);
    assert.equal(simplified(makeNode("concat", [x.node], { axis: 0 })), x.node);
    assert.equal(simplified(makeNode("reduce", [x.node], { op: "sum", axes: [] })), x.node);
  });

  it("keeps those that do", () => {
    stays(reshape(x.tensor, [3, 2]));
    stays(reshape(broadcastTo(input([2, 1]).tensor, [2, 3]), [6]));
    stays(makeNode("slice", [input([2, 1]).node], { start: [1, 0], size: [2, 1], step: [-1, 1] }));
    stays(permute(x.tensor));
    stays(slice(x.tensor, [[0, 1]]));
    stays(slice(x.tensor, [[undefined, undefined, -1]]));
    stays(
      pad(x.tensor, [
        [0, 0],
        [0, 1],
      ]),
    );
    stays(
      pad(x.tensor, [
        [1, 0],
        [0, 0],
      ]),
    );
    stays(concat([x.tensor, y.tensor]));
    assert.equal(
      simplified(makeNode("slice", [input([1, 3]).node], { start: [0, 2], size: [1, 3], step: [1, -1] })).kind,
      "slice",
    );
  });

  it("composes two of a kind", () => {
    const shaped = simplified(reshape(reshape(x.tensor, [3, 2]), [6]));
    assert.deepEqual([shaped.kind, shaped.inputs[0]], ["reshape", x.node]);
    const cube = input([2, 3, 4]);
    const turned = simplified(permute(permute(cube.tensor, [1, 2, 0]), [1, 0, 2]));
    assert.deepEqual([turned.kind === "permute" && turned.attributes.order, turned.inputs[0]], [[2, 1, 0], cube.node]);
    becomes(permute(permute(x.tensor)), x.node);
    const long = input([20]);
    const cut = simplified(slice(slice(long.tensor, [[2, 18, 2]]), [[6, 0, -3]]));
    assert.deepEqual(cut.kind === "slice" && cut.attributes, { start: [14], size: [2], step: [-6] });
    const column = input([2, 1]);
    const repeated = simplified(
      makeNode("expand", [makeNode("expand", [input([1, 1]).node], { shape: [2, 1] })], { shape: [2, 3] }),
    );
    assert.equal(repeated.inputs[0]?.kind, "input");
    assert.equal(simplified(broadcastTo(column.tensor, [2, 3])).inputs[0], column.node);
  });

  it("sees that moving axes of size 1 is a reshape", () => {
    const thin = input([2, 1, 3]);
    assert.equal(simplified(permute(thin.tensor, [1, 0, 2])).kind, "reshape");
    assert.equal(simplified(permute(thin.tensor, [2, 1, 0])).kind, "permute");
  });

  it("drops empty parts of a concatenation", () => {
    const empty = input([0, 3]);
    becomes(concat([empty.tensor, x.tensor]), x.node);
    const joined = simplified(concat([x.tensor, empty.tensor, y.tensor]));
    assert.deepEqual(joined.inputs, [x.node, y.node]);
    const nothing = simplified(concat([empty.tensor, input([0, 3]).tensor]));
    assert.deepEqual([nothing, nothing.shape], [empty.node, [0, 3]]);
  });

  it("knows the result of contracting, reducing and padding nothing", () => {
    const none = input([1, 2, 0]);
    isUniform(makeNode("reduce", [none.node], { op: "sum", axes: [2] }), 0, [1, 2, 1]);
    isUniform(makeNode("reduce", [none.node], { op: "max", axes: [1, 2] }), -Infinity, [1, 1, 1]);
    isUniform(matmul(none.tensor, input([1, 0, 3]).tensor), 0, [1, 2, 3]);
    isUniform(scatterAdd(none.tensor, input([0], "i32").tensor, 4, 2), 0, [1, 2, 4]);
    isUniform(conv2d(input([1, 0, 4, 4]).tensor, input([2, 0, 3, 3]).tensor), 0, [1, 2, 2, 2]);
    isUniform(
      pad(
        none.tensor,
        [
          [0, 0],
          [0, 0],
          [1, 1],
        ],
        7,
      ),
      7,
      [1, 2, 2],
    );
    // One operand is enough, even if the result is empty too.
    isUniform(matmul(none.tensor.reshape([1, 0, 2]), input([1, 2, 3]).tensor), 0, [1, 0, 3]);
    stays(matmul(input([1, 2, 3]).tensor, input([1, 3, 2]).tensor));
    stays(conv2d(input([1, 1, 4, 4]).tensor, input([2, 1, 3, 3]).tensor));
  });

  it("drops reductions over axes of size 1, keeps others", () => {
    const thin = input([1, 3]);
    becomes(reduceSum(thin.tensor, { axes: 0, keepAxes: true }), thin.node);
    assert.equal(simplified(reduceSum(thin.tensor, { axes: [0, 1], keepAxes: true })).kind, "reduce");
    stays(reduceSum(x.tensor, { axes: 0, keepAxes: true }));
    stays(reduceSum(full([2, 3], 2), { axes: 0, keepAxes: true }));
    stays(reduceMax(reshape(x.tensor, [3, 2]), { axes: 0, keepAxes: true }));
  });
});

describe("simplify: common subexpressions", () => {
  it("shares equal computations, also of operands that became equal", () => {
    const node = simplified(add(exp(multiply(x.tensor, 1)), exp(x.tensor)));
    assert.equal(node.inputs[0], node.inputs[1]);
    const sums = simplified(add(reduceSum(x.tensor), reduceSum(x.tensor)));
    assert.equal(sums.inputs[0], sums.inputs[1]);
    const three = simplified(where(equal(exp(x.tensor), 0), exp(x.tensor), exp(x.tensor).add(exp(x.tensor))));
    const [condition, one, twice] = three.inputs;
    assert.ok(one !== undefined);
    assert.deepEqual([condition?.inputs[0]?.id, twice?.inputs.map(({ id }) => id)], [one.id, [one.id, one.id]]);
  });

  it("takes time in proportion to the nodes, however many paths lead to them", () => {
    const doubled = Array.from({ length: 60 }).reduce<Tensor>((sum) => multiply(add(sum, sum), 1), x.tensor);
    const node = simplified(doubled);
    assert.equal(topologicalOrder([node]).length, 61);
  });

  it("tells operations, attributes, inputs and arrays apart", () => {
    const differ = (a: Tensor, c: Tensor): void => {
      const node = simplified(where(b.tensor, a, c));
      assert.notEqual(node.inputs[1], node.inputs[2]);
    };
    differ(exp(x.tensor), exp(y.tensor));
    differ(exp(x.tensor), sqrt(x.tensor));
    differ(
      pad(slice(x.tensor, [[0, 1]]), [
        [0, 1],
        [0, 0],
      ]),
      pad(
        slice(x.tensor, [[0, 1]]),
        [
          [0, 1],
          [0, 0],
        ],
        1,
      ),
    );
    differ(tensor(new Float32Array(6), { shape: [2, 3] }), tensor(new Float32Array(6), { shape: [2, 3] }));
    differ(full([2, 3], 0), full([2, 3], -0));
    differ(full([2, 3], Infinity), full([2, 3], -Infinity));
    differ(full([2, 3], NaN), full([2, 3], Infinity));
    differ(broadcastTo(reduceSum(x.tensor), [2, 3]), broadcastTo(reduceMax(x.tensor), [2, 3]));
    const array = new Float32Array(6);
    const same = simplified(add(exp(tensor(array, { shape: [2, 3] })), exp(tensor(array, { shape: [2, 3] }))));
    assert.equal(same.inputs[0], same.inputs[1]);
  });

  it("never merges two inputs", () => {
    const node = simplified(add(x.tensor, y.tensor));
    assert.notEqual(node.inputs[0], node.inputs[1]);
  });
});
