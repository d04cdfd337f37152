import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type ConsistencyBatch, consistencyLoss, lowerLevels } from "../../../diffusion/network/index.ts";
import { batchLoss, drawDropout, type NoisyBatch, objectiveGradient } from "../../../diffusion/training/index.ts";
import {
  compile,
  full,
  grad,
  mapTree,
  multiply,
  randomKey,
  randomNormal,
  scalar,
  type Tensor,
  tensor,
} from "../../../engine/index.ts";
import { flattenParameters, initializeParameters, nestParameters, type ParameterSpec } from "../../../nn/index.ts";
import { type DenoiserParameters, describeDenoiser } from "../../../diffusion/network/index.ts";
import { smallNetwork, smallOptions } from "../training/smallRun.ts";

const levels = fc.float({ min: Math.fround(1e-3), max: Math.fround(80), noNaN: true });
const values = fc.float({ min: -2, max: 2, noNaN: true, noDefaultInfinity: true });

/** The weighted distance of two images of so many numbers, on the host. */
function distance(f: readonly number[], target: readonly number[], sigma: number, sigmaData: number): number {
  const c = 0.06 * Math.sqrt(f.length / 3072);
  const squares = f.reduce((sum, value, i) => sum + (value - (target[i] ?? NaN)) ** 2, 0);
  return ((1 / sigma + 1 / sigmaData) * squares) / (Math.sqrt(squares + c ** 2) + c);
}

async function onOracle(fn: () => Tensor): Promise<readonly number[]> {
  const run = compile(fn, { device: "oracle" });
  try {
    return [...(await (await run()).data())];
  } finally {
    run.dispose();
  }
}

describe("lowerLevels", () => {
  it("is t max(0, 1 - n(t) / q^a): below t, and nearer in every stage", async () => {
    const tunings = fc.record({ stage: fc.integer({ min: 1, max: 1000 }), factor: fc.constantFrom(1.5, 2, 4) });
    await fc.assert(
      fc.asyncProperty(levels, tunings, fc.integer({ min: 0, max: 11 }), async (t, tuning, done) => {
        const { stage, factor } = tuning;
        const positions = Uint32Array.of(done * stage, (done + 1) * stage - 1, (done + 1) * stage);
        const [first = NaN, last = NaN, next = NaN] = await onOracle(() =>
          lowerLevels(full([3], t), tensor(positions), tuning),
        );
        const n = 1 + 8 / (1 + Math.exp(t));
        const expected = t * Math.max(0, 1 - n / factor ** (done + 1));
        // The result is rounded to float32, and so are ln q, which a multiplies, and with it the part of t that r is short of.
        const bound = 2 ** -24 * t * (1 + 8 * (done + 2));
        assert.ok(Math.abs(first - expected) <= bound, `${first} ${expected}`);
        assert.equal(last, first);
        assert.ok(first >= 0 && first < t && first <= next);
        if (first > 0) assert.ok(Math.abs((t - first) / factor - (t - next)) <= 2 * bound);
      }),
    );
  });
});

describe("consistencyLoss", () => {
  /** Two images of four numbers. */
  const shape = [2, 1, 2, 2];
  const images = fc.array(values, { minLength: 8, maxLength: 8 });
  const pairs = fc.tuple(levels, levels);
  const batchOf = (x: readonly number[], z: readonly number[], t: readonly number[], r: readonly number[]) => ({
    images: tensor([...x], { shape }),
    noise: tensor([...z], { shape }),
    sigma: tensor([...t]),
    lower: tensor([...r]),
  });
  const close = (got: readonly number[], wanted: readonly number[]): void => {
    for (const [i, value] of got.entries()) {
      // Float64, but for c, its square and the result, each rounded to 2^-24 of itself.
      assert.ok(Math.abs(value - (wanted[i] ?? NaN)) <= 2 ** -22 * Math.abs(value) + 1e-12, `${value} ${wanted[i]}`);
    }
  };

  it("is denoising where r is 0, whatever the network says there", async () => {
    await fc.assert(
      fc.asyncProperty(images, images, pairs, values, async (x, z, t, answer) => {
        const got = await onOracle(
          () =>
            consistencyLoss(
              (noisy, _, isTarget) => (isTarget ? full(shape, Number.NaN) : multiply(noisy, answer)),
              batchOf(x, z, t, [0, 0]),
              0.5,
            ).loss,
        );
        const wanted = t.map((sigma, i) => {
          const own = x.slice(4 * i, 4 * i + 4);
          return distance(
            own.map((value, k) => answer * (value + sigma * (z[4 * i + k] ?? NaN))),
            own,
            sigma,
            0.5,
          );
        });
        close(got, wanted);
      }),
    );
  });

  it("compares the answers for the same image and noise at both levels", async () => {
    await fc.assert(
      fc.asyncProperty(images, images, pairs, fc.double({ min: 0.01, max: 1, noNaN: true }), async (x, z, t, share) => {
        const r = t.map((sigma) => Math.fround(sigma * share));
        const at = (i: number, level: number): number[] =>
          x.slice(4 * i, 4 * i + 4).map((value, k) => (value + level * (z[4 * i + k] ?? NaN)) / (1 + level));
        const got = await onOracle(
          () =>
            consistencyLoss(
              (noisy, level) => noisy.divide(level.add(1).reshape([2, 1, 1, 1])),
              batchOf(x, z, t, r),
              0.5,
            ).loss,
        );
        close(
          got,
          t.map((sigma, i) => distance(at(i, sigma), at(i, r[i] ?? NaN), sigma, 0.5)),
        );
      }),
    );
  });

  it("is 0 from the start for data of one point, whose best denoiser is consistent", async () => {
    await fc.assert(
      fc.asyncProperty(values, images, pairs, async (point, z, t) => {
        const x = new Array<number>(8).fill(point);
        for (const r of [t.map((sigma) => sigma / 2), [0, 0]]) {
          const batch: ConsistencyBatch = batchOf(x, z, t, r);
          assert.deepEqual(await onOracle(() => consistencyLoss(() => full(shape, point), batch, 0.5).loss), [0, 0]);
        }
      }),
    );
  });

  it("has no derivative through the target", async () => {
    // f = theta x: with the target held the derivative of sqrt(s + c^2) is (theta x_t - target) . x_t / sqrt(s + c^2).
    await fc.assert(
      fc.asyncProperty(images, images, pairs, values, async (x, z, t, theta) => {
        const r = t.map((sigma) => Math.fround(sigma / 2));
        const batch = batchOf(x, z, t, r);
        const slope = grad((parameter: Tensor) =>
          consistencyLoss((noisy) => multiply(parameter, noisy), batch, 0.5).loss.sum(),
        );
        const run = compile((parameter: Tensor) => slope(parameter), { device: "oracle" });
        const got = await (await run(scalar(theta))).item();
        run.dispose();
        const c = 0.06 * Math.sqrt(4 / 3072);
        const wanted = t.reduce<readonly number[]>((sum, sigma, i) => {
          const own = (level: number): number[] =>
            x.slice(4 * i, 4 * i + 4).map((value, k) => value + level * (z[4 * i + k] ?? NaN));
          const [high, low] = [own(sigma), own(r[i] ?? NaN)];
          const difference = high.map((value, k) => theta * value - theta * (low[k] ?? NaN));
          const root = Math.sqrt(difference.reduce((all, value) => all + value ** 2, c ** 2));
          const inner = difference.reduce((all, value, k) => all + value * (high[k] ?? NaN), 0);
          return [...sum, ((1 / sigma + 2) * inner) / root];
        }, []);
        const [total, size] = [wanted, wanted.map(Math.abs)].map((all) => all.reduce((a, b) => a + b, 0));
        assert.ok(Math.abs(got - (total ?? NaN)) <= 2 ** -22 * (size ?? NaN) + 1e-9, `${got} ${total}`);
      }),
    );
  });
});

describe("the loss of a network that is tuned", () => {
  const network = { ...smallNetwork, unet: { ...smallNetwork.unet, dropout: 0.5 } };
  const specs = flattenParameters<ParameterSpec>(describeDenoiser(network));
  // Gains of 0 would hide what the layers compute.
  const weights = mapTree(initializeParameters(specs, randomKey(1)), (each) => (each.rank === 0 ? scalar(1) : each));
  const parameters = nestParameters<DenoiserParameters>(weights);
  const shape = [2, 3, 8, 8];
  const batch: NoisyBatch = {
    images: randomNormal(randomKey(2), shape).multiply(0.5),
    labels: tensor([
      [0, 1, 0, 0],
      [1, 0, 0, 0],
    ]),
    sigma: tensor([0.7, 3]),
    noise: randomNormal(randomKey(3), shape),
    lower: tensor([0.7, 3]),
  };
  const positions = tensor(Uint32Array.of(4, 5));

  it("drops the same at both levels: at equal ones it is 0", async () => {
    const lossWith = async (lower: Tensor): Promise<readonly number[]> => {
      const run = compile(
        () => batchLoss(network, parameters, { ...batch, lower }, drawDropout(randomKey(0), positions)).loss,
        { device: "wasm" },
      );
      const loss = [...(await (await run()).data())];
      run.dispose();
      return loss;
    };
    assert.deepEqual(await lossWith(batch.sigma), [0, 0]);
    assert.ok((await lossWith(tensor([0.35, 1.5]))).every((loss) => loss > 0.01));
  });

  it("leaves the loss head alone, and shows each layer once", async () => {
    const taps: string[] = [];
    const options = { ...smallOptions, network };
    const run = compile(
      () => {
        taps.length = 0;
        const seen = { ...drawDropout(randomKey(0), positions), tap: (name: string) => void taps.push(name) };
        const { gradient } = objectiveGradient(options, weights, {}, { ...batch, lower: tensor([0.3, 1]) }, 2, seen);
        return mapTree(gradient, (each) => each.square().sum());
      },
      { device: "wasm" },
    );
    const gradient = await run();
    run.dispose();
    assert.equal(new Set(taps).size, taps.length);
    assert.equal(await gradient["logvar_linear.weight"]?.item(), 0);
    assert.ok(((await gradient["unet.out_conv.weight"]?.item()) ?? 0) > 0);
  });
});
