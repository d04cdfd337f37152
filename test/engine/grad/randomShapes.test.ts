/** First and second derivatives of operations whose rules do index arithmetic, over random shapes and options. */
import { describe, it } from "node:test";
import fc from "fast-check";
import { type Shape, sizeOf } from "../../../engine/graph/shape.ts";
import { tensor, type Tensor } from "../../../engine/index.ts";
import { convOfRole } from "../../../engine/ops/conv.ts";
import type { SliceRange } from "../../../engine/ops/movement.ts";
import * as ops from "../../../engine/ops/index.ts";
import { arraysOf, broadcastingShapes, shapes } from "../../../testing/arbitraries/arrays.ts";
import { checkDerivative, type Differentiable, gradientOf } from "../../../testing/laws/derivatives.ts";

const seed = 20;
const numRuns = 25;

/** Checks derivatives of first and second order. */
function holds(subjects: fc.Arbitrary<Differentiable>): void {
  const described = subjects.map((subject) => ({ subject, shapes: subject.shapes, fn: String(subject.fn) }));
  fc.assert(
    fc.property(described, fc.nat(2 ** 20), ({ subject }, point) => {
      checkDerivative(subject, point);
      checkDerivative(gradientOf(subject), point);
    }),
    { seed, numRuns },
  );
}

const nonEmpty = shapes(1).filter((shape) => sizeOf(shape) > 0);
/** A shape and one choice for each of its axes. */
const perAxis = <T>(shape: fc.Arbitrary<Shape>, choice: (size: number) => fc.Arbitrary<T>) =>
  shape.chain((of) => fc.tuple(fc.constant(of), fc.tuple(...of.map(choice)))).map(([of, choices]) => ({ of, choices }));
const axisOf = (shape: Shape): fc.Arbitrary<number> => fc.nat(shape.length - 1);

/** x with elements that stay 0.5 apart however x moves: maxima keep their place. */
function apart(x: Tensor): Tensor {
  const places = Float32Array.from({ length: x.size }, (_, i) => (i * 7) % Math.max(1, x.size));
  return ops.add(ops.multiply(ops.sin(x), 0.2), tensor(places, { shape: x.shape }));
}

describe("derivatives over random shapes", () => {
  it("of broadcast operands", () => {
    holds(
      broadcastingShapes.map(({ a, b }) => ({
        fn: (x, y) => ops.multiply(ops.add(x, 0.5), ops.sin(y)),
        shapes: [a, b],
      })),
    );
    holds(
      broadcastingShapes.map(({ a, b }) => ({
        fn: (x, y) => ops.divide(ops.power(x, y), y),
        shapes: [a, b],
        low: 0.5,
        high: 2,
      })),
    );
  });

  it("of slices with steps of either sign", () => {
    const range = (size: number): fc.Arbitrary<SliceRange> =>
      size === 0
        ? fc.constant<SliceRange>([])
        : fc
            .tuple(fc.nat(size - 1), fc.constantFrom(-3, -2, -1, 1, 2, 3), fc.boolean(), fc.nat(size))
            .map(([start, step, open, stop]) => (open ? [start, undefined, step] : [start, stop, step]));
    holds(perAxis(shapes(1, 3), range).map(({ of, choices }) => ({ fn: (x) => ops.slice(x, choices), shapes: [of] })));
  });

  it("of borders", () => {
    const widths = perAxis(shapes(), () => fc.tuple(fc.nat(2), fc.nat(2)));
    holds(widths.map(({ of, choices }) => ({ fn: (x) => ops.pad(x, choices, 3), shapes: [of] })));
  });

  it("of permuted, reshaped and repeated axes", () => {
    const orders = shapes().chain((of) => {
      const axes = of.map((_, axis) => axis);
      return fc.record({ of: fc.constant(of), order: fc.shuffledSubarray(axes, { minLength: of.length }) });
    });
    holds(
      orders.map(({ of, order }) => ({
        fn: (x) => {
          const moved = ops.permute(x, order);
          return ops.broadcastTo(ops.reshape(moved, [1, ...moved.shape, 1]), [2, ...moved.shape, 3]);
        },
        shapes: [of],
      })),
    );
  });

  it("of joined parts", () => {
    const joined = shapes(1, 3).chain((of) =>
      fc.record({ of: fc.constant(of), axis: axisOf(of), sizes: fc.array(fc.nat(3), { minLength: 1, maxLength: 3 }) }),
    );
    holds(
      joined.map(({ of, axis, sizes }) => ({
        fn: (...parts) => ops.concat([...parts, ...parts.slice(0, 1)], axis),
        shapes: sizes.map((size) => of.map((other, a) => (a === axis ? size : other))),
      })),
    );
  });

  it("of rows taken and added several times and not at all", () => {
    const taken = nonEmpty.chain((of) =>
      axisOf(of).chain((axis) =>
        fc.record({
          of: fc.constant(of),
          axis: fc.constant(axis),
          index: fc.array(fc.nat((of[axis] ?? 1) - 1), { maxLength: 6 }),
        }),
      ),
    );
    holds(
      taken.map(({ of, axis, index }) => ({
        fn: (x) => ops.square(ops.gather(x, tensor(Int32Array.from(index)), axis)),
        shapes: [of],
      })),
    );
    holds(
      taken.map(({ of, axis, index }) => ({
        fn: (x) => ops.square(ops.scatterAdd(x, tensor(Int32Array.from(index)), of[axis] ?? 0, axis)),
        shapes: [of.map((size, a) => (a === axis ? index.length : size))],
      })),
    );
  });

  it("of reductions", () => {
    const reduced = nonEmpty.chain((of) =>
      fc.record({ of: fc.constant(of), axes: fc.subarray(of.map((_, axis) => axis)), keepAxes: fc.boolean() }),
    );
    holds(reduced.map(({ of, ...options }) => ({ fn: (x) => ops.reduceSum(x, options), shapes: [of] })));
    holds(reduced.map(({ of, ...options }) => ({ fn: (x) => ops.reduceMax(apart(x), options), shapes: [of] })));
    holds(reduced.map(({ of, ...options }) => ({ fn: (x) => ops.reduceMin(apart(x), options), shapes: [of] })));
    holds(reduced.map(({ of, ...options }) => ({ fn: (x) => ops.variance(x, options), shapes: [of] })));
    holds(reduced.map(({ of, ...options }) => ({ fn: (x) => ops.logSumExp(x, options), shapes: [of] })));
    holds(reduced.map(({ of, ...options }) => ({ fn: (x) => ops.norm(x, options), shapes: [of], low: 0.5, high: 2 })));
  });

  it("of softmax and its logarithm", () => {
    const along = nonEmpty.chain((of) => fc.record({ of: fc.constant(of), axis: axisOf(of) }));
    holds(along.map(({ of, axis }) => ({ fn: (x) => ops.softmax(x, axis), shapes: [of] })));
    holds(along.map(({ of, axis }) => ({ fn: (x) => ops.logSoftmax(x, axis), shapes: [of] })));
  });

  it("of selected and extreme operands", () => {
    const masks = shapes().chain((of) => arraysOf(of, fc.nat(1)));
    holds(
      masks.map(({ shape, values }) => ({
        fn: (x, y) => ops.where(tensor(Uint8Array.from(values), { shape, dtype: "bool" }), x, y),
        shapes: [shape, shape],
      })),
    );
    // 4 or -4 between the operands: which of them is larger doesn't change.
    holds(
      masks.map(({ shape, values }) => {
        const offset = Float32Array.from(values, (value) => 8 * value - 4);
        const shifted = (y: Tensor): Tensor => ops.add(y, tensor(offset, { shape }));
        return {
          fn: (x, y) => ops.subtract(ops.maximum(x, shifted(y)), ops.multiply(ops.minimum(x, shifted(y)), 3)),
          shapes: [shape, shape],
        };
      }),
    );
  });

  it("of matrix products", () => {
    const size = fc.nat(3);
    const products = fc.record({ batch: broadcastingShapes, m: size, k: size, n: size });
    holds(
      products.map(({ batch, m, k, n }) => ({
        fn: (a, b) => ops.matmul(a, b),
        shapes: [
          [...batch.a.slice(-2), m, k],
          [...batch.b.slice(-2), k, n],
        ],
      })),
    );
  });

  it("of the three roles of a convolution", () => {
    const [count, pair] = [
      fc.integer({ min: 1, max: 2 }),
      fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 })),
    ];
    const border = fc.tuple(fc.nat(2), fc.nat(2));
    const geometries = fc.record({
      groups: count,
      inPerGroup: count,
      outPerGroup: count,
      kernel: pair,
      extra: fc.tuple(fc.nat(3), fc.nat(3)),
      stride: pair,
      dilation: fc.tuple(count, count),
      padding: fc.tuple(border, border),
      role: fc.constantFrom("forward" as const, "inputGradient" as const, "filterGradient" as const),
    });
    holds(
      geometries.map(({ groups, inPerGroup, outPerGroup, kernel, extra, role, ...options }) => {
        const size = ([0, 1] as const).map((d) => options.dilation[d] * (kernel[d] - 1) + 1 + extra[d]);
        const x = [2, groups * inPerGroup, ...size];
        const w = [groups * outPerGroup, inPerGroup, ...kernel];
        const { node } = ops.conv2d(ops.zeros(x), ops.zeros(w), { groups, ...options });
        if (node.kind !== "conv") throw new Error(`conv2d made a ${node.kind} node`);
        const { geometry } = node.attributes;
        const operands = { forward: [x, w], inputGradient: [node.shape, w], filterGradient: [x, node.shape] };
        return { fn: (a, b) => convOfRole(role, geometry, a, b), shapes: operands[role] };
      }),
    );
  });

  it("of sums over index letters", () => {
    const equations = fc.constantFrom("ab,bc->ac", "abc,dc->dab", "ab,ab->a", "ab,cd->cabd", "ab,b->", "abc,abd->dc");
    const extents = fc.tuple(fc.nat(3), fc.nat(3), fc.nat(3), fc.nat(3));
    holds(
      fc.tuple(equations, extents).map(([equation, sizes]) => {
        const terms = equation.replace(/->.*/, "").split(",");
        return {
          fn: (x, y) => ops.einsum(equation, x, y),
          shapes: terms.map((term) => Array.from(term, (letter) => sizes["abcd".indexOf(letter)] ?? 0)),
        };
      }),
    );
  });
});
