import { EvenkeelError } from "../../engine/index.ts";
import { addProduct } from "./matrixProduct.ts";

/** How two sets cover each other. */
export type PrecisionRecall = {
  /** Share of the vectors that lie among the reference's: quality (Kynkäänniemi et al. 2019). */
  readonly precision: number;
  /** Share of the reference that lies among the vectors: variety. */
  readonly recall: number;
  /** Balls of the reference that a vector lies in, over k: 1 for equal distributions; outliers count little (Naeem et al. 2020). */
  readonly density: number;
  /** Share of the reference's balls that hold a vector. */
  readonly coverage: number;
};

/** Rows whose distances are in memory at a time. */
const blockRows = 256;

/**
 * Precision and recall, density and coverage of vectors [N, dimension] against a reference [M, dimension]: each set's region is the union
 * of balls round its vectors that reach to their k-th nearest neighbour within the set. All four depend on N and M: compare sets of equal
 * sizes only.
 * @throws EvenkeelError `value` for sets of k vectors or fewer.
 */
export function precisionRecall(
  features: Float32Array,
  reference: Float32Array,
  dimension: number,
  k = 3,
): PrecisionRecall {
  const own = pointSet(features, dimension, k, "set");
  const other = pointSet(reference, dimension, k, "reference");
  const [ownRadii, otherRadii] = [neighbourRadii(own, k), neighbourRadii(other, k)];
  let [within, balls] = [0, 0];
  const isRecalled = new Uint8Array(other.count);
  const isCovered = new Uint8Array(other.count);
  forDistances(own, other, (i, row) => {
    let around = 0;
    for (const [j, distance] of row.entries()) {
      if (distance <= (otherRadii[j] ?? 0)) {
        around++;
        isCovered[j] = 1;
      }
      if (distance <= (ownRadii[i] ?? 0)) isRecalled[j] = 1;
    }
    if (around > 0) within++;
    balls += around;
  });
  const share = (flags: Uint8Array): number => flags.reduce((sum, flag) => sum + flag, 0) / flags.length;
  return {
    precision: within / own.count,
    recall: share(isRecalled),
    density: balls / (k * own.count),
    coverage: share(isCovered),
  };
}

type PointSet = {
  readonly points: Float64Array;
  readonly count: number;
  readonly dimension: number;
  readonly squares: Float64Array;
};

function pointSet(features: Float32Array, dimension: number, k: number, name: string): PointSet {
  const count = features.length / dimension;
  if (!Number.isInteger(k) || k < 1 || !(count > k)) {
    throw new EvenkeelError("value", `precision: the ${name} has ${count} vectors; ${k} neighbours need more.`);
  }
  const points = Float64Array.from(features);
  const squares = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    // By the same function as the products, so that the distance of equal vectors is exactly 0.
    const row = { data: points, offset: i * dimension, stride: dimension, rows: 1 };
    addProduct({ data: squares, offset: i, stride: 1, rows: 1 }, row, row, dimension, 1, "all");
  }
  return { points, count, dimension, squares };
}

/** Calls with the squared distances of each vector of a from all of b. */
function forDistances(a: PointSet, b: PointSet, use: (i: number, row: Float64Array) => void): void {
  const { dimension } = a;
  const products = new Float64Array(blockRows * b.count);
  for (let begin = 0; begin < a.count; begin += blockRows) {
    const rows = Math.min(blockRows, a.count - begin);
    products.fill(0);
    addProduct(
      { data: products, offset: 0, stride: b.count, rows },
      { data: a.points, offset: begin * dimension, stride: dimension, rows },
      { data: b.points, offset: 0, stride: dimension, rows: b.count },
      dimension,
      -2,
      "all",
    );
    for (let i = 0; i < rows; i++) {
      const row = products.subarray(i * b.count, (i + 1) * b.count);
      const square = a.squares[begin + i] ?? 0;
      for (let j = 0; j < b.count; j++) row[j] = square + (b.squares[j] ?? 0) + (row[j] ?? 0);
      use(begin + i, row);
    }
  }
}

/** Squared distance of each vector from its k-th nearest neighbour in the set. */
function neighbourRadii(set: PointSet, k: number): Float64Array {
  const radii = new Float64Array(set.count);
  const nearest = new Float64Array(k);
  forDistances(set, set, (i, row) => {
    nearest.fill(Infinity);
    for (let j = 0; j < set.count; j++) {
      const distance = row[j] ?? 0;
      if (j === i || distance >= (nearest[k - 1] ?? 0)) continue;
      let place = k - 1;
      for (; place > 0 && distance < (nearest[place - 1] ?? 0); place--) nearest[place] = nearest[place - 1] ?? 0;
      nearest[place] = distance;
    }
    radii[i] = nearest[k - 1] ?? 0;
  });
  return radii;
}
