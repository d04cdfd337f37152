/** Repeated, rolled and triangular arrays, diagonals and evenly spaced numbers, against loops. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import * as ops from "../../../engine/index.ts";
import { arrays } from "../../../testing/arbitraries/arrays.ts";
import { assertValue, build, pick, refuses, toTensor, valueOf } from "../../support/plain.ts";

const modulo = (a: number, b: number): number => ((a % b) + b) % b;

describe("tile and roll", () => {
  it("repeat axes as NumPy does", () => {
    const cases = fc.tuple(arrays("i32", 0, 3), fc.array(fc.nat(3), { maxLength: 4 }));
    fc.assert(
      fc.property(cases, ([x, repeats]) => {
        const rank = Math.max(x.shape.length, repeats.length);
        const shape = [...new Array<number>(rank - x.shape.length).fill(1), ...x.shape];
        const counts = [...new Array<number>(rank - repeats.length).fill(1), ...repeats];
        const lifted = { ...x, shape };
        const expected = build(
          shape.map((size, axis) => size * (counts[axis] ?? 1)),
          (place) =>
            pick(
              lifted,
              place.map((c, axis) => c % (shape[axis] ?? 1)),
            ),
        );
        assertValue(ops.tile(toTensor(x, "i32"), repeats), expected, "i32");
      }),
      { numRuns: 50 },
    );
    refuses(() => ops.tile(ops.zeros([2]), [-1]), "range", /^tile: repeats \[-1\]/);
  });

  it("move elements on, those at the end to the front", () => {
    const cases = arrays("f32", 1, 3).chain((x) =>
      fc.tuple(
        fc.constant(x),
        fc.array(fc.tuple(fc.integer({ min: -9, max: 9 }), fc.nat(x.shape.length - 1)), { maxLength: 3 }),
      ),
    );
    fc.assert(
      fc.property(cases, ([x, moves]) => {
        const expected = build(x.shape, (place) => {
          const from = [...place];
          for (const [shift, axis] of moves) from[axis] = modulo((from[axis] ?? 0) - shift, x.shape[axis] ?? 1);
          return pick(x, from);
        });
        const [shifts, axes] = [moves.map(([shift]) => shift), moves.map(([, axis]) => axis - x.shape.length)];
        assertValue(ops.roll(toTensor(x), shifts, axes), expected);
      }),
      { numRuns: 50 },
    );
    assertValue(ops.roll(ops.arange(4), 1, 0), { shape: [4], values: [3, 0, 1, 2] }, "i32");
    refuses(() => ops.roll(ops.zeros([2, 2]), [1], [0, 1]), "range", /^roll: shifts \[1\]/);
    refuses(() => ops.roll(ops.zeros([2]), 0.5, 0), "range", /^roll: shifts \[0\.5\]/);
  });
});

describe("diag and triangles", () => {
  it("put a vector on a diagonal and take it from there", () => {
    fc.assert(
      fc.property(arrays("f32", 1, 1), fc.integer({ min: -4, max: 4 }), (x, offset) => {
        const size = x.values.length + Math.abs(offset);
        const expected = build([size, size], ([row = 0, column = 0]) =>
          column - row === offset ? (x.values[Math.min(row, column)] ?? NaN) : 0,
        );
        const matrix = ops.diag(toTensor(x), offset);
        assertValue(matrix, expected);
        assertValue(ops.diag(matrix, offset), x);
      }),
      { numRuns: 50 },
    );
  });

  it("take diagonals and triangles of matrices of any shape", () => {
    fc.assert(
      fc.property(arrays("f32", 2, 2), fc.integer({ min: -6, max: 6 }), (x, offset) => {
        const [rows = 0, columns = 0] = x.shape;
        const given = toTensor(x);
        const keep = (isKept: (distance: number) => boolean) =>
          build(x.shape, (place) => (isKept((place[1] ?? 0) - (place[0] ?? 0)) ? pick(x, place) : 0));
        assertValue(
          ops.keepLowerTriangle(given, offset),
          keep((distance) => distance <= offset),
        );
        assertValue(
          ops.keepUpperTriangle(given, offset),
          keep((distance) => distance >= offset),
        );
        if (offset < -rows || offset > columns) {
          refuses(() => ops.diag(given, offset), "range", /^diag: .* has no diagonal/);
          return;
        }
        const length = Math.min(rows + Math.min(0, offset), columns - Math.max(0, offset));
        const start = [Math.max(0, -offset), Math.max(0, offset)];
        const expected = build([length], ([i = 0]) =>
          pick(
            x,
            start.map((first) => first + i),
          ),
        );
        assertValue(ops.diag(given, offset), expected);
      }),
      { numRuns: 100 },
    );
    refuses(() => ops.diag(ops.zeros([1, 1, 1])), "shape", /^diag: x is \[1, 1, 1\]/);
    refuses(() => ops.keepUpperTriangle(ops.zeros([3])), "shape", /^keepUpperTriangle: x is \[3\]/);
    refuses(() => ops.keepLowerTriangle(ops.zeros([3, 3]), 0.5), "range", /^keepLowerTriangle: diagonal 0\.5/);
  });
});

describe("linspace", () => {
  it("goes from start to stop, both included", () => {
    for (const [start, stop, count] of [
      [0, 1, 11],
      [3, -5, 4],
      [0.1, 0.7, 1000],
      [2, 9, 1],
      [-1e38, 3e38, 5],
    ] as const) {
      const { values } = valueOf(ops.linspace(start, stop, count));
      assert.equal(values.length, count);
      values.forEach((value, i) => {
        const exact = start + ((stop - start) / Math.max(1, count - 1)) * i;
        assert.ok(
          Math.abs(value - exact) <= 2 ** -24 * Math.max(Math.abs(exact), 2 ** -24 * Math.abs(stop - start)),
          `${i}`,
        );
      });
      assert.equal(values[0], Math.fround(start));
      if (count > 1) assert.equal(values.at(-1), Math.fround(stop));
    }
    assert.deepEqual(valueOf(ops.linspace(0, 1, 0)).values, []);
    refuses(() => ops.linspace(0, Infinity, 2), "value", /^linspace: 0 to Infinity/);
    refuses(() => ops.linspace(0, 1, -1), "shape", /^linspace: size -1/);
  });
});
