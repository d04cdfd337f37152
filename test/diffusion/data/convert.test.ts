import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { encode } from "fast-png";
import fc from "fast-check";
import sharp from "sharp";
import { areaAverage } from "../../../diffusion/data/files/areaAverage.ts";
import {
  classCounts,
  datasetStatistics,
  type ImageDataset,
  joinDatasets,
  selectImages,
} from "../../../diffusion/data/index.ts";
import {
  convertDataset,
  type ConvertOptions,
  loadEmoji,
  openDataset,
  type Transform,
  writeDataset,
} from "../../../diffusion/data/node.ts";
import { EvenkeelError } from "../../../engine/index.ts";
import { idx, noise, npy, png, small, temporaryFolder } from "./sampleFiles.ts";
import { fingerprint } from "../../../diffusion/data/index.ts";

const { path, folderOf } = temporaryFolder();

const convert = (source: string, resolution: number, more: Partial<ConvertOptions> = {}): Promise<ImageDataset> =>
  convertDataset({ source, resolution, transform: "box", greyscale: false, background: "#ffffff", ...more });

/** A picture whose colours are a function of the place. */
function painted(width: number, height: number, paint: (x: number, y: number) => readonly number[]): Uint8Array {
  const colours = Array.from({ length: width * height }, (_, i) => paint(i % width, Math.floor(i / width))).flat();
  const channels = colours.length / (width * height);
  return encode({ width, height, channels, depth: 8, data: Uint8Array.from(colours) });
}

/** The red channel of the first image, row by row. */
function redOf({ pixels, resolution }: ImageDataset): number[][] {
  return Array.from({ length: resolution }, (_, y) => [...pixels.subarray(y * resolution, (y + 1) * resolution)]);
}

describe("emoji", () => {
  it("of both packages are 3,812 images of 9 classes, the same by every way", async () => {
    const emoji = await loadEmoji(["google", "twitter"], 16);
    assert.equal(emoji.count, 3812);
    assert.equal(emoji.labels?.labelDim, 9);
    const { std } = await datasetStatistics(emoji);
    assert.ok(Math.abs(std - 0.58) < 0.005);
    assert.deepEqual(
      [...classCounts(emoji)].sort(([a], [b]) => a - b).map(([, n]) => n),
      [170, 318, 540, 262, 528, 772, 338, 448, 436],
    );
    assert.equal(emoji.classNames?.[2], "Flags");

    const folder = dirname(createRequire(import.meta.url).resolve("emoji-datasource-twitter/package.json"));
    for (const [source, first] of [
      ["emoji-datasource-google", 0],
      [folder, emoji.count / 2],
      [`${folder}/`, emoji.count / 2],
    ] as const) {
      const some = await convert(source, 16, { maxImages: 20 });
      const same = selectImages(
        emoji,
        Array.from({ length: 20 }, (_, i) => first + i),
      );
      assert.equal(fingerprint(some), fingerprint(same), source);
    }
    const grey = await convert("emoji-datasource-google", 24, { maxImages: 3, greyscale: true, background: "black" });
    assert.deepEqual([grey.channels, grey.resolution, grey.labels?.labelDim], [1, 24, 9]);
    await assert.rejects(loadEmoji(["google"], 20), /a resolution of 20 doesn't divide/);
    await assert.rejects(
      convert("nowhere/emoji-datasource-google", 16),
      /nowhere.*: opening it failed: there is no such file/,
    );
  });
});

describe("conversion", () => {
  it("makes pictures of any shape square", async () => {
    const picture = await sharp(Buffer.from(noise(40 * 20 * 3)), { raw: { width: 40, height: 20, channels: 3 } })
      .jpeg()
      .toBuffer();
    const source = await folderOf({ "one/a.jpg": picture, "two/b.png": png(16, 16, 4), "two/c.webp": picture });
    for (const transform of ["center-crop", "center-crop-wide", "center-crop-dhariwal", "contain"] as const) {
      const bandHeight = transform === "center-crop-wide" ? 4 : undefined;
      const done: (readonly [number, number | null])[] = [];
      const onProgress = (work: string, n: number, total: number | null): void => {
        if (work.startsWith("converting")) done.push([n, total]);
      };
      const result = await convert(source, 8, { transform, bandHeight, onProgress });
      const { count, resolution, channels, labels } = result;
      assert.deepEqual([count, resolution, channels, [...(labels?.values ?? [])]], [3, 8, 3, [0, 1, 1]]);
      assert.deepEqual(done, [[3, 3]]);
    }
    const few = await convert(source, 8, { transform: "contain", maxImages: 1 });
    assert.deepEqual([few.count, few.labels?.labelDim, few.classNames], [1, 2, ["one", "two"]]);
  });

  it("shows by each transform the part that it is for", async () => {
    // 64 x 32: black at the left and right, 200 in the middle half.
    const wide = await folderOf({ "a.png": painted(64, 32, (x) => (x < 16 || x >= 48 ? [0, 0, 0] : [200, 200, 200])) });
    for (const transform of ["center-crop", "center-crop-dhariwal"] as const) {
      const image = redOf(await convert(wide, 8, { transform }));
      // Lanczos' kernel, the widest, reaches three pixels beyond the edge.
      for (const row of image) for (const value of row.slice(3, -3)) assert.equal(value, 200, transform);
    }
    const contained = redOf(await convert(wide, 16, { transform: "contain", background: "#ff8000" }));
    assert.deepEqual([contained[0], contained[15]], [new Array(16).fill(255), new Array(16).fill(255)]);
    assert.deepEqual([contained[8]?.[0], contained[8]?.[8], contained[8]?.[15]], [0, 200, 0]);
    const band = redOf(await convert(wide, 16, { transform: "center-crop-wide", bandHeight: 8 }));
    assert.deepEqual([band[3], band[12]], [new Array(16).fill(0), new Array(16).fill(0)]);
    assert.deepEqual([band[4]?.[8], band[11]?.[8], band[8]?.[0]], [200, 200, 0]);
  });

  it("keeps one colour one colour, whatever the size, depth and way", async () => {
    const deep = {
      width: 37,
      height: 23,
      channels: 3,
      depth: 16,
      data: new Uint16Array(37 * 23 * 3).fill(77 * 257),
    } as const;
    const flat = await folderOf({
      "a.png": painted(37, 23, () => [77, 77, 77]),
      "b.png": encode(deep),
      "c.png": painted(9, 8, () => [77]),
    });
    for (const transform of [
      "center-crop",
      "center-crop-dhariwal",
      "contain",
    ] as const satisfies readonly Transform[]) {
      const { pixels } = await convert(flat, 8, { transform, background: "#4d4d4d" });
      assert.ok(
        pixels.every((value) => value === 77),
        `${transform}: ${pixels.join(" ")}`,
      );
    }
  });

  it("turns photographs the way the camera was held", async () => {
    const { data, info } = await sharp(painted(8, 16, (_, y) => (y < 8 ? [250, 0, 0] : [0, 0, 250])))
      .raw()
      .toBuffer({ resolveWithObject: true });
    const turned = sharp(data, { raw: { width: info.width, height: info.height, channels: info.channels as 3 } });
    // 6: to be turned clockwise, so what was below comes to the left.
    const source = await folderOf({ "a.jpg": await turned.withMetadata({ orientation: 6 }).jpeg().toBuffer() });
    const [row = []] = redOf(await convert(source, 8, { transform: "contain" })).slice(4, 5);
    assert.ok((row[0] ?? 255) < 60 && (row[7] ?? 0) > 190, row.join(" "));
  });

  it("averages exactly, on the background", async () => {
    const half = await folderOf({ "a.png": painted(4, 4, (_, y) => [100, 100, 100, y < 2 ? 255 : 0]) });
    const { pixels } = await convert(half, 2, { greyscale: true });
    assert.deepEqual([...pixels], [100, 100, 255, 255]);
    const onRed = await convert(half, 2, { background: "red" });
    assert.deepEqual([...onRed.pixels], [100, 100, 255, 255, 100, 100, 0, 0, 100, 100, 0, 0]);
  });

  it("refuses what can't be, by name", async () => {
    const wide = await folderOf({ "a.png": png(40, 20, 3) });
    await assert.rejects(convert(wide, 8), /a\.png: 40x20 can't be averaged to 8x8/);
    await assert.rejects(convert(await folderOf({ "a.png": png(4, 4, 3) }), 8), /4x4 can't be averaged to 8x8/);
    await assert.rejects(convert(wide, 0), /the resolution is 0/);
    await assert.rejects(convert(wide, 8, { maxImages: 0 }), /at most 0 images are none/);
    await assert.rejects(convert(wide, 8, { transform: "center-crop-wide" }), /needs a resolution wider than high/);
    await assert.rejects(convert(wide, 8, { transform: "contain", bandHeight: 4 }), /contain was given 8x4/);
    await assert.rejects(convert(wide, 8, { background: "bluish" }), /"bluish" is no colour/);
    await assert.rejects(convert(await folderOf({ "a.txt": "x" }), 8), /holds no images/);
    const photo = await sharp(noise(48 * 48 * 3), { raw: { width: 48, height: 48, channels: 3 } })
      .jpeg()
      .toBuffer();
    const broken = await folderOf({ "a.jpg": photo.subarray(0, photo.length / 2) });
    await assert.rejects(
      convert(broken, 8),
      (error) => error instanceof EvenkeelError && /a\.jpg: can't be read/.test(error.message),
    );
  });

  it("reads IDX files with their labels", async () => {
    const data = noise(3 * 16);
    const folder = await folderOf({
      "t-images-idx3-ubyte.gz": gzipSync(idx([3, 4, 4], data)),
      "t-labels-idx1-ubyte.gz": gzipSync(idx([3], Uint8Array.of(2, 0, 1))),
    });
    for (const source of [folder, join(folder, "t-images-idx3-ubyte.gz")]) {
      const dataset = await convert(source, 4);
      assert.equal(dataset.channels, 1);
      assert.deepEqual([...dataset.pixels], [...data]);
      assert.deepEqual([...(dataset.labels?.values ?? [])], [2, 0, 1]);
    }
  });

  it("reads NumPy arrays of every layout", async () => {
    const data = noise(2 * 3 * 16);
    const grey = data.subarray(0, 32);
    const classes = npy("<i8", [2], new Uint8Array(BigInt64Array.of(1n, 0n).buffer));
    const folder = await folderOf({
      "planes.npy": npy("|u1", [2, 3, 4, 4], data),
      "planes-labels.npy": classes,
      "pixels.npy": npy(
        "|u1",
        [2, 4, 4, 3],
        Uint8Array.from(data, (_, i) => data[Math.floor(i / 48) * 48 + (i % 3) * 16 + Math.floor((i % 48) / 3)] ?? 0),
      ),
      "pixels-labels.npy": npy("<f4", [2, 2], new Uint8Array(Float32Array.of(0.5, 1, 2, -3).buffer)),
      "grey.npy": npy("|u1", [2, 4, 4], grey),
      "floats.npy": npy("<f4", [1, 2, 4], grey),
      "short.npy": npy("|u1", [2, 4, 4], grey.subarray(1)),
      "flat.npy": npy("|u1", [32], grey),
      "text.npy": "text and more text",
      "many.npy": npy("|u1", [2, 4, 4], grey),
      "many-labels.npy": npy("|u1", [3], noise(3)),
    });
    const planes = await convert(join(folder, "planes.npy"), 4);
    assert.deepEqual([planes.channels, [...planes.pixels]], [3, [...data]]);
    assert.deepEqual([...(planes.labels?.values ?? [])], [1, 0]);
    const pixels = await convert(join(folder, "pixels.npy"), 4);
    assert.deepEqual([pixels.labels?.kind, [...(pixels.labels?.values ?? [])]], ["vectors", [0.5, 1, 2, -3]]);
    assert.deepEqual([...pixels.pixels], [...data]);
    const { channels, pixels: same, labels } = await convert(join(folder, "grey.npy"), 4);
    assert.deepEqual([channels, [...same], labels], [1, [...grey], null]);
    for (const [file, pattern] of [
      ["floats", /holds <f4, expected bytes/],
      ["short", /says \[2, 4, 4\] of \|u1 and has 31 bytes/],
      ["flat", /is \[32\], expected \[N, H, W\]/],
      ["text", /is no \.npy file/],
      ["many", /many-labels\.npy is \[3\], expected a label for each of 2/],
      ["none", /none\.npy: opening it failed: there is no such file/],
    ] as const) {
      await assert.rejects(convert(join(folder, `${file}.npy`), 4), pattern);
    }
  });

  it("reads its own results back unchanged", async () => {
    await writeDataset(path("small.zip"), small);
    const again = await convert(path("small.zip"), 4);
    assert.equal(fingerprint(again), fingerprint(small));
    assert.deepEqual(again.classNames, small.classNames);
    await writeDataset(path("again.zip"), again);
    assert.equal(fingerprint(await openDataset(path("again.zip"))), fingerprint(small));
  });
});

describe("areaAverage", () => {
  it("keeps the mean, and is the mean of squares where the sizes divide", () => {
    const size = fc.integer({ min: 1, max: 12 });
    fc.assert(
      fc.property(size, size, size, size, (width, height, toWidth, toHeight) => {
        fc.pre(toWidth <= width && toHeight <= height);
        const data = noise(width * height);
        const small = areaAverage(
          { width, height, channels: 1, row: (y) => data.subarray(y * width) },
          toWidth,
          toHeight,
        );
        const mean = (list: ArrayLike<number>): number => Array.from(list).reduce((a, b) => a + b, 0) / list.length;
        // Each result is rounded by half at most.
        assert.ok(Math.abs(mean(small) - mean(data)) <= 0.5 + 1e-9);
        if (width % toWidth !== 0 || height % toHeight !== 0) return;
        const [dx, dy] = [width / toWidth, height / toHeight];
        small.forEach((value, i) => {
          const [x0, y0] = [(i % toWidth) * dx, Math.floor(i / toWidth) * dy];
          const own = [...data].filter((_, k) => {
            const [x, y] = [(k % width) - x0, Math.floor(k / width) - y0];
            return x >= 0 && x < dx && y >= 0 && y < dy;
          });
          assert.equal(value, Math.round(own.reduce((a, b) => a + b, 0) / own.length));
        });
      }),
    );
  });

  it("counts border pixels by the part that is covered", () => {
    const row = areaAverage({ width: 3, height: 1, channels: 1, row: () => Uint8Array.of(0, 90, 30) }, 2, 1);
    assert.deepEqual([...row], [30, 50]);
  });
});

describe("joinDatasets", () => {
  it("matches classes by name, and by number without names", () => {
    const other = { ...small, classNames: ["c", "d", "a"] };
    const joined = joinDatasets([small, other], "both");
    assert.deepEqual(joined.classNames, ["a", "b", "c", "d"]);
    assert.deepEqual([...(joined.labels?.values ?? [])], [0, 1, 2, 0, 1, 2, 2, 3, 0, 2, 3, 0]);
    assert.deepEqual([...joined.pixels], [...small.pixels, ...small.pixels]);
    const byNumber = joinDatasets([small, { ...small, classNames: null }], "both");
    assert.deepEqual([...(byNumber.labels?.values ?? [])], [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2]);
    assert.equal(byNumber.classNames, null);
    assert.deepEqual(joinDatasets([small], "x"), { ...small, name: "x" });
  });

  it("refuses what doesn't go together", () => {
    const grey = { ...small, channels: 1, count: 18, labels: null } as const;
    assert.throws(() => joinDatasets([], "x"), /there are none/);
    assert.throws(() => joinDatasets([small, grey], "x"), /3 channels, small has 1; --greyscale/);
    assert.throws(() => joinDatasets([small, { ...small, labels: null }], "x"), /labels are classes and none/);
    assert.throws(() => joinDatasets([small, { ...small, resolution: 2 }], "x"), /is 2 wide, small 4/);
  });
});
