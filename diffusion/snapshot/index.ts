/** Networks as they are stored, Evenkeel's and other programs'. Safe in a page; files by path are in `node.ts`. */
export { foreignFilesOf, readOfKind } from "./foreignFile.ts";
export { readPickle } from "./readPickle.ts";
export { findStoredSnapshot, type FoundSnapshot, readStoredSnapshot } from "./readStoredSnapshot.ts";
export { snapshotBytes, storeSnapshot } from "./storeSnapshot.ts";
export {
  describedNetwork,
  parseSnapshotMetadata,
  type Snapshot,
  type SnapshotDtype,
  type SnapshotInfo,
  snapshotMetadata,
  type TrainedAs,
  trainedAs,
} from "./snapshot.ts";
