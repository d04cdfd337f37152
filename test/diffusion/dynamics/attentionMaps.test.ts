import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import fc from "fast-check";
import { attentionMaps, AttentionProbe } from "../../../diffusion/dynamics/index.ts";
import { describeDenoiser, networkConfig, type NetworkConfig } from "../../../diffusion/network/index.ts";
import { createDevice, randomKey } from "../../../engine/index.ts";
import {
  configA,
  flattenParameters,
  initializeParameters,
  type NamedParameters,
  type ParameterSpec,
} from "../../../nn/index.ts";
import { smallNetwork } from "../training/smallRun.ts";

const [wasm, oracle] = [await createDevice("wasm", { wasm: { threads: 1 } }), await createDevice("oracle")];
after(() => {
  wasm.dispose();
  oracle.dispose();
});

/** Two heads in a second resolution; and the first paper's attention, whose logits have no bound. */
const networks: Readonly<Record<string, NetworkConfig>> = {
  cosine: smallNetwork,
  "two resolutions": networkConfig({ unet: { ...smallNetwork.unet, attnResolutions: [8, 4], channelsPerHead: 2 } }),
  "dot product": networkConfig({
    unet: configA({
      imageResolution: 8,
      imageChannels: 3,
      labelDim: 4,
      modelChannels: 32,
      channelMult: [1, 1],
      numBlocks: 1,
      attnResolutions: [4],
      channelsPerHead: 16,
    }),
    lossHead: false,
  }),
};
const weightsOf = (network: NetworkConfig): NamedParameters =>
  initializeParameters(flattenParameters<ParameterSpec>(describeDenoiser(network)), randomKey(4));

const size = 192;
const images = (count: number, shift: number): Float32Array =>
  Float32Array.from({ length: count * size }, (_, i) => Math.sin(0.7 * i + shift + Math.floor(i / size)));

describe("attentionMaps", () => {
  for (const [name, network] of Object.entries(networks)) {
    it(`has rows that add up to 1, for every layer with attention: ${name}`, async () => {
      const weights = weightsOf(network);
      const probe = new AttentionProbe(network, wasm);
      const labels = Float32Array.of(1, 0, 0, 0, 0, 0, 1, 0);
      await fc.assert(
        fc.asyncProperty(fc.double({ min: 0.01, max: 50, noNaN: true }), fc.nat(9), async (sigma, shift) => {
          const maps = await probe.read(
            weights,
            images(2, shift).map((x) => sigma * x),
            sigma,
            labels,
          );
          const expected = Object.keys(weights).flatMap(
            (array) => /^unet\.(.*)\.attn_qkv\.weight$/.exec(array)?.[1] ?? [],
          );
          assert.deepEqual(maps.map(({ layer }) => layer).toSorted(), expected.toSorted());
          assert.ok(maps.length > 0, "there are none");
          for (const {
            layer,
            heads,
            size: [height, width],
            weights: map,
          } of maps) {
            assert.equal(`${height}x${width}`, /(\d+x\d+)_/.exec(layer)?.[1]);
            const keys = height * width;
            assert.equal(map.length, 2 * heads * keys * keys);
            for (let row = 0; row < map.length; row += keys) {
              const shares = map.subarray(row, row + keys);
              assert.ok(
                shares.every((share) => share >= 0 && share <= 1),
                "shares",
              );
              // Each share is an exponential over their sum: the division rounds by 2^-24 of it (twice, if it is a product with the
              // inverse), the sum by at most 2^-24 of itself for each of its terms.
              const sum = shares.reduce((total, share) => total + share, 0);
              assert.ok(Math.abs(sum - 1) <= (keys + 2) * 2 ** -24, `${layer}: a row adds up to ${sum}`);
            }
          }
        }),
        { numRuns: 10 },
      );
      probe.dispose();
    });

    it(`is what the oracle says: ${name}`, async () => {
      const weights = weightsOf(network);
      const x = images(1, 0.3);
      const [own, exact] = [
        await attentionMaps(network, weights, x, 0.8, wasm),
        await attentionMaps(network, weights, x, 0.8, oracle),
      ];
      assert.deepEqual(
        own.map(({ weights: _, ...rest }) => rest),
        exact.map(({ weights: _, ...rest }) => rest),
      );
      // On the way to the last layer there are some 100 operations, each of which rounds by 2^-24 of values of magnitude 1 to 10 (networks
      // keep theirs near 1); logits are sums of products of two of them, and a share changes by as much of itself as its logit does.
      const bound = 100 * 10 * 2 * 2 ** -24;
      for (const [i, { layer, weights: map }] of own.entries()) {
        const worst = map.reduce(
          (most, share, at) => Math.max(most, Math.abs(share - (exact[i]?.weights[at] ?? 9))),
          0,
        );
        assert.ok(worst <= bound, `${layer}: ${worst}`);
        assert.ok(new Set(map).size > 2, `${layer} looks everywhere alike`);
      }
    });
  }

  it("treats images apart, and tells levels and labels apart", async () => {
    const weights = weightsOf(smallNetwork);
    const probe = new AttentionProbe(smallNetwork, wasm);
    const [a, b] = [images(1, 0), images(1, 2)];
    const joined = (first: Float32Array, second: Float32Array): Float32Array => Float32Array.of(...first, ...second);
    const there = await probe.read(weights, joined(a, b), 0.5);
    const back = await probe.read(weights, joined(b, a), 0.5);
    for (const [i, { weights: map }] of there.entries()) {
      const half = map.length / 2;
      const other = back[i]?.weights ?? new Float32Array(0);
      assert.deepEqual(map.subarray(0, half), other.subarray(half));
      assert.deepEqual(map.subarray(half), other.subarray(0, half));
      assert.notDeepEqual(map.subarray(0, half), map.subarray(half));
    }
    assert.notDeepEqual(await probe.read(weights, joined(a, b), 5), there);
    probe.dispose();
  });

  it("refuses what is no image, or no label", async () => {
    const weights = weightsOf(smallNetwork);
    const refused = (x: Float32Array, labels: Float32Array | null): Promise<void> =>
      assert.rejects(attentionMaps(smallNetwork, weights, x, 1, wasm, labels), {
        code: "shape",
        message: /images are \[N, 3, 8, 8\], with label vectors \[N, 4\] or null/,
      });
    await refused(new Float32Array(size + 1), null);
    await refused(new Float32Array(0), null);
    await refused(images(2, 0), new Float32Array(4));
  });
});
