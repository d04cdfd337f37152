/** What a tensor takes of the host and gives back to it. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { EvenkeelError, ones, parseSafetensors, serializeSafetensors, tensor, zeros } from "../../../engine/index.ts";
import { refuses } from "../../support/plain.ts";

describe("data of a dtype", () => {
  it("is typed by it, without a cast", async () => {
    const floats: Float32Array = await ones([2]).data("f32");
    const whole: Int32Array = await ones([2], "i32").data("i32");
    const words: Uint32Array = await ones([2], "u32").data("u32");
    const truths: Uint8Array = await ones([2], "bool").data("bool");
    assert.deepEqual(
      [floats, whole, words, truths].map((each) => [...each]),
      [
        [1, 1],
        [1, 1],
        [1, 1],
        [1, 1],
      ],
    );
    const x = zeros([3]);
    assert.equal(await x.data("f32"), await x.data());
  });

  it("is refused where the tensor has another, as nothing is converted", async () => {
    await assert.rejects(ones([2], "i32").data("f32"), (error) => {
      assert.ok(error instanceof EvenkeelError && error.code === "dtype");
      assert.match(
        error.message,
        /^data: Tensor\(i32 \[2\]\) has no f32 elements. Ask for "i32", or use cast\(x, "f32"\) first/,
      );
      return true;
    });
  });
});

describe("64-bit integers", () => {
  const ends = BigInt64Array.of(-(2n ** 31n), -1n, 0n, 2n ** 31n - 1n);

  it("are i32, or u32 of unsigned ones, where all fit", async () => {
    const x = tensor(ends, { shape: [2, 2] });
    assert.deepEqual([x.dtype, x.shape], ["i32", [2, 2]]);
    assert.deepEqual([...(await x.data("i32"))], [-(2 ** 31), -1, 0, 2 ** 31 - 1]);
    assert.deepEqual([...(await tensor(BigUint64Array.of(2n ** 32n - 1n)).data("u32"))], [2 ** 32 - 1]);
  });

  it("are another dtype if that is asked for and holds them exactly", async () => {
    assert.deepEqual(
      [...(await tensor(BigInt64Array.of(2n ** 40n, -3n), { dtype: "f32" }).data("f32"))],
      [2 ** 40, -3],
    );
    assert.deepEqual([...(await tensor(BigUint64Array.of(7n), { dtype: "i32" }).data("i32"))], [7]);
    assert.deepEqual([...(await tensor(BigInt64Array.of(0n, 1n), { dtype: "bool" }).data("bool"))], [0, 1]);
  });

  it("that don't fit are refused and named", () => {
    const cases: readonly (readonly [BigInt64Array | BigUint64Array, "f32" | "i32" | "u32" | "bool" | undefined])[] = [
      [BigInt64Array.of(5n, 2n ** 31n), undefined],
      [BigInt64Array.of(5n, -(2n ** 31n) - 1n), undefined],
      [BigInt64Array.of(5n, 2n ** 62n), "i32"],
      [BigInt64Array.of(5n, -1n), "u32"],
      [BigUint64Array.of(5n, 2n ** 32n), undefined],
      [BigInt64Array.of(5n, 2n ** 24n + 1n), "f32"],
      [BigInt64Array.of(0n, 2n), "bool"],
      [BigInt64Array.of(0n, 256n), "bool"],
    ];
    for (const [values, dtype] of cases) {
      const action = (): unknown => tensor(values, dtype === undefined ? {} : { dtype });
      refuses(action, "value", /^tensor: element 1 of the Big(Int|Uint)64Array is -?\d+, which \w+ can't hold exactly/);
    }
  });

  it("of a safetensors file are labels without ado", async () => {
    const file = parseSafetensors(serializeSafetensors({ labels: { dtype: "I64", shape: [2, 2], data: ends } }));
    const { data, shape } = file.tensor("labels");
    assert.deepEqual([...(await tensor(data, { shape }).data("i32"))], [...ends].map(Number));
  });
});
