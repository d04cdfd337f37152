/** Batches of data that lie on the host. */
export { orderedBatches, type RowBatch, shuffledBatches, type ShuffleOptions } from "./shuffledBatches.ts";
export { takeRows } from "./takeRows.ts";
