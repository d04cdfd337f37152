import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { EvenkeelError } from "../../engine/errors.ts";
import { grad, randomKey, reduceSum, slice, type Tensor, tensor } from "../../engine/index.ts";
import {
  causalMask,
  describeMultiHeadAttention,
  initializeParameters,
  multiHeadAttention,
  paddingMask,
  scaledDotProductAttention,
} from "../../nn/index.ts";
import { assertNear, checkLayer, drawNumbers } from "./layerLaw.ts";
import { onOracle } from "./onOracle.ts";

const refuses = (code: string, pattern: RegExp) => (error: unknown) =>
  error instanceof EvenkeelError && error.code === code && pattern.test(error.message);

/** One head in float64. @param sees added to the logits. */
function attend(
  [q, k, v]: readonly [number[][], number[][], number[][]],
  sees: (query: number, key: number) => number,
): number[] {
  return q.flatMap((query, i) => {
    const logits = k.map(
      (key, j) =>
        key.reduce((sum, value, c) => sum + value * (query[c] ?? NaN), 0) / Math.sqrt(query.length) + sees(i, j),
    );
    const largest = Math.max(...logits);
    const shares = logits.map((logit) => (largest === -Infinity ? 0 : Math.exp(logit - largest)));
    const total = shares.reduce((sum, share) => sum + share, 0);
    return (v[0] ?? []).map((_, c) =>
      v.reduce((sum, value, j) => sum + (total === 0 ? 0 : ((shares[j] ?? NaN) / total) * (value[c] ?? NaN)), 0),
    );
  });
}

const size = fc.integer({ min: 1, max: 4 });

describe("scaledDotProductAttention", () => {
  it("is the paper's under masks of all kinds, and zeros where nothing may be seen", async () => {
    const masks = fc.constantFrom("none", "causal", "bool", "added", "both");
    await fc.assert(
      fc.asyncProperty(
        size,
        size,
        size,
        size,
        masks,
        fc.nat(1e6),
        async (queries, keys, channels, width, mask, seed) => {
          const rows = (s: number, count: number, of: number): number[][] =>
            Array.from({ length: count }, (_, i) => drawNumbers(seed + 10 * s + i, of));
          const parts = [rows(1, queries, channels), rows(2, keys, channels), rows(3, keys, width)] as const;
          const noise = rows(4, queries, keys);
          const isOpen = (i: number, j: number): boolean => (noise[i]?.[j] ?? 0) > 0;
          const bool = tensor(noise.map((row, i) => row.map((_, j) => isOpen(i, j))));
          const added = tensor(noise.map((row) => row.map((value) => (value > 1 ? -Infinity : value))));
          const isCausal = mask === "causal" || mask === "both";
          const given = mask === "bool" || mask === "both" ? bool : mask === "added" ? added : undefined;
          const wanted = attend(parts, (i, j) => {
            if (isCausal && j > i) return -Infinity;
            if (given === bool) return isOpen(i, j) ? 0 : -Infinity;
            const value = noise[i]?.[j] ?? NaN;
            return given === added ? (value > 1 ? -Infinity : value) : 0;
          });
          const [q, k, v] = parts.map((part) => tensor(part)) as [Tensor, Tensor, Tensor];
          const result = scaledDotProductAttention(q, k, v, {
            isCausal,
            ...(given === undefined ? {} : { mask: given }),
          });
          assertNear(await onOracle(result), wanted, 2 ** -21);
        },
      ),
      { numRuns: 30 },
    );
  });

  it("has right derivatives under masks, on devices too", async () => {
    const shapes = [
      [2, 3, 4],
      [2, 5, 4],
      [2, 5, 2],
    ];
    await checkLayer({ fn: (q, k, v) => scaledDotProductAttention(q, k, v, { isCausal: true }), shapes }, 1);
    const blind = tensor([
      [true, false, true, true, false],
      Array<boolean>(5).fill(false),
      Array<boolean>(5).fill(true),
    ]);
    await checkLayer({ fn: (q, k, v) => scaledDotProductAttention(q, k, v, { mask: blind }), shapes }, 2);
    const added = (q: Tensor, k: Tensor, v: Tensor, mask: Tensor): Tensor =>
      scaledDotProductAttention(q, k, v, { mask });
    await checkLayer({ fn: added, shapes: [...shapes, [3, 5]] }, 3);
  });

  it("has no derivative where nothing may be seen, not NaN", async () => {
    const [q, k, v] = [tensor([[1, 2]]), tensor([[3, 4]]), tensor([[5]])];
    for (const mask of [tensor([[false]]), tensor([[-Infinity]])]) {
      const slopes = grad((parts: readonly Tensor[]) =>
        reduceSum(scaledDotProductAttention(parts[0] as Tensor, parts[1] as Tensor, parts[2] as Tensor, { mask })),
      )([q, k, v]);
      for (const slope of slopes) assert.ok((await onOracle(slope)).every((value) => value === 0));
    }
  });

  it("doesn't look where it may not, even at NaN's neighbours", async () => {
    const random = (seed: number): Tensor => tensor(drawNumbers(seed, 12), { shape: [4, 3] });
    const [q, k, v] = [random(1), random(2), random(3)];
    const whole = await onOracle(scaledDotProductAttention(q, k, v, { isCausal: true }));
    const first = (x: Tensor): Tensor => slice(x, [[0, 2]]);
    const part = await onOracle(scaledDotProductAttention(first(q), first(k), first(v), { isCausal: true }));
    assertNear(whole.slice(0, 6), part);
  });

  it("shows and changes what it is told to", async () => {
    const [q, k, v] = [
      tensor([[0, 0]]),
      tensor([
        [1, 1],
        [2, 2],
      ]),
      tensor([[4], [8]]),
    ];
    const seen: string[] = [];
    const halved = scaledDotProductAttention(q, k, v, {
      dropout: (weights) => weights.multiply(0.5),
      tap: (what, value) => void seen.push(`${what} ${value.shape.join()}`),
      scale: 3,
    });
    assert.deepEqual([await onOracle(halved), seen], [[3], ["logits 1,2", "weights 1,2"]]);
  });

  it("says what doesn't fit", () => {
    const [a, b] = [tensor([[1, 2]]), tensor([[1, 2, 3]])];
    assert.throws(() => scaledDotProductAttention(a, b, b), refuses("shape", /query \[1, 2\], key \[1, 3\]/));
    const mask = tensor([[1, 2, 3, 4]], { dtype: "i32" });
    assert.throws(() => scaledDotProductAttention(a, a, a, { mask }), refuses("dtype", /the mask is i32/));
    assert.throws(() => scaledDotProductAttention(a, a, a, { mask: b }), refuses("shape", /the mask \[1, 3\]/));
  });
});

describe("masks", () => {
  it("are what may be seen", async () => {
    assert.deepEqual(await causalMask(2, 3).array(), [
      [true, false, false],
      [true, true, false],
    ]);
    const mask = paddingMask(tensor([2, 0], { dtype: "i32" }), 3);
    assert.deepEqual(mask.shape, [2, 1, 1, 3]);
    assert.deepEqual(await onOracle(mask), [1, 1, 0, 0, 0, 0]);
    assert.throws(() => paddingMask(tensor([1, 2]), 3), refuses("dtype", /paddingMask/));
    assert.throws(() => paddingMask(tensor([[1]], { dtype: "i32" }), 3), refuses("shape", /paddingMask/));
  });
});

describe("multiHeadAttention", () => {
  const drawn = initializeParameters(describeMultiHeadAttention(6, { contextChannels: 4 }), randomKey(1));

  it("is attention of each head's channels, between linear layers", async () => {
    const x = tensor(drawNumbers(1, 2 * 3 * 6), { shape: [2, 3, 6] });
    const context = tensor(drawNumbers(2, 2 * 5 * 4), { shape: [2, 5, 4] });
    const y = multiHeadAttention(x, drawn, 3, { context, mask: paddingMask(tensor([5, 2], { dtype: "i32" }), 5) });
    assert.deepEqual(y.shape, [2, 3, 6]);
    const read = async (t: Tensor | undefined): Promise<readonly number[]> => onOracle(t as Tensor);
    const apply = async (name: keyof typeof drawn, rows: readonly number[][]): Promise<number[][]> => {
      const { weight, bias } = drawn[name];
      const [w, b] = [await read(weight), await read(bias)];
      return rows.map((row) =>
        b.map((shift, out) => row.reduce((sum, value, k) => sum + value * (w[out * row.length + k] ?? NaN), shift)),
      );
    };
    const cut = (values: readonly number[], width: number): number[][] =>
      Array.from({ length: values.length / width }, (_, i) => values.slice(i * width, (i + 1) * width));
    const [given, told] = [cut(await read(x), 6), cut(await read(context), 4)];
    const wanted: number[] = [];
    for (const [image, length] of [5, 2].entries()) {
      const seen = told.slice(image * 5, image * 5 + length);
      const q = await apply("query", given.slice(image * 3, image * 3 + 3));
      const [k, v] = [await apply("key", seen), await apply("value", seen)];
      const joined = q.map((): number[] => []);
      for (let head = 0; head < 3; head++) {
        const part = (rows: number[][]): number[][] => rows.map((row) => row.slice(2 * head, 2 * head + 2));
        cut(
          attend([part(q), part(k), part(v)], () => 0),
          2,
        ).forEach((row, i) => joined[i]?.push(...row));
      }
      wanted.push(...(await apply("output", joined)).flat());
    }
    assertNear(await onOracle(y), wanted, 2 ** -20);
  });

  it("has right derivatives, on devices too", async () => {
    const names = ["query", "key", "value", "output"] as const;
    const fn = (x: Tensor, ...weights: Tensor[]): Tensor => {
      const [query, key, value, output] = names.map((_, i) => ({ weight: weights[i] as Tensor }));
      return multiHeadAttention(x, { query, key, value, output } as never, 2, { isCausal: true });
    };
    await checkLayer({ fn, shapes: [[2, 3, 4], ...names.map(() => [4, 4])] }, 5);
  });

  it("says what doesn't fit", () => {
    const x = tensor([[[1, 2, 3, 4, 5, 6]]]);
    assert.throws(() => multiHeadAttention(x, drawn, 4), refuses("shape", /6 channels don't divide into 4 heads/));
    assert.throws(() => multiHeadAttention(tensor([[1]]), drawn, 2), refuses("shape", /expected \[N, L, C\]/));
  });
});
