import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { EvenkeelError } from "../../../../engine/errors.ts";
import { fromWords, toWords, wordsOf } from "../../../../engine/devices/gpujs/words.ts";

test("every 32-bit integer survives the way through words", () => {
  fc.assert(
    fc.property(fc.int32Array({ maxLength: 20 }), (data) => {
      assert.deepEqual(fromWords(toWords(data, "i32"), "i32", data.length), data);
      const unsigned = Uint32Array.from(data);
      assert.deepEqual(fromWords(toWords(unsigned, "u32"), "u32", data.length), unsigned);
    }),
  );
});

test("an integer's words are its high limbs, then its low limbs, each a whole number below 2^16", () => {
  assert.deepEqual([...toWords(Int32Array.of(-1, 65_537, -(2 ** 31)), "i32")], [65_535, 1, 32_768, 65_535, 1, 0]);
  assert.equal(wordsOf("i32", 3), 6);
  assert.equal(wordsOf("u32", 3), 6);
  assert.equal(wordsOf("f32", 3), 3);
  assert.equal(wordsOf("bool", 3), 3);
});

test("bool words are 0 and 1", () => {
  assert.deepEqual([...toWords(Uint8Array.of(0, 1, 7), "bool")], [0, 1, 1]);
  assert.deepEqual(fromWords(Float32Array.of(0, 1, 1), "bool", 3), Uint8Array.of(0, 1, 1));
});

test("host memory of another dtype is refused", () => {
  assert.throws(
    () => toWords(Float32Array.of(1), "i32"),
    (error) => error instanceof EvenkeelError && error.code === "dtype" && /Float32Array.*i32/.test(error.message),
  );
});

test("words of another length are refused", () => {
  assert.throws(
    () => fromWords(new Float32Array(3), "i32", 3),
    (error) => error instanceof EvenkeelError && /3 words.*6/.test(error.message),
  );
});
