import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { ExactDot } from "../../../diffusion/ema/exactDot.ts";
import { SymmetricSystem } from "../../../diffusion/ema/symmetricSystem.ts";
import { EvenkeelError } from "../../../engine/index.ts";

/** 2^1074 times a float64, which is whole. */
function exact(value: number): bigint {
  const bits = new DataView(new ArrayBuffer(8));
  bits.setFloat64(0, value);
  const high = bits.getUint32(0);
  const exponent = (high >>> 20) & 0x7ff;
  const mantissa = (BigInt(high & 0xfffff) << 32n) | BigInt(bits.getUint32(4));
  const magnitude = exponent === 0 ? mantissa : (mantissa | (1n << 52n)) << BigInt(exponent - 1);
  return high >>> 31 === 1 ? -magnitude : magnitude;
}

describe("ExactDot", () => {
  it("is the exact sum of products but for the last rounding", () => {
    const factor = fc.double({ min: -1e6, max: 1e6, noNaN: true }).filter((x) => x === 0 || Math.abs(x) > 1e-100);
    fc.assert(
      fc.property(fc.array(fc.tuple(factor, factor), { minLength: 1, maxLength: 40 }), (pairs) => {
        const dot = new ExactDot();
        // The negated products again in another order, with one more term: nearly everything cancels.
        const all = [...pairs, ...pairs.toReversed().map(([a, b]) => [-a, b] as const), [0.1, 0.1] as const];
        for (const [a, b] of all) dot.add(a, b);
        const truth = all.reduce((sum, [a, b]) => sum + exact(a) * exact(b), 0n);
        const difference = exact(dot.value) * (1n << 1074n) - truth;
        // Dot2's bound: half a unit of the result, and n^2 u^2 of the sum of magnitudes.
        const magnitude = all.reduce((sum, [a, b]) => sum + Math.abs(a * b), 0);
        const bound = 2 ** -53 * Math.abs(dot.value) + (all.length * 2 ** -53) ** 2 * magnitude;
        const allowed = exact(bound) * (1n << 1074n);
        assert.ok((difference < 0n ? -difference : difference) <= allowed);
      }),
    );
  });
});

/** Hilbert's matrix times a common multiple, so that its entries are whole. Its inverse is known in whole numbers. */
const hilbert = (size: number, multiple: number): SymmetricSystem =>
  new SymmetricSystem(size, (i, j) => multiple / (i + j + 1));

describe("SymmetricSystem", () => {
  it("solves ill-conditioned systems to the last digits", () => {
    // A multiple of 1 to 15, so that all numbers are whole. One round of refinement would leave errors of some 1e-12.
    const [size, multiple] = [8, 360360];
    const system = hilbert(size, multiple);
    const x = Float64Array.from({ length: size }, (_, i) => (i % 2 === 0 ? 1 : -1) * (i + 1) * 7);
    const b = Float64Array.from(x, (_, i) => x.reduce((sum, value, j) => sum + (multiple / (i + j + 1)) * value, 0));
    const solved = system.solve(b);
    solved.forEach((value, i) => assert.ok(Math.abs(value - (x[i] ?? 0)) <= 1e-15 * 56, `x[${i}] = ${value}`));
    const condition = 1.525757553806e10;
    assert.ok(Math.abs(system.conditionNumber() / condition - 1) < 1e-4);
  });

  it("knows the condition of diagonal matrices", () => {
    const diagonal = [1e-3, 5, 7, 1e5];
    const system = new SymmetricSystem(4, (i, j) => (i === j ? (diagonal[i] ?? 0) : 0));
    assert.ok(Math.abs(system.conditionNumber() / 1e8 - 1) < 1e-3);
    assert.ok(Math.abs(new SymmetricSystem(1, () => 3).conditionNumber() - 1) < 1e-15);
  });

  it("refuses matrices that are singular or indefinite", () => {
    const refused = (error: unknown): boolean => error instanceof EvenkeelError && error.code === "value";
    assert.throws(() => new SymmetricSystem(2, () => 1), refused);
    assert.throws(() => new SymmetricSystem(2, (i, j) => (i === j ? 1 : 2)), refused);
    assert.throws(() => new SymmetricSystem(2, (i) => (i === 0 ? 1 : 0)), refused);
    assert.throws(() => hilbert(14, 1).solve(new Float64Array(14).fill(1)), refused);
  });
});
