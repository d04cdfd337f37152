import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import fc from "fast-check";
import { memoryFolder, readWhole, writeText } from "../../../engine/io/index.ts";
import { diskFile, diskFolder } from "../../../engine/io/node.ts";
import { checkFolder } from "../../support/folderLaw.ts";

const root = await mkdtemp(join(tmpdir(), "evenkeel-folders-"));
after(() => rm(root, { recursive: true }));

describe("folders keep what was written, whole or as it was before", () => {
  it("in memory", () => checkFolder(memoryFolder(), { runs: 200 }));

  it("on a disk, where it is made if it isn't there", () =>
    checkFolder(diskFolder(join(root, "deep", "folder")), { runs: 60 }));
});

describe("a folder of a disk", () => {
  it("has no folders for files, and loses what writes that never ended left", async () => {
    const path = join(root, "left");
    await mkdir(join(path, "inner"), { recursive: true });
    await writeFile(join(path, ".evenkeel-0123456789ab.partial"), "half");
    await writeFile(join(path, "kept.partial"), "whole");
    const folder = diskFolder(path);
    await folder.prepare();
    assert.deepEqual(await folder.list(), ["kept.partial"]);
    assert.deepEqual((await readdir(path)).sort(), ["inner", "kept.partial"]);
    await assert.rejects(folder.file("inner").open(), /inner: is a folder/);
    await assert.rejects(folder.file("inner").append(Uint8Array.of(1)), /inner: writing failed: it is a folder/);
    await assert.rejects(folder.file("inner").remove(), /inner: removing it failed/);
    await assert.rejects(diskFolder(join(root, "none")).list(), /none: reading the folder failed: there is no such/);
    await writeText(folder.file("kept.partial"), "");
    await assert.rejects(diskFolder(join(path, "kept.partial")).prepare(), /kept\.partial: making the folder failed/);
  });

  it("reads files in pieces of any size, into memory of their own", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 40 }), fc.integer({ min: 1, max: 45 }), async (content, piece) => {
        const file = diskFile(join(root, "pieces"), piece);
        await file.write((sink) => sink.write(content));
        const read = await readWhole(file);
        assert.deepEqual([...read], [...content]);
        // A Buffer's slice would be no copy.
        assert.ok(!Buffer.isBuffer(read), "a Buffer");
      }),
      { numRuns: 50 },
    );
  });
});
