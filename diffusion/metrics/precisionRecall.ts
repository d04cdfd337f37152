import { atOnce, EvenkeelError } from "../../engine/index.ts";
import { addingProduct, addProduct } from "./matrixProduct.ts";

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

/** A set's region: balls round its vectors that reach to the k-th nearest neighbour within the set. */
export type NeighbourManifold = {
  readonly points: Float64Array;
  readonly count: number;
  readonly dimension: number;
  readonly neighbours: number;
  /** |x|^2 of each vector. */
  readonly squares: Float64Array;
  /** Squared radius of each ball. */
  readonly radii: Float64Array;
};

/**
 * The region of vectors [N, dimension].
 * @throws EvenkeelError `value` for as few vectors as neighbours.
 * @example console.log(neighbourManifold(Float32Array.of(0, 1, 3), 1, 1).radii); // Float64Array(3) [ 1, 1, 4 ]
 */
export function neighbourManifold(features: Float32Array, dimension: number, neighbours = 3): NeighbourManifold {
  return atOnce(makingManifold(features, dimension, neighbours));
}

/** The same with pauses. */
export function* makingManifold(
  features: Float32Array,
  dimension: number,
  neighbours: number,
): Generator<void, NeighbourManifold> {
  const count = features.length / dimension;
  if (!Number.isInteger(neighbours) || neighbours < 1 || !(count > neighbours)) {
    throw new EvenkeelError(
      "value",
      `precision and recall: ${count} vectors are too few for neighbour number ${neighbours}, which there must be one of.`,
    );
  }
  const points = Float64Array.from(features);
  const squares = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    // By the same function as the products, so that the distance of equal vectors is exactly 0.
    const row = { data: points, offset: i * dimension, stride: dimension, rows: 1 };
    addProduct({ data: squares, offset: i, stride: 1, rows: 1 }, row, row, dimension, 1, "all");
    yield;
  }
  const set = { points, count, dimension, neighbours, squares };
  return { ...set, radii: yield* findingNeighbours(set) };
}

/**
 * Precision and recall, density and coverage of a set against a reference. All four depend on the numbers of vectors: compare sets of
 * equal sizes only.
 * @throws EvenkeelError `value` for regions of another number of neighbours, `shape` for vectors of another length.
 * @example
 * ```ts
 * const set = neighbourManifold(Float32Array.of(0, 1, 2), 1, 1);
 * const reference = neighbourManifold(Float32Array.of(0, 1, 2, 10, 11), 1, 1);
 * const { precision, recall } = precisionRecall(set, reference);
 * console.log(precision, recall); // 1 0.6
 * ```
 */
export function precisionRecall(set: NeighbourManifold, reference: NeighbourManifold): PrecisionRecall {
  return atOnce(measuringShares(set, reference));
}

/** The same with pauses. */
export function* measuringShares(
  set: NeighbourManifold,
  reference: NeighbourManifold,
): Generator<void, PrecisionRecall> {
  const { neighbours, dimension } = set;
  if (neighbours !== reference.neighbours) {
    const numbers = `${neighbours} and ${reference.neighbours}`;
    throw new EvenkeelError(
      "value",
      `precision and recall: the regions are of ${numbers} neighbours; they must be equal.`,
    );
  }
  if (dimension !== reference.dimension) {
    const lengths = `${dimension} and ${reference.dimension}`;
    throw new EvenkeelError("shape", `precision and recall: vectors of ${lengths} features; they must be equal.`);
  }
  let [within, balls] = [0, 0];
  const isRecalled = new Uint8Array(reference.count);
  const isCovered = new Uint8Array(reference.count);
  yield* findingDistances(set, reference, "all", (i, row) => {
    let around = 0;
    const radius = set.radii[i] ?? 0;
    for (let j = 0; j < row.length; j++) {
      const distance = row[j] ?? 0;
      if (distance <= (reference.radii[j] ?? 0)) {
        around++;
        isCovered[j] = 1;
      }
      if (distance <= radius) isRecalled[j] = 1;
    }
    if (around > 0) within++;
    balls += around;
  });
  const share = (flags: Uint8Array): number => flags.reduce((sum, flag) => sum + flag, 0) / flags.length;
  return {
    precision: within / set.count,
    recall: share(isRecalled),
    density: balls / (neighbours * set.count),
    coverage: share(isCovered),
  };
}

type PointSet = Omit<NeighbourManifold, "radii">;

/** Calls with the squared distances of each vector of a from those of b: from all, or at least from those up to number i. */
function* findingDistances(
  a: PointSet,
  b: PointSet,
  part: "all" | "lower",
  use: (i: number, row: Float64Array) => void,
): Generator<void, void> {
  const { dimension } = a;
  const products = new Float64Array(blockRows * b.count);
  for (let begin = 0; begin < a.count; begin += blockRows) {
    const rows = Math.min(blockRows, a.count - begin);
    const columns = part === "all" ? b.count : begin + rows;
    products.fill(0);
    yield* addingProduct(
      { data: products, offset: 0, stride: columns, rows },
      { data: a.points, offset: begin * dimension, stride: dimension, rows },
      { data: b.points, offset: 0, stride: dimension, rows: columns },
      dimension,
      -2,
      "all",
    );
    for (let i = 0; i < rows; i++) {
      const row = products.subarray(i * columns, (i + 1) * columns);
      const square = a.squares[begin + i] ?? 0;
      for (let j = 0; j < columns; j++) row[j] = square + (b.squares[j] ?? 0) + (row[j] ?? 0);
      use(begin + i, row);
      yield;
    }
  }
}

/** Squared distance of each vector from its k-th nearest neighbour in the set. */
function* findingNeighbours(set: PointSet): Generator<void, Float64Array> {
  const { count, neighbours } = set;
  /** For each vector the nearest so far, ascending. */
  const nearest = new Float64Array(count * neighbours).fill(Infinity);
  const offer = (point: number, distance: number): void => {
    let place = (point + 1) * neighbours - 1;
    if (distance >= (nearest[place] ?? 0)) return;
    for (; place > point * neighbours && distance < (nearest[place - 1] ?? 0); place--) {
      nearest[place] = nearest[place - 1] ?? 0;
    }
    nearest[place] = distance;
  };
  yield* findingDistances(set, set, "lower", (i, row) => {
    for (let j = 0; j < i; j++) {
      const distance = row[j] ?? 0;
      offer(i, distance);
      offer(j, distance);
    }
  });
  return Float64Array.from({ length: count }, (_, i) => nearest[(i + 1) * neighbours - 1] ?? 0);
}
