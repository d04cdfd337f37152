import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { threefryScalar } from "../../../engine/devices/oracle/scalars.ts";
import {
  arange,
  type ErrorCode,
  EvenkeelError,
  evaluate,
  foldIn,
  keyAt,
  randomBernoulli,
  randomBits,
  randomKey,
  randomNormal,
  randomPermutation,
  randomUniform,
  reshape,
  splitKey,
  type Tensor,
  tensor,
  zeros,
} from "../../../engine/index.ts";

const numbers = async (x: Tensor): Promise<number[]> => [...(await evaluate(x, "oracle"))];
const u32 = (values: readonly number[], shape: readonly number[] = [values.length]): Tensor =>
  tensor(Uint32Array.from(values), { shape });

const refusal = (code: ErrorCode, message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof EvenkeelError, String(error));
  assert.equal(error.code, code, error.message);
  assert.match(error.message, message);
  return true;
};

const seeds = fc.maxSafeNat();
const word = fc.integer({ min: 0, max: 2 ** 32 - 1 });

describe("randomKey", () => {
  it("holds the seed's high and low word", async () => {
    assert.deepEqual(await numbers(randomKey(0)), [0, 0]);
    assert.deepEqual(await numbers(randomKey(2 ** 32 - 1)), [0, 2 ** 32 - 1]);
    assert.deepEqual(await numbers(randomKey(2 ** 32 + 5)), [1, 5]);
    assert.deepEqual(await numbers(randomKey(Number.MAX_SAFE_INTEGER)), [2 ** 21 - 1, 2 ** 32 - 1]);
  });

  it("refuses other seeds", () => {
    for (const seed of [-1, 0.5, NaN, Infinity, 2 ** 53]) {
      assert.throws(
        () => randomKey(seed),
        refusal("value", /^randomKey: seed .* is not a whole number from 0 to 2\^53/),
      );
    }
    assert.throws(() => randomKey("7" as never), refusal("value", /^randomKey: seed 7 is not/));
  });
});

describe("the counter's second word keeps the uses of a key apart", () => {
  it("bits use 0, splitKey 1, foldIn 2; the first word is the element, the new key's number, the data", async () => {
    await fc.assert(
      fc.asyncProperty(word, word, word, async (key0, key1, data) => {
        const key = u32([key0, key1]);
        const words = (counter: number, use: number): number[] =>
          ([0, 1] as const).map((which) => threefryScalar(which, key0, key1, counter, use));
        assert.deepEqual(
          await numbers(randomBits(key, [3])),
          [0, 1, 2].map((i) => words(i, 0)[0]),
        );
        assert.deepEqual(
          await numbers(splitKey(key, 3)),
          [0, 1, 2].flatMap((i) => words(i, 1)),
        );
        assert.deepEqual(await numbers(foldIn(key, data)), words(data, 2));
      }),
      { numRuns: 30, seed: 3 },
    );
  });

  it("so derived keys differ from each other, from their parent and from its bits", async () => {
    // 6,001 random numbers of 64 bits hold an equal pair once in 1e12.
    const count = 3000;
    const key = randomKey(11);
    const pairs = (values: readonly number[]): string[] =>
      Array.from({ length: values.length / 2 }, (_, i) => `${values[2 * i]} ${values[2 * i + 1]}`);
    const data = u32(Array.from({ length: count }, (_, i) => i));
    const all = [
      ...pairs(await numbers(splitKey(key, count))),
      ...pairs(await numbers(foldIn(key, data))),
      ...pairs(await numbers(key)),
    ];
    assert.equal(all.length, 2 * count + 1);
    assert.equal(new Set(all).size, all.length);
    // Element by element a word of 32 bits may be equal by chance: once in 4,000,000 pairs, for 3,000 hardly ever.
    const bits = await numbers(randomBits(key, [count]));
    const split = await numbers(splitKey(key, count));
    assert.equal(bits.filter((value, i) => value === split[2 * i]).length, 0);
  });
});

describe("splitKey and keyAt", () => {
  it("give keys that don't depend on how many are made", async () => {
    const key = randomKey(3);
    const ten = splitKey(key, 10);
    assert.deepEqual([ten.shape, ten.dtype], [[10, 2], "u32"]);
    const values = await numbers(ten);
    assert.deepEqual(await numbers(splitKey(key, 4)), values.slice(0, 8));
    assert.deepEqual(splitKey(key, 0).shape, [0, 2]);
    for (const index of [0, 6, 9]) {
      const one = keyAt(ten, index);
      assert.deepEqual(one.shape, [2]);
      assert.deepEqual(await numbers(one), values.slice(2 * index, 2 * index + 2));
    }
  });

  it("refuse counts and indices out of range", () => {
    const keys = splitKey(randomKey(3), 4);
    assert.throws(() => splitKey(randomKey(3), -1), refusal("shape", /^splitKey: size -1 /));
    assert.throws(() => splitKey(randomKey(3), 1.5), refusal("shape", /^splitKey: size 1\.5 /));
    for (const index of [-1, 4, 0.5, NaN]) {
      assert.throws(() => keyAt(keys, index), refusal("range", /^keyAt: index .* is not a whole number from 0 to 3/));
    }
    assert.throws(() => keyAt(randomKey(3), 0), refusal("shape", /^keyAt: keys are u32 \[count, 2\], got \[2\]/));
  });
});

describe("foldIn", () => {
  it("broadcasts keys against data", async () => {
    const keys = splitKey(randomKey(5), 3);
    const data = tensor(Int32Array.of(4, 8), { shape: [2, 1] });
    const all = foldIn(keys, data);
    assert.deepEqual([all.shape, all.dtype], [[2, 3, 2], "u32"]);
    const apart = await Promise.all(
      [4, 8].flatMap((value) => [0, 1, 2].map((i) => numbers(foldIn(keyAt(keys, i), value)))),
    );
    assert.deepEqual(await numbers(all), apart.flat());
  });

  it("takes i32 by its bits and refuses other data", async () => {
    const key = randomKey(5);
    assert.deepEqual(await numbers(foldIn(key, tensor(Int32Array.of(-1)))), await numbers(foldIn(key, 2 ** 32 - 1)));
    for (const data of [-1, 0.5, NaN, 2 ** 32]) {
      assert.throws(() => foldIn(key, data), refusal("value", /^foldIn: .* is not a u32 value/));
    }
    assert.throws(() => foldIn(key, zeros([2])), refusal("dtype", /^foldIn \(data\): dtype f32 .*expected u32 or i32/));
    assert.throws(() => foldIn(key, zeros([2], "bool")), refusal("dtype", /^foldIn \(data\): dtype bool/));
  });
});

/** Every function that draws, of a key and one axis of a given length. */
const draws: readonly (readonly [name: string, draw: (key: Tensor, length: number) => Tensor])[] = [
  ["randomBits", (key, length) => randomBits(key, [length])],
  ["randomUniform", (key, length) => randomUniform(key, [length])],
  ["randomNormal", (key, length) => randomNormal(key, [length])],
  ["randomBernoulli", (key, length) => randomBernoulli(key, [length], 0.3)],
  ["randomPermutation", randomPermutation],
  ["splitKey", splitKey],
];

/** Those whose element i depends on the key and i alone. */
const elementwise = [
  ["randomBits", randomBits],
  ["randomUniform", randomUniform],
  ["randomNormal", randomNormal],
  ["randomBernoulli", (key: Tensor, shape: readonly number[]) => randomBernoulli(key, shape, 0.3)],
] as const;

describe("what is drawn", () => {
  for (const [name, draw] of draws) {
    it(`${name}: the same seed twice is bit-equal, another seed is not`, async () => {
      await fc.assert(
        fc.asyncProperty(seeds, async (seed) => {
          const values = await numbers(draw(randomKey(seed), 40));
          assert.deepEqual(await numbers(draw(randomKey(seed), 40)), values);
          assert.notDeepEqual(await numbers(draw(randomKey((seed + 1) % 2 ** 53), 40)), values);
        }),
        { numRuns: 10, seed: 4 },
      );
    });

    it(`${name}: a batch of keys gives what the keys give one by one`, async () => {
      const keys = splitKey(randomKey(9), 6);
      const batch = draw(reshape(keys, [2, 3, 2]), 7);
      const apart = await Promise.all([0, 1, 2, 3, 4, 5].map((i) => numbers(draw(keyAt(keys, i), 7))));
      assert.deepEqual(batch.shape, [2, 3, ...draw(keyAt(keys, 0), 7).shape]);
      assert.deepEqual(await numbers(batch), apart.flat());
    });

    it(`${name}: refuses what is not a key`, () => {
      for (const wrong of [zeros([2]), arange(2), u32([1, 2, 3]), u32([], [0]), u32([1], [])]) {
        const message = new RegExp(`^random\\w+|^splitKey: a key is u32 \\[\\.\\., 2\\], got ${wrong.dtype} \\[`);
        assert.throws(() => draw(wrong, 3), refusal("shape", message));
      }
      assert.throws(() => draw(42 as never, 3), refusal("value", /^\w+: 42 is not a key\. Make one with randomKey/));
    });

    it(`${name}: refuses lengths that aren't whole and takes 0`, async () => {
      for (const length of [-1, 2.5, NaN]) {
        assert.throws(() => draw(randomKey(1), length), refusal("shape", /^\w+: size .* is not a whole number/));
      }
      assert.equal((await numbers(draw(randomKey(1), 0))).length, 0);
    });
  }

  for (const [name, draw] of elementwise) {
    it(`${name}: a shorter draw is the beginning of a longer one, a shape only reshapes`, async () => {
      const shapes = fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 4 });
      await fc.assert(
        fc.asyncProperty(seeds, shapes, async (seed, shape) => {
          const size = shape.reduce((product, length) => product * length, 1);
          const key = randomKey(seed);
          const long = await numbers(draw(key, [size + 13]));
          assert.deepEqual(await numbers(draw(key, shape)), long.slice(0, size));
        }),
        { numRuns: 15, seed: 5 },
      );
    });
  }
});
