import assert from "node:assert/strict";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { describe, it } from "node:test";
import { encode } from "fast-png";
import sharp from "sharp";
import { parse } from "smol-toml";
import { noise, npy, png, temporaryFolder } from "../diffusion/data/sampleFiles.ts";
import { evenkeel, network } from "./train/tinyRun.ts";

const { path, folderOf } = temporaryFolder();
const picture = (): Uint8Array => png(8, 8, 3);

/** What the command prints, which must end well. */
async function ran(...args: readonly string[]): Promise<{ readonly out: string; readonly err: string }> {
  const { code, out, err } = await evenkeel(args);
  assert.equal(code, 0, err);
  return { out, err };
}

describe("dataset info", () => {
  it("tells of latents what is drawn from them", async () => {
    const latent = npy("<f4", [2, 1, 1], new Uint8Array(Float32Array.of(3, 0.5).buffer));
    const { out } = await ran("dataset", "info", await folderOf({ "0/img-mean-std-0.npy": latent }));
    assert.match(out, /^latents {6}1, means and deviations of 1 channels of 1x1$/m);
    assert.match(
      out,
      /^mean {9}channels 3\.0000\ndeviation {4}channels 0\.5000, of what is drawn from them\nlabels {7}no/m,
    );
  });

  it("tells classes by name with counts, duplicates and what looks wrong", async () => {
    const same = picture();
    const files = Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`cats/${i}.png`, i < 2 ? same : picture()]));
    const { out } = await ran(
      "dataset",
      "info",
      await folderOf({ ...files, "dogs/0.png": picture(), "mice/0.png": same }),
    );
    assert.match(out, /^labels {7}3 classes$/m);
    assert.match(out, /^ {5}0 {8}9 {2}cats\n {5}1 {8}1 {2}dogs\n {5}2 {8}1 {2}mice$/m);
    assert.match(out, /^note {9}9 of 11 images are of one class, cats \(82%\)$/m);
    assert.match(
      out,
      /^note {9}2 of 11 images are the same as an earlier one, 1 of them with another label: 1 = 0, 10 = 0$/m,
    );
  });

  it("is bounded however many classes labels make", async () => {
    const labels = JSON.stringify({
      labels: [
        ["a.png", 0],
        ["b.png", 2_000_000],
      ],
    });
    const source = await folderOf({ "a.png": picture(), "b.png": picture(), "dataset.json": labels });
    const { out } = await ran("dataset", "info", source);
    assert.ok(out.split("\n").length < 12, out);
    assert.match(out, /^note {9}1999999 of 2000001 classes have no images: labels are identifiers\?/m);
    const json = JSON.parse((await ran("dataset", "info", source, "--json")).out) as Record<string, unknown>;
    assert.deepEqual(json["classes"], [
      { label: 0, name: null, images: 1 },
      { label: 2_000_000, name: null, images: 1 },
    ]);
    assert.equal((json["notes"] as readonly string[]).length, 1);
    const many = Array.from({ length: 500 }, (_, i) => [`${i}.png`, i]);
    const pixel = encode({ width: 1, height: 1, channels: 1, depth: 8, data: noise(1) });
    const files = Object.fromEntries(many.map(([name]) => [String(name), pixel]));
    const table = await ran(
      "dataset",
      "info",
      await folderOf({ ...files, "dataset.json": JSON.stringify({ labels: many }) }),
    );
    assert.match(table.out, /^ {3}\.\.\. {6}440 {2}in 440 more classes$/m);
    assert.ok(table.out.split("\n").length < 80);
  });

  it("tells of pictures that are no data set yet how large they are and which classes", async () => {
    const jpeg = async (width: number, height: number): Promise<Buffer> =>
      sharp(noise(width * height * 3), { raw: { width, height, channels: 3 } })
        .jpeg()
        .toBuffer();
    const source = await folderOf({
      "cats/a.jpg": await jpeg(20, 10),
      "cats/b.jpg": await jpeg(20, 10),
      "dogs/c.png": png(7, 9, 3),
      "dogs/d.jpg": "broken",
    });
    const { out, err } = await ran("dataset", "info", source);
    assert.match(out, /^pictures {5}4, of 2 sizes; npx evenkeel dataset convert makes a data set of them$/m);
    assert.match(out, /^ +20x10 {8}2\n +7x9 {8}1$/m);
    assert.match(out, /^ {5}0 {8}2 {2}cats\n {5}1 {8}2 {2}dogs$/m);
    assert.match(err, /^Left out 1 \(dogs\/d\.jpg\): pictures whose size can't be read\.$/m);
  });
});

describe("dataset convert", () => {
  it("goes on without damaged pictures and lists them all at the end; --strict ends it with code 1 and no file", async () => {
    const broken = Array.from({ length: 30 }, (_, i) => `dogs/a picture with a longish name ${i}.jpg`);
    const source = await folderOf({
      "cats/a.png": picture(),
      "dogs/a.png": picture(),
      ...Object.fromEntries(broken.map((name) => [name, "no picture"])),
      "dogs/IMG.HEIC": "x",
    });
    const args = ["dataset", "convert", "--source", source, "--resolution", "8x8", "--dest"];
    const { out, err } = await ran(...args, path("kept.zip"));
    assert.match(out, /kept\.zip: 2 images, 8x8, colour, 2 classes$/m);
    assert.match(err, /^Left out 1 \(dogs\/IMG\.HEIC\): HEIC pictures/m);
    const listed = err.split("\n").find((line) => line.startsWith("Left out 30"));
    for (const name of broken) assert.ok(listed?.includes(name), `${name}: ${listed}`);
    const strict = await evenkeel([...args, path("strict.zip"), "--strict"]);
    assert.deepEqual([strict.code, strict.out], [1, ""]);
    assert.match(strict.err, /with --strict, no picture is left out\. Left out 1 \(dogs\/IMG\.HEIC\)/);
    await assert.rejects(readFile(path("strict.zip")), { code: "ENOENT" });
  });

  it("says which classes --max-images leaves without images", async () => {
    const names = Array.from({ length: 12 }, (_, i) => `${i}/x.png`);
    const source = await folderOf(Object.fromEntries(names.map((name) => [name, picture()])));
    const args = ["--source", source, "--dest", path("few.zip"), "--resolution", "8x8", "--max-images", "3"];
    const { out, err } = await ran("dataset", "convert", ...args);
    assert.match(out, /few\.zip: 3 images, 8x8, colour, 12 classes$/m);
    assert.match(err, /^Note: 9 of 12 classes have no images: 11, 2, 3, 4, 5, 6, \.\.\.\.$/m);
    assert.match(err, /^Note: 12 classes are called by numbers .* class 2 is the one called 10\./m);
  });
});

describe("dataset convert of several sources", () => {
  it("says that classes without names are matched by number", async () => {
    const named = await folderOf({ "cats/a.png": picture(), "dogs/a.png": picture() });
    const labels = JSON.stringify({ labels: [["a.png", 1]] });
    const numbered = await folderOf({ "a.png": picture(), "dataset.json": labels });
    const args = ["--dest", path("both.zip"), "--resolution", "8x8", "--source"];
    const both = await ran("dataset", "convert", ...args, named, numbered);
    assert.match(
      both.err,
      /^Guessed 2: classes of all sources, matched by number, as those of 1 have no names \(.*\)\.$/m,
    );
    assert.equal((await ran("dataset", "convert", ...args, named, named)).err, "");
  });
});

describe("train --dry-run", () => {
  const dry = async (source: string, ...flags: readonly string[]): Promise<string> =>
    (await ran("train", "--preset", "smoke", "--data", source, "--outdir", path("dry"), "--dry-run", ...flags)).out;

  it("looks at the data, says what it would do and what looks wrong, makes nothing, and is a config file", async () => {
    const labels = Array.from({ length: 10 }, (_, i) => [`${i}.png`, [i / 10, 18 * i]]);
    const files = Object.fromEntries(labels.map(([name]) => [String(name), picture()]));
    const source = await folderOf({ ...files, "dataset.json": JSON.stringify({ labels }) });
    const out = await dry(source, ...network, "--holdout", "6", "--label-dropout", "0.1");
    assert.match(out, /^# Data {15}4 images 8x8, colour, 6 more held out$/m);
    assert.match(out, /^# Labels {13}label vectors of 2 numbers$/m);
    assert.match(
      out,
      /^# Note {15}1 of 2 numbers of the labels are larger than 10: number 1 from \d+ to \d+\. Bring them/m,
    );
    assert.match(out, /^# Note {15}--holdout keeps 6 of 10 images \(60%\) from training; a tenth, 1, says as much$/m);
    assert.equal(parse(out)["holdout"], 6);
    await assert.rejects(readdir(path("dry")), { code: "ENOENT" });
    const broken = await evenkeel([
      "train",
      "--preset",
      "smoke",
      "--data",
      path("nothing"),
      "--outdir",
      path("dry"),
      "-n",
    ]);
    assert.deepEqual([broken.code, broken.out], [1, ""]);
    assert.match(broken.err, /nothing: opening it failed: there is no such file/);
  });

  it("needs no folder of a run, and says of the data what `dataset info` says", async () => {
    const same = picture();
    const files = { "a/0.png": same, "a/1.png": same, "a/2.png": picture(), "b/0.png": same };
    const source = await folderOf(files);
    const { out } = await ran("train", "--preset", "smoke", "--data", source, "-n", ...network, "--holdout", "1");
    const info = (await ran("dataset", "info", source)).out;
    const notes = [...info.matchAll(/^note {9}(.*)$/gm)].map(([, note]) => note);
    assert.deepEqual(notes, [
      "2 of 4 images are the same as an earlier one, 1 of them with another label: 1 = 0, 3 = 0",
    ]);
    for (const note of notes) assert.ok(out.includes(`# Note               ${note}\n`), out);
    assert.equal(parse(out)["outdir"], undefined);
    const { code, err } = await evenkeel(["train", "--preset", "smoke", "--data", source]);
    assert.equal(code, 2);
    assert.match(err, /^error: required option '--outdir <folder>' not specified; only --dry-run needs none/);
  });

  it("tells of presets for latents that meet pictures, and of those for pictures that meet latents", async () => {
    const values = Float32Array.from({ length: 8 * 64 }, (_, i) => Math.sin(i));
    const latent = npy("<f4", [8, 8, 8], new Uint8Array(values.buffer));
    const latents = await folderOf({ "img-mean-std-0.npy": latent, "img-mean-std-1.npy": latent });
    const pictures = await folderOf({ "a.png": picture(), "b.png": picture() });
    const noteOf = async (preset: string, source: string): Promise<string> => {
      const { out } = await ran("train", "--preset", preset, "--data", source, "-n", "--samples", "0", ...network);
      return [...out.matchAll(/^# Note +the preset (.*)$/gm)].map(([, note]) => note).join();
    };
    assert.match(
      await noteOf("edm2-img512-xs", pictures),
      /^edm2-img512-xs is made for latents of 4 channels, and this trains on the pixels .* \(3 channels\): encode .*edm2-img64-xs$/,
    );
    assert.match(await noteOf("edm2-img512-xxs", pictures), /such as edm2-img64-xs$/);
    assert.match(
      await noteOf("edm2-img64-s", latents),
      /^edm2-img64-s is made for pictures, and this trains on latents of 4 channels; one for latents is edm2-img512-s$/,
    );
    assert.match(await noteOf("emoji16", latents), /^emoji16 is made for pictures, .* edm2-img512-xs$/);
    const fitting = [
      ["edm2-img512-xs", latents],
      ["edm2-img64-s", pictures],
      ["smoke", pictures],
      ["smoke", latents],
    ] as const;
    for (const [preset, source] of fitting) assert.equal(await noteOf(preset, source), "");
  });

  it("says which settings never take effect", async () => {
    // The noise comes round again: each image is a little lighter than the one before.
    const digits = noise(40 * 784).map((value, i) => value + Math.floor(i / 784));
    await writeFile(path("digits.npy"), npy("|u1", [40, 28, 28], digits));
    const notes = async (...flags: readonly string[]): Promise<readonly string[]> =>
      [...(await dry(path("digits.npy"), ...flags)).matchAll(/^# Note +(.*)$/gm)].map(([, note = ""]) => note);
    assert.match(await dry(path("digits.npy")), /^# +no attention at 8x8: the levels are 28x28, 14x14$/m);
    const calm = ["--attn-resolutions", "14"];
    assert.deepEqual(await notes(...calm, "--threads", "2", "--holdout", "4", "--validation", "100"), []);
    for (const [flags, pattern] of [
      [["--label-dropout", "0.1"], /^label-dropout changes nothing: the network takes no labels$/],
      [["--validation", "500"], /^--validation measures magnitudes only/],
      [["--samples", "0", "--guidance", "3"], /^--guidance changes nothing/],
      [["--device", "cpu", "--threads", "2"], /^--threads changes nothing: .* this is cpu$/],
      [["--device", "cpu", "--deterministic"], /^--deterministic changes nothing/],
      [["--decay", "5000"], /^--decay changes nothing: the run ends after 128 batches/],
      [["--decay", "50", "--schedule", "linear"], /^--decay changes nothing: it is for the schedule inverse-sqrt/],
      [["--checkpoint", "5000"], /^--checkpoint 5000 comes at the end only: the run has 2048 images$/],
    ] as const) {
      const found = await notes(...calm, ...flags);
      assert.equal(found.length, 1, found.join("\n"));
      assert.match(found[0] ?? "", pattern);
    }
  });

  it("bounds its grids whatever the number of classes, says what they cost, and draws none if told so", async () => {
    const labels = Array.from({ length: 200 }, (_, i) => [`${i}.png`, i]);
    const pixel = picture();
    const files = Object.fromEntries(labels.map(([name]) => [String(name), pixel]));
    const source = await folderOf({ ...files, "dataset.json": JSON.stringify({ labels }) });
    assert.match(
      await dry(source),
      /^# Sample grids +every 1,000 images: 80 images of 31 evaluations, as much work as 827 images of training$/m,
    );
    assert.match(await dry(source, "--samples", "0"), /^# Sample grids +none \(--samples 0\)$/m);
  });
});
