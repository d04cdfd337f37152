import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  createDataset,
  gatherBatch,
  ImageOrder,
  splitIndices,
  trainingBatches,
} from "../../../diffusion/data/index.ts";

describe("ImageOrder", () => {
  it("shows every image once an epoch, in another order each time", () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 1, max: 300 }), fc.nat(20), (seed, size, epoch) => {
        const order = new ImageOrder(seed, size);
        const shown = [...order.indices(epoch * size, size)];
        assert.deepEqual(
          shown.toSorted((a, b) => a - b),
          Array.from({ length: size }, (_, i) => i),
        );
        // Two random orders of 20 images agree once in 2e18.
        if (size >= 20) assert.notDeepEqual([...order.indices((epoch + 1) * size, size)], shown);
      }),
    );
  });

  it("can be entered anywhere and cut anyhow", () => {
    fc.assert(
      fc.property(
        fc.nat(),
        fc.integer({ min: 1, max: 50 }),
        fc.nat(500),
        fc.nat(80),
        fc.nat(80),
        (seed, size, start, a, b) => {
          const whole = new ImageOrder(seed, size).indices(start, a + b);
          const fresh = new ImageOrder(seed, size);
          assert.deepEqual([...fresh.indices(start + a, b)], [...whole.subarray(a)]);
          assert.deepEqual([...fresh.indices(start, a)], [...whole.subarray(0, a)]);
        },
      ),
    );
  });

  it("puts every image first about equally often", () => {
    const [size, epochs] = [8, 4000];
    const counts = new Array<number>(size).fill(0);
    const order = new ImageOrder(11, size);
    for (let epoch = 0; epoch < epochs; epoch++) {
      const [first = 0] = order.indices(epoch * size, 1);
      counts[first] = (counts[first] ?? 0) + 1;
    }
    const expected = epochs / size;
    // Binomial; five standard deviations are passed once in a million.
    const bound = 5 * Math.sqrt(expected * (1 - 1 / size));
    for (const count of counts) assert.ok(Math.abs(count - expected) < bound, counts.join(" "));
  });

  it("mirrors half of the images", () => {
    const order = new ImageOrder(5, 10);
    const flips = Array.from({ length: 4000 }, (_, position) => order.isFlipped(position));
    const count = flips.filter(Boolean).length;
    assert.ok(Math.abs(count - 2000) < 5 * Math.sqrt(1000), `${count} of 4000`);
  });
});

describe("splitIndices", () => {
  it("holds out disjoint sets with every class's share, the same for the same seed", () => {
    fc.assert(
      fc.property(
        fc.nat(),
        fc.array(fc.nat(3), { minLength: 2, maxLength: 200 }),
        fc.double({ min: 0, max: 0.9, noNaN: true }),
        (seed, classes, share) => {
          const heldOut = Math.floor(classes.length * share);
          const parts = splitIndices(classes.length, heldOut, seed, classes);
          assert.equal(parts.heldOut.length, heldOut);
          assert.deepEqual(
            [...parts.heldOut, ...parts.training].sort((a, b) => a - b),
            classes.map((_, i) => i),
          );
          for (const label of new Set(classes)) {
            const all = classes.filter((each) => each === label).length;
            const held = [...parts.heldOut].filter((i) => classes[i] === label).length;
            // Evenly spread ranks: a class is at most one image off its share, two where the last place is contested.
            assert.ok(Math.abs(held - (all * heldOut) / classes.length) <= 2, `class ${label}: ${held} of ${all}`);
          }
          assert.deepEqual(splitIndices(classes.length, heldOut, seed, classes), parts);
        },
      ),
    );
  });

  it("refuses to hold out everything", () => {
    assert.throws(() => splitIndices(10, 10, 0, null), /can't hold out 10 of 10 images/);
  });
});

describe("batches", () => {
  const pixels = Uint8Array.from({ length: 5 * 3 * 4 }, (_, i) => (i * 37) % 256);
  const dataset = createDataset({ name: "five", channels: 3, resolution: 2, pixels, labels: [0, 1, 2, 1, 0] });

  it("hold pixels from -1 to 1 and one-hot labels", () => {
    const { images, labels } = gatherBatch(dataset, [3, 0]);
    assert.equal(images.length, 24);
    images.forEach((x, i) => {
      const value = pixels[i < 12 ? 36 + i : i - 12] ?? NaN;
      assert.equal(x, Math.fround(Math.fround(value / 127.5) - 1));
    });
    assert.deepEqual([...(labels ?? [])], [0, 1, 0, 1, 0, 0]);
  });

  it("mirror by columns", () => {
    const plain = gatherBatch(dataset, [2]).images;
    const mirrored = gatherBatch(dataset, [2], { isFlipped: () => true }).images;
    assert.deepEqual(
      [...mirrored],
      [...plain].map((_, i) => plain[i ^ 1]),
    );
  });

  it("of a run are a pure function of the images seen", () => {
    const batches = trainingBatches(dataset, 3, true);
    const [first, second] = [batches(0, 8), batches(8, 8)];
    const whole = trainingBatches(dataset, 3, true)(0, 16);
    assert.deepEqual([...first.images, ...second.images], [...whole.images]);
    assert.deepEqual([...(first.labels ?? []), ...(second.labels ?? [])], [...(whole.labels ?? [])]);
  });
});

describe("createDataset", () => {
  const make = (parts: Partial<Parameters<typeof createDataset>[0]>) => () =>
    createDataset({ name: "x", channels: 1, resolution: 2, pixels: new Uint8Array(8), ...parts });
  it("refuses what doesn't fit, by name", () => {
    assert.throws(make({ channels: 2 }), /data set x: images have 2 channels/);
    assert.throws(make({ pixels: new Uint8Array(7) }), /7 pixels are not images of 1x2x2/);
    assert.throws(make({ pixels: new Uint8Array(0) }), /there are no images/);
    assert.throws(make({ labels: [1] }), /2 images have 1 labels/);
    assert.throws(make({ labels: [0, -1] }), /a label is -1/);
    assert.throws(make({ labels: [0, 3], classNames: ["a", "b"] }), /a class 3, but only 2 classes have names/);
    assert.throws(make({ labels: [[1, 2], [1]] }), /label vectors differ in length/);
    assert.throws(make({ labels: [[1], [NaN]] }), /isn't finite/);
    assert.throws(make({ labels: [[1], [1e300]] }), /above what float32 holds/);
  });
});
