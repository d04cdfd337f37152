import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { at, rowMajorStrides, type Shape, sizeOf } from "../../../engine/graph/shape.ts";
import {
  axisIndex,
  type AxisSymbol,
  combine,
  constantIndex,
  flatten,
  type IndexExpression,
  isBijection,
  rangeOf,
  toAffine,
  unflatten,
} from "../../../engine/kernel/indexing.ts";

const axisSizes = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 4 });
const axesOf = (sizes: readonly number[]): AxisSymbol[] => sizes.map((size, position) => ({ size, position }));

/** Every point of some axes. */
function* points(axes: readonly AxisSymbol[]): Generator<Map<AxisSymbol, number>> {
  for (let n = 0; n < sizeOf(axes.map(({ size }) => size)); n++) {
    let rest = n;
    yield new Map(
      axes.map((axis) => [axis, ((value) => ((rest = Math.floor(rest / axis.size)), value))(rest % axis.size)]),
    );
  }
}

const valueAt = ({ offset, terms }: IndexExpression, point: ReadonlyMap<AxisSymbol, number>): number =>
  terms.reduce((sum, { axis, coefficient }) => sum + coefficient * (point.get(axis) ?? NaN), offset);

const expressions = (axes: readonly AxisSymbol[]): fc.Arbitrary<IndexExpression> =>
  fc
    .tuple(fc.integer({ min: 0, max: 6 }), fc.tuple(...axes.map(() => fc.integer({ min: -3, max: 12 }))))
    .map(([offset, coefficients]) =>
      coefficients.reduce((sum, c, i) => combine(axisIndex(at(axes, i)), c, sum), constantIndex(offset)),
    );

describe("index arithmetic", () => {
  it("combine, flatten and toAffine are what they say at every point", () => {
    fc.assert(
      fc.property(axisSizes.map(axesOf), (axes) => {
        const shape: Shape = [7, 5, 3];
        const index = shape.map((_, i) => combine(axisIndex(at(axes, i % axes.length)), i + 1, constantIndex(i)));
        const flat = flatten({ kind: "axes", axes: index }, shape);
        const affine = toAffine(flat, axes.length);
        for (const point of points(axes)) {
          const wanted = index.reduce(
            (sum, expression, i) => sum + valueAt(expression, point) * at(rowMajorStrides(shape), i),
            0,
          );
          assert.equal(valueAt(flat, point), wanted);
          assert.equal(
            affine.coefficients.reduce((sum, c, i) => sum + c * (point.get(at(axes, i)) ?? NaN), affine.offset),
            wanted,
          );
        }
      }),
    );
  });

  it("rangeOf bounds an expression tightly, also inside a region", () => {
    fc.assert(
      fc.property(
        axisSizes.chain((sizes) => {
          const axes = axesOf(sizes);
          return fc.tuple(fc.constant(axes), expressions(axes), fc.nat(3), fc.nat(3));
        }),
        ([axes, expression, a, b]) => {
          const first = at(axes, 0);
          const start = Math.min(a, first.size - 1);
          const stop = Math.min(first.size, start + 1 + b);
          const bounds = new Map([[first, { start, stop }]]);
          const values = [...points(axes)]
            .filter((point) => (point.get(first) ?? 0) >= start && (point.get(first) ?? 0) < stop)
            .map((point) => valueAt(expression, point));
          assert.deepEqual(rangeOf(expression, bounds), { low: Math.min(...values), high: Math.max(...values) });
        },
      ),
    );
  });

  it("unflatten gives coordinates whose row-major place is the flat one, each within its axis", () => {
    let found = 0;
    fc.assert(
      fc.property(
        axisSizes.chain((sizes) => {
          const axes = axesOf(sizes);
          return fc.tuple(fc.constant(axes), expressions(axes));
        }),
        fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 4 }),
        ([axes, flat], shape) => {
          const { low, high } = rangeOf(flat, new Map());
          fc.pre(low >= 0 && high < sizeOf(shape));
          const result = unflatten(flat, shape, new Map());
          if (result.kind === "split") {
            assert.ok(result.inner > 1 && result.axis.size % result.inner === 0 && result.inner < result.axis.size);
          }
          if (result.kind !== "axes") return;
          found++;
          for (const point of points(axes)) {
            const coordinates: number[] = result.axes.map((expression) => valueAt(expression, point));
            assert.ok(coordinates.every((c, axis) => c >= 0 && c < at(shape, axis)));
            const place: number = coordinates.reduce((sum, c, axis) => sum + c * at(rowMajorStrides(shape), axis), 0);
            assert.equal(place, valueAt(flat, point));
          }
        },
      ),
      { numRuns: 2000 },
    );
    assert.ok(found > 200, `only ${found} of the flat indices were split into coordinates`);
  });

  it("isBijection is exactly that", () => {
    fc.assert(
      fc.property(
        axisSizes.chain((sizes) =>
          fc.tuple(
            fc.constant(axesOf(sizes)),
            fc.shuffledSubarray(
              sizes.map((_, i) => i),
              { minLength: sizes.length },
            ),
            fc.boolean(),
          ),
        ),
        ([axes, order, spoil]) => {
          let stride = 1;
          let flat = constantIndex(0);
          for (const i of order) {
            flat = combine(axisIndex(at(axes, i)), stride, flat);
            stride *= at(axes, i).size;
          }
          if (spoil) flat = combine(axisIndex(at(axes, 0)), 1, flat);
          const size = sizeOf(axes.map((axis) => axis.size));
          const reached = new Set([...points(axes)].map((point) => valueAt(flat, point)));
          const truly = reached.size === size && [...reached].every((place) => place >= 0 && place < size);
          assert.equal(isBijection(flat, axes, size), truly);
        },
      ),
    );
    const [axis, other] = axesOf([4, 4]) as [AxisSymbol, AxisSymbol];
    assert.ok(!isBijection(axisIndex(other), [axis], 4), "an axis that is not the kernel's");
    assert.ok(!isBijection(combine(axisIndex(axis), 1, constantIndex(1)), [axis], 4));
  });
});
