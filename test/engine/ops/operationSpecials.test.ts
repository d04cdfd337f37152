/** Composed operations at special points, where conventions count, and what they refuse. */
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import type { ErrorCode, NestedArray, Tensor } from "../../../engine/index.ts";
import * as ops from "../../../engine/index.ts";
import { refuses } from "../../support/plain.ts";

const { tensor, zeros } = ops;
const row = (...values: number[]): Tensor => tensor(values, { shape: [1, 1, values.length] });
const i32 = (...values: number[]): Tensor => tensor(Int32Array.from(values), { shape: [1, 1, values.length] });
const slope = (f: (x: Tensor) => Tensor, x: Tensor): Tensor => ops.grad((y: Tensor) => ops.reduceSum(f(y)))(x);
const lowest = -(2 ** 31);
const bools = (x: Tensor): Tensor => ops.cast(x, "i32");

const exact: readonly (readonly [name: string, result: () => Tensor, expected: NestedArray])[] = [
  [
    "maxPool's derivative goes to the first",
    () => slope((x) => ops.maxPool(x, { size: 2 }), row(1, 1, 2, 2)),
    [[[1, 0, 1, 0]]],
  ],
  [
    "the first of equal elements is the first in row-major order, in windows side by side",
    () => slope((x) => ops.maxPool(x, { size: 2 }), ops.ones([1, 1, 2, 4])),
    [
      [
        [
          [1, 0, 1, 0],
          [0, 0, 0, 0],
        ],
      ],
    ],
  ],
  [
    "and in windows that overlap",
    () => slope((x) => ops.maxPool(x, { size: 2, stride: 1 }), ops.ones([1, 1, 3, 3])),
    [
      [
        [
          [1, 1, 0],
          [1, 1, 0],
          [0, 0, 0],
        ],
      ],
    ],
  ],
  ["maxPool of NaN", () => ops.maxPool(row(1, NaN, NaN, 2, 3, 4), { size: 3 }), [[[NaN, 4]]]],
  ["the first NaN is where", () => ops.maxPoolWithIndices(row(1, NaN, NaN, 2), { size: 4 }).indices, [[[1]]]],
  [
    "also where windows overlap",
    () => ops.maxPoolWithIndices(row(1, NaN, 2), { size: 2, stride: 1 }).indices,
    [[[1, 1]]],
  ],
  ["NaN has the derivative", () => slope((x) => ops.maxPool(x, { size: 4 }), row(1, NaN, NaN, 2)), [[[0, 1, 0, 0]]]],
  [
    "padding never wins, not against -infinity",
    () => ops.maxPoolWithIndices(row(-Infinity, -Infinity), { size: 3, stride: 1, padding: 1 }).indices,
    [[[0, 0]]],
  ],
  [
    "nor has it the derivative",
    () => slope((x) => ops.maxPool(x, { size: 3, stride: 1, padding: 1 }), row(-Infinity, -Infinity)),
    [[[2, 0]]],
  ],
  ["maxPool of the lowest i32", () => ops.maxPool(i32(lowest, lowest, 5), { size: 2, padding: 1 }), [[[lowest, 5]]]],
  [
    "an infinite derivative stays where it is",
    () => slope((x) => ops.sqrt(ops.maxPool(x, { size: 2 })), row(0, -1, 4, 1)),
    [[[Infinity, 0, 0.25, 0]]],
  ],
  ["meanPool beside an infinity", () => ops.meanPool(row(1, 3, Infinity, 1), { size: 2 }), [[[2, Infinity]]]],
  [
    "meanPool over padding, counted and not",
    () =>
      ops.stack([true, false].map((countPadding) => ops.meanPool(row(6, 12), { size: 2, padding: 1, countPadding }))),
    [[[[3, 6]]], [[[6, 12]]]],
  ],
  [
    "meanPool counts nothing that ceilMode adds",
    () => ops.meanPool(row(1, 2, 3), { size: 2, ceilMode: true }),
    [[[1.5, 3]]],
  ],
  [
    "borders of integers",
    () =>
      ops.padReflect(i32(1, 2, 3), [
        [0, 0],
        [0, 0],
        [4, 1],
      ]),
    [[[1, 2, 3, 2, 1, 2, 3, 2]]],
  ],
  ["borders of bools", () => bools(ops.padEdge(tensor([true, false]), [[1, 2]])), [1, 1, 0, 0, 0]],
  ["a border of one element", () => ops.padReflect(tensor([7]), [[1, 2]]), [7, 7, 7, 7]],
  ["padWrap several times around", () => ops.padWrap(tensor([1, 2]), [[3, 4]]), [2, 1, 2, 1, 2, 1, 2, 1, 2]],
  ["resize of integers", () => ops.resize(i32(1, 2), { scale: 2 }), [[[1, 1, 2, 2]]]],
  [
    "resize of bools along another axis",
    () => bools(ops.resize(tensor([true, false]), { size: 4, axes: [0] })),
    [1, 1, 0, 0],
  ],
  [
    "resize keeps an infinity to its neighbours",
    () => ops.resize(row(0, 0, Infinity, 0), { scale: 2, mode: "linear" }),
    [[[0, 0, 0, Infinity, Infinity, Infinity, Infinity, 0]]],
  ],
  [
    "also with a table",
    () => ops.resize(row(Infinity, 0, 0, 0, 0), { size: 4, mode: "linear", antialias: true }),
    [[[Infinity, 0, 0, 0]]],
  ],
  [
    "resize of a crop, with a value outside",
    () =>
      ops.resize(row(1, 2, 3, 4), {
        size: 3,
        mode: "linear",
        coordinates: (i) => -1 + 2 * i,
        outside: 9,
      }),
    [[[9, 2, 4]]],
  ],
  [
    "gridSample of NaN and far places",
    () => ops.gridSample(tensor([[[1, 2, 3]]]), tensor([[[NaN], [Infinity], [-1e30], [1e30]]])),
    [[[0, 0, 0, 0]]],
  ],
  [
    "gridSample of far places with borders",
    () => ops.gridSample(tensor([[[1, 2, 3]]]), tensor([[[Infinity], [-Infinity], [1e30]]]), { padding: "border" }),
    [[[3, 1, 3]]],
  ],
  [
    "transforms of one number",
    () => ops.stack([ops.fft(tensor([3])).real, ops.inverseRealFft({ real: tensor([3]), imaginary: tensor([7]) }, 1)]),
    [[3], [3]],
  ],
  [
    "a transform along another axis",
    () =>
      ops.realFft(
        tensor([
          [1, 2],
          [3, 4],
        ]),
        0,
      ).real,
    [
      [4, 6],
      [-2, -2],
    ],
  ],
  [
    "solve of a singular matrix beside one that isn't",
    () =>
      ops.solve(
        tensor([
          [
            [1, 2],
            [2, 4],
          ],
          [
            [0, 2],
            [1, 0],
          ],
        ]),
        tensor([4, 3]),
      ),
    [
      [NaN, NaN],
      [3, 2],
    ],
  ],
  [
    "solve needs a pivot",
    () =>
      ops.solve(
        tensor([
          [0, 1],
          [1, 0],
        ]),
        tensor([
          [1, 2],
          [3, 4],
        ]),
      ),
    [
      [3, 4],
      [1, 2],
    ],
  ],
  [
    "determinants of singular matrices",
    () =>
      ops.determinant(
        tensor([
          [
            [1, 2, 3],
            [2, 4, 6],
            [1, 1, 1],
          ],
          [
            [0, 0, 0],
            [0, 0, 0],
            [0, 0, 0],
          ],
        ]),
      ),
    [0, 0],
  ],
  [
    "a determinant's derivative where it is 0: the cofactors",
    () =>
      slope(
        ops.determinant,
        tensor([
          [0, 1, 2],
          [0, 3, 4],
          [0, 5, 8],
        ]),
      ),
    [
      [4, 0, 0],
      [2, 0, 0],
      [-2, 0, 0],
    ],
  ],
  ["determinants of no rows", () => ops.determinant(zeros([2, 0, 0])), [1, 1]],
  [
    "cholesky of a matrix that isn't positive definite",
    () =>
      ops.cholesky(
        tensor([
          [4, 2],
          [2, 0],
        ]),
      ),
    [
      [2, 0],
      [1, NaN],
    ],
  ],
  [
    "withDerivativeOf",
    () => slope((x) => ops.multiply(ops.withDerivativeOf(ops.floor(x), x), x), tensor([1.5, -0.5])),
    [2.5, -1.5],
  ],
];

for (const name of ["oracle", "wasm"] as const) {
  describe(`special points on ${name}`, () => {
    const device = ops.createDevice(name);
    after(async () => (await device).dispose());
    for (const [what, result, expected] of exact) {
      it(what, async () => {
        const x = result();
        const data = await ops.evaluate(x, await device);
        const unsigned = (value: NestedArray): NestedArray =>
          value instanceof Array ? value.map(unsigned) : value === 0 ? 0 : value;
        assert.deepEqual(unsigned(await tensor(data, { shape: x.shape, dtype: x.dtype }).array()), unsigned(expected));
      });
    }
  });
}

describe("composed operations take empty batches", () => {
  const [images, filters] = [zeros([0, 2, 4, 4]), zeros([3, 2, 3, 3])];
  const empty: readonly (readonly [name: string, result: () => Tensor, shape: readonly number[]])[] = [
    ["maxPool", () => ops.maxPool(images, { size: 3, stride: 2, padding: 1 }), [0, 2, 2, 2]],
    ["meanPool", () => ops.meanPool(images, { size: 2 }), [0, 2, 2, 2]],
    ["conv3d", () => ops.conv3d(zeros([0, 1, 3, 3, 3]), zeros([2, 1, 2, 2, 2])), [0, 2, 2, 2, 2]],
    ["convTranspose2d", () => ops.convTranspose2d(zeros([0, 3, 2, 2]), filters), [0, 2, 4, 4]],
    [
      "padReflect",
      () =>
        ops.padReflect(images, [
          [0, 0],
          [0, 0],
          [1, 1],
          [0, 2],
        ]),
      [0, 2, 6, 6],
    ],
    ["resize", () => ops.resize(images, { scale: 1.5, mode: "cubic" }), [0, 2, 6, 6]],
    ["gridSample", () => ops.gridSample(images, zeros([0, 3, 5, 2])), [0, 2, 3, 5]],
    ["fft", () => ops.fft(zeros([0, 100])).real, [0, 100]],
    ["solve", () => ops.solve(zeros([0, 3, 3]), zeros([0, 3, 2])), [0, 3, 2]],
    ["determinant", () => ops.determinant(zeros([0, 3, 3])), [0]],
    ["einsum", () => ops.einsum("bij,bjk->bik", zeros([0, 2, 3]), zeros([0, 3, 2])), [0, 2, 2]],
  ];
  for (const [name, result, shape] of empty) {
    it(name, async () => {
      assert.deepEqual(result().shape, shape);
      const oracle = await ops.createDevice("oracle");
      assert.equal(
        (await ops.evaluate(result(), oracle)).length,
        shape.reduce((a, b) => a * b, 1),
      );
    });
  }
});

const image = zeros([1, 2, 4, 4]);
const refused: readonly (readonly [() => unknown, ErrorCode, RegExp])[] = [
  [() => ops.maxPool(zeros([2]), { size: 2 }), "shape", /^maxPool: x \[2\] has no axes for windows of 2/],
  [
    () => ops.maxPool(image, { size: 5 }),
    "shape",
    /^maxPool: the window reaches over 5 elements at axis 2 of \[1, 2, 4, 4\]/,
  ],
  [() => ops.maxPool(image, { size: 0 }), "range", /^maxPool: size \[0, 0\] must be whole numbers of at least 1/],
  [
    () => ops.maxPool(image, { size: 2, stride: [1, 2, 3] }),
    "shape",
    /^maxPool: stride \[1, 2, 3\] has 3 entries for 2 axes/,
  ],
  [
    () => ops.maxPool(image, { size: 2, padding: 2 }),
    "range",
    /^maxPool: window 0 at axis 2 of .* holds padding alone/,
  ],
  [
    () => ops.maxPoolWithIndices(image, { size: 2, padding: [[0, -1], 0] }),
    "range",
    /^maxPoolWithIndices: padding \[\[0,-1\],0\]/,
  ],
  [() => ops.maxPool(zeros([1, 1, 2], "bool"), { size: 2 }), "dtype", /^maxPool: dtype bool/],
  [() => ops.meanPool(zeros([1, 1, 2], "i32"), { size: 2 }), "dtype", /^meanPool: dtype i32/],
  [() => ops.conv1d(image, image), "shape", /^conv1d: expected x \[N, C, L\] and w \[O, C, k\]/],
  [
    () => ops.conv1d(zeros([1, 3, 5]), zeros([1, 2, 1])),
    "shape",
    /^conv1d: x has 3 channels, w expects 2 in each of 1 groups/,
  ],
  [
    () => ops.conv3d(zeros([1, 1, 2, 2, 2]), zeros([1, 1, 3, 1, 1])),
    "shape",
    /^conv3d: the window reaches over 3 elements at axis 2/,
  ],
  [() => ops.conv3d(zeros([1, 1, 2, 2, 2]), zeros([1, 1, 1, 1, 1], "i32")), "dtype", /^conv3d \(w\): dtype i32/],
  [() => ops.convTranspose2d(image, zeros([3, 1, 2, 2])), "shape", /^convTranspose2d: x has 2 channels, w expects 3/],
  [
    () => ops.convTranspose2d(image, zeros([2, 1, 2, 2]), { padding: 3 }),
    "shape",
    /^convTranspose2d: nothing is left of axis H/,
  ],
  [
    () => ops.convTranspose1d(zeros([1, 1, 2]), zeros([1, 1, 2]), { outputPadding: -1 }),
    "range",
    /^convTranspose1d: outputPadding/,
  ],
  [() => ops.padReflect(zeros([2]), []), "shape", /^padReflect: 0 widths for \[2\] of rank 1/],
  [() => ops.padEdge(zeros([0]), [[1, 0]]), "shape", /^padEdge: axis 0 of \[0\] is empty/],
  [() => ops.padWrap(zeros([1]), [[1, 0.5]]), "range", /^padWrap: widths \[\[1,0.5\]\]/],
  [() => ops.resize(image, {}), "value", /^resize: give size .* or scale/],
  [() => ops.resize(image, { size: 2, scale: 2 }), "value", /^resize: give size/],
  [() => ops.resize(image, { size: [1, 2, 3] }), "shape", /^resize: size \[1, 2, 3\] has 3 entries for 2 axes/],
  [() => ops.resize(image, { scale: 0.1 }), "range", /^resize: scale 0.1 makes no axis of axis 2/],
  [() => ops.resize(zeros([1, 1, 2], "i32"), { size: 3, mode: "linear" }), "dtype", /^resize: dtype i32/],
  [
    () => ops.gridSample(image, zeros([1, 3, 3, 3])),
    "shape",
    /^gridSample: x \[1, 2, 4, 4\] and grid \[1, 3, 3, 3\] don't fit/,
  ],
  [
    () => ops.gridSample(zeros([1, 1, 2]), zeros([1, 2, 1]), { mode: "cubic" }),
    "value",
    /^gridSample: mode "cubic" is for/,
  ],
  [() => ops.fft(zeros([0])), "shape", /^fft: axis 0 of \[0\] is empty/],
  [
    () => ops.fft({ real: zeros([2]), imaginary: zeros([3]) }),
    "shape",
    /^fft: the real part is \[2\], the imaginary part \[3\]/,
  ],
  [() => ops.realFft(zeros([2], "i32")), "dtype", /^realFft: dtype i32/],
  [() => ops.inverseFft(zeros([2]), 1), "axis", /^inverseFft: axis 1 is out of range/],
  [
    () => ops.inverseRealFft(zeros([3]), 7),
    "range",
    /^inverseRealFft: 7 real numbers have a transform of 4 numbers, axis 0 of \[3\] has 3/,
  ],
  [() => ops.solve(zeros([2, 3]), zeros([2])), "shape", /^solve: \[2, 3\] are no square matrices/],
  [() => ops.solve(zeros([2, 2]), zeros([3])), "shape", /^solve: a \[2, 2\] and b \[3\] don't fit/],
  [() => ops.inverse(zeros([2])), "shape", /^inverse: \[2\] are no square/],
  [() => ops.cholesky(zeros([2, 2], "i32")), "dtype", /^cholesky: dtype i32/],
  [
    () => ops.withDerivativeOf(zeros([2]), zeros([3])),
    "shape",
    /^withDerivativeOf: the surrogate is \[3\], expected \[2\]/,
  ],
];

describe("composed operations refuse in their own words", () => {
  for (const [action, code, message] of refused) it(message.source, () => refuses(action, code, message));
});
