import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import {
  addNoise,
  describeScoreModel,
  drawPoints,
  growToyMixture,
  logDensity,
  modelScore,
  RandomState,
  toyRecipes,
} from "../../../diffusion/toy/index.ts";
import { drawSigmas } from "../../../diffusion/toy/draw.ts";
import { type ToyBatch, type ToySchedule, type ToyState, toyStep } from "../../../diffusion/toy/trainer.ts";
import {
  compileStep,
  createState,
  type DeviceName,
  disposeDevices,
  EvenkeelError,
  compile,
  getDevice,
  mapTree,
  randomKey,
  scalar,
  type Tensor,
  tensor,
} from "../../../engine/index.ts";
import { adamMoments, initializeParameters, type NamedParameters } from "../../../nn/index.ts";

after(disposeDevices);

const config = { dim: 12, layers: 2, sigmaData: 0.5 };

/** Weights of a model that has learned something: its gain isn't 0. Computed once, so that all devices start alike. */
async function drawnWeights(): Promise<NamedParameters> {
  const drawn = initializeParameters(describeScoreModel(config), randomKey(3));
  const entries = Object.entries({ ...drawn, gain: scalar(0.7) }).map(async ([name, value]) => {
    return [name, tensor(await value.data(), { shape: value.shape })] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
}

const points = Float32Array.of(0.4, 0.3, -0.8, 0.6, 1.2, -0.1, 0.02, 0.9);
const sigma = Float32Array.of(0.05, 0.3, 1, 4);

describe("the model of a density", () => {
  it("has the slope of its log density as score", async () => {
    const weights = await drawnWeights();
    const run = compile(
      (arrays: NamedParameters, x: Tensor, level: Tensor) => ({
        density: logDensity(config, arrays, x, level),
        score: modelScore(config, arrays, x, level),
      }),
      { device: "oracle" },
    );
    const at = async (shift: (i: number) => number) => {
      const moved = points.map((value, i) => value + shift(i));
      return run(weights, tensor(moved, { shape: [4, 2] }), tensor(sigma));
    };
    const score = await (await at(() => 0)).score.data();
    // A power of two: float32 holds the moved points exactly, as these have few digits after rounding.
    const h = 2 ** -10;
    for (const axis of [0, 1]) {
      const shift = (side: number) => (i: number) => (i % 2 === axis ? side * h : 0);
      const [up, down] = [await (await at(shift(1))).density.data(), await (await at(shift(-1))).density.data()];
      sigma.forEach((level, i) => {
        const slope = ((up[i] ?? NaN) - (down[i] ?? NaN)) / (2 * h);
        // Results are rounded to float32, of values up to a few times 1 / sigma; the second term is that of h^2.
        const magnitude = Math.max(Math.abs(up[i] ?? NaN), 1);
        const allowed = (2 ** -24 * magnitude) / h + (20 * h ** 2) / level;
        assert.ok(Math.abs(slope - (score[2 * i + axis] ?? NaN)) <= allowed, `${slope} and ${score[2 * i + axis]}`);
      });
    }
  });

  it("is that of one Gaussian before training", async () => {
    const weights = { ...(await drawnWeights()), gain: scalar(0) };
    const run = compile(modelScore.bind(null, config), { device: "oracle" });
    const score = await (await run(weights, tensor(points, { shape: [4, 2] }), tensor(sigma))).data();
    score.forEach((value, i) => {
      const expected = -(points[i] ?? NaN) / (0.25 + (sigma[i >> 1] ?? NaN) ** 2);
      assert.ok(Math.abs(value - expected) <= 2 ** -22 * Math.abs(expected));
    });
  });

  it("is trained by the same step, a gradient of a gradient, on wasm and on the oracle", async () => {
    const results = await Promise.all(["wasm", "oracle"].map((name) => oneStep(name as DeviceName)));
    const [wasm, oracle] = results;
    assert.ok(wasm !== undefined && oracle !== undefined);
    assert.ok(Math.abs(wasm.loss - oracle.loss) <= 1e-5 * oracle.loss);
    for (const [path, expected] of oracle.leaves) {
      const found = wasm.leaves.get(path);
      assert.ok(found !== undefined);
      const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      // What float32 needs for such gradients is 1.5e-6 of the largest element; Adam's first step divides a gradient by its own
      // size, so that weights are compared by what they were moved by: their moments.
      if (path.includes("weights") || path.includes("average")) continue;
      const off = expected.reduce((most, value, i) => Math.max(most, Math.abs(value - (found[i] ?? NaN))), 0);
      assert.ok(off <= 2e-5 * largest, `${path} is off by ${off / largest}`);
      assert.ok(largest > 0, path);
    }
  });

  it("refuses sizes that are none", () => {
    for (const wrong of [{ dim: 0 }, { dim: 2.5 }, { layers: -1 }, { sigmaData: 0 }]) {
      assert.throws(
        () => describeScoreModel({ ...config, ...wrong }),
        (error) => error instanceof EvenkeelError && error.code === "value",
      );
    }
  });
});

async function oneStep(name: DeviceName): Promise<{ loss: number; leaves: Map<string, Float32Array> }> {
  const device = await getDevice(name);
  const mixture = growToyMixture("A");
  const random = new RandomState(4);
  const count = 32;
  const levels = drawSigmas(toyRecipes.published.training.noise, count, random);
  const noisy = addNoise(drawPoints(mixture, count, random), (i) => levels[i] ?? NaN, random);
  const batch: ToyBatch = {
    points: tensor(Float32Array.from(noisy), { shape: [count, 2] }),
    sigma: tensor(Float32Array.from(levels)),
  };
  const weights = await drawnWeights();
  const start: ToyState = { weights, moments: adamMoments(weights), average: { ...weights } };
  const state = await createState(start, device);
  const specs = describeScoreModel(config);
  const step = compileStep(
    (before: ToyState, given: ToyBatch, schedule: ToySchedule) =>
      toyStep({ model: config, weighting: "relative" }, mixture, specs, before, given, schedule),
    { device },
  );
  const corrections = { first: scalar(0.1), second: scalar(0.01) };
  const loss = await step(state, batch, { rate: scalar(0.01), corrections, updateRates: tensor(Float32Array.of(0.5)) });
  const [value = NaN] = await loss.data();
  const leaves = new Map<string, Float32Array>();
  const waiting: Promise<void>[] = [];
  mapTree(await state.read(), (leaf, path) => {
    waiting.push(leaf.data().then((data) => void leaves.set(path, data as Float32Array)));
    return leaf;
  });
  await Promise.all(waiting);
  state.dispose();
  step.dispose();
  return { loss: value, leaves };
}
