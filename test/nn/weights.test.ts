/** Weights: normalization by force and in use, what it does to derivatives, names, counts, initialization. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  grad,
  multiply,
  randomKey,
  randomNormal,
  reduceSum,
  splitKey,
  keyAt,
  type Tensor,
} from "../../engine/index.ts";
import {
  checkParameters,
  countParameters,
  describeUNet,
  flattenParameters,
  forceNormalize,
  initializeParameters,
  missingAttention,
  mpConv,
  type ParameterSpec,
  unetConfig,
} from "../../nn/index.ts";
import { unetLayers } from "../../nn/unet/layers.ts";
import { countNetwork, describeDenoiser, networkConfig } from "../../diffusion/network/index.ts";
import { mean, meanSquare, onOracle } from "./onOracle.ts";

const seed = fc.nat(2 ** 31);

function draws(seed: number, ...shapes: readonly (readonly number[])[]): Tensor[] {
  const keys = splitKey(randomKey(seed), shapes.length);
  return shapes.map((shape, i) => randomNormal(keyAt(keys, i), shape));
}

describe("forced normalization", () => {
  it("gives every output's row the norm sqrt(fan-in), but for epsilon, after any update", async () => {
    await fc.assert(
      fc.asyncProperty(
        seed,
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: -3, max: 3 }),
        async (seed, cout, cin, power) => {
          const [w, step] = draws(seed, [cout, cin, 3, 3], [cout, cin, 3, 3]) as [Tensor, Tensor];
          const updated = w.add(step.multiply(10 ** power));
          const [before, after] = [await onOracle(updated), await onOracle(forceNormalize(updated))];
          for (let row = 0; row < cout; row++) {
            const part = (values: readonly number[]): readonly number[] =>
              values.slice(row * cin * 9, (row + 1) * cin * 9);
            const magnitude = Math.sqrt(meanSquare(part(before)));
            const expected = magnitude / (magnitude + 1e-4);
            // In float64 but for literals (epsilon, the root of the fan-in), whose float32 is off by 2^-24 of each: four at most.
            assert.ok(Math.abs(Math.sqrt(meanSquare(part(after))) - expected) <= 2 ** -22);
          }
        },
      ),
      { numRuns: 20 },
    );
  });
});

describe("weight normalization in use", () => {
  it("makes outputs independent of the stored weights' scale, but for epsilon", async () => {
    await fc.assert(
      fc.asyncProperty(seed, fc.double({ min: 0.1, max: 100, noNaN: true }), async (seed, scale) => {
        const [x, w] = draws(seed, [2, 3, 4, 4], [2, 3, 3, 3]) as [Tensor, Tensor];
        const [plain, scaled] = [await onOracle(mpConv(x, w)), await onOracle(mpConv(x, w.multiply(scale)))];
        const rows = await onOracle(w);
        // Row r is divided by m + epsilon in one case and by m + epsilon / scale in the other.
        for (const [i, value] of plain.entries()) {
          const row = Math.floor(i / 16) % 2;
          const magnitude = Math.sqrt(meanSquare(rows.slice(row * 27, (row + 1) * 27)));
          const expected = value * ((magnitude + 1e-4) / (magnitude + 1e-4 / scale));
          // The oracle's literals, the scale and epsilon, are float32: each is off by 2^-24 of itself, which moves the quotient of
          // the two by less than 2^-22.
          assert.ok(Math.abs((scaled[i] ?? NaN) - expected) <= 2 ** -22 * Math.abs(expected) + 1e-12);
        }
      }),
      { numRuns: 15 },
    );
  });

  it("leaves a gradient orthogonal to each row, but for what epsilon leaves", async () => {
    await fc.assert(
      fc.asyncProperty(seed, async (seed) => {
        const [x, w, g] = draws(seed, [3, 4], [5, 4], [3, 5]) as [Tensor, Tensor, Tensor];
        const gradient = await onOracle(grad((weight: Tensor) => reduceSum(multiply(mpConv(x, weight), g)))(w));
        const weighted = await onOracle(multiply(mpConv(x, w), g));
        const rows = await onOracle(w);
        for (let row = 0; row < 5; row++) {
          const wr = rows.slice(4 * row, 4 * row + 4);
          const dot = wr.reduce((sum, value, i) => sum + value * (gradient[4 * row + i] ?? NaN), 0);
          const magnitude = Math.sqrt(meanSquare(wr));
          // Scaling a row by 1 + a changes m / (m + epsilon), and with it this row's share of the loss, by a epsilon / (m + epsilon).
          const share = [0, 1, 2].reduce((sum, n) => sum + (weighted[5 * n + row] ?? NaN), 0);
          const expected = (share * 1e-4) / (magnitude + 1e-4);
          // Terms that cancel: arguments and literals are float32, which each term of the sum has some four roundings of.
          const terms = wr.reduce((sum, value, i) => sum + Math.abs(value * (gradient[4 * row + i] ?? NaN)), 0);
          const allowed = 2 ** -22 * (terms + Math.abs(expected));
          assert.ok(Math.abs(dot - expected) <= allowed, `row ${row}: ${dot} ${expected}`);
        }
      }),
      { numRuns: 20 },
    );
  });
});

describe("parameters", () => {
  it("of every published size are as many as published", () => {
    for (const [channels, parameters] of [
      [64, 31_309_029],
      [128, 124_713_253],
      [192, 280_212_837],
      [256, 497_807_781],
      [320, 777_498_085],
      [384, 1_119_283_749],
      [448, 1_523_164_773],
    ] as const) {
      const network = networkConfig({
        unet: { imageResolution: 64, imageChannels: 4, labelDim: 1000, modelChannels: channels },
      });
      assert.equal(countNetwork(network).parameters, parameters);
    }
    const img64 = networkConfig({
      unet: { imageResolution: 64, imageChannels: 3, labelDim: 1000, modelChannels: 192 },
    });
    // 280.2 million: one image channel less at both ends.
    assert.equal(countNetwork(img64).parameters, 280_212_837 - 2 * 192 * 9);
  });

  it("count as the specification's small example", () => {
    const unet = {
      imageResolution: 32,
      imageChannels: 3,
      labelDim: 10,
      modelChannels: 32,
      channelMult: [1, 2, 2],
      numBlocks: 2,
      attnResolutions: [8],
    };
    const network = networkConfig({ unet });
    assert.equal(countNetwork(network).parameters, 1_689_334);
    const { enc, dec } = unetLayers(network.unet);
    assert.equal([...enc, ...dec].filter((layer) => layer.kind === "block" && layer.block.attention).length, 6);
  });

  it("count multiply-adds as the reference does: 545.50 billion in the convolutions of XXL, 1.43 in products", () => {
    const unet = { imageResolution: 64, imageChannels: 4, labelDim: 1000, modelChannels: 448 };
    const { layers } = countNetwork(networkConfig({ unet }));
    const convolutions = layers.filter(({ name }) => !/attn\.|emb_|logvar/.test(name));
    // The reference halves and doubles by convolutions with 2 x 2 taps, which ours leaves out: four for each element of the result.
    const halved = [448 * 32 ** 2, 896 * 16 ** 2, 1344 * 8 ** 2];
    const doubled = [1792 * 16 ** 2, 1344 * 32 ** 2, 896 * 64 ** 2];
    const resampling = [...halved, ...doubled].reduce((sum, elements) => sum + 4 * elements, 0);
    const macs = convolutions.reduce((sum, layer) => sum + layer.macs, resampling);
    assert.equal((macs / 1e9).toFixed(2), "545.50");
    const products = layers.filter(({ name }) => /attn\.|emb_|logvar/.test(name));
    assert.equal((products.reduce((sum, layer) => sum + layer.macs, 0) / 1e9).toFixed(2), "1.43");
  });

  it("are drawn as described: weights standard normal, gains zero, phases over a circle", async () => {
    const network = networkConfig({
      unet: {
        imageResolution: 8,
        imageChannels: 1,
        labelDim: 3,
        modelChannels: 16,
        channelMult: [1, 2],
        numBlocks: 1,
        attnResolutions: [],
        channelsPerHead: 16,
      },
    });
    const specs = flattenParameters<ParameterSpec>(describeDenoiser(network));
    const drawn = initializeParameters(specs, randomKey(3));
    const weights: number[] = [];
    for (const [name, tensor] of Object.entries(drawn)) {
      const values = await onOracle(tensor);
      const spec = specs[name];
      if (spec?.role === "weight") weights.push(...values);
      if (spec?.role === "gain") assert.deepEqual(values, [0]);
      if (name.endsWith("phases")) assert.ok(values.every((phase) => phase >= 0 && phase <= 2 * Math.PI));
    }
    const bound = 6 / Math.sqrt(weights.length);
    assert.ok(Math.abs(mean(weights)) < bound);
    assert.ok(Math.abs(meanSquare(weights) - 1) < Math.SQRT2 * bound);
    const freqs = await onOracle(drawn["logvar_fourier.freqs"] as Tensor);
    assert.ok(Math.abs(meanSquare(freqs) / (4 * Math.PI ** 2) - 1) < 6 * Math.sqrt(2 / freqs.length));
  });

  it("that don't fit are named", () => {
    const specs: Record<string, ParameterSpec> = {
      a: { shape: [2, 3], role: "weight", init: { kind: "normal", scale: 1 } },
      b: { shape: [], role: "gain", init: { kind: "constant", value: 0 } },
      c: { shape: [1], role: "buffer", init: { kind: "normal", scale: 1 } },
    };
    const check = (shapes: Record<string, number[]>) => (): void =>
      checkParameters(specs, new Map(Object.entries(shapes).map(([name, shape]) => [name, { shape }])), "net");
    assert.equal(countParameters(specs), 7);
    check({ a: [2, 3], b: [], c: [1] })();
    assert.throws(check({ b: [], c: [1] }), /net lacks "a"\. /);
    assert.throws(check({ a: [2, 3], b: [], c: [1], d: [] }), /net has "d", which the network doesn't/);
    assert.throws(check({ a: [3, 2], b: [], c: [1] }), /net: a is \[3, 2\], expected \[2, 3\]/);
    assert.throws(check({ x: [], y: [], z: [], w: [] }), /lacks "a", "b", "c" and has "x", "y", "z" and 1 more/);
  });
});

describe("unetConfig", () => {
  const data = { imageResolution: 16, imageChannels: 3, labelDim: 0 };
  it("fills in the paper's values and refuses what can't be", () => {
    assert.equal(unetConfig({ ...data, imageResolution: 64 }).modelChannels, 192);
    const refuse = (options: object, pattern: RegExp): void => {
      assert.throws(() => unetConfig({ ...data, modelChannels: 64, channelMult: [1, 2], ...options }), pattern);
    };
    refuse({ imageResolution: 15 }, /imageResolution is 15, expected a multiple of 2/);
    refuse({ imageChannels: 0 }, /imageChannels is 0/);
    refuse({ labelDim: -1 }, /labelDim is -1/);
    refuse({ resBalance: 2 }, /resBalance is 2, expected a number from 0 to 1/);
    refuse({ dropout: 1 }, /dropout is 1/);
    refuse({ clipAct: 0 }, /clipAct is 0/);
    refuse({ activations: "float8" }, /activations is "float8", expected float32 or float16/);
    refuse({ channelMult: [] }, /channelMult is \[\]/);
    refuse({ channelMult: [1, 0.001] }, /channelMult/);
    refuse({ channelMultEmb: 0.001 }, /channelMultEmb/);
    refuse(
      { channelsPerHead: 30, channelMult: [1, 65 / 64] },
      /channelsPerHead is 30, expected so many that the 65 channels of level 1, which has attention, make equal heads/,
    );
  });

  it("has no attention where a head has more channels, and says so", () => {
    const options = { ...data, modelChannels: 8, channelMult: [1, 2], numBlocks: 1, attnResolutions: [16, 8] };
    const arrays = (channelsPerHead: number): string[] =>
      Object.keys(flattenParameters(describeUNet(unetConfig({ ...options, channelsPerHead })))).filter((name) =>
        name.includes("attn_qkv"),
      );
    const missing = (channelsPerHead: number): string | null =>
      missingAttention(unetConfig({ ...options, channelsPerHead }));
    assert.deepEqual(arrays(8).length, 7);
    assert.equal(missing(8), null);
    assert.deepEqual(
      arrays(9).map((name) => name.split(".")[1]),
      ["8x8_block0", "8x8_in0", "8x8_block0", "8x8_block1"],
    );
    assert.equal(missing(9), "no attention at 16x16 (8 channels): a head has 9 channels");
    assert.deepEqual(arrays(64), []);
    assert.equal(missing(64), "no attention at 16x16 (8 channels), 8x8 (16 channels): a head has 64 channels");
    const absent = missingAttention(unetConfig({ ...options, attnResolutions: [4, 16, 32] }));
    assert.match(absent ?? "", /a head has 64 channels; nor at 4x4, 32x32: the levels are 16x16, 8x8$/);
    // The coarsest level asks for it whatever its resolution is.
    assert.match(missingAttention(unetConfig({ ...options, attnResolutions: [] })) ?? "", /^no attention at 8x8/);
  });
});
