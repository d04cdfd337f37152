import "../../support/softwareVulkan.ts";
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import fc from "fast-check";
import {
  createDevice,
  type Device,
  type DeviceName,
  EvenkeelError,
  evaluate,
  randomBits,
  reshape,
  scalar,
  slice,
  stack,
  type Tensor,
  tensor,
  threefry,
  zeros,
} from "../../../engine/index.ts";
import { webgpuSkip } from "../../support/webgpuSkip.ts";

type Pair = readonly [number, number];

/** The published known answers of Threefry-2x32 with 20 rounds (`kat_vectors` of the authors' Random123). */
const knownAnswers: readonly { readonly counter: Pair; readonly key: Pair; readonly answer: Pair }[] = [
  { counter: [0, 0], key: [0, 0], answer: [0x6b200159, 0x99ba4efe] },
  { counter: [0xffffffff, 0xffffffff], key: [0xffffffff, 0xffffffff], answer: [0x1cb996fc, 0xbb002be7] },
  { counter: [0x243f6a88, 0x85a308d3], key: [0x13198a2e, 0x03707344], answer: [0xc4923a9c, 0x483df7a0] },
];

const u32 = (values: readonly number[]): Tensor => tensor(Uint32Array.from(values));
const column = (pairs: readonly Pair[], word: 0 | 1): Tensor => u32(pairs.map((pair) => pair[word]));

/** Both output words [n, 2] of n keys and counters. */
function bothWords(keys: readonly Pair[], counters: readonly Pair[]): Tensor {
  const key = [column(keys, 0), column(keys, 1)] as const;
  const counter = [column(counters, 0), column(counters, 1)] as const;
  return stack([threefry(0, key, counter), threefry(1, key, counter)], 1);
}

const word = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const pair = fc.tuple(word, word);

const names: readonly DeviceName[] = ["oracle", "wasm", "cpu", "webgpu"];
const devices = new Map<DeviceName, Promise<Device>>();
const deviceOf = (name: DeviceName): Promise<Device> => {
  const device = devices.get(name) ?? createDevice(name);
  devices.set(name, device);
  return device;
};
after(async () => {
  for (const device of devices.values()) (await device).dispose();
});

for (const name of names) {
  describe(`threefry on ${name}`, { skip: name === "webgpu" && webgpuSkip }, () => {
    it("gives the published answers", async () => {
      const words = bothWords(
        knownAnswers.map(({ key }) => key),
        knownAnswers.map(({ counter }) => counter),
      );
      assert.deepEqual(
        [...(await evaluate(words, await deviceOf(name)))],
        knownAnswers.flatMap(({ answer }) => answer),
      );
    });

    it("gives them for operands that the program's text holds", async () => {
      const literals = ([first, second]: Pair) => [scalar(first, "u32"), scalar(second, "u32")] as const;
      for (const { counter, key, answer } of knownAnswers) {
        const words = ([0, 1] as const).map((which) => threefry(which, literals(key), literals(counter)));
        assert.deepEqual([...(await evaluate(stack(words), await deviceOf(name)))], [...answer]);
      }
    });

    // What follows compares with the oracle. A pipeline of WebGPU takes long to make in software.
    if (name === "oracle") return;
    const numRuns = name === "webgpu" ? 10 : 25;

    it("gives the oracle's bits for any keys and counters", async () => {
      const cases = fc.array(fc.tuple(pair, pair), { minLength: 1, maxLength: 40 });
      await fc.assert(
        fc.asyncProperty(cases, async (drawn) => {
          const words = bothWords(
            drawn.map(([key]) => key),
            drawn.map(([, counter]) => counter),
          );
          assert.deepEqual(
            await evaluate(words, await deviceOf(name)),
            await evaluate(words, await deviceOf("oracle")),
          );
        }),
        { numRuns, seed: 1 },
      );
    });

    it("draws the oracle's randomBits for any key and shape", async () => {
      const shapes = fc.array(fc.integer({ min: 0, max: 7 }), { maxLength: 4 });
      await fc.assert(
        fc.asyncProperty(pair, shapes, async (key, shape) => {
          const bits = randomBits(u32(key), shape);
          assert.deepEqual(bits.shape, shape);
          assert.deepEqual(await evaluate(bits, await deviceOf(name)), await evaluate(bits, await deviceOf("oracle")));
        }),
        { numRuns, seed: 2 },
      );
    });

    it("draws the oracle's randomBits beyond 2^16 elements", async () => {
      const bits = randomBits(u32([7, 2 ** 32 - 1]), [3, 2 ** 15]);
      const got = await evaluate(bits, await deviceOf(name));
      assert.deepEqual(got, await evaluate(bits, await deviceOf("oracle")));
    });
  });
}

describe("threefry", () => {
  it("broadcasts its operands", async () => {
    const [key0, key1] = [u32([1, 2]), u32([3])];
    const rows = reshape(u32([5, 6, 7]), [3, 1]);
    const all = threefry(0, [key0, key1], [rows, u32([9])]);
    assert.deepEqual(all.shape, [3, 2]);
    const apart = await Promise.all(
      [5, 6, 7].flatMap((counter) =>
        [1, 2].map((key) => evaluate(threefry(0, [u32([key]), u32([3])], [u32([counter]), u32([9])]), "oracle")),
      ),
    );
    assert.deepEqual(
      [...(await evaluate(all, "oracle"))],
      apart.map(([value]) => value),
    );
  });

  it("changes half of its bits with any one bit of key or counter", async () => {
    // Random bits: 64 differences a flip, 128 flips, 20 keys. The mean of 163,840 coins is off by more than
    // 6.11 standard deviations once in 1e9.
    const flips = Array.from({ length: 128 }, (_, bit) => bit);
    const starts = Array.from({ length: 20 }, (_, i) => [i * 7919, i * 104729, i, 3] as const);
    const rows = starts.flatMap((start) =>
      [-1, ...flips].map((flip) =>
        start.map((value, i) => (flip >> 5 === i ? value ^ (1 << (flip & 31)) : value) >>> 0),
      ),
    );
    const operand = (i: number): Tensor => u32(rows.map((row) => row[i] ?? 0));
    const key = [operand(0), operand(1)] as const;
    const counter = [operand(2), operand(3)] as const;
    const words = [0, 1] as const;
    const outputs = await Promise.all(words.map((which) => evaluate(threefry(which, key, counter), "oracle")));
    let changed = 0;
    for (const output of outputs) {
      output.forEach((value, i) => {
        let difference = (value ^ (output[i - (i % 129)] ?? 0)) >>> 0;
        for (; difference !== 0; difference &= difference - 1) changed++;
      });
    }
    const coins = 20 * 128 * 64;
    assert.ok(Math.abs(changed - coins / 2) < 6.11 * Math.sqrt(coins / 4), `${changed} of ${coins} bits changed`);
  });

  it("refuses operands that aren't u32 or don't broadcast", () => {
    const zero = u32([0]);
    const refusal = (code: string, message: RegExp) => (error: unknown) => {
      assert.ok(error instanceof EvenkeelError, String(error));
      assert.equal(error.code, code);
      assert.match(error.message, message);
      return true;
    };
    assert.throws(() => threefry(0, [zero, zero], [zero, zeros([1])]), refusal("dtype", /^threefry: dtype f32 .*u32/));
    assert.throws(
      () => threefry(0, [u32([0, 1]), zero], [u32([0, 1, 2]), zero]),
      refusal("shape", /^threefry: shapes \[2\] and \[3\]/),
    );
    assert.equal(slice(threefry(0, [zero, zero], [u32([]), zero]), [[0, 0]]).size, 0);
  });
});
