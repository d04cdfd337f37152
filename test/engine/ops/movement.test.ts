import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import * as ops from "../../../engine/index.ts";
import { type SliceRange } from "../../../engine/ops/movement.ts";
import { arrays, arraysOf, broadcastingShapes, shapes } from "../../../testing/arbitraries/arrays.ts";
import { assertValue, build, pick, pickBroadcast, places, type Plain, refuses, toTensor } from "../../support/plain.ts";

const shuffled = (rank: number): fc.Arbitrary<number[]> => {
  const axes = Array.from({ length: rank }, (_, axis) => axis);
  return fc.shuffledSubarray(axes, { minLength: rank, maxLength: rank });
};
const someAxes = (rank: number): fc.Arbitrary<number[]> => fc.subarray(Array.from({ length: rank }, (_, axis) => axis));
/** An axis of a rank, counted from the front or from the back. */
const axisOf = (rank: number): fc.Arbitrary<{ axis: number; given: number }> =>
  fc.tuple(fc.nat(rank - 1), fc.boolean()).map(([axis, back]) => ({ axis, given: back ? axis - rank : axis }));

describe("reshape", () => {
  it("keeps the row-major order of the elements", () => {
    fc.assert(
      fc.property(
        arrays().chain((x) => fc.record({ x: fc.constant(x), order: shuffled(x.shape.length) })),
        ({ x, order }) => {
          const shape = order.map((axis) => x.shape[axis] ?? 0);
          assertValue(ops.reshape(toTensor(x), shape), { shape, values: x.values });
          assertValue(ops.reshape(toTensor(x), [x.values.length]), { shape: [x.values.length], values: x.values });
        },
      ),
    );
  });

  it("works out one -1", () => {
    assert.deepEqual(ops.reshape(ops.zeros([4, 6]), [3, -1, 2]).shape, [3, 4, 2]);
    assert.deepEqual(ops.reshape(ops.zeros([0, 6]), [-1, 6]).shape, [0, 6]);
    assert.deepEqual(ops.reshape(ops.zeros([]), [-1]).shape, [1]);
  });

  it("refuses other sizes", () => {
    const x = ops.zeros([4, 6]);
    refuses(() => ops.reshape(x, [5, 5]), "shape", /^reshape: \[4, 6\] has 24 elements, \[5, 5\] has 25/);
    refuses(() => ops.reshape(x, [5, -1]), "shape", /can't work out -1 in \[5, -1\] for \[4, 6\]/);
    refuses(() => ops.reshape(x, [-1, -1]), "shape", /can't work out -1/);
    refuses(() => ops.reshape(ops.zeros([0]), [0, -1]), "shape", /can't work out -1/);
    refuses(() => ops.reshape(x, [4.5, 6]), "shape", /size 4\.5/);
    refuses(() => ops.reshape(x, [-2, 12]), "shape", /size -2 in \[-2, 12\] is not a whole number of at least 0/);
  });
});

describe("permute and transpose", () => {
  it("axis i of the result is axis order[i]", () => {
    fc.assert(
      fc.property(
        arrays().chain((x) => fc.record({ x: fc.constant(x), order: shuffled(x.shape.length) })),
        ({ x, order }) => {
          const expected = build(
            order.map((axis) => x.shape[axis] ?? 0),
            (place) =>
              pick(
                x,
                x.shape.map((_, axis) => place[order.indexOf(axis)] ?? NaN),
              ),
          );
          assertValue(ops.permute(toTensor(x), order), expected);
          assertValue(
            ops.permute(
              toTensor(x),
              order.map((axis) => axis - x.shape.length),
            ),
            expected,
          );
        },
      ),
    );
  });

  it("reverses by default; transpose exchanges two axes", () => {
    const x = ops.iota([2, 3, 4], 2);
    assert.deepEqual(ops.permute(x).shape, [4, 3, 2]);
    assert.deepEqual(ops.transpose(x).shape, [2, 4, 3]);
    assert.deepEqual(ops.transpose(x, 0).shape, [4, 3, 2]);
    assert.deepEqual(ops.transpose(x, 1, 0).shape, [3, 2, 4]);
  });

  it("refuse what is not an order of the axes", () => {
    const x = ops.zeros([2, 3]);
    refuses(() => ops.permute(x, [0]), "axis", /^permute: \[0\] must name each of the 2 axes of \[2, 3\] once/);
    refuses(() => ops.permute(x, [1, 1]), "axis", /\[1, 1\]/);
    refuses(() => ops.permute(x, [0, 2]), "axis", /axis 2 is out of range for rank 2 \(-2 to 1\)/);
    refuses(() => ops.transpose(ops.zeros([3])), "axis", /^transpose: axis -2/);
    refuses(() => ops.transpose(ops.zeros([])), "axis", /^transpose: axis -2 of a scalar/);
  });
});

describe("broadcastTo", () => {
  it("repeats axes of size 1 and adds axes in front", () => {
    const cases = broadcastingShapes.chain(({ a, result }) =>
      fc.record({ x: arraysOf(a), result: fc.constant(result) }),
    );
    fc.assert(
      fc.property(cases, ({ x, result }) =>
        assertValue(
          ops.broadcastTo(toTensor(x), result),
          build(result, (place) => pickBroadcast(x, place)),
        ),
      ),
    );
  });

  it("refuses what would change the target", () => {
    refuses(
      () => ops.broadcastTo(ops.zeros([2, 3]), [3]),
      "shape",
      /^broadcastTo: \[2, 3\] doesn't broadcast to \[3\]/,
    );
    refuses(() => ops.broadcastTo(ops.zeros([3]), [1]), "shape", /broadcastTo/);
    refuses(() => ops.broadcastTo(ops.zeros([3]), [2]), "shape", /broadcastTo: shapes \[3\] and \[2\]/);
    refuses(() => ops.broadcastTo(ops.zeros([1]), [-2]), "shape", /size -2/);
  });
});

describe("expandDims and squeeze", () => {
  it("add and remove axes of size 1", () => {
    fc.assert(
      fc.property(
        arrays().chain((x) => fc.record({ x: fc.constant(x), place: axisOf(x.shape.length + 1) })),
        ({ x, place }) => {
          const raised = ops.expandDims(toTensor(x), place.given);
          const shape = [...x.shape.slice(0, place.axis), 1, ...x.shape.slice(place.axis)];
          assertValue(raised, { shape, values: x.values });
          assertValue(ops.squeeze(raised, place.given), x);
          const small = x.shape.filter((size) => size !== 1);
          assertValue(ops.squeeze(toTensor(x)), { shape: small, values: x.values });
        },
      ),
    );
  });

  it("refuse other axes", () => {
    refuses(() => ops.squeeze(ops.zeros([2, 1]), 0), "shape", /^squeeze: axis 0 of \[2, 1\] has size 2, not 1/);
    refuses(() => ops.squeeze(ops.zeros([1, 1]), [0, -2]), "axis", /^squeeze: axis given twice/);
    refuses(() => ops.squeeze(ops.zeros([1]), 1), "axis", /^squeeze: axis 1 is out of range/);
    refuses(() => ops.expandDims(ops.zeros([2]), 2), "axis", /^expandDims: axis 2/);
    refuses(() => ops.expandDims(ops.zeros([2]), 0.5), "axis", /axis 0\.5/);
  });
});

/** The coordinates that Python's `range(size)[start:stop:step]` holds. */
function ranged(size: number, [start, stop, step = 1]: SliceRange): number[] {
  const resolve = (value: number): number => (value < 0 ? value + size : value);
  const first = start === undefined ? (step > 0 ? 0 : size - 1) : resolve(start);
  const last = stop === undefined ? (step > 0 ? size : -1) : resolve(stop);
  const list: number[] = [];
  for (let i = first; step > 0 ? i < last : i > last; i += step) list.push(i);
  return list;
}

const rangeOf = (size: number): fc.Arbitrary<SliceRange | null> => {
  const steps = fc.oneof(fc.integer({ min: 1, max: 3 }), fc.integer({ min: -3, max: -1 }));
  const open = fc.tuple(fc.constant(undefined), fc.constant(undefined), steps);
  if (size === 0) return fc.oneof(fc.constant(null), open);
  const start = fc.option(fc.integer({ min: -size, max: size - 1 }), { nil: undefined });
  const stop = fc.option(fc.integer({ min: -size, max: size }), { nil: undefined });
  return fc.oneof(fc.constant(null), open, fc.tuple(start, stop, steps));
};

describe("slice and flip", () => {
  it("take the coordinates that Python's slices do", () => {
    const cases = arrays().chain((x) =>
      fc.record({ x: fc.constant(x), ranges: fc.tuple(...x.shape.map(rangeOf)), given: fc.nat(x.shape.length) }),
    );
    fc.assert(
      fc.property(cases, ({ x, ranges, given }) => {
        const used = ranges.slice(0, given);
        const coordinates = x.shape.map((size, axis) => ranged(size, used[axis] ?? []));
        const expected = build(
          coordinates.map((list) => list.length),
          (place) =>
            pick(
              x,
              place.map((i, axis) => coordinates[axis]?.[i] ?? NaN),
            ),
        );
        assertValue(ops.slice(toTensor(x), used), expected);
      }),
      { numRuns: 300 },
    );
  });

  it("flip reverses the given axes, all by default", () => {
    fc.assert(
      fc.property(
        arrays().chain((x) => fc.record({ x: fc.constant(x), axes: someAxes(x.shape.length) })),
        ({ x, axes }) => {
          const flipped = (which: readonly number[]): Plain =>
            build(x.shape, (place) =>
              pick(
                x,
                place.map((i, axis) => (which.includes(axis) ? (x.shape[axis] ?? 0) - 1 - i : i)),
              ),
            );
          assertValue(ops.flip(toTensor(x), axes), flipped(axes));
          assertValue(ops.flip(toTensor(x)), flipped([...x.shape.keys()]));
        },
      ),
    );
  });

  it("refuse what is out of range", () => {
    const x = ops.zeros([3, 5]);
    refuses(() => ops.slice(x, [[0, 4]]), "range", /^slice: 4 is out of range for axis 0 of size 3 \(-3 to 3\)/);
    refuses(() => ops.slice(x, [null, [-6]]), "range", /-6 is out of range for axis 1 of size 5/);
    refuses(() => ops.slice(x, [[0, 2, 0]]), "range", /^slice: step 0 at axis 0/);
    refuses(() => ops.slice(x, [[0.5]]), "range", /^slice: 0\.5 at axis 0 is not a whole number/);
    const backwards = /^slice: start 3 is out of range for axis 0 of size 3 with step -[12] \(-3 to 2\)/;
    refuses(() => ops.slice(x, [[3, 0, -1]]), "range", backwards);
    refuses(() => ops.slice(x, [[3, undefined, -2]]), "range", backwards);
    refuses(
      () => ops.slice(ops.zeros([0]), [[0, undefined, -1]]),
      "range",
      /^slice: start 0 .* \(it has no elements\)/,
    );
    assert.deepEqual(ops.slice(x, [[3, 3, -1]]).shape, [0, 5]);
    refuses(() => ops.slice(x, [null, null, null]), "shape", /^slice: 3 ranges for \[3, 5\] of rank 2/);
    refuses(() => ops.flip(x, 2), "axis", /^flip: axis 2/);
  });
});

describe("pad", () => {
  it("puts elements of one value around each axis", () => {
    const widths = (rank: number): fc.Arbitrary<[number, number][]> =>
      fc.array(fc.tuple(fc.nat(3), fc.nat(3)), { minLength: rank, maxLength: rank });
    const cases = arrays().chain((x) =>
      fc.record({ x: fc.constant(x), widths: widths(x.shape.length), value: fc.integer({ min: -2, max: 2 }) }),
    );
    fc.assert(
      fc.property(cases, ({ x, widths, value }) => {
        const shape = x.shape.map((size, axis) => size + (widths[axis]?.[0] ?? 0) + (widths[axis]?.[1] ?? 0));
        const expected = build(shape, (place) => {
          const inner = place.map((i, axis) => i - (widths[axis]?.[0] ?? 0));
          const isInside = inner.every((i, axis) => i >= 0 && i < (x.shape[axis] ?? 0));
          return isInside ? pick(x, inner) : value;
        });
        assertValue(ops.pad(toTensor(x), widths, value), expected);
      }),
    );
  });

  it("refuses widths and values that don't fit", () => {
    const x = ops.zeros([2, 3]);
    refuses(() => ops.pad(x, [[1, 1]]), "shape", /^pad: 1 widths for \[2, 3\] of rank 2/);
    refuses(
      () =>
        ops.pad(x, [
          [0, 0],
          [-1, 0],
        ]),
      "range",
      /^pad: widths .*-1.* must be whole numbers of at least 0/,
    );
    refuses(
      () =>
        ops.pad(x, [
          [0, 0],
          [0, 1.5],
        ]),
      "range",
      /1\.5/,
    );
    refuses(() => ops.pad(ops.zeros([2], "u32"), [[1, 0]], -1), "value", /^pad: -1 is not a u32 value/);
    refuses(() => ops.pad(ops.zeros([2], "bool"), [[0, 0]], 2), "value", /^pad: 2 is not a bool value/);
  });
});

describe("concat, stack and split", () => {
  const joined = fc
    .tuple(shapes(1), fc.nat(3), fc.array(fc.nat(4), { minLength: 1, maxLength: 4 }))
    .chain(([shape, choice, sizes]) => {
      const axis = choice % shape.length;
      const parts = sizes.map((size) => arraysOf(shape.map((other, a) => (a === axis ? size : other))));
      return fc.record({ parts: fc.tuple(...parts), axis: fc.constant(axis), back: fc.boolean() });
    });

  it("join along an axis, and split undoes it", () => {
    fc.assert(
      fc.property(joined, ({ parts, axis, back }) => {
        const [first] = parts;
        assert.ok(first);
        const given = back ? axis - first.shape.length : axis;
        const sizes = parts.map((part) => part.shape[axis] ?? 0);
        const owner = sizes.flatMap((size, part) => Array.from({ length: size }, (_, i) => ({ part, i })));
        const expected = build(
          first.shape.map((size, a) => (a === axis ? owner.length : size)),
          (place) => {
            const { part, i } = owner[place[axis] ?? 0] ?? { part: 0, i: 0 };
            return pick(
              parts[part] ?? first,
              place.map((coordinate, a) => (a === axis ? i : coordinate)),
            );
          },
        );
        const whole = ops.concat(
          parts.map((part) => toTensor(part)),
          given,
        );
        assertValue(whole, expected);
        ops.split(whole, sizes, given).forEach((piece, i) => assertValue(piece, parts[i] ?? first));
      }),
    );
  });

  it("stack makes the axis that it joins along", () => {
    const cases = shapes(0, 3).chain((shape) =>
      fc.record({ parts: fc.array(arraysOf(shape), { minLength: 1, maxLength: 3 }), place: axisOf(shape.length + 1) }),
    );
    fc.assert(
      fc.property(cases, ({ parts, place: { axis, given } }) => {
        const shape = parts[0]?.shape ?? [];
        const expected = build([...shape.slice(0, axis), parts.length, ...shape.slice(axis)], (place) =>
          pick(parts[place[axis] ?? 0] ?? { shape: [], values: [] }, [
            ...place.slice(0, axis),
            ...place.slice(axis + 1),
          ]),
        );
        assertValue(
          ops.stack(
            parts.map((part) => toTensor(part)),
            given,
          ),
          expected,
        );
      }),
    );
  });

  it("refuse parts that don't fit", () => {
    const x = ops.zeros([2, 3]);
    refuses(() => ops.concat([]), "shape", /^concat: nothing to concatenate/);
    refuses(() => ops.concat([x, ops.zeros([2, 4])]), "shape", /^concat: \[2, 3\] and \[2, 4\] .*axis 0/);
    refuses(() => ops.concat([x, ops.zeros([2])], 1), "shape", /^concat: \[2, 3\] and \[2\]/);
    refuses(() => ops.concat([x, ops.zeros([2, 3], "i32")]), "dtype", /^concat: .*f32, i32/);
    refuses(() => ops.concat([x, x], 2), "axis", /^concat: axis 2 is out of range/);
    refuses(() => ops.concat([ops.zeros([])]), "axis", /^concat: axis 0 of a scalar/);
    refuses(() => ops.stack([]), "shape", /^stack: nothing to stack/);
    refuses(() => ops.stack([x, ops.zeros([3, 2])]), "shape", /^stack: shapes differ: \[2, 3\] and \[3, 2\]/);
    refuses(() => ops.stack([x, x], 3), "axis", /^stack: axis 3/);
    refuses(() => ops.split(x, [1, 2]), "shape", /^split: sizes \[1, 2\] don't add up to axis 0 of \[2, 3\]/);
    refuses(() => ops.split(x, [4, -1], 1), "shape", /^split: sizes \[4, -1\]/);
    refuses(() => ops.split(x, [3], 2), "axis", /^split: axis 2/);
  });
});

describe("gather", () => {
  it("is NumPy's take: the index replaces the axis", () => {
    const cases = arrays("f32", 1, 3).chain((x) => {
      const axis = axisOf(x.shape.length);
      return axis.chain((place) => {
        const size = x.shape[place.axis] ?? 0;
        const indexShape = size === 0 ? fc.constant([0]) : shapes(0, 2);
        return indexShape.chain((shape) =>
          fc.record({
            x: fc.constant(x),
            place: fc.constant(place),
            index: arraysOf(shape, fc.integer({ min: 0, max: Math.max(0, size - 1) })),
          }),
        );
      });
    });
    fc.assert(
      fc.property(cases, ({ x, place: { axis, given }, index }) => {
        const rank = index.shape.length;
        const expected = build([...x.shape.slice(0, axis), ...index.shape, ...x.shape.slice(axis + 1)], (place) =>
          pick(x, [...place.slice(0, axis), pick(index, place.slice(axis, axis + rank)), ...place.slice(axis + rank)]),
        );
        assertValue(ops.gather(toTensor(x), toTensor(index, "i32"), given), expected);
      }),
    );
  });

  it("refuses other indices", () => {
    const x = ops.zeros([2, 3]);
    refuses(() => ops.gather(x, ops.zeros([2])), "dtype", /^gather: index has dtype f32, expected i32/);
    refuses(() => ops.gather(x, ops.zeros([2], "i32"), 2), "axis", /^gather: axis 2/);
    refuses(
      () => ops.gather(ops.zeros([0, 3]), ops.zeros([1], "i32")),
      "range",
      /^gather: axis 0 of \[0, 3\] is empty/,
    );
  });
});

describe("scatterAdd", () => {
  it("adds each row of the values to the row that its index says", () => {
    const cases = shapes(1, 3).chain((of) =>
      fc.tuple(axisOf(of.length), shapes(0, 2), fc.integer({ min: 1, max: 5 })).chain(([place, indexShape, size]) =>
        fc.record({
          place: fc.constant(place),
          size: fc.constant(size),
          index: arraysOf(indexShape, fc.nat(size - 1)),
          values: arraysOf(
            [...of.slice(0, place.axis), ...indexShape, ...of.slice(place.axis + 1)],
            fc.integer({ min: -9, max: 9 }),
          ),
          dtype: fc.constantFrom("f32" as const, "i32" as const, "u32" as const),
        }),
      ),
    );
    fc.assert(
      fc.property(cases, ({ place: { axis, given }, size, index, values, dtype }) => {
        const rank = index.shape.length;
        const [before, after] = [values.shape.slice(0, axis), values.shape.slice(axis + rank)];
        const unsigned = dtype === "u32" ? { ...values, values: values.values.map(Math.abs) } : values;
        const expected = build([...before, size, ...after], (place) =>
          places(index.shape).reduce((sum, taken) => {
            const isRow = pick(index, taken) === place[axis];
            return isRow ? sum + pick(unsigned, [...place.slice(0, axis), ...taken, ...place.slice(axis + 1)]) : sum;
          }, 0),
        );
        assertValue(ops.scatterAdd(toTensor(unsigned, dtype), toTensor(index, "i32"), size, given), expected, dtype);
      }),
    );
  });

  it("gives back the shape that gather took from", () => {
    const [x, index] = [ops.zeros([4, 5, 6]), ops.zeros([2, 3], "i32")];
    for (const axis of [0, 1, 2, -1]) {
      assert.deepEqual(ops.scatterAdd(ops.gather(x, index, axis), index, x.shape.at(axis) ?? 0, axis).shape, x.shape);
    }
    assert.deepEqual(ops.scatterAdd(ops.zeros([5]), ops.scalar(1, "i32"), 3).shape, [3, 5]);
    assert.deepEqual(ops.scatterAdd(ops.zeros([0, 5]), ops.zeros([0], "i32"), 0).shape, [0, 5]);
  });

  it("refuses other values, indices and sizes", () => {
    const [values, index] = [ops.zeros([4, 3]), ops.zeros([4], "i32")];
    refuses(() => ops.scatterAdd(values, ops.zeros([4]), 2), "dtype", /^scatterAdd: index has dtype f32, expected i32/);
    refuses(() => ops.scatterAdd(ops.zeros([4, 3], "bool"), index, 2), "dtype", /^scatterAdd: values of dtype bool/);
    refuses(() => ops.scatterAdd(values, index, 2, 2), "axis", /^scatterAdd: axis 2/);
    refuses(
      () => ops.scatterAdd(values, index, 2, 1),
      "shape",
      /^scatterAdd: values \[4, 3\] should have the axes of the index, \[4\], from axis 1 on/,
    );
    refuses(() => ops.scatterAdd(ops.zeros([4]), ops.zeros([4, 1], "i32"), 2), "shape", /^scatterAdd: values \[4\]/);
    refuses(() => ops.scatterAdd(values, ops.zeros([4, 3, 1], "i32"), 2), "shape", /from axis 0 on/);
    for (const size of [-1, 0, 1.5, NaN]) {
      refuses(() => ops.scatterAdd(values, index, size), "range", /^scatterAdd: axis 0 of size \S+ has no place for 4/);
    }
  });
});
