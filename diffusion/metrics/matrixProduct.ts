import { atOnce } from "../../engine/index.ts";

/** A rectangle of a row-major float64 matrix: `rows` rows whose first element is at `offset`, `stride` elements from row to row. */
export type Block = {
  readonly data: Float64Array;
  readonly offset: number;
  readonly stride: number;
  readonly rows: number;
};

/** Columns of a tile of the sums' range and rows of b at a time: 64 x 256 doubles stay in a core's second cache. */
const depthTile = 256;
const rowTile = 64;

/**
 * c[i, j] += scale * sum over k < depth of a[i, k] b[j, k], for all i and j or for j <= i only (`lower`; a few elements above the
 * diagonal are then changed as well). Rows are what is multiplied, so that memory is read in order.
 */
export function addProduct(c: Block, a: Block, b: Block, depth: number, scale: number, part: "all" | "lower"): void {
  atOnce(addingProduct(c, a, b, depth, scale, part));
}

/** The same with a pause after every tile. */
export function* addingProduct(
  c: Block,
  a: Block,
  b: Block,
  depth: number,
  scale: number,
  part: "all" | "lower",
): Generator<void, void> {
  for (let k = 0; k < depth; k += depthTile) {
    const length = Math.min(depthTile, depth - k);
    for (let j = 0; j < b.rows; j += rowTile) {
      const end = Math.min(j + rowTile, b.rows);
      // Rows of a whose tiles would lie wholly above the diagonal are left out.
      let i = part === "lower" ? j - (j % 4) : 0;
      for (; i + 4 <= a.rows; i += 4) {
        const last = part === "lower" ? Math.min(end, i + 4) : end;
        fourRows(c, a, b, i, j, last, k, length, scale);
      }
      for (; i < a.rows; i++) oneRow(c, a, b, i, j, part === "lower" ? Math.min(end, i + 1) : end, k, length, scale);
      yield;
    }
  }
}

/** Rows i to i + 3 of c, columns j to end - 1; two columns at a time, so that eight sums stay in registers. */
function fourRows(
  c: Block,
  a: Block,
  b: Block,
  i: number,
  begin: number,
  end: number,
  k: number,
  length: number,
  scale: number,
): void {
  const [x, y, z] = [a.data, b.data, c.data];
  const a0 = a.offset + i * a.stride + k;
  const a1 = a0 + a.stride;
  const a2 = a1 + a.stride;
  const a3 = a2 + a.stride;
  let j = begin;
  for (; j + 2 <= end; j += 2) {
    const b0 = b.offset + j * b.stride + k;
    const b1 = b0 + b.stride;
    let [s00, s01, s10, s11, s20, s21, s30, s31] = [0, 0, 0, 0, 0, 0, 0, 0];
    for (let p = 0; p < length; p++) {
      const y0 = y[b0 + p] ?? 0;
      const y1 = y[b1 + p] ?? 0;
      const x0 = x[a0 + p] ?? 0;
      s00 += x0 * y0;
      s01 += x0 * y1;
      const x1 = x[a1 + p] ?? 0;
      s10 += x1 * y0;
      s11 += x1 * y1;
      const x2 = x[a2 + p] ?? 0;
      s20 += x2 * y0;
      s21 += x2 * y1;
      const x3 = x[a3 + p] ?? 0;
      s30 += x3 * y0;
      s31 += x3 * y1;
    }
    const c0 = c.offset + i * c.stride + j;
    const c1 = c0 + c.stride;
    const c2 = c1 + c.stride;
    const c3 = c2 + c.stride;
    z[c0] = (z[c0] ?? 0) + scale * s00;
    z[c0 + 1] = (z[c0 + 1] ?? 0) + scale * s01;
    z[c1] = (z[c1] ?? 0) + scale * s10;
    z[c1 + 1] = (z[c1 + 1] ?? 0) + scale * s11;
    z[c2] = (z[c2] ?? 0) + scale * s20;
    z[c2 + 1] = (z[c2 + 1] ?? 0) + scale * s21;
    z[c3] = (z[c3] ?? 0) + scale * s30;
    z[c3 + 1] = (z[c3 + 1] ?? 0) + scale * s31;
  }
  if (j < end) for (let row = i; row < i + 4; row++) oneRow(c, a, b, row, j, end, k, length, scale);
}

function oneRow(
  c: Block,
  a: Block,
  b: Block,
  i: number,
  begin: number,
  end: number,
  k: number,
  length: number,
  scale: number,
): void {
  const [x, y, z] = [a.data, b.data, c.data];
  const a0 = a.offset + i * a.stride + k;
  for (let j = begin; j < end; j++) {
    const b0 = b.offset + j * b.stride + k;
    let sum = 0;
    for (let p = 0; p < length; p++) sum += (x[a0 + p] ?? 0) * (y[b0 + p] ?? 0);
    const c0 = c.offset + i * c.stride + j;
    z[c0] = (z[c0] ?? 0) + scale * sum;
  }
}
