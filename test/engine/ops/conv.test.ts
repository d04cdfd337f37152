import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import * as ops from "../../../engine/index.ts";
import type { Conv2dOptions, Tensor } from "../../../engine/index.ts";
import { convOfRole } from "../../../engine/ops/conv.ts";
import { arraysOf } from "../../../testing/arbitraries/arrays.ts";
import { assertValue, build, pick, places, type Plain, refuses, toTensor, valueOf } from "../../support/plain.ts";

type Pair = readonly [number, number];
type Sides = readonly [Pair, Pair];

/** The definition, on an image that carries its border. */
function correlate(x: Plain, w: Plain, stride: Pair, dilation: Pair, groups: number, sides: Sides): Plain {
  const [images = 0, channels = 0, height = 0, width = 0] = x.shape;
  const [outChannels = 0, perGroup = 0, kernelHeight = 0, kernelWidth = 0] = w.shape;
  const bordered = build(
    [images, channels, height + sides[0][0] + sides[0][1], width + sides[1][0] + sides[1][1]],
    ([n = 0, c = 0, i = 0, j = 0]) => {
      const [row, column] = [i - sides[0][0], j - sides[1][0]];
      return row >= 0 && row < height && column >= 0 && column < width ? pick(x, [n, c, row, column]) : 0;
    },
  );
  const count = (extent: number, kernel: number, d: 0 | 1): number =>
    Math.floor((extent - dilation[d] * (kernel - 1) - 1) / stride[d]) + 1;
  const shape = [
    images,
    outChannels,
    count(bordered.shape[2] ?? 0, kernelHeight, 0),
    count(bordered.shape[3] ?? 0, kernelWidth, 1),
  ];
  return build(shape, ([n = 0, o = 0, i = 0, j = 0]) => {
    const group = Math.floor((o * groups) / outChannels);
    return places([perGroup, kernelHeight, kernelWidth]).reduce((sum, [c = 0, ky = 0, kx = 0]) => {
      const [row, column] = [i * stride[0] + ky * dilation[0], j * stride[1] + kx * dilation[1]];
      return sum + pick(bordered, [n, group * perGroup + c, row, column]) * pick(w, [o, c, ky, kx]);
    }, 0);
  });
}

const small = (max: number): fc.Arbitrary<number> => fc.integer({ min: 1, max });
const pairs = (max: number): fc.Arbitrary<Pair> => fc.tuple(small(max), small(max));
const border = fc.tuple(fc.nat(3), fc.nat(3));

/** An image, a filter and a geometry in which the filter fits. */
const convolutions = fc
  .record({
    images: fc.nat(2),
    inPerGroup: small(2),
    outPerGroup: small(2),
    groups: small(2),
    size: pairs(6),
    kernel: pairs(3),
    stride: pairs(3),
    dilation: pairs(2),
    sides: fc.tuple(border, border),
  })
  .filter(({ size, kernel, dilation, sides }) =>
    ([0, 1] as const).every((d) => size[d] + sides[d][0] + sides[d][1] >= dilation[d] * (kernel[d] - 1) + 1),
  )
  .chain((g) =>
    fc.record({
      geometry: fc.constant(g),
      x: arraysOf([g.images, g.inPerGroup * g.groups, ...g.size]),
      w: arraysOf([g.outPerGroup * g.groups, g.inPerGroup, ...g.kernel]),
    }),
  );

describe("conv2d", () => {
  it("is the correlation with the bordered image", () => {
    fc.assert(
      fc.property(convolutions, ({ geometry: { stride, dilation, groups, sides }, x, w }) => {
        const y = ops.conv2d(toTensor(x), toTensor(w), { stride, dilation, groups, padding: sides });
        assertValue(y, correlate(x, w, stride, dilation, groups, sides));
      }),
    );
  });

  it("has two gradients that are its adjoints: <conv(x, w), y> = <x, dx(y, w)> = <w, dw(x, y)>", () => {
    const inner = (a: Tensor, b: Tensor): number | undefined => valueOf(ops.reduceSum(ops.multiply(a, b))).values[0];
    fc.assert(
      fc.property(convolutions, fc.integer(), ({ geometry, x, w }, shift) => {
        const { stride, dilation, groups, sides } = geometry;
        const [image, filter] = [toTensor(x), toTensor(w)];
        const result = ops.conv2d(image, filter, { stride, dilation, groups, padding: sides });
        if (result.node.kind !== "conv") throw new Error(`conv2d made a ${result.node.kind} node`);
        const y = toTensor(
          build(result.shape, ([n = 0, o = 0, i = 0, j = 0]) => ((n * 3 + o * 5 + i * 7 + j * 2 + shift) % 5) - 2),
        );
        const { geometry: same } = result.node.attributes;
        const [toInput, toFilter] = [
          convOfRole("inputGradient", same, y, filter),
          convOfRole("filterGradient", same, image, y),
        ];
        assert.deepEqual([toInput.shape, toFilter.shape], [image.shape, filter.shape]);
        // All numbers are whole and small: the three sums are exact.
        assert.equal(inner(image, toInput), inner(result, y));
        assert.equal(inner(filter, toFilter), inner(result, y));
      }),
    );
  });

  it("understands one number, pairs and `same`", () => {
    const x = ops.iota([1, 1, 5, 6], 3, "f32");
    const shape = (options: Conv2dOptions, kernel: Pair = [3, 3]): readonly number[] =>
      ops.conv2d(x, ops.ones([1, 1, ...kernel]), options).shape.slice(2);
    assert.deepEqual(shape({}), [3, 4]);
    assert.deepEqual(shape({ padding: 1 }), [5, 6]);
    assert.deepEqual(shape({ padding: [0, 2] }), [3, 8]);
    assert.deepEqual(
      shape({
        padding: [
          [0, 1],
          [2, 0],
        ],
      }),
      [4, 6],
    );
    assert.deepEqual(shape({ stride: 2 }), [2, 2]);
    assert.deepEqual(shape({ stride: [1, 3] }), [3, 2]);
    assert.deepEqual(shape({ dilation: 2 }), [1, 2]);
    for (const stride of [1, 2, 3]) {
      for (const kernel of [1, 2, 3, 4]) {
        for (const dilation of [1, 2]) {
          const same = shape({ padding: "same", stride, dilation }, [kernel, kernel]);
          assert.deepEqual(same, [Math.ceil(5 / stride), Math.ceil(6 / stride)]);
        }
      }
    }
    // An odd border has its extra row at the end.
    const y = ops.conv2d(ops.ones([1, 1, 2, 2]), ops.ones([1, 1, 2, 2]), { padding: "same" });
    assertValue(y, { shape: [1, 1, 2, 2], values: [4, 2, 2, 1] });
  });

  it("takes empty batches and channels", () => {
    assert.deepEqual(ops.conv2d(ops.zeros([0, 2, 4, 4]), ops.zeros([3, 2, 3, 3])).shape, [0, 3, 2, 2]);
    assertValue(
      ops.conv2d(ops.zeros([1, 0, 2, 2]), ops.zeros([1, 0, 1, 1])),
      build([1, 1, 2, 2], () => 0),
    );
  });

  it("refuses what doesn't fit, with both shapes", () => {
    const [x, w] = [ops.zeros([8, 32, 16, 16]), ops.zeros([64, 64, 3, 3])];
    refuses(
      () => ops.conv2d(x, w),
      "shape",
      /^conv2d: x has 32 channels, w expects 64 .*\[8, 32, 16, 16\], w \[64, 64, 3, 3\]/,
    );
    refuses(
      () => ops.conv2d(x, ops.zeros([3, 16, 1, 1]), { groups: 2 }),
      "shape",
      /w expects 16 in each of 2 groups and makes 3/,
    );
    refuses(
      () => ops.conv2d(ops.zeros([3, 4, 4]), w),
      "shape",
      /^conv2d: expected x \[N, C, H, W\] .*got x \[3, 4, 4\]/,
    );
    refuses(
      () => ops.conv2d(ops.zeros([1, 1, 2, 2]), ops.zeros([1, 1, 3, 3])),
      "shape",
      /kernel \(reach \[3, 3\]\) is larger/,
    );
    for (const size of [
      [0, 1],
      [1, 0],
    ]) {
      refuses(
        () => ops.conv2d(ops.zeros([1, 1, 2, 2]), ops.zeros([1, 1, ...size])),
        "shape",
        new RegExp(
          `^conv2d: the kernel has no elements: w \\[1, 1, ${size.join(", ")}\\] .* kh and kw must be at least 1`,
        ),
      );
    }
    const [y, v] = [ops.zeros([1, 1, 4, 4]), ops.zeros([1, 1, 1, 1])];
    refuses(
      () => ops.conv2d(y, v, { stride: 0 }),
      "range",
      /^conv2d: stride \[0, 0\] must be whole numbers of at least 1/,
    );
    refuses(() => ops.conv2d(y, v, { dilation: [1, 0.5] }), "range", /^conv2d: dilation \[1, 0\.5\]/);
    refuses(() => ops.conv2d(y, v, { groups: 0 }), "range", /^conv2d: groups \[0\]/);
    refuses(
      () => ops.conv2d(y, v, { padding: -1 }),
      "range",
      /^conv2d: padding -1 must be whole numbers of at least 0/,
    );
    refuses(() => ops.conv2d(ops.zeros([1, 1, 4, 4], "i32"), v), "dtype", /^conv.*dtype i32/);
  });
});
