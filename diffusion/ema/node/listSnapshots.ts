import { diskFolder } from "../../../engine/io/node.ts";
import { type SnapshotFilter, snapshotsIn } from "../snapshotFolder.ts";
import type { SnapshotFile } from "../storedAverage.ts";

/** The snapshots of one run in the folder at a path, as `snapshotsIn` finds them. @throws EvenkeelError `file`. */
export function listSnapshots(folder: string, filter: SnapshotFilter = {}): Promise<readonly SnapshotFile[]> {
  return snapshotsIn(diskFolder(folder), filter);
}
