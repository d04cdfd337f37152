/** Numbers in 16 bits: the bits of every device are those of the formats of files, and chance is fair. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  add,
  compile,
  compileStep,
  createDevice,
  createState,
  type DeviceName,
  EvenkeelError,
  foldIn,
  type Format16,
  iota,
  multiply,
  pack16,
  type PackedTree,
  randomKey,
  scalar,
  type Tensor,
  tensor,
  unpack16,
  zeros,
} from "../../../engine/index.ts";
import { fromBfloat16Bits, fromFloat16Bits, toBfloat16Bits, toFloat16Bits } from "../../../engine/io/index.ts";
import { float16Neighbours } from "../../support/nearestFloat16.ts";
import { webgpuSkip } from "../../support/webgpuSkip.ts";

const devices: readonly DeviceName[] = ["oracle", "wasm", "cpu", "webgpu"];

/** Numbers of bfloat16 without its subnormal ones, and around the middle between neighbours. */
function bfloat16Neighbours(): Float32Array {
  const all: number[] = [NaN, Infinity, -Infinity, 3.4e38, -3.4e38];
  for (let bits = 0; bits < 0x10000; bits += 3) {
    const value = fromBfloat16Bits(bits);
    if (!Number.isFinite(value) || Math.abs(value) < 2 ** -120) continue;
    const half = 2 ** (Math.floor(Math.log2(Math.abs(value))) - 8);
    all.push(value, value + half, value - half, value + half * (1 - 2 ** -14), value - half * (1 + 2 ** -14));
  }
  return Float32Array.from(all);
}

const cases: Readonly<Record<Format16, { readonly values: Float32Array; readonly nearest: (x: number) => number }>> = {
  float16: { values: float16Neighbours(), nearest: (x) => fromFloat16Bits(toFloat16Bits(x)) },
  bfloat16: { values: bfloat16Neighbours(), nearest: (x) => fromBfloat16Bits(toBfloat16Bits(x)) },
};

/** The first value that isn't the wanted one. -0 is 0: nothing is promised of it. */
function firstWrong(x: Float32Array, got: ArrayLike<number>, wanted: (x: number) => number): string | undefined {
  for (const [i, value] of x.entries()) {
    const want = wanted(value) + 0;
    if (!Object.is((got[i] ?? NaN) + 0, want)) return `${value} gave ${got[i]} instead of ${want}`;
  }
  return undefined;
}

describe("pack16", () => {
  for (const name of devices) {
    for (const format of ["float16", "bfloat16"] as const) {
      it(`gives the nearest number of ${format} on ${name}`, { skip: name === "webgpu" && webgpuSkip }, async () => {
        const device = await createDevice(name);
        const there = compile((x: Tensor) => pack16(x, format), { device });
        const back = compile((x: PackedTree<Tensor>) => unpack16(x), { device });
        const { values, nearest } = cases[format];
        const packed = await there(tensor(values));
        assert.equal(packed.bits.size, Math.ceil(values.length / 2));
        assert.equal(firstWrong(values, await (await back(packed)).data(), nearest), undefined);
        device.dispose();
      });

      it(`keeps every number of ${format} on ${name}, by chance, too`, {
        skip: name === "webgpu" && webgpuSkip,
      }, async () => {
        const device = await createDevice(name);
        const { values, nearest } = cases[format];
        const own = Float32Array.from(new Set(values.map((x) => nearest(x))));
        const program = compile(
          (x: Tensor, key: Tensor) => [unpack16(pack16(x, format)), unpack16(pack16(x, format, key))] as const,
          { device },
        );
        for (const got of await program(tensor(own), randomKey(5))) {
          assert.equal(
            firstWrong(own, await got.data(), (x) => x),
            undefined,
          );
        }
        device.dispose();
      });
    }
  }

  it("takes one of two neighbours by chance, whose mean is the number", async () => {
    const count = 40_000;
    const program = compile((x: Tensor, key: Tensor) => unpack16(pack16(x, "bfloat16", key)));
    // A step of bfloat16 is 2^-7 between 1 and 2.
    for (const share of [0.1, 0.5, 0.8]) {
      const x = 1 + share * 2 ** -7;
      const drawn = await (await program(multiply(zeros([count]).add(1), x), randomKey(7))).data("f32");
      const ups = drawn.reduce((sum, value) => sum + Number(value === 1 + 2 ** -7), 0);
      assert.ok(drawn.every((value) => value === 1 || value === 1 + 2 ** -7));
      // The seed is given: six deviations say that the draws are those of this share.
      assert.ok(Math.abs(ups / count - share) < 6 * Math.sqrt((share * (1 - share)) / count), `${ups / count}`);
    }
  });

  it("keeps a mean moving in a state of half the memory, as rounding to the nearest does not", async () => {
    type Mean = { readonly mean: PackedTree<{ readonly m: Tensor }>; readonly n: Tensor };
    const make = (key: Tensor | undefined) =>
      compileStep((state: Mean, target: Tensor) => {
        const { m } = unpack16(state.mean);
        const next = add(multiply(m, 0.999), multiply(target, 0.001));
        const turn = key === undefined ? undefined : foldIn(key, state.n);
        return { state: { mean: pack16({ m: next }, "bfloat16", turn), n: add(state.n, 1) }, result: next };
      });
    const means: number[] = [];
    for (const key of [undefined, randomKey(3)]) {
      const state = await createState<Mean>({
        mean: pack16({ m: zeros([64]).add(1) }, "bfloat16"),
        n: scalar(0, "u32"),
      });
      assert.equal(
        state.buffers.reduce((sum, { length }) => sum + length, 0),
        32 + 1,
      );
      const step = make(key);
      const target = zeros([64]);
      for (let i = 0; i < 1000; i++) await step(state, target);
      const { m } = unpack16((await state.read()).mean);
      means.push((await m.data("f32")).reduce((sum, value) => sum + value, 0) / 64);
      state.dispose();
    }
    const [nearest = NaN, fair = NaN] = means;
    // A thousandth is less than half a step of bfloat16: nothing moves.
    assert.equal(nearest, 1);
    // Chance adds a variance of at most a quarter of a step squared each time, steps being 2^-8 below 1; here are 64 such means.
    const deviation = (Math.sqrt(1000) * 2 ** -8) / 2 / Math.sqrt(64);
    assert.ok(Math.abs(fair - 0.999 ** 1000) < 6 * deviation, `${fair}`);
  });

  it("takes trees, odd sizes, nothing at all and any shape", async () => {
    const tree = { a: [tensor([[1.5, -2, 3]]), scalar(4)], b: { c: zeros([0, 3]), d: iota([2, 3], 1, "f32") } };
    const back = unpack16(pack16(tree, "float16"));
    assert.deepEqual(await back.a[0]?.array(), [[1.5, -2, 3]]);
    assert.equal(await back.a[1]?.item(), 4);
    assert.deepEqual(back.b.c.shape, [0, 3]);
    assert.deepEqual(await back.b.d.array(), [
      [0, 1, 2],
      [0, 1, 2],
    ]);
  });

  it("names what it can't pack and unpack", () => {
    const error = (code: string, words: RegExp) => (reason: unknown) =>
      reason instanceof EvenkeelError && reason.code === code && words.test(reason.message);
    assert.throws(() => pack16({ n: [scalar(1, "i32")] }, "float16"), error("dtype", /n\[0\] is i32/));
    assert.throws(() => pack16(scalar(1), "half" as Format16), error("value", /format half/));
    assert.throws(() => unpack16({ x: scalar(1) }), error("value", /x is a tensor that isn't packed/));
    const { bits } = pack16(zeros([4]), "float16");
    assert.throws(() => unpack16({ format: "float16", shape: [6], bits }), error("value", /u32 \[3\]/));
  });
});
