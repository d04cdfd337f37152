import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { channelResizer } from "../../../diffusion/features/resize.ts";
import { imagePreparation } from "../../../diffusion/features/prepareImages.ts";
import type { ResizeMethod } from "../../../diffusion/features/index.ts";

const methods = ["bilinear-aligned", "bilinear-tensorflow1", "bilinear", "bicubic-pillow"] as const;

function resized(method: ResizeMethod, height: number, width: number, size: number, channel: Uint8Array): number[] {
  const target = new Float32Array(size * size);
  channelResizer(method, height, width, size)(channel, target, 0, 1, 0);
  return Array.from(target);
}

const pattern = (height: number, width: number): Uint8Array =>
  Uint8Array.from({ length: height * width }, (_, i) => {
    const [y, x] = [Math.floor(i / width), i % width];
    return y * 37 + x * 91 + ((x * y) % 13) * 17;
  });

describe("resizing", () => {
  it("gives the same picture at the same size, and an even one for an even one", () => {
    for (const method of methods) {
      assert.deepEqual(resized(method, 6, 6, 6, pattern(6, 6)), Array.from(pattern(6, 6)), method);
      for (const size of [1, 3, 8, 40]) {
        const even = resized(method, 8, 5, size, new Uint8Array(40).fill(77));
        assert.ok(
          even.every((value) => value === 77),
          `${method} to ${size}`,
        );
      }
    }
  });

  it("puts bilinear samples where each method wants them", () => {
    // A ramp of one line per column: the value is where the sample was taken, in hundredths of a pixel.
    const ramp = Uint8Array.of(0, 100, 200, 0, 100, 200);
    const line = (method: ResizeMethod): number[] => resized(method, 2, 3, 6, ramp).slice(0, 6);
    assert.deepEqual(line("bilinear-aligned"), [0, 40, 80, 120, 160, 200]);
    assert.deepEqual(line("bilinear-tensorflow1"), [0, 50, 100, 150, 200, 200]);
    assert.deepEqual(line("bilinear"), [0, 25, 75, 125, 175, 200]);
  });

  it("is Pillow's bicubic, growing and shrinking", () => {
    // Computed by Pillow 12.3: Image.resize((size, size), Image.BICUBIC).
    const grown = [
      [0, 12, 61, 116, 172, 147, 44, 0, 9, 28, 81, 143, 211, 189, 82, 32, 29, 58, 118, 179, 240, 225, 139, 99],
      [52, 87, 160, 175, 127, 127, 169, 190, 73, 115, 204, 201, 100, 79, 132, 158, 95, 139, 232, 245, 170, 102, 46, 20],
      [135, 133, 130, 147, 183, 163, 93, 59, 161, 125, 50, 67, 183, 206, 142, 110],
    ].flat();
    assert.deepEqual(resized("bicubic-pillow", 5, 4, 8, pattern(5, 4)), grown);
    const shrunk = [112, 137, 126, 117, 145, 120, 130, 122, 124, 129, 124, 123, 73, 154, 143, 135];
    assert.deepEqual(resized("bicubic-pillow", 11, 9, 4, pattern(11, 9)), shrunk);
  });
});

describe("the preparation of images", () => {
  const format = { size: 2, resize: "bilinear", mean: [10, 20, 30], deviation: [2, 4, 5] } as const;

  it("subtracts and divides channel by channel, and fills the batch with zeros", () => {
    const images = Uint8Array.from({ length: 24 }, (_, i) => i * 10);
    const prepare = imagePreparation({ count: 2, channels: 3, height: 2, width: 2 }, format);
    assert.deepEqual(Array.from(prepare(images, 1, 1, 2)), [
      ...[55, 60, 65, 70],
      ...[35, 37.5, 40, 42.5],
      ...[34, 36, 38, 40],
      ...new Array<number>(12).fill(0),
    ]);
  });

  it("makes grey three equal channels", () => {
    const prepare = imagePreparation(
      { count: 1, channels: 1, height: 2, width: 2 },
      { ...format, mean: [0, 0, 0], deviation: [1, 1, 1] },
    );
    assert.deepEqual(Array.from(prepare(Uint8Array.of(1, 2, 3, 4), 0, 1, 1)), [1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4]);
  });
});
