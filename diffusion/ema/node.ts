/** Stored averages in files. */
export { type ProfileFields, profileFields } from "./node/averageMetadata.ts";
export { type AverageFile, reconstructFiles, type ReconstructFilesOptions } from "./node/reconstructFiles.ts";
export { listByPattern, tensorNameMatcher, readSchedule, type SnapshotSchedule } from "./node/schedule.ts";
export type { SnapshotFile } from "./node/storedAverage.ts";
export { snapshotFile } from "./node/snapshotFile.ts";
export { snapshotPath } from "./node/snapshotPath.ts";
export { listSnapshots, type SnapshotFilter } from "./node/snapshotFolder.ts";
