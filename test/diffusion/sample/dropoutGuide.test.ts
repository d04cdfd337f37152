import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import fc from "fast-check";
import {
  type Denoiser,
  DenoiserProgram,
  type DenoiserParameters,
  denoise,
  describeDenoiser,
  FormulaDenoiser,
  imageDropout,
  type NetworkConfig,
} from "../../../diffusion/network/index.ts";
import {
  dropoutKeys,
  type GenerateOptions,
  generateImages,
  imageKeys,
  ImageSampler,
  startNoise,
} from "../../../diffusion/sample/index.ts";
import {
  compile,
  foldIn,
  getDevice,
  ones,
  randomKey,
  scalar,
  type Tensor,
  tensor,
  zeros,
} from "../../../engine/index.ts";
import {
  flattenParameters,
  initializeParameters,
  nestParameters,
  type NamedParameters,
  type ParameterSpec,
} from "../../../nn/index.ts";
import { smallNetwork } from "../training/smallRun.ts";

const device = await getDevice("wasm");
const trained: NetworkConfig = { ...smallNetwork, unet: { ...smallNetwork.unet, dropout: 0.3 } };
const specs = flattenParameters<ParameterSpec>(describeDenoiser(trained));
// Of a drawn network the gains are 0, so that what its layers compute wouldn't be seen.
const weights: NamedParameters = Object.fromEntries(
  Object.entries(initializeParameters(specs, randomKey(2))).map(([name, value]) => [
    name,
    value.rank === 0 ? scalar(1) : value,
  ]),
);
const network = await DenoiserProgram.create(trained, weights, device);
const plain = await DenoiserProgram.create(smallNetwork, weights, device);
after(() => {
  network.dispose();
  plain.dispose();
});

const common: Omit<GenerateOptions, "seeds" | "denoiser"> = { imageShape: [3, 8, 8], labelDim: 4, steps: 3 };
const guided = (denoiser: Denoiser, weight: number): Partial<GenerateOptions> => ({
  guides: [{ denoiser, weight, labels: "same" }],
});

/** Images by seed. */
async function images(
  options: Partial<GenerateOptions> & Pick<GenerateOptions, "seeds">,
): Promise<Map<number, Float32Array>> {
  const found = new Map<number, Float32Array>();
  for await (const { images: all, seeds } of generateImages({ denoiser: network, ...common, ...options })) {
    for (const [i, seed] of seeds.entries()) found.set(seed, all.slice(192 * i, 192 * (i + 1)));
  }
  return found;
}

describe("a network guided by itself with dropout on", () => {
  it("gives a seed the same bits in any batch and order", async () => {
    const options = guided(network.withDropout(), 1.7);
    const seeds = [5, 3, 11, 2, 8];
    const whole = await images({ ...options, seeds });
    for (const other of [{ seeds, batch: 2 }, { seeds: seeds.toReversed(), batch: 3 }, { seeds: [11] }]) {
      for (const [seed, image] of await images({ ...options, ...other })) assert.deepEqual(image, whole.get(seed));
    }
    assert.notDeepEqual(whole, await images({ seeds }));
  });

  it("isn't guided by a dropout of 0, or a weight of 1", async () => {
    const seeds = [1, 2];
    const unguided = await images({ seeds });
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: -8, max: 12 }), async (weight) => {
        assert.deepEqual(await images({ seeds, ...guided(network.withDropout(0), weight / 4) }), unguided);
      }),
      { numRuns: 5 },
    );
    assert.deepEqual(await images({ seeds, ...guided(network.withDropout(0.5), 1) }), unguided);
  });

  it("is pushed from what the same network answers with masks of the image, the step and the layer", async () => {
    const [probability, sigma, seeds] = [0.4, 2, [7, 9]] as const;
    const labels = Float32Array.of(0, 1, 0, 0, 0, 0, 1, 0);
    const once = async (guides: GenerateOptions["guides"]): Promise<readonly number[]> => {
      const own = new ImageSampler({
        denoiser: plain,
        ...(guides === undefined ? {} : { guides }),
        sigmas: [sigma, 0],
        shape: [2, 3, 8, 8],
        labelDim: 4,
      });
      const [sampled] = await own.sample([{ source: { keys: imageKeys(seeds) }, labels }]);
      own.dispose();
      return [...(sampled?.images ?? [])];
    };
    // From one step to 0 comes the guided answer. At weight 0 of a single guide it is the guide's own.
    const dropped = await once([{ denoiser: plain.withDropout(probability), weight: 0, labels: "same" }]);
    const config = { ...smallNetwork, unet: { ...smallNetwork.unet, dropout: probability } };
    const reference = compile(
      (named: NamedParameters, noise: Tensor, classes: Tensor) => {
        const keys = dropoutKeys(imageKeys(seeds), scalar(0, "u32"));
        const run = imageDropout((layer) => foldIn(keys, layer));
        const level = ones([2]).multiply(sigma);
        return denoise(config, nestParameters<DenoiserParameters>(named), noise, level, classes, run);
      },
      { device: "oracle" },
    );
    const noise = await startNoise(imageKeys(seeds), [3, 8, 8]).multiply(sigma).data("f32");
    const truth = await reference(weights, tensor(noise, { shape: [2, 3, 8, 8] }), tensor(labels, { shape: [2, 4] }));
    const expected = await truth.data();
    reference.dispose();
    // Some hundred roundings of 2^-24 on values of about 1; a wrong mask changes them by tenths.
    for (const [i, value] of dropped.entries()) assert.ok(Math.abs(value - (expected[i] ?? NaN)) < 1e-4, `${i}`);
    const own = await once(undefined);
    assert.ok(own.some((value, i) => Math.abs(value - (dropped[i] ?? 0)) > 1e-2));
  });

  it("draws keys by image and step, the same for both evaluations of a step", async () => {
    const formula = new FormulaDenoiser((x) => x.multiply(0.5), device);
    const asked: string[][] = [];
    const spy: Denoiser = {
      device,
      hasDropout: true,
      async evaluate(state) {
        const keys = await state.read(({ evaluation }) => evaluation.dropoutKeys ?? zeros([0, 2]));
        const words = [...(await keys.data())];
        asked.push([0, 1].map((image) => words.slice(2 * image, 2 * image + 2).join()));
        await formula.evaluate(state);
      },
    };
    const seeds = [4, 6];
    const sampled = generateImages({
      denoiser: formula,
      imageShape: [1, 1, 2],
      steps: 3,
      seeds,
      networkBatch: 2,
      ...guided(spy, 2),
    });
    for await (const { shape } of sampled) assert.deepEqual(shape, [2, 1, 1, 2]);
    formula.dispose();
    // Heun asks twice in each step but the last.
    assert.equal(asked.length, 5);
    assert.deepEqual([asked[0], asked[2]], [asked[1], asked[3]]);
    assert.equal(new Set(asked.flat()).size, 6);
    for (const [step, evaluation] of [0, 2, 4].entries()) {
      const words = [...(await dropoutKeys(imageKeys(seeds), scalar(step, "u32")).data())];
      assert.deepEqual(asked[evaluation]?.join(), words.join());
    }
  });

  it("takes the probability that it was trained with, and refuses what is none", async () => {
    const seeds = [1];
    assert.deepEqual(
      await images({ seeds, ...guided(network.withDropout(), 2) }),
      await images({ seeds, ...guided(network.withDropout(0.3), 2) }),
    );
    for (const bad of [-0.1, 1, NaN]) {
      assert.throws(() => network.withDropout(bad), { code: "value", message: /from 0 to below 1/ });
    }
    assert.throws(() => plain.withDropout(), { code: "value", message: /trained without dropout.*such as 0\.1/ });
    const sampler = new ImageSampler({
      denoiser: network,
      guides: [{ denoiser: network.withDropout(), weight: 2, labels: "same" }],
      sigmas: [1, 0],
      shape: [1, 3, 8, 8],
      labelDim: 4,
    });
    const part = { source: { normals: zeros([1, 3, 8, 8]) }, labels: new Float32Array(4) };
    await assert.rejects(sampler.sample([part]), { code: "value", message: /draws by the images' seeds/ });
    sampler.dispose();
  });
});
