/** Noise levels from the losses: the laws of the estimate and of what is drawn by it, and that training carries it along. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import { informationRate } from "../../../diffusion/dynamics/informationRate.ts";
import { networkConfig, noiseLevels, predictionTargets } from "../../../diffusion/network/index.ts";
import {
  drawNoise,
  infoNoiseEdges,
  type NoiseEstimate,
  noiseShares,
  sharedNoiseLevels,
  startingEstimate,
  Trainer,
  type TrainingOptions,
} from "../../../diffusion/training/index.ts";
import { informationRates, noiseSums, updateEstimate } from "../../../diffusion/training/infoNoise.ts";
import {
  createDevice,
  type Device,
  EvenkeelError,
  randomKey,
  randomNormal,
  type Tensor,
  tensor,
  zeros,
} from "../../../engine/index.ts";
import { at } from "../../../engine/graph/shape.ts";
import { onOracle } from "../../nn/onOracle.ts";
import { smallBatch, smallNetwork, smallOptions } from "./smallRun.ts";

const bins = 32;
const floor = 0.05;
const width = Math.log(80 / 0.002) / bins;
const options: TrainingOptions = { ...smallOptions, noise: { ...smallOptions.noise, kind: "infonoise" } };

/** The network's weight of the squared error, in float64. */
const lambda = (sigma: number): number => (sigma ** 2 + 0.25) / (sigma * 0.5) ** 2;
/** The best denoiser's weighted error for Gaussian data of deviation s. */
const gaussianError = (sigma: number, s: number): number => (lambda(sigma) * (s * sigma) ** 2) / (s ** 2 + sigma ** 2);

/** Levels evenly over each bin, so many in each. */
function levels(counts: readonly number[]): number[] {
  return counts.flatMap((count, bin) =>
    Array.from({ length: count }, (_, i) => at(infoNoiseEdges, bin) * Math.exp((width * (i + 0.5)) / count)),
  );
}

const sumsOf = (sigmas: readonly number[], errorOf: (sigma: number) => number): NoiseEstimate =>
  noiseSums(smallNetwork, tensor([...sigmas]), tensor(sigmas.map((sigma) => errorOf(Math.fround(sigma)))));

/** An estimate of these sums alone: an old one of nothing. */
const estimateOf = (sums: NoiseEstimate): NoiseEstimate =>
  updateEstimate({ count: zeros([bins]), rate: zeros([bins]) }, sums, 32);

const assertNear = (got: readonly number[], wanted: readonly number[], bound: number): void =>
  got.forEach((value, i) =>
    assert.ok(Math.abs(value / (wanted[i] ?? NaN) - 1) < bound, `${i}: ${value}, expected ${wanted[i]}`),
  );

describe("InfoNoise", () => {
  it("gives Gaussian data of deviation s a density of s^2 / (s^2 + sigma^2) in ln(sigma), down to the floor", () =>
    fc.assert(
      fc.asyncProperty(fc.double({ min: 0.05, max: 5, noNaN: true }), async (s) => {
        const sums = sumsOf(levels(new Array<number>(bins).fill(64)), (sigma) => gaussianError(sigma, s));
        const shares = await onOracle(noiseShares(estimateOf(sums)));
        // The density's integral over ln(sigma) is -ln(1 + s^2 / sigma^2) / 2.
        const integral = (sigma: number): number => -Math.log1p((s / sigma) ** 2) / 2;
        const mass = shares.map((_, k) => integral(at(infoNoiseEdges, k + 1)) - integral(at(infoNoiseEdges, k)));
        const total = mass.reduce((sum, part) => sum + part, 0);
        const wanted = mass.map((part) => ((1 - floor) * part) / total + floor / bins);
        // The midpoint rule over 64 parts of a bin is within (width / 64)^2 / 24 times the second derivative, of at most four times the
        // density; and float32.
        assertNear(shares, wanted, 1e-5);
      }),
      { numRuns: 30 },
    ));

  it("doesn't depend on how often the density that drew the images took a bin", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: bins, maxLength: bins }),
        fc.double({ min: 0.1, max: 3, noNaN: true }),
        async (counts, s) => {
          const errorOf = (sigma: number): number => gaussianError(sigma, s) * (1.5 + Math.sin(Math.log(sigma)));
          const repeated = counts.flatMap((count, bin) =>
            Array.from({ length: count }, () => levels(counts.map((_, k) => (k === bin ? 3 : 0)))).flat(),
          );
          const [own, even] = [repeated, levels(counts.map(() => 3))].map((sigmas) => sumsOf(sigmas, errorOf));
          assert.ok(own !== undefined && even !== undefined);
          const [shares, wanted] = await Promise.all(
            [own, even].map((sums) => onOracle(noiseShares(estimateOf(sums)))),
          );
          assertNear(shares ?? [], wanted ?? [], 1e-5);
        },
      ),
      { numRuns: 20 },
    ));

  it("draws each bin as often as its share says, and evenly within", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: bins, maxLength: bins }),
        async (weights) => {
          const total = weights.reduce((sum, weight) => sum + weight, 1e-9);
          const shares = weights.map((weight) => Math.fround(((1 - floor) * weight) / total + floor / bins));
          const quantiles = Array.from({ length: 33 }, (_, i) => -3 + (6 * i) / 32);
          const drawn = await onOracle(sharedNoiseLevels(tensor(quantiles), tensor(shares)));
          const all = shares.reduce((sum, share) => sum + share, 0);
          quantiles.forEach((z, i) => {
            let left = normalProbability(z);
            let place = 0;
            for (const share of shares) {
              const part = Math.min(1, Math.max(0, left / share));
              place += part;
              left -= share;
            }
            const sigma = 0.002 * Math.exp(width * place);
            // A quantile is off by the rounding of 32 sums and of the shares' own, over the share of its bin: the floor's at least.
            const bound = (width * (40 * 2 ** -24 + Math.abs(all - 1))) / (floor / bins) + 1e-5;
            assert.ok(Math.abs(Math.log((drawn[i] ?? NaN) / sigma)) < bound, `${z}: ${drawn[i]}, expected ${sigma}`);
          });
          assert.deepEqual(
            [...drawn].sort((a, b) => a - b),
            [...drawn],
          );
        },
      ),
      { numRuns: 30 },
    ));

  it("gives back what a log-normal distribution draws, up to a bin, where the shares are its own", async () => {
    const lognormal = { mean: -0.8, standardDeviation: 1.2 };
    const below = infoNoiseEdges.map((edge) => normalProbability((Math.log(edge) + 0.8) / 1.2));
    const shares = below.slice(1).map((p, k) => p - at(below, k));
    const normals = randomNormal(randomKey(7), [1000]);
    const wanted = await onOracle(noiseLevels(normals, lognormal));
    const drawn = await onOracle(sharedNoiseLevels(normals, tensor(shares)));
    const inside = wanted.filter((sigma, i) => {
      if (sigma < 0.01 || sigma > 20) return false;
      assert.ok(Math.abs(Math.log((drawn[i] ?? NaN) / sigma)) < width);
      return true;
    });
    assert.ok(inside.length > 900);
  });

  it("draws the same from step to step while what it learns stays the same", async () => {
    const sums = sumsOf(levels(new Array<number>(bins).fill(2)), (sigma) => gaussianError(sigma, 1));
    let estimate = estimateOf(sums);
    const before = await onOracle(noiseShares(estimate));
    for (let step = 0; step < 5; step++) estimate = updateEstimate(estimate, sums, 64);
    assertNear(await onOracle(noiseShares(estimate)), before, 1e-5);
  });

  it("begins with what an untrained network's errors of 1 say, whatever its target and noise", async () => {
    for (const target of predictionTargets) {
      for (const noiseDf of [0, 5]) {
        const network = networkConfig({ unet: smallNetwork.unet, target, noiseDf });
        const { count, rate } = startingEstimate(network);
        const [counts, rates] = [await onOracle(count), await onOracle(rate)];
        rates.forEach((sum, k) => {
          const middle = Math.sqrt(at(infoNoiseEdges, k) * at(infoNoiseEdges, k + 1));
          const wanted = informationRate(network, middle, 1);
          assert.ok(Math.abs(sum / (counts[k] ?? NaN) / wanted - 1) < 1e-5);
        });
      }
    }
  });

  it("has the same rates in the graph and on the host", () =>
    fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...predictionTargets),
        fc.constantFrom(0, 3, 8),
        fc.double({ min: 0.002, max: 80, noNaN: true }),
        fc.double({ min: 0.01, max: 10, noNaN: true }),
        async (target, noiseDf, level, error) => {
          const network = { sigmaData: 0.5, target, noiseDf };
          const sigma = Math.fround(level);
          const [rate = NaN] = await onOracle(informationRates(network, tensor([sigma]), tensor([error])));
          assert.ok(Math.abs(rate / informationRate(network, sigma, error) - 1) < 1e-6);
        },
      ),
    ));

  it("needs the state's estimate", () => {
    const batch = { images: zeros([1, 3, 8, 8]), labels: null, positions: tensor(Uint32Array.of(0)) };
    assert.throws(
      () => drawNoise(options, randomKey(0), batch),
      (error) => error instanceof EvenkeelError && /needs|draws by the training state's estimate/.test(error.message),
    );
  });
});

/** P(Z < z), by the series about 0. */
function normalProbability(z: number): number {
  if (Math.abs(z) > 7) return z > 0 ? 1 : 0;
  let [term, sum] = [z, z];
  for (let k = 3; Math.abs(term) > 1e-18; k += 2) sum += term *= (z * z) / k;
  return 0.5 + sum * (Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI));
}

describe("training by InfoNoise", () => {
  let device: Device;
  before(async () => {
    device = await createDevice("wasm", { wasm: { threads: 1 } });
  });
  after(() => device.dispose());

  async function train(
    given: TrainingOptions,
    steps: number,
    from?: { nimg: number; state: ReadonlyMap<string, Tensor> },
  ) {
    const trainer = await Trainer.create(given, device);
    try {
      if (from !== undefined) await trainer.writeState(from.nimg, from.state);
      const sigmas: number[] = [];
      for (let i = 0; i < steps; i++) {
        const step = await trainer.step(smallBatch(trainer.nimg, given.batch));
        sigmas.push(...step.sigmas);
      }
      return { nimg: trainer.nimg, state: await trainer.readState(), sigmas };
    } finally {
      trainer.dispose();
    }
  }

  const hexOf = async (state: ReadonlyMap<string, Tensor>): Promise<Record<string, string>> => {
    const entries = await Promise.all(
      [...state].map(async ([name, array]) => {
        const data = await array.data("f32");
        return [name, Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("hex")] as const;
      }),
    );
    return Object.fromEntries(entries);
  };

  it("learns from every image, and goes on from its state with the same bits", async () => {
    const straight = await train(options, 4);
    const count = await straight.state.get("noise.count")?.data("f32");
    // Eight of each bin to begin with, and then eight images a step, each step forgetting as e^(-8 / 4096).
    let wanted = 8 * bins;
    for (let step = 0; step < 4; step++) wanted = wanted * Math.exp(-8 / 4096) + 8;
    assert.ok(Math.abs([...(count ?? [])].reduce((sum, each) => sum + each, 0) - wanted) < 1e-3);
    const half = await train(options, 2);
    const resumed = await train(options, 2, half);
    assert.deepEqual(await hexOf(resumed.state), await hexOf(straight.state));
    assert.deepEqual(straight.sigmas, [...half.sigmas, ...resumed.sigmas]);
  });

  it("learns the same from a batch in parts", async () => {
    const [whole, parts] = [await train(options, 2), await train({ ...options, batchDevice: 2 }, 2)];
    for (const name of ["noise.count", "noise.rate"]) {
      const [one, other] = [whole, parts].map(({ state }) => state.get(name));
      const [a, b] = [await one?.data("f32"), await other?.data("f32")];
      a?.forEach((value, k) => assert.ok(Math.abs(value - (b?.[k] ?? NaN)) <= 1e-4 * Math.abs(value), `${name} ${k}`));
      assert.equal(b?.length, bins);
    }
  });

  it("leaves the estimate as it was where the loss isn't finite, and finds where that began", async () => {
    const trainer = await Trainer.create(options, device);
    after(() => trainer.dispose());
    const start = await hexOf(await trainer.readState());
    const { images, labels } = smallBatch(0, 8);
    await assert.rejects(trainer.step({ images: images.map(() => NaN), labels }), /it began at images/);
    assert.deepEqual(await hexOf(await trainer.readState()), start);
  });

  it("is no part of a state that doesn't ask for it", async () => {
    const { state } = await train(smallOptions, 1);
    assert.ok(![...state.keys()].some((name) => name.startsWith("noise")));
  });
});
