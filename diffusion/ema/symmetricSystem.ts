/**
 * Linear systems with a symmetric positive definite matrix, solved as exactly as float64 can hold the answer: Cholesky
 * factors of the matrix scaled to a unit diagonal, then refinement with residuals in twice the precision.
 */
import { EvenkeelError } from "../../engine/index.ts";
import { ExactDot } from "./exactDot.ts";

/** Refinement gains log10(1e16 / condition) digits a round; this many rounds suffice for conditions up to 1e13. */
const maximumRounds = 12;

export class SymmetricSystem {
  readonly size: number;
  readonly #matrix: Float64Array;
  readonly #factor: Float64Array;
  /** 1 / sqrt of the diagonal. */
  readonly #scale: Float64Array;

  /**
   * `entry(i, j)` gives the matrix; it is asked for i >= j only.
   * @throws EvenkeelError `value` if the matrix is not positive definite to working precision.
   */
  constructor(size: number, entry: (row: number, column: number) => number) {
    this.size = size;
    this.#matrix = new Float64Array(size * size);
    for (let i = 0; i < size; i++) {
      for (let j = 0; j <= i; j++) {
        const value = entry(i, j);
        this.#matrix[i * size + j] = value;
        this.#matrix[j * size + i] = value;
      }
    }
    this.#scale = Float64Array.from({ length: size }, (_, i) => 1 / Math.sqrt(this.#matrix[i * size + i] ?? 0));
    this.#factor = this.#factorize();
  }

  #factorize(): Float64Array {
    const { size } = this;
    const factor = new Float64Array(size * size);
    for (let i = 0; i < size; i++) {
      for (let j = 0; j <= i; j++) {
        let value = (this.#matrix[i * size + j] ?? 0) * (this.#scale[i] ?? 0) * (this.#scale[j] ?? 0);
        for (let k = 0; k < j; k++) value -= (factor[i * size + k] ?? 0) * (factor[j * size + k] ?? 0);
        if (i !== j) {
          factor[i * size + j] = value / (factor[j * size + j] ?? 0);
        } else {
          // The pivot of a unit diagonal has an error of about size * 2^-53; below that it is noise.
          if (!(value > size * Number.EPSILON)) throw singular(i);
          factor[i * size + i] = Math.sqrt(value);
        }
      }
    }
    return factor;
  }

  /**
   * The solution of A x = b.
   * @throws EvenkeelError `value` if refinement doesn't converge, because the system is singular to working precision.
   */
  solve(b: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> {
    const x = this.#solveOnce(b);
    let last = Infinity;
    for (let round = 0; round < maximumRounds; round++) {
      const correction = this.#solveOnce(this.residual(x, b));
      let change = 0;
      let largest = 0;
      for (let i = 0; i < x.length; i++) {
        change = Math.max(change, Math.abs(correction[i] ?? 0));
        x[i] = (x[i] ?? 0) + (correction[i] ?? 0);
        largest = Math.max(largest, Math.abs(x[i] ?? 0));
      }
      if (change <= 2 * Number.EPSILON * largest) return x;
      if (!(change < last / 2)) break;
      last = change;
    }
    throw singular(undefined);
  }

  /** b - A x, each element rounded once. */
  residual(x: Float64Array, b: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> {
    return b.map((wanted, i) => {
      const dot = new ExactDot().add(wanted, 1);
      for (let j = 0; j < x.length; j++) dot.add(-(this.#matrix[i * this.size + j] ?? 0), x[j] ?? 0);
      return dot.value;
    });
  }

  /** The ratio of the largest to the smallest eigenvalue of A, to about 1%. */
  conditionNumber(): number {
    const largest = this.#dominantEigenvalue((x) => this.#multiply(x));
    const smallestInverse = this.#dominantEigenvalue((x) => this.#solveOnce(x));
    return Math.max(1, largest * smallestInverse);
  }

  #multiply(x: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> {
    return x.map((_, i) => {
      let sum = 0;
      for (let j = 0; j < this.size; j++) sum += (this.#matrix[i * this.size + j] ?? 0) * (x[j] ?? 0);
      return sum;
    });
  }

  /** Power iteration; the norm's growth rises towards the eigenvalue, quadratically in the vector's error. */
  #dominantEigenvalue(apply: (x: Float64Array<ArrayBuffer>) => Float64Array<ArrayBuffer>): number {
    // Any start that is orthogonal to no eigenvector of interest; signs alternate irregularly.
    let x = Float64Array.from({ length: this.size }, (_, i) => Math.sin(1 + i * i));
    let estimate = 0;
    for (let round = 0; round < 500; round++) {
      const norm = Math.hypot(...x);
      x = apply(x.map((value) => value / norm));
      const next = Math.hypot(...x);
      if (round > 5 && Math.abs(next - estimate) <= 1e-5 * next) return next;
      estimate = next;
    }
    return estimate;
  }

  #solveOnce(b: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> {
    const { size } = this;
    const x = b.map((value, i) => value * (this.#scale[i] ?? 0));
    for (let i = 0; i < size; i++) {
      let value = x[i] ?? 0;
      for (let k = 0; k < i; k++) value -= (this.#factor[i * size + k] ?? 0) * (x[k] ?? 0);
      x[i] = value / (this.#factor[i * size + i] ?? 0);
    }
    for (let i = size - 1; i >= 0; i--) {
      let value = x[i] ?? 0;
      for (let k = i + 1; k < size; k++) value -= (this.#factor[k * size + i] ?? 0) * (x[k] ?? 0);
      x[i] = value / (this.#factor[i * size + i] ?? 0);
    }
    return x.map((value, i) => value * (this.#scale[i] ?? 0));
  }
}

function singular(row: number | undefined): EvenkeelError {
  const where = row === undefined ? "refinement does not converge" : `row ${row} depends on those before it`;
  return new EvenkeelError("value", `the system is singular to working precision: ${where}.`);
}
