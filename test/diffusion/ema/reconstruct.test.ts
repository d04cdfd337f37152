import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  powerProfile,
  reconstruct,
  type ReconstructOptions,
  type SnapshotSource,
  solvePostHocCoefficients,
} from "../../../diffusion/ema/index.ts";
import { decodeFloat16, encodeFloat16, type StoredTensor } from "../../../engine/io/index.ts";
import { EvenkeelError } from "../../../engine/index.ts";

const f16 = (name: string, values: readonly number[]): StoredTensor => ({
  name,
  dtype: "F16",
  shape: [values.length],
  data: encodeFloat16(Float64Array.from(values)),
});
const f32 = (name: string, values: readonly number[]): StoredTensor => ({
  name,
  dtype: "F32",
  shape: [values.length],
  data: Float32Array.from(values),
});

const snapshot = (nimg: number, sigmaRel: number, ...tensors: readonly StoredTensor[]): SnapshotSource => ({
  name: `snapshot ${nimg} ${sigmaRel}`,
  profile: powerProfile(nimg, sigmaRel),
  open: async () => new Map(tensors.map((tensor) => [tensor.name, tensor])),
});

const values = (weights: ReadonlyMap<string, StoredTensor> | undefined, name: string): number[] => {
  const tensor = weights?.get(name);
  assert.ok(tensor !== undefined, `no tensor ${name}`);
  return Array.from(tensor.dtype === "F16" ? decodeFloat16(tensor.data) : tensor.data, Number);
};

async function rejects(
  snapshots: readonly SnapshotSource[],
  message: RegExp,
  options: ReconstructOptions = {},
): Promise<void> {
  await assert.rejects(reconstruct(snapshots, [powerProfile(2, 0.12)], options), (error) => {
    assert.ok(error instanceof EvenkeelError);
    assert.match(error.message, message);
    return true;
  });
}

const times = [1, 1, 2, 2, 3, 3];
const widths = [0.05, 0.1, 0.05, 0.1, 0.05, 0.1];

describe("reconstruct", () => {
  it("keeps what is the same in all snapshots that it uses, whatever the coefficients add up to", async () => {
    const options = { dtype: "F32", normalize: false } as const;
    const moving = (i: number): number[] => [i + 1, 3];
    const sources = times.map((time, i) =>
      snapshot(time, widths[i] ?? 0, f32("w", moving(i)), f32("betas", [0.5, 0.75]), f32("late", [i < 4 ? 7 : 8])),
    );
    const [early, late] = await reconstruct(sources, [powerProfile(2, 0.15), powerProfile(3, 0.15)], options);
    assert.ok(Math.abs((late?.fit.sum ?? 1) - 1) > 1e-3, "nothing would show");
    assert.deepEqual(values(late?.weights, "betas"), [0.5, 0.75]);
    assert.deepEqual(values(early?.weights, "betas"), [0.5, 0.75]);
    // Of those up to the second time it is the same; up to the third it is an average.
    assert.deepEqual(values(early?.weights, "late"), [7]);
    assert.notEqual(values(late?.weights, "late")[0], 8);
    assert.ok(Math.abs((values(late?.weights, "w")[1] ?? 0) - 3 * (late?.fit.sum ?? 0)) < 1e-5);
    // One alone can't show what stays.
    const [single] = await reconstruct(sources.slice(0, 1), [powerProfile(1, 0.15)], options);
    assert.ok(Math.abs((values(single?.weights, "betas")[0] ?? 0) - 0.5 * (single?.fit.sum ?? 0)) < 1e-6);
  });

  it("returns a stored average exactly, of any time", async () => {
    const weight = fc.array(fc.double({ min: -100, max: 100, noNaN: true }), { minLength: 6, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(weight, fc.nat(5), async (weights, choice) => {
        const sources = times.map((time, i) => snapshot(time, widths[i] ?? 0, f16("w", [weights[i] ?? 0])));
        const wanted = powerProfile(times[choice] ?? 0, widths[choice] ?? 0);
        const [result] = await reconstruct(sources, [wanted]);
        const [stored] = decodeFloat16(encodeFloat16(Float64Array.of(weights[choice] ?? 0)));
        // Not by bits of the sign: coefficients of 1e-20 decide that of a zero.
        assert.ok(values(result?.weights, "w")[0] === stored);
      }),
    );
  });

  it("sums products in float32 in the order of time and width, whatever order they came in", async () => {
    const weights = [1.1, -2.3, 1e-3, 7.7, -0.4, 123.4].map(Math.fround);
    const sources = times.map((time, i) => snapshot(time, widths[i] ?? 0, f32("w", [weights[i] ?? 0])));
    const wanted = [0.07, 0.15].map((sigmaRel) => powerProfile(3, sigmaRel));
    const fits = solvePostHocCoefficients(times, widths, [3, 3], [0.07, 0.15]);
    const expected = fits.map(({ coefficients }) =>
      weights.reduce((sum, w, i) => Math.fround(sum + Math.fround(w * Math.fround(coefficients[i] ?? 0))), 0),
    );
    for (const order of [sources, sources.toReversed()]) {
      const results = await reconstruct(order, wanted, { dtype: "F32" });
      assert.deepEqual(
        results.map(({ weights: found }) => values(found, "w")[0]),
        expected,
      );
      const half = await reconstruct(order, wanted);
      assert.deepEqual(
        half.map(({ weights: found }) => found.get("w")?.data),
        expected.map((value) => encodeFloat16(Float64Array.of(value))),
      );
    }
  });

  it("is linear", async () => {
    const pair = fc.tuple(fc.double({ min: -1, max: 1, noNaN: true }), fc.double({ min: -1, max: 1, noNaN: true }));
    await fc.assert(
      fc.asyncProperty(fc.array(pair, { minLength: 6, maxLength: 6 }), async (pairs) => {
        const sources = times.map((time, i) => {
          const [a, b] = pairs[i] ?? [0, 0];
          return snapshot(time, widths[i] ?? 0, f32("w", [a, b, Math.fround(a) + Math.fround(b)]));
        });
        const [result] = await reconstruct(sources, [powerProfile(3, 0.14)], { dtype: "F32" });
        const [a = 0, b = 0, sum = 0] = values(result?.weights, "w");
        // Six products and sums of numbers below 2, with coefficients below 2: some ten roundings of at most 4 * 2^-24.
        assert.ok(Math.abs(a + b - sum) <= 30 * 4 * 2 ** -24);
      }),
    );
  });

  it("copies buffers of the last snapshot up to the target, and whatever is no float", async () => {
    const count = (value: bigint): StoredTensor => ({
      name: "count",
      dtype: "I64",
      shape: [],
      data: BigInt64Array.of(value),
    });
    const sources = [1, 2, 3].map((time) =>
      snapshot(
        time,
        0.1,
        f32("emb.freqs", [time / 3]),
        f16("emb.phases", [time]),
        f16("own", [time]),
        count(BigInt(time)),
      ),
    );
    const wanted = [powerProfile(2, 0.14), powerProfile(3, 0.14)];
    const results = await reconstruct(sources, wanted, { dtype: "F32" });
    results.forEach(({ weights }, i) => {
      assert.deepEqual(values(weights, "emb.freqs"), [Math.fround((i + 2) / 3)]);
      assert.deepEqual(values(weights, "emb.phases"), [i + 2]);
      assert.deepEqual(values(weights, "count"), [i + 2]);
      assert.equal(weights.get("count")?.dtype, "I64");
      assert.notEqual(values(weights, "own")[0], i + 2);
      assert.deepEqual([...weights.keys()], ["emb.freqs", "emb.phases", "own", "count"]);
    });
    const [chosen] = await reconstruct(sources, wanted.slice(1), {
      isBuffer: (name) => name === "own" || name === "count",
    });
    assert.deepEqual(values(chosen?.weights, "own"), [3]);
    assert.notEqual(values(chosen?.weights, "emb.phases")[0], 3);
  });

  it("opens each snapshot once and only those up to the latest target, one after the other", async () => {
    const log: string[] = [];
    const sources = [3, 1, 2, 4].map((time): SnapshotSource => {
      const source = snapshot(time, 0.1, f16("w", [time]));
      return {
        ...source,
        open: async () => {
          log.push(`open ${time}`);
          return source.open();
        },
      };
    });
    const wanted = [0.12, 0.15, 0.2].map((sigmaRel) => powerProfile(3, sigmaRel));
    await reconstruct(sources, wanted, { onSnapshot: (done, total) => log.push(`${done}/${total}`) });
    assert.deepEqual(log, ["open 1", "1/3", "open 2", "2/3", "open 3", "3/3"]);
  });

  it("refuses snapshots of different networks, and numbers that can't be stored", async () => {
    const good = snapshot(1, 0.1, f16("a", [1]), f16("b", [1]));
    await rejects([good, snapshot(2, 0.1, f16("a", [1]))], /snapshot 2 0.1: has no tensor b, which snapshot 1 0.1 has/);
    await rejects(
      [good, snapshot(2, 0.1, f16("a", [1]), f16("b", [1]), f16("c", [1]))],
      /has a tensor c, which snapshot 1/,
    );
    await rejects(
      [good, snapshot(2, 0.1, f16("a", [1]), f16("b", [1, 2]))],
      /b is \[2\]; in snapshot 1 0.1 it is \[1\]/,
    );
    await rejects([good, snapshot(2, 0.1, f16("a", [NaN]), f16("b", [1]))], /snapshot 2 0.1: element 0 of a is NaN/);
    await rejects([snapshot(2, 0.1, f32("a", [1e5]))], /element 0 of a is 1\d+\.?\d*, too large for F16/);
    await rejects([snapshot(2, 0.1, f32("a.freqs", [1e5]))], /a.freqs .*too large for F16/);
    const [large] = await reconstruct([snapshot(2, 0.1, f32("a", [1e5]))], [powerProfile(2, 0.12)], { dtype: "F32" });
    assert.deepEqual(values(large?.weights, "a"), [1e5]);
  });
});
