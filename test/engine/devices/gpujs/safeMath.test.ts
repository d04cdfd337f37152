/** Elementary functions as the GPU modes compute them, against JavaScript's in f64. */
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { specialValues } from "../../../../engine/devices/gpujs/source/specialValues.ts";
import { createWebgpuDevice } from "../../../../engine/devices/gpujs/webgpuDevice.ts";
import { errorFunction } from "../../../../engine/devices/oracle/errorFunction.ts";
import type { DType } from "../../../../engine/graph/dtype.ts";
import type { BinaryOp, UnaryOp } from "../../../../engine/graph/node.ts";
import type { Kernel, Scalar } from "../../../../engine/kernel/kernel.ts";
import { webgpuSkip } from "../../../support/webgpuSkip.ts";
import { elementwise, load, plan } from "./samplePlans.ts";
import { downloaded } from "../../../../testing/devices/downloaded.ts";

const count = 4096;
/** Evenly spread, ends included. */
const linear = (low: number, high: number): Float32Array =>
  Float32Array.from({ length: count }, (_, i) => low + ((high - low) * i) / (count - 1));
/** Both signs, exponents evenly spread. */
const exponents = (low: number, high: number): Float32Array =>
  Float32Array.from(
    { length: count },
    (_, i) => (i % 2 === 0 ? 1 : -1) * 2 ** (low + ((high - low) * i) / (count - 1)),
  );
const positive = (values: Float32Array): Float32Array => values.map(Math.abs);

const sigmoid = (x: number): number => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x)));

type Case = readonly [op: UnaryOp, exact: (x: number) => number, ...inputs: readonly Float32Array[]];
const cases: readonly Case[] = [
  ["exp", Math.exp, linear(-87, 88.7), linear(-1, 1)],
  ["expm1", Math.expm1, linear(-20, 88.7), linear(-1.5, 1.5), exponents(-60, -1)],
  ["log", Math.log, positive(exponents(-125, 127)), linear(0.3, 3)],
  ["log1p", Math.log1p, linear(-0.999, 5), exponents(-60, -1), positive(exponents(0, 127))],
  ["sin", Math.sin, linear(-10, 10), linear(-1e5, 1e5), exponents(-40, 127), linear(99_000, 300_000)],
  ["cos", Math.cos, linear(-10, 10), linear(-1e5, 1e5), exponents(-40, 127), linear(99_000, 300_000)],
  ["atan", Math.atan, linear(-4, 4), exponents(-60, 60), linear(0.9, 1.1)],
  ["erf", errorFunction, linear(-5, 5), linear(0.9, 1.1), exponents(-60, 60)],
  ["tanh", Math.tanh, linear(-12, 12), exponents(-60, 127)],
  ["sigmoid", sigmoid, linear(-87, 87), linear(-4, 4)],
];

/** Relative error that is allowed, in units of 2^-23: what was measured on SwiftShader, rounded up. */
const allowed = 2;

const special = [NaN, Infinity, -Infinity, 0, -0, 1, -1, 2, -2, 0.5, -0.5, 3, -3, 1e10, 3.4028234663852886e38, -3.4e38];

describe("mathematics on webgpu", { skip: webgpuSkip }, async () => {
  if (webgpuSkip !== false) return;
  const device = await createWebgpuDevice();
  after(() => device.dispose());

  const compute = async (body: Scalar, operands: readonly Float32Array[]): Promise<readonly number[]> => {
    const length = operands[0]?.length ?? 0;
    const kernel = elementwise("sample", length, operands.length, body);
    const roles = [
      ...operands.map((_, index) => ({ kind: "input", index }) as const),
      { kind: "output", index: 0 } as const,
    ];
    const of = plan("f32", length, roles, [
      { kernel, operands: operands.map((_, i) => i), results: [operands.length] },
    ]);
    const dtypes: readonly DType[] = [...operands.map((): DType => "f32"), body.dtype];
    const buffers = of.buffers.map((buffer, i) => ({ ...buffer, dtype: dtypes[i] ?? "f32" }));
    const executable = await device.compile({
      ...of,
      buffers,
      steps: of.steps.map((step) => ({ ...step, kernel: typed(step.kernel, body.dtype) })),
    });
    const inputs = operands.map((words) => {
      const buffer = device.allocate("f32", length);
      device.upload(buffer, words);
      return buffer;
    });
    const output = device.allocate(body.dtype, length);
    await executable.run(inputs, [output]);
    const result = [...(await downloaded(device, output))];
    executable.dispose();
    for (const buffer of [...inputs, output]) device.free(buffer);
    return result;
  };

  for (const [op, exact, ...inputs] of cases) {
    test(`${op} is within ${allowed} * 2^-23`, async () => {
      for (const input of inputs) {
        const got = await compute({ kind: "unary", dtype: "f32", op, x: load(0) }, [input]);
        input.forEach((x, i) => {
          const wanted = exact(x);
          // Results below the smallest normal number may be flushed to 0.
          const error = Math.abs((got[i] ?? NaN) - wanted);
          assert.ok(
            error <= allowed * 2 ** -23 * Math.abs(wanted) + 2 ** -126,
            `${op}(${x}) = ${got[i]}, expected ${wanted}: ${(error / Math.abs(wanted)) * 2 ** 23} * 2^-23`,
          );
        });
      }
    });
  }

  test("power is as accurate as its exponential: y times a logarithm's last bit", async () => {
    const pairs = [
      [positive(exponents(-10, 10)), linear(-8, 8)],
      [linear(0.5, 2), linear(-60, 60)],
      [linear(-10, 10), linear(-15, 15).map(Math.round)],
    ] as const;
    for (const [x, y] of pairs) {
      const got = await compute({ kind: "binary", dtype: "f32", op: "power", x: load(0), y: load(1) }, [x, y]);
      x.forEach((base, i) => {
        const exponent = y[i] ?? 0;
        const wanted = base ** exponent;
        const error = Math.abs((got[i] ?? NaN) - wanted) / Math.abs(wanted);
        assert.ok(
          error <= (allowed + Math.abs(exponent)) * 2 ** -23,
          `${base} ** ${exponent} = ${got[i]}, expected ${wanted}`,
        );
      });
    }
  });

  test("special values are what the table says", async () => {
    assert.deepEqual(specialValues.webgpu, { nan: true, infinity: true, negativeZero: true, subnormals: false });
    const x = Float32Array.from(special.flatMap((value) => special.map(() => value)));
    const y = Float32Array.from(special.flatMap(() => special));
    const unary: { readonly [K in UnaryOp]?: (x: number) => number } = {
      negate: (a) => -a,
      absolute: Math.abs,
      sign: Math.sign,
      floor: Math.floor,
      exp: Math.exp,
      expm1: Math.expm1,
      log: Math.log,
      log1p: Math.log1p,
      sqrt: Math.sqrt,
      sin: Math.sin,
      cos: Math.cos,
      atan: Math.atan,
      erf: errorFunction,
      tanh: Math.tanh,
      sigmoid,
      isFinite: (a) => Number(Number.isFinite(a)),
      isNaN: (a) => Number(Number.isNaN(a)),
    };
    const binary: { readonly [K in BinaryOp]?: (x: number, y: number) => number } = {
      add: (a, b) => a + b,
      subtract: (a, b) => a - b,
      multiply: (a, b) => a * b,
      divide: (a, b) => a / b,
      fmod: (a, b) => a % b,
      maximum: Math.max,
      minimum: Math.min,
      // C's: 1 to any power and -1 to an infinite one are 1.
      power: (a, b) => (a === 1 || (a === -1 && Math.abs(b) === Infinity) ? 1 : a ** b),
    };
    const compare = {
      less: (a: number, b: number) => a < b,
      lessEqual: (a: number, b: number) => a <= b,
      equal: (a: number, b: number) => a === b,
      notEqual: (a: number, b: number) => a !== b,
    } as const;
    const check = async (name: string, body: Scalar, exact: (x: number, y: number) => number): Promise<void> => {
      const got = await compute(body, [x, y]);
      got.forEach((value, i) => {
        const [a, b] = [x[i] ?? 0, y[i] ?? 0];
        const wanted = Math.fround(exact(a, b));
        if (Math.abs(wanted) < 2 ** -126 && Math.abs(value) < 2 ** -126) {
          // Zeros and what may be flushed to zero: the sign counts, except between zeros that are equal.
          if (wanted === 0 && name !== "maximum" && name !== "minimum")
            assert.ok(Object.is(value, wanted), `${name}(${a}, ${b}) = ${value}`);
          return;
        }
        // Near the largest number a rounding decides whether there is an overflow.
        if (Math.abs(wanted) > 3.3e38 && Math.abs(value) > 3.3e38)
          return assert.equal(Math.sign(value), Math.sign(wanted));
        const close = Object.is(value, wanted) || Math.abs(value - wanted) <= 1e-5 * Math.abs(wanted);
        assert.ok(close, `${name}(${a}, ${b}) = ${value}, expected ${wanted}`);
      });
    };
    for (const [op, exact] of Object.entries(unary)) {
      const dtype = op === "isFinite" || op === "isNaN" ? "bool" : "f32";
      await check(op, { kind: "unary", dtype, op: op as UnaryOp, x: load(0) }, exact);
    }
    for (const [op, exact] of Object.entries(binary)) {
      await check(op, { kind: "binary", dtype: "f32", op: op as BinaryOp, x: load(0), y: load(1) }, exact);
    }
    for (const [op, exact] of Object.entries(compare)) {
      const body: Scalar = { kind: "compare", dtype: "bool", op: op as keyof typeof compare, x: load(0), y: load(1) };
      await check(op, body, (a, b) => Number(exact(a, b)));
    }
  });
});

function typed(kernel: Kernel, dtype: DType): Kernel {
  return {
    ...kernel,
    operands: kernel.operands.map((operand) => ({ ...operand, dtype: "f32" })),
    stores: [{ ...kernel.stores[0], dtype }],
  };
}
