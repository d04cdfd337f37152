/** Names in archives: in UTF-8, said or not, in a field of their own, or in an encoding that nothing tells. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { describe, it } from "node:test";
import { crc32 } from "node:zlib";
import fc from "fast-check";
import { png, rawZip, type RawZipOptions, temporaryFolder } from "./sampleFiles.ts";
import { open } from "./told.ts";

const { path } = temporaryFolder();

/** The classes of an archive whose two folders are called so, and what is told. */
async function classesIn(
  folders: readonly [Uint8Array, Uint8Array],
  options: RawZipOptions = {},
): Promise<{ readonly classNames: readonly string[] | null; readonly told: readonly string[] }> {
  const file = Buffer.from("/a.png");
  const zip = rawZip(
    folders.map((folder) => [Buffer.concat([folder, file]), png(2, 2, 3)] as const),
    options,
  );
  await writeFile(path("names.zip"), zip);
  const { dataset, told } = await open(path("names.zip"));
  return { classNames: dataset.classNames, told };
}

/** Info-ZIP's field of a name in UTF-8; with another checksum it is of a name that the entry had once. */
const unicodePath =
  (text: string, { version = 1, isOf = true } = {}) =>
  (name: Uint8Array): Uint8Array => {
    const unicode = Buffer.concat([Buffer.from(text), name.subarray(name.indexOf("/".charCodeAt(0)))]);
    const field = Buffer.alloc(9);
    field.writeUInt16LE(0x7075, 0);
    field.writeUInt16LE(5 + unicode.length, 2);
    field.writeUInt8(version, 4);
    field.writeUInt32LE((crc32(name) ^ (isOf ? 0 : 1)) >>> 0, 5);
    return Buffer.concat([field, unicode]);
  };

const asUtf8 = /^Guessed (\d) \(.*\): names whose archive doesn't say how they are written, read as UTF-8/;
const asDos =
  /^Guessed (\d) \(.*\): names whose archive doesn't .* aren't UTF-8, read as those of DOS .*; if they look wrong/;

describe("names in archives", () => {
  it("are the UTF-8 that they are; where nothing says so, it is told", async () => {
    const name = fc.stringMatching(/^[a-zäé日😀][a-zäé日😀]{0,4}$/u);
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(name, { minLength: 2, maxLength: 2 }), fc.boolean(), async (pair, saysUtf8) => {
        const names = pair.map((each) => each.normalize("NFC"));
        const [one = "", other = ""] = names;
        fc.pre(one !== other);
        const result = await classesIn([Buffer.from(one), Buffer.from(other)], { saysUtf8 });
        assert.deepEqual(result.classNames, [...names].sort());
        const doubtful = saysUtf8 ? 0 : names.filter((each) => /[^ -~]/.test(each)).length;
        assert.equal(result.told.length, Math.min(1, doubtful));
        if (doubtful > 0) assert.equal(asUtf8.exec(result.told[0] ?? "")?.[1], String(doubtful));
      }),
    );
  });

  it("of DOS, and in encodings that nothing tells, are read as those of DOS, and it is told", async () => {
    const cats = Buffer.from("cats");
    const dos = await classesIn([Buffer.of(0x4b, 0x81, 0x68, 0x65), cats], { saysUtf8: false });
    assert.deepEqual(dos.classNames, ["Kühe", "cats"]);
    assert.equal(asDos.exec(dos.told.join())?.[1], "1");
    // 日本 in Shift-JIS and in GBK: some names, but no wrong picture and a way to mend them.
    for (const other of [Buffer.of(0x93, 0xfa, 0x96, 0x7b), Buffer.of(0xc8, 0xd5, 0xb1, 0xbe)]) {
      const result = await classesIn([other, cats], { saysUtf8: false });
      assert.equal(result.classNames?.length, 2);
      assert.match(result.told.join("\n"), asDos);
    }
    // What claims to be UTF-8 and isn't.
    const claimed = await classesIn([Buffer.of(0x81), cats], { saysUtf8: true });
    assert.deepEqual(claimed.classNames, ["cats", "ü"]);
    assert.match(
      claimed.told.join(),
      /^Guessed 1 \(.*\): names whose archive says that they are UTF-8, which they aren't, read as those of DOS/,
    );
  });

  it("are those of their field of Unicode, if that is theirs", async () => {
    for (const folder of [Buffer.of(0x93, 0xfa, 0x96, 0x7b), Buffer.from("??")]) {
      const field = unicodePath("日本");
      const extra = (name: Uint8Array): Uint8Array => (name[0] === folder[0] ? field(name) : new Uint8Array(0));
      for (const saysUtf8 of [false, true]) {
        const { classNames, told } = await classesIn([folder, Buffer.from("cats")], { extra, saysUtf8 });
        assert.deepEqual([classNames, told], [["cats", "日本"], []]);
      }
    }
  });

  it("are their own where that field is of another name or of a later form", async () => {
    for (const options of [{ isOf: false }, { version: 2 }]) {
      const extra = unicodePath("x", options);
      const { classNames, told } = await classesIn([Buffer.of(0x81), Buffer.from("b")], { extra, saysUtf8: false });
      assert.deepEqual(classNames, ["b", "ü"]);
      assert.equal(asDos.exec(told.join())?.[1], "1");
    }
  });

  it("never show control characters", async () => {
    const { told } = await classesIn([Buffer.from("\x1b[31mü"), Buffer.from("\x07é")], { saysUtf8: false });
    assert.match(told.join(), asUtf8);
    assert.doesNotMatch(told.join(), /\p{Cc}/u);
  });
});
