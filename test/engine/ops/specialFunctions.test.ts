/** Functions composed of others, against JavaScript's own, on every device that runs in Node. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { DeviceName } from "../../../engine/devices/device.ts";
import { errorFunction } from "../../../engine/devices/oracle/errorFunction.ts";
import * as ops from "../../../engine/index.ts";
import { compile, createDevice, type Tensor, tensor } from "../../../engine/index.ts";
import { refuses } from "../../support/plain.ts";
import { webgpuSkip } from "../../support/webgpuSkip.ts";
import { evenly, everyMagnitude, specialFloats, ulp } from "../devices/wasm/math/accuracy.ts";

const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
const roundToEven = (x: number): number => {
  const nearest = Math.round(x);
  const isOddTie = Math.abs(x - Math.trunc(x)) === 0.5 && nearest % 2 !== 0;
  return isOddTie ? nearest - 1 : nearest;
};
/** -0 where x is negative. */
const likeSign = (value: number, x: number): number => (value === 0 && (x < 0 || Object.is(x, -0)) ? -0 : value);

type Case = {
  readonly apply: (x: Tensor) => Tensor;
  readonly exact: (x: number) => number;
  /** Largest error in units in the last place, measured and rounded up, on wasm and cpu; on webgpu twice as much and one. */
  readonly ulps: number;
  /** A number whose units in the last place count, if it is larger than the result. */
  readonly beside?: (x: number) => number;
};

const cases: { readonly [name: string]: Case } = {
  // 1 + erf cancels for negative x, as in PyTorch.
  gelu: {
    apply: (x) => ops.gelu(x),
    exact: (x) => x * 0.5 * (1 + errorFunction(x * Math.SQRT1_2)),
    ulps: 2,
    beside: (x) => x / 2,
  },
  "gelu by tanh": {
    apply: (x) => ops.gelu(x, { approximate: "tanh" }),
    exact: (x) => x / (1 + Math.exp(-2 * Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
    ulps: 2,
    beside: (x) => Math.min(Math.abs(x), 1),
  },
  softplus: { apply: (x) => ops.softplus(x), exact: softplus, ulps: 2 },
  leakyRelu: { apply: (x) => ops.leakyRelu(x), exact: (x) => (x > 0 ? x : x * Math.fround(0.01)), ulps: 1 },
  elu: { apply: (x) => ops.elu(x, 0.5), exact: (x) => (x > 0 ? x : 0.5 * Math.expm1(x)), ulps: 2 },
  ceil: { apply: ops.ceil, exact: Math.ceil, ulps: 0 },
  trunc: { apply: ops.trunc, exact: Math.trunc, ulps: 0 },
  round: { apply: ops.round, exact: (x) => likeSign(roundToEven(x), x), ulps: 0 },
  tan: { apply: ops.tan, exact: Math.tan, ulps: 3 },
  asin: { apply: ops.asin, exact: Math.asin, ulps: 3 },
  acos: { apply: ops.acos, exact: Math.acos, ulps: 3 },
  sinh: { apply: ops.sinh, exact: Math.sinh, ulps: 4 },
  cosh: { apply: ops.cosh, exact: Math.cosh, ulps: 4 },
  asinh: { apply: ops.asinh, exact: Math.asinh, ulps: 3 },
  acosh: { apply: ops.acosh, exact: Math.acosh, ulps: 3 },
  atanh: { apply: ops.atanh, exact: Math.atanh, ulps: 2 },
  exp2: { apply: ops.exp2, exact: (x) => 2 ** x, ulps: 1 },
  log2: { apply: ops.log2, exact: Math.log2, ulps: 2 },
};

const points = Float32Array.from([
  ...specialFloats,
  ...everyMagnitude(2048),
  ...evenly(-10, 10, 2048),
  ...evenly(-1.1, 1.1, 2048),
  ...evenly(0.98, 1.02, 512),
  ...evenly(-1e-3, 1e-3, 512),
  ...evenly(85, 90, 512),
  ...evenly(-150, 130, 512),
  ...Array.from({ length: 80 }, (_, i) => (i - 40) / 4),
]);

/** Error of a result in units in the last place; infinite where it is another special value. */
function errorOf({ exact, beside }: Case, x: number, got: number, isGpu: boolean): number {
  const wanted = exact(x);
  const rounded = Math.fround(wanted);
  if (Object.is(got, rounded)) return 0;
  if (Number.isNaN(rounded) || Number.isNaN(got)) return Infinity;
  if (!Number.isFinite(rounded) || !Number.isFinite(got))
    return Math.abs(wanted) > 3.402e38 && Math.abs(got) > 3.402e38 ? 0 : Infinity;
  // What is taken for 0 on the way may be multiplied afterwards.
  const flushed = isGpu ? 2 ** -124 : 0;
  const size = Math.max(Math.abs(wanted), Math.abs(beside?.(x) ?? 0));
  const error = Math.max(0, Math.abs(got - wanted) - flushed);
  if (wanted === 0 && got === 0) return isGpu ? 0 : Infinity;
  return error / ulp(size);
}

for (const name of ["oracle", "wasm", "cpu", "webgpu"] as const satisfies readonly DeviceName[]) {
  describe(`on ${name}`, { skip: name === "webgpu" && webgpuSkip }, () => {
    it("composed functions are accurate everywhere, special values included", async () => {
      const device = await createDevice(name);
      const program = compile((x: Tensor) => Object.values(cases).map(({ apply }) => apply(x)), { device });
      const results = await Promise.all((await program(tensor(points))).map((each) => each.data()));
      const isGpu = name === "webgpu";
      const asked = [...points.entries()].filter(([, x]) => !isGpu || x === 0 || !(Math.abs(x) < 2 ** -126));
      const worst = Object.entries(cases).map(([what, each], i) => {
        let [most, place] = [0, 0];
        for (const [index, x] of asked) {
          const error = errorOf(each, x, results[i]?.[index] ?? NaN, isGpu);
          if (error > most) [most, place] = [error, index];
        }
        const allowed = isGpu ? 2 * each.ulps + 1 : each.ulps;
        const x = points[place] ?? NaN;
        return {
          what,
          most,
          allowed,
          text: `${what}(${x}) = ${results[i]?.[place]}, exactly ${each.exact(x)}: ${most} ulp`,
        };
      });
      assert.deepEqual(
        worst.filter(({ most, allowed }) => most > allowed).map(({ text }) => text),
        [],
      );
      device.dispose();
    });

    it("atan2 knows quadrants, signs of zeros and infinities", async () => {
      const device = await createDevice(name);
      const sides = [0, -0, 1, -1, 2.5, -0.3, 1e-30, -1e30, 3e38, Infinity, -Infinity, NaN];
      const y = Float32Array.from([...sides.flatMap((a) => sides.map(() => a)), ...evenly(-3, 3, 500)]);
      const x = Float32Array.from([...sides.flatMap(() => sides), ...evenly(-3, 3, 500).reverse()]);
      const program = compile((a: Tensor, b: Tensor) => ops.atan2(a, b), { device });
      const got = await (await program(tensor(y), tensor(x))).data("f32");
      got.forEach((value, i) => {
        const [a, b] = [y[i] ?? NaN, x[i] ?? NaN];
        const wanted = Math.atan2(a, b);
        const error = errorOf({ apply: ops.atan, exact: () => wanted, ulps: 3 }, b, value, name === "webgpu");
        assert.ok(
          error <= (name === "webgpu" ? 6 : 3),
          `atan2(${a}, ${b}) = ${value}, exactly ${wanted}: ${error} ulp`,
        );
      });
      device.dispose();
    });
  });
}

describe("arguments", () => {
  it("that are refused are named", () => {
    const whole = ops.ones([2], "i32");
    for (const [operation, f] of Object.entries(ops).filter(([key]) => key in cases) as [
      string,
      (x: Tensor) => Tensor,
    ][]) {
      refuses(() => f(whole), "dtype", new RegExp(`^${operation}: dtype i32 is not supported, expected f32`));
    }
    refuses(() => ops.atan2(whole, whole), "dtype", /^atan2: dtype i32/);
    refuses(() => ops.softplus(ops.ones([1]), 0), "range", /^softplus: beta is 0/);
    refuses(
      () => ops.gelu(ops.ones([1]), { approximate: "sigmoid" as "tanh" }),
      "value",
      /^gelu: approximate is sigmoid/,
    );
  });
});
