import { EvenkeelError } from "../../engine/index.ts";

/** Sweeps an eigenvalue may take; two are usual. */
const maximumSweeps = 60;

/** Vectors that are turned with the eigenvalues: row `first + i` of `data` belongs to the i-th, columns `from` to `to` - 1 are turned. */
export type TurnedRows = {
  readonly data: Float64Array;
  readonly stride: number;
  readonly first: number;
  readonly from: number;
  readonly to: number;
};

/**
 * Eigenvalues of a symmetric tridiagonal matrix by the QL algorithm with implicit shifts (Bowdler, Martin, Reinsch and Wilkinson 1968), in
 * no order. Pauses after each.
 * @param d diagonal [n]; becomes the eigenvalues.
 * @param e off-diagonal [n - 1]; destroyed.
 * @throws EvenkeelError `value` if it doesn't converge, as with numbers that aren't finite.
 */
export function* findingByQl(d: Float64Array, e: Float64Array, rows?: TurnedRows): Generator<void, void> {
  const n = d.length;
  for (let l = 0; l < n; l++) {
    for (let sweep = 0; ; sweep++) {
      let m = l;
      while (m < n - 1 && !isNegligible(e[m] ?? 0, d[m] ?? 0, d[m + 1] ?? 0)) m++;
      if (m === l) break;
      if (sweep === maximumSweeps) {
        throw new EvenkeelError("value", `eigenvalues: no convergence for one of ${n}; is every number finite?`);
      }
      sweepOnce(d, e, l, m, rows);
    }
    yield;
  }
}

function isNegligible(e: number, d0: number, d1: number): boolean {
  return Math.abs(e) <= (Number.EPSILON / 2) * (Math.abs(d0) + Math.abs(d1)) || Math.abs(e) < 1e-300;
}

/** One sweep over rows l to m, with Wilkinson's shift. */
function sweepOnce(d: Float64Array, e: Float64Array, l: number, m: number, rows: TurnedRows | undefined): void {
  const dl = d[l] ?? 0;
  const el = e[l] ?? 0;
  const slope = ((d[l + 1] ?? 0) - dl) / (2 * el);
  const root = Math.sqrt(slope * slope + 1);
  let g = (d[m] ?? 0) - dl + el / (slope + (slope >= 0 ? root : -root));
  let [s, c, p] = [1, 1, 0];
  for (let i = m - 1; i >= l; i--) {
    const f = s * (e[i] ?? 0);
    const b = c * (e[i] ?? 0);
    const length = Math.sqrt(f * f + g * g);
    if (i + 1 < m) e[i + 1] = length;
    // Squares of numbers below 1e-162 are zero; the caller scales the matrix so that those are negligible.
    if (length === 0) {
      d[i + 1] = (d[i + 1] ?? 0) - p;
      if (m < e.length) e[m] = 0;
      return;
    }
    s = f / length;
    c = g / length;
    g = (d[i + 1] ?? 0) - p;
    const t = ((d[i] ?? 0) - g) * s + 2 * c * b;
    p = s * t;
    d[i + 1] = g + p;
    g = c * t - b;
    if (rows !== undefined) turnRows(rows, i, c, s);
  }
  d[l] = (d[l] ?? 0) - p;
  e[l] = g;
  // Row m is no longer joined to row l's block.
  if (m < e.length) e[m] = 0;
}

/** Turns rows i and i + 1. */
function turnRows({ data, stride, first, from, to }: TurnedRows, i: number, c: number, s: number): void {
  const a = (first + i) * stride;
  const b = a + stride;
  for (let k = from; k < to; k++) {
    const upper = data[b + k] ?? 0;
    const lower = data[a + k] ?? 0;
    data[b + k] = s * lower + c * upper;
    data[a + k] = c * lower - s * upper;
  }
}
