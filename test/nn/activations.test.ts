/** The option `activations`: what of a network's features is rounded to 16 bits, forwards and backwards. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { topologicalOrder } from "../../engine/graph/graph.ts";
import type { Node, NodeOf } from "../../engine/graph/node.ts";
import {
  add,
  randomKey,
  reduceSum,
  splitKey,
  keyAt,
  randomNormal,
  square,
  Tensor,
  valueAndGrad,
} from "../../engine/index.ts";
import { makeNode } from "../../engine/graph/graph.ts";
import {
  applyUNet,
  configurationNames,
  configurations,
  describeUNet,
  flattenParameters,
  initializeParameters,
  nestParameters,
  type ParameterSpec,
  type UNetConfig,
  type UNetParameters,
} from "../../nn/index.ts";
import { meanSquare, onOracle } from "./onOracle.ts";

const sizes = {
  ...{ imageResolution: 8, imageChannels: 3, labelDim: 3, modelChannels: 4, channelMult: [1, 2], numBlocks: 1 },
  ...{ attnResolutions: [4], channelsPerHead: 4 },
};

type Conv = NodeOf<"conv">;

/** The convolutions of a network and its gradient by weights and input. */
function convolutionsOf(config: UNetConfig): readonly Conv[] {
  const input = (name: string, shape: readonly number[]): Tensor =>
    new Tensor(makeNode("input", [], { dtype: "f32", shape, name }));
  const specs = flattenParameters<ParameterSpec>(describeUNet(config));
  const weights = Object.fromEntries(Object.entries(specs).map(([name, { shape }]) => [name, input(name, shape)]));
  const [x, noise] = [input("x", [2, 3, 8, 8]), input("noise", [2])];
  const loss = (given: { readonly weights: Record<string, Tensor>; readonly x: Tensor }): Tensor => {
    const y = applyUNet(config, nestParameters<UNetParameters>(given.weights), given.x, noise, null);
    return reduceSum(square(y));
  };
  const { value, gradient } = valueAndGrad(loss)({ weights, x });
  const outputs = [value, gradient.x, ...Object.values(gradient.weights)].map(({ node }) => node);
  return topologicalOrder(outputs).filter((node): node is Conv => node.kind === "conv");
}

/** What a value is a view of. */
function behindViews(node: Node): Node {
  const isView = node.kind === "reshape" || node.kind === "permute" || node.kind === "expand" || node.kind === "slice";
  return isView ? behindViews(node.inputs[0]) : node;
}

const isRounded = (node: Node): boolean => {
  const made = behindViews(node);
  return made.kind === "unary" && made.attributes.op === "roundToFloat16";
};

/** The factor of a convolution that isn't its weight: features in front of it, or what flows back behind it. */
const featuresOf = ({ attributes: { role }, inputs }: Conv): readonly Node[] =>
  role === "filterGradient" ? inputs : [inputs[0]];

const channelsOf = (node: Node): number => node.shape[1] ?? 0;

describe("activations", () => {
  for (const name of configurationNames) {
    it(`of float16 are what convolutions of configuration ${name} read, but for images and what the loss gives back`, () => {
      const all = convolutionsOf(configurations[name]({ ...sizes, activations: "float16" }));
      assert.ok(all.length > 40, `${all.length} convolutions`);
      const [image, output] = [configurations[name](sizes).onesChannel ? 4 : 3, 3];
      const exact = all.flatMap((conv) =>
        featuresOf(conv)
          .filter((node) => !isRounded(node))
          .map(channelsOf),
      );
      // Of the first layer the input, of the last one what flows back to it, each in a pass forwards and in one back.
      assert.deepEqual([...new Set(exact)].sort(), [...new Set([image, output])].sort());
      assert.ok(exact.length <= 4, `${exact.length} are not rounded`);
      const results = all.filter(({ attributes: { role } }) => role === "forward").length;
      assert.ok(results > 10, `${results} layers`);
    });
  }

  it("of float32 are as they were", () => {
    for (const name of configurationNames) {
      const all = convolutionsOf(configurations[name](sizes));
      assert.ok(all.every((conv) => featuresOf(conv).every((node) => !isRounded(node))));
    }
  });

  it("of float16 change the output by some roundings, and not more", async () => {
    for (const name of ["A", "G"] as const) {
      const [exact, rounded] = (["float32", "float16"] as const).map((activations) => {
        const config = configurations[name]({ ...sizes, zeroInit: false, gains: false, activations });
        const specs = flattenParameters<ParameterSpec>(describeUNet(config));
        const weights = initializeParameters(specs, randomKey(5));
        const keys = splitKey(randomKey(6), 2);
        const [x, noise] = [randomNormal(keyAt(keys, 0), [4, 3, 8, 8]), randomNormal(keyAt(keys, 1), [4])];
        return applyUNet(config, nestParameters<UNetParameters>({ ...weights }), x, noise, null);
      }) as [Tensor, Tensor];
      const difference = await onOracle(add(exact, rounded.multiply(-1)));
      const ratio = Math.sqrt(meanSquare(difference) / meanSquare(await onOracle(exact)));
      // A rounding is off by 2^-12 at most, of what is rounded; some dozens of them lie one behind the other.
      assert.ok(ratio > 2 ** -16 && ratio < 2 ** -7, `configuration ${name}: off by ${ratio}`);
    }
  });
});
