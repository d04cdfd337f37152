import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { topologicalOrder } from "../../../engine/graph/graph.ts";
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

describe("a product with one matrix", () => {
  const kinds = (x: ops.Tensor): string[] =>
    topologicalOrder([x.node]).flatMap(({ kind, inputs }) =>
      kind === "matmul" ? [inputs.map(({ shape }) => `[${shape.join(", ")}]`).join(" @ ")] : [],
    );

  it("is one product over all rows, and so are its derivatives", () => {
    const [x, w] = [ops.ones([4, 5, 3]), ops.ones([3, 2])];
    const made: readonly ((x: ops.Tensor, w: ops.Tensor) => ops.Tensor)[] = [
      ops.matmul,
      (a, b) => ops.matmul(a, ops.reshape(b, [1, 3, 2])),
      (a, b) => ops.einsum("btc,cd->btd", a, b),
    ];
    for (const product of made) {
      const { value, pullback } = ops.vjp(([a, b]: readonly [ops.Tensor, ops.Tensor]) => product(a, b), [x, w]);
      assert.deepEqual(kinds(value), ["[1, 20, 3] @ [1, 3, 2]"]);
      const [byX, byW] = pullback(ops.ones([4, 5, 2]));
      assert.deepEqual(kinds(byX), ["[1, 20, 2] @ [1, 2, 3]"]);
      assert.deepEqual(kinds(byW), ["[1, 3, 20] @ [1, 20, 2]"]);
    }
  });

  it("stays a batch where both sides have one", () => {
    assert.deepEqual(kinds(ops.matmul(ops.ones([4, 5, 3]), ops.ones([4, 3, 2]))), ["[4, 5, 3] @ [4, 3, 2]"]);
    assert.deepEqual(kinds(ops.matmul(ops.ones([5, 3]), ops.ones([4, 3, 2]))), ["[4, 5, 3] @ [4, 3, 2]"]);
  });
});

/** A term in labels: letters, and digits for the axes of `...`, counted from the last. */
type Labels = readonly string[];

const isLetter = (label: string): boolean => /[a-zA-Z]/.test(label);
const textOf = (labels: Labels, ellipsis: number | undefined): string => {
  const letters = labels.filter(isLetter);
  if (ellipsis === undefined) return letters.join("");
  return [...letters.slice(0, ellipsis), "...", ...letters.slice(ellipsis)].join("");
};

/** The sum over all values of all labels, straight from the definition; axes of size 1 are read at 0. */
function bruteForce(terms: readonly Labels[], result: Labels, operands: readonly Plain[]): Plain {
  const extents = new Map<string, number>();
  terms.forEach((term, i) => {
    term.forEach((label, axis) => {
      const size = operands[i]?.shape[axis] ?? 0;
      if (size !== 1 || !extents.has(label)) extents.set(label, size);
    });
  });
  const extent = (label: string): number => extents.get(label) ?? 1;
  const summed = [...extents.keys()].filter((label) => !result.includes(label));
  return build(result.map(extent), (outer) =>
    sum(
      places(summed.map(extent)).map((inner) => {
        const value = (label: string): number => outer[result.indexOf(label)] ?? inner[summed.indexOf(label)] ?? NaN;
        return terms.reduce((product, term, i) => {
          const operand = operands[i];
          assert.ok(operand);
          const place = term.map((label, axis) => (operand.shape[axis] === 1 ? 0 : value(label)));
          return product * pick(operand, place);
        }, 1);
      }),
    ),
  );
}

describe("einsum", () => {
  const names = ["a", "b", "c", "B"];
  const lengths = fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min: 1, max: 3 }) },
    { weight: 1, arbitrary: fc.constant(0) },
  );
  const term = fc
    .record({
      letters: fc.array(fc.constantFrom(...names), { maxLength: 3 }),
      open: fc.option(fc.nat(2), { nil: undefined }),
      at: fc.nat(3),
    })
    .map(({ letters, open, at }) => {
      const place = Math.min(at, letters.length);
      const axes = Array.from({ length: open ?? 0 }, (_, i) => String((open ?? 0) - 1 - i));
      return {
        labels: [...letters.slice(0, place), ...axes, ...letters.slice(place)],
        ellipsis: open === undefined ? undefined : place,
      };
    });
  const equations = fc
    .record({
      terms: fc.array(term, { minLength: 1, maxLength: 4 }),
      extents: fc.tuple(lengths, lengths, lengths, lengths, lengths, lengths),
      implicit: fc.boolean(),
      withOpen: fc.boolean(),
      // Which axes have size 1 though others don't.
      ones: fc.array(fc.nat(5), { minLength: 16, maxLength: 16 }),
      // Letters of the result: the order in which they come, and how many.
      order: fc.shuffledSubarray(names),
      at: fc.nat(4),
    })
    .chain(({ terms, extents, implicit, withOpen, ones, order, at }) => {
      const all = terms.flatMap(({ labels }) => labels);
      const open = [...new Set(all.filter((label) => !isLetter(label)))].sort().reverse();
      const letters = order.filter((letter) => all.includes(letter));
      const place = Math.min(at, letters.length);
      const once = all.filter((label) => isLetter(label) && all.indexOf(label) === all.lastIndexOf(label)).sort();
      const result = implicit
        ? [...open, ...once]
        : [...letters.slice(0, place), ...(withOpen ? open : []), ...letters.slice(place)];
      const left = terms.map(({ labels, ellipsis }) => textOf(labels, ellipsis)).join(", ");
      const right = implicit ? "" : ` -> ${textOf(result, withOpen ? place : undefined)}`;
      const size = (label: string, i: number): number =>
        ones[i % 16] === 0 ? 1 : (extents[[...names, "0", "1"].indexOf(label)] ?? 0);
      let axis = 0;
      const shapes = terms.map(({ labels }) => labels.map((label) => size(label, axis++)));
      return fc.record({
        equation: fc.constant(left + right),
        terms: fc.constant(terms.map(({ labels }) => labels)),
        result: fc.constant(result),
        operands: fc.tuple(...shapes.map((shape) => arraysOf(shape, fc.integer({ min: -3, max: 3 })))),
      });
    });

  it("is the sum of products over every letter that the result lacks", () => {
    fc.assert(
      fc.property(equations, ({ equation, terms, result, operands }) => {
        const value = ops.einsum(equation, ...operands.map((operand) => toTensor(operand)));
        assertValue(value, bruteForce(terms, result, operands));
      }),
      { numRuns: 400 },
    );
  });

  it("multiplies a chain in the order with fewest multiplications", () => {
    const shapes = [
      [40, 2],
      [2, 40],
      [40, 3],
    ] as const;
    const chain = ops.einsum("ij,jk,kl->il", ...shapes.map((shape) => ops.ones(shape)));
    const sizesOfProducts = topologicalOrder([chain.node]).flatMap(({ kind, shape }) =>
      kind === "matmul" ? [shape] : [],
    );
    assert.deepEqual(sizesOfProducts, [
      [1, 2, 3],
      [1, 40, 3],
    ]);
    // More operands than are tried in every order.
    const many = "ab,bc,cd,de,ef,fg,gh,hi,ij,jk->ak";
    const product = ops.einsum(many, ...Array.from({ length: 10 }, () => ops.multiply(ops.eye(3), 2)));
    assertValue(
      product,
      build([3, 3], ([i, j]) => (i === j ? 1024 : 0)),
    );
  });

  it("refuses equations that it can't read", () => {
    const x = ops.zeros([2, 3]);
    for (const equation of ["ij,jk", "i.j->ij", "i....j", "...i...", "ij->i->j", "ij->ii", "ij,jk,kl->il", "i1->i"]) {
      refuses(() => ops.einsum(equation, x), "value", /^einsum: can't read/);
    }
    refuses(() => ops.einsum("ij,jk->ik", x), "value", /for 1 operands/);
    refuses(() => ops.einsum("ij->ji", x, x), "value", /for 2 operands/);
    refuses(() => ops.einsum("ij->ik", x), "value", /^einsum: "ij->ik": k is in the result only/);
  });

  it("refuses operands that don't fit the letters", () => {
    const x = ops.zeros([2, 3]);
    refuses(() => ops.einsum("ijk->i", x), "shape", /operand 0 is \[2, 3\], "ijk" has 3 letters/);
    refuses(() => ops.einsum("...ijk->i", x), "shape", /operand 0 is \[2, 3\], "...ijk" has at least 3 letters/);
    refuses(() => ops.einsum("ij,jk->ik", x, x), "shape", /^einsum: "ij,jk->ik": j is 3 and 2/);
    refuses(() => ops.einsum("ii->i", x), "shape", /^einsum: "ii->i": i is 2 and 3/);
  });
});
