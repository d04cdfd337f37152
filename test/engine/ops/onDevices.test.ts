/** Operations as a caller meets them: through `evaluate`, with every pass and runtime check, on the oracle and on wasm. */
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import * as ops from "../../../engine/index.ts";
import { createDevice, evaluate, grad, type NestedArray, type Tensor, tensor } from "../../../engine/index.ts";
import { toTensor } from "../../support/plain.ts";

const i32 = (...values: number[]): Tensor => tensor(Int32Array.from(values));
const u32 = (...values: number[]): Tensor => tensor(Uint32Array.from(values));
const f32 = (...values: number[]): Tensor => tensor(Float32Array.from(values));
const [lowest, highest, everyBit] = [-(2 ** 31), 2 ** 31 - 1, 2 ** 32 - 1];

const counted = (...shape: number[]): Tensor =>
  toTensor({ shape, values: Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => i) });

/** Operations whose results are exact in float32. */
const exact: readonly (readonly [name: string, result: () => Tensor, expected: NestedArray])[] = [
  [
    "add of [2, 1] and [3]",
    () => ops.add(tensor([[10], [20]]), f32(1, 2, 3)),
    [
      [11, 12, 13],
      [21, 22, 23],
    ],
  ],
  ["add wraps i32", () => ops.add(i32(highest, lowest), i32(1, -1)), [lowest, highest]],
  ["subtract wraps u32", () => ops.subtract(u32(0), 1), [everyBit]],
  ["multiply wraps u32", () => ops.multiply(u32(everyBit, 65537), u32(everyBit, 65536)), [1, 65536]],
  ["negate of the lowest i32", () => ops.negate(i32(lowest, 3)), [lowest, -3]],
  ["maximum lets NaN win", () => ops.maximum(f32(NaN, 1, 3), f32(1, NaN, 2)), [NaN, NaN, 3]],
  ["minimum lets NaN win", () => ops.minimum(f32(NaN, 1, 3), f32(1, NaN, 2)), [NaN, NaN, 2]],
  ["comparison with NaN", () => ops.greaterEqual(f32(NaN, 1, 2), 1), [false, true, true]],
  ["notEqual with NaN", () => ops.notEqual(f32(NaN, 1), f32(NaN, 1)), [true, false]],
  ["less of u32 above 2^31", () => ops.less(u32(everyBit, 1), u32(1, everyBit)), [false, true]],
  ["clamp keeps NaN", () => ops.clamp(f32(-5, NaN, 5), -1, 1), [-1, NaN, 1]],
  ["clamp of i32 by tensors", () => ops.clamp(i32(-5, 0, 5), i32(-1), i32(1)), [-1, 0, 1]],
  ["clamp gives high where low is above it", () => ops.clamp(f32(0, 9), 5, 3), [3, 3]],
  ["cast truncates and saturates", () => ops.cast(f32(1.9, -1.9, 3e9, -3e9), "i32"), [1, -1, highest, lowest]],
  ["cast to u32 saturates", () => ops.cast(f32(-1, 5e9, 3e9), "u32"), [0, everyBit, 3e9]],
  ["cast between integers keeps bits", () => ops.cast(i32(-1, lowest), "u32"), [everyBit, 2 ** 31]],
  ["cast to bool is true for NaN", () => ops.cast(f32(0, -0, NaN, 0.5), "bool"), [false, false, true, true]],
  ["cast of bool", () => ops.cast(tensor([true, false]), "f32"), [1, 0]],
  ["shiftRight keeps the sign of i32", () => ops.shiftRight(i32(-8, 8), 1), [-4, 4]],
  ["shiftRight of u32 fills with zeros", () => ops.shiftRight(u32(everyBit), 31), [1]],
  ["shiftLeft drops the top", () => ops.shiftLeft(u32(everyBit), 31), [2 ** 31]],
  ["not, and, xor", () => ops.xor(ops.not(u32(0b1100)), ops.and(u32(6), 3)), [everyBit - 0b1100 - 2]],
  [
    "where broadcasts",
    () => ops.where(tensor([[true], [false]]), f32(1, 2), 0),
    [
      [1, 2],
      [0, 0],
    ],
  ],
  ["where hides NaN", () => ops.where(ops.isNaN(f32(NaN, 1)), 0, f32(NaN, 1)), [0, 1]],
  [
    "reshape with -1",
    () => ops.reshape(counted(2, 3), [-1, 2]),
    [
      [0, 1],
      [2, 3],
      [4, 5],
    ],
  ],
  ["slice backwards by 2", () => ops.slice(counted(2, 5), [[-1], [undefined, undefined, -2]]), [[9, 7, 5]]],
  ["empty slice", () => ops.slice(counted(2, 3), [null, [2, 1]]), [[], []]],
  [
    "pad of a transpose",
    () =>
      ops.pad(
        ops.transpose(counted(1, 2)),
        [
          [1, 0],
          [0, 1],
        ],
        7,
      ),
    [
      [7, 7],
      [0, 7],
      [1, 7],
    ],
  ],
  ["concat with an empty part", () => ops.concat([f32(), f32(1), f32(2, 3)]), [1, 2, 3]],
  [
    "stack",
    () => ops.stack([i32(1, 2), i32(3, 4)], -1),
    [
      [1, 3],
      [2, 4],
    ],
  ],
  ["split", () => ops.split(counted(5), [2, 0, 3])[2] ?? f32(), [2, 3, 4]],
  [
    "gather along the last axis",
    () => ops.gather(counted(2, 3), i32(2, 0), -1),
    [
      [2, 0],
      [5, 3],
    ],
  ],
  [
    "scatterAdd along the last axis",
    () => ops.scatterAdd(counted(2, 3), i32(2, 0, 2), 4, -1),
    [
      [1, 0, 2, 0],
      [4, 0, 8, 0],
    ],
  ],
  ["scatterAdd counts", () => ops.scatterAdd(ops.ones([5], "u32"), i32(1, 3, 1, 1, 0), 4), [1, 3, 0, 1]],
  ["scatterAdd wraps", () => ops.scatterAdd(i32(highest, 1, 7), i32(1, 1, 0), 2), [7, lowest]],
  [
    "scatterAdd of a row in its own place",
    () => ops.scatterAdd(f32(NaN, Infinity, -Infinity, Infinity, 1), i32(3, 1, 2, 2, 0), 5),
    [1, Infinity, NaN, NaN, 0],
  ],
  [
    "oneHot out of range",
    () => ops.oneHot(i32(1, -1, 2), 2),
    [
      [0, 1],
      [0, 0],
      [0, 0],
    ],
  ],
  [
    "lowerTriangle below the diagonal",
    () => ops.lowerTriangle(2, 3, "i32", true),
    [
      [0, 0, 0],
      [1, 0, 0],
    ],
  ],
  ["reduceSum of bools", () => ops.reduceSum(tensor([true, true, false])), 2],
  ["reduceSum over no axes", () => ops.reduceSum(counted(2), { axes: [] }), [0, 1]],
  ["reduceSum of an empty axis", () => ops.reduceSum(ops.zeros([2, 0]), { axes: 1, keepAxes: true }), [[0], [0]]],
  ["mean of nothing", () => ops.mean(ops.zeros([0])), NaN],
  ["reduceMin at the ends of i32", () => ops.reduceMin(i32(highest, lowest, 0)), lowest],
  ["reduceMin at the ends of u32", () => ops.reduceMin(u32(everyBit, 2 ** 31)), 2 ** 31],
  [
    "reduceMax with NaN",
    () =>
      ops.reduceMax(
        tensor([
          [1, NaN],
          [-3, -2],
        ]),
        { axes: 1 },
      ),
    [NaN, -2],
  ],
  [
    "argmax of ties and NaN",
    () =>
      ops.argmax(
        tensor([
          [3, 7, 7],
          [1, NaN, NaN],
          [-1, -1, -1],
        ]),
      ),
    [1, 1, 0],
  ],
  ["argmax of the lowest numbers", () => ops.argmax(tensor([[-Infinity, -Infinity]])), [0]],
  ["all and any of nothing", () => ops.stack([ops.all(f32()), ops.any(f32())]), [true, false]],
  ["variance of a sample", () => ops.variance(f32(1, 2, 3, 4, 5), { correction: 1 }), 2.5],
  ["variance with a correction beyond the count", () => ops.variance(f32(1, 3), { correction: 3 }), Infinity],
  ["norm and rootMeanSquare", () => ops.stack([ops.norm(f32(3, 4)), ops.rootMeanSquare(f32(1, -7))]), [5, 5]],
  ["softmax of a masked row", () => ops.softmax(tensor([[-Infinity, 4, 4]])), [[0, 0.5, 0.5]]],
  [
    "softmax of large numbers",
    () =>
      ops.softmax(
        tensor([
          [1e30, 1e30],
          [3e38, -3e38],
        ]),
      ),
    [
      [0.5, 0.5],
      [1, 0],
    ],
  ],
  ["logSoftmax of one element", () => ops.logSoftmax(tensor([[1e20], [-1e20]])), [[0], [0]]],
  [
    "logSumExp of infinities",
    () =>
      ops.logSumExp(
        tensor([
          [-Infinity, -Infinity],
          [Infinity, 1],
        ]),
        { axes: 1 },
      ),
    [-Infinity, Infinity],
  ],
  ["matmul of vectors", () => ops.matmul(f32(1, 2, 3), f32(4, 5, 6)), 32],
  ["matmul over a broadcast batch", () => ops.matmul(counted(2, 1, 2), counted(2, 1)), [[[1]], [[3]]]],
  ["matmul with an empty inner axis", () => ops.matmul(ops.zeros([2, 0]), ops.zeros([0, 1])), [[0], [0]]],
  ["einsum bqd,bkd->bqk", () => ops.einsum("bqd,bkd->bqk", counted(1, 2, 2), counted(1, 1, 2)), [[[1], [3]]]],
  [
    "einsum of an outer product of integers",
    () => ops.einsum("i,j->ji", i32(1, 2), i32(3, 4)),
    [
      [3, 6],
      [4, 8],
    ],
  ],
  ["einsum sums a letter of one operand", () => ops.einsum("ij,k->k", counted(2, 2), f32(1, 2)), [6, 12]],
  [
    "conv2d same, stride 2",
    () => ops.conv2d(counted(1, 1, 3, 3), ops.ones([1, 1, 3, 3]), { padding: "same", stride: 2 }),
    [
      [
        [
          [8, 12],
          [20, 24],
        ],
      ],
    ],
  ],
  [
    "conv2d of groups",
    () => ops.conv2d(counted(1, 2, 1, 2), tensor([[[[1]]], [[[-1]]]]), { groups: 2 }),
    [[[[0, 1]], [[-2, -3]]]],
  ],
  [
    "conv2d dilated over asymmetric padding",
    () =>
      ops.conv2d(counted(1, 1, 1, 3), ops.ones([1, 1, 1, 2]), {
        dilation: [1, 2],
        padding: [
          [0, 0],
          [1, 0],
        ],
      }),
    [[[[1, 2]]]],
  ],
  [
    "allFinite",
    () => ops.stack([ops.allFinite([f32(1), f32(Infinity)]), ops.allFinite([f32(), f32(2)])]),
    [false, true],
  ],
  [
    "methods",
    () =>
      counted(2, 3)
        .add(1)
        .transpose()
        .slice([[0, 2]])
        .multiply(2)
        .max({ axes: 1 }),
    [8, 10],
  ],
];

for (const name of ["oracle", "wasm"] as const) {
  describe(`operations on ${name}`, () => {
    const device = createDevice(name);
    after(async () => (await device).dispose());
    const arrayOn = async (x: Tensor): Promise<NestedArray> => {
      const data = await evaluate(x, await device);
      return tensor(data, { shape: x.shape, dtype: x.dtype }).array();
    };

    for (const [what, result, expected] of exact) {
      it(what, async () => {
        // Deep equality tells -0 from 0 and none of these promises a sign.
        const unsigned = (value: NestedArray): NestedArray =>
          value instanceof Array ? value.map(unsigned) : value === 0 ? 0 : value;
        assert.deepEqual(unsigned(await arrayOn(result())), unsigned(expected));
      });
    }

    it("report NaN and infinities on their way to an integer: constant, computed, unused or masked out of sight", async () => {
      const message = /^cast: NaN or infinity in \[2\] has no (i32|u32) value\. Replace it first/;
      const computed = ops.log(f32(-1, 1));
      const wrong: readonly Tensor[] = [
        ops.cast(f32(NaN, 1), "i32"),
        ops.cast(f32(1, -Infinity), "u32"),
        ops.cast(computed, "i32"),
        ops.reduceSum(ops.cast(ops.divide(f32(1, 1), f32(1, 0)), "u32")),
        ops.slice(ops.cast(computed, "i32"), [[1, 2]]),
      ];
      for (const x of wrong) {
        await assert.rejects(evaluate(x, await device), { name: "EvenkeelError", code: "value", message });
      }
      const replaced = ops.cast(ops.where(ops.isFinite(computed), computed, -7), "i32");
      assert.deepEqual(await arrayOn(replaced), [-7, 0]);
    });

    it("report an index that gather can't find, constant or computed", async () => {
      const message = /^gather: an index is out of range for axis 1 of \[1, 3\] \(0 to 2\)/;
      for (const index of [i32(3), i32(-1), ops.subtract(i32(0), 1), ops.add(ops.arange(2), 2)]) {
        const taken = ops.gather(counted(1, 3), index, 1);
        await assert.rejects(evaluate(taken, await device), { name: "EvenkeelError", message });
      }
    });

    it("report an index that scatterAdd has no row for, in its own words and in gather's derivative", async () => {
      const message = /^(scatterAdd|gather): an index is out of range for axis 1 of \[1, 3\] \(0 to 2\)/;
      for (const index of [i32(3), i32(-1), ops.add(ops.arange(2), 2)]) {
        const values = ops.ones([1, index.size]);
        const gradient = grad((x: Tensor) => ops.reduceSum(ops.gather(x, index, 1)))(counted(1, 3));
        for (const x of [ops.scatterAdd(values, index, 3, 1), gradient]) {
          await assert.rejects(evaluate(x, await device), { name: "EvenkeelError", code: "value", message });
        }
      }
    });

    it("take empty tensors where NumPy does", async () => {
      const none = ops.zeros([0, 3]);
      const empty: readonly (readonly [Tensor, readonly number[]])[] = [
        [ops.exp(none), [0, 3]],
        [ops.add(none, f32(1, 2, 3)), [0, 3]],
        [ops.add(none, ops.zeros([1, 3])), [0, 3]],
        [ops.transpose(none), [3, 0]],
        [ops.softmax(none), [0, 3]],
        [ops.reduceMax(none, { axes: 1 }), [0]],
        [ops.argmax(none), [0]],
        [ops.matmul(none, ops.zeros([3, 2])), [0, 2]],
        [ops.gather(none, i32(1), 1), [0, 1]],
        [ops.gather(none, i32()), [0, 3]],
        [ops.scatterAdd(none, i32(), 0), [0, 3]],
        [ops.scatterAdd(none, i32(1, 0, 1), 2, 1), [0, 2]],
        [ops.concat([none, none]), [0, 3]],
        [ops.reshape(none, [3, -1]), [3, 0]],
        [ops.conv2d(ops.zeros([0, 1, 3, 3]), ops.zeros([2, 1, 3, 3])), [0, 2, 1, 1]],
        [ops.oneHot(i32(), 4), [0, 4]],
        [ops.eye(0), [0, 0]],
      ];
      for (const [x, shape] of empty) {
        assert.deepEqual(x.shape, shape);
        assert.equal((await evaluate(x, await device)).length, 0);
      }
    });
  });
}
