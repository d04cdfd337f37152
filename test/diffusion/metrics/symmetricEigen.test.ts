import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { symmetricEigen, symmetricEigenvalues } from "../../../diffusion/metrics/symmetricEigen.ts";
import { EvenkeelError } from "../../../engine/index.ts";
import { normals } from "./normals.ts";

type Matrix = { readonly size: number; readonly data: Float64Array };

/** (A + A') / 2 of A[i, j] = sin(1 + 3 i + 7 j + mixed i j). */
function sines(size: number, mixed: 0 | 1): Matrix {
  const a = (i: number, j: number): number => Math.sin(1 + 3 * i + 7 * j + mixed * i * j);
  const data = Float64Array.from({ length: size * size }, (_, at) => {
    const [i, j] = [Math.floor(at / size), at % size];
    return (a(i, j) + a(j, i)) / 2;
  });
  return { size, data };
}

/** Q diag(spectrum) Q' with a Q of random reflections. */
function withSpectrum(spectrum: readonly number[], seed: number, reflections = 3): Matrix {
  const size = spectrum.length;
  const data = new Float64Array(size * size);
  for (const [i, value] of spectrum.entries()) data[i * size + i] = value;
  for (let r = 0; r < reflections; r++) {
    const v = normals(size, seed + r);
    const length = v.reduce((sum, x) => sum + x * x, 0);
    for (const side of ["rows", "columns"]) {
      const at = (i: number, k: number): number => (side === "rows" ? i * size + k : k * size + i);
      for (let i = 0; i < size; i++) {
        let dot = 0;
        for (let k = 0; k < size; k++) dot += (data[at(i, k)] ?? 0) * (v[k] ?? 0);
        for (let k = 0; k < size; k++) data[at(i, k)] = (data[at(i, k)] ?? 0) - ((2 * dot) / length) * (v[k] ?? 0);
      }
    }
  }
  return { size, data };
}

/** Largest element of A v - l v over all pairs, and of V V' - 1. */
function errorsOf({ size, data }: Matrix): { readonly residual: number; readonly orthogonality: number } {
  const { values, vectors } = symmetricEigen(data, size);
  let [residual, orthogonality] = [0, 0];
  for (let p = 0; p < size; p++) {
    for (let i = 0; i < size; i++) {
      let [product, inner] = [0, 0];
      for (let k = 0; k < size; k++) {
        const component = vectors[p * size + k] ?? NaN;
        product += (data[i * size + k] ?? NaN) * component;
        inner += (vectors[i * size + k] ?? NaN) * component;
      }
      residual = Math.max(residual, Math.abs(product - (values[p] ?? NaN) * (vectors[p * size + i] ?? NaN)));
      orthogonality = Math.max(orthogonality, Math.abs(inner - (p === i ? 1 : 0)));
    }
  }
  return { residual, orthogonality };
}

/** Backward errors of such reductions are a small multiple of size * 2^-53 times the norm; 8 covers those seen many times over. */
function bound(size: number, norm: number): number {
  return 8 * Math.max(size, 8) * 2 ** -53 * norm;
}

function assertSolved(matrix: Matrix, spectrum?: readonly number[]): void {
  const { size, data } = matrix;
  const { values } = symmetricEigen(data, size);
  const norm = Math.max(...values.map(Math.abs), Number.MIN_VALUE);
  assert.deepEqual(
    [...values],
    [...values].sort((a, b) => a - b),
    "ascending",
  );
  const { residual, orthogonality } = errorsOf(matrix);
  assert.ok(residual <= bound(size, norm), `residual ${residual} of [${size}], norm ${norm}`);
  assert.ok(orthogonality <= bound(size, 1), `orthogonality ${orthogonality} of [${size}]`);
  const alone = symmetricEigenvalues(data, size);
  for (const [i, value] of values.entries()) {
    const difference = Math.abs(value - (alone[i] ?? NaN));
    assert.ok(difference <= bound(size, norm), `value ${i}: ${value} with vectors, ${alone[i]} alone`);
    if (spectrum === undefined) continue;
    const wanted = spectrum.toSorted((a, b) => a - b)[i] ?? NaN;
    assert.ok(Math.abs(value - wanted) <= bound(size, norm), `value ${i} is ${value}, expected ${wanted}`);
  }
}

describe("symmetricEigen", () => {
  it("gives what scipy.linalg.eigvalsh gives", () => {
    const cases: readonly (readonly [Matrix, Readonly<Record<number, number>>])[] = [
      [
        sines(6, 0),
        {
          0: -1.8005785605853164,
          1: -0.3771692519400899,
          2: 0,
          3: 0,
          4: 0.5713829667504647,
          5: 2.3920701242837916,
        },
      ],
      [
        sines(40, 1),
        {
          0: -4.78241663709733,
          1: -4.634597069815469,
          10: -3.1725115003411095,
          20: 0.4652135100104304,
          30: 3.7603491588126237,
          39: 4.73394309594705,
        },
      ],
      [
        sines(300, 1),
        {
          0: -13.488856756301447,
          1: -13.486341655820768,
          100: -3.9052620276731496,
          150: 0.04518327356233708,
          200: 3.9649643987041134,
          299: 13.48888559956372,
        },
      ],
    ];
    for (const [matrix, known] of cases) {
      const { values } = symmetricEigen(matrix.data, matrix.size);
      for (const [i, value] of Object.entries(known)) {
        // The sines of two libraries may differ in the last digit: so may the values, by that times the size.
        assert.ok(Math.abs((values[Number(i)] ?? NaN) - value) < 1e-12 * matrix.size, `${matrix.size}: value ${i}`);
      }
      assertSolved(matrix);
    }
  });

  it("finds a known spectrum, whatever its form", () => {
    const spectra: Readonly<Record<string, readonly number[]>> = {
      one: [3],
      two: [-1, 4],
      "two equal": [2, 2],
      linear: Array.from({ length: 90 }, (_, i) => i - 30),
      geometric: Array.from({ length: 100 }, (_, i) => 2 ** (-i / 2)),
      "three values": Array.from({ length: 130 }, (_, i) => i % 3),
      clusters: Array.from({ length: 120 }, (_, i) => (i % 4) + 1e-13 * i),
      "low rank": Array.from({ length: 110 }, (_, i) => (i < 7 ? i + 1 : 0)),
      signs: Array.from({ length: 77 }, (_, i) => (i % 2 === 0 ? 1 : -1)),
    };
    for (const [i, spectrum] of Object.values(spectra).entries())
      assertSolved(withSpectrum(spectrum, 10 * i), spectrum);
  });

  it("solves matrices that are diagonal, zero, split in blocks, all ones, or Wilkinson's", () => {
    const matrix = (size: number, element: (i: number, j: number) => number): Matrix => ({
      size,
      data: Float64Array.from({ length: size * size }, (_, at) => element(Math.floor(at / size), at % size)),
    });
    assertSolved(matrix(70, () => 0));
    assertSolved(matrix(70, (i, j) => (i === j ? 1 : 0)));
    assertSolved(matrix(70, (i, j) => (i === j ? (i * 7) % 70 : 0)));
    assertSolved(
      matrix(70, () => 1),
      [...new Array<number>(69).fill(0), 70],
    );
    assertSolved(matrix(90, (i, j) => (Math.floor(i / 10) === Math.floor(j / 10) ? 1 + Math.abs(i - j) : 0)));
    // Pairs of eigenvalues that agree in up to all digits, with couplings that aren't small.
    assertSolved(matrix(101, (i, j) => (i === j ? Math.abs(i - 50) : Math.abs(i - j) === 1 ? 1 : 0)));
    // A second difference: 2 - 2 cos(pi k / (n + 1)).
    const size = 96;
    assertSolved(
      matrix(size, (i, j) => (i === j ? 2 : Math.abs(i - j) === 1 ? -1 : 0)),
      Array.from({ length: size }, (_, k) => 2 - 2 * Math.cos((Math.PI * (k + 1)) / (size + 1))),
    );
  });

  it("solves random matrices of every size across the panels, and scales with them", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 80 }),
        fc.integer({ min: 0, max: 1e6 }),
        fc.integer({ min: -500, max: 500 }),
        (size, seed, exponent) => {
          const spectrum = [...normals(size, seed)];
          const { data } = withSpectrum(spectrum, seed + 1);
          assertSolved(
            { size, data: data.map((x) => x * 2 ** exponent) },
            spectrum.map((x) => x * 2 ** exponent),
          );
        },
      ),
      { numRuns: 40, seed: 5 },
    );
  });

  it("reads the lower triangle only and leaves the matrix as it is", () => {
    const { size, data } = sines(50, 1);
    const lower = data.map((x, at) => (at % size > Math.floor(at / size) ? NaN : x));
    const before = lower.slice();
    assert.deepEqual(symmetricEigen(lower, size), symmetricEigen(data, size));
    assert.deepEqual(lower, before);
  });

  it("refuses what isn't a finite square", () => {
    const fails = (code: string, pattern: RegExp, run: () => unknown): void => {
      assert.throws(
        run,
        (error) => error instanceof EvenkeelError && error.code === code && pattern.test(error.message),
      );
    };
    fails("shape", /5 elements are not a matrix \[2, 2\]/, () => symmetricEigen(new Float64Array(5), 2));
    fails("value", /element \[1, 0\] is NaN/, () => symmetricEigen(Float64Array.of(1, 0, NaN, 1), 2));
    fails("value", /element \[1, 1\] is Infinity/, () => symmetricEigenvalues(Float64Array.of(1, 0, 0, Infinity), 2));
  });
});
