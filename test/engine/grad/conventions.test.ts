/** The page of conventions, row by row, on every device that runs in Node. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import type { Device, DeviceName } from "../../../engine/devices/device.ts";
import { at } from "../../../engine/graph/shape.ts";
import * as ops from "../../../engine/index.ts";
import { compile, createDevice, type Tensor, tensor, vjp } from "../../../engine/index.ts";
import { globalNorm } from "../../../nn/index.ts";
import { webgpuSkip } from "../../support/webgpuSkip.ts";

const page = new URL("../../../docs/conventions.md", import.meta.url);

/** The operations as the page writes them. A number where a tensor is needed is a scalar. */
const operations: { readonly [text: string]: (x: Tensor) => Tensor } = {
  "relu(x)": ops.relu,
  "sqrt(relu(x))": (x) => ops.sqrt(ops.relu(x)),
  "maximum(x, 0)": (x) => ops.maximum(x, 0),
  "maximum(0, x)": (x) => ops.maximum(0, x),
  "log(maximum(x, 0))": (x) => ops.log(ops.maximum(x, 0)),
  "minimum(x, 0)": (x) => ops.minimum(x, 0),
  "minimum(0, x)": (x) => ops.minimum(0, x),
  "clamp(x, -1, 1)": (x) => ops.clamp(x, -1, 1),
  "sqrt(clamp(x, 0, 1))": (x) => ops.sqrt(ops.clamp(x, 0, 1)),
  "clamp(x, 2, 2)": (x) => ops.clamp(x, 2, 2),
  "clamp(x, 2, 1)": (x) => ops.clamp(x, 2, 1),
  "clamp(0, x, 2)": (x) => ops.clamp(ops.scalar(0), x, 2),
  "clamp(0, -2, x)": (x) => ops.clamp(ops.scalar(0), -2, x),
  "absolute(x)": ops.absolute,
  "sqrt(absolute(x))": (x) => ops.sqrt(ops.absolute(x)),
  "sign(x)": ops.sign,
  "floor(x)": ops.floor,
  "roundToFloat16(x)": ops.roundToFloat16,
  "where(x > 0, x, 0)": (x) => ops.where(ops.greater(x, 0), x, 0),
  "where(x > 0, sqrt(x), 0)": (x) => ops.where(ops.greater(x, 0), ops.sqrt(x), 0),
  "where(x > 0, sqrt(where(x > 0, x, 1)), 0)": (x) => {
    const isPositive = ops.greater(x, 0);
    return ops.where(isPositive, ops.sqrt(ops.where(isPositive, x, 1)), 0);
  },
  "stopGradient(x)": ops.stopGradient,
  'cast(cast(x, "i32"), "f32")': (x) => ops.cast(ops.cast(x, "i32"), "f32"),
  "slice(x, [[0, 3, 2]])": (x) => ops.slice(x, [[0, 3, 2]]),
  "pad(x, [[1, 1]])": (x) => ops.pad(x, [[1, 1]]),
  "concat([x, 5])": (x) => ops.concat([x, tensor([5])]),
  "reduceMax(x)": (x) => ops.reduceMax(x),
  "reduceMin(x)": (x) => ops.reduceMin(x),
  "sqrt(x)": ops.sqrt,
  "rsqrt(x)": ops.rsqrt,
  "log(x)": ops.log,
  "reciprocal(x)": ops.reciprocal,
  "power(x, 0)": (x) => ops.power(x, 0),
  "power(x, 1)": (x) => ops.power(x, 1),
  "power(x, 2)": (x) => ops.power(x, 2),
  "power(x, 0.5)": (x) => ops.power(x, 0.5),
  "power(x, -1)": (x) => ops.power(x, -1),
  "power(-2, x)": (x) => ops.power(-2, x),
  "power(0, x)": (x) => ops.power(0, x),
  "power(NaN, x)": (x) => ops.power(NaN, x),
  "power(2, x)": (x) => ops.power(2, x),
  "norm(x)": (x) => ops.norm(x),
  "rootMeanSquare(x)": (x) => ops.rootMeanSquare(x),
  "standardDeviation(x)": (x) => ops.standardDeviation(x),
  "standardDeviation(x, { correction: 1 })": (x) => ops.standardDeviation(x, { correction: 1 }),
  "globalNorm({ a: x })": (x) => globalNorm({ a: x }),
  "gelu(x)": (x) => ops.gelu(x),
  'gelu(x, { approximate: "tanh" })': (x) => ops.gelu(x, { approximate: "tanh" }),
  "softplus(x)": (x) => ops.softplus(x),
  "leakyRelu(x)": (x) => ops.leakyRelu(x),
  "elu(x)": (x) => ops.elu(x),
  "round(x)": ops.round,
  "ceil(x)": ops.ceil,
  "trunc(x)": ops.trunc,
  "erf(x)": ops.erf,
  "atan(x)": ops.atan,
  "asin(x)": ops.asin,
  "acos(x)": ops.acos,
  "atan2(x, 1)": (x) => ops.atan2(x, 1),
  "atan2(x, -1)": (x) => ops.atan2(x, -1),
  "atan2(x, 0)": (x) => ops.atan2(x, 0),
  "atan2(1, x)": (x) => ops.atan2(1, x),
  "atan2(x, inf)": (x) => ops.atan2(x, Infinity),
  "sinh(x)": ops.sinh,
  "cosh(x)": ops.cosh,
  "asinh(x)": ops.asinh,
  "acosh(x)": ops.acosh,
  "atanh(x)": ops.atanh,
  "log2(x)": ops.log2,
  "exp2(x)": ops.exp2,
  "fmod(x, 3)": (x) => ops.fmod(x, 3),
  "fmod(7, x)": (x) => ops.fmod(7, x),
  "remainder(x, 3)": (x) => ops.remainder(x, 3),
  "remainder(-7, x)": (x) => ops.remainder(-7, x),
  "floorDivide(x, 2)": (x) => ops.floorDivide(x, 2),
  "truncateDivide(x, 2)": (x) => ops.truncateDivide(x, 2),
  "logSumExp(x)": (x) => ops.logSumExp(x),
  "softmax(x)": (x) => ops.softmax(x),
  "logSoftmax(x)": (x) => ops.logSoftmax(x),
};

type Row = {
  readonly operation: string;
  readonly apply: (x: Tensor) => Tensor;
  readonly x: readonly number[];
  readonly value: readonly number[];
  readonly cotangent: readonly number[];
  readonly derivative: readonly number[];
};

function numbers(cell: string): number[] {
  return cell.split(",").map((text) => {
    const word = text.trim();
    if (word === "NaN") return NaN;
    const value = word === "inf" ? Infinity : word === "-inf" ? -Infinity : Number(word);
    assert.ok(word !== "" && !Number.isNaN(value), `"${cell}" isn't a list of numbers`);
    return value;
  });
}

const rows: readonly Row[] = readFileSync(page, "utf8")
  .split("\n")
  .filter((line) => line.startsWith("| `"))
  .map((line) => {
    const cells = line.split("|").map((cell) => cell.trim());
    assert.equal(cells.length, 9, line);
    const operation = at(cells, 1).replaceAll("`", "");
    const apply = operations[operation];
    assert.ok(apply !== undefined, `the test doesn't know ${operation}`);
    return {
      operation,
      apply,
      x: numbers(at(cells, 2)),
      value: numbers(at(cells, 3)),
      cotangent: numbers(at(cells, 4)),
      derivative: numbers(at(cells, 5)),
    };
  });

const isSubnormal = (value: number): boolean => value !== 0 && Math.abs(value) < 2 ** -126;

/** Value and derivative of each row in turn, from one program: nothing is a constant of it. */
async function results(device: Device, asked: readonly Row[]): Promise<number[][]> {
  const program = compile(
    (given: readonly { readonly x: Tensor; readonly cotangent: Tensor }[]) =>
      given.flatMap(({ x, cotangent }, i) => {
        const { value, pullback } = vjp(at(asked, i).apply, x);
        const flowing = cotangent.size === 1 ? ops.reshape(cotangent, []) : cotangent;
        return [value, pullback(ops.broadcastTo(flowing, value.shape))];
      }),
    { device },
  );
  const tensors = await program(asked.map(({ x, cotangent }) => ({ x: tensor(x), cotangent: tensor(cotangent) })));
  const read = await Promise.all(tensors.map(async (y) => [...(await y.data())]));
  program.dispose();
  return read;
}

/** A few roundings; specials and zeros are exact. */
function isClose(got: readonly number[], wanted: readonly number[]): boolean {
  const close = (value: number, i: number): boolean =>
    Number.isFinite(value) && value !== 0
      ? Math.abs(at(got, i) - value) <= 1e-6 * Math.abs(value)
      : at(got, i) === value || (Number.isNaN(at(got, i)) && Number.isNaN(value));
  return got.length === wanted.length && wanted.every(close);
}

describe("the page of conventions", () => {
  it("has rows for every operation here, and for no others", () => {
    assert.ok(rows.length > 60);
    assert.deepEqual([...new Set(rows.map(({ operation }) => operation))], Object.keys(operations));
  });

  for (const name of ["oracle", "wasm", "cpu", "webgpu"] as const satisfies readonly DeviceName[]) {
    it(`is what ${name} computes`, { skip: name === "webgpu" && webgpuSkip }, async () => {
      const device = await createDevice(name);
      // WGSL lets a device take subnormal numbers for 0.
      const asked = rows.filter(({ x }) => name !== "webgpu" || !x.some(isSubnormal));
      const read = await results(device, asked);
      const wrong = asked.flatMap(({ operation, x, value, cotangent, derivative }, i) => {
        const [gotValue, gotDerivative] = [at(read, 2 * i), at(read, 2 * i + 1)];
        if (isClose(gotValue, value) && isClose(gotDerivative, derivative)) return [];
        const got = `value ${gotValue.join(", ")}, derivative ${gotDerivative.join(", ")}`;
        return [`${operation} at ${x.join(", ")} with the cotangent ${cotangent.join(", ")}: ${got}`];
      });
      assert.deepEqual(wrong, []);
      device.dispose();
    });
  }
});
