import { addingProduct } from "./matrixProduct.ts";

/** Reflections taken together, so that most of the work is a product of matrices. */
const panel = 32;

/** Q T Q' = A with T tridiagonal: `diagonal` [n], `offDiagonal` [n - 1], and Q as the reflections that make it. */
export type Tridiagonal = {
  readonly size: number;
  readonly diagonal: Float64Array;
  readonly offDiagonal: Float64Array;
  /** [n, n]; row i >= 1 holds, in its first i elements, the vector v of the reflection I - tau v v'. Q is that of row n - 1 times ... times that of row 1. */
  readonly reflectors: Float64Array;
  readonly tau: Float64Array;
};

/**
 * Householder's reduction of a symmetric matrix, of which the lower triangle is read, to tridiagonal form. Rows are reduced from the last
 * to the first; the update of what is left is put off until a panel of rows is done (Dongarra, Sorensen and Hammarling 1989). Pauses after each.
 * @param matrix [size, size]; overwritten.
 */
export function* tridiagonalising(matrix: Float64Array, size: number): Generator<void, Tridiagonal> {
  const offDiagonal = new Float64Array(Math.max(size - 1, 0));
  const diagonal = new Float64Array(size);
  const tau = new Float64Array(size);
  // The pending update of the rows above is minus the sum over p of v_p w_p' + w_p v_p'.
  const v = new Float64Array(panel * size);
  const w = new Float64Array(panel * size);
  for (let end = size; end > 0; end = Math.max(end - panel, 0)) {
    const begin = Math.max(end - panel, 0);
    for (let i = end - 1, done = 0; i >= begin; i--, done++) {
      const row = i * size;
      for (let p = 0; p < done; p++) {
        const [vi, wi] = [v[p * size + i] ?? 0, w[p * size + i] ?? 0];
        addTwo(matrix, row, i + 1, v, p * size, -wi, w, p * size, -vi);
      }
      diagonal[i] = matrix[row + i] ?? 0;
      if (i === 0) break;
      offDiagonal[i - 1] = reflect(matrix, row, i, tau);
      const factor = tau[i] ?? 0;
      const own = done * size;
      v.fill(0, own, own + size);
      v.set(matrix.subarray(row, row + i), own);
      w.fill(0, own, own + size);
      if (factor === 0) continue;
      multiplySymmetric(matrix, size, i, v, own, w);
      for (let p = 0; p < done; p++) {
        const wv = dot(w, p * size, v, own, i);
        const vv = dot(v, p * size, v, own, i);
        addTwo(w, own, i, v, p * size, -wv, w, p * size, -vv);
      }
      for (let k = own; k < own + i; k++) w[k] = factor * (w[k] ?? 0);
      const half = (factor / 2) * dot(w, own, v, own, i);
      for (let k = 0; k < i; k++) w[own + k] = (w[own + k] ?? 0) - half * (v[own + k] ?? 0);
      yield;
    }
    yield* updatingRest(matrix, size, begin, v, w, end - begin);
  }
  return { size, diagonal, offDiagonal, reflectors: matrix, tau };
}

/**
 * Makes row[0..i) a multiple of its last element by a reflection, whose vector takes the row's place, scaled to end with 1.
 * @returns that multiple.
 */
function reflect(matrix: Float64Array, row: number, i: number, tau: Float64Array): number {
  const alpha = matrix[row + i - 1] ?? 0;
  let squares = 0;
  for (let k = row; k < row + i - 1; k++) squares += (matrix[k] ?? 0) ** 2;
  matrix[row + i - 1] = 1;
  if (squares === 0) {
    tau[i] = 0;
    return alpha;
  }
  const beta = -Math.sign(alpha || 1) * Math.sqrt(alpha ** 2 + squares);
  tau[i] = (beta - alpha) / beta;
  const scale = 1 / (alpha - beta);
  for (let k = row; k < row + i - 1; k++) matrix[k] = (matrix[k] ?? 0) * scale;
  return beta;
}

/** w[own..] = A v[own..] for the leading `count` rows of A, of which the lower triangle is read once. */
function multiplySymmetric(
  a: Float64Array,
  size: number,
  count: number,
  v: Float64Array,
  own: number,
  w: Float64Array,
): void {
  let i = 0;
  for (; i + 4 <= count; i += 4) {
    const r0 = i * size;
    const r1 = r0 + size;
    const r2 = r1 + size;
    const r3 = r2 + size;
    const v0 = v[own + i] ?? 0;
    const v1 = v[own + i + 1] ?? 0;
    const v2 = v[own + i + 2] ?? 0;
    const v3 = v[own + i + 3] ?? 0;
    let [s0, s1, s2, s3] = [0, 0, 0, 0];
    for (let j = 0; j < i; j++) {
      const vj = v[own + j] ?? 0;
      const x0 = a[r0 + j] ?? 0;
      const x1 = a[r1 + j] ?? 0;
      const x2 = a[r2 + j] ?? 0;
      const x3 = a[r3 + j] ?? 0;
      s0 += x0 * vj;
      s1 += x1 * vj;
      s2 += x2 * vj;
      s3 += x3 * vj;
      w[own + j] = (w[own + j] ?? 0) + (x0 * v0 + x1 * v1 + (x2 * v2 + x3 * v3));
    }
    w[own + i] = s0;
    w[own + i + 1] = s1;
    w[own + i + 2] = s2;
    w[own + i + 3] = s3;
    for (let row = i; row < i + 4; row++) addRow(a, size, row, i, v, own, w);
  }
  for (; i < count; i++) addRow(a, size, i, 0, v, own, w);
}

/** The part of A v that row `row` has from column `from` up to the diagonal, and the same elements below it. */
function addRow(
  a: Float64Array,
  size: number,
  row: number,
  from: number,
  v: Float64Array,
  own: number,
  w: Float64Array,
): void {
  const value = v[own + row] ?? 0;
  let sum = (a[row * size + row] ?? 0) * value;
  for (let j = from; j < row; j++) {
    const x = a[row * size + j] ?? 0;
    sum += x * (v[own + j] ?? 0);
    w[own + j] = (w[own + j] ?? 0) + x * value;
  }
  w[own + row] = (w[own + row] ?? 0) + sum;
}

/** Takes v w' + w v' of a panel from the leading `count` rows. */
function* updatingRest(
  matrix: Float64Array,
  size: number,
  count: number,
  v: Float64Array,
  w: Float64Array,
  done: number,
): Generator<void, void> {
  if (count === 0) return;
  const depth = 2 * done;
  const left = new Float64Array(count * depth);
  const right = new Float64Array(count * depth);
  for (let i = 0; i < count; i++) {
    for (let p = 0; p < done; p++) {
      left[i * depth + p] = right[i * depth + done + p] = v[p * size + i] ?? 0;
      left[i * depth + done + p] = right[i * depth + p] = w[p * size + i] ?? 0;
    }
  }
  const block = (data: Float64Array, stride: number) => ({ data, offset: 0, stride, rows: count });
  yield* addingProduct(block(matrix, size), block(left, depth), block(right, depth), depth, -1, "lower");
}

/**
 * Takes eigenvectors of T, one a row of `vectors` [n, n], to those of A, by reflections in groups I - V S V' (Schreiber and Van Loan
 * 1989). Pauses within each group.
 */
export function* transformingBack(
  { size, reflectors, tau }: Tridiagonal,
  vectors: Float64Array,
): Generator<void, void> {
  const products = new Float64Array(size * panel);
  for (let begin = 1; begin < size; begin += panel) {
    const end = Math.min(begin + panel, size);
    const count = end - begin;
    const length = end - 1;
    // Vectors of the group as rows, filled up with zeros, and the same transposed.
    const rows = new Float64Array(count * length);
    const columns = new Float64Array(length * count);
    for (let p = 0; p < count; p++) {
      rows.set(reflectors.subarray((begin + p) * size, (begin + p) * size + begin + p), p * length);
      for (let k = 0; k < length; k++) columns[k * count + p] = rows[p * length + k] ?? 0;
    }
    const triangle = groupTriangle(rows, length, count, tau, begin);
    products.fill(0);
    const all = { data: vectors, offset: 0, stride: size, rows: size };
    const product = { data: products, offset: 0, stride: count, rows: size };
    yield* addingProduct(product, all, { data: rows, offset: 0, stride: length, rows: count }, length, 1, "all");
    multiplyTriangle(products, size, triangle, count);
    yield* addingProduct(all, product, { data: columns, offset: 0, stride: count, rows: length }, count, -1, "all");
  }
}

/** S, upper triangular [count, count], of the product of reflections I - V S V'. */
function groupTriangle(
  rows: Float64Array,
  length: number,
  count: number,
  tau: Float64Array,
  begin: number,
): Float64Array {
  const s = new Float64Array(count * count);
  for (let j = 0; j < count; j++) {
    const own = tau[begin + j] ?? 0;
    const inner = Array.from({ length: j }, (_, i) => dot(rows, i * length, rows, j * length, length));
    for (let i = 0; i < j; i++) {
      let sum = 0;
      for (let k = i; k < j; k++) sum += (s[i * count + k] ?? 0) * (inner[k] ?? 0);
      s[i * count + j] = -own * sum;
    }
    s[j * count + j] = own;
  }
  return s;
}

/** Each row of x [rows, count] times an upper triangle. */
function multiplyTriangle(x: Float64Array, rows: number, triangle: Float64Array, count: number): void {
  for (let i = 0; i < rows; i++) {
    for (let j = count - 1; j >= 0; j--) {
      let sum = 0;
      for (let k = 0; k <= j; k++) sum += (x[i * count + k] ?? 0) * (triangle[k * count + j] ?? 0);
      x[i * count + j] = sum;
    }
  }
}

/** target += p * a + q * b over `count` elements from the given places on. */
function addTwo(
  target: Float64Array,
  at: number,
  count: number,
  a: Float64Array,
  atA: number,
  p: number,
  b: Float64Array,
  atB: number,
  q: number,
): void {
  for (let k = 0; k < count; k++) {
    target[at + k] = (target[at + k] ?? 0) + (p * (a[atA + k] ?? 0) + q * (b[atB + k] ?? 0));
  }
}

function dot(a: Float64Array, atA: number, b: Float64Array, atB: number, count: number): number {
  let sum = 0;
  for (let k = 0; k < count; k++) sum += (a[atA + k] ?? 0) * (b[atB + k] ?? 0);
  return sum;
}
