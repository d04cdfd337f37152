import assert from "node:assert/strict";
import { chmod, readFile, symlink, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { describe, it } from "node:test";
import { deflateSync, gzipSync } from "node:zlib";
import sharp, { type Sharp } from "sharp";
import { decodePng } from "../../../diffusion/data/files/decodePng.ts";
import { classCounts, createDataset, datasetStatistics } from "../../../diffusion/data/index.ts";
import { openDataset, writeDataset } from "../../../diffusion/data/node.ts";
import { parseIdx } from "../../../diffusion/data/files/idxFile.ts";
import { EvenkeelError } from "../../../engine/index.ts";
import { chunk, idx, noise, png, pngHeader, pngSignature, rawZip, small, temporaryFolder } from "./sampleFiles.ts";
import { fingerprint } from "../../../diffusion/data/index.ts";

const { path, folderOf } = temporaryFolder();

async function zipOf(name: string, files: Record<string, Uint8Array>, isPacked = true): Promise<string> {
  await writeFile(path(name), rawZip(Object.entries(files), { isPacked }));
  return path(name);
}

/** That a path is refused by an error of ours with this text. */
async function refuses(source: string, pattern: RegExp): Promise<void> {
  await assert.rejects(openDataset(source), (error) => {
    assert.ok(error instanceof EvenkeelError, String(error));
    assert.match(error.message, pattern);
    return true;
  });
}

describe("data sets in files", () => {
  it("come back as they were written, and are the same bytes each time", async () => {
    const vectors = [
      [0.5, 1],
      [0, -2],
    ];
    for (const dataset of [
      small,
      createDataset({ name: "grey", channels: 1, resolution: 2, pixels: noise(12), labels: null }),
      createDataset({ name: "vectors", channels: 1, resolution: 2, pixels: noise(8), labels: vectors }),
    ]) {
      const [first, second] = [path("first.zip"), path("second.zip")];
      await writeDataset(first, dataset);
      await writeDataset(second, dataset);
      assert.deepEqual(await readFile(first), await readFile(second));
      const read = await openDataset(first);
      assert.deepEqual({ ...read, name: dataset.name }, dataset);
      assert.equal(fingerprint(read), fingerprint(dataset));
    }
  });

  it("are written whole or not at all, and only as a zip", async () => {
    await assert.rejects(writeDataset(path("data"), small), /data: a data set's name ends with \.zip/);
    const folder = await folderOf({ "data.zip": "before" });
    await chmod(folder, 0o500);
    if (process.getuid?.() !== 0) await assert.rejects(writeDataset(join(folder, "data.zip"), small), EvenkeelError);
    await chmod(folder, 0o700);
    await assert.rejects(writeDataset(path("none/data.zip"), small), /none\/data\.zip/);
  });

  it("have another fingerprint with another pixel, label or shape", () => {
    const pixels = small.pixels.slice();
    pixels[5] = (pixels[5] ?? 0) ^ 1;
    const values = Int32Array.of(0, 1, 2, 0, 1, 1);
    const prints = [
      small,
      { ...small, pixels },
      { ...small, labels: { kind: "classes" as const, labelDim: 3, values } },
      { ...small, labels: { kind: "classes" as const, labelDim: 4, values: Int32Array.of(0, 1, 2, 0, 1, 2) } },
      { ...small, labels: null },
      { ...small, resolution: 2, count: 24, labels: null },
    ];
    assert.equal(new Set(prints.map(fingerprint)).size, prints.length);
  });

  it("are read from packed archives as from folders", async () => {
    const files = {
      "00000/b.png": png(2, 2, 3),
      "00000/a.png": png(2, 2, 3),
      "dataset.json": Buffer.from('{"labels": [["00000/b.png", 1], ["00000/a.png", 0]]}'),
    };
    const inFolder = await openDataset(await folderOf(files));
    const inZip = await openDataset(await zipOf("packed.zip", files));
    assert.deepEqual({ ...inZip, name: "" }, { ...inFolder, name: "" });
    assert.deepEqual([...(inZip.labels?.values ?? [])], [0, 1]);
  });

  it("take folders for classes, however the path is written", async () => {
    const folder = await folderOf({
      "dogs/1.png": png(2, 2, 3),
      "cats/1.png": png(2, 2, 3),
      "cats/2.png": png(2, 2, 3),
    });
    const here = relative(process.cwd(), folder);
    for (const written of [folder, `${folder}/`, here, `./${here}`, `${here}/.`, `${folder}/cats/..`]) {
      const { labels, classNames } = await openDataset(written);
      assert.deepEqual([...(labels?.values ?? [])], [0, 0, 1], written);
      assert.deepEqual(classNames, ["cats", "dogs"]);
    }
    const one = await openDataset(join(folder, "cats"));
    assert.deepEqual([one.count, one.labels], [2, null]);
  });

  it("may hold hidden files and links", async () => {
    const folder = await folderOf({ "a.png": png(2, 2, 3), "._a.png": "litter", "__MACOSX/a.png": "litter" });
    await symlink(join(folder, "a.png"), join(folder, "b.png"));
    assert.equal((await openDataset(folder)).count, 2);
  });

  it("are refused with the name of the image that doesn't fit", async () => {
    const refuse = async (files: Record<string, Uint8Array | string>, pattern: RegExp): Promise<void> =>
      refuses(await folderOf(files), pattern);
    const image = png(2, 2, 1);
    await refuse({ "a.txt": "x" }, /holds no images\. Left out 1 \(a\.txt\)/);
    await refuse({ "a.png": image, "b.jpg": "x" }, /b\.jpg is no PNG\. npx evenkeel dataset convert/);
    await refuse({ "a.png": png(2, 3, 3) }, /a\.png is 2x3, expected a square/);
    await refuse({ "a.png": png(2, 2, 3), "b.png": png(4, 4, 3) }, /b\.png is 3x4x4, others are 3x2x2/);
    await refuse({ "a.png": png(2, 2, 3), "b.png": image }, /b\.png is 1x2x2, others are 3x2x2/);
    await refuse({ "a.png": png(2, 2, 4) }, /a\.png has 4 channels.*convert/s);
    await refuse({ "a.png": "text" }, /a\.png is no PNG/);
    await refuse(
      { "a.png": image, "dataset.json": "{" },
      /dataset\.json is no JSON: line 1, column 2: close brace expected, found the end/,
    );
    await refuse(
      { "a.png": image, "dataset.json": '{"labels": 3}' },
      /dataset\.json: labels is 3; expected \{"labels": \[\["folder\/image\.png", CLASS\]/,
    );
    await refuse({ "a.png": image, "dataset.json": '{"labels": [["b.png", 1]]}' }, /a label for none of the 1 images/);
    const labels = (list: unknown): string => JSON.stringify({ labels: list });
    const twice = [
      ["a.png", 1],
      ["a.png", 0],
    ];
    await refuse({ "a.png": image, "dataset.json": labels(twice) }, /different labels for the same images/);
    await refuse({ "a.png": image, "dataset.json": labels([["a.png", 0.5]]) }, /a label is 0\.5, expected a class/);
    await refuses(path("nothing"), /nothing: opening it failed: there is no such file/);
    await writeFile(path("data.txt"), "x");
    await refuses(path("data.txt"), /data\.txt: expected a folder of images, a \.zip, /);
  });

  it("are refused in archives that are damaged or hostile", async () => {
    await writeFile(path("broken.zip"), "PK");
    await refuses(path("broken.zip"), /can't be read as a zip/);
    /** An archive that is changed everywhere where one text stands for another of its length. */
    const edited = async (name: string, from: string, to: string): Promise<string> => {
      const bytes = await readFile(await zipOf(name, { "one.png": png(2, 2, 3), "two.png": png(2, 2, 3) }, false));
      await writeFile(path(name), Buffer.from(bytes.toString("latin1").replaceAll(from, to), "latin1"));
      return path(name);
    };
    await refuses(await edited("twice.zip", "two.png", "one.png"), /holds one\.png twice/);
    await refuses(await edited("out.zip", "two.png", "../.png"), /invalid relative path: \.\.\/\.png/);
    await refuses(await edited("root.zip", "two.png", "/wo.png"), /absolute path: \/wo\.png/);
    await refuses(await edited("flip.zip", "IEND", "IENE"), /one\.png: its checksum is wrong/);

    // An archive whose directory promises a gigabyte, and one that unpacks to more than it says.
    const bomb = await zipOf("bomb.zip", { "a.png": new Uint8Array(2 ** 20) });
    const bytes = await readFile(bomb);
    const entry = bytes.indexOf(Buffer.from("PK\x01\x02", "latin1"));
    bytes.writeUInt32LE(2 ** 30, entry + 24);
    await writeFile(bomb, bytes);
    await refuses(bomb, /a\.png: claims 1073741824 bytes/);
    bytes.writeUInt32LE(100, entry + 24);
    await writeFile(bomb, bytes);
    await refuses(bomb, /a\.png: unpacks to more than the 100 bytes/);
    // An end that tells of fewer files than there are.
    const short = await readFile(await zipOf("short.zip", { "a.png": png(2, 2, 3), "b.png": png(2, 2, 3) }));
    short[short.length - 12] = 1;
    await writeFile(path("short.zip"), short);
    await refuses(path("short.zip"), /so it is damaged/);
  });

  it("tell mean, deviation and classes", async () => {
    const { mean, std, channelMean, channelStd } = await datasetStatistics(small);
    const check = (values: readonly number[], gotMean: number, gotStd: number): void => {
      const expected = values.reduce((a, b) => a + b) / values.length;
      const square = values.reduce((sum, x) => sum + (x - expected) ** 2, 0) / values.length;
      assert.ok(Math.abs(gotMean - expected) < 1e-12);
      assert.ok(Math.abs(gotStd - Math.sqrt(square)) < 1e-12);
    };
    const values = [...small.pixels].map((value) => value / 127.5 - 1);
    check(values, mean, std);
    for (const channel of [0, 1, 2]) {
      const own = values.filter((_, i) => Math.floor(i / 16) % 3 === channel);
      check(own, channelMean[channel] ?? NaN, channelStd[channel] ?? NaN);
    }
    assert.deepEqual(
      [...classCounts(small)],
      [
        [0, 2],
        [1, 2],
        [2, 2],
      ],
    );
  });
});

describe("IDX files", () => {
  const data = noise(3 * 16);
  const files = {
    "t10k-images-idx3-ubyte": idx([1, 4, 4], noise(16)),
    "train-images-idx3-ubyte.gz": gzipSync(idx([3, 4, 4], data)),
    "train-labels-idx1-ubyte": idx([3], Uint8Array.of(2, 0, 1)),
  };

  it("are data sets, by their own name or their folder's", async () => {
    const folder = await folderOf(files);
    for (const source of [folder, join(folder, "train-images-idx3-ubyte.gz")]) {
      const { count, channels, resolution, pixels, labels } = await openDataset(source);
      assert.deepEqual([count, channels, resolution], [3, 1, 4]);
      assert.deepEqual([...pixels], [...data]);
      assert.deepEqual([...(labels?.values ?? [])], [2, 0, 1]);
    }
    // As some programs unpack them.
    const dotted = {
      ...files,
      "train-labels-idx1-ubyte": idx([4], noise(4)),
      "train-labels.idx1-ubyte": files["train-labels-idx1-ubyte"],
    };
    for (const images of ["train-images.idx3-ubyte", "train-images-idx3-ubyte"]) {
      const { "train-images-idx3-ubyte.gz": _, "train-labels-idx1-ubyte": other, ...rest } = dotted;
      const own = { ...rest, [images]: idx([3, 4, 4], data) };
      assert.deepEqual([...((await openDataset(await folderOf(own))).labels?.values ?? [])], [2, 0, 1]);
      // The name that is alike in all comes first.
      const both = openDataset(await folderOf({ ...own, "train-labels-idx1-ubyte": other }));
      if (images.includes(".")) assert.deepEqual([...((await both).labels?.values ?? [])], [2, 0, 1]);
      else await assert.rejects(both, /is \[4\], expected a label for each of 3 images/);
    }
    const test = await openDataset(join(folder, "t10k-images-idx3-ubyte"));
    assert.deepEqual([test.count, test.labels], [1, null]);
  });

  it("are refused if damaged, or if it isn't clear which is meant", async () => {
    const name = "a-images-idx3-ubyte";
    const one = idx([1, 2, 2], noise(4));
    await refuses(await folderOf({ [name]: one, "b-images-idx3-ubyte": one }), /name the one to read/);
    await refuses(
      await folderOf({ [name]: idx([1, 2, 3], noise(6)) }),
      /holds images of 3x2\. npx evenkeel dataset convert/,
    );
    await refuses(await folderOf({ [name]: idx([0, 2, 2], noise(0)) }), /there are no images/);
    await refuses(
      await folderOf({ [name]: idx([1, 2, 2, 1], noise(4)) }),
      /is \[1, 2, 2, 1\], expected \[N, height, width\]/,
    );
    const labels = { [name]: one, "a-labels-idx1-ubyte": idx([2], noise(2)) };
    await refuses(await folderOf(labels), /is \[2\], expected a label for each of 1 images/);
    await assert.rejects(parseIdx(idx([3, 4, 4], data.subarray(1)), "x"), /says \[3, 4, 4\] and has 47/);
    await assert.rejects(parseIdx(new Uint8Array(3), "x"), /is no IDX file/);
    await assert.rejects(parseIdx(Uint8Array.of(0, 0, 13, 1, 0, 0, 0, 0), "x"), /type 0xd/);
    const packed = gzipSync(idx([3, 4, 4], data));
    await assert.rejects(parseIdx(packed.subarray(0, -9), "x"), /can't be unpacked/);
    // 64 MiB of zeros that the header doesn't mention.
    const bomb = gzipSync(idx([3, 4, 4], new Uint8Array(2 ** 26)));
    await assert.rejects(parseIdx(bomb, "x"), /can't be unpacked: .*more than 64 bytes/);
  });
});

describe("decodePng", () => {
  /** What another decoder, which makes grey pictures coloured, has for a PNG: [channels, height, width]. */
  async function planesOf(bytes: Uint8Array, channels: number): Promise<number[]> {
    const { data, info } = await sharp(bytes).raw().toBuffer({ resolveWithObject: true });
    const area = info.width * info.height;
    return Array.from(
      { length: channels * area },
      (_, i) => data[(i % area) * info.channels + Math.floor(i / area)] ?? 0,
    );
  }

  it("agrees with another decoder on palettes of any depth, interlaced and grey pictures", async () => {
    const seen = new Set<string>();
    for (const [width, height] of [
      [13, 9],
      [1, 1],
      [2, 2],
      [1, 17],
      [5, 1],
      [24, 16],
    ] as const) {
      const picture = (channels: 1 | 3): Sharp =>
        sharp(noise(width * height * channels), { raw: { width, height, channels } });
      for (const progressive of [false, true]) {
        for (const file of [
          ...[2, 4, 16, 256].map((colours) => picture(3).png({ palette: true, colours, dither: 0, progressive })),
          picture(3).png({ progressive, adaptiveFiltering: true }),
          picture(1).toColourspace("b-w").png({ progressive }),
        ]) {
          const bytes = await file.toBuffer();
          const decoded = decodePng(bytes, "x");
          const channels = bytes[25] === 0 ? 1 : 3;
          assert.deepEqual([decoded.width, decoded.height, decoded.channels], [width, height, channels]);
          assert.deepEqual([...decoded.pixels], await planesOf(bytes, channels));
          seen.add(`${bytes[24]} bits, interlaced ${bytes[28]}`);
        }
      }
    }
    const depths = [1, 2, 4, 8].flatMap((bits) => [`${bits} bits, interlaced 0`, `${bits} bits, interlaced 1`]);
    assert.deepEqual([...seen].sort(), depths);
  });

  it("refuses pictures that unpack to more than they say, and ignores what else could", () => {
    const rows = Uint8Array.from({ length: 2 * 7 }, (_, i) => (i % 7 === 0 ? 0 : i));
    const made = (...chunks: Buffer[]): Buffer => Buffer.concat([pngSignature, ...chunks]);
    const [pixels, end] = [chunk("IDAT", deflateSync(rows)), chunk("IEND", new Uint8Array())];
    const bomb = deflateSync(new Uint8Array(2 ** 24));
    const header = pngHeader(2, 2, 8, 2);
    const decode = (file: Uint8Array): number[] => [...decodePng(file, "x").pixels];
    const expected = [1, 4, 8, 11, 2, 5, 9, 12, 3, 6, 10, 13];
    assert.deepEqual(decode(made(header, pixels, end)), expected);
    const profile = chunk("iCCP", Buffer.concat([Buffer.from("x\0\0"), bomb]));
    const palette = chunk("PLTE", new Uint8Array(3));
    const ofPalette = pngHeader(2, 2, 8, 3);
    const numbers = chunk("IDAT", deflateSync(Uint8Array.of(0, 0, 0, 0, 0, 0)));
    // Opacities of no colour: all are opaque.
    const opaque = made(ofPalette, palette, chunk("tRNS", new Uint8Array()), numbers, end);
    assert.deepEqual(decode(opaque), new Array(12).fill(0));
    assert.deepEqual(decode(made(header, profile, palette, pixels, end)), expected);
    const refused: readonly (readonly [Buffer, RegExp])[] = [
      [made(header, chunk("IDAT", bomb), end), /x holds pixels that can't be unpacked/],
      [
        made(header, chunk("IDAT", deflateSync(rows.subarray(1))), end),
        /holds 13 bytes of pixels, its header asks for 14/,
      ],
      [made(pngHeader(2 ** 20, 2 ** 20, 8, 2), pixels, end), /claims a size of 1048576x1048576/],
      [made(pngHeader(0, 2, 8, 2), pixels, end), /claims a size of 0x2/],
      [made(pngHeader(2, 2, 16, 2), pixels, end), /has 16 bits a channel/],
      [made(pngHeader(2, 2, 1, 0), pixels, end), /has 1 bits a channel/],
      [made(pngHeader(2, 2, 8, 5), pixels, end), /unknown colour type 5/],
      [made(header, chunk("tRNS", new Uint8Array(6)), pixels, end), /has a transparent colour/],
      [made(header, chunk("ABCD", new Uint8Array()), pixels, end), /holds an unknown "ABCD"/],
      [made(header, pixels), /ends too early/],
      [made(ofPalette, numbers, end), /has a palette of 0 bytes/],
      [made(ofPalette, palette, palette, numbers, end), /has a palette of 3 bytes, expected one/],
      [
        made(ofPalette, palette, chunk("IDAT", deflateSync(Uint8Array.of(0, 0, 1, 0, 0, 0))), end),
        /a pixel of colour 1/,
      ],
      [made(header, pngHeader(1, 1, 8, 2), pixels, end), /has two headers/],
      [made(pngHeader(16384, 16384, 1, 3), palette, pixels, end), /claims a size of 16384x16384/],
      [
        made(header, chunk("IDAT", deflateSync(Uint8Array.from(rows, (byte) => byte || 5))), end),
        /an unknown filter 5/,
      ],
      [made(pixels, header, end), /has no header/],
      [made(header, end), /can't be unpacked/],
    ];
    for (const [file, pattern] of refused) assert.throws(() => decodePng(file, "x"), pattern);
  });
});
