/** Files on a disk: safetensors in streams, and whole files or none. Only for Node. */
export { type FileSink, removeUnfinishedFiles, writeFileAtomically } from "./node/atomicFile.ts";
export { fileSystemError } from "./node/fileSystemError.ts";
export { makeFolder } from "./node/makeFolder.ts";
export { openSafetensors, readSafetensors, type SafetensorsReader } from "./node/openSafetensors.ts";
export { type LazyTensor, writeSafetensors } from "./node/writeSafetensors.ts";
