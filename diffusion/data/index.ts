/** Images and latents as a training run takes them, in its order. Safe in a page; reading and writing files is in `node.ts`. */
export { gatherBatch, trainingBatches, wholeBatch } from "./batches.ts";
export {
  classCounts,
  checkedLabels,
  createDataset,
  type DatasetLabels,
  type ImageDataset,
  isLatent,
  labelDimOf,
  type LatentDataset,
  selectImages,
  type TrainingDataset,
} from "./dataset.ts";
export { fingerprint } from "./fingerprint.ts";
export type { HostBatch } from "./hostBatch.ts";
export { joinDatasets } from "./joinDatasets.ts";
export { duplicateNote, labelNotes, pixelNotes } from "./notes.ts";
export { ImageOrder, splitIndices } from "./order.ts";
export { type SeenLabels, seenLabels } from "./seenLabels.ts";
export { splitData } from "./splitData.ts";
export { type DatasetStatistics, datasetStatistics } from "./statistics.ts";
