/** Stored averages in files of a disk; only for Node. */
export { listSnapshots } from "./node/listSnapshots.ts";
export { type AverageFile, reconstructFiles, type ReconstructFilesOptions } from "./node/reconstructFiles.ts";
export { listByPattern, readSchedule, type SnapshotSchedule, tensorNameMatcher } from "./node/schedule.ts";
