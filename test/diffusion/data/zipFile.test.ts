/** Archives of other writers: bytes before and behind them, comments, ways of packing. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { describe, it } from "node:test";
import fc from "fast-check";
import { writeDataset } from "../../../diffusion/data/node.ts";
import { classesOf, open } from "./told.ts";
import { small, temporaryFolder } from "./sampleFiles.ts";

const { path } = temporaryFolder();

const end = Buffer.from("PK\x05\x06", "latin1");

/** An archive with another comment, and bytes around it. */
function dressed(zip: Buffer, before: Buffer, comment: Buffer, behind: Buffer): Buffer {
  const at = zip.lastIndexOf(end);
  const record = Buffer.from(zip.subarray(at, at + 22));
  record.writeUInt16LE(comment.length, 20);
  return Buffer.concat([before, zip.subarray(0, at), record, comment, behind]);
}

describe("archives", () => {
  it("are read whatever lies before or behind them and in their comments, and what lies around is told", async () => {
    const file = path("a.zip");
    await writeDataset(file, small);
    const zip = await readFile(file);
    const whole = classesOf(await open(file));
    const bytes = (maxLength: number): fc.Arbitrary<Buffer> =>
      fc
        .array(fc.oneof(fc.constant("PK\x05\x06"), fc.constant("PK\x01\x02"), fc.constant("\0"), fc.string()), {
          maxLength,
        })
        .map((parts) => Buffer.from(parts.join(""), "latin1"));
    await fc.assert(
      fc.asyncProperty(bytes(20), bytes(20), fc.boolean(), bytes(5), async (before, comment, hasBehind, more) => {
        // Behind a comment that holds an archive's end, what is the comment is anybody's guess.
        const behind = hasBehind && !comment.includes(end) && !more.includes(end) ? more : Buffer.alloc(0);
        await writeFile(file, dressed(zip, before, comment, behind));
        const read = await open(file);
        assert.deepEqual(classesOf(read), whole);
        const around = before.length + behind.length;
        const told = around === 0 ? [] : [`Left out 1 (a.zip): bytes around the archive, ${around} of them.`];
        assert.deepEqual(read.told, told);
      }),
      { numRuns: 60 },
    );
  });

  it("of other kinds are named as what they are", async () => {
    const file = path("other.zip");
    for (const [content, kind] of [
      ["Rar!\x1a\x07", /is no zip: it is a RAR archive/],
      ["7z\xbc\xaf\x27\x1c", /is no zip: it is a 7-Zip archive/],
      ["\x1f\x8b\x08", /is no zip: it is compressed by gzip/],
      ["<!DOCTYPE html>", /is no zip: it is a web page/],
      ["version https://git-lfs.github.com/spec/v1", /is no zip: it is a pointer of Git LFS/],
      ["", /is no zip: it is empty/],
      ["PK\x03\x04\x14\0", /as if it had been cut off: copy or download it again\.$/],
    ] as const) {
      await writeFile(file, Buffer.from(content, "latin1"));
      await assert.rejects(open(file), kind);
    }
  });

  it("packed in ways that aren't read are refused with the way's name and what to do", async () => {
    const file = path("method.zip");
    await writeDataset(file, small);
    const zip = await readFile(file);
    for (const [method, name] of [
      [9, "Deflate64"],
      [93, "Zstandard"],
      [77, "method 77"],
    ] as const) {
      for (let at = zip.indexOf("PK\x01\x02"); at >= 0; at = zip.indexOf("PK\x01\x02", at + 1))
        zip.writeUInt16LE(method, at + 10);
      await writeFile(file, zip);
      await assert.rejects(open(file), new RegExp(`is packed by ${name}, expected deflate or none; unpack it`));
    }
  });
});
