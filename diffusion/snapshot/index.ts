/** A network's weights as Evenkeel stores them, without a file. Safe in a page; files are in `node.ts`. */
export {
  describedNetwork,
  parseSnapshotMetadata,
  type Snapshot,
  type SnapshotDtype,
  type SnapshotInfo,
  snapshotMetadata,
} from "./snapshot.ts";
