/**
 * Unit variance in, unit variance out. Every bound is six standard errors of the measured mean square, with the variance of what is
 * averaged worked out in the comment. Squares of normals have a longer tail than normals: the mean of n of them is above 1 + e with
 * probability exp(-n (e - log(1 + e)) / 2) at most, and below 1 - e with less. With six standard errors, e = 6 sqrt(2 / n), that
 * is 3e-7 for the fewest, 800 images. Some 80 draws: one seed in 40,000 fails by chance at most. Seeds are fast-check's, so that
 * failures shrink.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { randomKey, randomNormal, randomUniform, slice, splitKey, keyAt, type Tensor } from "../../engine/index.ts";
import {
  cosineAttention,
  mpCat,
  mpConv,
  mpFourier,
  mpSilu,
  mpSum,
  normalize,
  pixelNorm,
  resample,
} from "../../nn/index.ts";
import { mean, meanSquare, onOracle } from "./onOracle.ts";

const runs = { numRuns: 12 };
const seed = fc.nat(2 ** 31);
const balance = fc.integer({ min: 0, max: 20 }).map((n) => n / 20);

/** Independent standard normals for each name. */
function normals(seed: number, ...shapes: readonly (readonly number[])[]): Tensor[] {
  const keys = splitKey(randomKey(seed), shapes.length);
  return shapes.map((shape, i) => randomNormal(keyAt(keys, i), shape));
}

/** The mean square of n values, each of variance of square `spread`, lies this close to 1. */
function requireUnit(values: readonly number[], spread: number, count = values.length, expected = 1): void {
  const bound = 6 * Math.sqrt(spread / count);
  const measured = meanSquare(values);
  assert.ok(Math.abs(measured - expected) < bound, `mean square ${measured}, expected ${expected} within ${bound}`);
}

describe("magnitude preservation", () => {
  it("of mpSum, for independent inputs and any balance", async () => {
    await fc.assert(
      fc.asyncProperty(seed, balance, async (seed, t) => {
        const [a, b] = normals(seed, [4000], [4000]) as [Tensor, Tensor];
        // The result is standard normal: its square has variance 2.
        requireUnit(await onOracle(mpSum(a, b, t)), 2);
      }),
      runs,
    );
  });

  it("of mpCat, for any widths and balance, and each part has the share that t gives", async () => {
    await fc.assert(
      fc.asyncProperty(
        seed,
        balance,
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 9 }),
        async (seed, t, na, nb) => {
          const count = 3000;
          const [a, b] = normals(seed, [count, na], [count, nb]) as [Tensor, Tensor];
          const joined = mpCat(a, b, t);
          const values = await onOracle(joined);
          const scale = (na + nb) / ((1 - t) ** 2 + t ** 2);
          const [va, vb] = [(scale * (1 - t) ** 2) / na, (scale * t ** 2) / nb];
          // A fraction na / (na + nb) of squares has mean va and variance 2 va^2, the rest vb and 2 vb^2.
          const spread = (2 * (na * va ** 2 + nb * vb ** 2)) / (na + nb);
          requireUnit(values, spread);
          const first = await onOracle(slice(joined, [null, [0, na]]));
          requireUnit(first, 2 * va ** 2 + 1e-12, first.length, va);
        },
      ),
      runs,
    );
  });

  it("of mpSilu, up to the rounding of its constant", async () => {
    await fc.assert(
      fc.asyncProperty(seed, async (seed) => {
        const [x] = normals(seed, [20000]) as [Tensor];
        // E[silu(z)^2] = 0.5964692^2; E[silu(z)^4] = 0.80 by quadrature, so that the square has variance 0.80 / 0.596^4.
        requireUnit(await onOracle(mpSilu(x)), 0.8 / 0.596 ** 4, 20000, (0.5964692 / 0.596) ** 2);
      }),
      runs,
    );
  });

  it("of mpFourier, over random phases", async () => {
    await fc.assert(
      fc.asyncProperty(seed, fc.double({ min: -3, max: 3, noNaN: true }), async (seed, scale) => {
        const keys = splitKey(randomKey(seed), 3);
        const x = randomNormal(keyAt(keys, 0), [20]).multiply(scale);
        const freqs = randomNormal(keyAt(keys, 1), [1000]).multiply(2 * Math.PI);
        const phases = randomUniform(keyAt(keys, 2), [1000], 0, 2 * Math.PI);
        // 2 cos^2 has mean 1 and variance 1/2 over a uniform phase. One phase serves 20 inputs: 1,000 independent terms.
        requireUnit(await onOracle(mpFourier(x, { freqs, phases })), 0.5, 1000);
      }),
      runs,
    );
  });

  it("of mpConv, linear and convolution, for any widths, weights and gain", async () => {
    const kernels = fc.constantFrom([], [1, 1], [3, 3], [5, 1]);
    await fc.assert(
      fc.asyncProperty(
        seed,
        kernels,
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 1, max: 6 }),
        async (seed, kernel, cin, cout) => {
          const [height = 1, width = 1] = kernel;
          const spatial = kernel.length === 0 ? [] : [height + 1, width + 1];
          const count = kernel.length === 0 ? 3000 : 800;
          const [x, w] = normals(seed, [count, cin, ...spatial], [cout, cin, ...kernel]) as [Tensor, Tensor];
          const scale = 0.5 + (seed % 100) / 50;
          const output = mpConv(x, w.multiply(scale), 1);
          // Pixels whose kernel lies inside: given the weights, each output is normal with the variance of its row, 1 but for epsilon.
          const inner =
            kernel.length === 0
              ? output
              : slice(output, [
                  null,
                  null,
                  [(height - 1) / 2, (height - 1) / 2 + 2],
                  [(width - 1) / 2, (width - 1) / 2 + 2],
                ]);
          // Outputs of one image share inputs: only images are independent. The mean over an image has no more variance than one output.
          const rms = Math.sqrt(1) + 0;
          const epsilon = 2 * (1e-4 / (0.3 * scale)) * rms;
          const measured = meanSquare(await onOracle(inner));
          assert.ok(Math.abs(measured - 1) < 6 * Math.sqrt(2 / count) + epsilon, `mean square ${measured}`);
        },
      ),
      { numRuns: 16 },
    );
  });

  it("of mpConv's borders: what lies outside counts as zero", async () => {
    const count = 4000;
    const [x, w] = normals(7, [count, 2, 1, 1], [1, 2, 3, 3]) as [Tensor, Tensor];
    const weights = await onOracle(normalize(w));
    // A single pixel sees the middle of the kernel alone.
    const expected = mean(weights.map((value, i) => (i % 9 === 4 ? value ** 2 : 0)));
    requireUnit(await onOracle(mpConv(x, w)), 2 * expected ** 2, count, expected);
  });

  it("of resampling: repeating keeps it, averaging four independent pixels quarters it", async () => {
    const [x] = normals(3, [50, 4, 8, 8]) as [Tensor];
    const values = await onOracle(x);
    assert.ok(Math.abs(meanSquare(await onOracle(resample(x, "up"))) - meanSquare(values)) < 1e-6);
    // Normals of variance 1/4: squares have variance 2/16.
    requireUnit(await onOracle(resample(x, "down")), 2 / 16, values.length / 4, 1 / 4);
  });

  it("of attention: its output is an average of unit vectors, and none longer", async () => {
    await fc.assert(
      fc.asyncProperty(
        seed,
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 2, max: 8 }),
        async (seed, heads, channels) => {
          const [qkv] = normals(seed, [2, heads * channels * 3, 3, 2]) as [Tensor];
          let logits: readonly number[] = [];
          const taps: Promise<void>[] = [];
          const output = cosineAttention(qkv, channels, (what, value) => {
            taps.push(
              onOracle(value).then((numbers) => {
                if (what === "logits") logits = numbers;
                else {
                  const sums = Array.from({ length: numbers.length / 6 }, (_, row) =>
                    numbers.slice(6 * row, 6 * row + 6),
                  );
                  for (const row of sums) assert.ok(Math.abs(row.reduce((a, b) => a + b) - 1) < 1e-6);
                }
              }),
            );
          });
          const values = await onOracle(output);
          await Promise.all(taps);
          assert.ok(logits.every((logit) => Math.abs(logit) <= Math.sqrt(channels) + 1e-6));
          for (let image = 0; image < 2; image++) {
            for (let head = 0; head < heads; head++) {
              for (let pixel = 0; pixel < 6; pixel++) {
                const vector = Array.from(
                  { length: channels },
                  (_, c) => values[((image * heads + head) * channels + c) * 6 + pixel] ?? NaN,
                );
                assert.ok(meanSquare(vector) <= 1 + 1e-6);
              }
            }
          }
        },
      ),
      runs,
    );
  });
});

describe("normalize", () => {
  it("gives magnitude m / (m + epsilon) over any axes", async () => {
    const axes = fc.constantFrom(undefined, 0, 1, 2, [0, 2], [1, 2], [0, 1, 2]);
    await fc.assert(
      fc.asyncProperty(
        seed,
        axes,
        fc.constantFrom(1e-4, 1e-2),
        fc.integer({ min: -4, max: 4 }),
        async (seed, over, epsilon, power) => {
          const [x] = normals(seed, [2, 3, 4]) as [Tensor];
          const scaled = x.multiply(10 ** power);
          const [before, after] = [await onOracle(scaled), await onOracle(normalize(scaled, over, epsilon))];
          const list = over === undefined ? [1, 2] : typeof over === "number" ? [over] : over;
          const groupOf = (i: number): string =>
            [Math.floor(i / 12), Math.floor(i / 4) % 3, i % 4]
              .map((at, axis) => (list.includes(axis) ? "*" : at))
              .join();
          for (const group of new Set(before.map((_, i) => groupOf(i)))) {
            const inGroup = before.map((_, i) => i).filter((i) => groupOf(i) === group);
            const magnitude = Math.sqrt(meanSquare(inGroup.map((i) => before[i] ?? NaN)));
            for (const i of inGroup) {
              const expected = (before[i] ?? NaN) / (magnitude + epsilon);
              // The oracle's inputs and literals are float32.
              assert.ok(
                Math.abs((after[i] ?? NaN) - expected) <= 1e-6 * Math.abs(expected) + 1e-12,
                `${after[i]} ${expected}`,
              );
            }
          }
        },
      ),
      runs,
    );
  });

  it("of zeros is zero, and so is its gradient's damage", async () => {
    const { zeros, grad, reduceSum, square } = await import("../../engine/index.ts");
    const gradient = grad((x: Tensor) => reduceSum(square(normalize(x).add(1))))(zeros([2, 3]));
    for (const value of await onOracle(gradient)) assert.ok(Math.abs(value - 2 / 1e-4) < 1, String(value));
    assert.ok((await onOracle(pixelNorm(zeros([1, 2, 2, 2])))).every((value) => value === 0));
  });
});

describe("resample", () => {
  it("up is four times the transpose of down, for any even filter", async () => {
    const { reduceSum, multiply } = await import("../../engine/index.ts");
    await fc.assert(
      fc.asyncProperty(
        seed,
        fc.constantFrom([1, 1], [1, 3, 3, 1], [1, 2, 4, 4, 2, 1], [3, 1]),
        async (seed, filter) => {
          const [x, y] = normals(seed, [1, 2, 6, 4], [1, 2, 3, 2]) as [Tensor, Tensor];
          const [left = NaN] = await onOracle(reduceSum(multiply(resample(x, "down", filter), y)));
          const [right = NaN] = await onOracle(reduceSum(multiply(x, resample(y, "up", filter))));
          assert.ok(Math.abs(4 * left - right) < 1e-5 * (1 + Math.abs(right)), `${4 * left} ${right}`);
        },
      ),
      runs,
    );
  });

  it("keeps a constant inside", async () => {
    const { full } = await import("../../engine/index.ts");
    for (const filter of [
      [1, 1],
      [1, 3, 3, 1],
    ]) {
      const up = await onOracle(slice(resample(full([1, 1, 6, 6], 2), "up", filter), [null, null, [4, 8], [4, 8]]));
      const down = await onOracle(
        slice(resample(full([1, 1, 12, 12], 2), "down", filter), [null, null, [2, 4], [2, 4]]),
      );
      for (const value of [...up, ...down]) assert.ok(Math.abs(value - 2) < 1e-6);
    }
  });

  it("refuses odd sizes and filters", async () => {
    const { zeros } = await import("../../engine/index.ts");
    assert.throws(() => resample(zeros([1, 1, 3, 4]), "down"), /can't halve \[1, 1, 3, 4\]/);
    assert.throws(() => resample(zeros([1, 1, 4, 4]), "up", [1, 2, 1]), /needs an even length/);
    assert.throws(() => resample(zeros([1, 1, 4, 4]), "up", [1, -1]), /a sum not 0/);
    assert.throws(() => mpSum(zeros([1]), zeros([1]), 1.5), /mpSum: t 1.5/);
    assert.throws(() => mpCat(zeros([1, 1]), zeros([1, 1]), -1), /mpCat: t -1/);
    assert.throws(() => mpConv(zeros([1, 1, 4, 4]), zeros([1, 1, 2, 2])), /odd kh and kw/);
    assert.throws(() => cosineAttention(zeros([1, 9, 2, 2]), 2), /3 channels don't divide into heads of 2/);
  });
});
