import "../../support/softwareVulkan.ts";
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { threefryScalar } from "../../../engine/devices/oracle/scalars.ts";
import {
  argmax,
  createDevice,
  type Device,
  type DeviceName,
  EvenkeelError,
  evaluate,
  keyAt,
  randomBernoulli,
  randomBits,
  randomCategorical,
  randomKey,
  randomNormal,
  randomPermutation,
  randomUniform,
  splitKey,
  tensor,
} from "../../../engine/index.ts";
import { webgpuSkip } from "../../support/webgpuSkip.ts";

/*
 * The seeds are fixed, so that these tests pass or fail for good. Each bound is one that a perfect generator breaks with
 * at most one seed in 1e9: 6.11 standard deviations of a mean of many, and Massart's bound on the distance of the
 * empirical distribution (Annals of Probability 18, 1990): P(distance > d) <= 2 exp(-2 n d^2).
 */
const deviations = 6.11;
const massart = (n: number): number => Math.sqrt(Math.log(2 / 1e-9) / (2 * n));

const devices = new Map<DeviceName, Promise<Device>>();
const deviceOf = (name: DeviceName): Promise<Device> => {
  const device = devices.get(name) ?? createDevice(name);
  devices.set(name, device);
  return device;
};
after(async () => {
  for (const device of devices.values()) (await device).dispose();
});
const everyDevice: readonly DeviceName[] = ["oracle", "wasm", "cpu", "webgpu"];

const average = (values: ArrayLike<number>, f: (x: number) => number): number => {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += f(values[i] ?? NaN);
  return sum / values.length;
};

/** Asserts that the mean of n numbers is `wanted`, given the variance of one. */
function assertMean(what: string, got: number, wanted: number, variance: number, n: number): void {
  const bound = deviations * Math.sqrt(variance / n);
  assert.ok(Math.abs(got - wanted) < bound, `${what}: ${got}, expected ${wanted} within ${bound}`);
}

/** The largest distance between the distribution of the values and `distribution`. */
function distance(values: ArrayLike<number>, distribution: (x: number) => number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted.reduce((largest, x, i) => {
    const p = distribution(x);
    return Math.max(largest, (i + 1) / sorted.length - p, p - i / sorted.length);
  }, 0);
}

const density = (z: number): number => Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI);

/** P(Z > z), z >= 0, in float64: the series about 0, and Laplace's continued fraction further out. */
function upperTail(z: number): number {
  if (z < 3) {
    let term = z;
    let sum = z;
    for (let k = 3; term > sum * 1e-18; k += 2) sum += term *= (z * z) / k;
    return 0.5 - density(z) * sum;
  }
  let fraction = z;
  for (let k = 200; k > 0; k--) fraction = z + k / fraction;
  return density(z) / fraction;
}

/** The z >= 0 with P(Z > z) = p, by Newton's method, which rises to it from the left: P(Z > z) is convex. */
function upperQuantile(p: number): number {
  let z = 0;
  for (let i = 0; i < 60; i++) {
    const step = (upperTail(z) - p) / density(z);
    z += step;
    if (Math.abs(step) < 1e-13) return z;
  }
  throw new Error(`no quantile of ${p}`);
}

/** What randomNormal promises of 32 bits: 23 of them choose the quantile, the lowest the sign. */
const normalOfBits = (bits: number): number => upperQuantile(((bits >>> 9) + 0.5) * 2 ** -24) * (bits & 1 ? -1 : 1);

describe("the reference of the normal quantile", () => {
  it("agrees with published values of the tail", () => {
    // Abramowitz and Stegun, Handbook of Mathematical Functions, table 26.1 (to 15 places) and table 26.2.
    for (const [z, p] of [
      [1, 0.158655253931457],
      [2, 0.02275013194817921],
      [3, 0.001349898031630095],
      [5, 2.866515718791939e-7],
    ] as const) {
      assert.ok(Math.abs(upperTail(z) / p - 1) < 1e-12, `${z}: ${upperTail(z)}`);
      assert.ok(Math.abs(upperQuantile(p) - z) < 1e-11, `${z}: ${upperQuantile(p)}`);
    }
  });
});

describe("randomUniform", () => {
  const n = 2 ** 18;

  it("is the upper 24 bits over 2^24, exactly, on every device", { skip: webgpuSkip }, async () => {
    for (const name of everyDevice) {
      const [values, bits] = [randomUniform(randomKey(21), [2 ** 14]), randomBits(randomKey(21), [2 ** 14])];
      const expected = Float32Array.from(await evaluate(bits, "oracle"), (word) => (word >>> 8) / 2 ** 24);
      assert.deepEqual(await evaluate(values, await deviceOf(name)), expected, name);
    }
  });

  it("has the mean, variance and distribution of its name", async () => {
    const values = await evaluate(randomUniform(randomKey(22), [n]), await deviceOf("wasm"));
    assert.ok(values.every((x) => x >= 0 && x < 1));
    assertMean(
      "mean",
      average(values, (x) => x),
      0.5,
      1 / 12,
      n,
    );
    assertMean(
      "variance",
      average(values, (x) => (x - 0.5) ** 2),
      1 / 12,
      1 / 80 - 1 / 144,
      n,
    );
    // The values are multiples of 2^-24, which moves the distribution by as much.
    assert.ok(distance(values, (x) => x) < massart(n) + 2 ** -24);
  });

  it("shows no correlation of neighbours, of successive keys, or of any bit", async () => {
    const device = await deviceOf("wasm");
    const bits = await evaluate(randomBits(splitKey(randomKey(23), 2), [n / 2]), device);
    const centred = (i: number): number => (bits[i] ?? NaN) / 2 ** 32 - 0.5;
    const products = (lag: number): number => {
      let sum = 0;
      for (let i = 0; i + lag < n; i++) sum += centred(i) * centred(i + lag);
      return sum / (n - lag);
    };
    for (const lag of [1, 2, 64, n / 2]) assertMean(`lag ${lag}`, products(lag), 0, 1 / 144, n - lag);
    for (let bit = 0; bit < 32; bit++)
      assertMean(
        `bit ${bit}`,
        average(bits, (word) => (word >>> bit) & 1),
        0.5,
        0.25,
        n,
      );
  });

  it("fills other ranges, given as numbers or tensors", async () => {
    const unit = await evaluate(randomUniform(randomKey(24), [4, 500]), "oracle");
    const scaled = await evaluate(randomUniform(randomKey(24), [4, 500], -3, 5), "oracle");
    assert.ok(scaled.every((x, i) => x === Math.fround((unit[i] ?? NaN) * 8 - 3)));
    const low = tensor([[0], [1], [10], [-5]]);
    const rows = await evaluate(randomUniform(randomKey(24), [4, 500], low, tensor([[1], [1], [12], [5]])), "oracle");
    rows.forEach((x, i) => {
      const [least, range] = (
        [
          [0, 1],
          [1, 0],
          [10, 2],
          [-5, 10],
        ] as const
      )[Math.floor(i / 500)] ?? [NaN, NaN];
      assert.equal(x, Math.fround((unit[i] ?? NaN) * range + least));
    });
  });
});

describe("randomNormal", () => {
  const n = 2 ** 18;

  it("has the mean, moments and distribution of its name", async () => {
    const values = await evaluate(randomNormal(randomKey(31), [n]), await deviceOf("wasm"));
    // The variances of z, z^2, z^3 and z^4: 1, 3 - 1, 15 and 105 - 9.
    assertMean(
      "mean",
      average(values, (z) => z),
      0,
      1,
      n,
    );
    assertMean(
      "variance",
      average(values, (z) => z ** 2),
      1,
      2,
      n,
    );
    assertMean(
      "skewness",
      average(values, (z) => z ** 3),
      0,
      15,
      n,
    );
    assertMean(
      "kurtosis",
      average(values, (z) => z ** 4),
      3,
      96,
      n,
    );
    assertMean(
      "positive",
      average(values, (z) => Number(z > 0)),
      0.5,
      0.25,
      n,
    );
    const distribution = (z: number): number => (z < 0 ? upperTail(-z) : 1 - upperTail(z));
    assert.ok(distance(values, distribution) < massart(n) + 2 ** -24);
    assert.ok(values.every((z) => Math.abs(z) > 0 && Math.abs(z) < 5.42));
  });

  for (const name of everyDevice) {
    it(`is the quantile of its bits within 1e-6 on ${name}`, { skip: name === "webgpu" && webgpuSkip }, async () => {
      const device = await deviceOf(name);
      const values = await evaluate(randomNormal(randomKey(32), [2 ** 14]), device);
      const bits = await evaluate(randomBits(randomKey(32), [2 ** 14]), "oracle");
      const errors = Array.from(values, (z, i) => Math.abs(z - normalOfBits(bits[i] ?? NaN)));
      assert.ok(Math.max(...errors) < 1e-6, `largest error ${Math.max(...errors)}`);
    });

    it(`stays so in the last 1e-5 of the tails on ${name}`, { skip: name === "webgpu" && webgpuSkip }, async () => {
      // Keys whose first element is far out: about 20 of 2 million.
      const keys: number[] = [];
      const bits: number[] = [];
      for (let key = 0; key < 2 ** 21; key++) {
        const word = threefryScalar(0, 0, key, 0, 0);
        if (word >>> 9 >= 80) continue;
        keys.push(0, key);
        bits.push(word);
      }
      assert.ok(bits.length > 8);
      const batch = tensor(Uint32Array.from(keys), { shape: [bits.length, 2] });
      const values = await evaluate(randomNormal(batch, []), await deviceOf(name));
      const errors = Array.from(values, (z, i) => Math.abs(z - normalOfBits(bits[i] ?? NaN)));
      assert.ok(values.every((z) => Math.abs(z) > 4.2));
      assert.ok(Math.max(...errors) < 1e-6, `largest error ${Math.max(...errors)}`);
    });
  }
});

describe("randomBernoulli", () => {
  it("is true as often as asked", async () => {
    const n = 2 ** 17;
    for (const p of [0, 1e-3, 0.25, 0.5, 0.9, 1]) {
      const drawn = randomBernoulli(randomKey(41), [n], p);
      assert.equal(drawn.dtype, "bool");
      const values = await evaluate(drawn, await deviceOf("wasm"));
      if (p === 0 || p === 1) assert.ok(values.every((value) => value === p));
      else
        assertMean(
          `p ${p}`,
          average(values, (value) => value),
          p,
          p * (1 - p),
          n,
        );
    }
  });

  it("takes a tensor of probabilities and refuses numbers that are none", async () => {
    const drawn = await evaluate(randomBernoulli(randomKey(42), [50, 3], tensor([0, 1, 0])), "oracle");
    assert.ok(drawn.every((value, i) => value === Number(i % 3 === 1)));
    for (const p of [-0.1, 1.5, NaN]) {
      assert.throws(
        () => randomBernoulli(randomKey(1), [2], p),
        (error) =>
          error instanceof EvenkeelError && error.code === "value" && /p .* is not a probability/.test(error.message),
      );
    }
  });
});

describe("randomCategorical", () => {
  it("gives categories as often as softmax says, in each row its own", async () => {
    const draws = 20_000;
    const probabilities = [
      [0.5, 0.25, 0.125, 0.125],
      [0.01, 0.09, 0.9, 0],
    ];
    const logits = tensor(probabilities.map((row) => row.map((p) => Math.log(p) + 3)));
    const values = await evaluate(randomCategorical(randomKey(61), logits, [draws, 2]), await deviceOf("wasm"));
    probabilities.forEach((row, r) => {
      row.forEach((p, category) => {
        let count = 0;
        for (let i = 0; i < draws; i++) if (values[2 * i + r] === category) count++;
        assertMean(`category ${category} of row ${r}`, count / draws, p, p * (1 - p) + 1e-12, draws);
      });
    });
  });

  it("is the same everywhere, and for each key of a batch", { skip: webgpuSkip }, async () => {
    const logits = tensor([[0.3, -Infinity, 1, 0.1]]);
    const keys = splitKey(randomKey(62), 2);
    const expected = await evaluate(randomCategorical(keys, logits, [50, 1]), "oracle");
    for (const name of everyDevice) {
      const values = await evaluate(randomCategorical(keys, logits, [50, 1]), await deviceOf(name));
      assert.deepEqual([...values], [...expected], name);
    }
    const own = await evaluate(randomCategorical(keyAt(keys, 1), logits, [50, 1]), "oracle");
    assert.deepEqual([...own], [...expected].slice(50));
    assert.ok(!expected.includes(1));
  });

  it("refuses logits without categories and shapes that don't fit", () => {
    const of = (logits: ReturnType<typeof tensor>, shape?: readonly number[]) => () =>
      randomCategorical(randomKey(1), logits, shape);
    assert.throws(of(tensor(1)), /randomCategorical: logits \[\] give no \[\]/);
    assert.throws(of(tensor([[1], [2]]), [3]), /don't broadcast|give no/);
    assert.throws(of(argmax(tensor([[1, 2]]))), /randomCategorical: dtype i32/);
  });
});

describe("randomPermutation", () => {
  it("holds every number once, on every device", { skip: webgpuSkip }, async () => {
    for (const length of [0, 1, 2, 300]) {
      const expected = await evaluate(randomPermutation(randomKey(51), length), "oracle");
      const sorted = [...expected].sort((a, b) => a - b);
      assert.deepEqual(sorted, [...sorted.keys()]);
      for (const name of everyDevice) {
        const values = await evaluate(randomPermutation(randomKey(51), length), await deviceOf(name));
        assert.deepEqual(values, expected, name);
      }
    }
  });

  it("sorts the indices by the key's bits", async () => {
    const key = keyAt(splitKey(randomKey(52), 3), 1);
    const bits = await evaluate(randomBits(key, [100]), "oracle");
    const order = [...bits.keys()].sort((a, b) => (bits[a] ?? 0) - (bits[b] ?? 0));
    assert.deepEqual([...(await evaluate(randomPermutation(key, 100), "oracle"))], order);
  });

  it("gives each of the 24 orders of four equally often", async () => {
    const draws = 24_000;
    const values = await evaluate(randomPermutation(splitKey(randomKey(53), draws), 4), await deviceOf("wasm"));
    const counts = new Map<string, number>();
    for (let i = 0; i < draws; i++) {
      const order = values.subarray(4 * i, 4 * i + 4).join("");
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    assert.equal(counts.size, 24);
    const expected = draws / 24;
    const chiSquare = [...counts.values()].reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    // The quantile of chi-square with 23 degrees of freedom at 1 - 1e-9.
    assert.ok(chiSquare < 89.12, `chi-square ${chiSquare}`);
  });

  it("begins with each element equally often", async () => {
    const draws = 10_000;
    const values = await evaluate(randomPermutation(splitKey(randomKey(54), draws), 10), await deviceOf("wasm"));
    const counts = new Array<number>(10).fill(0);
    for (let i = 0; i < draws; i++) {
      const first = values[10 * i] ?? NaN;
      counts[first] = (counts[first] ?? 0) + 1;
    }
    const chiSquare = counts.reduce((sum, count) => sum + (count - draws / 10) ** 2 / (draws / 10), 0);
    // The quantile of chi-square with 9 degrees of freedom at 1 - 1e-9.
    assert.ok(chiSquare < 60.67, `chi-square ${chiSquare}`);
  });
});
