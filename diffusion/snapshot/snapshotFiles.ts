import type { Tensor } from "../../engine/index.ts";
import { diskFile } from "../../engine/io/node.ts";
import { findStoredSnapshot, type FoundSnapshot, readStoredSnapshot } from "./readStoredSnapshot.ts";
import type { Snapshot, SnapshotDtype, SnapshotInfo } from "./snapshot.ts";
import { storeSnapshot } from "./storeSnapshot.ts";

/** Looks at the network in the file at `path`, as `findStoredSnapshot` does. @throws EvenkeelError `file`. */
export function findSnapshot(path: string): Promise<FoundSnapshot> {
  return findStoredSnapshot(diskFile(path));
}

/** Reads a network with its weights. @throws EvenkeelError as `findSnapshot`. */
export function readSnapshot(path: string): Promise<Snapshot> {
  return readStoredSnapshot(diskFile(path));
}

/** Writes a network to a safetensors file, as `storeSnapshot` does. @throws EvenkeelError `file` if the file system refuses. */
export function writeSnapshot(
  path: string,
  info: SnapshotInfo,
  weights: ReadonlyMap<string, Tensor>,
  dtype: SnapshotDtype,
): Promise<void> {
  return storeSnapshot(diskFile(path), info, weights, dtype);
}
