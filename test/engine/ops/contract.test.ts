import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import * as ops from "../../../engine/index.ts";
import { arraysOf, broadcastingShapes } from "../../../testing/arbitraries/arrays.ts";
import { assertValue, build, pick, pickBroadcast, places, type Plain, refuses, toTensor } from "../../support/plain.ts";

const sum = (list: readonly number[]): number => list.reduce((total, value) => total + value, 0);
const range = (length: number): number[] => Array.from({ length }, (_, i) => i);
const sizes = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 1, max: 4 }) },
  { weight: 1, arbitrary: fc.constant(0) },
);

describe("matmul", () => {
  it("multiplies matrices over broadcast axes", () => {
    const cases = fc
      .record({ batch: broadcastingShapes, m: sizes, k: sizes, n: sizes })
      .filter(({ batch }) => batch.result.length <= 3)
      .chain(({ batch, m, k, n }) =>
        fc.record({
          a: arraysOf([...batch.a, m, k]),
          b: arraysOf([...batch.b, k, n]),
          shape: fc.constant([...batch.result, m, n]),
        }),
      );
    fc.assert(
      fc.property(cases, ({ a, b, shape }) => {
        const inner = a.shape.at(-1) ?? 0;
        const expected = build(shape, (place) => {
          const batch = place.slice(0, -2);
          const [row = 0, column = 0] = place.slice(-2);
          // The two last axes are never broadcast: sizes of 1 there mean one row or column.
          return sum(
            range(inner).map((i) => pickBroadcast(a, [...batch, row, i]) * pickBroadcast(b, [...batch, i, column])),
          );
        });
        assertValue(ops.matmul(toTensor(a), toTensor(b)), expected);
      }),
    );
  });

  it("takes a vector for a row on the left and a column on the right", () => {
    const matrix = toTensor({ shape: [2, 3], values: [1, 2, 3, 4, 5, 6] });
    assertValue(ops.matmul(ops.arange(2, "f32"), matrix), { shape: [3], values: [4, 5, 6] });
    assertValue(ops.matmul(matrix, ops.arange(3, "f32")), { shape: [2], values: [8, 17] });
    assertValue(ops.matmul(ops.arange(3, "f32"), ops.arange(3, "f32")), { shape: [], values: [5] });
    assert.deepEqual(ops.matmul(ops.zeros([4, 2, 3]), ops.zeros([3])).shape, [4, 2]);
    assert.deepEqual(ops.matmul(ops.zeros([2]), ops.zeros([4, 2, 3])).shape, [4, 3]);
  });

  it("refuses what doesn't fit", () => {
    const zeros = ops.zeros;
    refuses(
      () => ops.matmul(zeros([2, 3]), zeros([2, 3])),
      "shape",
      /^matmul: inner dimensions differ: \[2, 3\] @ \[2, 3\]/,
    );
    refuses(() => ops.matmul(zeros([]), zeros([2])), "shape", /^matmul: \[\] @ \[2\]: a scalar has no inner axis/);
    refuses(
      () => ops.matmul(zeros([2, 1, 1]), zeros([3, 1, 1])),
      "shape",
      /^matmul: shapes \[2\] and \[3\] don't broadcast/,
    );
    refuses(() => ops.matmul(zeros([1, 1], "i32"), zeros([1, 1], "i32")), "dtype", /^matmul: dtype i32/);
    refuses(() => ops.matmul(zeros([1, 1]), zeros([1, 1], "i32")), "dtype", /^matmul: .*i32/);
  });
});

const letters = (term: string): string[] => Array.from(term);

/** The sum over all values of all letters, straight from the definition. */
function bruteForce(terms: readonly string[], result: string, operands: readonly Plain[]): Plain {
  const extents = new Map<string, number>();
  terms.forEach((term, i) => {
    letters(term).forEach((letter, axis) => extents.set(letter, operands[i]?.shape[axis] ?? 0));
  });
  const summed = [...extents.keys()].filter((letter) => !result.includes(letter));
  const sizeOfLetter = (letter: string): number => extents.get(letter) ?? 0;
  return build(letters(result).map(sizeOfLetter), (outer) =>
    sum(
      places(summed.map(sizeOfLetter)).map((inner) => {
        const value = (letter: string): number => outer[result.indexOf(letter)] ?? inner[summed.indexOf(letter)] ?? NaN;
        return terms.reduce((product, term, i) => {
          const operand = operands[i];
          assert.ok(operand);
          return product * pick(operand, letters(term).map(value));
        }, 1);
      }),
    ),
  );
}

describe("einsum", () => {
  const term = fc
    .subarray(["a", "b", "c", "d"])
    .chain((letters) => fc.shuffledSubarray(letters, { minLength: letters.length, maxLength: letters.length }));
  const equations = fc
    .record({ terms: fc.array(term, { minLength: 1, maxLength: 2 }), extents: fc.tuple(sizes, sizes, sizes, sizes) })
    .chain(({ terms, extents }) => {
      const extent = (letter: string): number => extents["abcd".indexOf(letter)] ?? 0;
      return fc.record({
        terms: fc.constant(terms.map((letters) => letters.join(""))),
        result: fc.shuffledSubarray([...new Set(terms.flat())]).map((letters) => letters.join("")),
        operands: fc.tuple(...terms.map((letters) => arraysOf(letters.map(extent)))),
      });
    });

  it("is the sum of products over every letter that the result lacks", () => {
    fc.assert(
      fc.property(equations, ({ terms, result, operands }) => {
        const equation = `${terms.join(", ")} -> ${result}`;
        const value = ops.einsum(equation, ...operands.map((operand) => toTensor(operand)));
        assertValue(value, bruteForce(terms, result, operands));
      }),
      { numRuns: 300 },
    );
  });

  it("refuses equations that it can't read", () => {
    const x = ops.zeros([2, 3]);
    for (const equation of ["ij", "ij,jk", "i.j->ij", "ij->i->j", "ii->i", "ij->ii", "ij,jk,kl->il"]) {
      refuses(() => ops.einsum(equation, x), "value", /^einsum: can't read/);
    }
    refuses(() => ops.einsum("ij,jk->ik", x), "value", /for 1 operands/);
    refuses(() => ops.einsum("ij->ji", x, x), "value", /for 2 operands/);
    refuses(() => ops.einsum("ij->ik", x), "value", /^einsum: "ij->ik": k is in the result only/);
  });

  it("refuses operands that don't fit the letters", () => {
    const x = ops.zeros([2, 3]);
    refuses(() => ops.einsum("ijk->i", x), "shape", /operand 0 is \[2, 3\], "ijk" has 3 letters/);
    refuses(() => ops.einsum("ij,jk->ik", x, x), "shape", /^einsum: "ij,jk->ik": j is 3 and 2/);
  });
});
