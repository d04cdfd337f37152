import { findingByQl } from "./implicitQl.ts";
import { addingProduct } from "./matrixProduct.ts";
import { secularRoot } from "./secularEquation.ts";

/** Matrices up to this size are not divided. */
const smallest = 32;

/** Part of the problem: rows and columns `begin` to `end` - 1. */
type Range = { readonly begin: number; readonly end: number };

/**
 * Eigenvalues and vectors of a symmetric tridiagonal matrix by dividing it in two, solving both and joining the solutions (Cuppen 1981),
 * with vectors that are orthogonal however near the eigenvalues (Gu and Eisenstat 1995). Pauses after each.
 * @param d diagonal [n]; becomes the eigenvalues in ascending order.
 * @param e off-diagonal [n - 1]; destroyed.
 * @returns one vector a row: [n, n].
 * @throws EvenkeelError `value` for numbers that aren't finite.
 */
export function* dividingAndConquering(d: Float64Array, e: Float64Array): Generator<void, Float64Array> {
  const size = d.length;
  const vectors = new Float64Array(size * size);
  for (let i = 0; i < size; i++) vectors[i * size + i] = 1;
  const spare = new Float64Array(size * size);
  yield* solving({ begin: 0, end: size }, d, e, vectors, spare, size);
  return vectors;
}

function* solving(
  { begin, end }: Range,
  d: Float64Array,
  e: Float64Array,
  vectors: Float64Array,
  spare: Float64Array,
  size: number,
): Generator<void, void> {
  if (end - begin <= smallest) {
    const part = e.slice(begin, Math.max(end - 1, begin));
    yield* findingByQl(d.subarray(begin, end), part, {
      data: vectors,
      stride: size,
      first: begin,
      from: begin,
      to: end,
    });
    const order = ascending(d, begin, end);
    arrange({ begin, end }, order, d.slice(begin, end), d, vectors, spare, size);
    return;
  }
  const middle = (begin + end) >> 1;
  const coupling = e[middle - 1] ?? 0;
  const rho = Math.abs(coupling);
  d[middle - 1] = (d[middle - 1] ?? 0) - rho;
  d[middle] = (d[middle] ?? 0) - rho;
  yield* solving({ begin, end: middle }, d, e, vectors, spare, size);
  yield* solving({ begin: middle, end }, d, e, vectors, spare, size);
  yield* joining({ begin, end }, middle, coupling, d, vectors, spare, size);
}

/** Row numbers, counted from `begin`, in the order of their eigenvalues. */
function ascending(d: Float64Array, begin: number, end: number): Uint32Array {
  return Uint32Array.from({ length: end - begin }, (_, i) => i).sort(
    (a, b) => (d[begin + a] ?? 0) - (d[begin + b] ?? 0),
  );
}

/** Puts rows and eigenvalues into an order; `values` are those of the rows as they are. */
function arrange(
  { begin, end }: Range,
  order: Uint32Array,
  values: Float64Array,
  d: Float64Array,
  vectors: Float64Array,
  spare: Float64Array,
  size: number,
): void {
  const width = end - begin;
  for (const [to, from] of order.entries()) {
    const row = (begin + from) * size + begin;
    spare.set(vectors.subarray(row, row + width), to * width);
    d[begin + to] = values[from] ?? 0;
  }
  for (let i = 0; i < width; i++) {
    vectors.set(spare.subarray(i * width, (i + 1) * width), (begin + i) * size + begin);
  }
}

/** Which components a vector has: those of the upper half of the rows, of the lower half, or both. */
type Extent = "upper" | "both" | "lower";
const extents: readonly Extent[] = ["upper", "both", "lower"];

/** Joins the solutions of both halves: the eigenproblem of diag(d) + rho z z', rotated by their vectors. */
function* joining(
  range: Range,
  middle: number,
  coupling: number,
  d: Float64Array,
  vectors: Float64Array,
  spare: Float64Array,
  size: number,
): Generator<void, void> {
  const { begin, end } = range;
  const width = end - begin;
  const upper = middle - begin;
  const values = d.slice(begin, end);
  // z is the last component of each vector of the first half and the first of each of the second; its norm is sqrt(2).
  const z = new Float64Array(width);
  for (let i = 0; i < width; i++) {
    const column = i < upper ? middle - 1 : middle;
    z[i] = ((i >= upper && coupling < 0 ? -1 : 1) * (vectors[(begin + i) * size + column] ?? 0)) / Math.SQRT2;
  }
  const rho = 2 * Math.abs(coupling);
  const extent: Extent[] = Array.from(z, (_, i) => (i < upper ? "upper" : "lower"));
  const kept = deflate(range, values, z, rho, extent, vectors, size, ascending(d, begin, end));
  if (kept.length > 0) {
    const poles = Float64Array.from(kept, (i) => values[i] ?? 0);
    const weights = Float64Array.from(kept, (i) => z[i] ?? 0);
    const { roots, coefficients } = yield* findingRoots(poles, weights, rho);
    yield* combining(range, upper, kept, extent, coefficients, vectors, spare, size);
    // The new vectors stand in the rows of the old ones they were made of, in the order of the poles.
    for (const [k, i] of kept.entries()) values[i] = roots[k] ?? 0;
  }
  for (let i = 0; i < width; i++) d[begin + i] = values[i] ?? 0;
  arrange(range, ascending(d, begin, end), values, d, vectors, spare, size);
}

/**
 * Finds what the joining leaves as it is: vectors without a share in z, and one of each pair with equal eigenvalues, once the pair is
 * turned so that it has none.
 * @returns the other rows in the order of their eigenvalues.
 */
function deflate(
  { begin, end }: Range,
  values: Float64Array,
  z: Float64Array,
  rho: number,
  extent: Extent[],
  vectors: Float64Array,
  size: number,
  order: Uint32Array,
): readonly number[] {
  let largest = 0;
  for (let i = 0; i < values.length; i++) largest = Math.max(largest, Math.abs(values[i] ?? 0), Math.abs(z[i] ?? 0));
  const tolerance = 4 * Number.EPSILON * largest;
  const kept: number[] = [];
  let last: number | undefined;
  for (const next of order) {
    if (rho * Math.abs(z[next] ?? 0) <= tolerance) continue;
    if (last !== undefined) {
      const [zl, zn] = [z[last] ?? 0, z[next] ?? 0];
      const length = Math.hypot(zl, zn);
      const [c, s] = [zn / length, -zl / length];
      const [dl, dn] = [values[last] ?? 0, values[next] ?? 0];
      if (Math.abs((dn - dl) * c * s) <= tolerance) {
        z[next] = length;
        z[last] = 0;
        values[last] = dl * c * c + dn * s * s;
        values[next] = dl * s * s + dn * c * c;
        turn(vectors, (begin + last) * size, (begin + next) * size, begin, end, c, s);
        if (extent[last] !== extent[next]) extent[last] = extent[next] = "both";
      } else {
        kept.push(last);
      }
    }
    last = next;
  }
  if (last !== undefined) kept.push(last);
  return kept;
}

/** Turns two rows into c a + s b and c b - s a. */
function turn(rows: Float64Array, a: number, b: number, from: number, to: number, c: number, s: number): void {
  for (let k = from; k < to; k++) {
    const [x, y] = [rows[a + k] ?? 0, rows[b + k] ?? 0];
    rows[a + k] = c * x + s * y;
    rows[b + k] = c * y - s * x;
  }
}

/**
 * Eigenvalues of diag(poles) + rho z z' and its vectors [k, k], one a row. The vectors are those of a z that has exactly the roots found,
 * by Löwner's formula: so they are orthogonal to working precision.
 */
function* findingRoots(
  poles: Float64Array,
  z: Float64Array,
  rho: number,
): Generator<void, { readonly roots: Float64Array; readonly coefficients: Float64Array }> {
  const count = poles.length;
  const roots = new Float64Array(count);
  // Row j: the poles minus root j, by way of the nearest pole, without cancellation.
  const distances = new Float64Array(count * count);
  for (let j = 0; j < count; j++) {
    const { pole, offset } = secularRoot(poles, z, count, rho, j);
    const origin = poles[pole] ?? 0;
    roots[j] = origin + offset;
    for (let i = 0; i < count; i++) distances[j * count + i] = (poles[i] ?? 0) - origin - offset;
    yield;
  }
  const exact = new Float64Array(count).fill(1);
  for (let j = 0; j < count; j++) {
    const pole = poles[j] ?? 0;
    for (let i = 0; i < count; i++) {
      const distance = distances[j * count + i] ?? 0;
      exact[i] = (exact[i] ?? 0) * (i === j ? distance : distance / ((poles[i] ?? 0) - pole));
    }
  }
  yield;
  for (let i = 0; i < count; i++) exact[i] = Math.sign(z[i] ?? 0) * Math.sqrt(Math.max(-(exact[i] ?? 0), 0));
  for (let j = 0; j < count; j++) {
    let squares = 0;
    for (let i = 0; i < count; i++) {
      const component = (exact[i] ?? 0) / (distances[j * count + i] ?? 0);
      distances[j * count + i] = component;
      squares += component * component;
    }
    const scale = 1 / Math.sqrt(squares);
    for (let i = 0; i < count; i++) distances[j * count + i] = (distances[j * count + i] ?? 0) * scale;
  }
  return { roots, coefficients: distances };
}

/** Replaces the kept rows by the combinations of them that `coefficients` [k, k] says. Zeros of rows with one extent are left out. */
function* combining(
  { begin, end }: Range,
  upper: number,
  kept: readonly number[],
  extent: readonly Extent[],
  coefficients: Float64Array,
  vectors: Float64Array,
  spare: Float64Array,
  size: number,
): Generator<void, void> {
  const count = kept.length;
  // Columns of the coefficients and rows, by extent: what the upper part needs comes first, what the lower part needs last.
  const byExtent = extents.flatMap((wanted) =>
    kept.map((row, k) => ({ row, k })).filter(({ row }) => extent[row] === wanted),
  );
  const number = (wanted: Extent): number => byExtent.filter(({ row }) => extent[row] === wanted).length;
  const parts = [
    { from: 0, count: number("upper") + number("both"), begin, end: begin + upper },
    { from: number("upper"), count: number("both") + number("lower"), begin: begin + upper, end },
  ];
  const factors = new Float64Array(count * count);
  for (let j = 0; j < count; j++) {
    for (const [place, { k }] of byExtent.entries()) factors[j * count + place] = coefficients[j * count + k] ?? 0;
  }
  const width = end - begin;
  spare.fill(0, 0, count * width);
  for (const part of parts) {
    const columns = part.end - part.begin;
    // Transposed, because rows are what is multiplied.
    const old = new Float64Array(columns * part.count);
    for (const [place, { row }] of byExtent.slice(part.from, part.from + part.count).entries()) {
      const at = (begin + row) * size + part.begin;
      for (let k = 0; k < columns; k++) old[k * part.count + place] = vectors[at + k] ?? 0;
    }
    yield* addingProduct(
      { data: spare, offset: part.begin - begin, stride: width, rows: count },
      { data: factors, offset: part.from, stride: count, rows: count },
      { data: old, offset: 0, stride: part.count, rows: columns },
      part.count,
      1,
      "all",
    );
  }
  for (const [j, row] of kept.entries()) {
    vectors.set(spare.subarray(j * width, (j + 1) * width), (begin + row) * size + begin);
  }
}
