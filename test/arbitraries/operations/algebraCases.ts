/** Fourier transforms, solves, determinants and Cholesky factors. */
import fc from "fast-check";
import * as ops from "../../../engine/index.ts";
import type { Tensor } from "../../../engine/index.ts";
import { build, pick, type Plain } from "../../support/plain.ts";
import { arraysOf } from "../../../testing/arbitraries/arrays.ts";
import { get, type OperationCase, range, small, sum } from "./operationCase.ts";

type Numbers = { readonly re: number; readonly im: number };

/** The transform of one row, from the definition. */
function dft(row: readonly Numbers[], sign: 1 | -1): Numbers[] {
  const n = row.length;
  return range(n).map((k) => {
    const terms = row.map(({ re, im }, j) => {
      const angle = (sign * 2 * Math.PI * ((j * k) % n)) / n;
      return { re: re * Math.cos(angle) - im * Math.sin(angle), im: re * Math.sin(angle) + im * Math.cos(angle) };
    });
    return { re: sum(terms.map(({ re }) => re)), im: sum(terms.map(({ im }) => im)) };
  });
}

const both = ({ real, imaginary }: ops.Complex): Tensor => ops.stack([real, imaginary]);

/** Two rows of `count` numbers, and what becomes of each, with real parts before imaginary ones. */
function rowsOf(real: Plain, imaginary: Plain | undefined, f: (row: readonly Numbers[]) => readonly Numbers[]): Plain {
  const [rows = 0, count = 0] = real.shape;
  const results = range(rows).map((row) =>
    f(
      range(count).map((j) => ({
        re: pick(real, [row, j]),
        im: imaginary === undefined ? 0 : pick(imaginary, [row, j]),
      })),
    ),
  );
  const length = get(results, 0).length;
  return build([2, rows, length], ([part = 0, row = 0, k = 0]) => {
    const { re, im } = get(get(results, row), k);
    return part === 0 ? re : im;
  });
}

const lengths = fc.oneof(small(24), fc.constantFrom(30, 64, 66, 67, 74, 96, 127, 130, 134, 131, 180));

function fourierCases(name: "fft" | "inverseFft" | "realFft" | "inverseRealFft"): fc.Arbitrary<OperationCase> {
  return lengths.chain((n) => {
    const count = name === "inverseRealFft" ? Math.floor(n / 2) + 1 : n;
    return fc.record({ real: arraysOf([2, count]), imaginary: arraysOf([2, count]) }).map(({ real, imaginary }) => {
      const inverse = (row: readonly Numbers[]): Numbers[] =>
        dft(row, 1).map(({ re, im }) => ({ re: re / n, im: im / n }));
      const spectrum = (row: readonly Numbers[]): Numbers[] =>
        range(n).map((k) => {
          const { re, im } = get(row, Math.min(k, n - k));
          const isReal = k === 0 || 2 * k === n;
          return { re, im: isReal ? 0 : 2 * k > n ? -im : im };
        });
      switch (name) {
        case "fft":
          return {
            options: n,
            inputs: [real, imaginary],
            fn: (a: Tensor, b: Tensor) => both(ops.fft({ real: a, imaginary: b })),
            expected: rowsOf(real, imaginary, (row) => dft(row, -1)),
          };
        case "inverseFft":
          return {
            options: n,
            inputs: [real, imaginary],
            fn: (a: Tensor, b: Tensor) => both(ops.inverseFft({ real: a, imaginary: b })),
            expected: rowsOf(real, imaginary, inverse),
          };
        case "realFft":
          return {
            options: n,
            inputs: [real],
            fn: (a: Tensor) => both(ops.realFft(a)),
            expected: rowsOf(real, undefined, (row) => dft(row, -1).slice(0, Math.floor(n / 2) + 1)),
          };
        case "inverseRealFft": {
          const values = rowsOf(real, imaginary, (row) => inverse(spectrum(row)));
          return {
            options: n,
            inputs: [real, imaginary],
            fn: (a: Tensor, b: Tensor) => ops.inverseRealFft({ real: a, imaginary: b }, n),
            expected: build([2, n], ([row = 0, j = 0]) => pick(values, [0, row, j])),
          };
        }
      }
    });
  });
}

/** The determinant along the first row. */
function laplace(m: readonly (readonly number[])[]): number {
  const [row = [], ...rest] = m;
  if (m.length === 0) return 1;
  return sum(
    row.map((value, j) =>
      value === 0
        ? 0
        : (j % 2 === 0 ? 1 : -1) * value * laplace(rest.map((others) => others.filter((_, i) => i !== j))),
    ),
  );
}

const matrixOf = (x: Plain, batch: number): number[][] => {
  const [, rows = 0, columns = 0] = x.shape;
  return range(rows).map((i) => range(columns).map((j) => pick(x, [batch, i, j])));
};

/** By Cramer's rule: each element a quotient of determinants. */
function cramer(a: readonly (readonly number[])[], column: readonly number[]): number[] {
  const whole = laplace(a);
  return range(a.length).map((j) => {
    const replaced = a.map((row, i) => row.map((value, k) => (k === j ? get(column, i) : value)));
    const part = laplace(replaced);
    return whole === 0 ? NaN : part / whole;
  });
}

/** Of the largest row sums of a matrix and its inverse; infinite of a singular one. */
function conditionOf(a: readonly (readonly number[])[]): number {
  const norm = (rows: readonly (readonly number[])[]): number =>
    Math.max(...rows.map((row) => sum(row.map((value) => Math.abs(value)))));
  if (laplace(a) === 0) return Infinity;
  const columns = range(a.length).map((j) =>
    cramer(
      a,
      range(a.length).map((i) => (i === j ? 1 : 0)),
    ),
  );
  return norm(a) * norm(range(a.length).map((i) => columns.map((column) => get(column, i))));
}

const determinants: fc.Arbitrary<OperationCase> = small(5).chain((n) =>
  arraysOf([2, n, n], fc.integer({ min: -3, max: 3 })).map((a) => ({
    options: n,
    inputs: [a],
    fn: (x: Tensor) => ops.determinant(x),
    expected: build([2], ([batch = 0]) => laplace(matrixOf(a, batch))),
    // By Hadamard's bound no minor is above 45^(5/2) = 13,600, and each of 25 roundings adds 2^-24 of one.
    tolerance: 25 * 13_600 * 2 ** -24,
  })),
);

const solves: fc.Arbitrary<OperationCase> = fc.tuple(small(4), small(3)).chain(([n, m]) =>
  fc
    .record({ a: arraysOf([2, n, n], fc.integer({ min: -4, max: 4 })), b: arraysOf([2, n, m]) })
    .filter(({ a }) => [0, 1].every((batch) => conditionOf(matrixOf(a, batch)) <= 100))
    .map(({ a, b }) => ({
      options: [n, m],
      inputs: [a, b],
      fn: (x: Tensor, y: Tensor) => ops.solve(x, y),
      expected: build([2, n, m], ([batch = 0, i = 0, j = 0]) =>
        get(
          cramer(
            matrixOf(a, batch),
            matrixOf(b, batch).map((row) => get(row, j)),
          ),
          i,
        ),
      ),
      // Rounding to 2^-24 grows with the condition, with the number of rows and by 2 in each step of elimination at most.
      tolerance: 3 * n ** 2 * 2 ** (n - 1) * 100 * 2 ** -24,
      // Moved away from singular matrices.
      smooth: (x: Tensor, y: Tensor) => ops.solve(ops.add(x, ops.multiply(ops.eye(n), 6)), y),
    })),
);

const choleskys: fc.Arbitrary<OperationCase> = small(4).chain((n) =>
  arraysOf([2, n, n], fc.integer({ min: -2, max: 2 })).map((root) => {
    // L with a positive diagonal, and its square.
    const lower = build([2, n, n], ([batch = 0, i = 0, j = 0]) => {
      const value = pick(root, [batch, i, j]);
      return i === j ? Math.abs(value) + 1 : i > j ? value : 0;
    });
    const square = build([2, n, n], ([batch = 0, i = 0, j = 0]) =>
      sum(range(n).map((k) => pick(lower, [batch, i, k]) * pick(lower, [batch, j, k]))),
    );
    return {
      options: n,
      inputs: [square],
      fn: (x: Tensor) => ops.cholesky(x),
      expected: lower,
      smooth: (x: Tensor) => ops.cholesky(ops.add(x, ops.multiply(ops.eye(n), 8))),
    };
  }),
);

/** Transforms and matrices, by name. */
export const algebraCases: { readonly [name: string]: fc.Arbitrary<OperationCase> } = {
  fft: fourierCases("fft"),
  inverseFft: fourierCases("inverseFft"),
  realFft: fourierCases("realFft"),
  inverseRealFft: fourierCases("inverseRealFft"),
  determinant: determinants,
  solve: solves,
  cholesky: choleskys,
};
