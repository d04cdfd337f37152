/** The whole network: at initialization, its preconditioning, its loss. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  compile,
  createDevice,
  keyAt,
  mean as averageOf,
  multiply,
  randomKey,
  randomNormal,
  reshape,
  splitKey,
  square,
  stack,
  tensor,
  type Tensor,
} from "../../../engine/index.ts";
import {
  denoise,
  type DenoiserParameters,
  describeDenoiser,
  edm2Loss,
  lossWeight,
  networkConfig,
  networkConfigFromReference,
  noiseLevels,
  precondition,
  uncertaintyLoss,
  weightedError,
} from "../../../diffusion/network/index.ts";
import { flattenParameters, initializeParameters, nestParameters, type ParameterSpec } from "../../../nn/index.ts";
import { mean, onOracle } from "../../nn/onOracle.ts";

const network = networkConfig({
  unet: {
    imageResolution: 8,
    imageChannels: 3,
    labelDim: 4,
    modelChannels: 16,
    channelMult: [1, 2],
    numBlocks: 1,
    attnResolutions: [4],
    channelsPerHead: 16,
  },
  logvarChannels: 16,
});

/** A fresh network; gains are zero at initialization, and so they stay but for the output's. */
function drawn(key: Tensor, outGain: number, gains = 0): DenoiserParameters {
  const specs = flattenParameters<ParameterSpec>(describeDenoiser(network));
  const parameters = initializeParameters(specs, key);
  for (const [name, { role }] of Object.entries(specs))
    if (role === "gain") parameters[name] = tensor(name === "unet.out_gain" ? outGain : gains, { shape: [] });
  return nestParameters<DenoiserParameters>(parameters);
}

const normals = (seed: number, ...shapes: readonly (readonly number[])[]): Tensor[] =>
  shapes.map((shape, i) => randomNormal(keyAt(splitKey(randomKey(seed), shapes.length), i), shape));

const positive = fc.double({ min: 0.002, max: 80, noNaN: true }).map(Math.fround);

describe("precondition", () => {
  it("keeps input and target of unit variance, and F's weight in the loss at 1", async () => {
    await fc.assert(
      fc.asyncProperty(positive, fc.constantFrom(0.5, 0.3, 1.2), async (sigma, sigmaData) => {
        const { cIn, cNoise, cSkip, cOut } = precondition(tensor([sigma]), sigmaData);
        const [[i = NaN], [n = NaN], [s = NaN], [o = NaN], [lambda = NaN]] = (await Promise.all(
          [cIn, cNoise, cSkip, cOut, lossWeight(tensor([sigma]), sigmaData)].map(onOracle),
        )) as [number[], number[], number[], number[], number[]];
        const close = (got: number, expected: number): void =>
          assert.ok(Math.abs(got - expected) < 1e-6 * (1 + Math.abs(expected)), `${got} ${expected}`);
        close(i * i * (sigma ** 2 + sigmaData ** 2), 1);
        close(n, Math.log(sigma) / 4);
        // (y - cSkip (y + sigma n)) / cOut has variance ((1 - cSkip)^2 s^2 + cSkip^2 sigma^2) / cOut^2 = 1.
        close(((1 - s) ** 2 * sigmaData ** 2 + s ** 2 * sigma ** 2) / o ** 2, 1);
        close(lambda * o * o, 1);
      }),
      { numRuns: 40 },
    );
  });

  it("has the specification's values", async () => {
    for (const [sigma, skip, out, input, noise, lambda] of [
      [0.002, 0.999984, 0.00199998, 1.99998, -1.55365, 250004],
      [0.5, 0.5, 0.353553, 1.41421, -0.173287, 8],
      [80, 3.9061e-5, 0.49999, 0.0124998, 1.09551, 4.00016],
    ] as const) {
      const { cIn, cNoise, cSkip, cOut } = precondition(tensor([sigma]), 0.5);
      const expected = [skip, out, input, noise, lambda];
      const got = await Promise.all([cSkip, cOut, cIn, cNoise, lossWeight(tensor([sigma]), 0.5)].map(onOracle));
      got.forEach(([value = NaN], i) =>
        assert.ok(Math.abs(value - (expected[i] ?? NaN)) < 1e-5 * Math.abs(expected[i] ?? NaN)),
      );
    }
  });
});

describe("the network at initialization", () => {
  it("gives cSkip x, because its output gain is zero", async () => {
    const [x] = normals(1, [2, 3, 8, 8]) as [Tensor];
    const sigma = tensor([0.3, 5]);
    const got = await onOracle(denoise(network, drawn(randomKey(2), 0), x, sigma, null));
    const [values, skips] = [await onOracle(x), await onOracle(precondition(sigma, 0.5).cSkip)];
    got.forEach((value, i) =>
      assert.ok(Math.abs(value - (values[i] ?? NaN) * (skips[Math.floor(i / 192)] ?? NaN)) < 1e-6),
    );
  });

  it("has unit magnitude at every layer, whatever the noise level", async () => {
    const [count, networks] = [16, 12];
    const names: string[] = [];
    // One thread: with so little to do two get in each other's way.
    const device = await createDevice("wasm", { wasm: { threads: 1 } });
    const measure = compile(
      (parameters: DenoiserParameters, y: Tensor, n: Tensor, sigma: Tensor, labels: Tensor) => {
        const squares: Tensor[] = [];
        names.length = 0;
        const tap = (name: string, value: Tensor): void => {
          if (/attn\.|emb_linear/.test(name)) return;
          names.push(name);
          squares.push(averageOf(square(value)));
        };
        const x = multiply(y, 0.5).add(multiply(n, reshape(sigma, [count, 1, 1, 1])));
        denoise(network, parameters, x, sigma, labels, { tap });
        return stack(squares);
      },
      { device },
    );
    const shape = [count, 3, 8, 8];
    const draw = compile(
      (key: Tensor, images: Tensor, noise: Tensor) => ({
        parameters: drawn(key, 1),
        y: randomNormal(images, shape),
        n: randomNormal(noise, shape),
      }),
      { device },
    );
    const labels = tensor(Array.from({ length: count }, (_, i) => [0, 1, 2, 3].map((k) => (k === i % 4 ? 1 : 0))));
    const levels = [0.01, 0.5, 20];
    const sums = levels.map((): number[] => []);
    for (let seed = 0; seed < networks; seed++) {
      // Drawn once for all levels: that takes longer than the network does.
      const { parameters, y, n } = await draw(randomKey(seed), randomKey(100 + seed), randomKey(200 + seed));
      for (const [level, sigma] of levels.entries()) {
        const sigmas = tensor(Array.from({ length: count }, () => sigma));
        const squares = await (await measure(parameters, y, n, sigmas, labels)).data();
        const sum = sums[level] ?? [];
        squares.forEach((value, i) => (sum[i] = (sum[i] ?? 0) + value / networks));
      }
    }
    for (const [level, sigma] of levels.entries()) {
      for (const [i, name] of names.entries()) {
        const magnitude = Math.sqrt(sums[level]?.[i] ?? NaN);
        // Zeros around 4x4 pixels take 1 - (10/12)^2 of a 3x3 kernel's inputs: 0.83 of the magnitude is left, of which mpSilu makes
        // 0.75 (by quadrature), and the second kernel 0.62. Attention's output is an average over 16 pixels of vectors of unit
        // magnitude: 0.25 at least. Mean squares over 12 draws of 16 rows have a standard error of sqrt(2 / 12 / 16) = 0.1: one
        // below, for the estimates above are for the worst layers, and six above 1.
        const low = name.endsWith("attn_proj") ? 0.25 - 0.1 : Math.sqrt(0.62 ** 2 - 0.1);
        assert.ok(magnitude > low && magnitude < Math.sqrt(1.6), `${name} at sigma ${sigma}: ${magnitude}`);
      }
    }
    assert.ok(names.length > 20);
    device.dispose();
  });

  it("treats a missing label as zeros", async () => {
    const [x] = normals(8, [1, 3, 8, 8]) as [Tensor];
    const without = await onOracle(denoise(network, drawn(randomKey(2), 1, 1), x, tensor([1]), null));
    const zeros = await onOracle(denoise(network, drawn(randomKey(2), 1, 1), x, tensor([1]), tensor([[0, 0, 0, 0]])));
    const one = await onOracle(denoise(network, drawn(randomKey(2), 1, 1), x, tensor([1]), tensor([[0, 1, 0, 0]])));
    assert.deepEqual(zeros, without);
    assert.notDeepEqual(one, without);
  });

  it("refuses images and labels of other sizes", () => {
    const parameters = drawn(randomKey(2), 1);
    const [x, bad] = normals(8, [2, 3, 8, 8], [2, 3, 8, 4]) as [Tensor, Tensor];
    assert.throws(
      () => denoise(network, parameters, bad, tensor([1, 1]), null),
      /x is \[2, 3, 8, 4\], expected \[N, 3, 8, 8\]/,
    );
    assert.throws(
      () => denoise(network, parameters, x, tensor([1, 1]), tensor([[1, 0, 0]])),
      /classLabels is \[1, 3\], expected \[2, 4\]/,
    );
  });
});

describe("the loss", () => {
  it("of an untrained network is 1 on average, for data of standard deviation sigmaData", async () => {
    const count = 40;
    const [y, z, noise] = normals(12, [count, 3, 8, 8], [count], [count, 3, 8, 8]) as [Tensor, Tensor, Tensor];
    const sigma = noiseLevels(z, { mean: -0.4, standardDeviation: 1 });
    const { error, loss } = edm2Loss(network, drawn(randomKey(3), 0), multiply(y, 0.5), sigma, noise, null);
    // D = cSkip x: the error of each element is the square of a standard normal, of variance 2.
    const errors = await onOracle(error);
    assert.ok(Math.abs(mean(errors) - 1) < 6 * Math.sqrt(2 / errors.length));
    const u = (await onOracle(loss)).map((value, i) => [value, errors[i] ?? NaN] as const);
    // error / e^u + u with one u for each image: solved from two elements of an image, the rest must agree.
    for (let image = 0; image < 3; image++) {
      const part = u.slice(image * 192, (image + 1) * 192);
      const [[l0, e0] = [NaN, NaN], [l1, e1] = [NaN, NaN]] = [
        part[0],
        part.find(([, e]) => Math.abs(e - (part[0]?.[1] ?? 0)) > 0.5),
      ];
      const scale = (l0 - l1) / (e0 - e1);
      const offset = l0 - scale * e0;
      assert.ok(Math.abs(Math.log(scale) + offset) < 1e-4, `e^-u ${scale}, u ${offset}`);
      for (const [l, e] of part) assert.ok(Math.abs(l - (scale * e + offset)) < 1e-4);
    }
  });

  it("weighs errors by lambda and by what is expected of them", async () => {
    const error = weightedError(tensor([[[[1]]]]), tensor([[[[3]]]]), tensor([0.5]), 0.5);
    assert.deepEqual(await onOracle(error), [32]);
    const [value = NaN] = await onOracle(uncertaintyLoss(tensor([2]), tensor([Math.log(2)])));
    assert.ok(Math.abs(value - (1 + Math.log(2))) < 1e-6);
    // Smallest where e^u is the error.
    for (const off of [-0.3, 0.3]) {
      const [more = NaN] = await onOracle(uncertaintyLoss(tensor([2]), tensor([Math.log(2) + off])));
      assert.ok(more > value);
    }
  });
});

describe("configurations", () => {
  it("are refused by field, and translated from the reference's names", () => {
    const data = { imageResolution: 8, imageChannels: 1, labelDim: 0, modelChannels: 64, channelMult: [1] };
    assert.throws(() => networkConfig({ unet: data, sigmaData: 0 }), /sigmaData is 0/);
    assert.throws(() => networkConfig({ unet: data, logvarChannels: 0 }), /logvarChannels is 0/);
    const names = {
      img_resolution: 8,
      img_channels: 1,
      label_dim: 0,
      model_channels: 64,
      channel_mult: [1],
      sigma_data: 0.25,
      logvar_channels: 32,
      use_fp16: true,
    };
    const config = networkConfigFromReference(names);
    assert.deepEqual([config.unet.modelChannels, config.sigmaData, config.logvarChannels], [64, 0.25, 32]);
    assert.throws(() => networkConfigFromReference({ ...names, warp: 9 }), /unknown option warp = 9/);
    assert.throws(() => networkConfigFromReference({ img_channels: 1, label_dim: 0 }), /img_resolution is missing/);
  });
});
