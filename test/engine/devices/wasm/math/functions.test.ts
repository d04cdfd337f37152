import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { emitUnary } from "../../../../../engine/devices/wasm/math/unary.ts";
import { errorFunction } from "../../../../../engine/devices/oracle/errorFunction.ts";
import { assertWithinUlps, errorInUlps, evenly, everyMagnitude, specialFloats, ulp } from "./accuracy.ts";
import { asFloats, vectorProgram } from "./vectorProgram.ts";

type Case = {
  readonly reference: (x: number) => number;
  /** Largest error allowed: measured worst, rounded up. */
  readonly ulps: number;
  /** Ranges looked at closely: working range, near zeros of the function, at seams of the formulas. */
  readonly ranges: readonly (readonly [number, number])[];
};

// The references are float64: their own error of 1 ulp is 2^-29 ulp of float32.
const cases: Record<
  "exp" | "expm1" | "log" | "log1p" | "sin" | "cos" | "atan" | "tanh" | "sigmoid" | "erf" | "sqrt",
  Case
> = {
  exp: {
    reference: Math.exp,
    ulps: 1,
    ranges: [
      [-104, 89],
      [-1, 1],
      [-104, -87],
      [87, 89],
    ],
  },
  expm1: {
    reference: Math.expm1,
    ulps: 1.2,
    ranges: [
      [-20, 89],
      [-2, 2],
      [-0.1, 0.1],
      [0.3, 1.2],
      [15, 20],
      [87, 89],
    ],
  },
  log: {
    reference: Math.log,
    ulps: 0.85,
    ranges: [
      [0, 4],
      [0.5, 2],
      [0.99, 1.01],
      [0, 3.4e38],
      [0, 3e-38],
    ],
  },
  log1p: {
    reference: Math.log1p,
    ulps: 0.85,
    ranges: [
      [-1, 4],
      [-0.5, 0.5],
      [-0.01, 0.01],
      [0, 1e7],
      [-1, -0.99],
    ],
  },
  sin: {
    reference: Math.sin,
    ulps: 1.05,
    ranges: [
      [-4, 4],
      [-100, 100],
      [-1e4, 1e4],
      [-2e6, 2e6],
      [0, 1e12],
    ],
  },
  cos: {
    reference: Math.cos,
    ulps: 1.05,
    ranges: [
      [-4, 4],
      [-100, 100],
      [-1e4, 1e4],
      [-2e6, 2e6],
      [0, 1e12],
    ],
  },
  tanh: {
    reference: Math.tanh,
    ulps: 2.6,
    ranges: [
      [-10, 10],
      [-1, 1],
      [0.05, 0.07],
      [0.7, 1.3],
      [8, 11],
    ],
  },
  sigmoid: {
    reference: (x) => 1 / (1 + Math.exp(-x)),
    ulps: 1.45,
    ranges: [
      [-104, 20],
      [-10, 10],
      [-3, 0],
      [0, 3],
      [-18, -16],
      [-89, -86],
      [-104, -100],
    ],
  },
  atan: {
    reference: Math.atan,
    ulps: 1.5,
    ranges: [
      [-4, 4],
      [-1, 1],
      [0.9, 1.1],
      [0, 100],
    ],
  },
  erf: {
    reference: errorFunction,
    ulps: 1.4,
    ranges: [
      [-5, 5],
      [-1, 1],
      [0.95, 1.05],
      [1, 2],
      [3.5, 4.5],
    ],
  },
  sqrt: { reference: Math.sqrt, ulps: 0.5, ranges: [[0, 4]] },
};

/** Arguments in a range. The bounds above held for 2^22. */
const count = 2 ** 16;

for (const [name, { reference, ulps, ranges }] of Object.entries(cases)) {
  test(`${name} is within ${ulps} ulp`, () => {
    const run = vectorProgram(1, (f) => emitUnary(f, name as keyof typeof cases, "f32"));
    const inputs = [
      Float32Array.from(specialFloats),
      everyMagnitude(2 * count),
      ...ranges.map(([a, b]) => evenly(a, b, count)),
    ];
    for (const x of inputs) {
      const y = asFloats(run(x));
      assertWithinUlps(
        name,
        y,
        (i) => reference(x[i] ?? NaN),
        (i) => String(x[i]),
        ulps,
      );
    }
  });
}

describe("special values as in C's math.h", () => {
  const table: { readonly [K in keyof typeof cases]: readonly (readonly [number, number])[] } = {
    exp: [
      [0, 1],
      [-0, 1],
      [Infinity, Infinity],
      [-Infinity, 0],
      [89, Infinity],
      [-104, 0],
      [88.72283172607422, Math.exp(88.72283172607422)],
    ],
    expm1: [
      [0, 0],
      [-0, -0],
      [Infinity, Infinity],
      [-Infinity, -1],
      [-200, -1],
      [2 ** -149, 2 ** -149],
      [-(2 ** -149), -(2 ** -149)],
    ],
    log: [
      [0, -Infinity],
      [-0, -Infinity],
      [1, 0],
      [Infinity, Infinity],
      [-1, NaN],
      [-Infinity, NaN],
    ],
    log1p: [
      [0, 0],
      [-0, -0],
      [-1, -Infinity],
      [Infinity, Infinity],
      [-1.5, NaN],
      [-Infinity, NaN],
      [-(2 ** -149), -(2 ** -149)],
    ],
    sin: [
      [0, 0],
      [-0, -0],
      [Infinity, NaN],
      [-Infinity, NaN],
      [2 ** -149, 2 ** -149],
    ],
    cos: [
      [0, 1],
      [-0, 1],
      [Infinity, NaN],
      [-Infinity, NaN],
    ],
    tanh: [
      [0, 0],
      [-0, -0],
      [Infinity, 1],
      [-Infinity, -1],
      [2 ** -149, 2 ** -149],
      [-30, -1],
    ],
    sigmoid: [
      [0, 0.5],
      [-0, 0.5],
      [Infinity, 1],
      [-Infinity, 0],
      [-200, 0],
      [40, 1],
    ],
    atan: [
      [0, 0],
      [-0, -0],
      [Infinity, Math.PI / 2],
      [-Infinity, -Math.PI / 2],
      [1, Math.PI / 4],
      [2 ** -149, 2 ** -149],
    ],
    erf: [
      [0, 0],
      [-0, -0],
      [Infinity, 1],
      [-Infinity, -1],
      [4, 1],
      [1e30, 1],
      [2 ** -149, 2 ** -149],
    ],
    sqrt: [
      [0, 0],
      [-0, -0],
      [Infinity, Infinity],
      [-1, NaN],
      [-Infinity, NaN],
    ],
  };
  for (const [name, rows] of Object.entries(table)) {
    test(name, () => {
      const run = vectorProgram(1, (f) => emitUnary(f, name as keyof typeof cases, "f32"));
      const all = [...rows, [NaN, NaN] as const];
      const y = asFloats(run(Float32Array.from(all, ([x]) => x)));
      all.forEach(([x, expected], i) => {
        const actual = y[i] ?? NaN;
        const isRight =
          Number.isFinite(expected) && expected !== 0
            ? errorInUlps(actual, expected) <= 1
            : Object.is(actual, expected);
        assert.ok(isRight, `${name}(${x}) = ${actual}, should be ${expected}`);
      });
    });
  }
});

test("the lanes of a vector don't influence each other", () => {
  // Each special value beside ordinary ones: the rare branches must leave the neighbours alone.
  for (const name of Object.keys(cases)) {
    const run = vectorProgram(1, (f) => emitUnary(f, name as keyof typeof cases, "f32"));
    const ordinary = [0.3, 0.6, 0.9];
    const [a, b, c] = asFloats(run(Float32Array.from(ordinary)));
    for (const special of specialFloats) {
      const y = asFloats(run(Float32Array.from([special, ...ordinary, ...ordinary, special])));
      const alone = asFloats(run(Float32Array.from([special])))[0];
      assert.deepEqual([...y], [alone, a, b, c, a, b, c, alone], `${name} beside ${special}`);
    }
  }
});

test("the measure: neighbours of a float32 are one ulp away", () => {
  assert.equal(ulp(1), 2 ** -23);
  assert.equal(ulp(1 - 2 ** -40), 2 ** -24);
  assert.equal(ulp(-3), 2 ** -22);
  assert.equal(ulp(2 ** -140), 2 ** -149);
  assert.equal(errorInUlps(1 + 2 ** -23, 1), 1);
  assert.equal(errorInUlps(0, -0), Infinity);
  assert.equal(errorInUlps(Infinity, 1e39), 0);
  assert.equal(errorInUlps(NaN, 1), Infinity);
});
