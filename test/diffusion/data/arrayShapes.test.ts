/** Arrays of images whose shape can be read in several ways, or is that of something else. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { describe, it } from "node:test";
import fc from "fast-check";
import { noise, npy, rawZip, temporaryFolder } from "./sampleFiles.ts";
import { convert, open } from "./told.ts";

const { path } = temporaryFolder();

async function written(shape: readonly number[], data?: Uint8Array): Promise<string> {
  const bytes = data ?? noise(shape.reduce((product, extent) => product * extent, 1));
  await writeFile(path("x.npy"), npy("|u1", shape, bytes));
  return path("x.npy");
}

const guess = /^Guessed 1 \(x\.npy\): arrays whose shape may be \[N, H, W, C\] or \[N, C, H, W\], read as the first/;

describe("arrays of images", () => {
  it("are read in the one order that makes squares of them; where both do or neither, it is told", async () => {
    const extent = fc.constantFrom(1, 3, 4, 5, 8);
    await fc.assert(
      fc.asyncProperty(extent, extent, extent, async (a, b, c) => {
        const isCount = (channels: number): boolean => [1, 3, 4].includes(channels);
        const readings = [
          ...(isCount(c) ? [{ height: a, width: b, channels: c, isPlanar: false }] : []),
          ...(isCount(a) ? [{ height: b, width: c, channels: a, isPlanar: true }] : []),
        ];
        const squares = readings.filter(({ height, width }) => height === width);
        const reading = squares.length === 1 ? squares[0] : readings[0];
        const data = noise(2 * a * b * c);
        const source = await written([2, a, b, c], data);
        if (reading === undefined) return assert.rejects(convert(source, 1), /expected \[N, H, W\]/);
        const { height, width, channels, isPlanar } = reading;
        const { told, dataset } = await convert(source, Math.min(height, width));
        assert.equal(
          told.filter((line) => guess.test(line)).length,
          readings.length - squares.length === 1 ? 0 : readings.length - 1,
        );
        if (height !== width || channels === 4) return;
        // A grey or colour square of its own size is as it was.
        const place = (image: number, channel: number, pixel: number): number =>
          image * a * b * c + (isPlanar ? channel * height * width + pixel : pixel * channels + channel);
        dataset.pixels.forEach((value, i) => {
          const [image, channel, pixel] = [
            Math.floor(i / (channels * height * width)),
            Math.floor(i / (height * width)) % channels,
            i % (height * width),
          ];
          assert.equal(value, data[place(image, channel, pixel)]);
        });
      }),
    );
  });

  it("that are a single picture aren't taken for many, or it is told", async () => {
    for (const shape of [
      [16, 16, 3],
      [8, 9, 4],
      [60, 784, 1],
    ]) {
      const source = await written(shape);
      for (const read of [open(source), convert(source, 4)])
        await assert.rejects(read, /expected \[N, H, W\].*; a picture \[H, W, C\] by itself is a set as x\[None\]/);
    }
    const planes = await open(await written([3, 16, 16]));
    assert.equal(planes.dataset.count, 3);
    assert.match(planes.told.join(), /^Guessed 1 \(x\.npy\): arrays that may be one picture \[C, H, W\], read as grey/);
    assert.deepEqual((await open(await written([5, 16, 16]))).told, []);
    assert.equal((await open(await written([2, 3, 3]))).dataset.channels, 1);
  });

  it("lose labels of another number of images with a word about just that", async () => {
    const arrays = [
      ["images.npy", npy("|u1", [5, 2, 2], noise(20))],
      ["labels.npy", npy("|u1", [4], noise(4))],
      ["other.npy", npy("|u1", [4], noise(4))],
    ] as const;
    await writeFile(path("x.npz"), rawZip(arrays));
    const { told } = await open(path("x.npz"));
    assert.equal(told.length, 2);
    assert.match(
      told[0] ?? "",
      /^Left out 1 \(labels\.npy\): arrays called as labels, but not one for each image of images\.npy/,
    );
    assert.match(told[1] ?? "", /^Left out 1 \(other\.npy\): arrays beside/);
    await writeFile(path("several.npz"), rawZip([...arrays, ["y.npy", npy("|u1", [5], noise(5))]]));
    assert.match(
      (await open(path("several.npz"))).told.join("\n"),
      /^Left out 1 \(labels\.npy\): other arrays called as labels than those that were taken, y\.npy/m,
    );
  });
});
