/** Student-t noise: its distribution, and where it is used. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import { noiseVariance, studentNoise } from "../../../diffusion/network/index.ts";
import { addNoise, imageKeys, ImageSampler, type ImageSamplerOptions } from "../../../diffusion/sample/index.ts";
import { drawNoise } from "../../../diffusion/training/index.ts";
import {
  createDevice,
  type Device,
  EvenkeelError,
  evaluate,
  ones,
  randomKey,
  randomNormal,
  splitKey,
  tensor,
  zeros,
} from "../../../engine/index.ts";
import { smallOptions } from "../training/smallRun.ts";
import { onOracle } from "../../nn/onOracle.ts";

let device: Device;
before(async () => {
  device = await createDevice("wasm", { wasm: { threads: 1 } });
});
after(() => device.dispose());

/** The factor of each image, by which its noise is larger than its normals; fails unless all its pixels have the same. */
function factorsOf(noise: readonly number[], normals: readonly number[], images: number): number[] {
  const size = normals.length / images;
  return Array.from({ length: images }, (_, i) => {
    const factor = (noise[i * size] ?? NaN) / (normals[i * size] ?? NaN);
    for (let p = i * size; p < (i + 1) * size; p++) {
      const wanted = factor * (normals[p] ?? NaN);
      assert.ok(Math.abs((noise[p] ?? NaN) - wanted) <= 4 * 2 ** -24 * Math.abs(wanted));
    }
    return factor;
  });
}

describe("Student-t noise", () => {
  it("is normals over the root of chi-squared over its degrees of freedom, one an image", async () => {
    const n = 2 ** 16;
    for (const noiseDf of [4, 10]) {
      const factors = await evaluate(studentNoise(ones([n, 1]), splitKey(randomKey(noiseDf), n), noiseDf), device);
      const half = Float64Array.from(factors, (factor) => noiseDf / factor ** 2 / 2).sort();
      // Chi-squared with an even number of degrees is below 2 x with probability 1 - e^-x (1 + x + x^2 / 2 + ...).
      const below = (x: number): number => {
        let [term, sum] = [1, 1];
        for (let k = 1; k < noiseDf / 2; k++) sum += term *= x / k;
        return 1 - Math.exp(-x) * sum;
      };
      const distance = half.reduce((most, x, i) => Math.max(most, (i + 1) / n - below(x), below(x) - i / n), 0);
      // Massart's bound, which a perfect generator breaks with one seed in 1e9.
      assert.ok(distance < Math.sqrt(Math.log(2e9) / (2 * n)), `${noiseDf}: ${distance}`);
    }
  });

  it("has the variance that preconditioning takes it to have", () => {
    // The mean of nu / chi-squared by Simpson's rule over its density x^(nu/2 - 1) e^(-x/2), for even nu.
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 20 }), (half) => {
        const mass = (power: number): number => {
          const [steps, reach] = [4000, 400];
          const value = (i: number): number => {
            const x = (i * reach) / steps;
            return x === 0 ? (power === 0 ? 1 : 0) : Math.exp(power * Math.log(x) - x / 2);
          };
          let sum = value(0) + value(steps);
          for (let i = 1; i < steps; i++) sum += (i % 2 === 1 ? 4 : 2) * value(i);
          return sum;
        };
        const variance = (2 * half * mass(half - 2)) / mass(half - 1);
        assert.ok(Math.abs(variance / noiseVariance(2 * half) - 1) < 1e-6, `${variance}`);
      }),
    );
    assert.equal(noiseVariance(0), 1);
  });

  it("is Gaussian noise for as many degrees of freedom as there are, and the normals themselves for 0", async () => {
    const normals = randomNormal(randomKey(1), [500, 1, 2, 2]);
    const keys = splitKey(randomKey(2), 500);
    const [plain, many] = [await onOracle(normals), await onOracle(studentNoise(normals, keys, 1e8))];
    assert.equal(studentNoise(normals, keys, 0), normals);
    // Chi-squared over nu is within 6 sqrt(2 / nu) of 1 but for 1 image in 1e9, and its root within half of that.
    const bound = 3 * Math.sqrt(2e-8) + 4 * 2 ** -24;
    plain.forEach((z, i) => assert.ok(Math.abs((many[i] ?? NaN) - z) <= bound * Math.abs(z)));
  });

  it("is drawn by an image's position in training, beside the normals that it would have else", async () => {
    const options = (noiseDf: number) => ({ ...smallOptions, network: { ...smallOptions.network, noiseDf } });
    const draw = async (noiseDf: number, positions: readonly number[]): Promise<readonly number[]> => {
      const images = zeros([positions.length, 3, 8, 8]);
      const batch = { images, labels: null, positions: tensor(Uint32Array.from(positions)) };
      return onOracle(drawNoise(options(noiseDf), randomKey(3), batch).noise);
    };
    const [heavy, normals] = [await draw(3, [0, 1, 2, 3]), await draw(0, [0, 1, 2, 3])];
    const factors = factorsOf(heavy, normals, 4);
    assert.equal(new Set(factors).size, 4);
    assert.deepEqual(await draw(3, [2]), heavy.slice(2 * 192, 3 * 192));
  });

  const sample = async (noiseDf: number, more: Partial<ImageSamplerOptions> = {}) => {
    // Answers nothing, so that images end as 0, and their noise is told.
    const denoiser = { device, noiseDf, evaluate: async () => undefined };
    const sampler = new ImageSampler({ denoiser, sigmas: [2, 1, 0], shape: [3, 1, 2, 2], labelDim: 0, ...more });
    try {
      const [part] = await sampler.sample([{ source: { keys: imageKeys([5, 6, 7]) }, labels: null }]);
      return [...(part?.noise ?? [])];
    } finally {
      sampler.dispose();
    }
  };

  it("is what sampling begins with, and what addNoise adds", async () => {
    const factors = factorsOf(await sample(3), await sample(0), 3);
    assert.equal(new Set(factors).size, 3);
    const added = await addNoise(new Float32Array(12), [1, 2, 2], 1, [5, 6, 7], device, 3);
    assert.deepEqual([...added], await sample(3));
  });

  it("goes with neither churn nor a guide that removes other noise", async () => {
    const refuses = (words: RegExp) => (error: unknown) =>
      error instanceof EvenkeelError && error.code === "value" && words.test(error.message);
    await assert.rejects(
      sample(3, { sChurn: 1 }),
      refuses(/churn adds Gaussian noise, and this network removes Student-t/),
    );
    const guide = { denoiser: { device, evaluate: async () => undefined }, weight: 2, labels: "same" } as const;
    await assert.rejects(sample(3, { guides: [guide] }), refuses(/of 3 degrees of freedom, a guide Gaussian noise/));
  });
});
