/** Denoisers of every configuration: their published sizes, loss heads and recipes, and what training does to them. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createDevice, randomKey, randomNormal, type Tensor, tensor, zeros } from "../../../engine/index.ts";
import {
  attentionResolutions,
  configurationNetwork,
  paperRecipes,
  presetNetwork,
  presetOf,
  presets,
  trainingRecipe,
} from "../../../diffusion/presets/index.ts";
import {
  countNetwork,
  denoise,
  type DenoiserParameters,
  describeDenoiser,
  edm2Loss,
  edmParameterName,
  logvar,
  networkConfig,
  networkConfigFromEdm,
} from "../../../diffusion/network/index.ts";
import {
  type LayerMagnitude,
  MagnitudeProbe,
  normalizeWeights,
  Trainer,
  type TrainingOptions,
} from "../../../diffusion/training/index.ts";
import { parseSnapshotMetadata, snapshotMetadata } from "../../../diffusion/snapshot/index.ts";
import {
  configurationNames,
  type ConfigurationName,
  flattenParameters,
  initializeParameters,
  nestParameters,
  type ParameterSpec,
} from "../../../nn/index.ts";
import { onOracle } from "../../nn/onOracle.ts";
import { smallBatch, smallOptions } from "../training/smallRun.ts";

/** Published counts. Section 1.1: with the loss head for G, without it for the others. */
const published: Readonly<Record<ConfigurationName, number>> = {
  A: 295_902_724,
  B: 291_757_828,
  C: 277_816_512,
  D: 277_816_512,
  E: 277_816_512,
  F: 280_212_672,
  G: 280_212_837,
};

const small = (name: ConfigurationName, channels = 8) =>
  configurationNetwork(
    name,
    {
      imageResolution: 8,
      imageChannels: 3,
      labelDim: 4,
      modelChannels: channels,
      channelMult: [1, 2],
      numBlocks: 1,
      attnResolutions: [4],
      channelsPerHead: channels,
      dropout: 0,
    },
    { logvarChannels: 8 },
  );

describe("sizes", () => {
  it("at the paper's size S are the published ones", () => {
    const heads = { A: 0, B: 129, C: 128, D: 128, E: 128, F: 128, G: 128 };
    for (const name of configurationNames) {
      const count = countNetwork(presetNetwork(name, presetOf("edm2-img512-s")));
      assert.equal(count.lossHeadParameters, heads[name], name);
      assert.equal(count.parameters - (name === "G" ? 0 : count.lossHeadParameters), published[name], name);
      // A and B have norms beside their layers, G has gains: nothing else is left out of the list.
      const inLayers = count.layers.reduce((sum, { parameters }) => sum + parameters, 0);
      if (name === "G") assert.equal(count.parameters - inLayers, 37);
      else assert.equal(count.parameters > inLayers, name < "C", name);
    }
  });

  it("of attention: A has it at one resolution more than B, G as many heads as channels allow", () => {
    const blocks = (name: ConfigurationName): number =>
      countNetwork(presetNetwork(name, presetOf("edm2-img512-s"))).layers.filter(({ name: layer }) =>
        layer.endsWith("attn.logits"),
      ).length;
    assert.deepEqual([blocks("A"), blocks("B"), blocks("G")], [22, 15, 15]);
    assert.deepEqual(attentionResolutions("A", [16, 8], 64), [32, 16, 8]);
    assert.deepEqual(attentionResolutions("A", [8], 16), [8]);
    assert.deepEqual(attentionResolutions("A", [], 16), []);
    assert.deepEqual(attentionResolutions("B", [16, 8], 64), [16, 8]);
  });

  it("at the scale of every small preset can be built", () => {
    for (const [preset, settings] of Object.entries(presets)) {
      if (preset.startsWith("edm2-")) continue;
      for (const name of configurationNames) {
        assert.ok(countNetwork(presetNetwork(name, settings)).parameters > 0, `${preset} ${name}`);
      }
    }
  });

  it("of multiply-adds of heads that aren't of the wanted width count what is there", () => {
    const unet = { imageResolution: 8, imageChannels: 1, labelDim: 0, modelChannels: 24, channelMult: [1, 1] };
    const of = (channelsPerHead: number): number =>
      countNetwork(
        networkConfig({ unet: { ...unet, attnResolutions: [], numBlocks: 1, channelsPerHead } }),
      ).layers.find(({ name }) => name === "dec.4x4_in0.attn.logits")?.macs ?? NaN;
    // One head of 24 channels: 16 x 16 products of 24 terms.
    assert.equal(of(16), 16 * 16 * 24);
    assert.equal(of(12), of(24));
  });
});

describe("a loss head", () => {
  const drawn = (name: ConfigurationName): DenoiserParameters =>
    nestParameters<DenoiserParameters>(
      initializeParameters(flattenParameters<ParameterSpec>(describeDenoiser(small(name))), randomKey(3)),
    );
  const sigma = tensor([0.1, 1, 10]);

  it("is not there in A, whose loss is the weighted error", async () => {
    const [network, parameters] = [small("A"), drawn("A")];
    assert.deepEqual(Object.keys(describeDenoiser(network)), ["unet"]);
    assert.throws(() => logvar(network, parameters, sigma), /no loss head/);
    const noise = randomNormal(randomKey(5), [3, 3, 8, 8]);
    const { loss, error } = edm2Loss(network, parameters, zeros([3, 3, 8, 8]), sigma, noise, null);
    assert.deepEqual(await onOracle(loss), await onOracle(error));
  });

  it("has a bias in B, none in C, and unit weights and features where the network has them", async () => {
    const values = async (name: ConfigurationName, named: Record<string, Tensor>): Promise<readonly number[]> =>
      onOracle(logvar(small(name), { ...drawn(name), ...nestParameters(named) }, sigma));
    const features = {
      "logvar_fourier.freqs": zeros([8]),
      "logvar_fourier.phases": zeros([8]),
    };
    const close = (got: readonly number[], expected: number): void => {
      for (const value of got) assert.ok(Math.abs(value - expected) < 1e-3, `${value} ${expected}`);
    };
    const weight = { "logvar_linear.weight": tensor([Array.from({ length: 8 }, () => 2)]) };
    // Each of 8 features is 1.
    close(await values("B", { ...features, ...weight, "logvar_linear.bias": tensor([0.5]) }), 8 * 2 + 0.5);
    close(await values("C", { ...features, ...weight }), 8 * 2);
    for (const name of ["D", "E", "F"] as const) close(await values(name, { ...features, ...weight }), Math.sqrt(8));
    close(await values("G", { ...features, ...weight }), Math.SQRT2 * Math.sqrt(8));
  });

  it("is remembered by snapshots, like every switch", () => {
    for (const name of configurationNames) {
      const info = { network: small(name), nimg: 8, sigmaRel: 0.1, classNames: null };
      const read = parseSnapshotMetadata(new Map(Object.entries(snapshotMetadata(info))), "test");
      assert.deepEqual(read, { ...info, seenLabels: null });
    }
  });
});

describe("recipes", () => {
  it("are the published ones at the published size", () => {
    const rates = configurationNames.map((name) => paperRecipes[name].learningRate.reference);
    assert.deepEqual(rates, [0.0001, 0.0002, 0.0002, 0.01, 0.01, 0.01, 0.01]);
    const { A, B, D, E, F, G } = paperRecipes;
    assert.deepEqual([A.batch, B.batch, G.batch], [4096, 2048, 2048]);
    assert.deepEqual([A.noise.mean, A.noise.standardDeviation], [-1.2, 1.2]);
    assert.deepEqual([B.noise.mean, B.noise.standardDeviation], [-0.4, 1]);
    assert.deepEqual([A.adam.beta2, B.adam.beta2, G.adam.beta2], [0.999, 0.99, 0.99]);
    assert.deepEqual([D.learningRate.referenceBatches, E.learningRate.referenceBatches], [0, 70000]);
    assert.deepEqual([A.dropout, F.dropout, G.dropout], [0.1, 0.1, 0]);
    assert.deepEqual(
      configurationNames.map((name) => paperRecipes[name].lossScaling),
      [100, 100, 100, 1, 1, 1, 1],
    );
    assert.deepEqual(
      configurationNames.map((name) => paperRecipes[name].lossWeighting === "uncertainty"),
      [false, true, true, true, true, true, true],
    );
    assert.deepEqual(B.averaging, { kind: "powerFunction", sigmaRels: [0.05, 0.1] });
    assert.ok(A.averaging.kind === "exponential" && Math.abs(A.averaging.halfLife - 50e6) < 1);
  });

  it("of G are the preset's own, and a preset's own rates win", () => {
    for (const preset of Object.values(presets)) {
      const { batch, learningRate, noise, dropout } = trainingRecipe("G", preset);
      assert.deepEqual(
        [batch, learningRate.reference, learningRate.referenceBatches, learningRate.rampUpMimg, noise.mean, dropout],
        [preset.batch, preset.lr, preset.decay, preset.rampup, preset.P_mean, preset.dropout],
      );
    }
    const preset = { ...presetOf("smoke"), lrOf: { C: 0.125 } };
    assert.equal(trainingRecipe("C", preset).learningRate.reference, 0.125);
    assert.equal(trainingRecipe("B", preset).learningRate.reference, preset.lr * 0.02);
    assert.equal(trainingRecipe("B", presetOf("smoke")).learningRate.reference, presetOf("smoke").lrOf?.B);
  });
});

describe("EDM's names", () => {
  it("of arrays and options", () => {
    assert.equal(edmParameterName("unet.enc.8x8_block0.conv_res0.weight"), "model.enc.8x8_block0.conv0.weight");
    assert.equal(edmParameterName("unet.emb_second.bias"), "model.map_layer1.bias");
    assert.equal(edmParameterName("unet.out_norm.weight"), "model.out_norm.weight");
    const options = { img_resolution: 64, img_channels: 3, label_dim: 1000, augment_dim: 0, use_fp16: false };
    const { unet, lossHead } = networkConfigFromEdm(options);
    assert.deepEqual([unet.attnResolutions, unet.channelMultEmb, lossHead], [[32, 16, 8], 4, false]);
    // That of the ladder but for the images' channels: 3 instead of 4, in two convolutions and a bias.
    assert.equal(countNetwork(networkConfigFromEdm(options)).parameters, published.A - 2 * 192 * 9 - 1);
    assert.throws(() => networkConfigFromEdm({ ...options, warp: 9 }), /unknown option warp = 9/);
    assert.throws(() => networkConfigFromEdm({ img_channels: 3, label_dim: 0 }), /img_resolution is missing/);
  });

  it("of an augmentation's vector: without one, or of zeros, nothing changes", async () => {
    const options = { img_resolution: 8, img_channels: 1, label_dim: 0, model_channels: 8, channel_mult: [1] };
    const config = networkConfigFromEdm({
      ...options,
      num_blocks: 1,
      attn_resolutions: [],
      channels_per_head: 8,
      augment_dim: 2,
    });
    const specs = flattenParameters<ParameterSpec>(describeDenoiser(config));
    assert.deepEqual(specs["unet.emb_augment.weight"]?.shape, [8, 2]);
    assert.ok(!("unet.emb_augment.bias" in specs));
    const random = Object.fromEntries(
      Object.entries(specs).map(([name, spec]): [string, ParameterSpec] => [
        name,
        { ...spec, init: { kind: "normal", scale: 1 } },
      ]),
    );
    const parameters = nestParameters<DenoiserParameters>(initializeParameters(random, randomKey(1)));
    const x = randomNormal(randomKey(2), [1, 1, 8, 8]);
    const of = async (augmentLabels?: Tensor): Promise<readonly number[]> =>
      onOracle(denoise(config, parameters, x, tensor([1]), null, augmentLabels === undefined ? {} : { augmentLabels }));
    assert.deepEqual(await of(zeros([1, 2])), await of());
    assert.notDeepEqual(await of(tensor([[1, 0]])), await of());
    assert.throws(
      () => denoise(config, parameters, x, tensor([1]), null, { augmentLabels: zeros([1, 3]) }),
      /\[1, 2\]/,
    );
  });
});

describe("training", () => {
  const optionsOf = (name: ConfigurationName): TrainingOptions => {
    const { adam, lossScaling, learningRate } = trainingRecipe(name, presetOf("smoke"));
    return {
      ...smallOptions,
      network: small(name),
      adam,
      lossScaling,
      // Rates at which these small networks learn within a few hundred steps.
      learningRate: {
        reference: name < "D" ? 0.003 : 0.02,
        referenceBatches: learningRate.referenceBatches > 0 ? 100 : 0,
        rampUpMimg: 0,
      },
    };
  };

  it("normalizes stored weights by force in E to G, and nothing in A to D", () => {
    for (const name of configurationNames) {
      const specs = flattenParameters<ParameterSpec>(describeDenoiser(small(name)));
      const weights = initializeParameters(specs, randomKey(3));
      const normalized = normalizeWeights(specs, weights);
      for (const [array, { role }] of Object.entries(specs)) {
        const isForced = role === "weight" && name >= "E";
        assert.equal(normalized[array] !== weights[array], isForced, `${name} ${array}`);
      }
    }
  });

  it("keeps G's magnitudes and grows A's; D's weights grow", async () => {
    const device = await createDevice("wasm", { wasm: { threads: 1 } });
    const { images, labels } = smallBatch(100_000, 32);
    assert.ok(labels !== null);
    const probes = {
      images: tensor(images, { shape: [32, 3, 8, 8] }),
      labels: tensor(labels, { shape: [32, 4] }),
      positions: tensor(Uint32Array.from({ length: 32 }, (_, i) => 1_000_000 + i)),
    };
    // Layers that neither start at zero nor have a gain: what they put out tells how large their inputs are.
    const isMeasured = ({ layer }: LayerMagnitude): boolean => /conv_res0|attn_qkv/.test(layer);
    const average = (layers: readonly LayerMagnitude[], of: "activation" | "weight"): number =>
      layers.reduce((sum, each) => sum + each[of], 0) / layers.length;
    const measure = async (name: ConfigurationName, steps: number) => {
      const options = optionsOf(name);
      const [trainer, probe] = [
        await Trainer.create(options, device),
        new MagnitudeProbe(options, device, randomKey(5)),
      ];
      const read = async (): Promise<LayerMagnitude[]> =>
        probe.measure(Object.fromEntries(await trainer.readNetwork("raw")), probes);
      const before = await read();
      const errors: number[] = [];
      for (let step = 0; step < steps; step++) errors.push((await trainer.step(smallBatch(step * 8, 8))).error);
      const after = await read();
      trainer.dispose();
      probe.dispose();
      const error = (part: readonly number[]): number => part.reduce((sum, each) => sum + each, 0) / part.length;
      assert.ok(error(errors.slice(-30)) < 0.8 * error(errors.slice(0, 30)), `${name} learns`);
      return { before, after };
    };

    const a = await measure("A", 500);
    const growthOfA =
      average(a.after.filter(isMeasured), "activation") / average(a.before.filter(isMeasured), "activation");
    assert.ok(growthOfA > 2, `A's activations grow by ${growthOfA}`);
    assert.ok(
      a.after.filter(isMeasured).some(({ activation }) => activation > 2),
      "some of A's layers leave the band that all of G's keep",
    );
    assert.ok(average(a.before.filter(isMeasured), "activation") < 0.6, "and begin below unit magnitude");
    assert.ok(average(a.after, "weight") > 1.1 * average(a.before, "weight"), "A's weights grow");

    // By 200 steps its weights have grown by 6%.
    const d = await measure("D", 200);
    assert.ok(average(d.after, "weight") > 1.02 * average(d.before, "weight"), "D's weights grow");

    const g = await measure("G", 500);
    for (const { layer, weight } of g.after) {
      // The last step has moved each weight by about the rate, 0.02 / sqrt(500 / 100) = 0.009, from unit magnitude.
      assert.ok(Math.abs(weight - 1) < 0.012, `G's ${layer} has weights of ${weight}`);
    }
    const magnitudes = [
      average(g.before.filter(isMeasured), "activation"),
      average(g.after.filter(isMeasured), "activation"),
    ];
    for (const magnitude of magnitudes) assert.ok(magnitude > 0.7 && magnitude < 1.4, `G's activations: ${magnitude}`);
    for (const { layer, activation } of g.after.filter(isMeasured)) {
      assert.ok(activation > 0.4 && activation < 2, `G's ${layer}: ${activation}`);
    }
    device.dispose();
  });
});
