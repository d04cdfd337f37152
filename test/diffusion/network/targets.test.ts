/** What the raw network predicts: laws of the factors around it, for every target and noise. */
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import fc from "fast-check";
import {
  denoise,
  type DenoiserParameters,
  describeDenoiser,
  lossWeight,
  networkConfig,
  noiseVariance,
  precondition,
  predictionTargets,
} from "../../../diffusion/network/index.ts";
import { Validator } from "../../../diffusion/training/index.ts";
import { createDevice, EvenkeelError, ones, randomKey, tensor } from "../../../engine/index.ts";
import { flattenParameters, initializeParameters, nestParameters, type ParameterSpec } from "../../../nn/index.ts";
import { onOracle } from "../../nn/onOracle.ts";

const unet = {
  imageResolution: 4,
  imageChannels: 1,
  labelDim: 0,
  modelChannels: 4,
  channelMult: [1],
  numBlocks: 1,
  attnResolutions: [],
};

const cases = fc.record({
  target: fc.constantFrom(...predictionTargets),
  noiseDf: fc.constantFrom(0, 2.5, 4, 30),
  sigmaData: fc.double({ min: 0.1, max: 4, noNaN: true }),
  level: fc.double({ min: Math.log(0.002), max: Math.log(80), noNaN: true }),
});
type Case = typeof cases extends fc.Arbitrary<infer T> ? T : never;

/** The factors as float64 numbers computed them, rounded to float32, with the noise's deviation. */
async function factorsOf({ target, noiseDf, sigmaData, level }: Case) {
  const sigma = Math.fround(Math.exp(level));
  const { cSkip, cOut, cIn, cNoise } = precondition(tensor([sigma]), sigmaData, { target, noiseDf });
  const [skip = NaN] = await onOracle(cSkip);
  const [out = NaN] = await onOracle(cOut);
  const [input = NaN] = await onOracle(cIn);
  const [noise = NaN] = await onOracle(cNoise);
  const [lambda = NaN] = await onOracle(lossWeight(tensor([sigma]), sigmaData, { target, noiseDf }));
  return { skip, out, input, noise, lambda, deviation: sigma * Math.sqrt(noiseVariance(noiseDf)) };
}

/** Results are rounded to float32 once, each by 2^-24 of itself. */
const ulp = 2 ** -24;
const near = (got: number, wanted: number, bound: number): void =>
  assert.ok(Math.abs(got - wanted) <= bound, `${got}, expected ${wanted} within ${bound}`);

describe("prediction targets", () => {
  it("weigh the error by 1 / cOut^2", () =>
    fc.assert(
      fc.asyncProperty(cases, async (each) => {
        const { lambda, out } = await factorsOf(each);
        near(lambda * out ** 2, 1, 4 * ulp);
      }),
    ));

  it("have outputs and inputs of unit variance to learn", () =>
    fc.assert(
      fc.asyncProperty(cases, async (each) => {
        const { skip, out, input, deviation } = await factorsOf(each);
        const { sigmaData } = each;
        // F is to be (image - cSkip (image + noise)) / cOut: parts of the image and of the noise, which don't depend on each other.
        const [image, noise] = [((1 - skip) / out) * sigmaData, (skip / out) * deviation];
        // What 1 - cSkip loses beside cOut: cSkip is wrong by 2^-24, where sigma is small cOut is about sigma.
        const lost = (ulp * sigmaData) / Math.abs(out);
        near(image ** 2 + noise ** 2, 1, 8 * ulp + 4 * lost);
        near(input ** 2 * (sigmaData ** 2 + deviation ** 2), 1, 8 * ulp);
      }),
    ));

  it("know the noise level alike: a quarter of the logarithm of its deviation", () =>
    fc.assert(
      fc.asyncProperty(cases, async (each) => {
        const { noise, deviation } = await factorsOf(each);
        near(noise, Math.log(deviation) / 4, 2 * ulp);
      }),
    ));

  it("give the same image for Gaussian data where F is exact, of which the variance is known", () =>
    fc.assert(
      fc.asyncProperty(cases, fc.double({ min: -3, max: 3, noNaN: true }), async (each, z) => {
        const { skip, out, deviation } = await factorsOf(each);
        const { sigmaData, target } = each;
        const total = sigmaData ** 2 + deviation ** 2;
        // The best answer for x is a share of it.
        const share = sigmaData ** 2 / total;
        const factor = (share - skip) / out;
        const variance = { v: 0, x: sigmaData ** 2 / total, eps: deviation ** 2 / total }[target];
        // The share is exact and cSkip is rounded: 2^-24 over cOut, on x of deviation sqrt(total).
        const lost = (ulp * Math.sqrt(total)) / Math.abs(out);
        near(factor ** 2 * total, variance, 8 * ulp + 4 * lost);
        const x = z * Math.sqrt(total);
        near(skip * x + out * factor * x, share * x, 8 * ulp * Math.abs(x));
      }),
    ));

  it("answer so before training, when the raw network gives 0", async () => {
    const answers = { v: 0.5, x: 0, eps: 1 };
    for (const target of predictionTargets) {
      const config = networkConfig({ unet, target });
      const specs = flattenParameters<ParameterSpec>(describeDenoiser(config));
      const parameters = nestParameters<DenoiserParameters>(initializeParameters(specs, randomKey(0)));
      const answer = denoise(config, parameters, ones([1, 1, 4, 4]), tensor([0.5]), null);
      assert.deepEqual(await onOracle(answer), new Array(16).fill(answers[target]), target);
    }
  });

  it("are validated by one weight, so that they can be compared", async () => {
    const device = await createDevice("wasm", { wasm: { threads: 1 } });
    after(() => device.dispose());
    const config = networkConfig({ unet, target: "x" });
    const specs = flattenParameters<ParameterSpec>(describeDenoiser(config));
    const validator = new Validator(config, device, 2);
    const images = Float32Array.from({ length: 32 }, (_, i) => Math.sin(i));
    const weights = initializeParameters(specs, randomKey(0));
    // The answer is 0, so that the error is the images themselves by v's lambda.
    const square = images.reduce((sum, x) => sum + x ** 2, 0) / 32;
    for (const { sigma, error } of await validator.measure(weights, { images, labels: null }, [0.1, 3])) {
      near(error, (square * (sigma ** 2 + 0.25)) / (sigma * 0.5) ** 2, 1e-5 * error);
    }
    validator.dispose();
  });

  it("are part of a network's description: v and Gaussian noise where it doesn't say", () => {
    const old = networkConfig({ unet });
    assert.deepEqual([old.target, old.noiseDf], ["v", 0]);
    const given = networkConfig({ unet, target: "eps", noiseDf: 5 });
    assert.deepEqual(networkConfig(JSON.parse(JSON.stringify(given)) as typeof given), given);
    const refuses = (options: object, words: RegExp): void =>
      assert.throws(
        () => networkConfig({ unet, ...options }),
        (error) => error instanceof EvenkeelError && error.code === "value" && words.test(error.message),
      );
    refuses({ target: "y" }, /target is "y", expected one of v, x, eps/);
    for (const noiseDf of [2, 1, -1, NaN, "5"]) refuses({ noiseDf }, /noiseDf is .*, expected a finite number above 2/);
  });
});
