import assert from "node:assert/strict";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import sharp from "sharp";
import { withFiles } from "../../../diffusion/data/node/imageSource.ts";
import { Notices } from "../../../diffusion/data/index.ts";
import { surveyPictures } from "../../../diffusion/data/node.ts";
import { EvenkeelError } from "../../../engine/index.ts";
import { noise, png, rawZip, temporaryFolder } from "./sampleFiles.ts";
import { classesOf, convert, open } from "./told.ts";

const { path, folderOf } = temporaryFolder();

const picture = png(2, 2, 3);
const photo = await sharp(noise(32 * 32 * 3), { raw: { width: 32, height: 32, channels: 3 } })
  .jpeg()
  .toBuffer();

describe("names in archives", () => {
  it("mean the same with dots, doubled slashes and backslashes", async () => {
    const names = ["cats/a.png", "cats/b.png", "dogs/a.png", "dogs/b.png"];
    const expected = [4, ["cats", "dogs"], [0, 0, 1, 1]];
    for (const written of [
      (name: string) => `./${name}`,
      (name: string) => `././/${name}`,
      (name: string) => name.replace("/", "//"),
      (name: string) => name.replace("/", "/./"),
      (name: string) => name.replace("/", "\\"),
      (name: string) => `.\\${name.replace("/", "\\")}`,
    ]) {
      await writeFile(path("names.zip"), rawZip(names.map((name) => [written(name), picture])));
      const result = await open(path("names.zip"));
      assert.deepEqual(classesOf(result), expected, written("x/y"));
      const guessed = written("x/y").includes("\\");
      assert.equal(result.told.length, guessed ? 1 : 0);
      if (guessed) assert.match(result.told[0] ?? "", /^Guessed 4 \(.*cats\\a\.png, .*\): names with backslashes/);
    }
    const labels = Buffer.from(JSON.stringify({ labels: names.map((name, i) => [name, 3 - i]) }));
    const files = [...names.map((name) => [`./${name}`, picture] as const), ["./dataset.json", labels] as const];
    await writeFile(path("labels.zip"), rawZip(files));
    assert.deepEqual(classesOf(await open(path("labels.zip"))), [4, null, [3, 2, 1, 0]]);
    await writeFile(
      path("twice.zip"),
      rawZip([
        ["a.png", picture],
        ["./a.png", picture],
      ]),
    );
    await assert.rejects(open(path("twice.zip")), /twice\.zip: .*holds a\.png twice; unpack it/);
  });

  it("may be more than 65,535, counted modulo 65,536 as the Mac does, so that none is told of", async () => {
    const files = Array.from({ length: 65_536 }, (_, i) => [`${i}.png`, picture] as const);
    await writeFile(path("many.zip"), rawZip(files));
    await withFiles(path("many.zip"), {}, async (source) => {
      assert.equal(source.files.length, 65_536);
      assert.deepEqual(Buffer.from(await source.read("65535.png")), Buffer.from(picture));
    });
    // Fewer than its end tells of in bytes is still damage.
    const cut = rawZip(files.slice(0, 10));
    cut.writeUInt32LE(cut.readUInt32LE(cut.length - 10) + 46, cut.length - 10);
    await writeFile(path("cut.zip"), cut);
    await assert.rejects(open(path("cut.zip")), EvenkeelError);
  });
});

describe("files that aren't the set's", () => {
  it("are told by kinds, with a count and names", async () => {
    const source = await folderOf({
      "a/1.png": picture,
      "a/2.PNG": picture,
      ".DS_Store": "x",
      "Thumbs.db": "x",
      "a/desktop.ini": "x",
      "a/._1.png": "x",
      "__MACOSX/a/._1.png": "x",
      ".git/objects/x.png": picture,
      "b/IMG.HEIC": "x",
      "b/IMG.CR2": "x",
      "b/film.mov": "x",
      "notes.txt": "x",
      "b/README": "x",
      "more.tar.gz": "x",
      "x.parquet": "x",
      "really.heic": photo,
      "b/nothing": photo,
      "beside.npy": "x",
    });
    await mkdir(join(source, "b", "empty"));
    const expected = [
      /^Left out 6 \((?=.*\.DS_Store)(?=.*\.git)(?=.*__MACOSX).*\): files that systems and programs leave behind/,
      /^Left out 1 \(b\/IMG\.HEIC\): HEIC pictures/,
      /^Left out 1 \(b\/IMG\.CR2\): raw photographs/,
      /^Left out 1 \(b\/film\.mov\): films/,
      /^Left out 1 \(notes\.txt\): texts/,
      /^Left out 1 \(b\/empty\): empty folders/,
      /^Left out 1 \(b\/README\): files whose ending/,
      /^Left out 1 \(more\.tar\.gz\): archives within/,
      /^Left out 1 \(x\.parquet\): data of other programs/,
      /^Left out 2 \(b\/nothing, really\.heic\): pictures inside .* with another ending/,
      /^Left out 1 \(beside\.npy\): arrays beside the pictures/,
    ];
    for (const { dataset, told } of [await open(source), await convert(source, 2)]) {
      assert.equal(dataset.count, 2);
      for (const pattern of expected) assert.equal(told.filter((line) => pattern.test(line)).length, 1, `${pattern}`);
      assert.equal(told.length, expected.length, told.join("\n"));
    }
    await assert.rejects(convert(source, 2, { strict: true }), /with --strict, no picture is left out\. Left out 1/);
  });

  it("are named where nothing else is there, and by themselves", async () => {
    await assert.rejects(open(await folderOf({ "a.heic": "x" })), /holds no images\. Left out 1 \(a\.heic\): HEIC/);
    for (const [name, pattern] of [
      ["x.heic", /one of the HEIC pictures/],
      ["x.tar.gz", /expected a folder of images, a \.zip.*archives within; unpack/],
      ["x.jpg", /this is a file by itself/],
      ["x-labels-idx1-ubyte", /holds labels; name the file of the images/],
    ] as const) {
      await writeFile(path(name), "x");
      await assert.rejects(open(path(name)), pattern);
    }
  });
});

describe("names of folders' files", () => {
  it("that aren't UTF-8 are told as such, others with the character for what isn't are read", async () => {
    const source = await folderOf({ "\ufffd.png": picture, "a.png": picture });
    // Latin 1. Some file systems take no such name.
    const isTaken = await writeFile(
      Buffer.concat([Buffer.from(`${source}/gr`), Buffer.of(0xfc), Buffer.from("n.png")]),
      picture,
    )
      .then(() => true)
      .catch(() => false);
    const { dataset, told } = await open(source);
    assert.equal(dataset.count, 2);
    if (isTaken) assert.match(told.join("\n"), /^Left out 1 \(gr\ufffdn\.png\): names that aren't UTF-8/);
  });
});

describe("files that can't be read", () => {
  // What reads a process's memory from its beginning gets an error of the disk, whoever asks.
  const skip = process.platform === "linux" ? false : "no /proc";
  it("are told apart from damaged pictures", { skip }, async () => {
    const source = await folderOf({ "a.png": picture, "b.png": "damaged" });
    await symlink("/proc/self/mem", join(source, "c.png"));
    const { told } = await convert(source, 2);
    assert.match(
      told.join("\n"),
      /^Left out 1 \(b\.png\): pictures that are damaged.*\nLeft out 1 \(c\.png\): files that can't be/,
    );
    const notices = new Notices();
    await surveyPictures(source, { notices });
    assert.deepEqual(
      notices.list.map(({ what, names }) => [what.slice(0, 15), names]),
      [
        ["pictures whose ", ["b.png"]],
        ["files that can'", ["c.png"]],
      ],
    );
  });
});

describe("links", () => {
  it("in archives are told", async () => {
    const plain = rawZip([["a.png", picture]]);
    await writeFile(path("plain.zip"), plain);
    assert.deepEqual((await open(path("plain.zip"))).told, []);
    await writeFile(path("links.zip"), rawZip([["a.png", Buffer.from("../b.png")]], { mode: 0o120777 }));
    await assert.rejects(open(path("links.zip")), /holds no images\. Left out 1 \(a\.png\): links in archives/);
  });

  it("to folders are followed, those that lead back or to nothing are told", async () => {
    const real = await folderOf({ "cats/a.png": picture, "dogs/a.png": picture });
    const source = await folderOf({ "birds/a.png": picture });
    await symlink(join(real, "cats"), join(source, "cats"));
    await symlink(join(real, "dogs"), join(source, "dogs"));
    await symlink(join(real, "dogs", "a.png"), join(source, "dogs", "b.png"));
    await symlink("..", join(source, "birds", "up"));
    await symlink("../..", join(source, "birds", "above"));
    await symlink(source, join(real, "cats", "round"));
    await symlink("nowhere", join(source, "birds", "gone.png"));
    const result = await open(source);
    assert.deepEqual(classesOf(result).slice(1), [
      ["birds", "cats", "dogs"],
      [0, 1, 2, 2],
    ]);
    assert.match(result.told.join("\n"), /Left out 1 \(birds\/gone\.png\): links to nothing/);
    assert.match(
      result.told.join("\n"),
      /Left out 3 \(birds\/above, birds\/up, cats\/round\): links back to a folder that they lie in/,
    );
  });
});
