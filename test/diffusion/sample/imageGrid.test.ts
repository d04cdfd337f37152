import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { after, describe, it } from "node:test";
import { decode } from "fast-png";
import fc from "fast-check";
import { firstChannels, imageGrid, labelVectors, toPixels } from "../../../diffusion/sample/index.ts";
import { writeImage, writeImageGrid, writePng } from "../../../diffusion/sample/node.ts";
import { readReference } from "../ema/referenceFiles.ts";

const folder = await mkdtemp(path.join(os.tmpdir(), "evenkeel-grid-"));
after(() => rm(folder, { recursive: true }));

describe("toPixels", () => {
  it("agrees with the reference, and undoes its encoding", async () => {
    const file = await readReference("edm2_primitives.safetensors");
    const read = (name: string): Float32Array => Float32Array.from(file.tensor(`rgb_codec/${name}`).data, Number);
    assert.deepEqual(Float32Array.from(toPixels(read("latents"))), read("decoded_u8"));
    assert.deepEqual(Float32Array.from(toPixels(read("encoded_f32"))), read("pixels_u8"));
  });

  it("cuts fractions off and holds to 0..255", () => {
    const images = Float32Array.of(-1e9, -2, -1, 0, 0.9921, 1, 1e9, -Infinity, Infinity, NaN);
    assert.deepEqual([...toPixels(images)], [0, 0, 0, 128, 254, 255, 255, 0, 255, 0]);
  });
});

describe("firstChannels", () => {
  it("takes whole planes of each image", () => {
    const images = Float32Array.from({ length: 2 * 4 * 6 }, (_, i) => i);
    const [first, second] = [images.slice(0, 18), images.slice(24, 42)];
    assert.deepEqual(firstChannels(images, [2, 4, 2, 3], 3), Float32Array.of(...first, ...second));
    assert.deepEqual(firstChannels(images, [2, 4, 2, 3], 4), images);
    assert.deepEqual(firstChannels(Uint8Array.of(1, 2, 3, 4), [2, 2, 1, 1], 1), Uint8Array.of(1, 3));
  });
});

describe("labelVectors", () => {
  it("are one-hot for classes, zero for none, and vectors as they are", () => {
    assert.deepEqual(labelVectors([1, null, [0.5, 2, -1]], 3), Float32Array.of(0, 1, 0, 0, 0, 0, 0.5, 2, -1));
  });
});

describe("imageGrid", () => {
  it("lays grey images out in rows", () => {
    const grid = imageGrid(Uint8Array.of(1, 2, 3, 4, 5, 6), [3, 1, 1, 2], { columns: 2, padding: 1, background: 9 });
    assert.deepEqual({ ...grid, data: [] }, { width: 7, height: 5, channels: 1, data: [] });
    // biome-ignore format: rows of pixels
    assert.deepEqual([...grid.data], [
      9, 9, 9, 9, 9, 9, 9,
      9, 1, 2, 9, 3, 4, 9,
      9, 9, 9, 9, 9, 9, 9,
      9, 5, 6, 9, 9, 9, 9,
      9, 9, 9, 9, 9, 9, 9,
    ]);
  });

  it("puts each pixel of each channel where it belongs", () => {
    const options = fc.record({
      count: fc.integer({ min: 1, max: 7 }),
      channels: fc.constantFrom(1, 3),
      height: fc.integer({ min: 1, max: 4 }),
      width: fc.integer({ min: 1, max: 4 }),
      columns: fc.integer({ min: 1, max: 9 }),
      padding: fc.integer({ min: 0, max: 3 }),
      scale: fc.integer({ min: 1, max: 3 }),
    });
    fc.assert(
      fc.property(options, ({ count, channels, height, width, columns, padding, scale }) => {
        const pixels = Uint8Array.from({ length: count * channels * height * width }, (_, i) => (i * 37) % 255);
        const grid = imageGrid(pixels, [count, channels, height, width], { columns, padding, scale });
        let background = 0;
        for (const [i, byte] of grid.data.entries()) {
          const [channel, x, y] = [
            i % channels,
            Math.floor(i / channels) % grid.width,
            Math.floor(i / channels / grid.width),
          ];
          const [column, inX] = cell(x, width * scale, padding);
          const [row, inY] = cell(y, height * scale, padding);
          const image = row * Math.min(columns, count) + column;
          if (inX < 0 || inY < 0 || image >= count) {
            assert.equal(byte, 255);
            background++;
            continue;
          }
          const place = [image, channel, Math.floor(inY / scale), Math.floor(inX / scale)];
          const index = [channels, height, width].reduce(
            (sum, length, axis) => sum * length + (place[axis + 1] ?? 0),
            image,
          );
          assert.equal(byte, pixels[index]);
        }
        assert.equal(grid.data.length, background + pixels.length * scale ** 2);
      }),
    );
  });

  it("is about square by default", () => {
    const sides = (count: number): number[] => {
      const { width, height } = imageGrid(new Uint8Array(count), [count, 1, 1, 1], { padding: 0 });
      return [width, height];
    };
    assert.deepEqual([1, 4, 5, 9, 12].map(sides), [
      [1, 1],
      [2, 2],
      [3, 2],
      [3, 3],
      [4, 3],
    ]);
  });

  it("refuses other shapes and options", () => {
    const shape = (shape: readonly number[]) => () => imageGrid(new Uint8Array(8), shape);
    for (const wrong of [[8], [2, 4, 1, 1], [1, 2, 2, 2], [0, 1, 2, 2], [3, 1, 1, 1]]) {
      assert.throws(shape(wrong), { code: "shape" });
    }
    for (const options of [{ columns: 0 }, { padding: -1 }, { padding: 0.5 }, { background: 256 }, { scale: 0 }]) {
      assert.throws(() => imageGrid(new Uint8Array(8), [8, 1, 1, 1], options), { code: "value" });
    }
  });
});

/** Which image a coordinate lies in, and where in it; negative in the padding before it. */
function cell(coordinate: number, length: number, padding: number): [number, number] {
  const index = Math.floor(coordinate / (length + padding));
  return [index, (coordinate % (length + padding)) - padding];
}

describe("PNG files", () => {
  it("hold the grid's pixels, grey and colour", async () => {
    for (const channels of [1, 3] as const) {
      const images = Float32Array.from({ length: 4 * channels * 6 }, (_, i) => Math.sin(i));
      const shape = [4, channels, 2, 3];
      const file = path.join(folder, `grid${channels}.png`);
      await writeImageGrid(file, images, shape, { scale: 2 });
      const { width, height, data } = imageGrid(toPixels(images), shape, { scale: 2 });
      const decoded = decode(await readFile(file));
      assert.deepEqual([decoded.width, decoded.height, decoded.channels, decoded.depth], [width, height, channels, 8]);
      assert.deepEqual([...decoded.data], [...data]);
    }
  });

  it("hold one image of a batch", async () => {
    const images = Float32Array.from({ length: 3 * 3 * 4 }, (_, i) => Math.cos(i));
    const file = path.join(folder, "image.png");
    await writeImage(file, images, [3, 3, 2, 2], 1);
    const decoded = decode(await readFile(file));
    const pixels = toPixels(images);
    assert.deepEqual([decoded.width, decoded.height, decoded.channels], [2, 2, 3]);
    const expected = [0, 1, 2, 3].flatMap((place) => [0, 1, 2].map((channel) => pixels[12 + channel * 4 + place]));
    assert.deepEqual([...decoded.data], expected);
  });

  it("are written whole or not at all", async () => {
    const empty = await mkdtemp(path.join(folder, "empty-"));
    await assert.rejects(writePng(empty, { width: 1, height: 1, channels: 1, data: new Uint8Array(1) }), {
      code: "file",
    });
    await assert.rejects(writePng(path.join(empty, "none", "x.png"), imageGrid(new Uint8Array(1), [1, 1, 1, 1])), {
      code: "file",
    });
    assert.deepEqual(await readdir(empty), []);
  });
});
