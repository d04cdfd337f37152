/** Derivatives of powers by numbers that stand in the program, and by tensors of numbers that only look like these. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { evaluateGraph } from "../../../engine/devices/oracle/evaluate.ts";
import { makeNode, topologicalOrder } from "../../../engine/graph/graph.ts";
import { operationName } from "../../../engine/graph/print.ts";
import { at, type Shape } from "../../../engine/graph/shape.ts";
import * as ops from "../../../engine/index.ts";
import { grad, Tensor, tensor, vjp } from "../../../engine/index.ts";
import { checkDerivative, gradientOf } from "../../../testing/laws/derivatives.ts";

/** What is computed for the derivative by the base, in order; arrays, literals and views aren't. */
function computed(shape: Shape, exponent: number | Tensor): string[] {
  const x = new Tensor(makeNode("input", [], { dtype: "f32", shape, name: "x" }));
  const { value, pullback } = vjp((y: Tensor) => ops.power(y, exponent), x);
  return topologicalOrder([pullback(ops.ones(value.shape)).node])
    .filter(({ kind }) => !["input", "literal", "reshape", "expand"].includes(kind))
    .map(operationName);
}

describe("derivatives of powers by numbers", () => {
  it("are a power and two products, none at all for x^0, however the number is repeated", () => {
    const shapes = fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 3 });
    fc.assert(
      fc.property(shapes, fc.constantFrom(-2, -1, 0.5, 1, 2, 3), (shape, exponent) => {
        const size = shape.reduce((product, extent) => product * extent, 1);
        const repeated = ops.reshape(ops.full([size], exponent), shape);
        for (const written of [exponent, ops.scalar(exponent), ops.full(shape, exponent), repeated]) {
          assert.deepEqual(computed(shape, written), ["power", "multiply", "multiply"]);
        }
        assert.deepEqual(computed(shape, 0), []);
      }),
    );
  });

  it("of any order are falling factorials times powers, in float64 at any magnitude", () => {
    // Far from where x^-8 or x^8 leaves float64's range.
    const bases = fc
      .tuple(fc.double({ min: 1, max: 10, noNaN: true }), fc.integer({ min: -35, max: 34 }), fc.constantFrom(-1, 1))
      .map(([digits, decade, sign]) => sign * digits * 10 ** decade);
    fc.assert(
      fc.property(bases, fc.integer({ min: -4, max: 4 }), fc.integer({ min: 1, max: 4 }), (base, exponent, order) => {
        const derived = Array.from({ length: order }).reduce<(y: Tensor) => Tensor>(
          (f) => grad(f),
          (y) => ops.power(y, exponent),
        );
        const node = makeNode("input", [], { dtype: "f32", shape: [], name: "x" });
        const graph = { inputs: [node], outputs: [derived(new Tensor(node)).node] };
        const got = at(evaluateGraph(graph, [Float64Array.of(base)]), 0)[0] ?? NaN;
        const factor = Array.from({ length: order }, (_, i) => exponent - i).reduce((a, b) => a * b, 1);
        const wanted = factor === 0 ? 0 : factor * base ** (exponent - order);
        // The same power; its products with whole numbers round at most twice an order.
        assert.ok(Math.abs(got - wanted) <= 8 * 2 ** -53 * Math.abs(wanted), `${got}, not ${wanted}`);
      }),
    );
  });

  it("aren't taken for those by tensors that are computed from known numbers", () => {
    const exponents: { readonly [name: string]: () => Tensor } = {
      constant: () => tensor([2, 3, -1]),
      sum: () => ops.reduceSum(ops.full([3], 1)),
      "border of a padded number": () => ops.pad(ops.full([1], 3), [[1, 1]], 2),
      "negative number": () => ops.negate(ops.full([3], 2)),
      "number of another dtype": () => ops.cast(ops.full([3], 3, "i32"), "f32"),
      "joined numbers": () => ops.concat([ops.full([1], 2), ops.full([2], 3)]),
    };
    for (const exponent of Object.values(exponents)) {
      const subject = { fn: (x: Tensor) => ops.power(x, exponent()), shapes: [[3]], low: 0.5, high: 2 };
      checkDerivative(subject, 1);
      checkDerivative(gradientOf(subject), 2);
    }
  });
});
