/** What pages unpack: as Node's library does, in bounded memory and time. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { deflateSync, gzipSync } from "node:zlib";
import fc from "fast-check";
import { gunzip } from "../../../diffusion/data/files/gunzip.ts";
import { unzlib } from "../../../diffusion/data/files/unzlib.ts";

/** Of few values in a row, or noise, so that it packs well or not at all; up to beyond the pieces in which it is unpacked. */
const contents = fc
  .record({ length: fc.oneof(fc.nat(100), fc.nat(100_000)), seed: fc.nat(), isNoise: fc.boolean() })
  .map(({ length, seed, isNoise }) => {
    let state = seed | 1;
    return Uint8Array.from({ length }, (_, i) => {
      state = Math.imul(state, 0x2c1b3c6d) ^ (state >>> 13);
      return isNoise ? state : Math.floor(i / 50) + seed;
    });
  });
const levels = fc.constantFrom(0, 1, 9);

function unpackedOrNull(packed: Uint8Array, length: number): Uint8Array | null {
  try {
    return unzlib(packed, length);
  } catch {
    return null;
  }
}

describe("unzlib", () => {
  it("gives back what was packed, and refuses one byte more than expected", () => {
    fc.assert(
      fc.property(contents, levels, (content, level) => {
        const packed = new Uint8Array(deflateSync(content, { level }));
        assert.deepEqual(unzlib(packed, content.length), content);
        assert.deepEqual(unzlib(packed, content.length + 5), content);
        if (content.length === 0) return;
        assert.throws(() => unzlib(packed, content.length - 1), /unpacks to more than/);
      }),
    );
  });

  it("refuses what is cut off or changed", () => {
    fc.assert(
      fc.property(contents, levels, fc.nat(), fc.integer({ min: 1, max: 255 }), (content, level, place, change) => {
        const packed = new Uint8Array(deflateSync(content, { level }));
        assert.throws(() => unzlib(packed.subarray(0, place % packed.length), content.length));
        const damaged = packed.map((byte, i) => (i === place % packed.length ? byte ^ change : byte));
        // Some bits say nothing, such as those of the level and those between the last code and the checksum.
        const unpacked = unpackedOrNull(damaged, content.length);
        if (unpacked !== null) assert.deepEqual(unpacked, content);
      }),
    );
  });

  it("stops where it is more than expected, however much comes behind", () => {
    // A gigabyte of zeros, a thousandth of it packed: to unpack it whole takes seconds and much memory.
    const packed = new Uint8Array(deflateSync(new Uint8Array(2 ** 30), { level: 1 }));
    const before = process.memoryUsage().arrayBuffers;
    assert.throws(() => unzlib(packed, 1000), /unpacks to more than 1000 bytes/);
    assert.ok(process.memoryUsage().arrayBuffers - before < 2 ** 27, "memory of pieces alone");
  });
});

describe("gunzip", () => {
  it("gives back what was packed, by the size that its beginning tells, and refuses more", async () => {
    await fc.assert(
      fc.asyncProperty(contents, levels, async (content, level) => {
        const packed = new Uint8Array(gzipSync(content, { level }));
        const heads: Uint8Array[] = [];
        const unpacked = await gunzip(packed, (head) => {
          heads.push(new Uint8Array(head));
          return content.length;
        });
        assert.deepEqual(unpacked, content);
        assert.equal(heads.length, 1);
        const [head = new Uint8Array()] = heads;
        assert.ok(head.length >= Math.min(64, content.length), "enough of the beginning");
        assert.deepEqual(head, content.subarray(0, head.length));
        if (content.length === 0) return;
        await assert.rejects(
          gunzip(packed, () => content.length - 1),
          /unpacks to more than/,
        );
        await assert.rejects(gunzip(packed.subarray(0, -1), () => content.length));
      }),
      { numRuns: 60 },
    );
  });

  it("throws on what the reader of the beginning throws, and gives no memory for sizes that can't be", async () => {
    const packed = new Uint8Array(gzipSync(new Uint8Array(2 ** 20)));
    const refusal = new Error("no");
    await assert.rejects(
      gunzip(packed, () => {
        throw refusal;
      }),
      (cause) => cause === refusal,
    );
    await assert.rejects(
      gunzip(packed, () => 2 ** 40),
      /can't unpack to/,
    );
  });
});
