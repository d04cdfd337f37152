import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { encode } from "fast-png";
import sharp from "sharp";
import { createDataset, datasetStatistics } from "../../../diffusion/index.ts";
import {
  convertDataset,
  fingerprint,
  loadEmoji,
  openDataset,
  parseIdx,
  writeDataset,
} from "../../../diffusion/node.ts";
import { decodePng } from "../../../diffusion/data/node/decodePng.ts";
import { EvenkeelError } from "../../../engine/index.ts";
import { seededDraw } from "../../engine/io/mutateFile.ts";

let folder = "";
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "evenkeel-data-"));
});
after(() => rm(folder, { recursive: true }));

const draw = seededDraw(99);
const noise = (length: number): Uint8Array => Uint8Array.from({ length }, () => draw(256));
const small = createDataset({
  name: "small",
  channels: 3,
  resolution: 4,
  pixels: noise(6 * 48),
  labels: [0, 1, 2, 0, 1, 2],
  classNames: ["a", "b", "c"],
});

const png = (width: number, height: number, channels: number): Uint8Array =>
  encode({ width, height, channels, depth: 8, data: noise(width * height * channels) });

async function folderOf(name: string, files: Record<string, Uint8Array | string>): Promise<string> {
  const path = join(folder, name);
  for (const [file, content] of Object.entries(files)) {
    await mkdir(join(path, file, ".."), { recursive: true });
    await writeFile(join(path, file), content);
  }
  return path;
}

describe("data sets in files", () => {
  it("come back as they were written, and are the same bytes each time", async () => {
    for (const dataset of [
      small,
      createDataset({ name: "grey", channels: 1, resolution: 2, pixels: noise(12), labels: null }),
      createDataset({
        name: "vectors",
        channels: 1,
        resolution: 2,
        pixels: noise(8),
        labels: [
          [0.5, 1],
          [0, -2],
        ],
      }),
    ]) {
      const [first, second] = [join(folder, "first.zip"), join(folder, "second.zip")];
      await writeDataset(first, dataset);
      await writeDataset(second, dataset);
      assert.deepEqual(await readFile(first), await readFile(second));
      const read = await openDataset(first);
      assert.deepEqual({ ...read, name: dataset.name }, dataset);
      assert.equal(fingerprint(read), fingerprint(dataset));
    }
  });

  it("have another fingerprint with another pixel or label", () => {
    const pixels = small.pixels.slice();
    pixels[5] = (pixels[5] ?? 0) ^ 1;
    const values = Int32Array.of(0, 1, 2, 0, 1, 1);
    const prints = [
      small,
      { ...small, pixels },
      { ...small, labels: { kind: "classes" as const, labelDim: 3, values } },
    ];
    assert.equal(new Set(prints.map(fingerprint)).size, 3);
  });

  it("take folders for classes", async () => {
    const path = await folderOf("classes", {
      "dogs/1.png": png(2, 2, 3),
      "cats/1.png": png(2, 2, 3),
      "cats/2.png": png(2, 2, 3),
    });
    const { labels, classNames } = await openDataset(path);
    assert.deepEqual([...(labels?.values ?? [])], [0, 0, 1]);
    assert.deepEqual(classNames, ["cats", "dogs"]);
  });

  it("are refused with the name of the image that doesn't fit", async () => {
    const refuse = async (files: Record<string, Uint8Array | string>, pattern: RegExp): Promise<void> => {
      const path = await folderOf(`bad-${Math.abs(draw(1e9))}`, files);
      await assert.rejects(openDataset(path), (error) => {
        assert.ok(error instanceof EvenkeelError);
        assert.match(error.message, pattern);
        return true;
      });
    };
    await refuse({ "a.txt": "x" }, /holds no PNG/);
    await refuse({ "a.png": png(2, 3, 3) }, /a\.png is 2x3, expected a square/);
    await refuse({ "a.png": png(2, 2, 3), "b.png": png(4, 4, 3) }, /b\.png is 3x4x4, others are 3x2x2/);
    await refuse({ "a.png": png(2, 2, 4) }, /a\.png has 4 channels.*convert/s);
    await refuse({ "a.png": "text" }, /a\.png is no PNG/);
    await refuse({ "a.png": png(2, 2, 1), "dataset.json": "{" }, /dataset\.json is not JSON/);
    await refuse({ "a.png": png(2, 2, 1), "dataset.json": '{"labels": 3}' }, /dataset\.json is damaged/);
    await refuse({ "a.png": png(2, 2, 1), "dataset.json": '{"labels": [["b.png", 1]]}' }, /has no label for a\.png/);
    await assert.rejects(openDataset(join(folder, "nothing")), /can't open/);
    const text = join(folder, "data.txt");
    await writeFile(text, "x");
    await assert.rejects(openDataset(text), /expected a folder of images or a \.zip/);
    const broken = join(folder, "broken.zip");
    await writeFile(broken, "PK");
    await assert.rejects(openDataset(broken), /can't be read as a zip/);
  });

  it("tell mean, deviation and classes", () => {
    const { mean, std, classCounts } = datasetStatistics(small);
    const values = [...small.pixels].map((value) => value / 127.5 - 1);
    const expected = values.reduce((a, b) => a + b) / values.length;
    assert.ok(Math.abs(mean - expected) < 1e-12);
    assert.ok(
      Math.abs(std - Math.sqrt(values.reduce((sum, x) => sum + (x - expected) ** 2, 0) / values.length)) < 1e-12,
    );
    assert.deepEqual(classCounts, [2, 2, 2]);
  });
});

describe("conversion", () => {
  it("reads the emoji of both packages: 3,812 images of 9 classes", async () => {
    const emoji = await loadEmoji(["google", "twitter"], 16);
    assert.equal(emoji.count, 3812);
    assert.equal(emoji.labels?.labelDim, 9);
    assert.ok(Math.abs(datasetStatistics(emoji).std - 0.58) < 0.005);
    await assert.rejects(loadEmoji(["google"], 20), /a resolution of 20 doesn't divide/);
  });

  it("makes pictures of any shape square", async () => {
    const picture = await sharp(Buffer.from(noise(40 * 20 * 3)), { raw: { width: 40, height: 20, channels: 3 } })
      .jpeg()
      .toBuffer();
    const source = await folderOf("pictures", { "one/a.jpg": picture, "two/b.png": png(16, 16, 4) });
    for (const transform of ["center-crop", "center-crop-wide", "center-crop-dhariwal", "contain"] as const) {
      const bandHeight = transform === "center-crop-wide" ? 4 : undefined;
      const options = { source, resolution: 8, bandHeight, transform, greyscale: false, background: "#ffffff" };
      const { count, resolution, channels, labels } = await convertDataset(options);
      assert.deepEqual([count, resolution, channels, [...(labels?.values ?? [])]], [2, 8, 3, [0, 1]]);
    }
    const box = { source, resolution: 8, transform: "box" as const, greyscale: true, background: "#ffffff" };
    await assert.rejects(convertDataset(box), /40x20 can't be averaged to 8x8/);
  });

  it("averages exactly, on the background", async () => {
    const data = Uint8Array.from({ length: 4 * 4 * 4 }, (_, i) => (i % 4 === 3 ? (i < 32 ? 255 : 0) : 100));
    const source = await folderOf("half", { "a.png": encode({ width: 4, height: 4, channels: 4, depth: 8, data }) });
    const { pixels } = await convertDataset({
      source,
      resolution: 2,
      transform: "box",
      greyscale: true,
      background: "#ffffff",
    });
    assert.deepEqual([...pixels], [100, 100, 255, 255]);
  });

  it("reads IDX files with their labels", async () => {
    const header = (...numbers: number[]): Buffer => {
      const buffer = Buffer.alloc(4 + 4 * numbers.length);
      buffer.set([0, 0, 8, numbers.length]);
      numbers.forEach((n, i) => buffer.writeUInt32BE(n, 4 + 4 * i));
      return buffer;
    };
    const data = noise(3 * 16);
    const images = gzipSync(Buffer.concat([header(3, 4, 4), data]));
    const labels = gzipSync(Buffer.concat([header(3), Uint8Array.of(2, 0, 1)]));
    const path = await folderOf("idx", { "t-images-idx3-ubyte.gz": images, "t-labels-idx1-ubyte.gz": labels });
    const options = { resolution: 4, transform: "box" as const, greyscale: true, background: "#ffffff" };
    const dataset = await convertDataset({ ...options, source: join(path, "t-images-idx3-ubyte.gz") });
    assert.deepEqual([...dataset.pixels], [...data]);
    assert.deepEqual([...(dataset.labels?.values ?? [])], [2, 0, 1]);
    assert.throws(
      () => parseIdx(Buffer.concat([header(3, 4, 4), data.subarray(1)]), "x"),
      /says \[3, 4, 4\] and has 47/,
    );
    assert.throws(() => parseIdx(new Uint8Array(3), "x"), /is no IDX file/);
    assert.throws(() => parseIdx(Uint8Array.of(0, 0, 13, 1, 0, 0, 0, 0), "x"), /type 0xd/);
  });
});

describe("damaged files", () => {
  const damage = (file: Uint8Array): Uint8Array => {
    const changed = Uint8Array.from(file);
    const kind = draw(3);
    if (kind === 0) return changed.slice(0, draw(file.length));
    for (let n = 1 + draw(6); n > 0; n--) changed[draw(changed.length)] = kind === 1 ? draw(256) : 255;
    return changed;
  };

  it("are an error or a picture: 3,000 PNGs", () => {
    const file = png(16, 16, 3);
    let read = 0;
    for (let n = 0; n < 3000; n++) {
      try {
        const { pixels, width, height, channels } = decodePng(damage(file), "damaged");
        assert.equal(pixels.length, width * height * channels);
        read++;
      } catch (error) {
        assert.ok(error instanceof EvenkeelError, error instanceof Error ? error.stack : String(error));
      }
    }
    assert.ok(read < 1500, `${read} of 3000 were read`);
  });

  it("are an error or a data set: 3,000 zips", async () => {
    const path = join(folder, "damaged.zip");
    await writeDataset(path, small);
    const file = await readFile(path);
    let read = 0;
    for (let n = 0; n < 3000; n++) {
      await writeFile(path, damage(file));
      try {
        const { count } = await openDataset(path);
        assert.ok(count <= 6);
        read++;
      } catch (error) {
        assert.ok(error instanceof EvenkeelError, error instanceof Error ? error.stack : String(error));
      }
    }
    assert.ok(read < 2000, `${read} of 3000 were read`);
  });
});
