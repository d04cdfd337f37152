import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { EvenkeelError } from "../../engine/errors.ts";
import { grad, permute, type Tensor, tensor } from "../../engine/index.ts";
import { binaryCrossEntropyWithLogits, crossEntropy, weightedMean } from "../../nn/index.ts";
import { assertNear, checkLayer, drawNumbers } from "./layerLaw.ts";
import { onOracle } from "./onOracle.ts";

const refuses = (code: string, pattern: RegExp) => (error: unknown) =>
  error instanceof EvenkeelError && error.code === code && pattern.test(error.message);
const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
const i32 = (values: readonly number[], shape = [values.length]): Tensor =>
  tensor([...values], { shape, dtype: "i32" });

describe("crossEntropy", () => {
  it("is PyTorch's, with weights, smoothing and labels that don't count", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 5 }),
        fc.constantFrom(0, 0.1, 1),
        fc.boolean(),
        fc.boolean(),
        fc.boolean(),
        fc.nat(1e6),
        async (rows, classes, labelSmoothing, hasClassWeights, ignores, hasWeights, seed) => {
          const logits = drawNumbers(seed, rows * classes);
          const labels = drawNumbers(seed + 1, rows).map((value) => Math.floor(((value + 2) / 4) * classes));
          // The first one counts, so that there is something to take the mean of.
          const isIgnored = labels.map((_, i) => ignores && i % 2 === 1);
          const ofClass = drawNumbers(seed + 2, classes).map((value) => (hasClassWeights ? value + 2.5 : 1));
          const share = labels.map((_, i) => (hasWeights ? (i % 3) / 2 + (i === 0 ? 1 : 0) : 1));
          const logarithms = labels.map((_, i) => {
            const row = logits.slice(i * classes, (i + 1) * classes);
            const total = Math.log(sum(row.map(Math.exp)));
            return row.map((value) => value - total);
          });
          const counts = labels.map((label, i) =>
            isIgnored[i] === true ? 0 : (ofClass[label] ?? NaN) * (share[i] ?? NaN),
          );
          const losses = labels.map((label, i) => {
            const own = -(logarithms[i]?.[label] ?? NaN) * (counts[i] ?? NaN);
            const spread = sum((logarithms[i] ?? []).map((value, c) => -value * (ofClass[c] ?? NaN)));
            const spreadCounted = isIgnored[i] === true ? 0 : spread * (share[i] ?? NaN);
            return (1 - labelSmoothing) * own + (labelSmoothing / classes) * spreadCounted;
          });
          const given = i32(labels.map((label, i) => (isIgnored[i] === true ? -100 : label)));
          const options = {
            labelSmoothing,
            ...(hasClassWeights ? { classWeights: tensor(ofClass) } : {}),
            ...(ignores ? { ignoreIndex: -100 } : {}),
            ...(hasWeights ? { weights: tensor(share) } : {}),
          };
          const x = tensor(logits, { shape: [rows, classes] });
          assertNear(await onOracle(crossEntropy(x, given, { ...options, reduction: "none" })), losses);
          assertNear(await onOracle(crossEntropy(x, given, { ...options, reduction: "sum" })), [sum(losses)]);
          assertNear(await onOracle(crossEntropy(x, given, options)), [sum(losses) / sum(counts)]);
        },
      ),
      { numRuns: 40 },
    );
  });

  it("finds classes along any axis", async () => {
    const logits = tensor(drawNumbers(1, 24), { shape: [2, 3, 4] });
    const labels = i32([0, 1, 2, 2, 1, 0, 0, 1], [2, 4]);
    const along1 = await onOracle(crossEntropy(logits, labels, { axis: 1, reduction: "none" }));
    const last = crossEntropy(permute(logits, [0, 2, 1]), labels, { reduction: "none" });
    assert.deepEqual([last.shape, along1], [[2, 4], await onOracle(last)]);
    const ofImages = crossEntropy(logits, labels, { axis: 1, weights: tensor([1, 0]) });
    assertNear(await onOracle(ofImages), [sum(along1.slice(0, 4)) / 4]);
  });

  it("has right derivatives, on devices too", async () => {
    const [labels, classWeights] = [i32([2, 0, 7]), tensor([1, 0.5, 2, 1])];
    for (const labelSmoothing of [0, 0.2]) {
      const fn = (x: Tensor): Tensor => crossEntropy(x, labels, { labelSmoothing, classWeights, ignoreIndex: 7 });
      await checkLayer({ fn, shapes: [[3, 4]] }, 3);
    }
  });

  it("is right where logits are huge or infinite, and doesn't see what doesn't count", async () => {
    const logits = tensor([
      [1e30, 0],
      [-Infinity, 3],
      [NaN, NaN],
    ]);
    const labels = i32([0, 1, 0]);
    const weights = tensor([1, 1, 0]);
    assert.deepEqual(await onOracle(crossEntropy(logits, labels, { weights })), [0]);
    const slopes = grad((x: Tensor) => crossEntropy(x, labels, { weights }))(
      tensor([
        [1, 2],
        [3, 4],
        [5, 6],
      ]),
    );
    assert.deepEqual((await onOracle(slopes)).slice(4), [0, 0]);
    assert.deepEqual(await onOracle(crossEntropy(logits, i32([5, 5, 5]), { ignoreIndex: 5 })), [NaN]);
  });

  it("takes probabilities, with smoothing and weights, and labels are those that are 1", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 5 }),
        fc.constantFrom(0, 0.1, 1),
        fc.boolean(),
        fc.boolean(),
        fc.nat(1e6),
        async (rows, classes, labelSmoothing, hasClassWeights, hasWeights, seed) => {
          const [logits, targets] = [drawNumbers(seed, rows * classes), drawNumbers(seed + 1, rows * classes)];
          const ofClass = drawNumbers(seed + 2, classes).map((value) => (hasClassWeights ? value + 2.5 : 1));
          const share = Array.from({ length: rows }, (_, i) => (hasWeights ? (i % 3) / 2 + (i === 0 ? 1 : 0) : 1));
          const losses = share.map((counts, i) => {
            const row = logits.slice(i * classes, (i + 1) * classes);
            const total = Math.log(sum(row.map(Math.exp)));
            const own = targets.slice(i * classes, (i + 1) * classes);
            const smooth = own.map((value) => (1 - labelSmoothing) * value + labelSmoothing / classes);
            return counts * sum(row.map((value, c) => (smooth[c] ?? NaN) * (ofClass[c] ?? NaN) * (total - value)));
          });
          const options = {
            labelSmoothing,
            ...(hasClassWeights ? { classWeights: tensor(ofClass) } : {}),
            ...(hasWeights ? { weights: tensor(share) } : {}),
          };
          const [x, t] = [logits, targets].map((values) => tensor(values, { shape: [rows, classes] }));
          assert.ok(x !== undefined && t !== undefined);
          assertNear(await onOracle(crossEntropy(x, t, { ...options, reduction: "none" })), losses, 2 ** -21);
          assertNear(await onOracle(crossEntropy(x, t, options)), [sum(losses) / sum(share)], 2 ** -21);
          const { classWeights: _, ...plain } = options;
          const labels = share.map((_each, i) => i % classes);
          const certain = labels.flatMap((label) => Array.from({ length: classes }, (__, c) => Number(c === label)));
          assertNear(
            await onOracle(crossEntropy(x, tensor(certain, { shape: [rows, classes] }), plain)),
            await onOracle(crossEntropy(x, i32(labels), plain)),
          );
        },
      ),
      { numRuns: 30 },
    );
  });

  it("has right derivatives by probabilities and logits, along any axis", async () => {
    const classWeights = tensor([1, 0.5, 2]);
    const fn = (x: Tensor, t: Tensor): Tensor => crossEntropy(x, t, { axis: 1, labelSmoothing: 0.1, classWeights });
    const shapes = [
      [2, 3, 2],
      [2, 3, 2],
    ];
    await checkLayer({ fn, shapes }, 5);
  });

  it("asks nothing of a class that can't be and isn't wanted", async () => {
    const [logits, targets] = [tensor([[-Infinity, 3]]), tensor([[0, 1]])];
    assert.deepEqual(await onOracle(crossEntropy(logits, targets)), [0]);
    const slopes = grad((t: Tensor) => crossEntropy(logits, t))(targets);
    assertNear(await onOracle(slopes), [0, 0]);
    assert.deepEqual(await onOracle(crossEntropy(logits, tensor([[0.5, 0.5]]))), [Infinity]);
  });

  it("says what it can't take", async () => {
    const logits = tensor([[1, 2, 3]]);
    await assert.rejects(onOracle(crossEntropy(logits, i32([3]))), /index is out of range/);
    await assert.rejects(onOracle(crossEntropy(logits, i32([-1]))), /index is out of range/);
    assert.throws(
      () => crossEntropy(logits, tensor([1], { dtype: "u32" })),
      refuses("dtype", /targets are u32, expected i32/),
    );
    assert.throws(
      () => crossEntropy(logits, tensor([1])),
      refuses("shape", /targets are f32 \[1\], expected probabilities .*\[1, 3\].*cast/),
    );
    assert.throws(
      () => crossEntropy(logits, logits, { ignoreIndex: -100 }),
      refuses("value", /ignoreIndex is for labels/),
    );
    assert.throws(() => crossEntropy(logits, i32([1, 2])), refuses("shape", /labels are \[2\], expected \[1\]/));
    assert.throws(
      () => crossEntropy(logits, i32([1]), { labelSmoothing: 1.5 }),
      refuses("range", /labelSmoothing 1.5/),
    );
    assert.throws(() => crossEntropy(logits, i32([1]), { classWeights: tensor([1]) }), refuses("shape", /\[3\]/));
    assert.throws(() => crossEntropy(logits, i32([1]), { weights: tensor([1, 1]) }), refuses("shape", /first axes/));
    assert.throws(() => crossEntropy(logits, i32([1]), { axis: 2 }), refuses("axis", /no axis 2/));
  });
});

describe("binaryCrossEntropyWithLogits", () => {
  it("is -w t ln p - (1 - t) ln(1 - p), where that overflows, too", async () => {
    const [x, t] = [
      [...drawNumbers(4, 6), 0, 80, -80, 1000, -1000, 1000],
      [...drawNumbers(5, 6).map((v) => (v + 2) / 4), 0.25, 1, 0, 1, 0, 0],
    ];
    const softplus = (value: number): number => Math.max(value, 0) + Math.log1p(Math.exp(-Math.abs(value)));
    const losses = x.map((value, i) => 3 * (t[i] ?? NaN) * softplus(-value) + (1 - (t[i] ?? NaN)) * softplus(value));
    const [logits, targets] = [tensor(x), tensor(t)];
    const options = { positiveWeight: 3, reduction: "none" } as const;
    assertNear(
      (await onOracle(binaryCrossEntropyWithLogits(logits, targets, options))).slice(0, 11),
      losses.slice(0, 11),
      2 ** -20,
    );
    assertNear(await onOracle(binaryCrossEntropyWithLogits(logits, targets, options)), losses);
    const weights = tensor(x.map((_, i) => (i < 3 ? 2 : 0)));
    const plain = x.map((value, i) => softplus(value) - (t[i] ?? NaN) * value).slice(0, 3);
    assertNear(await onOracle(binaryCrossEntropyWithLogits(logits, targets, { weights })), [sum(plain) / 3]);
  });

  it("has right derivatives of every order, at 0 too", async () => {
    const targets = tensor([0.25, 1, 0]);
    await checkLayer({ fn: (x) => binaryCrossEntropyWithLogits(x, targets, { positiveWeight: 2 }), shapes: [[3]] }, 7);
    const loss = (x: Tensor): Tensor => binaryCrossEntropyWithLogits(x, tensor([0.25]), { reduction: "sum" });
    const slope = grad(loss);
    assert.deepEqual(await onOracle(slope(tensor([0]))), [0.25]);
    assert.deepEqual(await onOracle(grad((x: Tensor) => slope(x).sum())(tensor([0]))), [0.25]);
  });

  it("says what it can't take", () => {
    assert.throws(() => binaryCrossEntropyWithLogits(tensor([1]), i32([1])), refuses("dtype", /targets are i32/));
    assert.throws(
      () => binaryCrossEntropyWithLogits(tensor([1]), tensor([[1]])),
      refuses("shape", /expected f32 \[1\]/),
    );
  });
});

describe("weightedMean", () => {
  it("is that of what counts, and of nothing NaN", async () => {
    const values = tensor([
      [1, 2],
      [3, 6],
      [NaN, Infinity],
    ]);
    assert.deepEqual(await onOracle(weightedMean(values, tensor([1, 3, 0]))), [(3 + 27) / 8]);
    assert.deepEqual(await onOracle(weightedMean(values, tensor([0, 0, 0]))), [NaN]);
    assert.throws(() => weightedMean(values, tensor([1, 2])), refuses("shape", /weightedMean/));
  });
});
