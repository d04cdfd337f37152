import assert from "node:assert/strict";
import { test } from "node:test";
import { emitBinary } from "../../../../../engine/devices/wasm/math/binary.ts";
import { assertWithinUlps, evenly, everyMagnitude, specialFloats } from "./accuracy.ts";
import { asFloats, vectorProgram } from "./vectorProgram.ts";

const run = vectorProgram(2, (f) => emitBinary(f, "power", "f32"));

/** C's pow: JavaScript's differs where the base is 1 or -1 and the exponent is not finite. */
function pow(x: number, y: number): number {
  if (x === 1) return 1;
  if (x === -1 && Math.abs(y) === Infinity) return 1;
  return x ** y;
}

function check(x: Float32Array, y: Float32Array, bound: number): void {
  const at = (array: Float32Array, index: number): number => array[index] ?? NaN;
  assertWithinUlps(
    "power",
    asFloats(run(x, y)),
    (i) => pow(at(x, i), at(y, i)),
    (i) => `${x[i]}, ${y[i]}`,
    bound,
  );
}

test("power is within 0.51 ulp for any base and exponent", () => {
  const count = 2 ** 16;
  const reversed = everyMagnitude(count).reverse();
  check(everyMagnitude(count), reversed, 0.51);
  check(evenly(0, 4, count), evenly(-8, 8, count).reverse(), 0.51);
  check(evenly(0.999, 1.001, count), evenly(-9e4, 9e4, count).reverse(), 0.51);
  check(everyMagnitude(count), evenly(-3, 3, count), 0.51);
  check(evenly(0, 1e4, count), evenly(-40, 12, count).reverse(), 0.51);
  check(everyMagnitude(count).map(Math.abs), evenly(0, 1, count).fill(0.5), 0.51);
  check(evenly(-9, 9, count), evenly(-20, 20, count).reverse().map(Math.round), 0.51);
});

test("power follows C's rules for every pair of special values", () => {
  const pairs = specialFloats.flatMap((x) => specialFloats.map((y) => [x, y] as const));
  check(
    Float32Array.from(pairs, ([x]) => x),
    Float32Array.from(pairs, ([, y]) => y),
    0.51,
  );
});

test("power: the rules spelled out", () => {
  const rules: readonly (readonly [number, number, number])[] = [
    [NaN, 0, 1],
    [1, NaN, 1],
    [NaN, -0, 1],
    [NaN, 1, NaN],
    [2, NaN, NaN],
    [0, 0, 1],
    [0, NaN, NaN],
    [-1, Infinity, 1],
    [-1, -Infinity, 1],
    [0.5, Infinity, 0],
    [-0.5, -Infinity, Infinity],
    [2, -Infinity, 0],
    [0, -1, Infinity],
    [-0, -1, -Infinity],
    [-0, -2, Infinity],
    [-0, 3, -0],
    [-0, 2, 0],
    [-0, 0.5, 0],
    [0, -0.5, Infinity],
    [Infinity, 0.1, Infinity],
    [Infinity, -0.1, 0],
    [-Infinity, 3, -Infinity],
    [-Infinity, 2, Infinity],
    [-Infinity, -3, -0],
    [-Infinity, 0.5, Infinity],
    [-8, 1 / 3, NaN],
    [-2, 3, -8],
    [-2, -2, 0.25],
    [-1, 2 ** 24 - 1, -1],
    [-1, 2 ** 24, 1],
    [10, 38, Math.fround(1e38)],
    [10, 39, Infinity],
    [-10, 39, -Infinity],
    [2, -149, 2 ** -149],
    [2, -151, 0],
    [-2, -151, -0],
  ];
  const result = asFloats(
    run(
      Float32Array.from(rules, ([x]) => x),
      Float32Array.from(rules, ([, y]) => y),
    ),
  );
  rules.forEach(([x, y, expected], i) => {
    assert.ok(Object.is(result[i], expected), `power(${x}, ${y}) = ${result[i]}, should be ${expected}`);
  });
});
