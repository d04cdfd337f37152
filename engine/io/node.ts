/** Files on a disk; only for Node. What works on memory alone is in `index.ts`. */
export { type FileSink, removeUnfinishedFiles, writeFileAtomically } from "./node/atomicFile.ts";
export { fileSystemError } from "./node/fileSystemError.ts";
export { makeFolder } from "./node/makeFolder.ts";
export { openSafetensors, readSafetensors, type SafetensorsReader } from "./node/openSafetensors.ts";
export { type LazyTensor, writeSafetensors } from "./node/writeSafetensors.ts";
