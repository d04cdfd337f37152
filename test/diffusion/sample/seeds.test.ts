import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import fc from "fast-check";
import {
  churnNoise,
  drawClasses,
  imageKeys,
  parseSeeds,
  parseShard,
  startNoise,
  takeShard,
} from "../../../diffusion/sample/index.ts";
import { compile, type DeviceName, disposeDevices, type Shape, type Tensor, tensor } from "../../../engine/index.ts";

describe("parseSeeds", () => {
  it("reads numbers and ranges in their order, repeated ones as often as they are there", () => {
    assert.deepEqual(parseSeeds("1,2,5-10"), [1, 2, 5, 6, 7, 8, 9, 10]);
    assert.deepEqual(parseSeeds("7"), [7]);
    assert.deepEqual(parseSeeds(" 4 - 4 , 0"), [4, 0]);
    assert.deepEqual(parseSeeds("5-7,1,6-9,1"), [5, 6, 7, 1, 6, 7, 8, 9, 1]);
    assert.deepEqual(parseSeeds("9007199254740991"), [Number.MAX_SAFE_INTEGER]);
  });

  it("refuses what it doesn't understand, and quotes it", () => {
    for (const part of ["", "a", "-5", "5-", "3-2", "1.5", "1e3", "1-2-3", "9007199254740993", "0x1"]) {
      for (const list of [part, `1,${part}`]) {
        assert.throws(
          () => parseSeeds(list),
          (error: Error) => error.message.includes(`"${part}"`) && "code" in error,
        );
      }
    }
    assert.throws(() => parseSeeds("0-10000000"), /more than 10000000 seeds/);
    assert.throws(() => parseSeeds("0-9999999999999"), /more than 10000000 seeds/);
  });
});

describe("shards", () => {
  it("reads i/N", () => {
    assert.deepEqual(parseShard("2/4"), { index: 2, count: 4 });
    for (const text of ["", "2", "0/4", "5/4", "1/0", "-1/4", "1/4/2", "a/b", "1.5/2"]) {
      assert.throws(() => parseShard(text), { code: "value", message: /is not i\/N/ });
    }
  });

  it("share everything out evenly", () => {
    fc.assert(
      fc.property(fc.nat(50), fc.integer({ min: 1, max: 12 }), (length, count) => {
        const items = Array.from({ length }, (_, i) => i);
        const shares = Array.from({ length: count }, (_, i) => takeShard(items, { index: i + 1, count }));
        assert.deepEqual(
          shares.flat().sort((a, b) => a - b),
          items,
        );
        const sizes = shares.map((share) => share.length);
        assert.ok(Math.max(...sizes) - Math.min(...sizes) <= 1);
      }),
    );
    assert.deepEqual(takeShard([10, 11, 12, 13, 14], { index: 2, count: 4 }), [11]);
  });
});

/** The numbers of seeds, as a sampler draws them. */
function streamsOf(imageShape: Shape, device: DeviceName) {
  const start = compile((keys: Tensor) => startNoise(keys, imageShape), { device });
  const churn = compile((keys: Tensor, step: Tensor) => churnNoise(keys, step, imageShape), { device });
  const floats = async (x: Tensor): Promise<Float32Array> => (await x.data()) as Float32Array;
  return {
    noise: async (seeds: readonly number[]) => floats(await start(imageKeys(seeds))),
    churnNoise: async (seeds: readonly number[], step: number) =>
      floats(await churn(imageKeys(seeds), tensor(Uint32Array.of(step), { shape: [] }))),
    dispose() {
      start.dispose();
      churn.dispose();
    },
  };
}

describe("image streams", () => {
  after(() => disposeDevices());

  // 15 numbers an image: rows don't begin at multiples of a vector's four lanes.
  const imageShape = [3, 5, 1];
  const seeds = [0, 5, 977, 2 ** 32 - 1, 2 ** 40 + 3, 12345, 7];

  it("depend on the seed alone: not on the batch, the order or what was drawn before", async () => {
    const streams = streamsOf(imageShape, "wasm");
    const [noise, churn, classes] = [
      await streams.noise(seeds),
      await streams.churnNoise(seeds, 3),
      await drawClasses(seeds, 10),
    ];
    const image = (all: Float32Array, i: number): Float32Array => all.slice(15 * i, 15 * (i + 1));
    for (const [i, seed] of seeds.entries()) {
      assert.deepEqual(await streams.noise([seed]), image(noise, i));
      assert.deepEqual(
        await streams.churnNoise([1, seed], 3),
        Float32Array.from([...(await streams.churnNoise([1], 3)), ...image(churn, i)]),
      );
      assert.deepEqual(await drawClasses([seed], 10), [classes[i]]);
    }
    streams.dispose();
  });

  it("differ between seeds, uses and steps", async () => {
    const streams = streamsOf(imageShape, "wasm");
    const drawn = [
      await streams.noise([1]),
      await streams.noise([2]),
      await streams.churnNoise([1], 0),
      await streams.churnNoise([1], 1),
      await streams.churnNoise([2], 0),
      // Alike in their last 32 bits.
      await streams.noise([2 ** 32 + 1]),
      await streams.noise([2 ** 52 + 1]),
    ];
    assert.equal(new Set(drawn.flatMap((numbers) => [...numbers])).size, 7 * 15);
    streams.dispose();
  });

  it("agree between devices: normals by 1e-6", async () => {
    const [wasm, oracle] = [streamsOf(imageShape, "wasm"), streamsOf(imageShape, "oracle")];
    const truth = await oracle.noise(seeds);
    for (const [i, value] of (await wasm.noise(seeds)).entries())
      assert.ok(Math.abs(value - (truth[i] ?? NaN)) <= 1e-6);
    wasm.dispose();
    oracle.dispose();
  });

  it("draw normals, and every class equally often", async () => {
    const streams = streamsOf([8, 8], "wasm");
    const many = Array.from({ length: 1000 }, (_, i) => i);
    const noise = await streams.noise(many);
    const moment = (power: number): number => noise.reduce((sum, x) => sum + x ** power, 0) / noise.length;
    // Standard deviations of the moments of n normals: 1, sqrt(2), sqrt(15), sqrt(96) over sqrt(n).
    for (const [power, expected, deviation] of [
      [1, 0, 1],
      [2, 1, 2],
      [3, 0, 15],
      [4, 3, 96],
    ] as const) {
      assert.ok(Math.abs(moment(power) - expected) < 5 * Math.sqrt(deviation / noise.length), `moment ${power}`);
    }
    const classes = await drawClasses(many, 7);
    for (let own = 0; own < 7; own++) {
      const count = classes.filter((drawn) => drawn === own).length;
      assert.ok(Math.abs(count - 1000 / 7) < 5 * Math.sqrt((1000 / 7) * (6 / 7)), `class ${own}: ${count}`);
    }
    streams.dispose();
  });

  it("refuse seeds and counts that are none", async () => {
    const streams = streamsOf([1], "wasm");
    for (const seed of [-1, 1.5, NaN, 2 ** 53]) await assert.rejects(streams.noise([seed]), { code: "value" });
    for (const count of [0, 1.5]) await assert.rejects(drawClasses([1], count), { code: "value" });
    streams.dispose();
  });
});
