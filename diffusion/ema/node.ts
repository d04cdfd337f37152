/** Stored averages in files; only for Node. */
export { type ProfileFields, profileFields } from "./node/averageMetadata.ts";
export { type AverageFile, reconstructFiles, type ReconstructFilesOptions } from "./node/reconstructFiles.ts";
export { listByPattern, readSchedule, type SnapshotSchedule, tensorNameMatcher } from "./node/schedule.ts";
export type { SnapshotFile } from "./node/storedAverage.ts";
export { snapshotPath } from "./node/snapshotPath.ts";
export { listSnapshots, type SnapshotFilter } from "./node/snapshotFolder.ts";
