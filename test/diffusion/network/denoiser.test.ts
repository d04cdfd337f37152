/** How the denoiser and its loss are put together, beside the same numbers computed one by one. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { randomKey, randomNormal, splitKey, keyAt, tensor, type Tensor } from "../../../engine/index.ts";
import {
  denoise,
  type DenoiserParameters,
  describeDenoiser,
  edm2Loss,
  logvar,
  lossWeight,
  networkConfig,
  noiseLevels,
  precondition,
  uncertaintyLoss,
  weightedError,
} from "../../../diffusion/network/index.ts";
import {
  applyUNet,
  flattenParameters,
  initializeParameters,
  nestParameters,
  type ParameterSpec,
} from "../../../nn/index.ts";
import { onOracle } from "../../nn/onOracle.ts";

const sigmaData = 0.4;
const config = networkConfig({
  unet: {
    imageResolution: 2,
    imageChannels: 2,
    labelDim: 3,
    modelChannels: 2,
    channelMult: [1],
    numBlocks: 1,
    attnResolutions: [],
    channelsPerHead: 2,
  },
  sigmaData,
  logvarChannels: 6,
});
const pixels = 8;

const specs = flattenParameters<ParameterSpec>(describeDenoiser(config));
const named = initializeParameters(specs, randomKey(5));
for (const [name, { role }] of Object.entries(specs)) if (role === "gain") named[name] = tensor(0.7, { shape: [] });
const parameters = nestParameters<DenoiserParameters>(named);

const [x, noise] = [0, 1].map((i) => randomNormal(keyAt(splitKey(randomKey(9), 2), i), [2, 2, 2, 2])) as [
  Tensor,
  Tensor,
];
const labels = tensor([
  [0, 1, 0],
  [1, 0, 0],
]);
const sigmas = [0.3, 5].map(Math.fround);
const sigma = tensor(sigmas);

/** Float32 results beside float64 ones of numbers below `size`. */
function assertClose(got: readonly number[], expected: readonly number[], size = 1): void {
  assert.equal(got.length, expected.length);
  got.forEach((value, i) => {
    const wanted = expected[i] ?? NaN;
    assert.ok(Math.abs(value - wanted) <= 4e-6 * (size + Math.abs(wanted)), `${i}: ${value}, expected ${wanted}`);
  });
}

/** Equations 4 to 8 in float64. */
function factors(s: number): Record<"cIn" | "cNoise" | "cSkip" | "cOut" | "lambda", number> {
  const total = s ** 2 + sigmaData ** 2;
  return {
    cIn: 1 / Math.sqrt(total),
    cNoise: Math.log(s) / 4,
    cSkip: sigmaData ** 2 / total,
    cOut: (s * sigmaData) / Math.sqrt(total),
    lambda: total / (s * sigmaData) ** 2,
  };
}

/** u(sigma) of the stored features and weights. */
async function headOf(s: number): Promise<number> {
  const [freqs, phases, weight] = await Promise.all(
    ["freqs", "phases"]
      .map((name) => onOracle(named[`logvar_fourier.${name}`] as Tensor))
      .concat(onOracle(named["logvar_linear.weight"] as Tensor)),
  );
  assert.ok(freqs !== undefined && phases !== undefined && weight !== undefined);
  const magnitude = Math.sqrt(weight.reduce((sum, w) => sum + w * w, 0) / weight.length) + 1e-4;
  return weight.reduce((sum, w, i) => {
    const feature = Math.SQRT2 * Math.cos((freqs[i] ?? NaN) * factors(s).cNoise + (phases[i] ?? NaN));
    return sum + (w / magnitude / Math.sqrt(weight.length)) * feature;
  }, 0);
}

/** cSkip x + cOut F(cIn x; cNoise), with the raw network's answer from the network itself. */
async function denoisedByHand(input: readonly number[], given: Tensor | null): Promise<number[]> {
  const scaled = input.map((value, i) => value * factors(sigmas[Math.floor(i / pixels)] ?? NaN).cIn);
  const raw = await onOracle(
    applyUNet(
      config.unet,
      parameters.unet,
      tensor(scaled, { shape: [2, 2, 2, 2] }),
      tensor(sigmas.map((s) => factors(s).cNoise)),
      given,
    ),
  );
  return input.map((value, i) => {
    const { cSkip, cOut } = factors(sigmas[Math.floor(i / pixels)] ?? NaN);
    return cSkip * value + cOut * (raw[i] ?? NaN);
  });
}

describe("describeDenoiser", () => {
  it("has the reference's names around the network, and their shapes", () => {
    const outside = Object.entries(specs).filter(([name]) => !name.startsWith("unet."));
    assert.deepEqual(
      outside.map(([name, { shape, role }]) => [name, shape, role]),
      [
        ["logvar_fourier.freqs", [6], "buffer"],
        ["logvar_fourier.phases", [6], "buffer"],
        ["logvar_linear.weight", [1, 6], "weight"],
      ],
    );
    assert.deepEqual(specs["logvar_linear.weight"]?.init, { kind: "normal", scale: 1 });
    assert.deepEqual(specs["logvar_fourier.freqs"]?.init, { kind: "normal", scale: 2 * Math.PI });
    assert.deepEqual(specs["logvar_fourier.phases"]?.init, { kind: "uniform", low: 0, high: 2 * Math.PI });
    assert.ok(Object.keys(specs).some((name) => name.startsWith("unet.enc.2x2_conv")));
  });
});

describe("precondition and lossWeight", () => {
  it("are the paper's equations at any noise level and deviation of the data, of sigma's shape", async () => {
    const positive = fc.double({ min: 0.01, max: 80, noNaN: true }).map(Math.fround);
    await fc.assert(
      fc.asyncProperty(fc.array(positive, { minLength: 1, maxLength: 4 }), async (levels) => {
        const { cIn, cNoise, cSkip, cOut } = precondition(tensor(levels), sigmaData);
        const computed = { cIn, cNoise, cSkip, cOut, lambda: lossWeight(tensor(levels), sigmaData) };
        for (const name of ["cIn", "cNoise", "cSkip", "cOut", "lambda"] as const) {
          assertClose(
            await onOracle(computed[name]),
            levels.map((level) => factors(level)[name]),
            name === "cNoise" ? 0.01 : 0,
          );
        }
      }),
      { numRuns: 15 },
    );
  });
});

describe("denoise", () => {
  it("is cSkip x + cOut F(cIn x; ln(sigma) / 4), with labels and without", async () => {
    const input = await onOracle(x);
    for (const given of [labels, null])
      assertClose(await onOracle(denoise(config, parameters, x, sigma, given)), await denoisedByHand(input, given));
  });

  it("hands its taps to the network", () => {
    const names: string[] = [];
    denoise(config, parameters, x, sigma, labels, { tap: (name) => void names.push(name) });
    assert.ok(names.length > 5);
  });
});

describe("logvar", () => {
  it("is one normalized row of weights on Fourier features of ln(sigma) / 4, for each image", async () => {
    const head = logvar(config, parameters, sigma);
    assert.deepEqual(head.shape, [2, 1, 1, 1]);
    assertClose(await onOracle(head), await Promise.all(sigmas.map(headOf)));
  });
});

describe("a network without a loss head", () => {
  const bare = networkConfig({ unet: config.unet, sigmaData, lossHead: false });

  it("has the network's arrays alone", () => {
    assert.deepEqual(Object.keys(describeDenoiser(bare)), ["unet"]);
    assert.deepEqual(describeDenoiser(bare).unet, describeDenoiser(config).unet);
  });

  it("has the weighted error as its loss, and no u", async () => {
    const { unet } = parameters;
    const { loss, error } = edm2Loss(bare, { unet }, x, sigma, noise, labels);
    assert.deepEqual(await onOracle(loss), await onOracle(error));
    const whole = edm2Loss(config, parameters, x, sigma, noise, labels);
    assert.deepEqual(await onOracle(error), await onOracle(whole.error));
    const { logvar_fourier, logvar_linear } = parameters;
    assert.ok(logvar_fourier !== undefined && logvar_linear !== undefined);
    for (const part of [{}, { logvar_fourier }, { logvar_linear }]) {
      assert.throws(() => logvar(bare, part, sigma), {
        code: "value",
        message: "logvar: this network has no loss head (lossHead is false, as in configuration A).",
      });
    }
  });
});

describe("the loss", () => {
  it("takes noise levels whose logarithm is normal", async () => {
    const levels = await onOracle(noiseLevels(tensor([-2, 0, 1.5]), { mean: -0.4, standardDeviation: 1.25 }));
    assertClose(levels, [Math.exp(-2.9), Math.exp(-0.4), Math.exp(1.475)]);
  });

  it("weighs squared errors by lambda, image by image", async () => {
    const [clean, made] = [await onOracle(x), await onOracle(noise)];
    assertClose(
      await onOracle(weightedError(x, noise, sigma, sigmaData)),
      clean.map((value, i) => {
        const { lambda } = factors(sigmas[Math.floor(i / pixels)] ?? NaN);
        return lambda * ((made[i] ?? NaN) - value) ** 2;
      }),
    );
  });

  it("divides errors by what is expected of them and adds its logarithm", async () => {
    const values = await onOracle(uncertaintyLoss(tensor([2, 0.5, 3]), tensor([0.5, -1, 0])));
    assertClose(values, [2 / Math.exp(0.5) + 0.5, 0.5 * Math.E - 1, 3]);
  });

  it("is that of images with their noise added, beside the error in it", async () => {
    const { loss, error } = edm2Loss(config, parameters, x, sigma, noise, labels);
    const [clean, added] = [await onOracle(x), await onOracle(noise)];
    const at = (i: number): number => sigmas[Math.floor(i / pixels)] ?? NaN;
    const noisy = clean.map((value, i) => value + at(i) * (added[i] ?? NaN));
    const denoised = await denoisedByHand(noisy, labels);
    const heads = new Map(await Promise.all(sigmas.map(async (s) => [s, await headOf(s)] as const)));
    const errors = clean.map((value, i) => factors(at(i)).lambda * ((denoised[i] ?? NaN) - value) ** 2);
    assertClose(await onOracle(error), errors, 10);
    const losses = errors.map((each, i) => each / Math.exp(heads.get(at(i)) ?? NaN) + (heads.get(at(i)) ?? NaN));
    assertClose(await onOracle(loss), losses, 10);
  });

  it("shows the network's layers to a tap", () => {
    const names: string[] = [];
    edm2Loss(config, parameters, x, sigma, noise, null, { tap: (name) => void names.push(name) });
    assert.ok(names.length > 5);
  });
});
