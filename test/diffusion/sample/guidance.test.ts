import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import fc from "fast-check";
import {
  DenoiserProgram,
  describeDenoiser,
  FormulaDenoiser,
  networkConfig,
  type NetworkConfig,
} from "../../../diffusion/network/index.ts";
import {
  activeGuides,
  type Guide,
  type GuidedNetwork,
  guideLabels,
  ImageSampler,
  type ImageSamplerOptions,
  sigmaSteps,
} from "../../../diffusion/sample/index.ts";
import { createDevice, randomKey, tensor, zeros } from "../../../engine/index.ts";
import { flattenParameters, initializeParameters, type ParameterSpec } from "../../../nn/index.ts";
import { smallNetwork } from "../training/smallRun.ts";
import { type Asked, noting } from "./asked.ts";

const shape = [2, 1, 1, 3];
const labels = Float32Array.of(1, 0, 0, 1);

const answers = fc.array(fc.integer({ min: -64, max: 64 }), { minLength: 6, maxLength: 6 });
const weights = fc.integer({ min: -12, max: 20 }).map((quarters) => quarters / 4);

describe("guidance", async () => {
  const device = await createDevice("oracle");
  after(() => device.dispose());

  /** A network with one answer. */
  const constant = (answer: readonly number[]) => noting(() => tensor([...answer], { shape }), device);

  /** What comes of one step from 1 to 0: the answer. */
  const sample = async (
    options: Pick<ImageSamplerOptions, "denoiser" | "guides"> & Partial<ImageSamplerOptions>,
  ): Promise<readonly number[]> => {
    const sampler = new ImageSampler({ sigmas: [1, 0], shape, labelDim: 2, ...options });
    try {
      const [sampled] = await sampler.sample([{ source: { normals: zeros(shape) }, labels }]);
      return [...(sampled?.images ?? [])];
    } finally {
      sampler.dispose();
    }
  };

  it("is w D_main + (1 - w) D_guide for one guide", async () => {
    // Small integers and quarters: exact in float32.
    await fc.assert(
      fc.asyncProperty(answers, answers, weights, async (main, guide, weight) => {
        const guides: Guide[] = [{ denoiser: constant(guide), weight, labels: "same" }];
        assert.deepEqual(
          await sample({ denoiser: constant(main), guides }),
          main.map((value, i) => weight * value + (1 - weight) * (guide[i] ?? 0)),
        );
      }),
    );
  });

  it("adds (w_i - 1) (D_main - D_i) for several guides, in any order", async () => {
    const one = fc.record({ answer: answers, weight: weights });
    await fc.assert(
      fc.asyncProperty(answers, fc.array(one, { maxLength: 4 }), async (main, several) => {
        const guides = several.map(({ answer, weight }): Guide => {
          return { denoiser: constant(answer), weight, labels: "none" };
        });
        const expected = main.map((value, i) =>
          several.reduce((sum, { answer, weight }) => sum + (weight - 1) * (value - (answer[i] ?? 0)), value),
        );
        assert.deepEqual(await sample({ denoiser: constant(main), guides }), expected);
        assert.deepEqual(await sample({ denoiser: constant(main), guides: guides.toReversed() }), expected);
      }),
    );
  });

  it("is for two guides that are equal what it is for one with the sum of their pushes", async () => {
    await fc.assert(
      fc.asyncProperty(answers, answers, weights, weights, async (main, guide, one, other) => {
        const guided = (...all: readonly number[]): Promise<readonly number[]> => {
          const guides = all.map((weight): Guide => ({ denoiser: constant(guide), weight, labels: "same" }));
          return sample({ denoiser: constant(main), guides });
        };
        assert.deepEqual(await guided(one, other), await guided(one - 1 + (other - 1) + 1));
      }),
    );
  });

  it("doesn't ask a guide of weight 1, nor change the main answer", async () => {
    const [main, silent, asked] = [
      constant([1, 2, 3, 4, 5, 6]),
      constant([9, 9, 9, 9, 9, 9]),
      constant([0, 0, 0, 0, 0, 0]),
    ];
    const off: Guide = { denoiser: silent, weight: 1, labels: "same" };
    assert.deepEqual(await sample({ denoiser: main, guides: [off] }), [1, 2, 3, 4, 5, 6]);
    const on: Guide = { denoiser: asked, weight: 2, labels: "same" };
    assert.deepEqual(await sample({ denoiser: main, guides: [off, on] }), [2, 4, 6, 8, 10, 12]);
    assert.deepEqual([main.asked.length, silent.asked.length, asked.asked.length], [2, 0, 1]);
  });

  it("gives a guide the labels, or none", async () => {
    const [main, same, none] = [
      constant([1, 2, 3, 4, 5, 6]),
      constant([0, 0, 0, 0, 0, 0]),
      constant([1, 1, 1, 1, 1, 1]),
    ];
    await sample({
      denoiser: main,
      guides: [
        { denoiser: same, weight: 2, labels: "same" },
        { denoiser: none, weight: 2, labels: "none" },
      ],
    });
    const labelled: Asked = { sigma: [1, 1], labels: [1, 0, 0, 1] };
    assert.deepEqual([main.asked, same.asked], [[labelled], [labelled]]);
    assert.deepEqual(none.asked, [{ sigma: [1, 1], labels: null }]);
  });

  it("acts in steps that start within (lo, hi], in both of their evaluations", async () => {
    const sigmas = sigmaSteps({ steps: 6, sigmaMin: 1, sigmaMax: 6, rho: 1 });
    const levels = async (interval: readonly [number, number]): Promise<number[]> => {
      const [main, guide] = [constant([1, 2, 3, 4, 5, 6]), constant([0, 0, 0, 0, 0, 0])];
      await sample({ denoiser: main, guides: [{ denoiser: guide, weight: 3, labels: "same" }], interval, sigmas });
      assert.equal(main.asked.length, 11);
      return guide.asked.map(({ sigma }) => sigma[0] ?? NaN);
    };
    // Steps start at 6, 5, 4, 3, 2, 1; each but the last asks at its end, too.
    assert.deepEqual(await levels([2, 4]), [4, 3, 3, 2]);
    assert.deepEqual(await levels([1.5, 3.5]), [3, 2, 2, 1]);
    assert.deepEqual(await levels([0, 1]), [1]);
    assert.deepEqual(await levels([5, 6]), [6, 5]);
    assert.deepEqual(await levels([6, 80]), []);
    assert.equal((await levels([0, Infinity])).length, 11);
  });

  it("decides by the level before churn", async () => {
    const [main, guide] = [constant([1, 2, 3, 4, 5, 6]), constant([0, 0, 0, 0, 0, 0])];
    const guides: Guide[] = [{ denoiser: guide, weight: 3, labels: "same" }];
    const sampler = new ImageSampler({
      denoiser: main,
      guides,
      interval: [0, 2],
      sigmas: [2, 1, 0],
      shape,
      labelDim: 2,
      sChurn: 1,
    });
    await sampler.sample([{ source: { normals: zeros(shape) }, labels, churnNoise: () => zeros(shape) }]);
    sampler.dispose();
    const levels = guide.asked.map(({ sigma }) => sigma[0] ?? NaN);
    assert.equal(levels.length, 3);
    assert.ok((levels[0] ?? 0) > 2.8 && levels[1] === 1);
  });

  it("refuses weights, intervals and guides that make no sense", async () => {
    const denoiser = constant([1, 2, 3, 4, 5, 6]);
    const guided = (weight: number, interval?: readonly [number, number]) => () =>
      activeGuides([{ denoiser, weight, labels: "same" }], interval);
    for (const weight of [NaN, Infinity]) assert.throws(guided(weight), { code: "value", message: /weight/ });
    for (const interval of [
      [-1, 2],
      [2, 2],
      [3, 2],
      [NaN, 1],
      [0, NaN],
    ] as const) {
      assert.throws(guided(2, interval), { code: "value", message: /expected 0 <= lo < hi/ });
    }
    const small = new FormulaDenoiser(() => zeros([2, 1, 1, 1]), device);
    await assert.rejects(sample({ denoiser, guides: [{ denoiser: small, weight: 2, labels: "same" }] }), {
      code: "shape",
      message: /evaluation\.answer is Tensor\(f32 \[2, 1, 1, 1\]\), expected Tensor\(f32 \[2, 1, 1, 3\]\)/,
    });
    const specs = flattenParameters<ParameterSpec>(describeDenoiser(smallNetwork));
    const network = await DenoiserProgram.create(smallNetwork, initializeParameters(specs, randomKey(0)), device);
    await assert.rejects(sample({ denoiser, guides: [{ denoiser: network, weight: 2, labels: "none" }] }), {
      code: "shape",
      message: /the images are \[2, 1, 1, 3\], the network's \[N, 3, 8, 8\]\. Networks that are sampled together must/,
    });
    network.dispose();
    const elsewhere = await createDevice("oracle");
    const guide: Guide = { denoiser: new FormulaDenoiser((x) => x, elsewhere), weight: 2, labels: "same" };
    await assert.rejects(sample({ denoiser, guides: [guide] }), { code: "device", message: /on another device/ });
    elsewhere.dispose();
  });
});

describe("guideLabels", () => {
  const network = (labelDim: number, imageResolution = 16, imageChannels = 3): NetworkConfig =>
    networkConfig({ unet: { imageResolution, imageChannels, labelDim } });
  const main = { name: "main.safetensors", config: network(9) };
  const guide = (config: NetworkConfig): GuidedNetwork => ({ name: "guide.safetensors", config });

  it("gives a guide the labels that it knows", () => {
    assert.equal(guideLabels(main, guide(network(9))), "same");
    assert.equal(guideLabels(main, guide(network(0))), "none");
    assert.equal(guideLabels(main, "self"), "none");
  });

  it("refuses networks that don't fit", () => {
    const refused = (other: GuidedNetwork | "self", message: RegExp, of = main): void =>
      assert.throws(() => guideLabels(of, other), { code: "value", message });
    refused(guide(network(8)), /main\.safetensors knows 9 classes and its guide guide\.safetensors 8/);
    refused(guide(network(9, 32)), /images of 3x16x16 and its guide guide\.safetensors of 3x32x32/);
    refused(guide(network(9, 16, 1)), /of 1x16x16; they must be alike/);
    refused("self", /net takes no labels, so that it can't guide itself/, { name: "net", config: network(0) });
  });
});
