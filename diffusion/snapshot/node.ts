/** Networks in files, Evenkeel's and other programs'; only for Node. */
export { foreignFilesOf, readOfKind } from "./foreignFile.ts";
export { readPickle } from "./readPickle.ts";
export { findSnapshot, type FoundSnapshot, readSnapshot } from "./readSnapshot.ts";
export { writeSnapshot } from "./writeSnapshot.ts";
