/** Stored averages in files. */
export { type ProfileFields, profileFields } from "./node/averageMetadata.ts";
export { type AverageFile, reconstructFiles, type ReconstructFilesOptions } from "./node/reconstructFiles.ts";
export { listByPattern, matchesAny, readSchedule, type SnapshotSchedule } from "./node/schedule.ts";
export { snapshotFile, type SnapshotFile } from "./node/snapshotFile.ts";
export { snapshotPath } from "./node/snapshotPath.ts";
export { listSnapshots, type SnapshotFilter } from "./node/snapshotFolder.ts";
