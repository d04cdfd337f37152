import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { EvenkeelError } from "../../engine/errors.ts";
import { evaluate, grad, gather, randomKey, reduceSum, type Tensor, tensor } from "../../engine/index.ts";
import {
  batchNorm,
  batchNormTraining,
  convolution,
  describeBatchNorm,
  describeBatchStatistics,
  describeConvolution,
  describeEmbedding,
  describeLayerNorm,
  describeLinear,
  dropout,
  embedding,
  initializeParameters,
  layerNorm,
  linear,
  rmsNorm,
} from "../../nn/index.ts";
import { assertNear, checkLayer, drawNumbers } from "./layerLaw.ts";
import { mean, onOracle } from "./onOracle.ts";

const refuses = (code: string, pattern: RegExp) => (error: unknown) =>
  error instanceof EvenkeelError && error.code === code && pattern.test(error.message);

const small = fc.integer({ min: 1, max: 5 });
const seeds = fc.nat(1e6);
const runs = { numRuns: 12 };

describe("linear", () => {
  it("is x W' + b over the last axis, whatever is in front", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(small, { maxLength: 3 }), small, small, seeds, async (front, from, to, seed) => {
        const rows = front.reduce((product, size) => product * size, 1);
        const [x, w, b] = [drawNumbers(seed, rows * from), drawNumbers(seed + 1, to * from), drawNumbers(seed + 2, to)];
        const weight = tensor(w, { shape: [to, from] });
        const y = linear(tensor(x, { shape: [...front, from] }), { weight, bias: tensor(b) });
        assert.deepEqual(y.shape, [...front, to]);
        const wanted = Array.from({ length: rows * to }, (_, i) => {
          const [row, out] = [Math.floor(i / to), i % to];
          return w
            .slice(out * from, (out + 1) * from)
            .reduce((sum, each, k) => sum + each * (x[row * from + k] ?? NaN), b[out] ?? NaN);
        });
        assertNear(await onOracle(y), wanted);
        assertNear(
          await onOracle(linear(tensor(x, { shape: [...front, from] }), { weight })),
          wanted.map((value, i) => value - (b[i % to] ?? NaN)),
        );
      }),
      runs,
    );
  });

  it("has right derivatives, on devices too", async () => {
    const fn = (x: Tensor, weight: Tensor, bias: Tensor): Tensor => linear(x, { weight, bias });
    await checkLayer({ fn, shapes: [[2, 3, 4], [5, 4], [5]] }, 1);
  });

  it("is drawn within 1 / sqrt(inputs), with or without a bias", async () => {
    const { weight, bias } = initializeParameters(describeLinear(16, 64), randomKey(1));
    for (const array of [weight, bias]) {
      assert.ok(array !== undefined);
      const values = await onOracle(array);
      assert.ok(values.every((value) => Math.abs(value) <= 0.25) && Math.max(...values) > 0.2);
    }
    assert.deepEqual(Object.keys(describeLinear(2, 3, { hasBias: false })), ["weight"]);
  });

  it("says which sizes don't fit", () => {
    const weight = tensor([[1, 2]]);
    assert.throws(() => linear(tensor([1, 2, 3]), { weight }), refuses("shape", /linear: x \[3\] and weight \[1, 2\]/));
    assert.throws(() => linear(tensor([1, 2]), { weight: tensor([1, 2]) }), refuses("shape", /linear/));
  });
});

describe("convolution", () => {
  it("adds a bias to each channel of conv2d", async () => {
    const network = initializeParameters(describeConvolution(2, 3, [3, 1], { groups: 1 }), randomKey(2));
    assert.deepEqual(network.weight.shape, [3, 2, 3, 1]);
    const x = tensor(drawNumbers(1, 2 * 2 * 4 * 4), { shape: [2, 2, 4, 4] });
    const [plain, bias] = [convolution(x, { weight: network.weight }), network.bias];
    assert.ok(bias !== undefined);
    const [without, shifts] = [await onOracle(plain), await onOracle(bias)];
    const pixels = 2 * 4;
    assertNear(
      await onOracle(convolution(x, network)),
      without.map((value, i) => value + (shifts[Math.floor(i / pixels) % 3] ?? NaN)),
    );
    assert.deepEqual(describeConvolution(4, 8, 3, { groups: 2 }).weight.shape, [8, 2, 3, 3]);
  });
});

describe("norms", () => {
  it("are the papers', over the axes that their parameters have", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(small, { maxLength: 2 }),
        fc.array(small, { minLength: 1, maxLength: 2 }),
        seeds,
        async (front, shape, seed) => {
          const size = shape.reduce((product, extent) => product * extent, 1);
          const rows = front.reduce((product, extent) => product * extent, 1);
          const [x, w, b] = [drawNumbers(seed, rows * size), drawNumbers(seed + 1, size), drawNumbers(seed + 2, size)];
          const [given, weight, bias] = [
            tensor(x, { shape: [...front, ...shape] }),
            tensor(w, { shape }),
            tensor(b, { shape }),
          ];
          const ofRows = (normalize: (row: number[]) => number[]): number[] =>
            Array.from({ length: rows }, (_, i) => normalize(x.slice(i * size, (i + 1) * size))).flat();
          const layer = ofRows((row) => {
            const centre = mean(row);
            const deviation = Math.sqrt(mean(row.map((value) => (value - centre) ** 2)) + 1e-5);
            return row.map((value, i) => ((value - centre) / deviation) * (w[i] ?? NaN) + (b[i] ?? NaN));
          });
          assertNear(await onOracle(layerNorm(given, { weight, bias })), layer);
          const rms = ofRows((row) => {
            const magnitude = Math.sqrt(mean(row.map((value) => value ** 2)) + 2 ** -23);
            return row.map((value, i) => (value / magnitude) * (w[i] ?? NaN));
          });
          assertNear(await onOracle(rmsNorm(given, { weight })), rms);
        },
      ),
      runs,
    );
  });

  it("have right derivatives, on devices too", async () => {
    await checkLayer({ fn: (x, weight, bias) => layerNorm(x, { weight, bias }, 0.1), shapes: [[3, 5], [5], [5]] }, 3);
    await checkLayer(
      {
        fn: (x, weight) => rmsNorm(x, { weight }, 0.1),
        shapes: [
          [3, 2, 2],
          [2, 2],
        ],
      },
      4,
    );
  });

  it("go over the last axis without parameters, start as nothing, and say which sizes don't fit", async () => {
    const x = tensor([
      [1, 3],
      [-2, 2],
    ]);
    assertNear(await onOracle(layerNorm(x, {}, 0)), [-1, 1, -1, 1]);
    assertNear(
      await onOracle(rmsNorm(tensor([3, 4]), {}, 0)),
      [3, 4].map((value) => value / Math.sqrt(12.5)),
    );
    const drawn = initializeParameters(describeLayerNorm([2, 3]), randomKey(0));
    assert.ok(drawn.weight !== undefined && drawn.bias !== undefined);
    assert.deepEqual([await onOracle(drawn.weight), await onOracle(drawn.bias)], [Array(6).fill(1), Array(6).fill(0)]);
    assert.deepEqual(Object.keys(describeLayerNorm(3, false)), ["weight"]);
    assert.throws(
      () => layerNorm(x, { weight: tensor([1, 2, 3]) }),
      refuses("shape", /layerNorm: a parameter is \[3\]/),
    );
    assert.throws(() => rmsNorm(x, { weight: tensor([[1], [2]]) }), refuses("shape", /rmsNorm/));
  });
});

describe("batch norm", () => {
  const [images, channels, pixels, momentum] = [3, 2, 4, 0.3];
  const shape = [images, channels, 2, 2];
  const x = drawNumbers(5, images * channels * pixels);
  const parameters = { weight: tensor([1.5, -0.5]), bias: tensor([0.25, 2]) };
  const statistics = { mean: tensor([0.5, -1]), variance: tensor([2, 0.5]) };
  const ofChannel = (c: number): number[] => x.filter((_, i) => Math.floor(i / pixels) % channels === c);
  const centres = [0, 1].map((c) => mean(ofChannel(c)));
  const variances = [0, 1].map((c) => mean(ofChannel(c).map((value) => (value - (centres[c] ?? NaN)) ** 2)));
  const applied = (means: readonly number[], spreads: readonly number[]): number[] =>
    x.map((value, i) => {
      const c = Math.floor(i / pixels) % channels;
      const normalized = (value - (means[c] ?? NaN)) / Math.sqrt((spreads[c] ?? NaN) + 1e-5);
      return normalized * ([1.5, -0.5][c] ?? NaN) + ([0.25, 2][c] ?? NaN);
    });

  it("goes by its own batch in training, and moves its statistics as PyTorch does", async () => {
    const made = batchNormTraining(tensor(x, { shape }), parameters, statistics, { momentum });
    assertNear(await onOracle(made.value), applied(centres, variances));
    const moved = (before: readonly number[], now: readonly number[]): number[] =>
      before.map((value, c) => value * (1 - momentum) + (now[c] ?? NaN) * momentum);
    assertNear(await onOracle(made.statistics.mean), moved([0.5, -1], centres));
    const sample = variances.map((value) => (value * images * pixels) / (images * pixels - 1));
    assertNear(await onOracle(made.statistics.variance), moved([2, 0.5], sample));
  });

  it("goes by its statistics afterwards", async () => {
    assertNear(await onOracle(batchNorm(tensor(x, { shape }), parameters, statistics)), applied([0.5, -1], [2, 0.5]));
  });

  it("knows nothing of images that don't count, whatever they are", async () => {
    const filled = tensor([...x, ...Array<number>(channels * pixels).fill(NaN)], {
      shape: [images + 1, channels, 2, 2],
    });
    const made = batchNormTraining(filled, parameters, statistics, { momentum, weights: tensor([1, 1, 1, 0]) });
    const alone = batchNormTraining(tensor(x, { shape }), parameters, statistics, { momentum });
    assertNear((await onOracle(made.value)).slice(0, x.length), await onOracle(alone.value));
    for (const name of ["mean", "variance"] as const) {
      assertNear(await onOracle(made.statistics[name]), await onOracle(alone.statistics[name]));
    }
  });

  it("has right derivatives, through the batch but not through statistics", async () => {
    const fn = (y: Tensor, weight: Tensor, bias: Tensor): Tensor =>
      batchNormTraining(y, { weight, bias }, statistics, { epsilon: 0.1 }).value;
    await checkLayer({ fn, shapes: [[3, 2, 2], [2], [2]] }, 6);
    const through = grad((y: Tensor) => reduceSum(batchNormTraining(y, parameters, statistics).statistics.variance));
    assert.deepEqual(await onOracle(through(tensor(x, { shape }))), Array(x.length).fill(0));
  });

  it("starts as nothing, and says what doesn't fit", async () => {
    const drawn = initializeParameters(
      { parameters: describeBatchNorm(2), statistics: describeBatchStatistics(2) },
      randomKey(0),
    );
    assertNear(await onOracle(batchNorm(tensor(x, { shape }), drawn.parameters, drawn.statistics, 0)), x);
    const one = tensor([[1, 2]]);
    assert.throws(() => batchNormTraining(one, parameters, statistics), refuses("shape", /1 numbers a channel/));
    assert.throws(
      () => batchNorm(tensor([[1, 2, 3]]), parameters, statistics),
      refuses("shape", /batchNorm: x \[1, 3\]/),
    );
    const weights = tensor([1, 1]);
    assert.throws(
      () => batchNormTraining(tensor(x, { shape }), parameters, statistics, { weights }),
      refuses("shape", /\[3\]/),
    );
  });
});

describe("embedding", () => {
  it("takes rows of its table, whose gradient adds up", async () => {
    const table = initializeParameters(describeEmbedding(5, 3), randomKey(3));
    const index = tensor(
      [
        [4, 0],
        [4, 1],
      ],
      { dtype: "i32" },
    );
    const taken = embedding(index, table);
    assert.deepEqual(taken.shape, [2, 2, 3]);
    assert.deepEqual(await onOracle(taken), await onOracle(gather(table.weight, index)));
    const slopes = grad((weight: Tensor) => reduceSum(embedding(index, { weight })))(table.weight);
    assert.deepEqual(
      await onOracle(slopes),
      [1, 1, 0, 0, 2].flatMap((count) => [count, count, count]),
    );
  });
});

describe("dropout", () => {
  it("keeps the mean: within 5 deviations, which one run in 1.7 million is not", async () => {
    const count = 4096;
    for (const probability of [0.1, 0.5, 0.9]) {
      const dropped = await onOracle(dropout(tensor(new Float32Array(count).fill(1)), randomKey(7), probability));
      const kept = Math.fround(1 / (1 - probability));
      assert.ok(dropped.every((value) => value === 0 || Math.abs(value - kept) < 1e-6 * kept));
      // Of one element: 1 / (1 - p) with probability 1 - p, so of variance p / (1 - p).
      assert.ok(Math.abs(mean(dropped) - 1) < 5 * Math.sqrt(probability / (1 - probability) / count));
    }
  });

  it("follows from its key alone, and has the same holes in its derivative", async () => {
    const x = tensor(drawNumbers(1, 64));
    const once = await onOracle(dropout(x, randomKey(1), 0.5));
    assert.deepEqual(await onOracle(dropout(x, randomKey(1), 0.5)), once);
    assert.notDeepEqual(await onOracle(dropout(x, randomKey(2), 0.5)), once);
    const slope = await onOracle(grad((y: Tensor) => reduceSum(dropout(y, randomKey(1), 0.5)))(x));
    assert.deepEqual(
      slope,
      once.map((value) => (value === 0 ? 0 : 2)),
    );
  });

  it("does nothing at 0, and leaves nothing at 1", async () => {
    const x = tensor([1, NaN, -Infinity]);
    assert.equal(dropout(x, randomKey(1), 0), x);
    assert.deepEqual(await evaluate(dropout(x, randomKey(1), 1)), new Float32Array(3));
    for (const probability of [-0.1, 1.1, NaN]) {
      assert.throws(() => dropout(x, randomKey(1), probability), refuses("value", /dropout: probability/));
    }
  });
});
