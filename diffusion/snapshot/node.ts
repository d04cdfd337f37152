/** Networks in files of a disk, Evenkeel's and other programs'; only for Node. */
export type { FoundSnapshot } from "./readStoredSnapshot.ts";
export { findSnapshot, readSnapshot, writeSnapshot } from "./snapshotFiles.ts";
