/** Layers, losses, optimizers and rates against numbers of PyTorch, which `torch/numbers.py` made. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { concat, grad, ones, reduceSum, type Shape, slice, type Tensor, tensor, zeros } from "../../engine/index.ts";
import {
  adam,
  adamCorrections,
  type AdamMoments,
  adamMoments,
  adamW,
  batchNorm,
  batchNormTraining,
  binaryCrossEntropyWithLogits,
  clipByNorm,
  crossEntropy,
  layerNorm,
  multiHeadAttention,
  oneCycleSchedule,
  paddingMask,
  sgdVelocity,
  sgdWithMomentum,
} from "../../nn/index.ts";
import { assertNear } from "./layerLaw.ts";
import { onOracle } from "./onOracle.ts";

const file = new URL("torch/numbers.json", import.meta.url);
const numbers = new Map(Object.entries(JSON.parse(readFileSync(file, "utf8")) as Record<string, number[]>));

function numbersOf(name: string): number[] {
  const found = numbers.get(name);
  assert.ok(found !== undefined, name);
  return found;
}

const given = (name: string, shape: Shape): Tensor => tensor(Float32Array.from(numbersOf(name)), { shape });

/** PyTorch's numbers have some dozen roundings of float32, ours are float64's. */
const isPyTorchs = async (name: string, ours: Tensor): Promise<void> =>
  assertNear(await onOracle(ours), numbersOf(name), 2 ** -19);

describe("as in PyTorch", () => {
  it("are cross entropies", async () => {
    const logits = given("logits", [6, 5]);
    const labels = tensor(Int32Array.from(numbersOf("labels")));
    const classWeights = given("weights", [5]);
    for (const reduction of ["none", "sum", "mean"] as const) {
      const plain = { ignoreIndex: -100, reduction };
      await isPyTorchs(
        `crossEntropy True 0.1 ${reduction}`,
        crossEntropy(logits, labels, { ...plain, classWeights, labelSmoothing: 0.1 }),
      );
      await isPyTorchs(`crossEntropy True 0 ${reduction}`, crossEntropy(logits, labels, { ...plain, classWeights }));
      await isPyTorchs(
        `crossEntropy False 0.25 ${reduction}`,
        crossEntropy(logits, labels, { ...plain, labelSmoothing: 0.25 }),
      );
    }
    const binary = binaryCrossEntropyWithLogits(logits, given("targets", [6, 5]), { positiveWeight: 2.5 });
    await isPyTorchs("binaryCrossEntropy", binary);
  });

  it("are norms", async () => {
    const images = given("images", [4, 3, 2, 2]);
    const parameters = { weight: tensor([1, 2, 0.5]), bias: tensor([0.125, -0.25, 0.5]) };
    const { value, statistics } = batchNormTraining(images, parameters, { mean: zeros([3]), variance: ones([3]) });
    await isPyTorchs("batchNormTraining", value);
    await isPyTorchs("mean", statistics.mean);
    await isPyTorchs("variance", statistics.variance);
    await isPyTorchs("batchNorm", batchNorm(images, parameters, statistics));
    const [weight, bias] = [given("scale", [2, 4]), given("shift", [2, 4])];
    await isPyTorchs("layerNorm", layerNorm(given("rows", [3, 2, 4]), { weight, bias }));
  });

  it("is multi-head attention, whose first layers are one array there", async () => {
    const [weights, biases] = [given("inWeight", [24, 8]), given("inBias", [24])];
    const [query, key, value] = [0, 8, 16].map((begin) => ({
      weight: slice(weights, [[begin, begin + 8]]),
      bias: slice(biases, [[begin, begin + 8]]),
    }));
    assert.ok(query !== undefined && key !== undefined && value !== undefined);
    const output = { weight: given("outWeight", [8, 8]), bias: given("outBias", [8]) };
    const [x, context] = [given("queries", [3, 4, 8]), given("context", [3, 5, 8])];
    const attend = (mask: Tensor): Tensor => multiHeadAttention(x, { query, key, value, output }, 2, { context, mask });
    await isPyTorchs("attentionPadded", attend(paddingMask(tensor([5, 3, 1], { dtype: "i32" }), 5)));
    await isPyTorchs("attentionAdded", attend(given("added", [4, 5])));
  });

  it("are optimizers and clipping", async () => {
    const slope = (p: Tensor, step: number): Tensor =>
      grad((q: Tensor) =>
        reduceSum(
          q
            .square()
            .multiply(tensor([1, 0.5, 0.125]))
            .multiply(step),
        ),
      )(p);
    const [first, rate] = [tensor([1, -2, 3]), 0.0625];
    for (const [name, options] of [
      ["nesterov", { isNesterov: true, weightDecay: 0.0625 }],
      ["momentum", { momentum: 0.75 }],
    ] as const) {
      let [parameters, velocity] = [first, sgdVelocity(first)];
      for (let i = 1; i <= 5; i++) {
        ({ parameters, velocity } = sgdWithMomentum(parameters, slope(parameters, i), velocity, 2 * rate, options));
      }
      await isPyTorchs(name, parameters);
    }
    for (const name of ["adam", "adamW"] as const) {
      let [parameters, moments]: [Tensor, AdamMoments<Tensor>] = [first, adamMoments(first)];
      for (let i = 1; i <= 5; i++) {
        const options = name === "adam" ? {} : { beta2: 0.95, weightDecay: 0.25 };
        const update = name === "adam" ? adam : adamW;
        const corrections = adamCorrections(i, options);
        ({ parameters, moments } = update(parameters, slope(parameters, i), moments, rate, corrections, options));
      }
      await isPyTorchs(name, parameters);
    }
    const { gradient } = clipByNorm([tensor([3, 4]), tensor([12])], 2);
    await isPyTorchs("clipped", concat(gradient));
  });

  it("is the one-cycle rate, at every step", () => {
    for (const [anneal, curve] of [
      ["cos", "cosine"],
      ["linear", "line"],
    ] as const) {
      const wanted = numbersOf(`oneCycle ${anneal}`);
      const rate = oneCycleSchedule({ peak: 0.75, steps: wanted.length, curve });
      assertNear(
        wanted.map((_, step) => rate(step)),
        wanted,
        1e-8,
      );
    }
  });
});
