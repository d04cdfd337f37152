/** Files on a disk: safetensors in streams, and whole files or none. Only for Node. */
export { removeUnfinishedFiles, writeFileAtomically } from "./node/atomicFile.ts";
export { diskFile, diskFolder } from "./node/diskFolder.ts";
export { fileSystemError } from "./node/fileSystemError.ts";
export { makeFolder } from "./node/makeFolder.ts";
export { openSafetensors, readSafetensors, SafetensorsReader, writeSafetensors } from "./node/safetensorsFiles.ts";
export type { FileSink } from "./folder.ts";
export type { LazyTensor } from "./writeTensors.ts";
