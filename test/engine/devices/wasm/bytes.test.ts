import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ByteWriter } from "../../../../engine/devices/wasm/assembler/bytes.ts";

function written(write: (into: ByteWriter) => void): number[] {
  const into = new ByteWriter();
  write(into);
  return [...into.written()];
}

const unsignedLeb128 = (value: number): number[] => written((into) => into.unsigned(value));
const signedLeb128 = (value: number | bigint): number[] => written((into) => into.signed(value));

test("LEB128 of the numbers at which its length changes", () => {
  const unsigned: [number, number[]][] = [
    [0, [0x00]],
    [127, [0x7f]],
    [128, [0x80, 0x01]],
    [624485, [0xe5, 0x8e, 0x26]],
    [2 ** 32 - 1, [0xff, 0xff, 0xff, 0xff, 0x0f]],
  ];
  for (const [value, bytes] of unsigned) assert.deepEqual(unsignedLeb128(value), bytes);
  const signed: [number | bigint, number[]][] = [
    [0, [0x00]],
    [63, [0x3f]],
    [64, [0xc0, 0x00]],
    [-1, [0x7f]],
    [-64, [0x40]],
    [-65, [0xbf, 0x7f]],
    [-123456, [0xc0, 0xbb, 0x78]],
    [-(2 ** 31), [0x80, 0x80, 0x80, 0x80, 0x78]],
    [2 ** 31 - 1, [0xff, 0xff, 0xff, 0xff, 0x07]],
    [-(2n ** 63n), [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f]],
  ];
  for (const [value, bytes] of signed) assert.deepEqual(signedLeb128(value), bytes);
});

test("LEB128 decodes to the number encoded", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (value) => {
      const bytes = signedLeb128(value);
      const raw = bytes.reduceRight((sum, byte) => (sum << 7n) | BigInt(byte & 127), 0n);
      assert.equal(BigInt.asIntN(7 * bytes.length, raw), value);
      assert.deepEqual(
        bytes.map((byte) => byte >= 128),
        bytes.map((_, index) => index < bytes.length - 1),
      );
    }),
  );
  fc.assert(
    fc.property(fc.maxSafeNat(), (value) => {
      assert.equal(
        unsignedLeb128(value).reduceRight((sum, byte) => sum * 128 + (byte & 127), 0),
        value,
      );
    }),
  );
});

test("names are UTF-8 with a length in bytes", () => {
  assert.deepEqual(
    written((into) => into.name("aé")),
    [3, 0x61, 0xc3, 0xa9],
  );
});

test("what was written before stays as a writer grows, is counted and cleared", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 600 }), { maxLength: 6 }), (pieces) => {
      const [whole, part] = [new ByteWriter(), new ByteWriter()];
      for (const piece of pieces) {
        part.clear();
        part.bytes(piece);
        assert.equal(part.length, piece.length);
        whole.counted(part);
      }
      assert.deepEqual(
        [...whole.written()],
        pieces.flatMap((piece) => [...unsignedLeb128(piece.length), ...piece]),
      );
    }),
  );
});
