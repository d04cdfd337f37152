import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import fc from "fast-check";
import { type DenoisingFormula, FormulaDenoiser } from "../../../diffusion/network/index.ts";
import {
  addNoise,
  generateImages,
  ImageGenerator,
  type ImageStep,
  recordTrajectory,
  type SamplingWatch,
  sampleTrajectory,
  stepLevels,
  sigmaSteps,
  toPixels,
  type TrajectoryOptions,
} from "../../../diffusion/sample/index.ts";
import { add, divide, getDevice, multiply, reshape, square, type Tensor } from "../../../engine/index.ts";

const device = await getDevice("wasm");
const imageShape = [3, 4, 4];
const size = 48;

/** The best answer for data of this mean and variance 0.25. */
const towards =
  (mean: number): DenoisingFormula =>
  (x, sigma) => {
    const noise = reshape(square(sigma), [x.shape[0] ?? 0, 1, 1, 1]);
    const answer: Tensor = divide(add(multiply(x, 0.25), multiply(noise, mean)), add(noise, 0.25));
    return answer;
  };
const [bright, dark] = [new FormulaDenoiser(towards(0.6), device), new FormulaDenoiser(towards(-0.6), device)];
after(() => [bright, dark].forEach((each) => each.dispose()));

const options = fc.record({
  seeds: fc.array(fc.nat({ max: 2 ** 40 }), { minLength: 1, maxLength: 6 }),
  steps: fc.integer({ min: 1, max: 6 }),
  networkBatch: fc.integer({ min: 1, max: 4 }),
  solver: fc.constantFrom("heun" as const, "euler" as const),
  sChurn: fc.constantFrom(0, 3),
  sMin: fc.constantFrom(0, 0.1),
  sMax: fc.constantFrom(10, Infinity),
  sNoise: fc.constantFrom(1, 1.01),
  weight: fc.constantFrom(1, 1.7),
});

describe("sampleTrajectory", () => {
  it("shows each step as the sampler tells it, in pixels", async () => {
    await fc.assert(
      fc.asyncProperty(options, async ({ weight, ...rest }) => {
        const guides = [{ denoiser: dark, weight, labels: "same" as const }];
        const common: TrajectoryOptions = { denoiser: bright, imageShape, guides, interval: [0.05, 50], ...rest };
        const told: (readonly [number, number])[] = [];
        const heard: ImageStep[] = [];
        const strip = await sampleTrajectory({
          ...common,
          onStep: (step) => void heard.push(step),
          sigmaData: 0.4,
          onEvaluation: (done, total) => void told.push([done, total]),
        });
        const steps: ImageStep[] = [];
        const images: number[] = [];
        const batch = common.seeds.length;
        for await (const part of generateImages({ ...common, batch, onStep: (step) => void steps.push(step) })) {
          images.push(...toPixels(part.images));
        }
        assert.deepEqual(heard, steps);
        const levels = stepLevels(sigmaSteps(rest), rest);
        assert.deepEqual(
          strip.sigmas,
          levels.map(({ tHat }) => tHat),
        );
        assert.deepEqual(strip.shape, [common.seeds.length, ...imageShape]);
        assert.deepEqual([...strip.images], images);
        const all = batch * size;
        assert.equal(strip.noisy.length, rest.steps * all);
        for (const [i, { tHat, xHat, denoised }] of steps.entries()) {
          const part = [i * all, (i + 1) * all] as const;
          assert.deepEqual(strip.denoised.subarray(...part), toPixels(denoised.subarray(0, all)));
          const scaled = xHat.subarray(0, all).map((x) => (x * 0.4) / Math.hypot(tHat, 0.4));
          // By the order of two roundings a pixel at the edge of two may be the other one.
          strip.noisy.subarray(...part).forEach((pixel, at) => {
            const other = toPixels(scaled.subarray(at, at + 1))[0] ?? 0;
            assert.ok(Math.abs(pixel - other) <= 1, `${pixel} and ${other}`);
          });
        }
        // Every evaluation is told of once, each the next.
        const evaluations = rest.solver === "heun" ? 2 * rest.steps - 1 : rest.steps;
        const total = evaluations * Math.ceil(batch / rest.networkBatch);
        assert.deepEqual(
          told,
          Array.from({ length: total }, (_, i) => [i + 1, total]),
        );
      }),
      { numRuns: 25 },
    );
  });

  it("begins with the same noise whatever the network, and ends with other images", async () => {
    await fc.assert(
      fc.asyncProperty(options, async ({ weight: _, ...rest }) => {
        const [one, other, again] = [
          await sampleTrajectory({ denoiser: bright, imageShape, ...rest }),
          await sampleTrajectory({ denoiser: dark, imageShape, ...rest }),
          await sampleTrajectory({ denoiser: bright, imageShape, ...rest }),
        ];
        const first = rest.seeds.length * size;
        assert.deepEqual(one.noisy.subarray(0, first), other.noisy.subarray(0, first));
        assert.deepEqual(one.sigmas, other.sigmas);
        assert.notDeepEqual(one.images, other.images);
        assert.deepEqual(one, again);
      }),
      { numRuns: 15 },
    );
  });

  it("ends within an evaluation of its signal, and what was compiled goes on", async () => {
    const generator = new ImageGenerator({ denoiser: bright, imageShape, steps: 4, networkBatch: 2 });
    const request = { seeds: [1, 2, 3, 4] };
    const whole = await recordTrajectory(generator, request);
    const total = generator.evaluations(4);
    assert.equal(total, 2 * 7);
    const strip = async (watch: SamplingWatch): Promise<void> => {
      await recordTrajectory(generator, { ...request, ...watch });
    };
    const images = async (watch: SamplingWatch): Promise<void> => {
      for await (const batch of generator.generate({ ...request, ...watch }))
        assert.fail(`${batch.seeds.length} images`);
    };
    for (const run of [strip, images]) {
      for (let end = 0; end < total; end++) {
        const stop = new AbortController();
        if (end === 0) stop.abort();
        let asked = 0;
        const onEvaluation = (done: number): void => {
          asked = done;
          if (done === end) stop.abort();
        };
        await assert.rejects(run({ onEvaluation, signal: stop.signal }), {
          code: "aborted",
          message: /^sampling: the signal/,
        });
        assert.equal(asked, end);
      }
    }
    assert.deepEqual(await recordTrajectory(generator, request), whole);
    generator.dispose();
  });

  it("has no frames without seeds", async () => {
    const strip = await sampleTrajectory({ denoiser: bright, imageShape, seeds: [], steps: 3 });
    assert.deepEqual(strip.shape, [0, ...imageShape]);
    assert.equal(strip.images.length + strip.noisy.length + strip.denoised.length, 0);
  });
});

describe("addNoise", () => {
  it("adds what sampling begins with, times sigma", async () => {
    const seeds = [5, 2 ** 33, 7];
    const images = Float32Array.from({ length: 3 * size }, (_, i) => Math.sin(i));
    for await (const { noise } of generateImages({ denoiser: bright, imageShape, seeds, steps: 1 })) {
      for (const sigma of [0, 0.3, 40]) {
        const noisy = await addNoise(images, imageShape, sigma, seeds, device);
        const expected = images.map((x, i) => x + Math.fround(Math.fround(sigma) * (noise[i] ?? 0)));
        assert.deepEqual(noisy, expected);
      }
    }
    await assert.rejects(addNoise(images, imageShape, 1, [1, 2], device), {
      code: "shape",
      message: /144 numbers are not/,
    });
  });
});
