/** Whole quotients, rests, powers and shifts of integers over their whole range, and of floats, on every device that runs in Node. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { DeviceName } from "../../../engine/devices/device.ts";
import type { TensorData } from "../../../engine/graph/dtype.ts";
import * as ops from "../../../engine/index.ts";
import { compile, createDevice, type Device, type Tensor, tensor } from "../../../engine/index.ts";
import { refuses } from "../../support/plain.ts";
import { webgpuSkip } from "../../support/webgpuSkip.ts";

const devices = ["oracle", "wasm", "cpu", "webgpu"] as const satisfies readonly DeviceName[];
/** Pairs of each run: more than a vector, and a part of one. */
const count = 203;

type Integer = "i32" | "u32";
const corners = [0, 1, 2, 3, 7, 31, 32, 33, 46_341, 65_535, 65_536, 2 ** 30, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 2, 2 ** 32 - 1];
const word = fc.oneof(
  fc.constantFrom(...corners),
  fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  fc.integer({ min: 0, max: 40 }),
  fc.integer({ min: 2 ** 32 - 40, max: 2 ** 32 - 1 }),
);
const arrayOf = { i32: (words: readonly number[]) => Int32Array.from(words), u32: (words: readonly number[]) => Uint32Array.from(words) };
const wrapped = (dtype: Integer, value: bigint): number =>
  Number(dtype === "i32" ? BigInt.asIntN(32, value) : BigInt.asUintN(32, value));

/** By big integers, so that nothing is rounded or wraps before the end. */
const integerReferences: { readonly [name: string]: (x: bigint, y: bigint) => bigint } = {
  truncateDivide: (x, y) => (y === 0n ? 0n : x / y),
  floorDivide: (x, y) => (y === 0n ? 0n : x / y - BigInt(x % y !== 0n && x % y < 0n !== y < 0n)),
  fmod: (x, y) => (y === 0n ? 0n : x % y),
  remainder: (x, y) => (y === 0n ? 0n : ((x % y) + y) % y),
  power: (x, y) => {
    if (y < 0n) return x === 1n ? 1n : x === -1n ? (y % 2n === 0n ? 1n : -1n) : 0n;
    let [result, square] = [1n, x];
    for (let rest = y; rest > 0n; rest /= 2n) {
      if (rest % 2n === 1n) result = BigInt.asUintN(32, result * square);
      square = BigInt.asUintN(32, square * square);
    }
    return result;
  },
  shiftLeft: (x, y) => (y < 0n || y > 31n ? 0n : x << y),
  shiftRight: (x, y) => (y < 0n || y > 31n ? (x < 0n ? -1n : 0n) : x >> y),
};

/** A whole quotient; one of 0 has the sign of x / y. */
const signed = (quotient: number, x: number, y: number): number => (quotient === 0 ? 0 * (x / y) : quotient);

/** Of float32 numbers in float64: rests are exact, and so are quotients up to 2^29. */
const floatReferences: { readonly [name: string]: (x: number, y: number) => number } = {
  truncateDivide: (x, y) => (y === 0 || !Number.isFinite(x) ? x / y : signed(Math.round((x - (x % y)) / y), x, y)),
  floorDivide: (x, y) => {
    if (y === 0) return x / y;
    const rest = x % y;
    return signed(Math.round((x - rest) / y) - Number(rest !== 0 && rest < 0 !== y < 0), x, y);
  },
  fmod: (x, y) => x % y,
  remainder: (x, y) => {
    const rest = x % y;
    if (rest === 0) return y < 0 ? -0 : 0;
    return rest < 0 !== y < 0 ? Math.fround(rest + y) : rest;
  },
};

type Operation = (x: Tensor, y: Tensor) => Tensor;
const operations: Readonly<Record<string, Operation>> = {
  truncateDivide: ops.truncateDivide,
  floorDivide: ops.floorDivide,
  fmod: ops.fmod,
  remainder: ops.remainder,
  power: ops.power,
  shiftLeft: ops.shiftLeft,
  shiftRight: ops.shiftRight,
};

/** All of the named operations of two arrays, from one program. */
function programOf(device: Device, names: readonly string[]): (x: TensorData, y: TensorData) => Promise<TensorData[]> {
  const program = compile((x: Tensor, y: Tensor) => names.map((name) => at(operations, name)(x, y)), { device });
  return async (x, y) => Promise.all((await program(tensor(x), tensor(y))).map((each) => each.data()));
}

function at<T>(table: Readonly<Record<string, T>>, name: string): T {
  const found = table[name];
  assert.ok(found !== undefined, name);
  return found;
}

/** Every result of the named operations on pairs, with the operands. */
async function each(
  program: (x: TensorData, y: TensorData) => Promise<TensorData[]>,
  names: readonly string[],
  x: TensorData,
  y: TensorData,
  check: (name: string, x: number, y: number, got: number) => void,
): Promise<void> {
  const results = await program(x, y);
  names.forEach((name, i) => x.forEach((a, place) => check(name, a, y[place] ?? NaN, results[i]?.[place] ?? NaN)));
}

/** Of both signs and all magnitudes, near whole multiples of one another, and special ones. */
const float = fc.noBias(
  fc.oneof(
    { weight: 4, arbitrary: fc.double({ min: -2000, max: 2000, noNaN: true }) },
    { weight: 2, arbitrary: fc.integer({ min: -40, max: 40 }).map((n) => n / 4) },
    { weight: 2, arbitrary: fc.float({ noNaN: true, noDefaultInfinity: true }) },
    { weight: 1, arbitrary: fc.constantFrom(0, -0, Infinity, -Infinity, NaN, 3.4028234663852886e38, 2 ** -126) },
  ),
);
const runs = 8;

for (const name of devices) {
  describe(`on ${name}`, { skip: name === "webgpu" && webgpuSkip }, () => {
    it("integers are divided, raised and shifted exactly", async () => {
      const device = await createDevice(name);
      const names = Object.keys(integerReferences);
      const pairs = [
        ...corners.flatMap((a) => corners.map((b): [number, number] => [a, b])),
        ...fc.sample(fc.tuple(word, word), { numRuns: runs * count, seed: 7 }),
      ];
      for (const dtype of ["i32", "u32"] as const) {
        const program = programOf(device, names);
        const [x, y] = ([0, 1] as const).map((side) => arrayOf[dtype](pairs.map((pair) => pair[side])));
        assert.ok(x && y);
        await each(program, names, x, y, (operation, a, b, got) => {
          const wanted = wrapped(dtype, at(integerReferences, operation)(BigInt(a), BigInt(b)));
          assert.equal(got, wanted, `${operation}(${a}, ${b}) of ${dtype} is ${got}, expected ${wanted}`);
        });
      }
      device.dispose();
    });

    it("floats leave exact rests and whole quotients", async () => {
      const device = await createDevice(name);
      const names = Object.keys(floatReferences);
      const pairs = fc.sample(fc.tuple(float, float), { numRuns: runs * count, seed: 8 });
      const [x, y] = ([0, 1] as const).map((side) => Float32Array.from(pairs, (pair) => pair[side]));
      assert.ok(x && y);
      const flushed = name === "webgpu" ? 2 ** -126 : 0;
      const isTiny = (value: number): boolean => value !== 0 && Math.abs(value) < flushed;
      let compared = 0;
      await each(programOf(device, names), names, x, y, (operation, a, b, got) => {
        const exact = at(floatReferences, operation)(a, b);
        const wanted = Math.fround(exact);
        // A device may take subnormal numbers for 0, also on the way.
        if ([a, b, wanted, a % b].some(isTiny)) return;
        compared += 1;
        const isRounded = operation.endsWith("Divide") && Math.abs(exact) >= 2 ** 20;
        const isNear = isRounded && Math.abs(got - exact) <= 8 * 2 ** -24 * Math.abs(exact);
        const overflows = isRounded && Math.abs(exact) > 3.4e38 && Math.abs(got) > 3.4e38;
        // WGSL promises no sign of zeros.
        const isSignless = name === "webgpu" && wanted === 0 && got === 0;
        const said = (value: number): string => (Object.is(value, -0) ? "-0" : String(value));
        assert.ok(
          Object.is(got, wanted) || isNear || overflows || isSignless,
          `${operation}(${said(a)}, ${said(b)}) is ${said(got)}, expected ${said(wanted)}`,
        );
      });
      assert.ok(compared > 3 * runs * count, `only ${compared} compared`);
      device.dispose();
    });
  });
}

describe("powers and shifts by numbers", () => {
  it("say what they refuse", () => {
    const x = tensor(Int32Array.of(1, 2));
    refuses(() => ops.power(x, -1), "range", /^power: i32 to the power -1: integers have no negative powers/);
    refuses(() => ops.power(x, 0.5), "value", /^power: 0\.5 is not a i32 value/);
    refuses(() => ops.power(tensor([true]), tensor([true])), "dtype", /^power: dtype bool/);
    refuses(() => ops.shiftLeft(x, tensor([1])), "dtype", /^shiftLeft \(amount\): dtype f32 is not supported/);
    refuses(() => ops.remainder(tensor([true]), tensor([true])), "dtype", /^remainder: dtype bool is not supported/);
    refuses(() => ops.floorDivide(x, tensor(Int32Array.of(1, 2, 3))), "shape", /^floorDivide/);
  });

  it("are the exact ones, of numbers on either side", async () => {
    const x = tensor(Int32Array.of(-3, 0, 2, 65_537));
    assert.deepEqual([...(await ops.power(x, 0).data("i32"))], [1, 1, 1, 1]);
    assert.deepEqual([...(await ops.power(x, 5).data("i32"))], [-243, 0, 32, Number(BigInt.asIntN(32, 65_537n ** 5n))]);
    assert.deepEqual([...(await ops.power(2, tensor(Int32Array.of(0, 5, 31, 32, -1))).data("i32"))], [1, 32, -(2 ** 31), 0, 0]);
    assert.deepEqual([...(await ops.remainder(x, 5).data("i32"))], [2, 0, 2, 2]);
    assert.deepEqual([...(await ops.floorDivide(7, tensor(Int32Array.of(2, -2, 0))).data("i32"))], [3, -4, 0]);
  });
});
