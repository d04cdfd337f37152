/** What layers, optimizers and schedules promise at their edges: shapes, defaults, limits, messages. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { grad, keyAt, randomKey, randomNormal, reduceSum, scalar, splitKey, square } from "../../engine/index.ts";
import { tensor, type Tensor, zeros } from "../../engine/index.ts";
import {
  adam,
  adamCorrections,
  adamMoments,
  cosineAttention,
  countNonFinite,
  describeFourier,
  describeMpConv,
  dotProductAttention,
  forceNormalize,
  globalNorm,
  learningRate,
  mpCat,
  mpConv,
  mpFourier,
  mpSilu,
  mpSum,
  normalize,
  pixelNorm,
  resample,
} from "../../nn/index.ts";
import { onOracle } from "./onOracle.ts";

const normals = (seed: number, shape: readonly number[]): Tensor =>
  randomNormal(keyAt(splitKey(randomKey(seed), 2), 1), shape);

/** Float32 results beside float64 ones. */
function assertClose(got: readonly number[], expected: readonly number[]): void {
  assert.equal(got.length, expected.length);
  got.forEach((value, i) => {
    const wanted = expected[i] ?? NaN;
    assert.ok(Math.abs(value - wanted) <= 2e-6 * (1 + Math.abs(wanted)), `${i}: ${value}, expected ${wanted}`);
  });
}

const mistake = (code: string, message: string) => ({ name: "EvenkeelError", code, message });

describe("dotProductAttention", () => {
  it("of one channel has the plain product of query and key as its logit", async () => {
    // Two pixels; channels are query, key, value: q = (2, -1), k = (0.5, 3), v = (10, 20).
    const qkv = tensor([2, -1, 0.5, 3, 10, 20], { shape: [1, 3, 1, 2] });
    const expected = [2, -1].map((q) => {
      const [first, second] = [Math.exp(q * 0.5), Math.exp(q * 3)];
      return (10 * first + 20 * second) / (first + second);
    });
    assertClose(await onOracle(dotProductAttention(qkv, 1)), expected);
  });

  it("divides logits by the root of the head's width, shows them, and refuses channels that are no heads", async () => {
    const qkv = normals(8, [1, 12, 1, 1]);
    const values = await onOracle(qkv);
    const logits: Tensor[] = [];
    dotProductAttention(qkv, 4, (what, value) => {
      if (what === "logits") logits.push(value);
    });
    const product = [0, 1, 2, 3].reduce((sum, c) => sum + (values[3 * c] ?? NaN) * (values[3 * c + 1] ?? NaN), 0);
    assertClose(await onOracle(logits[0] ?? assert.fail("no logits")), [product / 2]);
    assert.throws(
      () => dotProductAttention(qkv, 3),
      mistake("shape", "dotProductAttention: 4 channels don't divide into heads of 3."),
    );
  });
});

describe("cosineAttention", () => {
  it("shows logits, then weights, to a tap, and does without one", async () => {
    const qkv = normals(1, [2, 12, 2, 3]);
    const seen: [string, readonly number[]][] = [];
    const tapped = cosineAttention(qkv, 2, (what, value) => void seen.push([what, value.shape]));
    assert.deepEqual(seen, [
      ["logits", [2, 2, 6, 6]],
      ["weights", [2, 2, 6, 6]],
    ]);
    assert.deepEqual(tapped.shape, [2, 4, 2, 3]);
    assert.deepEqual(await onOracle(cosineAttention(qkv, 2)), await onOracle(tapped));
    assert.deepEqual(cosineAttention(qkv, 4).shape, [2, 4, 2, 3], "one head");
  });

  it("is the average of values by the softmax of cosines times the root of the head's width", async () => {
    const [heads, width, pixels] = [2, 3, 4];
    const qkv = normals(2, [1, heads * width * 3, 2, 2]);
    const values = await onOracle(qkv);
    const vector = (head: number, part: number, pixel: number): number[] => {
      const raw = Array.from(
        { length: width },
        (_, c) => values[((head * width + c) * 3 + part) * pixels + pixel] ?? NaN,
      );
      const magnitude = Math.sqrt(raw.reduce((sum, each) => sum + each * each, 0) / width) + 1e-4;
      return raw.map((each) => each / magnitude);
    };
    const expected = new Array<number>(heads * width * pixels).fill(0);
    for (let head = 0; head < heads; head++) {
      for (let q = 0; q < pixels; q++) {
        const query = vector(head, 0, q);
        const shares = Array.from({ length: pixels }, (_, k) => {
          const key = vector(head, 1, k);
          return Math.exp(query.reduce((sum, each, c) => sum + each * (key[c] ?? NaN), 0) / Math.sqrt(width));
        });
        const total = shares.reduce((a, b) => a + b);
        shares.forEach((share, k) =>
          vector(head, 2, k).forEach((each, c) => {
            const at = (head * width + c) * pixels + q;
            expected[at] = (expected[at] ?? NaN) + (share / total) * each;
          }),
        );
      }
    }
    assertClose(await onOracle(cosineAttention(qkv, width)), expected);
  });

  it("refuses channels that are no heads", () => {
    for (const [channels, width, there] of [
      [9, 2, 3],
      [6, 4, 2],
      [0, 2, 0],
    ] as const) {
      assert.throws(
        () => cosineAttention(zeros([1, channels, 2, 2]), width),
        mistake("shape", `cosineAttention: ${there} channels don't divide into heads of ${width}.`),
      );
    }
  });
});

describe("mpConv", () => {
  it("has standard normal weights, forced unless said otherwise", () => {
    const spec = { shape: [5, 3, 1, 3], role: "weight", init: { kind: "normal", scale: 1 } };
    assert.deepEqual(describeMpConv(3, 5, [1, 3]), { weight: { ...spec, isForced: true } });
    assert.deepEqual(describeMpConv(3, 5, [1, 3], false), { weight: spec });
    assert.deepEqual(describeMpConv(3, 5, []).weight.shape, [5, 3]);
  });

  it("is the product with normalized weights over the root of the fan-in, times the gain", async () => {
    const [x, w] = [normals(3, [2, 3]), normals(4, [2, 3])];
    const [xs, ws] = [await onOracle(x), await onOracle(w)];
    const rows = [0, 1].map((row) => {
      const weights = ws.slice(3 * row, 3 * row + 3);
      const magnitude = Math.sqrt(weights.reduce((sum, each) => sum + each * each, 0) / 3) + 1e-4;
      return weights.map((each) => each / magnitude);
    });
    const expected = (gain: number): number[] =>
      [0, 1].flatMap((n) =>
        rows.map((row) => row.reduce((sum, each, c) => sum + (gain / Math.sqrt(3)) * each * (xs[3 * n + c] ?? NaN), 0)),
      );
    assertClose(await onOracle(mpConv(x, w)), expected(1));
    assertClose(await onOracle(mpConv(x, w, 2.5)), expected(2.5));
    assertClose(await onOracle(mpConv(x, w, scalar(0.5))), expected(0.5));
    assertClose(await onOracle(forceNormalize(w)), rows.flat());
  });

  it("keeps height and width, whatever the odd kernel", () => {
    for (const kernel of [
      [1, 1],
      [3, 1],
      [1, 3],
      [5, 3],
    ]) {
      assert.deepEqual(mpConv(zeros([2, 3, 4, 6]), zeros([5, 3, ...kernel])).shape, [2, 5, 4, 6]);
    }
  });

  it("refuses other weights", () => {
    for (const shape of [[3], [2, 3, 1], [2, 3, 2, 1], [2, 3, 1, 2], [2, 3, 1, 1, 1]]) {
      assert.throws(
        () => mpConv(zeros([2, 3, 4, 4]), zeros(shape)),
        mistake(
          "shape",
          `mpConv: weight [${shape.join(", ")}] is neither [out, in] nor [out, in, kh, kw] with odd kh and kw.`,
        ),
      );
    }
  });
});

describe("mpFourier", () => {
  it("has buffers of frequencies and phases over the whole circle", () => {
    assert.deepEqual(describeFourier(7), {
      freqs: { shape: [7], role: "buffer", init: { kind: "normal", scale: 2 * Math.PI } },
      phases: { shape: [7], role: "buffer", init: { kind: "uniform", low: 0, high: 2 * Math.PI } },
    });
  });

  it("is sqrt(2) cos(freqs x + phases)", async () => {
    const features = mpFourier(tensor([0.5, -2]), { freqs: tensor([1, 3]), phases: tensor([0.25, -1]) });
    assertClose(
      await onOracle(features),
      [0.5, -2].flatMap((x) => [Math.SQRT2 * Math.cos(x + 0.25), Math.SQRT2 * Math.cos(3 * x - 1)]),
    );
  });
});

describe("mpSum, mpCat and mpSilu", () => {
  it("are their formulas", async () => {
    const [a, b] = [tensor([[1, -2]]), tensor([[3, 0.5]])];
    const length = Math.sqrt(0.7 ** 2 + 0.3 ** 2);
    assertClose(await onOracle(mpSum(a, b, 0.3)), [(0.7 + 0.9) / length, (-1.4 + 0.15) / length]);
    const wide = tensor([[3, 0.5, 1]]);
    const scale = Math.sqrt(5 / (0.7 ** 2 + 0.3 ** 2));
    const shares = [(scale * 0.7) / Math.sqrt(2), (scale * 0.3) / Math.sqrt(3)] as const;
    assertClose(await onOracle(mpCat(a, wide, 0.3)), [
      ...[1, -2].map((each) => each * shares[0]),
      ...[3, 0.5, 1].map((each) => each * shares[1]),
    ]);
    assert.deepEqual(await onOracle(mpCat(a, wide)), await onOracle(mpCat(a, wide, 0.5)));
    assertClose(
      await onOracle(mpSilu(tensor([1, -2]))),
      [1, -2].map((x) => x / (1 + Math.exp(-x)) / 0.596),
    );
  });

  it("take balances from 0 to 1, both included, and no others", async () => {
    const [a, b] = [tensor([[1, 2]]), tensor([[3, 4]])];
    assert.deepEqual(await onOracle(mpSum(a, b, 0)), [1, 2]);
    assert.deepEqual(await onOracle(mpSum(a, b, 1)), [3, 4]);
    assert.deepEqual((await onOracle(mpCat(a, b, 0))).slice(2), [0, 0]);
    assert.deepEqual((await onOracle(mpCat(a, b, 1))).slice(0, 2), [0, 0]);
    for (const t of [-0.01, 1.01, NaN]) {
      assert.throws(() => mpSum(a, b, t), mistake("range", `mpSum: t ${t} is not a number from 0 to 1.`));
      assert.throws(() => mpCat(a, b, t), mistake("range", `mpCat: t ${t} is not a number from 0 to 1.`));
    }
  });
});

describe("normalize", () => {
  it("takes all axes but the first unless told, and only the value's own of a vector or scalar", async () => {
    const x = tensor([
      [3, 4],
      [-1, 7],
    ]);
    const rms = (...values: number[]): number =>
      Math.sqrt(values.reduce((s, v) => s + v * v, 0) / values.length) + 1e-4;
    assertClose(await onOracle(normalize(x)), [3 / rms(3, 4), 4 / rms(3, 4), -1 / rms(1, 7), 7 / rms(1, 7)]);
    assertClose(await onOracle(normalize(tensor([2, -3]))), [2 / 2.0001, -3 / 3.0001]);
    assertClose(await onOracle(normalize(scalar(-5))), [-5 / 5.0001]);
    const pixels = tensor([[[[1, 2]], [[3, 5]]]]);
    assertClose(await onOracle(pixelNorm(pixels)), [1 / rms(1, 3), 2 / rms(2, 5), 3 / rms(1, 3), 5 / rms(2, 5)]);
    assertClose(await onOracle(pixelNorm(tensor([[[[1]]]]), 0.5)), [1 / 1.5]);
  });

  it("of zeros has the value and the derivative of x / epsilon", async () => {
    assert.deepEqual(await onOracle(normalize(zeros([2, 3]))), [0, 0, 0, 0, 0, 0]);
    const gradient = grad((x: Tensor) => reduceSum(square(normalize(x, 1, 0.25).add(1))))(zeros([2, 3]));
    assert.deepEqual(await onOracle(gradient), [8, 8, 8, 8, 8, 8]);
  });
});

/** One axis by its definition: rows of y[i] = sum_k f[k] x[2 i + k - (n / 2 - 1)], or twice the transpose. */
function along(x: readonly number[], mode: "down" | "up", filter: readonly number[]): number[] {
  const sum = filter.reduce((a, b) => a + b);
  const f = (k: number): number => (filter[k] ?? 0) / sum;
  const first = filter.length / 2 - 1;
  if (mode === "down") {
    return Array.from({ length: x.length / 2 }, (_, i) =>
      x.reduce((y, value, j) => y + f(j - 2 * i + first) * value, 0),
    );
  }
  return Array.from({ length: 2 * x.length }, (_, j) =>
    x.reduce((y, value, i) => y + 2 * f(j - 2 * i + first) * value, 0),
  );
}

describe("resample", () => {
  it("filters each axis by the definition, down and up, for any even filter and its scale", async () => {
    const filters = fc.constantFrom(
      [1, 1],
      [5, 5],
      [1, 3],
      [1, 3, 3, 1],
      [1, 2, 3, 4],
      [1, 1, 2, 2],
      [0, 1, 2, 4, 2, -1],
    );
    await fc.assert(
      fc.asyncProperty(fc.nat(2 ** 31), filters, fc.constantFrom("down", "up"), async (seed, filter, mode) => {
        const [height, width] = [4, 6];
        const x = normals(seed, [2, 2, height, width]);
        const values = await onOracle(x);
        const expected = [0, 1, 2, 3].flatMap((plane) => {
          const rows = Array.from({ length: height }, (_, y) =>
            along(values.slice((plane * height + y) * width, (plane * height + y + 1) * width), mode, filter),
          );
          const columns = (rows[0] ?? []).map((_, at) =>
            along(
              rows.map((row) => row[at] ?? NaN),
              mode,
              filter,
            ),
          );
          return (columns[0] ?? []).flatMap((_, y) => columns.map((column) => column[y] ?? NaN));
        });
        const result = resample(x, mode, filter);
        assert.deepEqual(result.shape, mode === "down" ? [2, 2, 2, 3] : [2, 2, 8, 12]);
        assertClose(await onOracle(result), expected);
      }),
      { numRuns: 25 },
    );
  });

  it("keeps what is to be kept, odd or not, and has the box as its default", async () => {
    const odd = normals(5, [1, 2, 3, 5]);
    assert.equal(resample(odd, "keep"), odd);
    assert.equal(resample(odd, "keep", [1, 3, 3, 1]), odd);
    const even = normals(6, [1, 2, 4, 2]);
    for (const mode of ["down", "up"] as const)
      assert.deepEqual(await onOracle(resample(even, mode)), await onOracle(resample(even, mode, [1, 1])));
    assert.deepEqual(resample(odd, "up").shape, [1, 2, 6, 10]);
  });

  it("refuses filters of odd length or no sum, and halves of odd sizes", () => {
    for (const filter of [[], [1], [1, 2, 1], [1, -1], [Infinity, 1], [NaN, 1]]) {
      assert.throws(
        () => resample(zeros([1, 1, 2, 2]), "keep", filter),
        mistake("value", `resample: the filter [${filter.join(", ")}] needs an even length and a sum not 0.`),
      );
    }
    for (const shape of [
      [1, 1, 3, 4],
      [1, 1, 4, 3],
      [1, 1, 3, 3],
    ]) {
      const message = `resample: can't halve [${shape.join(", ")}]: height and width must be even.`;
      assert.throws(() => resample(zeros(shape), "down"), mistake("shape", message));
      assert.throws(() => resample(zeros(shape), "down", [1, 3, 3, 1]), mistake("shape", message));
    }
  });
});

describe("adam", () => {
  it("has Kingma and Ba's settings unless told: 0.9, 0.999, 1e-8", async () => {
    assert.deepEqual(adamCorrections(3), { first: 1 - 0.9 ** 3, second: 1 - 0.999 ** 3 });
    assert.deepEqual(adamCorrections(2, { beta1: 0.5, beta2: 0.75 }), { first: 0.75, second: 0.4375 });
    const parameters = { a: tensor([1, 2]), b: tensor([[3]]) };
    const moments = adamMoments(parameters);
    assert.deepEqual(
      [moments.first["b"].shape, await onOracle(moments.second["a"])],
      [
        [1, 1],
        [0, 0],
      ],
    );
    const gradient = { a: tensor([0.5, -4e-8]), b: tensor([[0]]) };
    const next = adam(parameters, gradient, moments, scalar(0.125), { first: scalar(0.1), second: scalar(0.001) });
    assert.deepEqual(Object.keys(next.parameters), ["a", "b"]);
    // (g / (|g| + 1e-8)): 1 and -0.8.
    assertClose(await onOracle(next.parameters["a"]), [1 - 0.125, 2 + 0.125 * 0.8]);
    assertClose(await onOracle(next.parameters["b"]), [3]);
    assertClose(await onOracle(next.moments.first["a"]), [0.05, -4e-9]);
    assertClose(await onOracle(next.moments.second["a"]), [0.00025, 0]);
  });
});

describe("gradients", () => {
  it("none have norm 0 and nothing that isn't finite", async () => {
    assert.deepEqual(await onOracle(countNonFinite({})), [0]);
    assert.deepEqual(await onOracle(countNonFinite({ a: tensor([1, 2]) })), [0]);
    assert.deepEqual(await onOracle(globalNorm({ a: tensor([3]), b: tensor([[4]]) })), [5]);
  });
});

describe("learningRate", () => {
  const options = { reference: 0.5, referenceBatches: 100, rampUpMimg: 0.001 };

  it("rises in a line, stays, and falls by the square root, where each begins", () => {
    for (const [nimg, rate] of [
      [0, 0],
      [250, 0.125],
      [1000, 0.5],
      [1600, 0.5],
      [6400, 0.25],
      [25600, 0.125],
    ] as const) {
      assert.equal(learningRate(nimg, 16, options), rate, `after ${nimg} images`);
    }
    assert.equal(learningRate(6400, 16, { ...options, referenceBatches: 0 }), 0.5);
    assert.equal(learningRate(0, 16, { ...options, rampUpMimg: 0 }), 0.5);
    assert.equal(learningRate(6400, 16, { ...options, reference: 0 }), 0);
  });

  it("refuses what is negative or no number, by name", () => {
    const cases: [number, number, typeof options][] = [
      [-1, 16, options],
      [NaN, 16, options],
      [0, 0, options],
      [0, -1, options],
      [0, NaN, options],
      [0, 16, { ...options, reference: -0.1 }],
      [0, 16, { ...options, reference: NaN }],
      [0, 16, { ...options, referenceBatches: -1 }],
      [0, 16, { ...options, referenceBatches: NaN }],
      [0, 16, { ...options, rampUpMimg: -1 }],
      [0, 16, { ...options, rampUpMimg: NaN }],
    ];
    for (const [nimg, batch, given] of cases) {
      assert.throws(
        () => learningRate(nimg, batch, given),
        mistake(
          "range",
          `learningRate: nimg ${nimg}, batch ${batch}, ${JSON.stringify(given)}: none may be negative, and batch not 0.`,
        ),
      );
    }
  });
});
