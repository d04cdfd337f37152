import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { EvenkeelError } from "../../engine/errors.ts";
import {
  createDevice,
  evaluate,
  matmul,
  randomKey,
  randomTruncatedNormal,
  reshape,
  type Shape,
  transpose,
  zeros,
} from "../../engine/index.ts";
import {
  countParameters,
  describeConvolution,
  describeLinear,
  type Initializer,
  initializeParameters,
  type ParameterSpec,
} from "../../nn/index.ts";
import { orthogonalSteps } from "../../nn/initializers.ts";
import { assertNear } from "./layerLaw.ts";
import { mean, meanSquare, onOracle } from "./onOracle.ts";

const refuses = (code: string, pattern: RegExp) => (error: unknown) =>
  error instanceof EvenkeelError && error.code === code && pattern.test(error.message);

const drawn = async (shape: Shape, init: Initializer, seed = 1): Promise<readonly number[]> =>
  onOracle(initializeParameters({ w: { shape, role: "weight", init } satisfies ParameterSpec }, randomKey(seed)).w);

/**
 * Asserts mean 0 and this deviation by the moments of n numbers: means are within 5 deviations / sqrt(n), and mean squares within
 * 5 sqrt((kurtosis - 1) / n), which one run in a million is not.
 */
function assertSpread(values: readonly number[], deviation: number, kurtosis: number): void {
  const n = values.length;
  assert.ok(Math.abs(mean(values)) < (5 * deviation) / Math.sqrt(n), `mean ${mean(values)}`);
  const ratio = meanSquare(values) / deviation ** 2;
  assert.ok(Math.abs(ratio - 1) < 5 * Math.sqrt((kurtosis - 1) / n), `variance ${ratio} of what is wanted`);
}

describe("initializers", () => {
  const shape = [32, 8, 3, 3];
  const [fanIn, fanOut] = [72, 288];

  it("have the papers' variances, normal and uniform", async () => {
    const cases: readonly (readonly [Initializer, number])[] = [
      [{ kind: "kaimingNormal" }, Math.sqrt(2 / fanIn)],
      [{ kind: "kaimingNormal", fan: "out", gain: 1 }, Math.sqrt(1 / fanOut)],
      [{ kind: "kaimingUniform" }, Math.sqrt(2 / fanIn)],
      [{ kind: "xavierNormal", gain: 2 }, 2 * Math.sqrt(2 / (fanIn + fanOut))],
      [{ kind: "xavierUniform" }, Math.sqrt(2 / (fanIn + fanOut))],
      [{ kind: "normal", scale: 0.5 }, 0.5],
    ];
    for (const [init, deviation] of cases) {
      const values = await drawn(shape, init);
      const isUniform = init.kind.endsWith("Uniform");
      assertSpread(values, deviation, isUniform ? 1.8 : 3);
      if (isUniform) assert.ok(Math.max(...values.map(Math.abs)) <= Math.sqrt(3) * deviation * (1 + 1e-6));
    }
  });

  it("draw a normal distribution without its tails", async () => {
    const values = await drawn([4096], { kind: "truncatedNormal", scale: 0.02 });
    assert.ok(Math.max(...values.map(Math.abs)) <= 0.04 + 1e-9);
    // Of a standard normal within +-2: variance 1 - 4 phi(2) / (2 Phi(2) - 1), kurtosis 2.37.
    assertSpread(values, 0.02 * Math.sqrt(0.7737413), 2.37);
    for (const [low, high] of [
      [0.5, 1.5],
      [-3, 0],
      [1, 6],
    ] as const) {
      const within = await onOracle(randomTruncatedNormal(randomKey(3), [4096], low, high));
      assert.ok(within.every((value) => value >= low && value <= high));
      // The distribution function at the middle, against the share that is below: a binomial, within 5 deviations.
      const middle = (low + high) / 2;
      const share = integral(low, Math.min(middle, 8)) / integral(low, Math.min(high, 8));
      const below = within.filter((value) => value < middle).length / within.length;
      assert.ok(Math.abs(below - share) < 5 * Math.sqrt((share * (1 - share)) / within.length), `${below} ${share}`);
    }
    for (const [low, high] of [
      [1, 1],
      [2, 1],
      [7, 8],
      [NaN, 1],
    ] as const) {
      assert.throws(
        () => randomTruncatedNormal(randomKey(0), [1], low, high),
        // As they were given.
        refuses("range", new RegExp(`^randomTruncatedNormal: next to no normal number is from ${low} to ${high}\\.`)),
      );
    }
    assert.throws(() => randomTruncatedNormal(zeros([2]), [1]), refuses("shape", /^randomTruncatedNormal: a key/));
  });

  it("draw orthogonal rows or columns, of any shape", async () => {
    for (const size of [
      [5, 5],
      [3, 2, 2],
      [2, 7],
      [24, 24],
    ]) {
      const [rows = 0] = size;
      const { w } = initializeParameters(
        { w: { shape: size, role: "weight", init: { kind: "orthogonal", gain: 2 } } satisfies ParameterSpec },
        randomKey(5),
      );
      const matrix = reshape(w, [rows, -1]);
      const isTall = rows > (matrix.shape[1] ?? 0);
      const gram = isTall ? matmul(transpose(matrix), matrix) : matmul(matrix, transpose(matrix));
      const [n = 0] = gram.shape;
      assertNear(
        await onOracle(gram),
        Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 4 : 0)),
        1e-5,
      );
    }
  });

  it("go on until the smallest singular value of one matrix in a million is 1", () => {
    for (const n of [1, 2, 16, 512, 4096, 65_536]) {
      let value = 1e-6 / n ** 1.5;
      for (let i = 0; i < orthogonalSteps(n); i++) value = 1.5 * value - 0.5 * value ** 3;
      assert.ok(Math.abs(value - 1) < 2 ** -23, `${n}: ${value}`);
    }
  });

  it("draw large orthogonal matrices, too", async () => {
    const device = await createDevice("wasm");
    for (const [rows, columns, seed] of [
      [512, 512, 1],
      [512, 512, 2],
      [512, 700, 3],
    ] as const) {
      const spec: ParameterSpec = { shape: [rows, columns], role: "weight", init: { kind: "orthogonal" } };
      const { w } = initializeParameters({ w: spec }, randomKey(seed));
      const gram = Float64Array.from(await evaluate(matmul(w, transpose(w)), device));
      const worst = gram.reduce((most, value, i) => Math.max(most, Math.abs(value - Number(i % (rows + 1) === 0))), 0);
      assert.ok(worst < 2e-5, `${rows} x ${columns}, seed ${seed}: off by ${worst}`);
    }
    device.dispose();
  });

  it("draw trees as lists by name: each by its place", async () => {
    const tree = { layers: [describeLinear(2, 3), describeConvolution(1, 2, 3)], name: undefined };
    const nested = initializeParameters(tree, randomKey(2));
    const [linear, convolution] = tree.layers;
    assert.ok(linear?.bias !== undefined && convolution !== undefined);
    const flat = initializeParameters(
      { "layers.0.weight": linear.weight, "layers.0.bias": linear.bias, rest: convolution.weight },
      randomKey(2),
    );
    const [first, second] = nested.layers;
    assert.ok(first?.bias !== undefined && second !== undefined);
    assert.deepEqual(await onOracle(first.weight), await onOracle(flat["layers.0.weight"]));
    assert.deepEqual(await onOracle(second.weight), await onOracle(flat.rest));
    assert.equal(countParameters(tree), 6 + 3 + 18 + 2);
  });

  it("say which shapes have no inputs and outputs", async () => {
    for (const kind of ["kaimingNormal", "xavierUniform", "orthogonal"] as const) {
      await assert.rejects(drawn([4], { kind }), refuses("shape", new RegExp(`initializer ${kind}: \\[4\\]`)));
      await assert.rejects(drawn([0, 4], { kind }), refuses("shape", /\[0, 4\]/));
    }
  });
});

/** exp(-x^2 / 2) from low to high, by Simpson's rule. */
function integral(low: number, high: number): number {
  const [count, width] = [1000, (high - low) / 1000];
  const weight = (i: number): number => (i === 0 || i === count ? 1 : i % 2 === 1 ? 4 : 2);
  return Array.from({ length: count + 1 }, (_, i) => weight(i) * Math.exp(-((low + i * width) ** 2) / 2)).reduce(
    (sum, value) => sum + (value * width) / 3,
    0,
  );
}
