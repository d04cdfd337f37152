/**
 * Images and latents as a training run takes them, in its order, and how they are read from files of many kinds. Safe in a page; see
 * `node.ts` for files of a disk, by their paths.
 */
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
export type { Colour, RawPicture } from "./files/background.ts";
export { blobSource, openPicked } from "./files/blobSource.ts";
export {
  convertPictures,
  type ConvertPicturesOptions,
  type DecodedPicture,
  undecodedPictures,
} from "./files/convertPictures.ts";
export { writeDatasetZip } from "./files/datasetZip.ts";
export type { FileSource } from "./files/fileSource.ts";
export type { LabelOrigin } from "./files/labels.ts";
export { describeNotice, type Effect, listNotice, type Notice, Notices } from "./files/notices.ts";
export { encodeNpy } from "./files/npyFile.ts";
export { openDataset, openTrainingData } from "./files/openDataset.ts";
export { packDataset, unpackDataset } from "./files/packedDataset.ts";
export type { Reading } from "./files/reading.ts";
export { type SquareTransform, squareTransforms } from "./files/squarePixels.ts";
