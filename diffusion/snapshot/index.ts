export {
  parseSnapshotMetadata,
  type Snapshot,
  type SnapshotDtype,
  type SnapshotInfo,
  snapshotMetadata,
} from "./snapshot.ts";
