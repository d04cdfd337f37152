import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { castScalar, shiftScalar, threefryScalar, wrap } from "../../../../engine/devices/oracle/scalars.ts";

describe("the oracle's scalars", () => {
  it("gives the published vectors of Threefry-2x32-20", () => {
    // kat_vectors of Random123 1.14: counter, key, result.
    const vectors = [
      [0x00000000, 0x00000000, 0x00000000, 0x00000000, 0x6b200159, 0x99ba4efe],
      [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x1cb996fc, 0xbb002be7],
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xc4923a9c, 0x483df7a0],
    ] as const;
    for (const [counter0, counter1, key0, key1, ...words] of vectors) {
      const got = ([0, 1] as const).map((word) => threefryScalar(word, key0, key1, counter0, counter1));
      assert.deepEqual(got, words);
    }
  });

  it("has integers without a negative zero", () => {
    for (const dtype of ["i32", "u32"] as const) {
      assert.ok(Object.is(castScalar(-0.5, "f32", dtype), 0));
      assert.ok(Object.is(castScalar(-0, "f32", dtype), 0));
      assert.ok(Object.is(wrap(-0, dtype), 0));
    }
  });

  it("casts NaN to 0 and saturates", () => {
    assert.deepEqual(
      [NaN, Infinity, -Infinity].map((x) => castScalar(x, "f32", "i32")),
      [0, 2 ** 31 - 1, -(2 ** 31)],
    );
    assert.deepEqual(
      [NaN, Infinity, -1].map((x) => castScalar(x, "f32", "u32")),
      [0, 2 ** 32 - 1, 0],
    );
  });

  it("shifts unsigned words without sign", () => {
    assert.equal(shiftScalar("right", 4, 0xf0000000, "u32"), 0x0f000000);
    assert.equal(shiftScalar("right", 4, -16, "i32"), -1);
    assert.equal(shiftScalar("left", 4, 0xffffffff, "u32"), 0xfffffff0);
  });
});
