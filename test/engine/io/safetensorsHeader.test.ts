import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { EvenkeelError } from "../../../engine/errors.ts";
import { parseSafetensors } from "../../../engine/io/index.ts";
import { handMade } from "./safetensorsSamples.ts";

const one = '{"dtype":"U8","shape":[1],"data_offsets":[0,1]}';

function entry(dtype: string, shape: string, offsets: string): string {
  return `{"a":{"dtype":"${dtype}","shape":${shape},"data_offsets":${offsets}}}`;
}

function withLength(length: bigint, rest: number): Uint8Array {
  const file = new Uint8Array(8 + rest);
  new DataView(file.buffer).setBigUint64(0, length, true);
  return file;
}

const badUtf8 = new Uint8Array([
  ...new TextEncoder().encode('{"'),
  0xc3,
  0x28,
  ...new TextEncoder().encode(`":${one}}`),
]);
const deep = "[".repeat(200_000);
/** A tensor with something beside what the format describes. */
const extra = (value: string): Uint8Array => handMade(`{"a":{"note":${value},${one.slice(1)}}`, 1);

/** Name, file, and what the message must say besides the source. */
const refused: readonly (readonly [string, Uint8Array, RegExp])[] = [
  ["no bytes", new Uint8Array(0), /0 bytes are too few/],
  ["7 bytes", new Uint8Array(7), /7 bytes are too few/],
  ["a header longer than the file", withLength(100n, 20), /should have 100 bytes, but the file has 20/],
  ["a header above the limit", withLength(100_000_001n, 2), /100000001 bytes; the limit is 100000000/],
  ["a header of 2^64 - 1", withLength(2n ** 64n - 1n, 2), /18446744073709551615/],
  ["an empty header", handMade(""), /byte 0: expected '{' to begin the header, found the end/],
  ["a byte order mark", handMade("\ufeff{}"), /byte 0: expected '{'.*0xef/],
  ["an array", handMade("[]"), /expected '{'/],
  ["text after the header", handMade("{} x"), /only spaces after/],
  ["zero bytes after the header", handMade("{}\0\0"), /only spaces after.*0x00/],
  ["an unclosed header", handMade(`{"a":${one}`, 1), /'}' or ',' in the header/],
  ["a trailing comma", handMade(`{"a":${one},}`, 1), /a key of the header/],
  ["a missing colon", handMade(`{"a"${one}}`, 1), /':' after the key "a"/],
  ["an unclosed string", handMade('{"abc'), /closing '"'/],
  ["a backslash at the end", handMade('{"abc\\'), /closing '"'/],
  ["a raw control character", handMade('{"a\nb":{}}'), /closing '"'.*0x0a/],
  ["an unknown escape", handMade(`{"\\x":${one}}`, 1), /an escape that JSON knows.*found 'x'/],
  ["an escape cut short", handMade(`{"\\u00":${one}}`, 1), /four hexadecimal digits/],
  ["an escape with a sign", handMade(`{"\\u-001":${one}}`, 1), /four hexadecimal digits.*found '-'/],
  ["an escape with spaces", handMade(`{"\\u 001":${one}}`, 1), /four hexadecimal digits/],
  ["half a surrogate pair", handMade(`{"\\ud83d":${one}}`, 1), /surrogate/],
  ["the other half", handMade(`{"\\ude00":${one}}`, 1), /surrogate/],
  ["two first halves", handMade(`{"\\ud83d\\ud83d":${one}}`, 1), /surrogate/],
  ["a first half before text", handMade(`{"\\ud83dudE00":${one}}`, 1), /surrogate/],
  ["a surrogate in UTF-8", handMade(new Uint8Array([0x7b, 0x22, 0xed, 0xa0, 0x80, 0x22]), 1), /not valid UTF-8/],
  ["bytes that are not UTF-8", handMade(badUtf8, 1), /not valid UTF-8/],
  ["deep nesting as a tensor", handMade(`{"a":${deep}`), /expected '{' to begin tensor "a", found '\['/],
  ["deep nesting as a shape", handMade(`{"a":{"shape":${deep}`), /whole number.*shape of tensor "a", found '\['/],
  [
    "deep nesting in metadata",
    handMade(`{"__metadata__":{"a":${deep}`),
    /__metadata__ value of "a", a string, found '\['/,
  ],
  ["deep objects", handMade('{"a":'.repeat(100_000)), /at most 125 lists and objects within each other in "a" of/],
  ["deep lists that nobody reads", handMade(`{"a":{"b":${deep}`), /at most 125 lists and objects/],
  ["a key twice that nobody reads", extra('{"b":1,"b":1}'), /"note" of tensor "a" has the key "b" twice/],
  ["half a list that nobody reads", extra("[1"), /'\]' or ',' in "note"/],
  ["no value", extra(""), /a JSON value for "note" of tensor "a", found ','/],
  ["half a number", extra("1."), /a JSON value/],
  ["a number that no float holds", extra("1e999"), /a JSON value/],
  ["a word that is none", extra("nulk"), /a JSON value/],
  ["a tensor twice", handMade(`{"a":${one},"a":${one}}`, 1), /byte \d+: the header has the key "a" twice/],
  ["a tensor twice, once escaped", handMade(`{"a":${one},"\\u0061":${one}}`, 1), /"a" twice/],
  ["__proto__ twice", handMade(`{"__proto__":${one},"__proto__":${one}}`, 1), /"__proto__" twice/],
  ["metadata twice", handMade('{"__metadata__":{},"__metadata__":{}}'), /"__metadata__" twice/],
  ["a metadata key twice", handMade('{"__metadata__":{"k":"","k":""}}'), /__metadata__ has the key "k" twice/],
  ["a shape twice", handMade(`{"a":{"shape":[1],${one.slice(1)}}`, 1), /tensor "a" has the key "shape" twice/],
  ["metadata that is a list", handMade('{"__metadata__":[]}'), /expected '{' to begin __metadata__, found '\['/],
  ["metadata that is null in a text", handMade('{"__metadata__":"null"}'), /expected '{' to begin __metadata__/],
  ["a metadata value that is null", handMade('{"__metadata__":{"k":null}}'), /"k", a string, found 'n'/],
  ["a metadata number", handMade('{"__metadata__":{"k":1}}'), /__metadata__ value of "k", a string, found '1'/],
  ["a tensor that is null", handMade('{"a":null}'), /begin tensor "a"/],
  ["no dtype", handMade('{"a":{"shape":[1],"data_offsets":[0,1]}}', 1), /tensor "a" has no dtype/],
  ["no shape", handMade('{"a":{"dtype":"U8","data_offsets":[0,1]}}', 1), /tensor "a" has no shape/],
  ["no offsets", handMade('{"a":{"dtype":"U8","shape":[1]}}', 1), /tensor "a" has no data_offsets/],
  [
    "an unknown dtype",
    handMade(entry("F33", "[1]", "[0,4]"), 4),
    /tensor "a" has the unknown dtype "F33"; known are BOOL/,
  ],
  ["a dtype in lower case", handMade(entry("f32", "[1]", "[0,4]"), 4), /unknown dtype "f32"/],
  ["the dtype toString", handMade(entry("toString", "[1]", "[0,1]"), 1), /unknown dtype "toString"/],
  ["half a byte", handMade(entry("F4", "[3]", "[0,2]"), 2), /F4 of shape \[3\] doesn't end with a whole byte/],
  ["a foreign type of another size", handMade(entry("C64", "[1]", "[0,4]"), 4), /C64 of shape \[1\] takes 8 bytes/],
  [
    "a negative size",
    handMade(entry("U8", "[-1]", "[0,1]"), 1),
    /whole number of at least 0 in shape of tensor "a", found '-'/,
  ],
  ["a fraction", handMade(entry("U8", "[1.5]", "[0,1]"), 1), /']' or ',' in shape of tensor "a", found '.'/],
  ["an exponent", handMade(entry("U8", "[1e1]", "[0,10]"), 10), /found 'e'/],
  ["a leading zero", handMade(entry("U8", "[01]", "[0,1]"), 1), /whole number/],
  ["a size that is a string", handMade(entry("U8", '["1"]', "[0,1]"), 1), /whole number/],
  ["a size of 2^53", handMade(entry("U8", "[9007199254740992]", "[0,1]"), 1), /up to 2\^53 - 1/],
  ["an endless number", handMade(entry("U8", `[${"9".repeat(100_000)}]`, "[0,1]"), 1), /up to 2\^53 - 1/],
  [
    "a product that wraps to 0 in 64 bits",
    handMade(entry("U8", "[4294967296,4294967296]", "[0,0]")),
    /more elements than can be/,
  ],
  [
    "an overflow before a size of 0",
    handMade(entry("U8", "[4294967296,4294967296,0]", "[0,0]")),
    /more elements than can be/,
  ],
  [
    "65 axes",
    handMade(entry("U8", `[${Array(65).fill(1).join(",")}]`, "[0,1]"), 1),
    /at most 64 numbers in shape of tensor "a"/,
  ],
  [
    "bytes that don't fit the shape",
    handMade(entry("F32", "[2]", "[0,4]"), 4),
    /F32 of shape \[2\] takes 8 bytes, but.*hold 4/,
  ],
  ["a range backwards", handMade(entry("U8", "[1]", "[1,0]"), 1), /\[1, 0\] are not \[begin, end\]/],
  ["one offset", handMade(entry("U8", "[1]", "[1]"), 1), /data_offsets \[1\]/],
  ["three offsets", handMade(entry("U8", "[1]", "[0,1,2]"), 1), /at most 2 numbers in data_offsets/],
  [
    "a truncated file",
    handMade(entry("F32", "[4]", "[0,16]"), 15),
    /"a", ends at byte \d+, but the file has \d+ bytes. It is truncated/,
  ],
  ["a huge tensor in a tiny file", handMade(entry("U8", "[1000000000000]", "[0,1000000000000]"), 1), /truncated/],
  ["data that belongs to no tensor", handMade(entry("U8", "[1]", "[0,1]"), 2), /the rest belongs to no tensor/],
  ["data without tensors", handMade("{}", 1), /its header ends at byte 10, but the file has 11 bytes: the rest/],
  [
    "a hole at the beginning",
    handMade(entry("U8", "[1]", "[1,2]"), 2),
    /begins at data byte 1, but the data before it ends at 0/,
  ],
  [
    "a hole between tensors",
    handMade(`{"a":${one},"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}}`, 3),
    /tensor "b" begins at data byte 2, but the data before it ends at 1/,
  ],
  [
    "overlapping tensors",
    handMade(
      '{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}',
      3,
    ),
    /tensor "b" begins at data byte 1 and overlaps/,
  ],
  ["two names for one range", handMade(`{"a":${one},"b":${one}}`, 1), /tensor "b" begins at data byte 0 and overlaps/],
  [
    "an empty tensor inside another",
    handMade(
      '{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[0],"data_offsets":[1,1]}}',
      2,
    ),
    /tensor "b".*overlaps/,
  ],
  [
    "more than a million metadata strings",
    handMade(`{"__metadata__":{${Array.from({ length: 1_000_001 }, (_, i) => `"${i}":""`).join()}}}`),
    /at most 1000000 members in __metadata__/,
  ],
  [
    "a very long name",
    handMade(`{"${"n".repeat(100_000)}":{}}`),
    /^x\.safetensors: tensor "n{80}"\.\.\. \(100000 characters\) has no dtype/,
  ],
];

describe("refused files", () => {
  for (const [name, file, pattern] of refused) {
    it(name, () => {
      assert.throws(
        () => parseSafetensors(file, "x.safetensors"),
        (error: unknown) => {
          assert.ok(error instanceof EvenkeelError);
          assert.equal(error.code, "file");
          assert.ok(error.message.startsWith("x.safetensors: "), error.message);
          assert.match(error.message, pattern);
          assert.ok(error.message.length < 600, `message of ${error.message.length} characters`);
          return true;
        },
      );
    });
  }

  it("names the tensors there are when one is missing", () => {
    const file = parseSafetensors(handMade(`{"a":${one}}`, 1), "x.safetensors");
    assert.throws(() => file.tensor("b"), /x\.safetensors: no tensor is called "b"; the file has "a"\./);
    assert.throws(() => file.tensor("__proto__"), /no tensor is called/);
  });

  it("BOOL bytes other than 0 and 1, when they are read", () => {
    const file = parseSafetensors(handMade(entry("BOOL", "[3]", "[0,3]"), Uint8Array.of(0, 1, 2)), "x.safetensors");
    assert.throws(() => file.tensor("a"), /x\.safetensors: tensor "a": BOOL element 2 is 2, not 0 or 1/);
  });
});

describe("accepted files", () => {
  it("every string that JSON can write, in every way to escape it", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        const hex = Array.from({ length: text.length }, (_, i) => text.charCodeAt(i).toString(16).padStart(4, "0"));
        const units = hex.map((digits) => `\\u${digits}`).join("");
        const header = `{"__metadata__":{"a":"${units}","b":${JSON.stringify(text)},"c":"\\/\\b\\f\\n\\r\\t\\"\\\\"}}`;
        const { metadata } = parseSafetensors(handMade(header));
        assert.equal(metadata.get("a"), text);
        assert.equal(metadata.get("b"), text);
        assert.equal(metadata.get("c"), '/\b\f\n\r\t"\\');
      }),
    );
  });

  it("white space of all kinds, keys in any order, offsets before tensors", () => {
    const header =
      '{\n\t"b" : { "data_offsets" : [ 4 , 5 ],\r\n"shape":[ ] , "dtype":"U8"} ,' +
      '"a":{"shape":[2],"dtype":"I16","data_offsets":[0,4]} } \n\t ';
    const file = parseSafetensors(handMade(header, Uint8Array.of(1, 0, 255, 255, 9)));
    assert.deepEqual([...file.entries.keys()], ["a", "b"]);
    assert.deepEqual(file.tensor("a").data, Int16Array.of(1, -1));
    assert.deepEqual(file.tensor("b").data, Uint8Array.of(9));
    assert.deepEqual(file.tensor("b").shape, []);
  });

  it("white space ahead of the header", () => {
    assert.equal(parseSafetensors(handMade(" \n{}")).entries.size, 0);
  });

  it("metadata of null, which are none", () => {
    const file = parseSafetensors(handMade(`{"__metadata__": null,"a":${one}}`, 1));
    assert.deepEqual([...file.metadata], []);
    assert.deepEqual([...file.entries.keys()], ["a"]);
  });

  it("whatever JSON a tensor has beside what the format describes", () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 8, noUnicodeString: false }), fc.string(), (value, key) => {
        fc.pre(!["dtype", "shape", "data_offsets"].includes(key));
        const header = `{"a":{${JSON.stringify(key)}:${value},${one.slice(1, -1)},"last":${value}},"__metadata__":{"k":"v"}}`;
        const file = parseSafetensors(handMade(header, Uint8Array.of(7)));
        assert.deepEqual(file.tensor("a").data, Uint8Array.of(7));
        assert.equal(file.metadata.get("k"), "v");
      }),
    );
    const nested = "[".repeat(125) + "]".repeat(125);
    for (const value of ["-0.5e-3", "1E+2", "0", "[[],{},[{}]]", '{"":{"":[]}}', nested])
      parseSafetensors(extra(value));
  });

  it("types that Evenkeel has no array for, as long as nobody asks for such a tensor", () => {
    const types = [
      ["F8_E4M3", 3, 3],
      ["F8_E5M2FNUZ", 1, 1],
      ["F4", 4, 2],
      ["F6_E2M3", 4, 3],
      ["C64", 2, 16],
      ["F8_E8M0", 0, 0],
    ] as const;
    for (const [dtype, count, bytes] of types) {
      const foreign = `{"dtype":"${dtype}","shape":[${count}],"data_offsets":[0,${bytes}]}`;
      const own = `{"dtype":"U8","shape":[1],"data_offsets":[${bytes},${bytes + 1}]}`;
      const file = parseSafetensors(handMade(`{"z":${foreign},"a":${own}}`, new Uint8Array(bytes + 1).fill(5)), "f");
      assert.deepEqual(file.tensor("a").data, Uint8Array.of(5));
      assert.equal(file.entries.get("z")?.dtype, dtype);
      assert.throws(
        () => file.tensor("z"),
        (error) =>
          error instanceof EvenkeelError &&
          error.code === "file" &&
          error.message.startsWith(`f: tensor "z" has dtype ${dtype}, which Evenkeel does not read`),
      );
    }
  });

  it("sizes beyond what can be counted if there is nothing of them", () => {
    const file = parseSafetensors(handMade(entry("F32", "[1048576,1048576,1048576,0]", "[0,0]")));
    assert.equal(file.tensor("a").data.length, 0);
  });

  it("escapes and metadata in the middle", () => {
    const header = `{"\\u0061\\"\\ud83d\\uDE00é\\u00E9":${one},"__metadata__":{"\\n":"{\\"x\\":[1]}","":""}}`;
    const file = parseSafetensors(handMade(header, 1));
    assert.deepEqual([...file.entries.keys()], ['a"😀éé']);
    assert.deepEqual(
      [...file.metadata],
      [
        ["\n", '{"x":[1]}'],
        ["", ""],
      ],
    );
  });

  it("empty tensors wherever the data has a seam", () => {
    const empty = (at: number) => `{"dtype":"F64","shape":[0,3],"data_offsets":[${at},${at}]}`;
    const file = parseSafetensors(
      handMade(`{"z":${empty(1)},"a":${one},"y":${empty(0)},"x":${empty(1)}}`, Uint8Array.of(5)),
    );
    assert.deepEqual([...file.entries.keys()], ["y", "a", "z", "x"]);
    assert.deepEqual(file.tensor("z").data, new Float64Array(0));
    assert.deepEqual(file.tensor("z").shape, [0, 3]);
  });

  it("64 axes, and the largest size beside a 0", () => {
    const file = parseSafetensors(handMade(entry("U8", `[${Array(64).fill(1).join(",")}]`, "[0,1]"), 1));
    assert.equal(file.tensor("a").shape.length, 64);
    assert.deepEqual(
      parseSafetensors(handMade(entry("U8", "[0,9007199254740991]", "[0,0]"))).tensor("a").data.length,
      0,
    );
  });
});
