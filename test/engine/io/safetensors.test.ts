import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { EvenkeelError } from "../../../engine/errors.ts";
import {
  bitsPerElement,
  bytesPerElement,
  type FileDType,
  fileDTypes,
  parseSafetensors,
  serializeSafetensors,
  toFloat32,
  toFloat64,
  toInt32,
  toUint32,
  type WritableTensor,
} from "../../../engine/io/index.ts";
import { bytesOf, metadatas, namedTensors, tensorOfBytes, tensors } from "./safetensorsSamples.ts";

function headerOf(file: Uint8Array): string {
  const length = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
  return new TextDecoder().decode(file.subarray(8, 8 + length));
}

function only(tensor: WritableTensor) {
  return parseSafetensors(serializeSafetensors({ x: tensor })).tensor("x");
}

function refuses(code: string, pattern: RegExp) {
  return (error: unknown) => error instanceof EvenkeelError && error.code === code && pattern.test(error.message);
}

describe("round trip", () => {
  for (const dtype of fileDTypes) {
    it(`gives back every ${dtype} tensor bit by bit`, () => {
      fc.assert(
        fc.property(tensors(dtype), (tensor) => {
          const back = only(tensor);
          assert.equal(back.dtype, dtype);
          assert.deepEqual(back.shape, tensor.shape);
          assert.equal(back.data.constructor, tensor.data.constructor);
          assert.deepEqual(bytesOf(back.data), bytesOf(tensor.data));
        }),
        { numRuns: 60 },
      );
    });
  }

  it("gives back names, tensors and metadata of whole files", () => {
    fc.assert(
      fc.property(namedTensors, metadatas, (list, metadata) => {
        const file = parseSafetensors(serializeSafetensors(list, { metadata }));
        assert.deepEqual(new Map(file.metadata), new Map(metadata));
        assert.deepEqual([...file.entries.keys()].sort(), list.map(([name]) => name).sort());
        for (const [name, tensor] of list) {
          assert.deepEqual(bytesOf(file.tensor(name).data), bytesOf(tensor.data));
          assert.deepEqual(file.tensor(name).shape, tensor.shape);
        }
        assert.deepEqual(
          [...file.tensors()].map(({ name }) => name),
          [...file.entries.keys()],
        );
      }),
    );
  });

  it("reads files that lie unaligned in memory", () => {
    fc.assert(
      fc.property(namedTensors, fc.integer({ min: 1, max: 7 }), (list, shift) => {
        const file = serializeSafetensors(list);
        const shifted = new Uint8Array(file.length + shift);
        shifted.set(file, shift);
        const parsed = parseSafetensors(shifted.subarray(shift));
        for (const [name, tensor] of list) assert.deepEqual(bytesOf(parsed.tensor(name).data), bytesOf(tensor.data));
      }),
    );
  });

  it("reads Node's Buffer, whose slice is a view, and leaves its bytes alone", () => {
    const data = Float64Array.of(1, 2, 3);
    const file = serializeSafetensors({ 'a"': { dtype: "F64", shape: [3], data } }, { metadata: { "\n": "\t" } });
    const buffer = Buffer.concat([Buffer.of(0), file]).subarray(1);
    const parsed = parseSafetensors(buffer);
    assert.deepEqual(parsed.tensor('a"').data, data);
    assert.deepEqual([...parsed.metadata], [["\n", "\t"]]);
    assert.equal(Buffer.compare(buffer, file), 0);
  });

  it("keeps a tensor called __proto__ a tensor", () => {
    const file = parseSafetensors(
      serializeSafetensors([["__proto__", { dtype: "U8", shape: [1], data: Uint8Array.of(7) }]]),
    );
    assert.deepEqual(file.tensor("__proto__").data, Uint8Array.of(7));
    assert.equal(Object.hasOwn(Object.prototype, "dtype"), false);
  });
});

describe("layout", () => {
  it("is independent of the order of arguments, and the same for objects, maps and lists", () => {
    fc.assert(
      fc.property(namedTensors, metadatas, (list, metadata) => {
        const file = serializeSafetensors(list, { metadata });
        assert.deepEqual(serializeSafetensors([...list].reverse(), { metadata: [...metadata].reverse() }), file);
        assert.deepEqual(serializeSafetensors(new Map(list), { metadata: new Map(metadata) }), file);
        assert.deepEqual(
          serializeSafetensors(Object.fromEntries(list), { metadata: Object.fromEntries(metadata) }),
          file,
        );
      }),
    );
  });

  it("aligns the data to 8 bytes and each tensor to its elements", () => {
    fc.assert(
      fc.property(namedTensors, metadatas, (list, metadata) => {
        const file = serializeSafetensors(list, { metadata });
        const { entries } = parseSafetensors(file);
        assert.equal(headerOf(file).length > 0 && new DataView(file.buffer).getBigUint64(0, true) % 8n, 0n);
        for (const entry of entries.values()) assert.equal((8 * entry.byteOffset) % bitsPerElement(entry.dtype), 0);
      }),
    );
  });

  it("writes a known file", () => {
    const file = serializeSafetensors(
      {
        b: { dtype: "F32", shape: [1, 2], data: Float32Array.of(1, -2) },
        a: { dtype: "F32", shape: [], data: Float32Array.of(0.5) },
        flag: { dtype: "BOOL", shape: [1], data: Uint8Array.of(1) },
        label: { dtype: "I64", shape: [1], data: BigInt64Array.of(-1n) },
      },
      { metadata: { z: "1", format: "pt" } },
    );
    const header =
      '{"__metadata__":{"format":"pt","z":"1"},' +
      '"label":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},' +
      '"a":{"dtype":"F32","shape":[],"data_offsets":[8,12]},' +
      '"b":{"dtype":"F32","shape":[1,2],"data_offsets":[12,20]},' +
      '"flag":{"dtype":"BOOL","shape":[1],"data_offsets":[20,21]}}';
    const padded = header.padEnd(Math.ceil(header.length / 8) * 8);
    const data = "ffffffffffffffff" + "0000003f" + "0000803f000000c0" + "01";
    const expected = Buffer.concat([
      Buffer.from([padded.length & 0xff, padded.length >> 8, 0, 0, 0, 0, 0, 0]),
      Buffer.from(padded),
      Buffer.from(data, "hex"),
    ]);
    assert.equal(Buffer.from(file).toString("hex"), expected.toString("hex"));
  });

  it("sorts names by UTF-8, in which astral characters come after U+FFFF", () => {
    const tensor: WritableTensor = { dtype: "U8", shape: [0], data: new Uint8Array(0) };
    const list = ["😀", "\uffff", "z", "Z", "zz", "10", "9"].map((name) => [name, tensor] as const);
    const names = [...headerOf(serializeSafetensors(list)).matchAll(/"([^"]+)":\{/g)].map((match) => match[1] ?? "");
    assert.deepEqual(names, ["10", "9", "Z", "z", "zz", "\uffff", "😀"]);
    const utf8 = [...names].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    assert.deepEqual(names, utf8);
  });

  it("writes a file without tensors", () => {
    const file = serializeSafetensors({});
    assert.equal(headerOf(file), "{}      ");
    assert.equal(parseSafetensors(file).entries.size, 0);
  });

  it("rounds floats to the dtype asked for, also across chunks", () => {
    const length = (1 << 18) + 5;
    const data = Float64Array.from({ length }, (_, i) => 1 + i * 2 ** -30);
    for (const dtype of ["F16", "BF16", "F32"] as const) {
      const back = toFloat64(only({ dtype, shape: [length], data }));
      const ulp = { F16: 2 ** -10, BF16: 2 ** -7, F32: 2 ** -23 }[dtype];
      assert.ok(
        back.every((value, i) => Math.abs(value - (data[i] ?? 0)) <= ulp / 2),
        dtype,
      );
    }
    assert.deepEqual(only({ dtype: "F16", shape: [1], data: Float32Array.of(1.5) }).data, Uint16Array.of(0x3e00));
  });
});

describe("what can't be written", () => {
  it("refuses more tensors than readers accept", () => {
    const tensor: WritableTensor = { dtype: "U8", shape: [0], data: new Uint8Array(0) };
    function* tooMany(): Generator<[string, WritableTensor]> {
      for (let i = 0; i <= 1_000_000; i++) yield [String(i), tensor];
    }
    assert.throws(
      () => serializeSafetensors(tooMany()),
      refuses("value", /1000001 tensors are too many; readers accept 1000000/),
    );
  });

  const one = { dtype: "U8", shape: [1], data: Uint8Array.of(0) } as const;
  const cases: [string, () => unknown, (error: unknown) => boolean][] = [
    [
      "a name twice",
      () =>
        serializeSafetensors([
          ["a", one],
          ["a", one],
        ]),
      refuses("value", /"a" comes twice/),
    ],
    ["__metadata__", () => serializeSafetensors({ __metadata__: one }), refuses("value", /own key for metadata/)],
    ["half a surrogate pair", () => serializeSafetensors({ "\ud83d": one }), refuses("value", /surrogate/)],
    [
      "it in metadata",
      () => serializeSafetensors({}, { metadata: { k: "\ude00" } }),
      refuses("value", /"k".*surrogate/),
    ],
    [
      "metadata that is no string",
      // A caller without types.
      () => serializeSafetensors({}, { metadata: { k: 1 as unknown as string } }),
      refuses("value", /"k" is a number/),
    ],
    [
      "too few elements",
      () => serializeSafetensors({ a: { ...one, shape: [2] } }),
      refuses("shape", /"a".*2 elements, data 1/),
    ],
    ["a broken shape", () => serializeSafetensors({ a: { ...one, shape: [-1] } }), refuses("shape", /"a".*-1/)],
    ["65 axes", () => serializeSafetensors({ a: { ...one, shape: Array(65).fill(1) } }), refuses("shape", /65 axes/)],
    [
      "the wrong array",
      () =>
        serializeSafetensors({ a: { dtype: "F64", shape: [1], data: Float32Array.of(1) as unknown as Float64Array } }),
      refuses("dtype", /"a": Float32Array data can't be written as F64; it takes Float64Array/),
    ],
    [
      "an unknown dtype",
      () => serializeSafetensors({ a: { ...one, dtype: "F8_E4M3" as FileDType as "U8" } }),
      refuses("dtype", /"a": dtype F8_E4M3/),
    ],
    [
      "BOOL of 2",
      () => serializeSafetensors({ a: { dtype: "BOOL", shape: [1], data: Uint8Array.of(2) } }),
      refuses("value", /element 0 is 2/),
    ],
  ];
  for (const [name, act, expected] of cases) {
    it(`refuses ${name}`, () => {
      assert.throws(act, expected);
    });
  }
});

describe("number conversion", () => {
  it("widens and keeps every small integer", () => {
    for (const dtype of fileDTypes) {
      const bytes = new Uint8Array(3 * bytesPerElement(dtype));
      const tensor = only(tensorOfBytes(dtype, [3], bytes));
      assert.deepEqual(toFloat32(tensor), new Float32Array(3), dtype);
      assert.deepEqual(toFloat64(tensor), new Float64Array(3), dtype);
    }
    assert.deepEqual(
      toFloat32(only({ dtype: "I64", shape: [2], data: BigInt64Array.of(-3n, 7n) })),
      Float32Array.of(-3, 7),
    );
    assert.deepEqual(
      toInt32(only({ dtype: "I64", shape: [2], data: BigInt64Array.of(-3n, 7n) })),
      Int32Array.of(-3, 7),
    );
    assert.deepEqual(
      toUint32(only({ dtype: "I64", shape: [2], data: BigInt64Array.of(0n, 2n ** 32n - 1n) })),
      Uint32Array.of(0, 2 ** 32 - 1),
    );
    assert.deepEqual(
      toFloat32(only({ dtype: "BF16", shape: [1], data: Uint16Array.of(0x3fc0) })),
      Float32Array.of(1.5),
    );
    assert.deepEqual(
      toFloat64(only({ dtype: "F16", shape: [1], data: Uint16Array.of(0xbe00) })),
      Float64Array.of(-1.5),
    );
    assert.deepEqual(toFloat32(only({ dtype: "F64", shape: [1], data: Float64Array.of(0.1) })), Float32Array.of(0.1));
  });

  it("refuses integers that would change", () => {
    const big = only({ dtype: "I64", shape: [2], data: BigInt64Array.of(1n, 2n ** 53n + 1n) });
    assert.throws(() => toFloat64(big), refuses("value", /"x": element 1 is 9007199254740993, which f64/));
    assert.throws(() => toInt32(big), refuses("value", /i32/));
    assert.deepEqual(
      toFloat64(only({ dtype: "U64", shape: [1], data: BigUint64Array.of(2n ** 63n) })),
      Float64Array.of(2 ** 63),
    );
    const odd = only({ dtype: "I32", shape: [1], data: Int32Array.of(2 ** 24 + 1) });
    assert.throws(() => toFloat32(odd), refuses("value", /16777217, which f32/));
    assert.deepEqual(toFloat64(odd), Float64Array.of(2 ** 24 + 1));
    assert.throws(
      () => toInt32(only({ dtype: "U32", shape: [1], data: Uint32Array.of(2 ** 31) })),
      refuses("value", /i32/),
    );
    const float = only({ dtype: "F32", shape: [1], data: Float32Array.of(1) });
    assert.throws(() => toInt32(float), refuses("dtype", /toInt32: .*F32/));
    assert.throws(() => toUint32(float), refuses("dtype", /toUint32: .*F32/));
    for (const negative of [
      only({ dtype: "I8", shape: [2], data: Int8Array.of(1, -1) }),
      only({ dtype: "I64", shape: [2], data: BigInt64Array.of(1n, -1n) }),
    ]) {
      assert.throws(() => toUint32(negative), refuses("value", /element 1 is -1, which u32/));
    }
    assert.throws(
      () => toUint32(only({ dtype: "U64", shape: [1], data: BigUint64Array.of(2n ** 32n) })),
      refuses("value", /4294967296, which u32/),
    );
  });
});
