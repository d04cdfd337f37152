import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as ops from "../../../engine/index.ts";
import { tensor } from "../../../engine/index.ts";
import { assertValue, build, refuses, toTensor } from "../../support/plain.ts";

describe("creation", () => {
  it("fills shapes", () => {
    assertValue(ops.scalar(2.5), { shape: [], values: [2.5] });
    assertValue(ops.scalar(7, "u32"), { shape: [], values: [7] }, "u32");
    assertValue(
      ops.full([2, 2], -1, "i32"),
      build([2, 2], () => -1),
      "i32",
    );
    assertValue(ops.zeros([0, 3]), { shape: [0, 3], values: [] });
    assertValue(ops.ones([2], "bool"), { shape: [2], values: [1, 1] }, "bool");
    const like = ops.zeros([2, 1], "u32");
    assertValue(ops.onesLike(like), { shape: [2, 1], values: [1, 1] }, "u32");
    assertValue(ops.zerosLike(like), { shape: [2, 1], values: [0, 0] }, "u32");
  });

  it("counts along axes", () => {
    for (const dtype of ["f32", "i32", "u32"] as const) {
      assertValue(
        ops.iota([2, 3], 0, dtype),
        build([2, 3], ([row = 0]) => row),
        dtype,
      );
    }
    assertValue(
      ops.iota([2, 3], -1),
      build([2, 3], ([, column = 0]) => column),
      "i32",
    );
    assertValue(ops.arange(4), { shape: [4], values: [0, 1, 2, 3] }, "i32");
    assertValue(ops.arange(0), { shape: [0], values: [] }, "i32");
  });

  it("makes matrices", () => {
    const matrix = (f: (row: number, column: number) => boolean) =>
      build([3, 4], ([row = 0, column = 0]) => Number(f(row, column)));
    assertValue(
      ops.eye(3),
      build([3, 3], ([row, column]) => Number(row === column)),
    );
    assertValue(
      ops.lowerTriangle(3, 4),
      matrix((row, column) => column <= row),
    );
    assertValue(
      ops.lowerTriangle(3, 4, "bool", true),
      matrix((row, column) => column < row),
      "bool",
    );
    const index = toTensor({ shape: [2, 2], values: [0, 2, -1, 3] }, "i32");
    const expected = { shape: [2, 2, 3], values: [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0] };
    assertValue(ops.oneHot(index, 3), expected);
    assertValue(ops.oneHot(index, 3, "bool"), expected, "bool");
    assertValue(ops.oneHot(index, 0, "u32"), { shape: [2, 2, 0], values: [] }, "u32");
  });

  it("refuses what is no number where a number becomes an element", () => {
    const x = ops.zeros([1]);
    const notNumbers: readonly unknown[] = [x, undefined, "1", {}];
    for (const value of notNumbers) {
      refuses(() => ops.scalar(value as number), "value", /^scalar: .* is not a number/);
      refuses(() => ops.full([2], value as number), "value", /^full: .* is not a number/);
      if (value === x) continue;
      for (const add of [() => ops.add(x, value as number), () => ops.add(value as number, x)])
        refuses(add, "value", /^add: .* is neither a tensor nor a number/);
      refuses(() => ops.exp(value as number), "value", /^exp: .* is neither a tensor nor a number/);
    }
  });

  it("refuses sizes, axes and values in the caller's words", () => {
    refuses(() => ops.zeros([2, -1]), "shape", /^full: size -1 in \[2, -1\]/);
    refuses(() => ops.full([1.5], 0), "shape", /^full: size 1\.5/);
    refuses(() => ops.full(3 as never, 0), "shape", /^full: a shape is an array of sizes, got 3/);
    refuses(() => ops.full([2], 0.5, "i32"), "value", /^full: 0\.5 is not a i32 value/);
    refuses(() => ops.scalar(2, "bool"), "value", /^scalar: 2 is not a bool value/);
    refuses(() => ops.scalar(2 ** 32, "u32"), "value", /^scalar: 4294967296/);
    refuses(() => ops.zeros([2 ** 30, 2 ** 30]), "shape", /more elements than can be counted/);
    refuses(() => ops.iota([2], 1), "axis", /^iota: axis 1/);
    refuses(() => ops.iota([], 0), "axis", /^iota: axis 0 of a scalar/);
    refuses(() => ops.iota([2], 0, "bool"), "dtype", /^iota: dtype bool/);
    refuses(() => ops.arange(-1), "shape", /^arange: size -1/);
    refuses(() => ops.eye(-1), "shape", /^eye: size -1/);
    refuses(() => ops.lowerTriangle(2, 0.5), "shape", /^lowerTriangle: size 0\.5/);
    refuses(() => ops.oneHot(ops.arange(2), -1), "shape", /^oneHot: size -1/);
    refuses(() => ops.oneHot(ops.zeros([2]), 3), "dtype", /^oneHot: index has dtype f32, expected i32/);
  });
});

describe("tensor", () => {
  it("reads numbers, booleans, nested arrays and typed arrays", () => {
    assertValue(tensor(3), { shape: [], values: [3] });
    assertValue(tensor(true), { shape: [], values: [1] }, "bool");
    assertValue(
      tensor([
        [1, 2],
        [3, 4],
      ]),
      { shape: [2, 2], values: [1, 2, 3, 4] },
    );
    assertValue(tensor([[], []]), { shape: [2, 0], values: [] });
    assertValue(tensor([true, false]), { shape: [2], values: [1, 0] }, "bool");
    assertValue(tensor([1, 2], { dtype: "u32" }), { shape: [2], values: [1, 2] }, "u32");
    assertValue(tensor(Int32Array.of(1, -2), { shape: [2, 1] }), { shape: [2, 1], values: [1, -2] }, "i32");
    assertValue(tensor(Float64Array.of(0.1)), { shape: [1], values: [Math.fround(0.1)] });
    assertValue(tensor(Uint8Array.of(0, 1), { dtype: "bool" }), { shape: [2], values: [0, 1] }, "bool");
  });

  it("takes bytes and other short numbers only with a dtype: they may be truth values, pixels or indices", () => {
    const arrays = [Uint8Array, Uint8ClampedArray, Int8Array, Int16Array, Uint16Array];
    for (const kind of arrays) {
      for (const values of [[], [0, 1], [0, 7]]) {
        refuses(
          () => tensor(kind.from(values)),
          "dtype",
          new RegExp(`^tensor: a ${kind.name} doesn't say which dtype.*dtype: "bool".*dtype: "f32"`),
        );
        for (const dtype of ["f32", "i32", "u32"] as const) {
          assertValue(tensor(kind.from(values), { dtype }), { shape: [values.length], values }, dtype);
        }
      }
      assertValue(
        tensor(kind.from([0, 1]), { dtype: "bool", shape: [2, 1] }),
        { shape: [2, 1], values: [0, 1] },
        "bool",
      );
      refuses(() => tensor(kind.from([0, 7]), { dtype: "bool" }), "value", /7 is not a bool value/);
    }
    refuses(
      () => tensor(new DataView(new ArrayBuffer(4)) as unknown as Float32Array, { dtype: "f32" }),
      "dtype",
      /^tensor: a DataView holds no numbers of a dtype/,
    );
  });

  it("keeps typed arrays of the right dtype", async () => {
    const data = Float32Array.of(1, 2);
    assert.equal(await tensor(data).data(), data);
  });

  it("gives nested arrays and single elements back", async () => {
    const x = tensor([
      [true, false],
      [false, true],
    ]);
    assert.deepEqual(await x.array(), [
      [true, false],
      [false, true],
    ]);
    assert.deepEqual(await tensor(Int32Array.of(1, 2), { shape: [2, 1] }).array(), [[1], [2]]);
    assert.equal(await tensor([[5]]).item(), 5);
    await assert.rejects(tensor([1, 2]).item(), /item: \[2\] has 2 elements, expected exactly 1/);
  });

  it("refuses ragged arrays, wrong shapes and elements the dtype can't hold", () => {
    refuses(
      () => tensor([[1, 2], [3]]),
      "shape",
      /^tensor: ragged array: element \[1\] is an array of 1 where an array of 2 was expected/,
    );
    refuses(() => tensor([[1], 2]), "shape", /^tensor: ragged array: element \[1\] is a number where an array of 1/);
    refuses(() => tensor([1, [2]]), "shape", /^tensor: ragged array: element \[1\] is an array of 1 where a number/);
    refuses(
      () =>
        tensor([
          [1, 2],
          [3, [4, 5]],
        ]),
      "shape",
      /^tensor: ragged array: element \[1\]\[1\] is an array of 2 where a number/,
    );
    refuses(() => tensor([[], [1]]), "shape", /element \[1\] is an array of 1 where an array of 0/);
    refuses(() => tensor(["1"] as never), "value", /^tensor: element \[0\] is 1, expected a number or boolean/);
    refuses(() => tensor(undefined as never), "value", /^tensor: the array is undefined, expected a number/);
    refuses(() => tensor([1, 2], { shape: [3] }), "shape", /^tensor: 2 elements don't fill \[3\] \(3\)/);
    refuses(() => tensor([1], { shape: [-1] }), "shape", /^tensor: size -1/);
    refuses(() => tensor([1.5], { dtype: "i32" }), "value", /^tensor: 1\.5 is not a i32 value/);
    refuses(() => tensor([-1], { dtype: "u32" }), "value", /^tensor: -1/);
    refuses(() => tensor(Float32Array.of(NaN), { dtype: "i32" }), "value", /^tensor: NaN/);
    refuses(() => tensor([true, 2]), "value", /^tensor: 2 is not a bool value/);
  });
});
