import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import fc from "fast-check";
import { FormulaDenoiser } from "../../../diffusion/network/index.ts";
import {
  churnNoise,
  consistencyLevels,
  consistencySigmas,
  type GenerateOptions,
  generateImages,
  ImageGenerator,
  imageKeys,
  startNoise,
} from "../../../diffusion/sample/index.ts";
import { compile, getDevice, scalar, type Tensor } from "../../../engine/index.ts";

const device = await getDevice("wasm");
const mean = new FormulaDenoiser(
  (x, sigma) => x.divide(sigma.square().multiply(4).add(1).reshape([sigma.size, 1, 1, 1])).add(0.1),
  device,
);
after(() => mean.dispose());
const imageShape = [1, 2, 2];
const common: Omit<GenerateOptions, "seeds"> = { denoiser: mean, imageShape, solver: "consistency" };

async function images(options: GenerateOptions): Promise<readonly (readonly number[])[]> {
  const all: number[][] = [];
  for await (const { images: some, seeds } of generateImages(options)) {
    for (const i of seeds.keys()) all.push([...some.subarray(4 * i, 4 * i + 4)]);
  }
  return all;
}

const falling = fc
  .uniqueArray(fc.double({ min: 0.01, max: 50, noNaN: true }), { maxLength: 4 })
  .map((levels) => levels.toSorted((a, b) => b - a));

describe("steps of consistency-tuned networks", () => {
  it("are D at the highest level, and after noise of each other level D again", async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(1000), falling, async (seed, renoise) => {
        const [got = []] = await images({ ...common, seeds: [seed], renoise, networkBatch: 1 });
        const keys = imageKeys([seed]);
        const truth = compile(
          () => {
            const answer = (x: Tensor, sigma: number): Tensor => x.divide(1 + 4 * sigma ** 2).add(0.1);
            let x = answer(startNoise(keys, imageShape).multiply(80), 80);
            for (const [i, sigma] of renoise.entries()) {
              x = answer(x.add(churnNoise(keys, scalar(i + 1, "u32"), imageShape).multiply(sigma)), sigma);
            }
            return x;
          },
          { device: "oracle" },
        );
        const wanted = [...(await (await truth()).data())];
        truth.dispose();
        // Each level divides what was before it by 1 + 4 sigma^2 and rounds a few times; normals differ by 1e-6.
        for (const [i, value] of got.entries()) {
          assert.ok(
            Math.abs(value - (wanted[i] ?? NaN)) <= 4e-6 * (1 + Math.max(0, ...renoise)),
            `${value} ${wanted[i]}`,
          );
        }
      }),
      { numRuns: 25 },
    );
  });

  it("give a seed the same bits in any batch, order and number of steps told of", async () => {
    const seeds = [3, 1, 4, 15, 9];
    const whole = await images({ ...common, seeds });
    assert.deepEqual(await images({ ...common, seeds, batch: 2 }), whole);
    assert.deepEqual(await images({ ...common, seeds: seeds.toReversed(), batch: 1 }), whole.toReversed());
    const levels: number[] = [];
    const told = await images({ ...common, seeds, onStep: ({ tHat }) => void levels.push(tHat) });
    assert.deepEqual([told, levels], [whole, [80, 0.8]]);
  });

  it("ask the network once each", async () => {
    for (const renoise of [[], [0.8], [5, 1, 0.1]]) {
      const generator = new ImageGenerator({ ...common, renoise, networkBatch: 2 });
      assert.equal(generator.evaluations(2), renoise.length + 1);
      generator.dispose();
    }
    const seen: string[] = [];
    const onEvaluation = (): void => void seen.push("evaluation");
    await images({ ...common, seeds: [1], onEvaluation, onStep: () => void seen.push("step") });
    assert.deepEqual(seen, ["evaluation", "step", "evaluation", "step"]);
  });

  it("take guides, by the level that they noise to", async () => {
    const guide = new FormulaDenoiser((x) => x.multiply(0), device);
    const guides = [{ denoiser: guide, weight: 3, labels: "same" as const }];
    const [plain] = await images({ ...common, seeds: [1] });
    const [late] = await images({ ...common, seeds: [1], guides, interval: [0.1, 1] });
    const [early] = await images({ ...common, seeds: [1], guides, interval: [90, 100] });
    assert.deepEqual(early, plain);
    // At weight w from a guide that answers 0 the last step's answer is w times the network's.
    for (const [i, value] of (late ?? []).entries()) {
      assert.ok(Math.abs(value - 3 * (plain?.[i] ?? NaN)) <= 1e-6 * (1 + Math.abs(value)));
    }
    guide.dispose();
  });

  it("refuse levels that don't fall", () => {
    assert.deepEqual(
      consistencyLevels(consistencySigmas({ sigmaMax: 10, renoise: [2] })).map(({ t, churn }) => [t, churn]),
      [
        [10, null],
        [2, 2],
      ],
    );
    for (const renoise of [[80], [100], [0], [-1], [1, 2], [NaN], [1, 1]]) {
      assert.throws(() => consistencySigmas({ renoise }), {
        code: "value",
        message: /levels must fall and be above 0/,
      });
    }
    assert.throws(() => consistencySigmas({ sigmaMax: Infinity }), { code: "value" });
  });
});
