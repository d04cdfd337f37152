import { EvenkeelError } from "../../engine/index.ts";
import { randomWords } from "./randomWords.ts";

/**
 * Which rows of the data a batch has. All batches are of one size, so that one program serves all: a last smaller one is filled up with
 * rows of its own, whose weight is 0.
 */
export type RowBatch = {
  /** Row numbers [batch]. */
  readonly index: Int32Array;
  /** 1 for what counts, 0 for what fills up [batch]: for `weightedMean`, and the `weights` of losses and batch norms. */
  readonly weights: Float32Array;
  /** How many count. */
  readonly size: number;
};

/** Options of `shuffledBatches`. */
export type ShuffleOptions = {
  readonly seed: number;
  /** Each has its own order. Default 0. */
  readonly epoch?: number;
};

/**
 * Every one of `rows` rows once, in batches of `batch`, in an order that follows from seed and epoch alone.
 * @throws EvenkeelError `value` for sizes that aren't whole numbers above 0, or a seed or epoch that isn't one from 0.
 * @example
 * ```ts
 * const rows = [...shuffledBatches(5, 2, { seed: 1, epoch: 0 })].flatMap(({ index, size }) => [...index.slice(0, size)]);
 * console.log(rows.toSorted()); // [ 0, 1, 2, 3, 4 ]
 * ```
 */
export function shuffledBatches(rows: number, batch: number, { seed, epoch = 0 }: ShuffleOptions): Generator<RowBatch> {
  requireSizes("shuffledBatches", rows, batch);
  for (const [name, value] of Object.entries({ seed, epoch })) {
    if (!Number.isSafeInteger(value) || value < 0) {
      throw new EvenkeelError("value", `shuffledBatches: ${name} ${value} is not a whole number from 0 to 2^53.`);
    }
  }
  const order = inOrder(rows);
  const next = randomWords([seed >>> 0, Math.floor(seed / 2 ** 32), epoch >>> 0, Math.floor(epoch / 2 ** 32)]);
  // Fisher and Yates. 53 bits, so that no place is preferred noticeably.
  for (let i = rows - 1; i > 0; i--) {
    const share = ((next() >>> 5) * 2 ** 26 + (next() >>> 6)) / 2 ** 53;
    const j = Math.floor(share * (i + 1));
    const swapped = order[i] ?? 0;
    order[i] = order[j] ?? 0;
    order[j] = swapped;
  }
  return cut(order, batch);
}

/**
 * Every one of `rows` rows once, in batches of `batch`, as they lie.
 * @throws EvenkeelError `value` for sizes that aren't whole numbers above 0.
 * @example
 * ```ts
 * const batches = [...orderedBatches(3, 2)];
 * console.log(batches.map(({ size, weights }) => [size, ...weights])); // [ [ 2, 1, 1 ], [ 1, 1, 0 ] ]
 * ```
 */
export function orderedBatches(rows: number, batch: number): Generator<RowBatch> {
  requireSizes("orderedBatches", rows, batch);
  return cut(inOrder(rows), batch);
}

const inOrder = (rows: number): Int32Array => Int32Array.from({ length: rows }, (_, i) => i);

function* cut(order: Int32Array, batch: number): Generator<RowBatch> {
  for (let begin = 0; begin < order.length; begin += batch) {
    const size = Math.min(batch, order.length - begin);
    const index = Int32Array.from({ length: batch }, (_, i) => order[begin + (i % size)] ?? 0);
    const weights = Float32Array.from({ length: batch }, (_, i) => (i < size ? 1 : 0));
    yield { index, weights, size };
  }
}

function requireSizes(operation: string, rows: number, batch: number): void {
  for (const [name, value] of Object.entries({ rows, batch })) {
    if (!Number.isInteger(value) || value < 1 || value >= 2 ** 31) {
      throw new EvenkeelError("value", `${operation}: ${name} is ${value}, expected a whole number of at least 1.`);
    }
  }
}
